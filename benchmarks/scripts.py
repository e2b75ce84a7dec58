"""What the server spends in a script, on threads of different lengths.

Taken from the server's own statistics (`INFO commandstats`, EVALSHA: microseconds a call) and from
its log of slow commands, so it has neither the way there nor Python in it. The state is small, some
4 KB: what is looked for is work that grows with the thread.
"""

from __future__ import annotations

import gc
import itertools
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import empty_checkpoint

from benchmarks.graphs import thread
from benchmarks.recording import Put, PutWrites, moved, record_chat
from saver import RedisSaver
from saver import _plans as plans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from langchain_core.runnables import RunnableConfig
    from redis import Redis

    from benchmarks.environment import Environment

LENGTHS = (10, 1_000, 10_000)
CHECKPOINTS_A_RUN = 5
_REPEATS = 30
_BATCH = 100
LOGGED = 500
"""Microseconds."""


@dataclass(frozen=True)
class Times:
    """Of the scripts that a method calls."""

    mean: float
    """Microseconds."""
    slowest: float | None
    """Microseconds; None when no call took LOGGED or longer."""
    calls: float
    """Script calls that one call of the method made."""


@dataclass(frozen=True)
class ServerTime:
    """Times of a method's scripts, by the length of the thread."""

    name: str
    by_length: list[Times]


def server_times(environment: Environment) -> list[ServerTime]:
    """Of every operation on a thread's path."""
    environment.empty()
    with environment.client() as client:
        saver = RedisSaver(client)
        saver.setup()
        client.config_set("slowlog-max-len", 100_000)
        client.config_set("slowlog-log-slower-than", LOGGED)
        columns = [dict(_column(client, saver, length)) for length in LENGTHS]
    gc.collect()
    return [ServerTime(name, [column[name] for column in columns]) for name in columns[0]]


def _column(client: Redis, saver: RedisSaver, length: int) -> Iterator[tuple[str, Times]]:
    thread_id = f"length-{length}"
    last = _fill(saver, thread_id, length)
    config = thread(thread_id, checkpoint_ns="")
    trimming = RedisSaver(client, keep_last=length)
    numbers = itertools.count(length)
    repeated: list[tuple[str, Callable[[], Any]]] = [
        ("get_tuple, latest", partial(saver.get_tuple, config)),
        ("list, page of 10", lambda: list(saver.list(config, limit=10))),
        ("list, page of 50", lambda: list(saver.list(config, limit=50))),
        ("list, nothing matches", lambda: list(saver.list(config, filter={"source": "nowhere"}))),
        ("put", partial(_store, saver, last[0])),
        ("put, keep_last", partial(_store_next, trimming, last[0], numbers)),
        ("put_writes", partial(_store, saver, last[1])),
        ("ttl", partial(saver.ttl, thread_id)),
        ("pin", partial(saver.pin, thread_id)),
    ]
    for name, call in repeated:
        yield name, _measure(client, call, _REPEATS)
    tip = _fill_delta(saver, f"delta-{length}", length)
    copy_id, run_id = f"copy-{length}", f"run-{length // CHECKPOINTS_A_RUN // 2}"
    once: list[tuple[str, Callable[[], Any]]] = [
        (
            "delta history",
            partial(saver.get_delta_channel_history, config=tip, channels=["log"]),
        ),
        ("copy_thread", partial(saver.copy_thread, thread_id, copy_id)),
        ("delete_for_runs, one", partial(saver.delete_for_runs, [run_id])),
        ("prune, half of it", partial(saver.prune, [copy_id], keep_last=length // 2)),
        ("delete_thread", partial(saver.delete_thread, copy_id)),
        ("prune, to one", partial(saver.prune, [thread_id])),
    ]
    for name, call in once:
        yield name, _measure(client, call)


def _measure(client: Redis, call: Callable[[], Any], repeats: int = 1) -> Times:
    client.config_resetstat()
    client.slowlog_reset()
    for _ in range(repeats):
        call()
    stats = client.info("commandstats")["cmdstat_evalsha"]
    logged = [entry for entry in client.slowlog_get(-1) if entry["command"].startswith(b"EVALSHA")]
    slowest = max((entry["duration"] for entry in logged), default=None)
    return Times(stats["usec"] / stats["calls"], slowest, stats["calls"] / repeats)


def _fill(saver: RedisSaver, thread_id: str, length: int) -> tuple[Put, PutWrites]:
    """Stores that many checkpoints with a task each; returns the last ones."""
    recorded = record_chat(1)
    put = next(call for call in reversed(recorded) if isinstance(call, Put))
    writes = next(call for call in reversed(recorded) if isinstance(call, PutWrites))
    changed, everything = put.new_versions, put.checkpoint["channel_versions"]
    requests: list[Any] = []
    for number in range(length):
        put, writes = _numbered(put, writes, thread_id, number, changed if number else everything)
        requests += [next(_plan(saver, put)), next(_plan(saver, writes))]
        if len(requests) >= _BATCH or number == length - 1:
            saver._transport.run(_sent(tuple(requests)))  # noqa: SLF001
            requests.clear()
    return put, writes


def _numbered(
    put: Put, writes: PutWrites, thread_id: str, number: int, changed: Iterable[str]
) -> tuple[Put, PutWrites]:
    """The calls for the checkpoint of that number, with new versions of the changed channels."""
    checkpoint_id = f"1f0a{number:032x}"
    put, writes = moved(put, thread_id), moved(writes, thread_id)
    new_versions: Any = dict.fromkeys(changed, f"{number:032}.0")
    versions: dict[str, Any] = {**put.checkpoint["channel_versions"], **new_versions}
    checkpoint: Any = {**put.checkpoint, "id": checkpoint_id, "channel_versions": versions}
    configurable = {**writes.config["configurable"], "checkpoint_id": checkpoint_id}
    metadata: Any = {**put.metadata, "run_id": f"run-{number // CHECKPOINTS_A_RUN}"}
    return (
        replace(put, checkpoint=checkpoint, metadata=metadata, new_versions=new_versions),
        replace(writes, config={**writes.config, "configurable": configurable}),
    )


def _fill_delta(saver: RedisSaver, thread_id: str, length: int) -> RunnableConfig:
    """Stores a chain of checkpoints whose delta channel was never snapshotted; its tip."""
    config = thread(thread_id, checkpoint_ns="")
    keys, serde = saver._keys, saver.serde  # noqa: SLF001
    requests: list[Any] = []
    for number in range(length):
        checkpoint = empty_checkpoint()
        checkpoint["id"] = f"1f0a{number:032x}"
        checkpoint["channel_versions"] = {"log": f"{number:032}.0"}
        metadata: Any = {"step": number, "counters_since_delta_snapshot": {"log": (number, number)}}
        requests.append(next(plans.put(keys, serde, config, checkpoint, metadata, {})))
        config = thread(thread_id, checkpoint_ns="", checkpoint_id=checkpoint["id"])
        written = [("log", [f"line {number}"])]
        requests.append(next(plans.put_writes(keys, serde, config, written, f"task-{number}", "")))
        if len(requests) >= _BATCH or number == length - 1:
            saver._transport.run(_sent(tuple(requests)))  # noqa: SLF001
            requests.clear()
    return config


def _store_next(saver: RedisSaver, put: Put, numbers: Iterator[int]) -> None:
    checkpoint: Any = {**put.checkpoint, "id": f"1f0a{next(numbers):032x}"}
    saver.put(put.config, checkpoint, put.metadata, put.new_versions)


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
