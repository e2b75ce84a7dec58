"""An expired thread is as one that never was: to readers, writers, copies and the registries."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from saver import RedisSaver
from saver._copies import copy_thread
from saver._retention import Retention
from tests.invariants import problems
from tests.lifecycle import (
    expires_at,
    fill,
    let_expire,
    neighbor,
    registered,
    registry,
    stepped,
    stored,
)
from tests.samples import checkpoint, config, ids, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

LONG = 10_000


pytestmark = pytest.mark.usefixtures("sound")


def expired(redis: Redis, thread_id: str = "t") -> RedisSaver:
    """A thread that has expired; its shard still knows it."""
    saver = RedisSaver(redis, ttl=LONG)
    fill(saver, thread_id)
    let_expire(redis, thread_id)
    assert registered(redis, thread_id) >= {b"threads", b"expiry"}
    return saver


def test_threads_forgets(redis: Redis) -> None:
    """A look at all threads takes those that expired out of the registries, and no other."""
    saver = expired(redis)
    other = neighbor("t")
    fill(saver, other)
    saver.expire(other, 1000)
    for each in ("u", "v"):
        fill(RedisSaver(redis), each)
    before = [stored(redis, each) for each in (other, "u", "v")]
    assert {each.thread_id for each in saver.threads()} == {other, "u", "v"}
    assert registered(redis, "t") == set()
    assert [stored(redis, each) for each in (other, "u", "v")] == before


def test_reads(redis: Redis) -> None:
    """Nothing, by every way to read; none raises LostKeysError."""
    expired(redis)
    for saver in (RedisSaver(redis), RedisSaver(redis, ttl=LONG, refresh_on_read=True)):
        assert saver.get_tuple(config()) is None
        assert saver.get_tuple(config(checkpoint_id="3")) is None
        for at in (config(), config(ns=None), config(ns="sub"), config(checkpoint_id="3"), None):
            assert list(saver.list(at)) == []
            assert list(saver.list(at, filter={"source": "loop"}, limit=5)) == []
        assert list(saver.threads()) == []
        for at in (config(), config(checkpoint_id="3")):
            history = saver.get_delta_channel_history(config=at, channels=["log"])
            assert history == {"log": {"writes": []}}
    assert stored(redis) == {}


def test_copies(redis: Redis) -> None:
    """No source: nothing is copied. A free target: the copy is the thread, and does not expire."""
    expired(redis)
    saver = RedisSaver(redis)
    saver.copy_thread("t", "u")
    assert redis.keys("*:u") == []
    fill(saver, "source")
    saver.copy_thread("source", "t")
    assert stored(redis) == stored(redis, "source")
    assert expires_at(redis) == -1
    assert registered(redis) == registered(redis, "source")


def test_target_of_many_runs(redis: Redis) -> None:
    """What is left of it in the registries is not taken for the copy's, whoever writes."""
    saver = RedisSaver(redis, ttl=LONG)
    for number in range(600):
        put(saver, config(), checkpoint(f"{number:03}"), run_id=f"old run {number}")
        put(saver, config("source"), checkpoint(f"{number:03}"), run_id=f"run {number}")
    steps = stepped(saver, copy_thread(saver._keys, "source", "u", Retention()), lambda _: None)
    let_expire(redis)

    def sweep(number: int) -> None:
        if number <= steps - 3:  # the source's 600 runs are entered in 3 calls
            redis.zadd(registry("expiry"), {"t": time.time_ns() // 1_000_000 - 1}, xx=True)
        else:
            redis.zadd(registry("expiry"), {"t": 1}, xx=True)
            saver.delete_thread(neighbor("t"))

    stepped(saver, copy_thread(saver._keys, "source", "t", Retention()), sweep)
    assert registered(redis) == registered(redis, "source") - {b"expiry"}


def test_shown_among_others(redis: Redis) -> None:
    """Listings pass over it, within the same shard too, and limits count what is shown."""
    saver = expired(redis)
    names = [neighbor("t", number) for number in range(3)]
    for name in names:
        put(saver, config(name), checkpoint("1"))
    let_expire(redis, names[1])
    left = [names[0], names[2]]
    assert sorted(each.thread_id for each in saver.threads()) == sorted(left)
    assert len(list(saver.threads(limit=2))) == 2
    assert len(list(saver.list(None, limit=2))) == 2
    listed = {each.config["configurable"]["thread_id"] for each in saver.list(None)}
    assert listed == {*left}


@pytest.mark.parametrize("ttl", [None, LONG])
@pytest.mark.parametrize("swept", [False, True])
def test_written_again(redis: Redis, ttl: int | None, swept: bool) -> None:  # noqa: FBT001
    """The next write begins it anew, with nothing of before: its own ttl, its run registered."""
    expired(redis)
    saver = RedisSaver(redis, ttl=ttl)
    if not swept:
        redis.zadd(registry("expiry"), {"t": time.time_ns() // 1_000_000 - 1})
    put(saver, config(), checkpoint("5", a=1), run_id="run 0")
    saver.put_writes(config(checkpoint_id="early"), [("log", 1)], "another")
    assert ids(saver.list(config(ns=None))) == ["5"]
    assert (expires_at(redis) == -1) == (ttl is None)
    saver.put(config(), checkpoint("early"), {}, {})
    found = saver.get_tuple(config(checkpoint_id="early"))
    assert found is not None
    assert found.pending_writes == [("another", "log", 1)]
    copied = RedisSaver(redis)
    copied.copy_thread("t", "u")
    assert ids(saver.list(config("u", None))) == ["early", "5"]
    saver.delete_for_runs(["run 0"])
    assert ids(saver.list(config(ns=None))) == ids(saver.list(config("u", None))) == ["early"]
    saver.delete_thread("t")
    saver.delete_thread("u")
    assert redis.keys() == []


WRITERS: dict[str, Callable[[RedisSaver, str], Any]] = {
    "put": lambda saver, other: put(saver, config(other)),
    "put_writes": lambda saver, other: saver.put_writes(
        config(other, "", "1"), [("a", 1)], "a task"
    ),
    "delete_thread": lambda saver, other: saver.delete_thread(other),
    "prune": lambda saver, other: saver.prune([other]),
    "pin": lambda saver, other: saver.pin(other),
}


@pytest.mark.parametrize("name", WRITERS)
def test_registries(redis: Redis, name: str) -> None:
    """Writes to other threads of the shard remove its entries, of hundreds of runs too."""
    saver, other = RedisSaver(redis, ttl=LONG), neighbor("t")
    put(saver, config(other))
    for number in range(350):
        put(saver, config(), checkpoint(f"{number:03}"), run_id=f"run {number}")
    let_expire(redis)
    assert len(registered(redis)) == 352
    calls = 0
    while registered(redis):
        WRITERS[name](saver, other)
        calls += 1
        assert problems(redis) == []
    assert 3 < calls < 6
    saver.delete_thread(other)
    assert redis.keys() == []


OWN: dict[str, Callable[[RedisSaver], Any]] = {
    "prune": lambda saver: saver.prune(["t"]),
    "delete_for_runs": lambda saver: saver.delete_for_runs(["run 0"]),
    "delete_thread": lambda saver: saver.delete_thread("t"),
    "delete by prune": lambda saver: saver.prune(["t"], strategy="delete"),
}


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("runs", [2, 350])
def test_deletions(redis: Redis, name: str, runs: int) -> None:
    """So do deletions of the expired thread itself, or the writes that come after."""
    saver = RedisSaver(redis, ttl=LONG)
    for number in range(runs):
        put(saver, config(), checkpoint(f"{number:03}"), run_id=f"run {number}")
    let_expire(redis)
    redis.zadd(registry("expiry"), {"t": time.time_ns() // 1_000_000 - 1})
    OWN[name](saver)
    assert problems(redis) == []
    while registered(redis):
        assert runs > 100
        before = len(registered(redis))
        saver.delete_thread(neighbor("t"))
        assert len(registered(redis)) < before
    assert redis.keys() == []


def test_many_threads(redis: Redis) -> None:
    """The registries of a shard with many expired threads come to nothing."""
    saver = RedisSaver(redis, ttl=LONG)
    names = [neighbor("t", number) for number in range(40)]
    for name in names:
        put(saver, config(name), run_id=name)
        let_expire(redis, name)
    for _ in range(20):
        put(saver, config())
    assert redis.zrange(registry("threads"), 0, -1) == [b"t"]
    saver.delete_thread("t")
    assert redis.keys() == []
