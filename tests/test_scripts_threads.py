"""Scripts about a thread as a whole, called directly: the exact reply, and the exact raw keys."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import pytest

from tests.raw import (
    LIVING,
    RUN,
    STAGED,
    THREAD_KINDS,
    contents,
    fill,
    fill_every_kind,
    key,
    put,
    put_writes,
    record,
    refuse,
    run,
    snapshot,
    staged_keys,
    stored,
    write,
)

if TYPE_CHECKING:
    from redis import Redis

FIRST = record(b"a\0s1", run=RUN)
SECOND = record(b"a\0s1", b"b\0s2", run=RUN, digests=b"K" * 8 + b"V" * 8, parent=b"1")
WRITE = write(0, b"Pp\0a\0json\x003")
VALUES = [b"Pjson\x001", b"Pjson\x002"]
COPY = STAGED.encode()


def ttls(redis: Redis) -> set[int]:
    """Seconds that the keys of the thread live from now, rounded up; -1 is for ever."""
    left = {redis.pttl(key(name)) for name in LIVING if redis.exists(key(name))}
    return {math.ceil(each / 1000) for each in left} if left != {-1} else left


def test_expire(redis: Redis) -> None:
    """All keys of the thread expire together, and the shard knows when."""
    fill_every_kind(redis)
    assert run(redis, "expire", b"t", 5_000_000) == 1
    when = {redis.execute_command("PEXPIRETIME", key(name)) for name in LIVING}
    assert when == {redis.zscore(key("expiry"), b"t")}
    assert ttls(redis) == {5000}


@pytest.mark.parametrize(("how", "known"), [(b"pin", {b"t": math.inf}), (b"unpin", None)])
def test_expire_never(redis: Redis, how: bytes, known: dict[bytes, float] | None) -> None:
    """Pinned for ever, whatever a put asks; unpinned for ever until one asks."""
    fill_every_kind(redis)
    assert run(redis, "expire", b"t", how) == 1
    assert contents(redis).get("expiry") == known
    assert ttls(redis) == {-1}
    put(redis, b"9", record(), ttl=60_000)
    assert ttls(redis) == ({60} if known is None else {-1})


def test_expire_nothing(redis: Redis) -> None:
    """There is no such thread: 0, and nothing is written."""
    for how in (b"pin", b"unpin", 5000):
        assert run(redis, "expire", b"t", how) == 0
    assert contents(redis) == {}


def test_writes_keep_one_time_to_live(redis: Redis) -> None:
    """A write without a ttl takes the thread's, one with a ttl gives its own to every key."""
    fill_every_kind(redis)
    put(redis, b"8", record(b"z\0s1"), b"1", b"\0z\0s1", b"P\0")
    put_writes(redis, b"\x008", b"x", WRITE)
    assert ttls(redis) == {3600}
    put_writes(redis, b"\x008", b"y", WRITE, 60_000)
    assert ttls(redis) == {60}
    put(redis, b"9", record(), ttl=90_000)
    assert ttls(redis) == {90}


def test_sweep(redis: Redis) -> None:
    """Any write takes threads that expired out of the registries, with their runs."""
    fill(redis)
    redis.zadd(key("threads"), {b"gone": 0, b"kept": 0})
    redis.zadd(key("runs"), {RUN + b"gone": 0})
    redis.zadd(key("runs_of"), {b"gone\0" + RUN: 0})
    redis.zadd(key("expiry"), {b"gone": 1, b"kept": math.inf})
    put_writes(redis, b"\x009", b"x", WRITE)
    after = contents(redis)
    assert after["threads"].keys() == {b"t", b"kept"}
    assert after["expiry"] == {b"kept": math.inf}
    assert after["runs"] == {RUN + b"t": 0}
    assert after["runs_of"] == {b"t\0" + RUN: 0}


def test_describe(redis: Redis) -> None:
    """Counts, the newest checkpoint over all namespaces, the time to live; nothing changes."""
    fill_every_kind(redis)
    before = snapshot(redis)
    *told, left, size = run(redis, "describe", b"t")
    assert told == [5, b"6", b"sub", stored(record()), 2]
    assert 3_500_000 < left <= 3_600_000
    assert size > sum(len(value) for value in contents(redis)["checkpoints:t"].values())
    assert snapshot(redis) == before
    run(redis, "expire", b"t", b"unpin")
    assert run(redis, "describe", b"t")[5] == -1
    run(redis, "expire", b"t", b"pin")
    assert run(redis, "describe", b"t")[5] == b"inf"


def test_describe_little(redis: Redis) -> None:
    """No thread; a thread that has nothing but writes."""
    assert run(redis, "describe", b"t") == []
    put_writes(redis, b"\x001", b"x", WRITE)
    assert run(redis, "describe", b"t")[:6] == [0, b"", b"", b"", 1, -1]


def test_export(redis: Redis) -> None:
    """The oldest first, over all namespaces; a value comes once a page."""
    fill(redis)
    oldest = [b"", b"1", stored(FIRST, b"1"), [1], []]
    newest = [b"", b"2", stored(SECOND, b"11"), [1, 2], [b"x", WRITE, b"y", WRITE]]
    before = snapshot(redis)
    assert run(redis, "export", b"t", b"timeline", b"-", 5) == [
        [oldest, newest],
        VALUES,
        [0, 0],
        None,
    ]
    assert run(redis, "export", b"t", b"timeline", b"-", 1) == [[oldest], VALUES[:1], [0], b"(1\0"]
    assert run(redis, "export", b"t", b"timeline", b"(1\0", 2) == [[newest], VALUES, [0, 0], None]
    assert run(redis, "export", b"t", b"timeline", b"(2\0", 2) == [[], [], [], None]
    assert snapshot(redis) == before


def test_export_of_writes(redis: Redis) -> None:
    """Those whose checkpoint is not there; a page of others is empty and has a bound."""
    fill(redis)
    put_writes(redis, b"\x009", b"z", WRITE)
    assert run(redis, "export", b"t", b"pending", b"-", 5) == [
        [b"\x009\0z", WRITE],
        [],
        [],
        None,
    ]
    assert run(redis, "export", b"t", b"pending", b"-", 2) == [[], [], [], b"(\x002\0y"]


def test_export_of_nothing(redis: Redis) -> None:
    """No thread: the end of each order."""
    for order in (b"timeline", b"pending"):
        assert run(redis, "export", b"t", order, b"-", 5) == [[], [], [], None]


@pytest.mark.parametrize(
    ("lost", "order"),
    [
        ("timeline:t", b"timeline"),
        ("checkpoints:t", b"timeline"),
        ("pending:t", b"timeline"),
        ("writes:t", b"pending"),
    ],
)
def test_export_of_lost_keys(redis: Redis, lost: str, order: bytes) -> None:
    """A thread that is not whole is not copied."""
    fill(redis)
    put_writes(redis, b"\x009", b"z", WRITE)
    redis.delete(key(lost))
    refuse(redis, "export", (b"t", order, b"-", 5), "^SAVERLOST ")


def test_runs(redis: Redis) -> None:
    """The threads of each run, in order, at most as many as asked for, after the bound."""
    other = b"run00002"
    members = [RUN + b"a", RUN + b"b", RUN + b"c", other + b"a", other + b"\xc3\xa9"]
    redis.zadd(key("runs"), dict.fromkeys(members, 0))
    assert run(redis, "runs", 2, b"[" + RUN, b"[" + other) == [members[:2], members[3:]]
    assert run(redis, "runs", 9, b"(" + RUN + b"b") == [members[2:3]]
    assert run(redis, "runs", 9, b"[run00003", b"[run00000") == [[], []]


def published(redis: Redis, ttl: int = 0) -> Any:
    """Publishes the copy under way; its last reply."""
    replies = (run(redis, "publish", b"t", COPY, ttl) for _ in itertools.count())
    return next(reply for reply in replies if reply != b"MORE")


def stage(redis: Redis, runs: int = 1) -> None:
    """A copy under way: checkpoints and writes under its own id, with a time to live."""
    for number in range(runs):
        made = record(b"a\0s1", run=b"run%05d" % number)
        put(
            redis,
            b"%d" % number,
            made,
            b"1",
            b"\0a\0s1",
            VALUES[0],
            thread_id=COPY,
            ttl=60_000,
            keys=staged_keys(),
        )
    run(redis, "put_writes", COPY, b"\x000", b"x", WRITE, 60_000, keys=staged_keys())


@pytest.mark.parametrize("runs", [1, 600])
def test_publish(redis: Redis, runs: int) -> None:
    """What was staged has the thread's names; nothing is left of the copy's."""
    stage(redis, runs)
    staged = contents(redis)
    assert published(redis) == b"OK"
    after = contents(redis)
    kinds = {name.removesuffix(f":{STAGED}") for name in staged if name.endswith(STAGED)}
    shard = {"layout", "threads", "runs", "runs_of"}
    assert after.keys() == {f"{kind}:t" for kind in kinds} | shard
    for kind in kinds:
        assert after[f"{kind}:t"] == staged[f"{kind}:{STAGED}"]
    names = [b"run%05d" % number for number in range(runs)]
    assert after["threads"] == {b"t": 0}
    assert after["runs"] == {name + b"t": 0 for name in names}
    assert after["runs_of"] == {b"t\0" + name: 0 for name in names}
    assert ttls(redis) == {-1}


def test_publish_for_a_time(redis: Redis) -> None:
    """The copy lives as long as it is told."""
    stage(redis)
    assert published(redis, 90_000) == b"OK"
    assert ttls(redis) == {90}
    assert contents(redis)["expiry"].keys() == {b"t"}


def test_publish_over_a_thread(redis: Redis) -> None:
    """Refused when there is a checkpoint or a write; the thread stays as it is."""
    put_writes(redis, b"\x001", b"x", WRITE)
    stage(redis)
    before = snapshot(redis)
    assert published(redis) == b"TAKEN"
    assert snapshot(redis) == before
    assert run(redis, "delete_thread", COPY, keys=staged_keys()) == 0
    assert contents(redis).keys() == {"layout", "threads", "writes:t", "pending:t"}


def test_publish_nothing(redis: Redis) -> None:
    """A copy that is gone is not published, and takes nothing away."""
    fill(redis)
    before = snapshot(redis)
    assert published(redis) == b"GONE"
    assert snapshot(redis) == before
    assert len(staged_keys()) == 5 + len(THREAD_KINDS)
