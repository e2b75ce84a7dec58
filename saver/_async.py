"""The saver for async graphs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.asyncio import BlockingConnectionPool
from redis.asyncio import Redis as AsyncRedis
from redis.asyncio.retry import Retry

from saver._base import BaseRedisSaver, require_client
from saver._batching import AsyncTransport
from saver._connections import pack_in_c, pool_options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from langgraph.checkpoint.serde.base import SerializerProtocol


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

    Raises:
        TypeError: `client` is not an async client.
        ValueError: `prefix` is empty, or holds a brace or NUL.
    """

    def __init__(
        self,
        client: AsyncRedis,
        *,
        serde: SerializerProtocol | None = None,
        prefix: str = "saver",
    ) -> None:
        require_client(client, AsyncRedis, Redis, "RedisSaver")
        super().__init__(AsyncTransport(client), serde=serde, prefix=prefix)

    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls,
        url: str,
        *,
        serde: SerializerProtocol | None = None,
        prefix: str = "saver",
        **options: Any,
    ) -> AsyncIterator[AsyncRedisSaver]:
        """`RedisSaver.from_conn_string` with `async with`."""
        pool = BlockingConnectionPool.from_url(url, **pool_options(Retry, options))
        async with AsyncRedis.from_pool(pack_in_c(pool)) as client:
            yield cls(client, serde=serde, prefix=prefix)

    @classmethod
    @asynccontextmanager
    async def from_conn_info(
        cls,
        *,
        host: str,
        port: int,
        db: int,
        serde: SerializerProtocol | None = None,
        prefix: str = "saver",
        **options: Any,
    ) -> AsyncIterator[AsyncRedisSaver]:
        """`RedisSaver.from_conn_info` with `async with`."""
        options = pool_options(Retry, {"host": host, "port": port, "db": db, **options})
        pool = pack_in_c(BlockingConnectionPool(**options))
        async with AsyncRedis.from_pool(pool) as client:
            yield cls(client, serde=serde, prefix=prefix)

    @classmethod
    @asynccontextmanager
    async def embedded(
        cls,
        path: str | Path | None = None,
        *,
        serde: SerializerProtocol | None = None,
        prefix: str = "saver",
    ) -> AsyncIterator[AsyncRedisSaver]:
        """`RedisSaver.embedded` with `async with`."""
        from saver._embedded import open_server

        server = open_server(path)
        url = await asyncio.to_thread(server.__enter__)
        try:
            async with cls.from_conn_string(url, serde=serde, prefix=prefix) as it:
                yield it
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)
