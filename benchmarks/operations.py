"""put, get_tuple and put_writes against one Redis command of the same bytes.

The calls are those that LangGraph made in a chat of 200 messages, replayed on a new thread, so that
the state grows from nothing. Both sides use equal clients of redis-py.

Ours: the saver's method as LangGraph calls it, without compression, so that both send the same
bytes; what compression costs and saves is measured by `benchmarks.storage`.
Reference: serialising the same values with the saver's serde and one HSET; or one HMGET and
deserialising the same values. See `benchmarks.raw` for what that leaves out.
Ours on the wire: the call of a put, prepared, through the saver's transport. Its reference: the
HSET of the reference above, prepared as well.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.graphs import thread
from benchmarks.measure import Comparison, atime_pair, rounds, time_pair
from benchmarks.raw import RawHash
from benchmarks.recording import Put, moved, record_chat
from saver import AsyncRedisSaver, RedisSaver
from saver import _plans as plans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.environment import Environment
    from benchmarks.recording import PutWrites

TURNS = 50
_READ_EVERY = 3
"""Stored calls between two reads; no divisor of a turn's 10, so that reads fall everywhere."""

Pair = tuple[Comparison, "Callable[[], Any]", "Callable[[], Any]"]


def operations(environment: Environment) -> list[Comparison]:
    """Of `RedisSaver`."""
    calls = record_chat(TURNS)
    with environment.client() as ours, environment.client() as theirs:
        replay = _SyncReplay(RedisSaver(ours, compression=None), theirs, "")
        for thread_id in rounds(environment, replay.comparisons):
            for pair in replay.pairs(calls, thread_id):
                time_pair(*pair)
    return replay.comparisons


def async_operations(environment: Environment) -> list[Comparison]:
    """Of `AsyncRedisSaver`, from a single caller: nothing shares the event loop."""
    return asyncio.run(_async_operations(environment))


async def _async_operations(environment: Environment) -> list[Comparison]:
    calls = record_chat(TURNS)
    async with environment.async_client() as ours, environment.async_client() as theirs:
        replay = _AsyncReplay(AsyncRedisSaver(ours, compression=None), theirs, "async ")
        for thread_id in rounds(environment, replay.comparisons):
            for pair in replay.pairs(calls, thread_id):
                await atime_pair(*pair)
    return replay.comparisons


class _Replay:
    """Makes pairs of things to time out of recorded calls."""

    def __init__(self, saver: Any, client: Any, prefix: str) -> None:
        self.saver = saver
        self.client = client
        self.put = Comparison(f"{prefix}put", asked=1.3)
        self.small_put = Comparison(f"{prefix}put, no new message")
        self.wire = Comparison(f"{prefix}put, wire alone")
        self.get = Comparison(f"{prefix}get_tuple", asked=1.3)
        self.writes = Comparison(f"{prefix}put_writes", asked=1.5)
        self.comparisons = [self.put, self.small_put, self.wire, self.get, self.writes]

    def pairs(self, calls: list[Put | PutWrites], thread_id: str) -> Iterator[Pair]:
        """Stores every call and reads now and then; each pair is to be run before the next."""
        raw = RawHash(thread_id.encode(), self.saver.serde)
        for position, recorded in enumerate(calls):
            call = moved(recorded, thread_id)
            if isinstance(call, Put):
                yield self._put(raw, call)
                if "messages" in call.new_versions:
                    yield self._wire(raw, moved(recorded, f"wire-{thread_id}"))
            else:
                yield self._put_writes(raw, call)
            if position % _READ_EVERY == 0:
                yield self._get(raw, thread_id)

    def _put(self, raw: RawHash, call: Put) -> Pair:
        parts, execute = raw.parts_of_put(call), self.client.execute_command
        raw.store(parts)  # whoever comes first would bring the messages into the CPU's cache
        comparison = self.put if "messages" in call.new_versions else self.small_put
        arguments = (call.config, call.checkpoint, call.metadata, call.new_versions)
        ours = partial(self._ours("put"), *arguments)
        return comparison, ours, lambda: execute(*raw.store(parts))

    def _put_writes(self, raw: RawHash, call: PutWrites) -> Pair:
        parts, execute = raw.parts_of_writes(call), self.client.execute_command
        raw.store(parts)
        arguments = (call.config, call.writes, call.task_id, call.task_path)
        ours = partial(self._ours("put_writes"), *arguments)
        return self.writes, ours, lambda: execute(*raw.store(parts))

    def _wire(self, raw: RawHash, call: Put) -> Pair:
        values = call.checkpoint["channel_values"]
        # The thread has only these puts, so they may rely on no earlier value.
        new_values = {name: values[name] for name in call.new_versions if name in values}
        checkpoint: Any = {**call.checkpoint, "channel_values": new_values}
        arguments = (call.config, checkpoint, call.metadata, call.new_versions)
        request = next(plans.put(self.saver._keys, self.saver.serde, *arguments))  # noqa: SLF001
        command, execute = raw.store(raw.parts_of_put(call)), self.client.execute_command
        return self.wire, lambda: self._send(request), lambda: execute(*command)

    def _get(self, raw: RawHash, thread_id: str) -> Pair:
        config = thread(thread_id, checkpoint_ns="")
        read = partial(self._read, raw, raw.latest_fields())
        return self.get, partial(self._ours("get_tuple"), config), read

    def _ours(self, method: str) -> Callable[..., Any]:
        raise NotImplementedError

    def _send(self, request: Any) -> Any:
        raise NotImplementedError

    def _read(self, raw: RawHash, fields: list[bytes]) -> Any:
        raise NotImplementedError


class _SyncReplay(_Replay):
    def _ours(self, method: str) -> Callable[..., Any]:
        return getattr(self.saver, method)  # type: ignore[no-any-return]

    def _send(self, request: Any) -> Any:
        return self.saver._transport.run(_plan_of(request))  # noqa: SLF001

    def _read(self, raw: RawHash, fields: list[bytes]) -> Any:
        return raw.load(fields, self.client.execute_command(*raw.read(fields)))


class _AsyncReplay(_Replay):
    def _ours(self, method: str) -> Callable[..., Any]:
        return getattr(self.saver, "a" + method)  # type: ignore[no-any-return]

    def _send(self, request: Any) -> Any:
        return self.saver._transport.arun(_plan_of(request))  # noqa: SLF001

    async def _read(self, raw: RawHash, fields: list[bytes]) -> Any:
        return raw.load(fields, await self.client.execute_command(*raw.read(fields)))


def _plan_of(request: Any) -> plans.Plan[Any]:
    return (yield request)
