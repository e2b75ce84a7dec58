"""Threads with every kind of key, what is stored of them, and plans that are disturbed midway."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zlib import crc32

from langgraph.checkpoint.base import INTERRUPT

from tests.samples import checkpoint, config, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from langgraph.checkpoint.base import Checkpoint
    from redis import Redis

    from saver import RedisSaver

KINDS = (
    "index",
    "timeline",
    "checkpoints",
    "values",
    "holders",
    "writes",
    "pending",
    "runs",
    "spans",
    "calls",
)
"""Of a thread's keys; `deleted` has a time to live of its own."""


def shard_of(thread_id: str) -> int:
    """The shard that a thread is in."""
    return crc32(thread_id.encode()) % 1024


@lru_cache(maxsize=4096)
def neighbor(thread_id: str, number: int = 0) -> str:
    """Another id of the same shard."""
    before = int(neighbor(thread_id, number - 1).rpartition(" ")[2]) if number else -1
    candidates = (f"{thread_id} {count}" for count in itertools.count(before + 1))
    return next(each for each in candidates if shard_of(each) == shard_of(thread_id))


def key(kind: str, thread_id: str = "t") -> bytes:
    """The key of a thread."""
    return f"saver:{{{shard_of(thread_id)}}}:{kind}:{thread_id}".encode()


def registry(kind: str, thread_id: str = "t") -> bytes:
    """The key of a thread's shard."""
    return f"saver:{{{shard_of(thread_id)}}}:{kind}".encode()


def stored(redis: Redis, thread_id: str = "t") -> dict[str, Any]:
    """Every key of a thread and what it holds, byte for byte."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        name = key(kind, thread_id)
        if redis.exists(name):
            is_hash = redis.type(name) == b"hash"
            found[kind] = redis.hgetall(name) if is_hash else redis.zrange(name, 0, -1)
    return found


def registered(redis: Redis, thread_id: str = "t") -> set[bytes]:
    """Entries of a thread in the registries of its shard; the runs as the digest."""
    name = thread_id.encode()
    found = {
        kind.encode()
        for kind in ("threads", "expiry")
        if redis.zscore(registry(kind, thread_id), name) is not None
    }
    runs = redis.zrange(registry("runs", thread_id), 0, -1)
    runs_of = redis.zrange(registry("runs_of", thread_id), 0, -1)
    of_thread = {each[:8] for each in runs if each[8:] == name}
    assert of_thread == {each[-8:] for each in runs_of if each[:-9] == name}
    return found | of_thread


def expires_at(redis: Redis, thread_id: str = "t") -> int:
    """The one moment, in milliseconds, at which all keys of a thread expire; -1 for never."""
    moments = {kind: redis.pexpiretime(key(kind, thread_id)) for kind in stored(redis, thread_id)}
    assert len(set(moments.values())) == 1, moments
    moment = next(iter(moments.values()))
    score = redis.zscore(registry("expiry", thread_id), thread_id)
    assert moment == (-1 if score is None or score == float("inf") else score)
    deleted = redis.pexpiretime(key("deleted", thread_id))
    assert deleted != -1
    assert moment == -1 or deleted <= moment
    return int(moment)


def let_expire(redis: Redis, thread_id: str = "t", *, beside: str | None = None) -> None:
    """The thread has expired a while ago; a staged one is in the shard of `beside`."""
    start = registry("", beside or thread_id)
    with redis.pipeline(transaction=True) as at_once:
        for kind in (*KINDS, "deleted"):
            at_once.pexpireat(start + f"{kind}:{thread_id}".encode(), 1)
        at_once.zadd(start + b"expiry", {thread_id: 1})
        at_once.execute()


def delta(checkpoint_id: str, version: int, steps: int, **channel_values: Any) -> Checkpoint:
    """A checkpoint with a delta channel `log`, which has no snapshot when `steps` is not 0."""
    made = checkpoint(checkpoint_id, **channel_values)
    made["channel_versions"]["log"] = f"{version:032}.0"
    if steps == 0:
        made["channel_values"]["log"] = [f"seed {version}"]
    return made


def fill(saver: RedisSaver, thread_id: str = "t", *, text: str = "x") -> None:
    """A thread with every kind of key: values held twice, runs, a delta channel, subgraphs.

    One run was deleted, and writes of one task came before their checkpoint.
    """
    at = config(thread_id)
    before: Checkpoint | None = None
    for number in range(4):
        made = delta(f"{number}", number, number, step=number, **({} if before else {"big": text}))
        if before:
            for part in ("channel_values", "channel_versions"):
                made[part]["big"] = before[part]["big"]  # type: ignore[literal-required]
        counters = {"log": [number, number]} if number else None
        at = put(
            saver,
            at,
            made,
            step=number,
            source="loop",
            run_id=f"run {number // 2}",
            **({"counters_since_delta_snapshot": counters} if counters else {}),
        )
        saver.put_writes(at, [("log", [number]), (INTERRUPT, text)], "task b", "path 2")
        saver.put_writes(at, [("log", ["first"]), ("step", number)], "task a", "path 1")
        before = made
    put(saver, config(thread_id, "call:task"), checkpoint("1a", x=1), parents={"": "1"})
    put(saver, config(thread_id, "sub"), checkpoint("2a", y=2), run_id="run 1")
    put(saver, config(thread_id, "sub"), checkpoint("2b", y=3), run_id="deleted")
    saver.put_writes(config(thread_id, "", "early"), [("log", ["early"])], "task", "path")
    saver.delete_for_runs(["deleted"])


def stepped(saver: RedisSaver, plan: Any, meddle: Callable[[int], None]) -> int:
    """Runs a plan and calls `meddle` before each request with its number; how many there were."""
    reply = None
    for number in itertools.count():
        try:
            request = plan.send(reply)
        except StopIteration:
            return number
        meddle(number)
        reply = saver._transport._send(request)  # type: ignore[union-attr]
    raise AssertionError
