"""Reaches a server for a command, and says in one line why it cannot."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    InvalidResponse,
    NoPermissionError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from saver._setup import check_server
from saver._transport import SyncTransport
from saver.cli._terminal import fail, warn
from saver.errors import SaverError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONNECT_TIMEOUT = 3.0
"""Seconds. A start-up hook wants to know soon; whoever started it repeats it."""
_REPLY_TIMEOUT = 5.0
_USAGE = 2
"""Exit code for a command line that cannot work."""


@contextmanager
def connected(url: str | None) -> Iterator[SyncTransport]:
    """A transport to the server; what it raises ends the command with one line."""
    if not url:
        fail("no server given: pass --url redis://host:port, or set REDIS_URL", _USAGE)
    with _client(url) as client:
        try:
            yield SyncTransport(client)
        except (RedisError, SaverError) as error:
            fail(explained(error, url))


def check(transport: SyncTransport) -> None:
    """Refuses a server that is too old; prints what else is wrong with it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        transport.run(check_server())
    for warning in caught:
        warn(str(warning.message))


def shown(url: str) -> str:
    """The URL without user name, password and options."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def explained(error: RedisError | SaverError, url: str) -> str:
    """What is wrong, and what to do about it."""
    server = shown(url)
    text = " ".join(str(error).split()).rstrip(".")
    match error:
        case AuthenticationError() | AuthorizationError():
            verdict = "refuses the login" if urlsplit(url).password else "wants a login"
            advice = f"{verdict}: use redis://user:password@host:port/db"
        case BusyLoadingError():
            advice = "is still loading its data: try again in a moment"
        case InvalidResponse():
            advice = f"does not answer as Redis does ({text}): is the port right?"
        case RedisConnectionError() | RedisTimeoutError():
            advice = f"cannot be reached ({text}): is it running, and is the URL right?"
        case NoPermissionError():
            advice = f"refuses this user ({text}): allow it +info +script|load +script|exists"
        case SaverError():
            advice = f"cannot be used: {text}"
        case _:
            advice = f"refuses: {text}"
    return f"{server} {advice}"


def _client(url: str) -> Redis:
    try:
        client = Redis.from_url(
            url,
            socket_connect_timeout=_CONNECT_TIMEOUT,
            socket_timeout=_REPLY_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        client.connection_pool.make_connection()  # refuses options that there are not
    except (TypeError, ValueError):
        # Not the error's own words: parts of a password may be in them.
        fail("that is no URL of a server: use redis://, rediss:// or unix:///path.sock", _USAGE)
    return client
