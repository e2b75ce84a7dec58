"""threads() and list(None): every thread once, with what is known of it, and no call too many."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from random import randbytes
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from redis import Redis

from saver import AsyncRedisSaver, RedisSaver, ThreadInfo
from saver._copies import copy_thread
from saver.errors import DamagedRecordError
from tests.lifecycle import fill, let_expire, neighbor, shard_of, stepped
from tests.samples import HOSTILE, checkpoint, config, put
from tests.wire import Wire

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

SHARDS_AT_ONCE = 128
"""Of 1,024, whose registries are read in one round trip."""


pytestmark = pytest.mark.usefixtures("sound")


def by_id(saver: RedisSaver) -> dict[str, ThreadInfo]:
    """Every thread; none twice."""
    found = list(saver.threads())
    named = {each.thread_id: each for each in found}
    assert len(named) == len(found)
    return named


def test_what_is_known(saver: RedisSaver) -> None:
    """Checkpoints of all namespaces, the newest of them and its time, time to live."""
    before = datetime.now(timezone.utc)
    fill(saver)
    put(saver, config("one"), checkpoint("1"))
    saver.put_writes(config("only writes", "", "1"), [("a", 1)], "task")
    saver.pin("one")
    saver.expire("t", 100)
    found = by_id(saver)
    after = datetime.now(timezone.utc)
    assert found.keys() == {"t", "one", "only writes"}
    assert (found["t"].checkpoints, found["t"].checkpoint_id) == (6, "3")
    assert (found["one"].checkpoints, found["one"].checkpoint_id) == (1, "1")
    assert (found["only writes"].checkpoints, found["only writes"].checkpoint_id) == (0, None)
    for thread_id in ("t", "one"):
        updated_at = found[thread_id].updated_at
        assert updated_at is not None
        assert before <= updated_at <= after
    assert found["only writes"].updated_at is None
    assert (found["one"].ttl, found["one"].pinned) == (None, True)
    assert (found["only writes"].ttl, found["only writes"].pinned) == (None, False)
    assert timedelta(seconds=50) < (found["t"].ttl or timedelta()) <= timedelta(seconds=100)
    assert not found["t"].pinned


async def test_async(asaver: AsyncRedisSaver, saver: RedisSaver, redis: Redis) -> None:
    """The same of AsyncRedisSaver, from a server that knows no script yet."""
    fill(saver)
    put(saver, config("u"))
    redis.script_flush()
    wanted = {each.thread_id: each.checkpoint_id for each in saver.threads()}
    assert {each.thread_id: each.checkpoint_id async for each in asaver.athreads()} == wanted
    assert len([each async for each in asaver.athreads(limit=1)]) == 1


def test_bytes(saver: RedisSaver) -> None:
    """The memory of all keys: it grows with what is stored."""
    for thread_id, size in (("small", 10), ("large", 100_000)):
        put(saver, config(thread_id), checkpoint("1", a=randbytes(size)))
    saver.put_writes(config("writes", "", "1"), [("a", randbytes(200_000))], "task")
    found = by_id(saver)
    assert 200 < found["small"].bytes < 10_000
    assert 100_000 < found["large"].bytes < 200_000
    assert found["writes"].bytes > 200_000


def test_the_newest_is_the_greatest(saver: RedisSaver) -> None:
    """Whichever namespace it is in, and whenever it came."""
    for ns, checkpoint_id in (("b", "5"), ("a", "7"), ("", "6"), ("c", "1")):
        put(saver, config(ns=ns), checkpoint(checkpoint_id))
    (found,) = saver.threads()
    assert (found.checkpoints, found.checkpoint_id) == (4, "7")


def test_hostile_ids(saver: RedisSaver) -> None:
    """Threads of any name are told apart."""
    for name in HOSTILE:
        put(saver, config(name, name), checkpoint(name))
    found = by_id(saver)
    assert {name: each.checkpoint_id for name, each in found.items()} == {n: n for n in HOSTILE}


def test_deleted_threads(saver: RedisSaver) -> None:
    """They are gone; so are those that a deletion by run left empty."""
    for name in ("a", "b", "c"):
        put(saver, config(name), run_id=name)
    saver.delete_thread("a")
    saver.delete_for_runs(["b"])
    assert by_id(saver).keys() == {"c"}


def test_encrypted(redis: Redis) -> None:
    """A saver with the key reads the times."""
    saver = RedisSaver(redis, serde=EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 16))
    put(saver, config())
    (found,) = saver.threads()
    assert isinstance(found.updated_at, datetime)


def test_no_time(saver: RedisSaver) -> None:
    """A checkpoint without `ts` has none; one whose `ts` is no time raises."""
    made: Any = checkpoint("1")
    del made["ts"]
    put(saver, config(), made)
    (found,) = saver.threads()
    assert (found.checkpoint_id, found.updated_at) == ("1", None)
    made["ts"] = "yesterday"
    put(saver, config(), made)
    with pytest.raises(DamagedRecordError, match="'yesterday'"):
        list(saver.threads())


@pytest.mark.parametrize("limit", [0, 1, 5, 120, 249, 250, 251, None])
def test_limits(saver: RedisSaver, redis: Redis, limit: int | None) -> None:
    """So many at most, over the pages of one shard; expired ones do not count."""
    for number in range(300):
        put(saver, config(neighbor("t", number)))
    for number in range(0, 300, 6):
        let_expire(redis, neighbor("t", number))
    wanted = 250 if limit is None else min(limit, 250)
    assert len({each.thread_id for each in saver.threads(limit=limit)}) == wanted
    listed = [each.config["configurable"]["thread_id"] for each in saver.list(None, limit=limit)]
    assert len({*listed}) == len(listed) == wanted


@pytest.mark.parametrize("bad", [-1, True, "5", 1.5])
def test_bad_limits(tmp_path: Path, bad: Any) -> None:
    """Refused before anything is sent."""
    saver = RedisSaver(Redis(unix_socket_path=str(tmp_path / "no server")))
    with pytest.raises((TypeError, ValueError), match="limit must"):
        list(saver.threads(limit=bad))
    with pytest.raises((TypeError, ValueError), match="limit must"):
        list(saver.list(None, limit=bad))


def test_laziness(server: Server) -> None:
    """Nothing is sent before the first thread is asked for, nor after the last one wanted."""
    with Wire(server.socket) as wire, RedisSaver.from_conn_string(wire.url) as saver:
        saver.setup()
        for number in range(200):
            put(saver, config(f"{number}"))
        wire.reset()
        found, listed = saver.threads(), saver.list(None)
        assert [*saver.threads(limit=0), *saver.list(None, limit=0)] == []
        assert wire.commands == []
        first = next(found)
        in_its_shard = sum(shard_of(f"{n}") == shard_of(first.thread_id) for n in range(200))
        for read, calls in (
            (lambda: 1, SHARDS_AT_ONCE + in_its_shard),
            (lambda: next(listed), SHARDS_AT_ONCE + 1),
            (lambda: [*saver.threads(limit=1)], SHARDS_AT_ONCE + in_its_shard),
            (lambda: [*saver.list(None, limit=1)], SHARDS_AT_ONCE + 1),
            (lambda: [*saver.threads()], 1024 + 200),
            (lambda: [*saver.list(None)], 1024 + 200),
        ):
            assert read()
            assert wire.evals() == calls
            wire.reset()


def test_filters(saver: RedisSaver) -> None:
    """list(None) with a filter and a limit, over threads and namespaces."""
    for number in range(30):
        for ns in ("", "sub"):
            at = config(f"{number}", ns)
            put(saver, at, checkpoint(f"{ns}1"), source="loop", step=number % 3)
            put(saver, at, checkpoint(f"{ns}2"), source="input", step=9)
    found = list(saver.list(None, filter={"source": "loop", "step": 1}))
    threads = {each.config["configurable"]["thread_id"] for each in found}
    assert threads == {f"{number}" for number in range(1, 30, 3)}
    assert [each.checkpoint["id"] for each in found] == ["sub1", "1"] * 10
    assert list(saver.list(None, filter={"source": "loop", "step": 1}, limit=7)) == found[:7]
    assert list(saver.list(None, filter={"source": "nowhere"})) == []


def test_copies_under_way(saver: RedisSaver) -> None:
    """A thread that is not there yet is not shown, in its shard's pages either."""
    for number in range(120):
        put(saver, config(neighbor("t", number)), checkpoint("1"))
    fill(saver)
    shown: list[set[str]] = []

    def look(_: int) -> None:
        shown.append(by_id(saver).keys() | set())
        listed = {each.config["configurable"]["thread_id"] for each in saver.list(None)}
        assert listed == shown[-1]

    target = neighbor("t", 200)
    stepped(saver, copy_thread(saver._keys, "t", target, saver._retention), look)
    assert len(shown) > 5
    assert all(names == shown[0] for names in shown)
    assert by_id(saver).keys() == shown[0] | {target}


def test_while_threads_come_and_go(server: Server, saver: RedisSaver) -> None:
    """Those that are there all the time are shown exactly once."""
    kept = {neighbor("t", number) for number in range(0, 250, 2)}
    for name in kept:
        put(saver, config(name))
    over = threading.Event()

    def churn() -> None:
        with RedisSaver.from_conn_string(server.url) as mine:
            while not over.is_set():
                for number in range(1, 250, 2):
                    put(mine, config(neighbor("t", number)))
                for number in range(1, 250, 2):
                    mine.delete_thread(neighbor("t", number))

    worker = threading.Thread(target=churn)
    worker.start()
    try:
        for _ in range(20):
            assert by_id(saver).keys() >= kept
    finally:
        over.set()
        worker.join()
    assert by_id(saver).keys() == kept
