"""Scripts that write, called directly: the exact reply, and the exact raw keys that they leave."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from tests.raw import RUN, contents, fill, key, record, run, write

if TYPE_CHECKING:
    from redis import Redis

FIRST = record(b"a\0s1", run=RUN)
WRITE = write(0, b"Pp\0a\0json\x003")


def test_put_leaves_exactly_these_keys(redis: Redis) -> None:
    """One put: marker, registries, both orders, the record with a flag a reference, the value."""
    made = record(b"a\0s1", b"none\0s1", run=RUN)
    reply = run(redis, "put", b"t", b"ns", b"1", made, b"1?", 0, b"ns\0a\0s1", b"Pjson\x001")
    assert reply == b"OK"
    assert contents(redis) == {
        "layout": b"1",
        "threads": {b"t": 0},
        "runs": {RUN + b"t": 0},
        "index:t": {b"ns\x001": 0},
        "timeline:t": {b"1\0ns": 0},
        "checkpoints:t": {b"ns\x001": made + b"10"},
        "values:t": {b"ns\0a\0s1": b"Pjson\x001"},
        "runs:t": {RUN: b"1"},
    }


def test_put_takes_flags(redis: Redis) -> None:
    """What the client knows is stored as it says; the script looks where it says `?`, only."""
    redis.hset(key("values:t"), mapping={b"\0a\0s1": b"v", b"\0b\0s1": b"v", b"n\0c\0s1": b"v"})
    made = record(b"a\0s1", b"b\0s1", b"c\0s1", b"d\0s1")
    for flags, stored in ((b"0?1?", b"0110"), (b"????", b"1100"), (b"0011", b"0011")):
        run(redis, "put", b"t", b"", b"1", made, flags, 0)
        assert contents(redis)["checkpoints:t"] == {b"\x001": made + stored}


def test_put_without_run_and_values(redis: Redis) -> None:
    """Nothing is kept for what there is not: no values, no runs."""
    run(redis, "put", b"t", b"", b"1", record(), b"", 0)
    assert contents(redis) == {
        "layout": b"1",
        "threads": {b"t": 0},
        "index:t": {b"\x001": 0},
        "timeline:t": {b"1\0": 0},
        "checkpoints:t": {b"\x001": record()},
    }


def test_put_again_changes_nothing(redis: Redis) -> None:
    """A put that is sent a second time leaves the same state, the count of its run included."""
    fill(redis)
    before = contents(redis)
    run(redis, "put", b"t", b"", b"1", FIRST, b"?", 0, b"\0a\0s1", b"Pjson\x001")
    assert contents(redis) == before
    assert before["runs:t"] == {RUN: b"2"}


def test_put_replaces_run(redis: Redis) -> None:
    """A checkpoint replaced by another run's: the first run is forgotten when it has no other."""
    run(redis, "put", b"t", b"", b"1", record(run=RUN), b"", 0)
    run(redis, "put", b"t", b"", b"1", record(run=b"run00002"), b"", 0)
    after = contents(redis)
    assert after["runs"] == {b"run00002t": 0}
    assert after["runs:t"] == {b"run00002": b"1"}
    run(redis, "put", b"t", b"", b"1", record(), b"", 0)
    assert not {"runs", "runs:t"} & contents(redis).keys()


def test_put_clears_a_value(redis: Redis) -> None:
    """A cleared field that is there becomes empty, for every checkpoint; another stays absent."""
    run(redis, "put", b"t", b"", b"1", FIRST, b"?", 0, b"\0a\0s1", b"Pjson\x001")
    run(
        redis,
        "put",
        b"t",
        b"",
        b"1",
        FIRST,
        b"?",
        2,
        b"\0a\0s1",
        b"\0b\0s1",
        b"\0c\0s1",
        b"Pjson\x002",
    )
    after = contents(redis)
    assert after["values:t"] == {b"\0a\0s1": b"", b"\0c\0s1": b"Pjson\x002"}
    assert after["checkpoints:t"] == {b"\x001": FIRST + b"1"}


def test_put_of_more_values_than_a_call_takes(redis: Redis) -> None:
    """2,500 channels: HSET goes in chunks."""
    references = [b"c%d\0s1" % number for number in range(2500)]
    fields = [part for each in references for part in (b"\0" + each, b"Pjson\x00" + each[:-3])]
    run(redis, "put", b"t", b"", b"1", record(*references), b"1" * 2500, 0, *fields)
    after = contents(redis)
    assert after["values:t"] == dict(zip(fields[::2], fields[1::2], strict=True))
    assert after["checkpoints:t"] == {b"\x001": record(*references) + b"1" * 2500}


def test_put_writes_leaves_exactly_these_keys(redis: Redis) -> None:
    """Writes of a checkpoint that has not arrived: marker, registry, the record, its place."""
    assert run(redis, "put_writes", b"t", b"\x001\0x", WRITE) == b"OK"
    assert contents(redis) == {
        "layout": b"1",
        "threads": {b"t": 0},
        "writes:t": {b"\x001\0x": WRITE},
        "pending:t": {b"\x001\0x": 0},
    }


def test_put_writes_merges(redis: Redis) -> None:
    """A regular index keeps its first write, a special one takes the last, a new one is added."""
    field = b"\x001\0x"
    run(redis, "put_writes", b"t", field, write(0, b"first") + write(-1, b"first"))
    run(redis, "put_writes", b"t", field, write(-1, b"2nd") + write(0, b"2nd") + write(1, b""))
    found = contents(redis)["writes:t"][field]
    assert found == write(0, b"first") + write(-1, b"2nd") + write(1, b"")


def test_delete_thread_leaves_nothing(redis: Redis) -> None:
    """The last thread of a shard takes the shard's marker with it; a second call is no error."""
    fill(redis)
    assert run(redis, "delete_thread", b"t") == 0
    assert contents(redis) == {}
    assert run(redis, "delete_thread", b"t") == 0


def test_delete_thread_leaves_other_threads(redis: Redis) -> None:
    """What other threads of the shard have in the shared registries stays, the marker too."""
    fill(redis)
    redis.zadd(key("threads"), {b"other": 0})
    redis.zadd(key("runs"), {RUN + b"other": 0})
    assert run(redis, "delete_thread", b"t") == 0
    assert contents(redis) == {
        "layout": b"1",
        "threads": {b"other": 0},
        "runs": {RUN + b"other": 0},
    }


@pytest.mark.parametrize("count", [600, 3000, 30_000])
def test_delete_thread_of_many_runs(redis: Redis, count: int) -> None:
    """The first call removes the thread, 1 asks for another one, and it comes to an end."""
    fill(redis)
    runs = [struct.pack(">Q", number) for number in range(count)]
    redis.hset(key("runs:t"), mapping=dict.fromkeys(runs, 1))
    redis.zadd(key("runs"), {name + b"t": 0 for name in runs})
    assert run(redis, "delete_thread", b"t") == 1
    assert contents(redis).keys() == {"layout", "runs", "runs:t"}
    left = redis.hlen(key("runs:t"))
    assert left == redis.zcard(key("runs"))
    while run(redis, "delete_thread", b"t") == 1:
        before, left = left, redis.hlen(key("runs:t"))
        assert left < before, "a call that cleared nothing asks for another one"
    assert contents(redis) == {}
