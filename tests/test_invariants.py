"""The checker of all keys finds each kind of damage."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

from saver import RedisSaver
from tests.invariants import problems
from tests.samples import checkpoint, config, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

SHARD = b"saver:{%d}:" % (crc32(b"t") % 1024)
RUN = b"run00001"


def key(kind: str) -> bytes:
    """A key of thread `t`, or of its shard."""
    return SHARD + kind.encode()


def fill(saver: RedisSaver) -> None:
    """A thread with everything in it: shared values, writes, runs, delta channels, calls."""
    first = checkpoint("1", a="old", b=1, d=["seed"])
    put(saver, config(), first, run_id="r0")
    second = checkpoint("2", a="old", b=2)
    versions = {**first["channel_versions"], "b": "b2", "d": "d2"}
    second["channel_versions"] = versions
    metadata: Any = {"run_id": "r1", "counters_since_delta_snapshot": {"d": [1, 1]}}
    new = {"b": "b2", "d": "d2"}
    saver.put(config(checkpoint_id="1"), second, metadata, new)
    third = checkpoint("3", a="old")
    third["channel_versions"] = {**first["channel_versions"], "d": "d3"}
    metadata = {"counters_since_delta_snapshot": {"d": [2, 2]}}
    saver.put(config(checkpoint_id="2"), third, metadata, {"d": "d3"})
    put(saver, config(ns="node:1"), checkpoint("2", x=1), run_id="r1", parents={"": "2"})
    put(saver, config(ns="dropped"), checkpoint("1", x=1))
    put(saver, config(ns="dropped"), checkpoint("2", x=1))
    saver.prune(["t"], keep_last=1)
    saver.put_writes(config(checkpoint_id="3"), [("a", 1), ("b", 2)], "task")
    saver.put_writes(config(checkpoint_id="9"), [("a", 1)], "early")
    saver.expire("t", 3600)


def expire_by_hand(redis: Redis) -> None:
    """Lets the thread expire, so that its registries wait to be swept."""
    at = int(time.time() * 1000) + 5
    for name in redis.keys("saver:*:t"):
        redis.pexpireat(name, at)
    redis.zadd(key("expiry"), {b"t": at})
    while redis.exists(key("index:t"), key("deleted:t")):
        pass


def test_sound(saver: RedisSaver, redis: Redis) -> None:
    """There are no problems with what the saver made, whole, expired or deleted."""
    fill(saver)
    assert problems(redis) == []
    assert len(redis.keys("saver:*")) == 16, "a kind is not there, and not checked"
    assert problems(redis, "other") == []
    expire_by_hand(redis)
    assert redis.zcard(key("runs_of")) == 2
    assert problems(redis) == []
    saver.delete_thread("t")
    assert problems(redis) == []


def test_prefix_is_no_pattern(redis: Redis) -> None:
    """Signs that KEYS gives a meaning are plain in a prefix."""
    saver = RedisSaver(redis, prefix="a*[b]\\?")
    fill(saver)
    redis.set("aa[b]\\?:x", 1)
    assert problems(redis, "a*[b]\\?") == []
    redis.set("a*[b]\\?:x", 1)
    assert problems(redis, "a*[b]\\?") == [r"b'a*[b]\\?:x' is no key of ours"]


def flag(redis: Redis, member: bytes, flags: bytes, instead: bytes) -> None:
    """Changes the beginning of a record."""
    data = redis.hget(key("checkpoints:t"), member)
    assert data is not None
    assert flags in data[:30]
    head, _, tail = data.partition(flags)
    redis.hset(key("checkpoints:t"), member, head + instead + tail)


def forget(redis: Redis, member: bytes) -> None:
    """A record goes, the orders stay."""
    redis.hdel(key("checkpoints:t"), member)


DAMAGE: dict[str, Callable[[Redis], Any]] = {
    "index has too much: [b'x\\x001']": lambda r: r.zadd(key("index:t"), {b"x\x001": 0}),
    "index lacks: [b'\\x003']": lambda r: r.zrem(key("index:t"), b"\x003"),
    "timeline has too much": lambda r: r.zadd(key("timeline:t"), {b"1\0x": 0}),
    "timeline lacks: [b'3\\x00']": lambda r: r.zrem(key("timeline:t"), b"3\0"),
    "index has too much: [b'\\x003']": lambda r: forget(r, b"\x003"),
    "index has too much: [b'node:1\\x002']": lambda r: forget(r, b"node:1\x002"),
    "checkpoints has the field b'1'": lambda r: r.hset(key("checkpoints:t"), b"1", b"P"),
    "record b'\\x003': a checkpoint record is cut short": lambda r: r.hset(
        key("checkpoints:t"), b"\x003", b"P\0"
    ),
    "record b'\\x003': checkpoint record has envelope b'Q'": lambda r: r.hset(
        key("checkpoints:t"), b"\x003", b"Q"
    ),
    "is not as put.lua makes it": lambda r: flag(r, b"\x003", b"100", b"1?0"),
    ":index:t' has scores": lambda r: r.zadd(key("index:t"), {b"\x003": 1}),
    "values has too much: [b'\\x00x\\x00s1']": lambda r: r.hset(key("values:t"), b"\0x\0s1", b"P"),
    "values lacks: [b'\\x00b\\x00sb2']": lambda r: r.hdel(key("values:t"), b"\0b\0sb2"),
    "envelope b'Q' is not known": lambda r: r.hset(key("values:t"), b"\0b\0sb2", b"Q"),
    "holders has too much: [(b'\\x00b\\x00sb2', b'1')]": lambda r: r.hset(
        key("holders:t"), b"\0b\0sb2", 1
    ),
    "holders has too much: [(b'\\x00b\\x00sb2', b'0')]": lambda r: r.hset(
        key("holders:t"), b"\0b\0sb2", 0
    ),
    "holders lacks": lambda r: r.delete(key("holders:t")),
    "b'3')]": lambda r: r.hincrby(key("holders:t"), r.hkeys(key("holders:t"))[0], 1),
    "pending lacks": lambda r: r.zrem(key("pending:t"), b"\x003\0task"),
    "pending has too much": lambda r: r.hdel(key("writes:t"), b"\x009\0early"),
    "writes b'\\x003\\x00task' is empty": lambda r: r.hset(key("writes:t"), b"\x003\0task", b""),
    "the writes of task 'task' are damaged": lambda r: r.hset(
        key("writes:t"), b"\x003\0task", b"P"
    ),
    "runs of the thread has too much": lambda r: r.zadd(key("runs:t"), {RUN + b"3\0": 0}),
    "runs of the thread lacks": lambda r: r.zrem(key("runs:t"), r.zrange(key("runs:t"), 0, 0)[0]),
    "runs has too much": lambda r: r.zadd(key("runs"), {RUN + b"t": 0}),
    "runs lacks": lambda r: r.zrem(key("runs"), r.zrange(key("runs"), 0, 0)[0]),
    "runs_of has too much": lambda r: r.zadd(key("runs_of"), {b"t\0" + RUN: 0}),
    "runs_of lacks": lambda r: r.delete(key("runs_of")),
    "spans has too much: [b'\\x001\\x001']": lambda r: r.zadd(key("spans:t"), {b"\x001\x001": 0}),
    "spans lacks: [b'\\x001\\x003']": lambda r: r.zrem(key("spans:t"), b"\x001\x003"),
    "calls lacks": lambda r: r.delete(key("calls:t")),
    "calls has too much": lambda r: r.zadd(key("calls:t"), {b"1\0node:1\x003": 0}),
    "calls has b'node:1\\x002' under [b'1']": lambda r: (
        r.delete(key("calls:t")),
        r.zadd(key("calls:t"), {b"1\0node:1\x002": 0}),
    ),
    "under [b'', b'2']": lambda r: r.zadd(key("calls:t"), {b"\0node:1\x002": 0}),
    "b'\\x003' has the low b'2' for 'd', not b'1'": lambda r: flag(
        r, b"\x003", b"d\x001\0", b"d\x002\0"
    ),
    "has a low for 'a', of which it holds a value": lambda r: flag(
        r, b"\x003", b"d\x001\0", b"a\x001\0"
    ),
    "deleted names b'\\x003'": lambda r: r.zadd(key("deleted:t"), {b"\x003": 1}),
    "deleted names b'\\x009'": lambda r: r.zadd(key("deleted:t"), {b"\x009": 1}),
    "holders expires at -1": lambda r: r.persist(key("holders:t")),
    "index expires at": lambda r: r.expire(key("index:t"), 100),
    "not inf": lambda r: r.zrem(key("expiry"), b"t"),
    "calls expires at": lambda r: r.zadd(key("expiry"), {b"t": "inf"}),
    "deleted expires at -1": lambda r: r.persist(key("deleted:t")),
    "deleted expires at": lambda r: r.expire(key("deleted:t"), 10**6),
    "threads lacks: [b't']": lambda r: (
        r.zadd(key("threads"), {b"x": 0}) and r.zrem(key("threads"), b"t")
    ),
    "threads has too much: [b'x']": lambda r: r.zadd(key("threads"), {b"x": 0}),
    "expiry has too much: [b'x']": lambda r: r.zadd(key("expiry"), {b"x": "inf"}),
    "layout is None": lambda r: r.delete(key("layout")),
    "layout is b'2'": lambda r: r.set(key("layout"), 2),
    "layout is b'1', with the threads []": lambda r: r.set(b"saver:{1}:layout", 1),
    "layout' expires": lambda r: r.expire(key("layout"), 100),
    "has the keys ['values'] and nothing else": lambda r: r.hset(key("values:u"), b"a", b"P"),
    "b't' has the keys ['deleted'] and nothing else": lambda r: [
        r.delete(name) for name in r.keys("saver:*") if b"deleted" not in name
    ],
    "b't' is in the wrong shard": lambda r: r.zadd("saver:{1}:index:t", {b"\x001": 0}),
    "is no key of ours": lambda r: r.set(key("unknown:t"), 1),
    "'saver:{1024}:layout' is no key of ours": lambda r: r.set("saver:{1024}:layout", 1),
    "'saver:x' is no key of ours": lambda r: r.set("saver:x", 1),
    "}:index' is no key of ours": lambda r: r.set(key("index"), 1),
    "WRONGTYPE": lambda r: r.set(key("spans:t"), 1),
}


@pytest.mark.parametrize("expected", DAMAGE)
def test_damage(saver: RedisSaver, redis: Redis, expected: str) -> None:
    """One key is changed by hand, and the checker says so."""
    fill(saver)
    DAMAGE[expected](redis)
    assert any(expected in each for each in problems(redis)), problems(redis)
