"""Plans that concern threads as a whole: prune, delete by run, expire, describe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from saver import _codec as codec
from saver._filters import digest
from saver._ids import encode_id
from saver._keys import SHARDS
from saver._listing import checked_limit, walk_threads
from saver._requests import Call, Page
from saver._retention import checked_count
from saver.errors import DamagedRecordError, ThreadNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langgraph.checkpoint.serde.base import SerializerProtocol

    from saver._keys import Keys
    from saver._plans import Plan

_SHARDS_AT_ONCE = 128
_THREADS_AT_ONCE = 100
_RUNS_AT_ONCE = 100
_BEHIND_ALL = b"(\xff"
"""Bound of an index behind which there is nothing."""


@dataclass(frozen=True)
class ThreadInfo:
    """What is known of a thread."""

    thread_id: str
    checkpoints: int
    """In all namespaces."""
    checkpoint_id: str | None
    """The newest one's; `None` when there are only writes whose checkpoint has not arrived."""
    updated_at: datetime | None
    """When that one was made."""
    bytes: int
    """Memory that the thread takes on the server, estimated from samples."""
    ttl: timedelta | None
    """Time left to live; `None`: for ever."""
    pinned: bool
    """Kept for ever, whatever a saver's `ttl` is."""


def prune(
    keys: Keys, thread_ids: Sequence[str], strategy: str, keep_last: int | None
) -> Plan[None]:
    """Keeps the newest checkpoints of each namespace, with what they need."""
    ids = _checked_ids("thread_ids", "thread_id", thread_ids)
    if strategy not in ("keep_latest", "delete"):
        msg = f'strategy must be "keep_latest" or "delete", not {strategy!r}'
        raise ValueError(msg)
    if strategy == "delete" and keep_last is not None:
        msg = 'strategy "delete" keeps nothing: leave keep_last out, or pass "keep_latest"'
        raise ValueError(msg)
    keep = 1 if keep_last is None else checked_count("keep_last", keep_last)
    if strategy == "delete":
        yield from _repeated(
            {each: Call("delete_thread", keys.thread(each), (each,)) for each in ids},
            lambda call, _: call,
        )
    else:
        yield from _repeated(
            {each: Call("prune", keys.thread(each), (each, keep, b"-")) for each in ids},
            _with_bound,
        )


def delete_for_runs(keys: Keys, run_ids: Sequence[str]) -> Plan[None]:
    """Finds the threads of runs in every shard, and deletes the runs' checkpoints there."""
    runs = [digest(each.decode()) for each in _checked_ids("run_ids", "run_id", run_ids)]
    runs.reverse()  # mostly the last is the newest, and rebuilt from the others
    left: dict[bytes, int] = {}
    for start in range(0, len(runs), _RUNS_AT_ONCE):
        some = runs[start : start + _RUNS_AT_ONCE]
        for first in range(0, SHARDS, _SHARDS_AT_ONCE):
            yield from _find_and_delete(keys, some, range(first, first + _SHARDS_AT_ONCE), left)
    # What stayed because another one of the runs needed it can go now.
    before: dict[bytes, int] = {}
    while len(runs) > 1 and left != before:
        before, left = left, {}
        yield from _delete_runs(keys, reversed(before), left)


def _find_and_delete(
    keys: Keys, runs: Sequence[bytes], shards: range, left: dict[bytes, int]
) -> Plan[None]:
    bounds = {shard: [b"[" + run for run in runs] for shard in shards}
    while bounds:
        replies = yield tuple(
            Call("runs", keys.shard(shard), (_THREADS_AT_ONCE, *some))
            for shard, some in bounds.items()
        )
        found = [
            member
            for reply in replies
            for members in reply
            for member in members
            if member[8:9] != b"\0"  # a copy under way
        ]
        yield from _delete_runs(keys, found, left)
        bounds = {
            shard: further
            for shard, reply in zip(list(bounds), replies, strict=True)
            if (further := [b"(" + each[-1] for each in reply if len(each) == _THREADS_AT_ONCE])
        }


def _delete_runs(keys: Keys, members: Iterable[bytes], left: dict[bytes, int]) -> Plan[None]:
    """Deletes runs (`run thread_id`); enters in `left` how many of their checkpoints stay."""

    def following(call: Call, reply: bytes | int) -> Call | None:
        if isinstance(reply, bytes):
            return _with_bound(call, reply)
        thread_id, run, _ = cast("tuple[bytes, ...]", call.args)
        left[run + thread_id] = reply
        return None

    yield from _repeated(
        {
            member: Call(
                "delete_run",
                keys.thread(member[8:]),
                (member[8:], member[:8], b"[" + member[:8] + b"\xff"),
            )
            for member in members
        },
        following,
    )


def _with_bound(call: Call, bound: bytes) -> Call:
    return Call(call.script, call.keys, (*call.args[:-1], bound))


def _repeated(calls: Mapping[bytes, Call], following: Any) -> Plan[None]:
    """Sends calls, some at once, and for each that replies something the following one, if any."""
    waiting = list(calls.values())
    while waiting:
        some, waiting = waiting[:_THREADS_AT_ONCE], waiting[_THREADS_AT_ONCE:]
        replies = yield tuple(some)
        further = [
            following(call, reply) for call, reply in zip(some, replies, strict=True) if reply
        ]
        waiting += filter(None, further)


def expire(keys: Keys, thread_id: str, how: int | Literal[b"pin", b"unpin"]) -> Plan[None]:
    """Sets how long a thread lives: milliseconds, or for ever with or without a saver's say."""
    encoded = encode_id("thread_id", thread_id)
    if not (yield Call("expire", keys.thread(encoded), (encoded, how))):
        raise _not_found(thread_id)


def ttl(keys: Keys, thread_id: str) -> Plan[timedelta | None]:
    """How long a thread has left to live."""
    reply = yield describe_call(keys, encode_id("thread_id", thread_id))
    if not reply:
        raise _not_found(thread_id)
    return _time_left(reply[5])


def _not_found(thread_id: str) -> ThreadNotFoundError:
    return ThreadNotFoundError(f"there is no thread {thread_id!r}")


def threads(keys: Keys, serde: SerializerProtocol, limit: int | None) -> Plan[None]:
    """Yields pages of what is known of every thread; forgets those that have expired."""

    def describe(thread_ids: Sequence[bytes], left: int | None) -> Plan[int | None]:
        replies = (
            (yield tuple(describe_call(keys, each) for each in thread_ids)) if thread_ids else []
        )
        told = dict(zip(thread_ids, replies, strict=True))
        expired = [each for each, reply in told.items() if not reply]
        if expired:
            yield tuple(_prune_nothing(keys, each) for each in expired)
        found = [_info(serde, each, reply) for each, reply in told.items() if reply][:left]
        if found:
            yield Page(found)
        return None if left is None else left - len(found)

    yield from walk_threads(keys, describe, checked_limit(limit))


def _prune_nothing(keys: Keys, thread_id: bytes) -> Call:
    """Leaves a thread as it is, and takes one that has no key any more out of the registries."""
    return Call("prune", keys.thread(thread_id), (thread_id, 1, _BEHIND_ALL))


def describe_call(keys: Keys, thread_id: bytes) -> Call:
    """The call of describe.lua; its header says what it replies."""
    return Call("describe", keys.thread(thread_id), (thread_id,))


def _info(serde: SerializerProtocol, thread_id: bytes, reply: Sequence[Any]) -> ThreadInfo:
    checkpoints, checkpoint_id, _, data, _, left, size = reply
    return ThreadInfo(
        thread_id=thread_id.decode(),
        checkpoints=checkpoints,
        checkpoint_id=checkpoint_id.decode() or None,
        updated_at=_made_at(serde, data) if data else None,
        bytes=size,
        ttl=_time_left(left),
        pinned=left == b"inf",
    )


def _made_at(serde: SerializerProtocol, data: bytes) -> datetime | None:
    record = codec.unpack_record(data).record
    ts = codec.load(serde, record.head_type, record.head).get("ts")
    if ts is None:
        return None
    try:
        return datetime.fromisoformat(ts)
    except ValueError as error:
        msg = f"a checkpoint's ts is no time: {ts!r}"
        raise DamagedRecordError(msg) from error


def _time_left(milliseconds: int | bytes) -> timedelta | None:
    if isinstance(milliseconds, bytes) or milliseconds < 0:
        return None
    return timedelta(milliseconds=milliseconds)


def _checked_ids(what: str, each: str, ids: Sequence[str]) -> list[bytes]:
    if isinstance(ids, (str, bytes)):
        msg = f"{what} must be a list of ids, not one: pass [{ids!r}]"
        raise TypeError(msg)
    return list(dict.fromkeys(encode_id(each, one) for one in ids))
