"""A slower way to a server: a process that passes bytes on, late and at a limited rate."""

from __future__ import annotations

import asyncio
import multiprocessing
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

_CHUNK = 65_536


@contextmanager
def link(port: int, *, latency: float = 0.0, bits_a_second: float | None = None) -> Iterator[int]:
    """A port of this machine that leads to another one.

    Args:
        port (int): The server's.
        latency (float): Seconds that bytes take, in each direction.
        bits_a_second (float | None): Rate, in each direction; `None`: unlimited.

    Yields:
        int: The port.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_serve, args=(theirs, port, latency, bits_a_second), daemon=True
    )
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _serve(report: Connection, port: int, latency: float, bits_a_second: float | None) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            _pass_on(reader, there_writer, latency, bits_a_second),
            _pass_on(there_reader, writer, latency, bits_a_second),
        )

    async def serve() -> None:
        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        report.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def _pass_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    latency: float,
    bits_a_second: float | None,
) -> None:
    while data := await reader.read(_CHUNK):
        transfer = len(data) * 8 / bits_a_second if bits_a_second else 0.0
        await asyncio.sleep(latency + transfer)
        writer.write(data)
    writer.close()
