"""Copies under load: readers of the target see nothing or the whole copy, one copier wins."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from saver import RedisSaver
from tests.lifecycle import fill, neighbor, registered, stored
from tests.samples import checkpoint, config, ids, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from tests.servers import Server


pytestmark = pytest.mark.usefixtures("sound")


ROUNDS = 30


def at_once(server: Server, *roles: Callable[[RedisSaver, threading.Barrier], None]) -> None:
    """Runs each role in a thread with a connection of its own; raises what one of them raises."""
    barrier = threading.Barrier(len(roles), timeout=60)

    def play(role: Callable[[RedisSaver, threading.Barrier], None]) -> None:
        with RedisSaver.from_conn_string(server.url) as saver:
            try:
                role(saver, barrier)
            except BaseException:
                barrier.abort()
                raise

    with ThreadPoolExecutor(len(roles)) as pool:
        for done in [pool.submit(play, role) for role in roles]:
            done.result()


def test_readers_of_the_target(server: Server, saver: RedisSaver, redis: Redis) -> None:
    """Nothing or all, by every way to read, while copies come and go."""
    fill(saver)
    whole = ids(saver.list(config("t", None)))
    latest = "3"
    over, looks = threading.Event(), threading.Event()
    seen: set[int] = set()

    def copier(saver: RedisSaver, barrier: threading.Barrier) -> None:
        barrier.wait()
        for number in range(ROUNDS * 3):
            saver.copy_thread("t", "u")
            looks.clear()
            if number % 10 == 0:
                looks.wait(30)
            if number % 2:
                saver.prune(["u"], strategy="delete")
            else:
                saver.delete_thread("u")
        over.set()

    def reader(saver: RedisSaver, barrier: threading.Barrier) -> None:
        barrier.wait()
        while not over.is_set():
            found = saver.get_tuple(config("u"))
            assert found is None or found.checkpoint["id"] == latest
            listed = ids(saver.list(config("u", None)))
            assert listed in ([], whole)
            seen.add(len(listed))
            if listed:
                looks.set()
            for info in saver.threads():
                assert info.thread_id in ("t", "u")
                assert info.checkpoints == len(whole)

    at_once(server, copier, reader, reader)
    assert seen == {0, len(whole)}
    saver.delete_thread("t")
    assert redis.keys() == []


def test_copiers_of_one_target(server: Server, saver: RedisSaver, redis: Redis) -> None:
    """Exactly one wins, the others have a ValueError; the target is the winner's source."""
    sources = ["t", neighbor("t"), "far"]
    for source in sources:
        fill(saver, source, text=source)
    wins: list[str] = []

    def copier(source: str) -> Callable[[RedisSaver, threading.Barrier], None]:
        def copy(saver: RedisSaver, barrier: threading.Barrier) -> None:
            for number in range(ROUNDS):
                barrier.wait()
                try:
                    saver.copy_thread(source, f"target {number}")
                except ValueError as error:
                    assert "has checkpoints already" in str(error)  # noqa: PT017
                else:
                    wins.append(f"{number} {source}")

        return copy

    at_once(server, *map(copier, sources))
    assert len(wins) == ROUNDS
    assert len({win.split(" ", 1)[1] for win in wins}) > 1, "always the same: this was no race"
    for win in wins:
        number, source = win.split(" ", 1)
        assert stored(redis, f"target {number}") == stored(redis, source)
        assert registered(redis, f"target {number}") == registered(redis, source)
    assert not redis.keys("*:\0*")
    for info in list(saver.threads()):
        saver.delete_thread(info.thread_id)
    assert redis.keys() == []


def test_writers_into_the_target(server: Server, saver: RedisSaver, redis: Redis) -> None:
    """A thread that begins under the target's id is alone, or comes on top of a whole copy."""
    fill(saver)
    whole = ids(saver.list(config("t", None)))
    outcomes: list[str] = []

    def copier(saver: RedisSaver, barrier: threading.Barrier) -> None:
        for number in range(ROUNDS):
            barrier.wait()
            try:
                saver.copy_thread("t", f"target {number}")
            except ValueError:
                outcomes.append("taken")
            else:
                outcomes.append("copied")

    def writer(saver: RedisSaver, barrier: threading.Barrier) -> None:
        for number in range(ROUNDS):
            barrier.wait()
            for _ in range(number % 10):
                saver.get_tuple(config("nobody's"))
            put(saver, config(f"target {number}"), checkpoint("9"))

    at_once(server, copier, writer)
    for number, outcome in enumerate(outcomes):
        listed = ids(saver.list(config(f"target {number}", None)))
        assert listed == (["9"] if outcome == "taken" else ["9", *whole])
    assert not redis.keys("*:\0*")
