"""copy_thread: the copy is the thread, byte for byte; what else happens meanwhile does not show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from redis import Redis

from saver import AsyncRedisSaver, RedisSaver
from saver.errors import LostKeysError
from tests.lifecycle import (
    KINDS,
    delta,
    expires_at,
    fill,
    key,
    neighbor,
    registered,
    registry,
    stored,
)
from tests.samples import HOSTILE, checkpoint, comparable, config, ids, put

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.usefixtures("sound")


def everything(saver: RedisSaver, thread_id: str) -> list[Any]:
    """What a reader sees of a thread, but for its id."""
    seen = []
    for found in saver.list(config(thread_id, None)):
        (_, *named), *rest = comparable(found)
        history = saver.get_delta_channel_history(config=found.config, channels=["log"])
        seen.append((named, rest, history))
    return seen


@pytest.mark.parametrize("target", ["u", neighbor("t")], ids=["another shard", "same shard"])
def test_everything(saver: RedisSaver, redis: Redis, target: str) -> None:
    """Every key and every registry entry, whichever shard; the source stays as it is."""
    fill(saver)
    before = stored(redis)
    assert before.keys() == {*KINDS}
    seen = everything(saver, "t")
    saver.copy_thread("t", target)
    assert stored(redis, target) == stored(redis) == before
    assert registered(redis, target) == registered(redis)
    assert everything(saver, target) == everything(saver, "t") == seen
    assert expires_at(redis, target) == -1
    saver.put(config(target), checkpoint("early"), {}, {})
    early = saver.get_tuple(config(target, "", "early"))
    assert early is not None
    assert early.pending_writes == [("task", "log", ["early"])]
    assert stored(redis) == before
    saver.delete_thread("t")
    saver.delete_thread(target)
    assert redis.keys() == []


async def test_everything_async(asaver: AsyncRedisSaver, saver: RedisSaver, redis: Redis) -> None:
    """The same with AsyncRedisSaver, from a server that knows no script yet."""
    fill(saver)
    redis.script_flush()
    await asaver.acopy_thread("t", "u")
    assert stored(redis, "u") == stored(redis)
    assert registered(redis, "u") == registered(redis)


def long_thread(saver: RedisSaver, length: int, thread_id: str = "t") -> None:
    """Checkpoints that all hold one large value of the first one, with writes of three tasks."""
    at, large = config(thread_id), checkpoint("large", large="x" * 50_000)
    for number in range(length):
        made = delta(f"{number:05}", number, number, a=number)
        for part in ("channel_values", "channel_versions"):
            made[part].update(large[part])  # type: ignore[literal-required]
        counters = {"log": [1, 1]} if number else {}
        at = put(saver, at, made, counters_since_delta_snapshot=counters, run_id=f"run {number}")
        for task in "abc":
            saver.put_writes(at, [("a", number)], task)


async def test_several_pages(asaver: AsyncRedisSaver, saver: RedisSaver, redis: Redis) -> None:
    """More checkpoints, calls and bytes than go in one page or batch, copies at once.

    The server gets the puts of each copy in order: a later one relies on the values of an earlier.
    """
    import asyncio

    long_thread(saver, 120)
    before = stored(redis)
    targets = [f"copy {number}" for number in range(6)]
    await asyncio.gather(*(asaver.acopy_thread("t", target) for target in targets))
    saver.copy_thread("t", "sync")
    for target in [*targets, "sync"]:
        assert stored(redis, target) == before


def test_many_runs(saver: RedisSaver, redis: Redis) -> None:
    """More runs than one script call enters: each reaches the copy."""
    for number in range(600):
        put(saver, config(), checkpoint(f"{number:03}"), run_id=f"run {number}")
    saver.copy_thread("t", "u")
    assert registered(redis, "u") == registered(redis)
    saver.delete_for_runs([f"run {number}" for number in range(599)])
    assert ids(saver.list(config("u"))) == ids(saver.list(config())) == ["599"]


def test_a_copy_is_on_its_own(saver: RedisSaver, redis: Redis) -> None:
    """Source and copy share nothing but their runs."""
    fill(saver)
    saver.copy_thread("t", "u")
    before = stored(redis, "u")
    saver.prune(["t"])
    put(saver, config(), checkpoint("9", big=1), run_id="new")
    assert stored(redis, "u") == before
    saver.delete_thread("t")
    assert stored(redis, "u") == before
    saver.delete_for_runs(["run 1", "run 0"])
    assert ids(saver.list(config("u", None))) == ["1a"]


def test_filters_and_order(saver: RedisSaver) -> None:
    """The copy is found by the same filters, `before` and limits."""
    fill(saver)
    saver.copy_thread("t", "u")
    for options in (
        {"filter": {"step": 2}},
        {"filter": {"source": "loop", "run_id": "run 0"}},
        {"before": config(checkpoint_id="2"), "limit": 1},
    ):
        found = ids(saver.list(config("u"), **options))  # type: ignore[arg-type]
        assert found
        assert found == ids(saver.list(config("t"), **options))  # type: ignore[arg-type]


def test_pruned_alike(saver: RedisSaver, redis: Redis) -> None:
    """What retention goes by is copied, too: both threads are left with the same."""
    long_thread(saver, 20)
    fill(saver, "rich")
    for source in ("t", "rich"):
        saver.copy_thread(source, source + " copy")
        saver.prune([source, source + " copy"], keep_last=2)
        assert stored(redis, source) == stored(redis, source + " copy")
        assert everything(saver, source) == everything(saver, source + " copy")


def test_only_writes(saver: RedisSaver, redis: Redis) -> None:
    """A thread whose checkpoint has not arrived yet."""
    saver.put_writes(config(checkpoint_id="1"), [("a", 1)], "task")
    saver.copy_thread("t", "u")
    assert stored(redis, "u") == stored(redis)
    with pytest.raises(ValueError, match="'t' has checkpoints already"):
        saver.copy_thread("u", "t")


@pytest.mark.parametrize("ttl", [None, 1000])
def test_time_to_live(saver: RedisSaver, redis: Redis, ttl: float | None) -> None:
    """A copy lives as long as a new thread of the saver, however long the source does."""
    fill(saver)
    saver.expire("t", 50)
    source = expires_at(redis)
    RedisSaver(redis, ttl=ttl).copy_thread("t", "u")
    target = expires_at(redis, "u")
    assert target == -1 if ttl is None else target > source + 900_000
    assert expires_at(redis) == source
    saver.pin("t")
    saver.copy_thread("t", "of a pinned one")
    assert saver.ttl("of a pinned one") is None
    assert [it.pinned for it in saver.threads() if it.thread_id == "of a pinned one"] == [False]


def test_targets_that_are_taken(saver: RedisSaver, redis: Redis) -> None:
    """ValueError for a target with checkpoints, the source itself too; nothing changes."""
    fill(saver)
    fill(saver, "u", text="theirs")
    before = {name: redis.dump(name) for name in redis.keys()}
    for target in ("u", "t"):
        with pytest.raises(ValueError, match="delete it, or pass another id"):
            saver.copy_thread("t", target)
    assert {name: redis.dump(name) for name in redis.keys()} == before


def test_missing_sources(saver: RedisSaver, redis: Redis) -> None:
    """No error, and no key."""
    saver.copy_thread("nobody's", "u")
    saver.copy_thread("nobody's", "nobody's")
    assert redis.keys() == []


@pytest.mark.parametrize(("bad", "error"), [("", ValueError), ("a\0", ValueError), (5, TypeError)])
def test_bad_ids(tmp_path: Path, bad: Any, error: type[Exception]) -> None:
    """Either id is refused by name before anything is sent."""
    saver = RedisSaver(Redis(unix_socket_path=str(tmp_path / "no server")))
    with pytest.raises(error, match="source_thread_id must"):
        saver.copy_thread(bad, "u")
    with pytest.raises(error, match="target_thread_id must"):
        saver.copy_thread("t", bad)


def test_hostile_ids(saver: RedisSaver, redis: Redis) -> None:
    """Threads, namespaces, channels, tasks and runs of any name, each copied to the next."""
    for name in HOSTILE:
        at = put(saver, config(name, name), checkpoint(name, **{name: name}), run_id=name)
        saver.put_writes(at, [(name, name)], name, name)
    for name in HOSTILE:
        saver.copy_thread(name, name + "'")
    for name in HOSTILE:
        assert stored(redis, name + "'") == stored(redis, name)
        assert registered(redis, name + "'") == registered(redis, name)


def test_encrypted(redis: Redis) -> None:
    """Bytes are copied as they are; a saver with the key reads them."""
    saver = RedisSaver(redis, serde=EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 16))
    fill(saver, text="secret")
    saver.copy_thread("t", "u")
    assert stored(redis, "u") == stored(redis)
    assert everything(saver, "u") == everything(saver, "t")


@pytest.mark.parametrize("kind", ["timeline", "checkpoints", "values", "writes"])
def test_damaged_sources(saver: RedisSaver, redis: Redis, kind: str) -> None:
    """A source that lost keys raises; there is no target, and what was staged is hidden."""
    fill(saver)
    redis.delete(key(kind))
    with pytest.raises(LostKeysError):
        saver.copy_thread("t", "u")
    assert saver.get_tuple(config("u")) is None
    assert redis.zscore(registry("threads", "u"), "u") is None
    left = redis.zrange(registry("expiry", "u"), 0, -1)
    assert all(each.startswith(b"\0") for each in left)
    redis.flushall()
