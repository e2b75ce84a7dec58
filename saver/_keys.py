"""Spells every key. No other module and no script builds a key name.

All keys of a thread and the registries of its shard share one hash tag, so that they live in one
slot of a cluster and change in one script: `{prefix}:{<shard>}:<kind>[:<thread_id>]`.
"""

from __future__ import annotations

from functools import lru_cache
from zlib import crc32

SHARDS = 1024
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

    def shard(self, number: int) -> ShardKeys:
        """Keys of the shard with this number, 0 to SHARDS - 1."""
        return ShardKeys(b"%b:{%d}:" % (self._prefix, number))

    def _thread(self, thread_id: bytes) -> ThreadKeys:
        """Keys of a thread and of its shard."""
        return ThreadKeys(b"%b:{%d}:" % (self._prefix, crc32(thread_id) % SHARDS), thread_id)


class ShardKeys:
    """Keys that the threads of a shard share."""

    __slots__ = ("layout", "runs", "threads")

    def __init__(self, start: bytes) -> None:
        self.layout = start + b"layout"
        self.threads = start + b"threads"
        self.runs = start + b"runs"


class ThreadKeys(ShardKeys):
    """Keys of one thread."""

    __slots__ = (
        "checkpoints",
        "index",
        "pending",
        "thread_runs",
        "timeline",
        "values",
        "writes",
    )

    def __init__(self, start: bytes, thread_id: bytes) -> None:
        super().__init__(start)
        self.index = start + b"index:" + thread_id
        self.timeline = start + b"timeline:" + thread_id
        self.checkpoints = start + b"checkpoints:" + thread_id
        self.values = start + b"values:" + thread_id
        self.writes = start + b"writes:" + thread_id
        self.pending = start + b"pending:" + thread_id
        self.thread_runs = start + b"runs:" + thread_id
