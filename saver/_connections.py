"""How the savers connect when they make the connections themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hiredis import pack_command
from redis.backoff import ExponentialWithJitterBackoff

if TYPE_CHECKING:
    from redis.asyncio import BlockingConnectionPool
    from redis.asyncio.connection import AbstractConnection
    from redis.asyncio.retry import Retry as AsyncRetry
    from redis.retry import Retry

_ATTEMPTS = 10
_SHORTEST, _LONGEST = 0.01, 1.0
"""Seconds between two attempts; ten of them bridge a restart of about four seconds."""


def pool_options(retry: type[Retry | AsyncRetry], options: dict[str, Any]) -> dict[str, Any]:
    """Options of a blocking pool, `options` over our defaults.

    A call waits for a free connection as long as it takes, and is sent again after a broken one:
    every script may run twice. A pool that is handed to a client does not get its retries.
    """
    backoff = ExponentialWithJitterBackoff(base=_SHORTEST, cap=_LONGEST)
    return {"timeout": None, "retry": retry(backoff, _ATTEMPTS), **options}


def pack_in_c(pool: BlockingConnectionPool) -> BlockingConnectionPool:
    """Lets hiredis pack what an async pool sends: redis.asyncio would do it in Python."""
    pool.connection_class = _packing(pool.connection_class)
    return pool


def _packing(base: type[AbstractConnection]) -> type[AbstractConnection]:
    class PackingConnection(base):  # type: ignore[misc, valid-type]
        def pack_command(self, *args: Any) -> list[bytes]:
            # A command of two words, such as SCRIPT LOAD, comes as one.
            first, *rest = args
            words = first.split() if isinstance(first, (str, bytes)) else [first]
            return [pack_command((*words, *rest))]

    return PackingConnection
