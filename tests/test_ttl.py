"""A time to live: all keys of a thread have the same, whichever operation came last."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from saver import AsyncRedisSaver, RedisSaver
from saver.errors import ThreadNotFoundError
from tests.lifecycle import (
    KINDS,
    delta,
    expires_at,
    fill,
    key,
    let_expire,
    neighbor,
    registered,
    stored,
)
from tests.samples import checkpoint, config, put

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.servers import Server


pytestmark = pytest.mark.usefixtures("sound")


LONG, SHORT = 10_000, 50
WRITES: dict[str, Callable[[RedisSaver], Any]] = {
    "put": lambda saver: put(saver, config(checkpoint_id="3"), checkpoint("4"), run_id="new"),
    "put of the same id": lambda saver: put(saver, config(), checkpoint("3")),
    "put of another namespace": lambda saver: put(saver, config(ns="new"), checkpoint("4")),
    "put of a delta channel": lambda saver: put(
        saver, config(checkpoint_id="3"), delta("4", 4, 4), counters_since_delta_snapshot={"log": 1}
    ),
    "put of a call": lambda saver: put(
        saver, config(ns="other:task"), checkpoint("4"), parents={"": "3"}
    ),
    "put_writes": lambda saver: saver.put_writes(config(checkpoint_id="3"), [("a", 1)], "new"),
    "put_writes that came before": lambda saver: saver.put_writes(
        config(checkpoint_id="4"), [("a", 1)], "task"
    ),
}
OTHERS: dict[str, Callable[[RedisSaver], Any]] = {
    "get_tuple": lambda saver: saver.get_tuple(config()),
    "list": lambda saver: [*saver.list(config()), *saver.list(None)],
    "history": lambda saver: saver.get_delta_channel_history(config=config(), channels=["log"]),
    "prune": lambda saver: saver.prune(["t"]),
    "delete_for_runs": lambda saver: saver.delete_for_runs(["run 0", "run 1"]),
    "copy_thread": lambda saver: saver.copy_thread("t", "u"),
    "threads": lambda saver: list(saver.threads()),
    "ttl": lambda saver: saver.ttl("t"),
    "delete of another": lambda saver: saver.delete_thread(neighbor("t")),
}


def left(redis: Redis, thread_id: str = "t") -> float:
    """Seconds that all keys of a thread have left; -1 for ever."""
    moment = expires_at(redis, thread_id)
    seconds, microseconds = redis.time()
    return -1 if moment == -1 else moment / 1000 - seconds - microseconds / 1e6


def ranges(redis: Redis) -> str:
    """Which of the two times to live a thread has."""
    seconds = left(redis)
    if seconds == -1:
        return "for ever"
    assert SHORT - 20 < seconds <= SHORT or LONG - 20 < seconds <= LONG
    return "long" if seconds > SHORT else "short"


@pytest.mark.parametrize("name", WRITES)
def test_writes(redis: Redis, name: str) -> None:
    """A saver with a ttl sets it anew; one without leaves it as it is. Every kind of key has it."""
    plain, expiring = RedisSaver(redis), RedisSaver(redis, ttl=LONG)
    fill(plain)
    assert ranges(redis) == "for ever"
    WRITES[name](plain)
    assert ranges(redis) == "for ever"
    WRITES[name](expiring)
    assert stored(redis).keys() == {*KINDS}
    assert ranges(redis) == "long"
    plain.expire("t", SHORT)
    WRITES[name](plain)
    assert ranges(redis) == "short"
    WRITES[name](expiring)
    assert ranges(redis) == "long"


@pytest.mark.parametrize("name", WRITES)
def test_first_writes(redis: Redis, name: str) -> None:
    """The write that begins a thread sets the time, too."""
    WRITES[name](RedisSaver(redis, ttl=LONG))
    assert ranges(redis) == "long"
    redis.flushall()
    WRITES[name](RedisSaver(redis))
    assert ranges(redis) == "for ever"


@pytest.mark.parametrize("name", OTHERS)
def test_no_writes(redis: Redis, name: str) -> None:
    """Reads and deletions leave the time as it is, whichever saver's, and every key has it."""
    plain, expiring = RedisSaver(redis), RedisSaver(redis, ttl=LONG)
    for saver in (plain, expiring):
        fill(plain)
        plain.expire("t", SHORT)
        OTHERS[name](saver)
        assert ranges(redis) == "short"
        plain.unpin("t")
        OTHERS[name](saver) if name != "copy_thread" else None
        assert ranges(redis) == "for ever"
        redis.flushall()


@pytest.mark.parametrize("keep_last", [1, 2])
def test_retention_on_write(redis: Redis, keep_last: int) -> None:
    """A put that removes older checkpoints gives the keys that stay one time."""
    fill(RedisSaver(redis))
    for saver in (RedisSaver(redis, keep_last=keep_last, ttl=LONG),):
        for name in ("put", "put of a delta channel", "put of a call"):
            WRITES[name](saver)
            assert ranges(redis) == "long"
    assert redis.exists(key("deleted"))


def test_refresh_on_read(redis: Redis) -> None:
    """get_tuple counts as a write when it finds something; list, history and threads do not."""
    saver = RedisSaver(redis, ttl=LONG, refresh_on_read=True)
    fill(saver)
    for name in ("list", "history", "threads", "ttl"):
        saver.expire("t", SHORT)
        OTHERS[name](saver)
        assert ranges(redis) == "short"
    for at in (config(ns="none"), config(checkpoint_id="none")):
        assert saver.get_tuple(at) is None
        assert ranges(redis) == "short"
    found = RedisSaver(redis).get_tuple(config())
    for at in (config(), config(checkpoint_id="3")):
        saver.expire("t", SHORT)
        assert saver.get_tuple(at) == found
        assert ranges(redis) == "long"
    saver.pin("t")
    assert saver.get_tuple(config()) == found
    assert ranges(redis) == "for ever"
    redis.flushall()
    assert saver.get_tuple(config()) is None
    assert redis.keys() == []


@pytest.mark.parametrize("name", [*WRITES, *OTHERS])
def test_pinned(redis: Redis, name: str) -> None:
    """A pinned thread lives for ever, whatever savers with a ttl do."""
    saver = RedisSaver(redis, ttl=LONG, refresh_on_read=True)
    fill(saver)
    saver.pin("t")
    assert ranges(redis) == "for ever"
    {**WRITES, **OTHERS}[name](saver)
    assert ranges(redis) == "for ever"
    assert saver.ttl("t") is None
    assert [it.pinned for it in saver.threads() if it.thread_id == "t"] == [True]


def test_pin_and_unpin(redis: Redis) -> None:
    """Unpinned, a thread lives for the saver's ttl from now, or for ever without one."""
    plain, expiring = RedisSaver(redis), RedisSaver(redis, ttl=LONG)
    fill(plain)
    for saver, wanted in ((plain, "for ever"), (expiring, "long")):
        for _ in range(2):
            saver.pin("t")
            saver.pin("t")
            saver.unpin("t")
            assert ranges(redis) == wanted
            assert [it.pinned for it in saver.threads()] == [False]
    plain.unpin("t")
    assert ranges(redis) == "for ever"
    put(expiring, config())
    assert ranges(redis) == "long"
    expiring.pin("t")
    expiring.expire("t", SHORT)
    assert ranges(redis) == "short"
    expiring.pin("t")
    expiring.delete_thread("t")
    assert redis.keys() == []
    put(expiring, config())
    assert ranges(redis) == "long"


@pytest.mark.parametrize("ttl", [timedelta(seconds=SHORT), SHORT, float(SHORT)])
def test_expire(saver: RedisSaver, redis: Redis, ttl: Any) -> None:
    """From now, a timedelta or seconds; a later call wins, longer or shorter."""
    fill(saver)
    for _ in range(2):
        saver.expire("t", LONG)
        assert ranges(redis) == "long"
        saver.expire("t", ttl)
        assert ranges(redis) == "short"
        found = saver.ttl("t")
        assert found is not None
        assert timedelta(seconds=SHORT - 20) < found <= timedelta(seconds=SHORT)
        (info,) = saver.threads()
        assert info.ttl is not None
        assert info.ttl <= found


def test_threads_that_are_not_there(redis: Redis) -> None:
    """ThreadNotFoundError, a LookupError, for one that never was, was deleted or expired."""
    saver = RedisSaver(redis, ttl=LONG)
    fill(saver)
    fill(saver, "deleted")
    saver.delete_thread("deleted")
    let_expire(redis)
    for thread_id in ("never", "deleted", "t"):
        for operation in (
            lambda: saver.pin(thread_id),  # noqa: B023
            lambda: saver.unpin(thread_id),  # noqa: B023
            lambda: saver.expire(thread_id, 1),  # noqa: B023
            lambda: saver.ttl(thread_id),  # noqa: B023
        ):
            with pytest.raises(ThreadNotFoundError, match=f"no thread '{thread_id}'") as raised:
                operation()
            assert isinstance(raised.value, LookupError)
    assert redis.keys() == []


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf, "5", True, None, timedelta(0), 2**53])
def test_bad_times(tmp_path: Path, bad: Any) -> None:
    """`expire` refuses what is no positive time before anything is sent."""
    saver = RedisSaver(Redis(unix_socket_path=str(tmp_path / "no server")))
    with pytest.raises((TypeError, ValueError), match="ttl must be"):
        saver.expire("t", bad)
    with pytest.raises(ValueError, match="thread_id must not be empty"):
        saver.expire("", 5)


async def test_async(server: Server, redis: Redis) -> None:
    """The same of AsyncRedisSaver."""
    async with AsyncRedisSaver.from_conn_string(server.url, ttl=LONG, refresh_on_read=True) as it:
        made = checkpoint("1")
        await it.aput(config(), made, {}, made["channel_versions"])
        assert ranges(redis) == "long"
        await it.aexpire("t", SHORT)
        assert ranges(redis) == "short"
        assert await it.aget_tuple(config())
        assert ranges(redis) == "long"
        await it.apin("t")
        assert await it.attl("t") is None
        await it.aput_writes(config(checkpoint_id="1"), [("a", 1)], "task")
        assert ranges(redis) == "for ever"
        await it.aunpin("t")
        assert ranges(redis) == "long"
        let_expire(redis)
        with pytest.raises(ThreadNotFoundError):
            await it.apin("t")
    assert registered(redis) == set()
