"""Spells every key. No other module and no script builds a key name.

All keys of a thread and the registries of its shard share one hash tag, so that they live in one
slot of a cluster and change in one script: `{prefix}:{<shard>}:<kind>[:<thread_id>]`. The order of
the kinds is that of lua/includes/keys.lua.
"""

from __future__ import annotations

from functools import lru_cache
from zlib import crc32

SHARDS = 1024
SHARD_KINDS = (b"layout", b"threads", b"runs", b"runs_of", b"expiry")
THREAD_KINDS = (
    b"index",
    b"timeline",
    b"checkpoints",
    b"values",
    b"holders",
    b"writes",
    b"pending",
    b"runs",
    b"spans",
    b"calls",
    b"deleted",
)
_CACHED_THREADS = 1024


class Keys:
    """Key names under one prefix."""

    def __init__(self, prefix: str) -> None:
        if not isinstance(prefix, str):
            msg = f"prefix must be a str, not {type(prefix).__name__}"
            raise TypeError(msg)
        if not prefix or any(character in prefix for character in "{}\0"):
            msg = f"prefix must be non-empty, without braces and NUL: {prefix!r}"
            raise ValueError(msg)
        self._prefix = prefix.encode()
        self.thread = lru_cache(_CACHED_THREADS)(self._thread)

    def shard(self, number: int) -> tuple[bytes, ...]:
        """Keys that the threads of a shard share; its number is 0 to SHARDS - 1."""
        start = self._start(number)
        return tuple([start + kind for kind in SHARD_KINDS])

    def staged(self, thread_id: bytes, staged_id: bytes) -> tuple[bytes, ...]:
        """Keys of a thread that is staged in the shard of another."""
        shard = crc32(thread_id) % SHARDS
        start, end = self._start(shard), b":" + staged_id
        return self.shard(shard) + tuple([start + kind + end for kind in THREAD_KINDS])

    def _thread(self, thread_id: bytes) -> tuple[bytes, ...]:
        """Keys of a thread, after those of its shard."""
        return self.staged(thread_id, thread_id)

    def _start(self, shard: int) -> bytes:
        return b"%b:{%d}:" % (self._prefix, shard)
