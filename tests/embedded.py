"""Processes that use an embedded server, and what is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.samples import config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from saver import RedisSaver

WORKER = """
import sys
from saver import RedisSaver
from tests.samples import checkpoint, config, put
path, name, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
for number in range(rounds):
    with RedisSaver.embedded(path) as saver:
        if not rounds - 1:
            print("in", flush=True)
            sys.stdin.readline()
        put(saver, config(name), checkpoint(f"{number:06}", value=number))
        if not rounds - 1:
            print("put", flush=True)
            sys.stdin.readline()
"""
"""Opens a path and puts, so many times; with one round, in steps that a line of input sets off."""


@contextmanager
def clean_folder() -> Iterator[Path]:
    """A folder with a name short enough for a socket; no server may be left in it."""
    with tempfile.TemporaryDirectory(prefix="svr-") as name:
        yield Path(name)
        left = servers_in(Path(name))
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert left == []


def servers_in(folder: Path) -> list[int]:
    """Process ids of the servers whose data lies in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            where = (entry / "cwd").readlink()
        except OSError:  # it has ended, or is not ours
            continue
        if b"valkey" in words[0] and where.is_relative_to(folder.resolve()):
            found.append(int(entry.name))
    return found


def until(holds: Callable[[], object], seconds: float = 20) -> None:
    """Waits for a condition, not for a time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def worker(path: Path, name: str, rounds: int = 1) -> Iterator[subprocess.Popen[str]]:
    """A process that uses the embedded server of a path."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, path, name, str(rounds)],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def step(process: subprocess.Popen[str], reached: str) -> None:
    """Lets a worker go on from where it stopped; waits until it says how far it got."""
    assert process.stdin is not None
    assert process.stdout is not None
    if reached == "put":
        process.stdin.write("\n")
        process.stdin.flush()
    line = process.stdout.readline()
    assert line == reached + "\n", process.communicate()


def value(saver: RedisSaver, thread_id: str) -> object:
    """The value of a worker's latest checkpoint, or `None`."""
    found = saver.get_tuple(config(thread_id))
    return found and found.checkpoint["channel_values"]["value"]
