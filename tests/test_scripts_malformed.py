"""Calls that are not a script's: an error reply, and a keyspace that is byte for byte the same."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from tests.raw import (
    GOOD,
    fill,
    fill_every_kind,
    key,
    keys_of,
    put_args,
    record,
    refuse,
    run,
    write,
)

if TYPE_CHECKING:
    from redis import Redis

LEAST = {
    "put": 9,
    "put_writes": 5,
    "get_tuple": 3,
    "get_tuple_renewing": 4,
    "list": 5,
    "threads": 2,
    "runs": 2,
    "describe": 1,
    "expire": 2,
    "export": 4,
    "delta_history": 5,
    "prune": 3,
    "delete_run": 3,
    "delete_thread": 1,
    "publish": 3,
}
NUMBERS = [
    ("put", 6),
    ("put", 7),
    ("put", 8),
    ("put_writes", 4),
    ("get_tuple_renewing", 3),
    ("expire", 1),
    ("prune", 1),
    ("publish", 2),
]
"""Where the scripts that write take numbers."""


@pytest.mark.parametrize("script", GOOD)
def test_good_call_passes(redis: Redis, script: str) -> None:
    """What the malformed calls are variations of is right, so each variation is what is refused."""
    fill_every_kind(redis)
    run(redis, script, *GOOD[script])


@pytest.mark.parametrize("script", GOOD)
@pytest.mark.parametrize("change", ["none", "one fewer", "one more"])
def test_number_of_keys(redis: Redis, script: str, change: str) -> None:
    """No keys, one too few, one too many."""
    fill_every_kind(redis)
    keys = keys_of(script)
    wrong = {"none": [], "one fewer": keys[:-1], "one more": [*keys, keys[-1]]}[change]
    refuse(redis, script, GOOD[script], f"^SAVERARGS expected {len(keys)} keys", keys=wrong)


@pytest.mark.parametrize(
    ("script", "number"),
    [(script, number) for script, least in LEAST.items() for number in range(least)],
)
def test_too_few_arguments(redis: Redis, script: str, number: int) -> None:
    """Every number of arguments below the least."""
    fill(redis)
    error = f"^SAVERARGS .* at least {LEAST[script]} arguments, not .* and {number}$"
    refuse(redis, script, GOOD[script][:number], error)


@pytest.mark.parametrize("script", GOOD)
@pytest.mark.parametrize("version", [b"2", b"10", b"", b"1 "])
def test_other_layout(redis: Redis, script: str, version: bytes) -> None:
    """A shard whose layout is not ours is neither read nor written nor deleted."""
    fill(redis)
    redis.set(key("layout"), version)
    refuse(redis, script, GOOD[script], "^SAVERLAYOUT .* has layout")


@pytest.mark.parametrize(
    ("count", "more"),
    [
        (b"", ()),
        (b"x", ()),
        (b"x", (b"\0c\0s1", b"v")),
        (b"1", ()),
        (b"2", ()),
        (b"3", (b"\0c\0s1", b"\0d\0s1")),
        (b"0", (b"\0c\0s1",)),
        (b"1", (b"\0c\0s1", b"\0d\0s1")),
        (b"0.5", (b"\0c\0s1", b"v")),
        (b"nan", (b"\0c\0s1", b"v")),
        (b"-1", ()),
        (b"-1", (b"v",)),
        (b"-2", ()),
    ],
)
def test_put_counts(redis: Redis, count: bytes, more: tuple[bytes, ...]) -> None:
    """A count of cleared fields that is none, or that leaves a field without a value."""
    fill(redis)
    args = (*put_args(b"3", record())[:-1], count, *more)
    refuse(redis, "put", args, "^SAVERARGS ")


@pytest.mark.parametrize(("script", "position"), NUMBERS)
@pytest.mark.parametrize("number", [b"", b"x", b"-1", b"0.5", b"nan", b"inf", b"1e3", b"9" * 17])
def test_numbers(redis: Redis, script: str, position: int, number: bytes) -> None:
    """A time to live, a count: nothing is written before they are known to be numbers."""
    fill_every_kind(redis)
    args = (*GOOD[script][:position], number, *GOOD[script][position + 1 :])
    refuse(redis, script, args, f"^SAVERARGS argument {position + 1} must be a whole number")


@pytest.mark.parametrize("flags", [b"", b"1", b"?", b"111", b"???", b"1x"])
def test_put_flags(redis: Redis, flags: bytes) -> None:
    """Flags that are not one of 1, 0 and ? for each reference."""
    fill(redis)
    made = record(b"c\0s1", b"d\0s1")
    refuse(redis, "put", put_args(b"3", made, flags), "^SAVERARGS ")


def test_put_cut_record(redis: Redis) -> None:
    """A record that ends inside the part that put reads, at every byte of it."""
    fill(redis)
    whole = record(b"c\0s1", run=b"R" * 8, digests=b"D" * 16, parent=b"2", origin=b"1")
    read = 1 + 4 + 8 + 4 + 16 + 4 + 5 + 4 + 1 + 4 + 1
    for size in range(read):
        refuse(redis, "put", put_args(b"3", whole[:size], b"1"), "too short|out of")


@pytest.mark.parametrize("which", range(5))
def test_put_overrunning_section(redis: Redis, which: int) -> None:
    """A record with a section that is said to be longer than the record is."""
    fill(redis)
    for size in (1 << 10, (1 << 31) - 1, (1 << 32) - 1):
        sizes = [0] * which + [size]
        made = b"P" + b"".join(struct.pack(">I", each) for each in sizes) + bytes(64)
        refuse(redis, "put", put_args(b"3", made), "too short|out of")


def test_put_over_damaged_record(redis: Redis) -> None:
    """A stored record that cannot be read is not replaced: its run would stay counted."""
    fill(redis)
    redis.hset(key("checkpoints:t"), b"\x002", b"P\0\0")
    refuse(redis, "put", put_args(b"2", record()), "too short|out of")


def test_put_writes_cut_record(redis: Redis) -> None:
    """A record of writes that ends early, at every byte but between two writes."""
    fill(redis)
    one = write(0, b"Pp\0a\0json\x003")
    whole = one + write(-1, b"x")
    for size in set(range(1, len(whole))) - {len(one)}:
        error = "^SAVERARGS the record of writes is cut short$"
        refuse(redis, "put_writes", (b"t", b"\x002", b"z", whole[:size], 0), error)


@pytest.mark.parametrize("size", [2, 1 << 10, (1 << 32) - 1])
def test_put_writes_overrunning_write(redis: Redis, size: int) -> None:
    """A write that is said to be longer than what follows."""
    fill(redis)
    made = write(0, b"good") + struct.pack(">iI", 1, size) + b"x"
    refuse(redis, "put_writes", (b"t", b"\x002", b"z", made, 0), "^SAVERARGS ")


def test_put_writes_over_damaged_record(redis: Redis) -> None:
    """Writes are not added to a stored record that cannot be read."""
    fill(redis)
    redis.hset(key("writes:t"), b"\x002\0z", b"\0\0\0")
    refuse(redis, "put_writes", GOOD["put_writes"], "^SAVERARGS ")


@pytest.mark.parametrize(
    "args",
    [
        (b"t", b"index", b"(\1", b"[\0", b"x"),
        (b"t", b"index", b"(\1", b"[\0", b""),
        (b"t", b"index", b"(\1", b"[\0", b"x", b"=" + b"K" * 8 + b"V" * 8),
        (b"t", b"order", b"(\1", b"[\0", b"5"),
        (b"t", b"values", b"(\1", b"[\0", b"5"),
        (b"t", b"index", b"no bound", b"[\0", b"5"),
        (b"t", b"index", b"(\1", b"no bound", b"5"),
    ],
)
def test_list_arguments(redis: Redis, args: tuple[bytes, ...]) -> None:
    """A count that is no number, an order that is none of the two, a bound that is none."""
    fill(redis)
    refuse(redis, "list", args, "script:|Lua|WRONGTYPE|not valid string range")


@pytest.mark.parametrize("args", [(b"-", b"x"), (b"-", b""), (b"no bound", b"5")])
def test_threads_arguments(redis: Redis, args: tuple[bytes, ...]) -> None:
    """The same of the page of threads."""
    fill(redis)
    refuse(redis, "threads", args, "script:|Lua|not valid string range|not an integer")


@pytest.mark.parametrize("script", ["get_tuple", "list"])
def test_damaged_record_is_an_error(redis: Redis, script: str) -> None:
    """A reader that meets a record it cannot read raises; it does not leave it out."""
    fill(redis)
    redis.hset(key("checkpoints:t"), b"\x002", b"P\0\0")
    refuse(redis, script, GOOD[script], "too short|out of")
