"""Scripts called by hand: keys, arguments and bytes spelled out apart from the saver's code."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from redis.exceptions import ResponseError

from saver._scripts import scripts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis import Redis

START = b"saver:{%d}:" % (crc32(b"t") % 1024)
SHARD_KINDS = {
    "layout": "string",
    "threads": "zset",
    "runs": "zset",
    "runs_of": "zset",
    "expiry": "zset",
}
THREAD_KINDS = {
    "index": "zset",
    "timeline": "zset",
    "checkpoints": "hash",
    "values": "hash",
    "holders": "hash",
    "writes": "hash",
    "pending": "zset",
    "runs": "zset",
    "spans": "zset",
    "calls": "zset",
    "deleted": "zset",
}
KINDS = SHARD_KINDS | {f"{kind}:t": kept_as for kind, kept_as in THREAD_KINDS.items()}
"""Every key of thread `t` and of its shard, without START, in order, and its type."""

LIVING = [name for name in KINDS if name.endswith(":t") and name != "deleted:t"]
"""Keys of `t` that expire together."""

SHARD_SCRIPTS = {"threads", "runs"}
RUN = b"run00001"
STAGED = "\0s"
"""Id of a copy under way beside `t`."""


def key(name: str) -> bytes:
    """Full name of a key in KINDS."""
    return START + name.encode()


def keys_of(script: str) -> list[bytes]:
    """The keys that a script takes."""
    if script in SHARD_SCRIPTS:
        return [key(name) for name in SHARD_KINDS]
    staged = staged_keys()[len(SHARD_KINDS) :] if script == "publish" else []
    return [key(name) for name in KINDS] + staged


def staged_keys() -> list[bytes]:
    """The keys of the copy under way, after those of the shard."""
    return [key(name) for name in SHARD_KINDS] + [key(f"{kind}:{STAGED}") for kind in THREAD_KINDS]


def section(data: bytes) -> bytes:
    """A section of a record."""
    return struct.pack(">I", len(data)) + data


def record(
    *references: bytes,
    run: bytes = b"",
    digests: bytes = b"",
    parent: bytes = b"",
    origin: bytes = b"",
) -> bytes:
    """A checkpoint record; a reference is `channel NUL version`."""
    joined = b"".join(reference + b"\0" for reference in references)
    parts = (run, digests, joined, parent, origin, b"json", b"{}", b"json", b'{"a":1}')
    return b"P" + b"".join(map(section, parts))


def stored(record: bytes, held: bytes = b"", lows: bytes = b"") -> bytes:
    """A record as put.lua stores it."""
    return record[:1] + section(held) + section(lows) + record[1:]


def write(index: int, body: bytes) -> bytes:
    """One write of a task."""
    return struct.pack(">iI", index, len(body)) + body


def run(redis: Redis, script: str, *args: bytes | int, keys: Iterable[bytes] | None = None) -> Any:
    """Runs a script over its keys, or over others."""
    names = keys_of(script) if keys is None else [*keys]
    return redis.execute_command("EVAL", scripts()[script].source, len(names), *names, *args)


def put_args(
    checkpoint_id: bytes,
    made: bytes,
    flags: bytes = b"",
    *fields: bytes,
    thread_id: bytes = b"t",
    ns: bytes = b"",
    deltas: bytes = b"",
    ttl: int = 0,
    keep_last: int = 0,
    cleared: int = 0,
) -> tuple[bytes | int, ...]:
    """Arguments of put.lua."""
    return thread_id, ns, checkpoint_id, made, flags, deltas, ttl, keep_last, cleared, *fields


GOOD: dict[str, tuple[bytes | int, ...]] = {
    "put": put_args(
        b"7",
        record(b"c\0s1", b"d\0s2", run=b"run00002", parent=b"3", origin=b"1"),
        b"10",
        b"\0c\0s1",
        b"Pjson\x001",
        deltas=b"d\0",
    ),
    "put_writes": (b"t", b"\x002", b"z", write(0, b"Pp\0a\0json\x003"), 0),
    "get_tuple": (b"t", b"", b""),
    "get_tuple_renewing": (b"t", b"", b"", 5000),
    "list": (b"t", b"index", b"(\1", b"[\0", 5),
    "threads": (b"-", 5),
    "runs": (5, b"[" + RUN),
    "describe": (b"t",),
    "expire": (b"t", 5000),
    "export": (b"t", b"timeline", b"-", 50),
    "delta_history": (b"t", b"", b"", b"", b"a"),
    "prune": (b"t", 1, b"-"),
    "delete_run": (b"t", RUN, b"[" + RUN + b"\xff"),
    "delete_thread": (b"t",),
    "publish": (b"t", STAGED.encode(), 0),
}
"""A call of each script that is right."""


def put(redis: Redis, *args: bytes, keys: Iterable[bytes] | None = None, **options: Any) -> Any:
    """Runs put.lua with `put_args`."""
    return run(redis, "put", *put_args(*args, **options), keys=keys)


def put_writes(redis: Redis, member: bytes, task: bytes, made: bytes, ttl: int = 0) -> Any:
    """Runs put_writes.lua."""
    return run(redis, "put_writes", b"t", member, task, made, ttl)


def fill(redis: Redis) -> None:
    """Two checkpoints of thread `t`, the newer one with writes of two tasks."""
    put(redis, b"1", record(b"a\0s1", run=RUN), b"1", b"\0a\0s1", b"Pjson\x001")
    second = record(b"a\0s1", b"b\0s2", run=RUN, digests=b"K" * 8 + b"V" * 8, parent=b"1")
    put(redis, b"2", second, b"?1", b"\0b\0s2", b"Pjson\x002")
    for task in (b"x", b"y"):
        put_writes(redis, b"\x002", task, write(0, b"Pp\0a\0json\x003"))


def fill_every_kind(redis: Redis) -> None:
    """`fill`, and what it takes for every key in KINDS to be there.

    Besides: checkpoint 3 continues delta channel `d` from 2; 4 is of a subgraph call that started
    from 1; 5 was removed with its run and 6 of its namespace is left; the thread expires.
    """
    fill(redis)
    put(redis, b"3", record(b"a\0s1", b"d\0s1", parent=b"2"), b"?0", deltas=b"d\0")
    put(redis, b"4", record(run=RUN, origin=b"1"), ns=b"n:task")
    removed = b"run00009"
    put(redis, b"5", record(run=removed), ns=b"sub")
    put(redis, b"6", record(), ns=b"sub")
    run(redis, "delete_run", b"t", removed, b"[" + removed + b"\xff")
    run(redis, "expire", b"t", 3_600_000)


def contents(redis: Redis) -> dict[str, Any]:
    """Every key of the server, without START, and what it holds."""
    read = {
        b"string": redis.get,
        b"hash": redis.hgetall,
        b"zset": lambda name: dict(redis.zrange(name, 0, -1, withscores=True)),
        b"list": lambda name: redis.lrange(name, 0, -1),
    }
    names = redis.keys("*")
    assert all(name.startswith(START) for name in names)
    return {name.removeprefix(START).decode(): read[redis.type(name)](name) for name in names}


def snapshot(redis: Redis) -> dict[bytes, tuple[bytes, int]]:
    """Every key of the server byte for byte, with when it expires."""
    expiry = {name: redis.execute_command("PEXPIRETIME", name) for name in redis.keys("*")}
    return {name: (redis.dump(name), when) for name, when in expiry.items()}


def refuse(redis: Redis, script: str, args: tuple[Any, ...], error: str, **options: Any) -> None:
    """Asserts that the call is an error that reads so, and changes nothing."""
    before = snapshot(redis)
    with pytest.raises(ResponseError, match=error):
        run(redis, script, *args, **options)
    assert snapshot(redis) == before
