"""What the server spends in a script, on threads of different lengths.

Taken from the server's own statistics (`INFO commandstats`, EVALSHA: microseconds a call), so it
has neither the way there nor Python in it. The state is small, some 4 KB: what is looked for is
work that grows with the thread.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.graphs import thread
from benchmarks.recording import Put, PutWrites, moved, record_chat
from saver import RedisSaver
from saver import _plans as plans

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from benchmarks.environment import Environment

LENGTHS = (10, 1_000, 10_000)
_REPEATS = 30
_BATCH = 100


@dataclass(frozen=True)
class ServerTime:
    """Microseconds that a script takes, by the length of the thread."""

    name: str
    microseconds: list[float]
    calls: list[float]
    """Script calls that one call of the method made."""


def server_times(environment: Environment) -> list[ServerTime]:
    """Of every operation on a thread's path."""
    environment.empty()
    with environment.client() as client:
        saver = RedisSaver(client)
        saver.setup()
        columns = [_column(client, saver, length) for length in LENGTHS]
    gc.collect()
    return [
        ServerTime(name, [column[name][0] for column in columns], [c[name][1] for c in columns])
        for name in columns[0]
    ]


def _column(client: Redis, saver: RedisSaver, length: int) -> dict[str, tuple[float, float]]:
    thread_id = f"length-{length}"
    last = _fill(saver, thread_id, length)
    config = thread(thread_id, checkpoint_ns="")
    calls: dict[str, Callable[[], Any]] = {
        "get_tuple, latest": partial(saver.get_tuple, config),
        "list, page of 10": lambda: list(saver.list(config, limit=10)),
        "list, page of 50": lambda: list(saver.list(config, limit=50)),
        "list, nothing matches": lambda: list(saver.list(config, filter={"source": "nowhere"})),
        "put": partial(_store, saver, last[0]),
        "put_writes": partial(_store, saver, last[1]),
    }
    return {name: _measure(client, call) for name, call in calls.items()}


def _measure(client: Redis, call: Callable[[], Any]) -> tuple[float, float]:
    client.config_resetstat()
    for _ in range(_REPEATS):
        call()
    stats = client.info("commandstats")["cmdstat_evalsha"]
    return stats["usec"] / stats["calls"], stats["calls"] / _REPEATS


def _fill(saver: RedisSaver, thread_id: str, length: int) -> tuple[Put, PutWrites]:
    """Stores that many checkpoints with a task each; returns the last ones."""
    recorded = record_chat(1)
    put = next(call for call in reversed(recorded) if isinstance(call, Put))
    writes = next(call for call in reversed(recorded) if isinstance(call, PutWrites))
    requests: list[Any] = []
    for number in range(length):
        put, writes = _numbered(put, writes, thread_id, number)
        requests += [next(_plan(saver, put)), next(_plan(saver, writes))]
        if len(requests) >= _BATCH or number == length - 1:
            saver._transport.run(_sent(tuple(requests)))  # noqa: SLF001
            requests.clear()
    return put, writes


def _numbered(put: Put, writes: PutWrites, thread_id: str, number: int) -> tuple[Put, PutWrites]:
    """The calls for the checkpoint of that number, with new versions of the changed channels."""
    checkpoint_id = f"1f0a{number:032x}"
    put, writes = moved(put, thread_id), moved(writes, thread_id)
    new_versions: Any = dict.fromkeys(put.new_versions, f"{number:032}.0")
    versions: dict[str, Any] = {**put.checkpoint["channel_versions"], **new_versions}
    checkpoint: Any = {**put.checkpoint, "id": checkpoint_id, "channel_versions": versions}
    configurable = {**writes.config["configurable"], "checkpoint_id": checkpoint_id}
    return (
        replace(put, checkpoint=checkpoint, new_versions=new_versions),
        replace(writes, config={**writes.config, "configurable": configurable}),
    )


def _store(saver: RedisSaver, call: Put | PutWrites) -> None:
    if isinstance(call, Put):
        saver.put(call.config, call.checkpoint, call.metadata, call.new_versions)
    else:
        saver.put_writes(call.config, call.writes, call.task_id, call.task_path)


def _plan(saver: RedisSaver, call: Put | PutWrites) -> plans.Plan[Any]:
    keys, serde = saver._keys, saver.serde  # noqa: SLF001
    if isinstance(call, Put):
        return plans.put(
            keys, serde, call.config, call.checkpoint, call.metadata, call.new_versions
        )
    return plans.put_writes(keys, serde, call.config, call.writes, call.task_id, call.task_path)


def _sent(requests: tuple[Any, ...]) -> plans.Plan[None]:
    yield requests
