"""Scripts that remove, called directly: the exact reply, and the exact raw keys that they leave."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from tests.raw import (
    RUN,
    contents,
    fill,
    fill_every_kind,
    key,
    put,
    put_writes,
    record,
    run,
    write,
)

if TYPE_CHECKING:
    from redis import Redis

NEWEST = b"[" + RUN + b"\xff"
WRITE = write(0, b"Pp\0a\0json\x003")


def repeated(redis: Redis, script: str, *args: bytes | int) -> int:
    """Sends a call again with what it replies, until that is nil; how many calls it took."""
    calls, bound = 1, run(redis, script, *args)
    while bound is not None:
        calls, bound = calls + 1, run(redis, script, *args[:-1], bound)
    return calls


def ids(redis: Redis, ns: bytes = b"") -> list[bytes]:
    """The ids of a namespace that are left."""
    members = redis.zrangebylex(key("index:t"), b"[" + ns + b"\0", b"(" + ns + b"\1")
    return [member[len(ns) + 1 :] for member in members]


def test_delete_run(redis: Redis) -> None:
    """Its checkpoints go, but for the one whose delta channel checkpoint 3 continues."""
    fill_every_kind(redis)
    before = contents(redis)
    assert run(redis, "delete_run", b"t", RUN, NEWEST) == 1
    after = contents(redis)
    assert after["index:t"].keys() == {b"\x002", b"\x003", b"sub\x006"}
    assert after["timeline:t"].keys() == {b"2\0", b"3\0", b"6\0sub"}
    assert after["checkpoints:t"] == {
        name: before["checkpoints:t"][name] for name in after["index:t"]
    }
    assert after["runs:t"] == {RUN + b"2\0": 0}
    assert after["holders:t"] == {b"\0a\0s1": b"1"}
    assert after["deleted:t"].keys() == {b"\x001", b"n:task\x004", b"sub\x005"}
    assert "calls:t" not in after
    same = before.keys() - {"index:t", "timeline:t", "checkpoints:t", "runs:t", "holders:t"}
    same -= {"deleted:t", "calls:t"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


def test_delete_run_of_a_whole_thread(redis: Redis) -> None:
    """A thread that is left empty leaves no key, nor does its shard."""
    fill(redis)
    assert run(redis, "delete_run", b"t", RUN, NEWEST) is None
    assert contents(redis) == {}


def test_delete_run_that_made_nothing(redis: Redis) -> None:
    """Nothing changes; a registry that names the thread for it is corrected."""
    fill_every_kind(redis)
    before = contents(redis)
    other = b"run00002"
    redis.zadd(key("runs"), {other + b"t": 0})
    redis.zadd(key("runs_of"), {b"t\0" + other: 0})
    assert run(redis, "delete_run", b"t", other, b"[" + other + b"\xff") is None
    assert contents(redis) == before


def test_delete_run_a_batch_a_call(redis: Redis) -> None:
    """A bounded number of fields a call, the newest first; it comes to an end."""
    for number in range(1000):
        put(redis, b"%04d" % number, record(run=RUN))
    bound = run(redis, "delete_run", b"t", RUN, NEWEST)
    left = ids(redis)
    assert left == [b"%04d" % number for number in range(len(left))]
    assert 0 < len(left) < 950
    assert bound == b"(" + RUN + b"%04d\0" % len(left)
    assert repeated(redis, "delete_run", b"t", RUN, bound) > 1
    assert contents(redis) == {}


def test_prune(redis: Redis) -> None:
    """Older ones go, with a call's that started from one; what a delta channel needs stays."""
    fill_every_kind(redis)
    before = contents(redis)
    assert run(redis, "prune", b"t", 1, b"-") is None
    after = contents(redis)
    assert after["index:t"].keys() == {b"\x002", b"\x003", b"sub\x006"}
    assert after["runs:t"] == {RUN + b"2\0": 0}
    assert after["holders:t"] == {b"\0a\0s1": b"1"}
    assert after["deleted:t"].keys() == {b"\x001", b"n:task\x004", b"sub\x005"}
    assert "calls:t" not in after
    for name in ("values:t", "writes:t", "pending:t", "spans:t", "runs", "runs_of", "expiry"):
        assert after[name] == before[name]
    assert run(redis, "prune", b"t", 1, b"-") is None
    assert contents(redis) == after


def test_prune_keeps_what_it_is_told(redis: Redis) -> None:
    """The newest of each namespace, with their writes; writes of what is not there yet stay."""
    for ns in (b"", b"a", b"a:b"):
        for name in (b"1", b"2", b"3", b"4"):
            put(redis, name, record(b"c\0s" + name), b"1", ns + b"\0c\0s" + name, b"P\0", ns=ns)
            put_writes(redis, ns + b"\0" + name, b"x", WRITE)
        put_writes(redis, ns + b"\x000", b"x", WRITE)
    assert run(redis, "prune", b"t", 3, b"-") is None
    after = contents(redis)
    left = {ns + b"\0" + name for ns in (b"", b"a", b"a:b") for name in (b"2", b"3", b"4")}
    assert after["index:t"].keys() == after["checkpoints:t"].keys() == left
    assert after["values:t"].keys() == {each[:-1] + b"c\0s" + each[-1:] for each in left}
    early = {ns + b"\x000" for ns in (b"", b"a", b"a:b")}
    assert after["pending:t"].keys() == {each + b"\0x" for each in left | early}
    assert after["writes:t"].keys() == after["pending:t"].keys()


def test_prune_a_batch_a_call(redis: Redis) -> None:
    """A bounded number of fields a call, the oldest first; it comes to an end."""
    for number in range(2000):
        put(redis, b"%04d" % number, record(), ns=b"ns%d" % (number % 2))
    bound = run(redis, "prune", b"t", 1, b"-")
    assert bound == b"[ns0\0"
    assert len(ids(redis, b"ns0")) in range(2, 950)
    assert len(ids(redis, b"ns1")) == 1000
    assert repeated(redis, "prune", b"t", 1, bound) > 2
    assert ids(redis, b"ns0") + ids(redis, b"ns1") == [b"1998", b"1999"]


def test_prune_of_many_namespaces(redis: Redis) -> None:
    """A namespace in which nothing is to go costs work too, so a call stays bounded."""
    for number in range(2000):
        put(redis, b"1", record(), ns=b"%04d" % number)
    before = contents(redis)
    assert repeated(redis, "prune", b"t", 1, b"-") > 2
    assert contents(redis) == before


def test_put_with_keep_last(redis: Redis) -> None:
    """A put to the root trims it as prune would; other namespaces are not its business."""
    for name in (b"1", b"2", b"3"):
        put(redis, name, record(b"c\0s1"), b"1", b"\0c\0s1", b"P\0")
        put(redis, name, record(), ns=b"sub")
        put_writes(redis, b"\0" + name, b"x", WRITE)
    put(redis, b"4", record(b"c\0s1"), b"?", keep_last=2)
    after = contents(redis)
    assert (ids(redis), ids(redis, b"sub")) == ([b"3", b"4"], [b"1", b"2", b"3"])
    assert after["holders:t"] == {b"\0c\0s1": b"1"}
    assert after["pending:t"] == {b"\x003\0x": 0}
    assert after["writes:t"] == {b"\x003\0x": WRITE}
    assert after["deleted:t"].keys() == {b"\x001", b"\x002"}


def test_put_of_a_subgraph_with_keep_last(redis: Redis) -> None:
    """A put to another namespace trims that one and the root."""
    for name in (b"1", b"2", b"3"):
        for ns in (b"", b"sub", b"other"):
            put(redis, name, record(), ns=ns)
    put(redis, b"4", record(), ns=b"sub", keep_last=1)
    left = [ids(redis, ns) for ns in (b"", b"sub", b"other")]
    assert left == [[b"3"], [b"4"], [b"1", b"2", b"3"]]


def test_put_with_keep_last_trims_a_few(redis: Redis) -> None:
    """A put on a long thread does a bounded part of the work; the next ones do the rest."""
    for number in range(300):
        put(redis, b"%04d" % number, record())
    left = 300
    while left > 1:
        number += 1
        put(redis, b"%04d" % number, record(), keep_last=1)
        before, left = left, len(ids(redis))
        assert before - 100 < left < before
    assert ids(redis) == [b"%04d" % number]


def test_what_is_removed_is_remembered(redis: Redis) -> None:
    """For ten minutes, and not longer than the thread lives."""
    for name in (b"1", b"2"):
        put(redis, name, record(), keep_last=1)
    assert 590_000 < redis.pttl(key("deleted:t")) <= 600_000
    put(redis, b"3", record(), ttl=5_000, keep_last=1)
    put(redis, b"4", record(), keep_last=1)
    assert 0 < redis.pttl(key("deleted:t")) <= 5_000
    redis.zadd(key("deleted:t"), {b"\x001": 1})
    put(redis, b"5", record(), keep_last=1)
    assert contents(redis)["deleted:t"].keys() == {b"\x002", b"\x003", b"\x004"}


def test_delete_thread_leaves_nothing(redis: Redis) -> None:
    """The last thread of a shard takes the shard's marker with it; a second call is no error."""
    fill_every_kind(redis)
    assert run(redis, "delete_thread", b"t") == 0
    assert contents(redis) == {}
    assert run(redis, "delete_thread", b"t") == 0


def test_delete_thread_leaves_other_threads(redis: Redis) -> None:
    """What other threads of the shard have in the shared registries stays, the marker too."""
    fill_every_kind(redis)
    others = {
        "threads": {b"other": 0},
        "runs": {RUN + b"other": 0},
        "runs_of": {b"other\0" + RUN: 0},
        "expiry": {b"other": float("inf")},
    }
    for name, members in others.items():
        redis.zadd(key(name), members)
    assert run(redis, "delete_thread", b"t") == 0
    assert contents(redis) == {"layout": b"1", **others}


@pytest.mark.parametrize("count", [600, 3000, 30_000])
def test_delete_thread_of_many_runs(redis: Redis, count: int) -> None:
    """The first call removes the thread, 1 asks for another one, and it comes to an end."""
    fill(redis)
    runs = [struct.pack(">Q", number) for number in range(count)]
    redis.zadd(key("runs"), {name + b"t": 0 for name in runs})
    redis.zadd(key("runs_of"), {b"t\0" + name: 0 for name in runs})
    assert run(redis, "delete_thread", b"t") == 1
    left_over = {"layout", "threads", "runs", "runs_of", "expiry"}  # to be swept
    assert contents(redis).keys() == left_over
    left = redis.zcard(key("runs_of"))
    assert left == redis.zcard(key("runs"))
    while run(redis, "delete_thread", b"t") == 1:
        before, left = left, redis.zcard(key("runs_of"))
        assert left < before, "a call that cleared nothing asks for another one"
    assert contents(redis) == {}
