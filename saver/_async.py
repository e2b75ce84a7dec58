"""The saver for async graphs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry

from saver._base import BaseRedisSaver, require_client, split_options
from saver._batching import AsyncTransport
from saver._connections import pack_in_c, pool_options
from saver._retention import retention_of
from saver._values import CACHE_BYTES, ValueStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from langgraph.checkpoint.serde.base import SerializerProtocol

    from saver._retention import TimeToLive
    from saver._values import Compression


class AsyncRedisSaver(BaseRedisSaver):
    """Keeps LangGraph checkpoints in Redis or Valkey, for asyncio.

    Calls that wait in one turn of the event loop go out together over few connections, so one saver
    serves hundreds of concurrent runs. Its sync methods work from other threads than the loop's.

    Example:
        ```python
        async with AsyncRedisSaver.from_conn_string("redis://localhost:6379") as saver:
            graph = builder.compile(checkpointer=saver)
            await graph.ainvoke(inputs, {"configurable": {"thread_id": "1"}})
        ```

    Args:
        client (redis.asyncio.Redis): A client of yours; it is not closed here.
        serde (SerializerProtocol | None): Serializer of states and metadata. Default:
            `JsonPlusSerializer`, LangGraph's own.
        prefix (str): First part of every key, without braces. Savers that share a server and a
            prefix share their threads.
        ttl (timedelta | float | None): How long a thread lives after its last write; a number is
            seconds. The dict of langgraph-checkpoint-redis, with `default_ttl` in minutes and
            `refresh_on_read`, is taken too. Default: for ever.
        refresh_on_read (bool | None): `get_tuple` counts as well, and so is a write to the server.
        keep_last (int | None): How many checkpoints of each namespace `put` keeps, see `prune`.
            Default: all.
        compression (str | None): How values of 1 KB to 16 MB are stored: `"delta"`, as what
            changed since the channel's last version; `"zstd"`, each compressed by itself; or
            `None`, as they are. Every saver reads what any of them wrote.
        cache_bytes (int): Memory for the last versions of channels that deltas start from.

    Raises:
        TypeError: `client` is not an async client.
        ValueError: `prefix` is empty, or holds a brace or NUL; or an option is out of range.
    """

    def __init__(
        self,
        client: AsyncRedis,
        *,
        serde: SerializerProtocol | None = None,
        prefix: str = "saver",
        ttl: TimeToLive | Mapping[str, Any] | None = None,
        refresh_on_read: bool | None = None,
        keep_last: int | None = None,
        compression: Compression = "delta",
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        require_client(client, AsyncRedis, Redis, "RedisSaver")
        super().__init__(
            AsyncTransport(client),
            serde=serde,
            prefix=prefix,
            retention=retention_of(ttl, refresh_on_read=refresh_on_read, keep_last=keep_last),
            store=ValueStore(compression, cache_bytes),
        )

    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls,
        url: str,
        **options: Any,
    ) -> AsyncIterator[AsyncRedisSaver]:
        """`RedisSaver.from_conn_string` with `async with`."""
        mine, others = split_options(options)
        pool = BlockingConnectionPool.from_url(url, **pool_options(Retry, others))
        async with AsyncRedis.from_pool(pack_in_c(pool)) as client:
            yield cls(client, **mine)

    @classmethod
    @asynccontextmanager
    async def from_conn_info(
        cls,
        *,
        host: str,
        port: int,
        db: int,
        **options: Any,
    ) -> AsyncIterator[AsyncRedisSaver]:
        """`RedisSaver.from_conn_info` with `async with`."""
        mine, others = split_options(options)
        others = pool_options(Retry, {"host": host, "port": port, "db": db, **others})
        pool = pack_in_c(BlockingConnectionPool(**others))
        async with AsyncRedis.from_pool(pool) as client:
            yield cls(client, **mine)

    @classmethod
    @asynccontextmanager
    async def embedded(
        cls,
        path: str | Path | None = None,
        **options: Any,
    ) -> AsyncIterator[AsyncRedisSaver]:
        """`RedisSaver.embedded` with `async with`."""
        from saver._embedded import open_server

        server = open_server(path)
        url = await asyncio.to_thread(server.__enter__)
        try:
            async with cls.from_conn_string(url, **options) as it:
                yield it
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)
