"""What a measurement runs in: a server, the time it may take, where it reports."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis.asyncio
from redis import BlockingConnectionPool, Redis

from saver._connections import pack_in_c

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from rich.console import Console


@dataclass
class Environment:
    """A server of our own, and how long to measure."""

    url: str
    seconds: float
    """Of each measurement."""
    console: Console
    measuring: str = ""
    """What is being measured, for the progress bar."""

    @contextmanager
    def client(self) -> Iterator[Redis]:
        """A client as `RedisSaver.from_conn_string` makes it."""
        pool = BlockingConnectionPool.from_url(self.url, timeout=None)
        with Redis.from_pool(pool) as client:
            yield client

    @asynccontextmanager
    async def async_client(self) -> AsyncIterator[redis.asyncio.Redis]:
        """A client as `AsyncRedisSaver.from_conn_string` makes it."""
        pool = redis.asyncio.BlockingConnectionPool.from_url(self.url, timeout=None)
        async with redis.asyncio.Redis.from_pool(pack_in_c(pool)) as client:
            yield client

    def empty(self) -> None:
        """Deletes everything on the server."""
        with self.client() as client:
            client.flushall()
