"""Threads at the moment when they expire, and a server that restarts before or after it."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from saver import RedisSaver
from tests.invariants import problems
from tests.lifecycle import expires_at, fill, key, neighbor, registry, stored
from tests.samples import checkpoint, config, ids, put
from tests.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

LONG = 10_000
NAMES = ["t", neighbor("t"), "u"]


pytestmark = pytest.mark.usefixtures("sound")


def check(saver: RedisSaver, name: str) -> None:
    """Fails unless a thread is whole or not there."""
    found = saver.get_tuple(config(name))
    assert found is None or found.checkpoint["channel_values"] == {"a": 1}
    for each in saver.list(config(name, None)):
        assert each.checkpoint["channel_values"] == {"a": 1}
    saver.get_delta_channel_history(config=config(name), channels=["a"])


def write(saver: RedisSaver) -> None:
    """Begins the threads anew, again and again, when they have expired."""
    for number in range(25):
        for name in NAMES:
            at = put(saver, config(name), checkpoint(f"{number:03}", a=1), run_id="run")
            saver.put_writes(at, [("a", number)], "task")
        redis = saver._transport.client  # type: ignore[union-attr]
        while any(redis.exists(key("index", name)) for name in NAMES):
            pass


def test_at_the_moment(server: Server, redis: Redis) -> None:
    """Readers hammer threads that expire over and over: a whole thread, or none, no error."""
    over = threading.Event()
    seen: set[int] = set()

    def read(saver: RedisSaver) -> None:
        while not over.is_set():
            for name in NAMES:
                check(saver, name)
            seen.add(len(list(saver.list(None))))
            # A slow writer's checkpoint may expire before the writes under it arrive.
            assert {info.checkpoints for info in saver.threads()} <= {0, 1}

    def copy(saver: RedisSaver) -> None:
        for number in itertools.count():
            saver.copy_thread(NAMES[number % 3], f"copy {number}")
            check(saver, f"copy {number}")
            saver.delete_thread(f"copy {number}")
            if over.is_set():
                return

    def play(role: Callable[[RedisSaver], None], ttl: float | None = None) -> None:
        with RedisSaver.from_conn_string(server.url, ttl=ttl) as saver:
            role(saver)

    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(play, role) for role in (read, read, copy)]
        try:
            play(write, 0.02)
        finally:
            over.set()
        for done in others:
            done.result()
    assert len(seen) > 1


def test_writes_at_the_moment(redis: Redis) -> None:
    """A saver without a ttl writes all the time: what was there expires, what comes after stays."""
    plain, expiring = RedisSaver(redis), RedisSaver(redis, ttl=0.02)
    for number in range(30):
        put(expiring, config(), checkpoint("old", a=1), run_id="run")
        wanted = redis.zscore(registry("expiry"), "t")
        while (now := redis.time())[0] * 1000 + now[1] // 1000 <= wanted + 1:
            plain.put_writes(config(checkpoint_id="later"), [("a", number)], "task")
            moment = redis.pexpiretime(key("pending"))
            assert moment in (wanted, -1, -2)
        plain.put_writes(config(checkpoint_id="later"), [("a", number)], "task")
        assert plain.get_tuple(config()) is None
        assert expires_at(redis) == -1
        assert problems(redis) == []
        plain.delete_thread("t")
        assert redis.keys() == []


@pytest.mark.parametrize("persistence", ["appendonly", "snapshot"])
def test_restart(persistence: str) -> None:
    """After a kill every thread has its time again; one that expired meanwhile is gone."""
    words = ["--appendonly", "yes", "--appendfsync", "always"]
    with Server(*(words if persistence == "appendonly" else [])) as server:
        with RedisSaver.from_conn_string(server.url, ttl=LONG) as saver, server.client() as redis:
            for name in ("t", "pinned", "short"):
                fill(saver, name)
            saver.pin("pinned")
            saver.expire("short", 0.3)
            before, moment = stored(redis), expires_at(redis)
            gone_at = redis.zscore(registry("expiry", "short"), "short")
            if persistence == "snapshot":
                redis.save()
            server.kill()
            while time.time() * 1000 <= gone_at:
                pass
            server.start()
            assert (stored(redis), expires_at(redis)) == (before, moment)
            assert expires_at(redis, "pinned") == -1
            assert saver.get_tuple(config("short")) is None
            assert sorted(each.thread_id for each in saver.threads()) == ["pinned", "t"]
            assert list(saver.list(config("short", None))) == []
            put(saver, config("short"), checkpoint("9"))
            assert ids(saver.list(config("short", None))) == ["9"]
            assert problems(redis) == []
