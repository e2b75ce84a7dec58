"""The operations, sync and async; the two savers differ in how their plans reach the server."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, TypeVar

from langgraph.checkpoint.base import BaseCheckpointSaver

from saver import _plans as plans
from saver._keys import Keys
from saver._listing import list_checkpoints, query_of
from saver._setup import setup
from saver._threads import ThreadOperations

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import (
        ChannelVersions,
        Checkpoint,
        CheckpointMetadata,
        CheckpointTuple,
    )
    from langgraph.checkpoint.serde.base import SerializerProtocol

    from saver._batching import AsyncTransport
    from saver._plans import Plan
    from saver._retention import Retention
    from saver._transport import SyncTransport
    from saver._values import ValueStore

T = TypeVar("T")


class BaseRedisSaver(ThreadOperations, BaseCheckpointSaver[str]):
    """Every operation of a saver; a subclass brings the transport."""

    def __init__(
        self,
        transport: SyncTransport | AsyncTransport,
        *,
        serde: SerializerProtocol | None,
        prefix: str,
        retention: Retention,
        store: ValueStore,
    ) -> None:
        super().__init__(serde=serde)
        self._transport = transport
        self._keys = Keys(prefix)
        self._retention = retention
        self._store = store

    def _plan(self, make: Callable[..., Plan[T]], *args: Any) -> Plan[T]:
        """A plan of this saver's keys, serializer and options."""
        return make(self._keys, self.serde, *args, self._retention, self._store)

    def setup(self) -> None:
        """Checks the server and loads the scripts; optional, for a start-up that fails early.

        Warns with `EvictionPolicyWarning` when the server would evict checkpoints. 2 round trips.

        Raises:
            ServerUnsuitableError: The server is older than Redis 7.0.
            redis.exceptions.RedisError: The server is down or refuses.
        """
        self._transport.run(setup())

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Reads a checkpoint with its pending writes. 1 round trip.

        Args:
            config (RunnableConfig): Names `thread_id`, perhaps `checkpoint_ns` (default: the root)
                and `checkpoint_id` (default: the latest, which is the greatest).

        Returns:
            CheckpointTuple | None: `None` when there is no such checkpoint.

        Raises:
            TypeError: An id is not a `str`.
            ValueError: `thread_id` is missing, or an id is empty or holds NUL.
            SaverError: What is stored is lost, damaged, or of a newer layout.
            redis.exceptions.RedisError: The server is down or refuses.
        """
        return self._transport.run(self._plan(plans.get_tuple, config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Lists checkpoints, newest first. 1 round trip a page of up to 50; lazy.

        Args:
            config (RunnableConfig | None): Names `thread_id`, perhaps `checkpoint_ns` (default: all
                namespaces; `""` is the root) and `checkpoint_id`. `None`: every thread, one after
                the other; at least 8 round trips.
            filter (dict[str, Any] | None): Metadata that must be equal, key by key: any JSON value.
                `True` is not `1`, `1.0` is `1`.
            before (RunnableConfig | None): Only checkpoints with an id below its `checkpoint_id`.
            limit (int | None): At most this many.

        Returns:
            Iterator[CheckpointTuple]: The checkpoints.

        Raises:
            TypeError: An argument, an id or a filter value has the wrong type.
            ValueError: `thread_id` or the `checkpoint_id` of `before` is missing, an id is empty or
                holds NUL, or `limit` is negative.
            SaverError: What is stored is lost, damaged, or of a newer layout.
            redis.exceptions.RedisError: The server is down or refuses.
        """
        query = query_of(config, filter, before, limit)
        pages = self._transport.stream(list_checkpoints(self._keys, self.serde, query))
        return (checkpoint for page in pages for checkpoint in page.items)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Stores a checkpoint, whole or not at all. 1 round trip.

        1 more when the server no longer has what the checkpoint builds on, as when its thread was
        deleted or expired under the run: then every value is sent.

        Args:
            config (RunnableConfig): Names the thread and namespace; its `checkpoint_id` is the
                parent's.
            checkpoint (Checkpoint): The checkpoint. One with the same id is replaced.
            metadata (CheckpointMetadata): Its metadata; `config` adds to it as
                `get_checkpoint_metadata` of langgraph.checkpoint.base has it.
            new_versions (ChannelVersions): Versions of the channels that changed: their values
                are written, the others are there already.

        Returns:
            RunnableConfig: The config that names the stored checkpoint.

        Raises:
            TypeError: An id is not a `str`, or a value cannot be serialized.
            ValueError: `thread_id` is missing, an id is empty or holds NUL, or a value is larger
                than a server accepts (512 MB).
            SaverError: The data is of a newer layout, or a key is not ours.
            redis.exceptions.RedisError: The server is down or refuses; repeating is safe.
        """
        return self._transport.run(
            self._plan(plans.put, config, checkpoint, metadata, new_versions)
        )

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Stores the writes of a task under a checkpoint, whole or not at all. 1 round trip.

        A regular write that is there already stays: the first writer wins. A special one
        (`WRITES_IDX_MAP` of langgraph.checkpoint.base) replaces it.

        Args:
            config (RunnableConfig): Names `thread_id`, `checkpoint_ns` and `checkpoint_id`. The
                checkpoint may arrive later.
            writes (Sequence[tuple[str, Any]]): (channel, value) pairs.
            task_id (str): The task.
            task_path (str): Its path, by which pending writes are ordered.

        Raises:
            TypeError: An id is not a `str`, or a value cannot be serialized.
            ValueError: An id is missing, empty or holds NUL, or a value is larger than a server
                accepts (512 MB).
            SaverError: The data is of a newer layout, or a key is not ours.
            redis.exceptions.RedisError: The server is down or refuses; repeating is safe.
        """
        self._transport.run(self._plan(plans.put_writes, config, writes, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        """Deletes everything of a thread. 1 round trip, and 1 for each further 250 runs.

        Args:
            thread_id (str): The thread; one that does not exist is no error.

        Raises:
            TypeError: `thread_id` is not a `str`.
            ValueError: `thread_id` is empty or holds NUL.
            SaverError: The data is of a newer layout.
            redis.exceptions.RedisError: The server is down or refuses; repeating is safe.
        """
        self._transport.run(plans.delete_thread(self._keys, thread_id))

    async def asetup(self) -> None:
        """Async version of `setup`."""
        await self._transport.arun(setup())

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Async version of `get_tuple`."""
        return await self._transport.arun(self._plan(plans.get_tuple, config))

    def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Async version of `list`."""
        query = query_of(config, filter, before, limit)
        pages = self._transport.astream(list_checkpoints(self._keys, self.serde, query))
        return (checkpoint async for page in pages for checkpoint in page.items)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Async version of `put`."""
        return await self._transport.arun(
            self._plan(plans.put, config, checkpoint, metadata, new_versions)
        )

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Async version of `put_writes`."""
        await self._transport.arun(self._plan(plans.put_writes, config, writes, task_id, task_path))

    async def adelete_thread(self, thread_id: str) -> None:
        """Async version of `delete_thread`."""
        await self._transport.arun(plans.delete_thread(self._keys, thread_id))

    def get_next_version(self, current: str | float | None, channel: None) -> str:  # noqa: ARG002
        """The version after `current`, in the form that LangGraph's own savers use.

        Args:
            current (str | int | float | None): The channel's version so far, `None` at first.
            channel (None): Not used; LangGraph deprecated it.

        Returns:
            str: A greater version. Its random part tells two forks of one thread apart, so that
                neither overwrites the other's channel values.
        """
        text = current.split(".")[0] if isinstance(current, str) else current or 0
        number = int(text)
        return f"{number + 1:032}.{random.random():016}"  # noqa: S311 - no secret


_SAVER_OPTIONS = frozenset(
    {"serde", "prefix", "ttl", "refresh_on_read", "keep_last", "compression", "cache_bytes"}
)


def split_options(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options that are a saver's, and the others, which are its connections'."""
    mine = {name: options[name] for name in options.keys() & _SAVER_OPTIONS}
    return mine, {name: options[name] for name in options.keys() - _SAVER_OPTIONS}


def require_client(client: Any, wanted: type, other: type, other_saver: str) -> None:
    """Refuses a client of the wrong kind, before its first use fails in a less clear way."""
    if isinstance(client, other):
        msg = f"{other.__module__}.{other.__name__} needs {other_saver}"
        raise TypeError(msg)
    if not isinstance(client, wanted):
        msg = f"client must be a {wanted.__module__}.{wanted.__name__}, not {client!r}"
        raise TypeError(msg)
