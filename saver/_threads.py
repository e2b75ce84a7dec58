"""The operations on threads as a whole, sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saver import _lifecycle as lifecycle
from saver._copies import copy_thread
from saver._delta import get_delta_channel_history
from saver._retention import milliseconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
    from datetime import timedelta

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import DeltaChannelHistory
    from langgraph.checkpoint.serde.base import SerializerProtocol

    from saver._batching import AsyncTransport
    from saver._keys import Keys
    from saver._lifecycle import ThreadInfo
    from saver._retention import Retention, TimeToLive
    from saver._transport import SyncTransport


class ThreadOperations:
    """The part of a saver that copies, prunes, expires and lists threads."""

    serde: SerializerProtocol
    _transport: SyncTransport | AsyncTransport
    _keys: Keys
    _retention: Retention

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copies every checkpoint and write of a thread, all at once for readers of the target.

        2 round trips a page of up to 50 checkpoints, and 5. Each checkpoint is copied whole; what
        is written to the source meanwhile may or may not be in the copy. The copy lives as long as
        a new thread of this saver does.

        Args:
            source_thread_id (str): The thread to copy; one that does not exist, or no longer when
                the end is reached, is no error: nothing is copied.
            target_thread_id (str): The copy's id.

        Raises:
            TypeError: An id is not a `str`.
            ValueError: An id is empty or holds NUL, or the target has checkpoints or writes; it
                stays as it is.
            SaverError: What is stored is lost, damaged, or of a newer layout.
            redis.exceptions.RedisError: The server is down or refuses; the target is as before.
        """
        self._transport.run(
            copy_thread(self._keys, source_thread_id, target_thread_id, self._retention)
        )

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Deletes the checkpoints that runs made, in every thread, with their writes.

        8 round trips, and 1 for each 100 threads and about 50 checkpoints. A checkpoint stays
        when a delta channel of one that stays is rebuilt from it.

        Args:
            run_ids (Sequence[str]): `run_id` in the metadata of the checkpoints; one that does not
                exist is no error.

        Raises:
            TypeError: `run_ids` is not a sequence of `str`.
            ValueError: An id is empty or holds NUL.
            SaverError: What is stored is lost, or of a newer layout.
            redis.exceptions.RedisError: The server is down or refuses; repeating is safe.
        """
        self._transport.run(lifecycle.delete_for_runs(self._keys, run_ids))

    def prune(
        self,
        thread_ids: Sequence[str],
        *,
        strategy: str = "keep_latest",
        keep_last: int | None = None,
    ) -> None:
        """Deletes old checkpoints of threads, namespace by namespace.

        What the ones that stay need stays: values, writes, and the ancestors from which delta
        channels are rebuilt, with all checkpoints in between. The checkpoints of a subgraph call go
        with the root checkpoint that it started from. Safe while runs go on. 1 round trip for each
        100 threads and about 50 deleted checkpoints.

        Args:
            thread_ids (Sequence[str]): The threads; one that does not exist is no error.
            strategy (str): `"keep_latest"`, or `"delete"` for everything of the threads.
            keep_last (int | None): How many checkpoints of each namespace stay. Default: 1.

        Raises:
            TypeError: `thread_ids` is not a sequence of `str`, or `keep_last` is not an `int`.
            ValueError: An id is empty or holds NUL, the strategy is unknown, or `keep_last` is
                below 1 or comes with `"delete"`.
            SaverError: What is stored is lost, or of a newer layout.
            redis.exceptions.RedisError: The server is down or refuses; repeating is safe.
        """
        self._transport.run(lifecycle.prune(self._keys, thread_ids, strategy, keep_last))

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Reads what the ancestors of a checkpoint wrote to channels; LangGraph calls it.

        1 round trip for each 1,000 ancestors.

        Args:
            config (RunnableConfig): Names the checkpoint.
            channels (Sequence[str]): The channels.

        Returns:
            Mapping[str, DeltaChannelHistory]: For each channel the writes of the ancestors, the
                oldest first, back to the nearest one that stores a value, and this value as `seed`.

        Raises:
            TypeError: An id or a channel is not a `str`.
            ValueError: `thread_id` is missing, or an id is empty or holds NUL.
            LostKeysError: An ancestor is gone that a channel is rebuilt from.
            SaverError: What is stored is damaged, or of a newer layout.
            redis.exceptions.RedisError: The server is down or refuses.
        """
        return self._transport.run(
            get_delta_channel_history(self._keys, self.serde, config, channels)
        )

    def expire(self, thread_id: str, ttl: TimeToLive) -> None:
        """Lets a thread expire, all of it at once. 1 round trip.

        A write of a saver that has a `ttl` of its own sets the time anew.

        Args:
            thread_id (str): The thread.
            ttl (timedelta | float): From now; a number is seconds.

        Raises:
            TypeError: An argument has the wrong type.
            ValueError: `thread_id` is empty or holds NUL, or `ttl` is not positive.
            ThreadNotFoundError: There is no such thread.
            redis.exceptions.RedisError: The server is down or refuses; repeating is safe.
        """
        self._transport.run(lifecycle.expire(self._keys, thread_id, milliseconds("ttl", ttl)))

    def pin(self, thread_id: str) -> None:
        """Keeps a thread for ever, whatever `ttl` savers have. 1 round trip.

        Args:
            thread_id (str): The thread.

        Raises:
            TypeError: `thread_id` is not a `str`.
            ValueError: `thread_id` is empty or holds NUL.
            ThreadNotFoundError: There is no such thread.
            redis.exceptions.RedisError: The server is down or refuses; repeating is safe.
        """
        self._transport.run(lifecycle.expire(self._keys, thread_id, b"pin"))

    def unpin(self, thread_id: str) -> None:
        """Ends `pin`: the thread lives for this saver's `ttl` from now, or for ever without one.

        1 round trip. Raises what `pin` raises.

        Args:
            thread_id (str): The thread.
        """
        self._transport.run(
            lifecycle.expire(self._keys, thread_id, self._retention.ttl or b"unpin")
        )

    def ttl(self, thread_id: str) -> timedelta | None:
        """How long a thread has left to live. 1 round trip. Raises what `pin` raises.

        Args:
            thread_id (str): The thread.

        Returns:
            timedelta | None: `None` when it does not expire.
        """
        return self._transport.run(lifecycle.ttl(self._keys, thread_id))

    def threads(self, *, limit: int | None = None) -> Iterator[ThreadInfo]:
        """Tells about every thread, in no order. At least 8 round trips; lazy, in bounded memory.

        What the registries still know of expired threads goes, which is a write; other writers
        remove a few each as well.

        Args:
            limit (int | None): At most this many.

        Returns:
            Iterator[ThreadInfo]: The threads.

        Raises:
            TypeError: `limit` is not an `int`.
            ValueError: `limit` is negative.
            SaverError: What is stored is lost, damaged, or of a newer layout.
            redis.exceptions.RedisError: The server is down or refuses.
        """
        pages = self._transport.stream(lifecycle.threads(self._keys, self.serde, limit))
        return (thread for page in pages for thread in page.items)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Async version of `copy_thread`."""
        await self._transport.arun(
            copy_thread(self._keys, source_thread_id, target_thread_id, self._retention)
        )

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Async version of `delete_for_runs`."""
        await self._transport.arun(lifecycle.delete_for_runs(self._keys, run_ids))

    async def aprune(
        self,
        thread_ids: Sequence[str],
        *,
        strategy: str = "keep_latest",
        keep_last: int | None = None,
    ) -> None:
        """Async version of `prune`."""
        await self._transport.arun(lifecycle.prune(self._keys, thread_ids, strategy, keep_last))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Async version of `get_delta_channel_history`."""
        return await self._transport.arun(
            get_delta_channel_history(self._keys, self.serde, config, channels)
        )

    async def aexpire(self, thread_id: str, ttl: TimeToLive) -> None:
        """Async version of `expire`."""
        await self._transport.arun(
            lifecycle.expire(self._keys, thread_id, milliseconds("ttl", ttl))
        )

    async def apin(self, thread_id: str) -> None:
        """Async version of `pin`."""
        await self._transport.arun(lifecycle.expire(self._keys, thread_id, b"pin"))

    async def aunpin(self, thread_id: str) -> None:
        """Async version of `unpin`."""
        await self._transport.arun(
            lifecycle.expire(self._keys, thread_id, self._retention.ttl or b"unpin")
        )

    async def attl(self, thread_id: str) -> timedelta | None:
        """Async version of `ttl`."""
        return await self._transport.arun(lifecycle.ttl(self._keys, thread_id))

    def athreads(self, *, limit: int | None = None) -> AsyncIterator[ThreadInfo]:
        """Async version of `threads`."""
        pages = self._transport.astream(lifecycle.threads(self._keys, self.serde, limit))
        return (thread async for page in pages for thread in page.items)
