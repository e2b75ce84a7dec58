"""Scripts that read, called directly: the exact reply, and nothing changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ResponseError

from tests import raw
from tests.raw import (
    LIVING,
    RUN,
    fill,
    fill_every_kind,
    key,
    put,
    put_writes,
    record,
    refuse,
    run,
    stored,
    write,
)

if TYPE_CHECKING:
    from redis import Redis

FIRST = record(b"a\0s1", run=RUN)
SECOND = record(b"a\0s1", b"b\0s2", run=RUN, digests=b"K" * 8 + b"V" * 8, parent=b"1")
WRITE = write(0, b"Pp\0a\0json\x003")


def test_get_tuple(redis: Redis) -> None:
    """[[[ns, id, record, positions, [task, writes, ...]]], values, bases], latest or named."""
    fill(redis)
    before = raw.snapshot(redis)
    latest = [b"", b"2", stored(SECOND, b"11"), [1, 2], [b"x", WRITE, b"y", WRITE]]
    assert run(redis, "get_tuple", b"t", b"", b"") == [
        [latest],
        [b"Pjson\x001", b"Pjson\x002"],
        [0, 0],
    ]
    first = [b"", b"1", stored(FIRST, b"1"), [1], []]
    assert run(redis, "get_tuple", b"t", b"", b"1") == [[first], [b"Pjson\x001"], [0]]
    assert run(redis, "get_tuple", b"t", b"", b"0") == [[], [], []]
    assert run(redis, "get_tuple", b"t", b"other", b"") == [[], [], []]
    assert raw.snapshot(redis) == before


def test_get_tuple_of_nothing(redis: Redis) -> None:
    """No thread, and a thread that has nothing but writes: an empty page."""
    assert run(redis, "get_tuple", b"t", b"", b"") == [[], [], []]
    put_writes(redis, b"\x001", b"x", WRITE)
    assert run(redis, "get_tuple", b"t", b"", b"") == [[], [], []]


def test_get_tuple_marks_absent_value(redis: Redis) -> None:
    """A reference without a value has its position, and nil there."""
    put(redis, b"1", record(b"a\0s1", b"b\0s1"), b"01", b"\0b\0s1", b"Pjson\x001")
    [[entry], values, _] = run(redis, "get_tuple", b"t", b"", b"")
    assert (entry[3], values) == ([1, 2], [None, b"Pjson\x001"])
    assert entry[2] == stored(record(b"a\0s1", b"b\0s1"), b"01")


@pytest.mark.parametrize(
    ("order", "high", "low", "next_high"),
    [
        (b"index", b"(\1", b"[\0", b"(\x002"),
        (b"timeline", b"+", b"-", b"(2\0"),
    ],
)
def test_list(redis: Redis, order: bytes, high: bytes, low: bytes, next_high: bytes) -> None:
    """Newest first; a value that two checkpoints share comes once; the bound of the next page."""
    fill(redis)
    newest = [b"", b"2", stored(SECOND, b"11"), [1, 2], [b"x", WRITE, b"y", WRITE]]
    oldest = [b"", b"1", stored(FIRST, b"1"), [1], []]
    values = [b"Pjson\x001", b"Pjson\x002"]
    assert run(redis, "list", b"t", order, high, low, 5) == [[newest, oldest], values, [0, 0], None]
    assert run(redis, "list", b"t", order, high, low, 1) == [[newest], values, [0, 0], next_high]
    page = [[oldest], values[:1], [0], None]
    assert run(redis, "list", b"t", order, next_high, low, 5) == page
    assert run(redis, "list", b"t", order, low, high, 5) == [[], [], [], None]


def test_list_filters(redis: Redis) -> None:
    """`=` needs the key and the value, `?` takes a checkpoint without the key, too."""
    fill(redis)
    is_value, is_none = b"=" + b"K" * 8 + b"V" * 8, b"?" + b"K" * 8 + b"N" * 8

    def listed(*terms: bytes) -> list[bytes]:
        found = run(redis, "list", b"t", b"timeline", b"+", b"-", 5, *terms)
        return [entry[1] for entry in found[0]]

    assert listed(is_value) == [b"2"]
    assert listed(is_none) == [b"1"]
    assert listed(is_value, is_none) == []
    assert listed(b"=" + b"K" * 8 + b"N" * 8) == []
    assert listed(b"?" + b"K" * 8 + b"V" * 8) == [b"2", b"1"]
    across = b"A" * 8 + b"K" * 8 + b"V" * 8 + b"X" * 8  # digests are pairs: no match across them
    put(redis, b"3", record(digests=across))
    assert listed(is_value) == [b"2"]
    assert listed(b"=" + b"V" * 8 + b"X" * 8) == [b"3"]


def test_list_stops_at_a_megabyte(redis: Redis) -> None:
    """A page ends once it has 1 MB to send, whatever was asked for."""
    for number in range(4):
        name = b"%d" % number
        big = b"Pjson\0" + b"x" * 600_000
        put(redis, name, record(b"a\0s" + name), b"1", b"\0a\0s" + name, big)
    found, _, _, high = run(redis, "list", b"t", b"index", b"(\1", b"[\0", 4)
    assert ([entry[1] for entry in found], high) == ([b"3", b"2"], b"(\x002")


def test_list_looks_at_a_thousand(redis: Redis) -> None:
    """A filter that nothing matches costs 1,000 checkpoints a call, then a bound to go on from."""
    for number in range(1100):
        put(redis, b"%04d" % number, record())
    term = b"=" + b"K" * 8 + b"V" * 8
    reply = run(redis, "list", b"t", b"timeline", b"+", b"-", 5, term)
    assert reply == [[], [], [], b"(0100\0"]
    assert run(redis, "list", b"t", b"timeline", reply[3], b"-", 5, term) == [[], [], [], None]


def test_threads(redis: Redis) -> None:
    """Ids in order, at most as many as asked for, after the bound."""
    redis.zadd(key("threads"), dict.fromkeys((b"c", b"a", b"b", b"\xff"), 0))
    assert run(redis, "threads", b"-", 2) == [b"a", b"b"]
    assert run(redis, "threads", b"(b", 9) == [b"c", b"\xff"]
    assert run(redis, "threads", b"(\xff", 9) == []


@pytest.mark.parametrize("lost", ["index:t", "checkpoints:t", "pending:t"])
@pytest.mark.parametrize("args", [("get_tuple",), ("get_tuple_renewing", 5000)])
def test_get_tuple_of_lost_keys(redis: Redis, lost: str, args: tuple[Any, ...]) -> None:
    """A thread whose order, records or list of tasks is gone is lost, not empty."""
    fill(redis)
    redis.delete(key(lost))
    script, *ttl = args
    refuse(redis, script, (b"t", b"", b"", *ttl), "^SAVERLOST .*noeviction")


def test_get_tuple_renewing(redis: Redis) -> None:
    """The reply of get_tuple; every key of the thread then lives as long as it says."""
    fill_every_kind(redis)
    for name in (b"2", b""):
        expected = run(redis, "get_tuple", b"t", b"", name)
        assert run(redis, "get_tuple_renewing", b"t", b"", name, 9_000_000) == expected
    when = {redis.execute_command("PEXPIRETIME", key(name)) for name in LIVING}
    assert when == {redis.zscore(key("expiry"), b"t")}
    assert 8_900_000 < redis.pttl(key("index:t")) <= 9_000_000


def test_get_tuple_renewing_of_nothing(redis: Redis) -> None:
    """A read that finds nothing renews nothing."""
    fill(redis)
    before = raw.snapshot(redis)
    assert run(redis, "get_tuple_renewing", b"t", b"", b"9", 5000) == [[], [], []]
    assert raw.snapshot(redis) == before


@pytest.mark.parametrize(
    ("lost", "order"),
    [
        ("index:t", b"index"),
        ("timeline:t", b"timeline"),
        ("checkpoints:t", b"index"),
        ("checkpoints:t", b"timeline"),
        ("pending:t", b"index"),
    ],
)
def test_list_of_lost_keys(redis: Redis, lost: str, order: bytes) -> None:
    """The same of a listing, over either order."""
    fill(redis)
    redis.delete(key(lost))
    high, low = (b"(\1", b"[\0") if order == b"index" else (b"+", b"-")
    with pytest.raises(ResponseError, match=r"^SAVERLOST .*noeviction"):
        run(redis, "list", b"t", order, high, low, 5)


def test_delta_history(redis: Redis) -> None:
    """Writes of each ancestor from the newest, back to the nearest value; where it was found."""
    fill_every_kind(redis)
    before = raw.snapshot(redis)
    tasks = [b"x", WRITE, b"y", WRITE]

    def walked(*args: bytes) -> Any:
        return run(redis, "delta_history", b"t", b"", *args)

    assert walked(b"", b"", b"a") == [
        [tasks],
        [b"a", 1, 1],
        [b"Pjson\x001"],
        [0],
        None,
        b"3",
    ]
    assert walked(b"3", b"", b"d") == [[tasks, []], [], [], [], None, b"3"]
    assert walked(b"2", b"3", b"b") == [[[]], [], [], [], None, b"3"]
    assert walked(b"1", b"", b"a") == [[], [], [], [], None, b"1"]
    assert walked(b"9", b"", b"a") == [[], [], [], [], None, b""]
    assert raw.snapshot(redis) == before
