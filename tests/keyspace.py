"""All keys under a prefix as they are at one moment, by shard and thread; plain commands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from redis import Redis

    from saver._codec import Stored

SHARD_KINDS = {"layout": "get", "threads": "z", "runs": "z", "runs_of": "z", "expiry": "z"}
THREAD_KINDS = {
    "index": "z",
    "timeline": "z",
    "checkpoints": "hgetall",
    "values": "hgetall",
    "holders": "hgetall",
    "writes": "hgetall",
    "pending": "z",
    "runs": "z",
    "spans": "z",
    "calls": "z",
    "deleted": "z",
}
SCORED = {"expiry", "deleted"}
"""Sorted sets whose score means something; it is 0 in the others."""


@dataclass
class Thread:
    """The keys of one thread by kind: what each holds, and when it expires (-1: never)."""

    name: bytes
    data: dict[str, dict[bytes, Any]] = field(
        default_factory=lambda: {kind: {} for kind in THREAD_KINDS}
    )
    expires_at: dict[str, int] = field(default_factory=dict)
    records: dict[bytes, Stored] = field(default_factory=dict)
    """Of each checkpoint, `ns NUL id`: its record, unpacked."""


@dataclass
class Shard:
    """The registries of one shard, and its threads."""

    number: int
    layout: bytes | None = None
    data: dict[str, dict[bytes, Any]] = field(
        default_factory=lambda: {kind: {} for kind in SHARD_KINDS}
    )
    threads: dict[bytes, Thread] = field(default_factory=dict)


@dataclass
class Keyspace:
    """Everything, the server's clock in milliseconds, and complaints about single keys."""

    now: int
    shards: dict[int, Shard] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)

    def add(self, name: bytes, place: Place | None, expires_at: int, reply: Any) -> None:
        """Adds a key and what it holds."""
        if place is None:
            self.complaints.append(f"{name!r} is no key of ours")
            return
        if isinstance(reply, ResponseError):
            self.complaints.append(f"{name!r}: {reply}")
            return
        number, kind, thread_id = place
        if isinstance(reply, list):
            reply = dict(reply)
            if kind not in SCORED and any(reply.values()):
                self.complaints.append(f"{name!r} has scores")
        shard = self.shards.setdefault(number, Shard(number))
        if thread_id is not None:
            thread = shard.threads.setdefault(thread_id, Thread(thread_id))
            thread.data[kind], thread.expires_at[kind] = reply, expires_at
            return
        if expires_at != -1:
            self.complaints.append(f"{name!r} expires")
        if kind == "layout":
            shard.layout = reply
        else:
            shard.data[kind] = reply


Place = tuple[int, str, bytes | None]
"""Shard, kind, and thread id of a thread's key."""


def read_keyspace(redis: Redis, prefix: str) -> Keyspace:
    """All keys under a prefix. Repeats while keys come and go."""
    pattern = re.sub(r"([*?\[\]\\^])", r"\\\1", prefix) + ":*"
    names: list[bytes] = []
    while True:
        places = [_place_of(name.removeprefix(prefix.encode() + b":")) for name in names]
        transaction = redis.pipeline(transaction=True)
        transaction.time()
        transaction.keys(pattern)
        for name, place in zip(names, places, strict=True):
            transaction.pexpiretime(name)  # type: ignore[arg-type]
            _, kind, thread_id = place or (0, "", None)
            how = (SHARD_KINDS if thread_id is None else THREAD_KINDS).get(kind, "type")
            if how == "z":
                transaction.zrange(name, 0, -1, withscores=True)
            else:
                getattr(transaction, how)(name)
        (seconds, micros), present, *replies = transaction.execute(raise_on_error=False)
        if names == sorted(present):
            break
        names = sorted(present)
    found = Keyspace(seconds * 1000 + micros // 1000)
    for key in zip(names, places, replies[::2], replies[1::2], strict=True):
        found.add(*key)
    return found


def _place_of(name: bytes) -> Place | None:
    """Of a key's name without the prefix; None when it is none of ours."""
    parsed = re.fullmatch(rb"\{(0|[1-9]\d*)\}:([a-z_]+)(?::(.+))?", name, re.DOTALL)
    if parsed is not None and int(parsed[1]) < 1024:
        kind = parsed[2].decode()
        if kind in (SHARD_KINDS if parsed[3] is None else THREAD_KINDS):
            return int(parsed[1]), kind, parsed[3]
    return None
