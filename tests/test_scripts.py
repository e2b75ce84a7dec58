"""Scripts that write, called directly: the exact reply, and the exact raw keys that they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.raw import (
    KINDS,
    RUN,
    contents,
    fill,
    fill_every_kind,
    key,
    put,
    put_writes,
    record,
    stored,
    write,
)

if TYPE_CHECKING:
    from redis import Redis

FIRST = record(b"a\0s1", run=RUN)
WRITE = write(0, b"Pp\0a\0json\x003")
ONE = b"Pjson\x001"


def test_every_kind(redis: Redis) -> None:
    """The kinds of keys that these tests speak of are all there are, with their types."""
    fill_every_kind(redis)
    assert {name: redis.type(key(name)).decode() for name in contents(redis)} == KINDS


def test_put_leaves_exactly_these_keys(redis: Redis) -> None:
    """One put: marker, registries, both orders, the record with a flag a reference, the value."""
    made = record(b"a\0s1", b"none\0s1", run=RUN)
    assert put(redis, b"1", made, b"10", b"ns\0a\0s1", ONE, ns=b"ns") == b"OK"
    assert contents(redis) == {
        "layout": b"1",
        "threads": {b"t": 0},
        "runs": {RUN + b"t": 0},
        "runs_of": {b"t\0" + RUN: 0},
        "index:t": {b"ns\x001": 0},
        "timeline:t": {b"1\0ns": 0},
        "checkpoints:t": {b"ns\x001": stored(made, b"10")},
        "values:t": {b"ns\0a\0s1": ONE},
        "runs:t": {RUN + b"1\0ns": 0},
    }


def test_put_takes_flags(redis: Redis) -> None:
    """What the client knows is stored as it says; `?` is stored as a value that is held."""
    put(redis, b"0", record(b"a\0s1", b"b\0s1"), b"11", b"\0a\0s1", ONE, b"\0b\0s1", ONE)
    made = record(b"a\0s1", b"b\0s1", b"c\0s1")
    for flags, held in ((b"0?0", b"010"), (b"??0", b"110"), (b"?00", b"100")):
        assert put(redis, b"1", made, flags) == b"OK"
        assert contents(redis)["checkpoints:t"][b"\x001"] == stored(made, held)


@pytest.mark.parametrize("flags", [b"?1", b"1?", b"??"])
def test_put_is_incomplete(redis: Redis, flags: bytes) -> None:
    """A value that should be there and is not: the reply says so, and nothing is stored."""
    fill(redis)
    before = contents(redis)
    made = record(b"x\0s1", b"y\0s1")
    fields = [
        field
        for field, flag in zip((b"\0x\0s1", b"\0y\0s1"), flags.decode(), strict=True)
        if flag == "1"
    ]
    reply = put(redis, b"3", made, flags, *[part for field in fields for part in (field, ONE)])
    assert reply == b"INCOMPLETE"
    assert contents(redis) == before


def test_put_counts_holders(redis: Redis) -> None:
    """A value has one holder more with each checkpoint that holds it, whoever sent it."""
    field, made = b"\0a\0s1", record(b"a\0s1")
    put(redis, b"1", made, b"1", field, ONE)
    assert "holders:t" not in contents(redis)
    put(redis, b"2", made, b"?")
    assert contents(redis)["holders:t"] == {field: b"1"}
    put(redis, b"3", made, b"1", field, b"Pjson\x002")
    assert contents(redis)["holders:t"] == {field: b"2"}
    assert contents(redis)["values:t"] == {field: b"Pjson\x002"}
    put(redis, b"4", made, b"0")
    assert contents(redis)["holders:t"] == {field: b"2"}


def test_put_again_releases(redis: Redis) -> None:
    """A checkpoint that is replaced holds what its new record says, and lets go of the rest."""
    two = record(b"a\0s1", b"b\0s1")
    put(redis, b"1", two, b"11", b"\0a\0s1", ONE, b"\0b\0s1", ONE)
    put(redis, b"2", record(b"a\0s1"), b"?")
    put(redis, b"1", record(b"c\0s1"), b"1", b"\0c\0s1", ONE)
    after = contents(redis)
    assert after["values:t"] == {b"\0a\0s1": ONE, b"\0c\0s1": ONE}
    assert "holders:t" not in after


def test_put_without_run_and_values(redis: Redis) -> None:
    """Nothing is kept for what there is not: no values, no runs."""
    put(redis, b"1", record())
    assert contents(redis) == {
        "layout": b"1",
        "threads": {b"t": 0},
        "index:t": {b"\x001": 0},
        "timeline:t": {b"1\0": 0},
        "checkpoints:t": {b"\x001": stored(record())},
    }


def test_put_again_changes_nothing(redis: Redis) -> None:
    """A put that is sent a second time leaves the same state, the holders included."""
    fill(redis)
    before = contents(redis)
    put(redis, b"1", FIRST, b"1", b"\0a\0s1", ONE)
    put(redis, b"1", FIRST, b"?")
    assert contents(redis) == before
    assert before["holders:t"] == {b"\0a\0s1": b"1"}


def test_put_replaces_run(redis: Redis) -> None:
    """A checkpoint replaced by another run's: the first run is forgotten when it has no other."""
    put(redis, b"1", record(run=RUN))
    put(redis, b"1", record(run=b"run00002"))
    after = contents(redis)
    assert after["runs"] == {b"run00002t": 0}
    assert after["runs_of"] == {b"t\0run00002": 0}
    assert after["runs:t"] == {b"run000021\0": 0}
    put(redis, b"1", record())
    assert not {"runs", "runs_of", "runs:t"} & contents(redis).keys()


def test_put_clears_a_value(redis: Redis) -> None:
    """A cleared field that is there becomes empty, for every checkpoint; another stays absent."""
    put(redis, b"1", FIRST, b"1", b"\0a\0s1", ONE)
    cleared = b"\0a\0s1", b"\0b\0s1"
    two = record(b"a\0s1", b"c\0s1")
    put(redis, b"2", two, b"01", *cleared, b"\0c\0s1", b"Pjson\x002", cleared=2)
    after = contents(redis)
    assert after["values:t"] == {b"\0a\0s1": b"", b"\0c\0s1": b"Pjson\x002"}
    assert after["checkpoints:t"] == {
        b"\x001": stored(FIRST, b"1"),
        b"\x002": stored(two, b"01"),
    }


def test_put_of_more_values_than_a_call_takes(redis: Redis) -> None:
    """2,500 channels."""
    references = [b"c%d\0s1" % number for number in range(2500)]
    fields = [part for each in references for part in (b"\0" + each, b"Pjson\x00" + each[:-3])]
    put(redis, b"1", record(*references), b"1" * 2500, *fields)
    after = contents(redis)
    assert after["values:t"] == dict(zip(fields[::2], fields[1::2], strict=True))
    assert after["checkpoints:t"] == {b"\x001": stored(record(*references), b"1" * 2500)}


def test_put_notes_lows(redis: Redis) -> None:
    """A delta channel's low: the smallest id on the way back to where it was stored last."""
    made = record(b"d\0s1")
    put(redis, b"5", made, b"1", b"\0d\0s1", ONE)
    for name, parent, low in ((b"6", b"5", b"5"), (b"4", b"6", b"5"), (b"7", b"4", b"4")):
        there = record(b"d\0s2", parent=parent)
        put(redis, name, there, b"0", deltas=b"d\0")
        assert contents(redis)["checkpoints:t"][b"\0" + name] == stored(
            there, b"0", b"d\0" + low + b"\0"
        )
    assert contents(redis)["spans:t"] == {b"\x005\x006": 0, b"\x005\x004": 0, b"\x004\x007": 0}
    put(redis, b"7", made, b"?")
    assert contents(redis)["spans:t"] == {b"\x005\x006": 0, b"\x005\x004": 0}


def test_put_without_its_parent_has_itself_as_low(redis: Redis) -> None:
    """No parent, or one that is not there: nothing older to keep for it."""
    put(redis, b"1", record(b"d\0s1"), b"0", deltas=b"d\0")
    put(redis, b"3", record(b"d\0s1", parent=b"2"), b"0", deltas=b"d\0")
    assert contents(redis)["spans:t"] == {b"\x001\x001": 0, b"\x003\x003": 0}


def test_put_notes_its_origin(redis: Redis) -> None:
    """A subgraph call's checkpoint is listed under the root checkpoint it started from."""
    put(redis, b"2", record(origin=b"1"), ns=b"n:task")
    assert contents(redis)["calls:t"] == {b"1\0n:task\x002": 0}
    put(redis, b"2", record(), ns=b"n:task")
    assert "calls:t" not in contents(redis)
    redis.zadd(key("deleted:t"), {b"\x001": 1})
    put(redis, b"2", record(origin=b"1"), ns=b"n:task")
    assert contents(redis)["calls:t"] == {b"\0n:task\x002": 0}


def test_put_writes_leaves_exactly_these_keys(redis: Redis) -> None:
    """Writes of a checkpoint that has not arrived: marker, registry, the record, its place."""
    assert put_writes(redis, b"\x001", b"x", WRITE) == b"OK"
    assert contents(redis) == {
        "layout": b"1",
        "threads": {b"t": 0},
        "writes:t": {b"\x001\0x": WRITE},
        "pending:t": {b"\x001\0x": 0},
    }


def test_put_writes_merges(redis: Redis) -> None:
    """A regular index keeps its first write, a special one takes the last, a new one is added."""
    put_writes(redis, b"\x001", b"x", write(0, b"first") + write(-1, b"first"))
    put_writes(redis, b"\x001", b"x", write(-1, b"2nd") + write(0, b"2nd") + write(1, b""))
    found = contents(redis)["writes:t"][b"\x001\0x"]
    assert found == write(0, b"first") + write(-1, b"2nd") + write(1, b"")


def test_put_writes_under_what_was_removed(redis: Redis) -> None:
    """Writes are ignored under a checkpoint that was removed, until it is put once more."""
    put(redis, b"1", record())
    redis.zadd(key("deleted:t"), {b"\x002": 1})
    before = contents(redis)
    assert put_writes(redis, b"\x002", b"x", WRITE) == b"IGNORED"
    assert contents(redis) == before
    put(redis, b"2", record())
    assert "deleted:t" not in contents(redis)
    assert put_writes(redis, b"\x002", b"x", WRITE) == b"OK"
