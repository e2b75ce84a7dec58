"""The embedded server shared by processes that come, go and crash."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import warnings
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from saver import RedisSaver
from tests.embedded import clean_folder, servers_in, step, until, value, worker
from tests.samples import checkpoint, config, put

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in which no server may be left."""
    with clean_folder() as made:
        yield made


def test_two_processes(folder: Path) -> None:
    """Two processes share a server; the second goes on when the first, which began, leaves."""
    with worker(folder, "first") as first, worker(folder, "second") as second:
        step(first, "in")
        step(second, "in")
        step(first, "put")
        first.communicate("\n", timeout=60)
        assert first.returncode == 0
        step(second, "put")
        assert len(servers_in(folder)) == 1
        with RedisSaver.embedded(folder) as saver:
            assert [value(saver, name) for name in ("first", "second")] == [0, 0]
        second.communicate("\n", timeout=60)
        assert second.returncode == 0
    assert servers_in(folder) == []


def test_many_processes_come_and_go(folder: Path) -> None:
    """Processes that open, put and close one path over and over: no error, nothing lost."""
    names = "abcd"
    rounds = 40
    workers = [worker(folder, name, rounds) for name in names]
    running = [each.__enter__() for each in workers]
    try:
        for process in running:
            _, errors = process.communicate(timeout=100)
            assert process.returncode == 0, errors
    finally:
        for each in workers:
            each.__exit__(None, None, None)
    assert servers_in(folder) == []
    with RedisSaver.embedded(folder) as saver:
        for name in names:
            assert len(list(saver.list(config(name)))) == rounds
            assert value(saver, name) == rounds - 1


def test_threads_come_and_go(folder: Path) -> None:
    """Threads of one process may open one path, too: no error, nothing lost."""
    failed: list[BaseException] = []

    def use(name: str) -> None:
        try:
            for number in range(8):
                with RedisSaver.embedded(folder) as saver:
                    put(saver, config(name), checkpoint(f"{number:06}", value=number))
        except BaseException as error:  # noqa: BLE001 - for the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=use, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with RedisSaver.embedded(folder) as saver:
        assert [value(saver, name) for name in "abc"] == [7, 7, 7]


def test_killed_starter(folder: Path) -> None:
    """The process that started the server is killed: another one's saver goes on, and stops it."""
    with worker(folder, "first") as first:
        step(first, "in")
        with RedisSaver.embedded(folder) as saver:
            step(first, "put")
            first.kill()
            first.wait()
            assert value(saver, "first") == 0
            put(saver, config(), checkpoint("1", value=1))
            assert value(saver, "t") == 1
    assert servers_in(folder) == []


def test_killed_user(folder: Path) -> None:
    """The only user is killed: the next one joins the server that is left, and stops it."""
    with worker(folder, "first") as first:
        step(first, "in")
        step(first, "put")
        left = servers_in(folder)
        first.kill()
        first.wait()
        assert servers_in(folder) == left
        with RedisSaver.embedded(folder) as saver:
            assert servers_in(folder) == left
            assert value(saver, "first") == 0
    assert servers_in(folder) == []


@pytest.mark.parametrize("victims", ["server", "both"])
def test_killed_server(folder: Path, victims: str) -> None:
    """The server is killed, alone or with its user: what was put is in the append-only file."""
    with worker(folder, "first") as first:
        step(first, "in")
        step(first, "put")
        if victims == "both":
            first.kill()
            first.wait()
        (pid,) = servers_in(folder)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not servers_in(folder))
        with RedisSaver.embedded(folder) as saver:
            assert value(saver, "first") == 0
        if victims == "server":  # it goes on over the new server, which it is the last to use
            first.communicate("\n", timeout=60)
            assert first.returncode == 0
    assert servers_in(folder) == []


def test_server_killed_while_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block whose server was killed ends without another error, and soon."""
    monkeypatch.setattr("saver._embedded._STOP_TIMEOUT", 1.0)
    with RedisSaver.embedded(folder) as saver:
        put(saver, config(), checkpoint("1", value=1))
        (pid,) = servers_in(folder)
        os.kill(pid, signal.SIGKILL)


def test_server_left_loading(folder: Path) -> None:
    """A server that a killed process left loading its data is joined: no second one is started."""
    with RedisSaver.embedded(folder) as saver:
        put(saver, config(), checkpoint("1", value=1))
        with Redis(unix_socket_path=str(folder / "valkey.sock")) as client:
            pipeline = client.pipeline(transaction=False)
            for number in range(10_000):  # it answers once in 1024 commands that it loads
                pipeline.set("filler", number)
            pipeline.execute()
    from saver._embedded import _binary

    words = ["--dir", folder, "--unixsocket", folder / "valkey.sock", "--port", "0", "--save", ""]
    words += ["--pidfile", folder / "valkey.pid", "--appendonly", "yes"]
    slow = ["--key-load-delay", "200"]
    left = subprocess.Popen(
        [_binary(), *map(str, words), *slow], cwd=folder, stdout=subprocess.DEVNULL
    )
    try:
        until((folder / "valkey.sock").exists)
        with RedisSaver.embedded(folder) as saver:
            assert servers_in(folder) == [left.pid]
            assert value(saver, "t") == 1
        assert left.wait(20) == 0
    finally:
        left.kill()
        left.wait()


def test_started_again(folder: Path) -> None:
    """Whoever started a server that another process stopped starts one again, with no warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with worker(folder, "last") as last:
            with RedisSaver.embedded(folder) as saver:
                put(saver, config(), checkpoint("1", value=1))
                step(last, "in")
            step(last, "put")
            last.communicate("\n", timeout=60)
            assert last.returncode == 0
        with RedisSaver.embedded(folder) as saver:
            assert value(saver, "last") == 0
    assert [str(each.message) for each in caught] == []
