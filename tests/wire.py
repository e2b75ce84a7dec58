"""A proxy between client and server: counts what crosses the wire, and loses it when told to."""

from __future__ import annotations

import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hiredis import Reader

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class Wire:
    """Forwards a unix socket of its own to a server's."""

    def __init__(self, upstream: Path) -> None:
        self._upstream = upstream
        self._folder = tempfile.TemporaryDirectory(prefix="wire-")
        self.path = Path(self._folder.name) / "s"
        self.commands: list[str] = []
        """Names of the commands that the client sent, in order; handshakes are left out."""
        self.writes = 0
        """How many times the client's side sent something that held such a command."""
        self.lose_replies = False
        """Break the connection instead of forwarding the next reply."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._open: list[socket.socket] = []

    @property
    def url(self) -> str:
        """URL that leads through the proxy."""
        return f"unix://{self.path}"

    def evals(self) -> int:
        """How many script calls were sent."""
        return sum(name in {"EVAL", "EVALSHA"} for name in self.commands)

    def reset(self) -> None:
        """Forgets what was counted."""
        self.commands.clear()
        self.writes = 0

    def __enter__(self) -> Self:
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for end in (self._listener, *self._open):
            _close(end)
        self._folder.cleanup()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self._upstream))
            self._open += [client, server]
            for source, target in ((client, server), (server, client)):
                requests = source is client
                pump = threading.Thread(
                    target=self._pump, args=(source, target), kwargs={"requests": requests}
                )
                pump.daemon = True
                pump.start()

    def _pump(self, source: socket.socket, target: socket.socket, *, requests: bool) -> None:
        reader = Reader(notEnoughData=None)
        try:
            while data := source.recv(1 << 16):
                if requests:
                    self._count(reader, data)
                elif self.lose_replies:
                    self.lose_replies = False
                    break
                target.sendall(data)
        except OSError:
            pass
        _close(source)
        _close(target)

    def _count(self, reader: Reader, data: bytes) -> None:
        reader.feed(data)
        before = len(self.commands)
        while request := reader.gets():
            name = request[0].decode().upper()
            if name not in {"HELLO", "CLIENT", "SELECT", "AUTH"}:
                self.commands.append(name)
        self.writes += len(self.commands) > before


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
