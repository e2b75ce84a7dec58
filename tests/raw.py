"""Scripts called by hand: keys, arguments and bytes spelled out apart from the saver's code."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any
from zlib import crc32

from saver._scripts import scripts

if TYPE_CHECKING:
    from redis import Redis

START = b"saver:{%d}:" % (crc32(b"t") % 1024)
KINDS = {
    "layout": "string",
    "threads": "zset",
    "runs": "zset",
    "index:t": "zset",
    "timeline:t": "zset",
    "checkpoints:t": "hash",
    "values:t": "hash",
    "writes:t": "hash",
    "pending:t": "zset",
    "runs:t": "hash",
}
"""Every key of thread `t` and of its shard, without START, and its type."""

NAMES = {
    "put": "layout threads runs index:t timeline:t checkpoints:t values:t runs:t",
    "put_writes": "layout threads writes:t pending:t",
    "get_tuple": "layout threads index:t checkpoints:t values:t writes:t pending:t",
    "list": "layout threads index:t timeline:t checkpoints:t values:t writes:t pending:t",
    "threads": "layout threads",
    "delete_thread": "layout threads runs runs:t index:t timeline:t checkpoints:t values:t "
    "writes:t pending:t",
}
"""The keys of each script, in order."""

RUN = b"run00001"


def key(name: str) -> bytes:
    """Full name of a key in KINDS."""
    return START + name.encode()


def keys_of(script: str) -> list[bytes]:
    """The keys that a script takes."""
    return [key(name) for name in NAMES[script].split()]


def section(data: bytes) -> bytes:
    """A section of a record."""
    return struct.pack(">I", len(data)) + data


def record(
    *references: bytes, run: bytes = b"", digests: bytes = b"", parent: bytes = b""
) -> bytes:
    """A checkpoint record; a reference is `channel NUL version`."""
    joined = b"".join(reference + b"\0" for reference in references)
    parts = (run, digests, joined, parent, b"json", b"{}", b"json", b'{"a":1}')
    return b"P" + b"".join(map(section, parts))


def write(index: int, body: bytes) -> bytes:
    """One write of a task."""
    return struct.pack(">iI", index, len(body)) + body


def run(redis: Redis, script: str, *args: bytes | int, keys: list[bytes] | None = None) -> Any:
    """Runs a script over its keys, or over others."""
    keys = keys_of(script) if keys is None else keys
    return redis.execute_command("EVAL", scripts()[script].source, len(keys), *keys, *args)


def fill(redis: Redis) -> None:
    """Two checkpoints of thread `t`, the newer one with writes of two tasks."""
    first = record(b"a\0s1", run=RUN)
    run(redis, "put", b"t", b"", b"1", first, b"1", 0, b"\0a\0s1", b"Pjson\x001")
    second = record(b"a\0s1", b"b\0s2", run=RUN, digests=b"K" * 8 + b"V" * 8, parent=b"1")
    run(redis, "put", b"t", b"", b"2", second, b"?1", 0, b"\0b\0s2", b"Pjson\x002")
    for task in (b"x", b"y"):
        run(redis, "put_writes", b"t", b"\x002\0" + task, write(0, b"Pp\0a\0json\x003"))


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
    """Every key of the server byte for byte, with its time to live."""
    return {name: (redis.dump(name), redis.pttl(name)) for name in redis.keys("*")}
