"""Keys of ours that hold another type: refused with nothing written, or not looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.raw import (
    GOOD,
    KINDS,
    RUN,
    SHARD_KINDS,
    STAGED,
    fill,
    fill_every_kind,
    key,
    put,
    put_args,
    record,
    refuse,
    run,
    staged_keys,
)

if TYPE_CHECKING:
    from redis import Redis

REGISTRIES = " ".join(SHARD_KINDS)
EVERY = " ".join(KINDS)
READ = "layout index:t checkpoints:t values:t writes:t pending:t"
LOOKED_AT = {
    "put": [
        (GOOD["put"], EVERY),
        (put_args(b"2", record()), EVERY),
        (put_args(b"7", record(), keep_last=1), EVERY),
    ],
    "put_writes": [(GOOD["put_writes"], f"{REGISTRIES} writes:t pending:t deleted:t")],
    "get_tuple": [
        ((b"t", b"", b""), READ.replace("writes:t ", "")),
        ((b"t", b"", b"2"), READ.replace("index:t ", "")),
    ],
    "get_tuple_renewing": [((b"t", b"", b"2", 5000), f"{READ} expiry".replace("index:t ", ""))],
    "list": [
        ((b"t", b"index", b"(\1", b"[\0", 5), READ),
        ((b"t", b"timeline", b"+", b"-", 5), READ.replace("index", "timeline")),
    ],
    "threads": [(GOOD["threads"], "layout threads")],
    "runs": [(GOOD["runs"], "layout runs")],
    "describe": [
        (GOOD["describe"], "layout expiry index:t timeline:t checkpoints:t pending:t"),
    ],
    "expire": [(GOOD["expire"], REGISTRIES), ((b"t", b"pin"), REGISTRIES)],
    "export": [
        ((b"t", b"timeline", b"-", 50), READ.replace("index", "timeline")),
        ((b"t", b"pending", b"-", 50), "layout checkpoints:t pending:t"),
    ],
    "delta_history": [(GOOD["delta_history"], READ)],
    "prune": [(GOOD["prune"], EVERY)],
    "delete_run": [(GOOD["delete_run"], EVERY)],
    "delete_thread": [(GOOD["delete_thread"], REGISTRIES)],
    "publish": [(GOOD["publish"], REGISTRIES)],
}
"""For each script calls, and the kinds of keys that each refuses to find something else in."""
CASES = [
    (script, number, name)
    for script, calls in LOOKED_AT.items()
    for number in range(len(calls))
    for name in KINDS
]
PLAIN = [
    (GOOD["put"], EVERY.replace("writes:t pending:t ", "")),
    (
        put_args(b"7", record()),
        "layout threads expiry index:t timeline:t checkpoints:t holders:t runs:t deleted:t",
    ),
    (put_args(b"2", record()), EVERY),
    (put_args(b"7", record(), ttl=5000), EVERY),
]
"""The same of puts to a thread that does not expire and had nothing removed."""


def test_every_script_is_called() -> None:
    """These tests leave no script out."""
    assert LOOKED_AT.keys() == GOOD.keys()


@pytest.mark.parametrize(("script", "number", "name"), CASES)
def test_wrong_type(redis: Redis, script: str, number: int, name: str) -> None:
    """A key that holds a list: refused where the call looks into it, and left alone elsewhere.

    There is a thread to sweep, which is a write, too.
    """
    if script == "publish":
        made = record(run=RUN)
        put(redis, b"1", made, thread_id=STAGED.encode(), ttl=5000, keys=staged_keys())
    else:
        fill_every_kind(redis)
    redis.zadd(key("threads"), {b"gone": 0})
    redis.zadd(key("expiry"), {b"gone": 1})
    meet_a_list(redis, name, script, *LOOKED_AT[script][number])


@pytest.mark.parametrize("number", range(len(PLAIN)))
@pytest.mark.parametrize("name", KINDS)
def test_wrong_type_of_a_plain_thread(redis: Redis, number: int, name: str) -> None:
    """The same where put has less to do."""
    fill(redis)
    meet_a_list(redis, name, "put", *PLAIN[number])


def meet_a_list(
    redis: Redis, name: str, script: str, args: tuple[bytes | int, ...], looked_at: str
) -> None:
    """Makes the key a list, then the call."""
    redis.delete(key(name))
    redis.rpush(key(name), "somebody else's")
    if name in looked_at.split():
        refuse(redis, script, args, "^WRONGTYPE ")
        return
    run(redis, script, *args)
    if script not in ("delete_thread", "publish"):  # which take the thread's keys as they are
        assert redis.lrange(key(name), 0, -1) == [b"somebody else's"]
