"""The options `ttl` and `refresh_on_read`: every way to give them, and what is refused."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from saver import AsyncRedisSaver, RedisSaver
from tests.lifecycle import expires_at, key, registry
from tests.samples import checkpoint, config, put

if TYPE_CHECKING:
    from tests.servers import Server

MINUTE = timedelta(minutes=1)
GOOD: list[tuple[Any, timedelta | None]] = [
    (None, None),
    (timedelta(hours=2), timedelta(hours=2)),
    (90, timedelta(seconds=90)),
    (90.5, timedelta(seconds=90.5)),
    ({"default_ttl": 60}, timedelta(hours=1)),
    ({"default_ttl": 2.5, "refresh_on_read": False}, timedelta(seconds=150)),
    ({"default_ttl": 1 / 60 + 1}, timedelta(seconds=61)),
    ({"default_ttl": None}, None),
    ({}, None),
    (timedelta(days=36_500), timedelta(days=36_500)),
]
BAD: list[Any] = [
    (0, ValueError, "ttl must be positive and finite, not 0"),
    (0.0, ValueError, "ttl must be positive"),
    (-1, ValueError, "ttl must be positive"),
    (timedelta(0), ValueError, "ttl must be positive"),
    (timedelta(seconds=-1), ValueError, "ttl must be positive"),
    (math.nan, ValueError, "ttl must be positive and finite"),
    (math.inf, ValueError, "ttl must be positive and finite"),
    (2**60, ValueError, "ttl must be positive and finite"),
    pytest.param(10**400, ValueError, "ttl must be positive and finite", id="10**400"),
    (2**53 / 1000, ValueError, "ttl must be positive and finite"),
    (True, TypeError, "ttl must be a timedelta or a number, not True"),
    (False, TypeError, "ttl must be a timedelta or a number"),
    ("60", TypeError, "ttl must be a timedelta or a number, not '60'"),
    (b"60", TypeError, "ttl must be a timedelta or a number"),
    ([60], TypeError, "ttl must be a timedelta or a number"),
    (Decimal(60), TypeError, "ttl must be a timedelta or a number"),
    (1j, TypeError, "ttl must be a timedelta or a number"),
    ({"default_ttl": 0}, ValueError, "default_ttl must be positive"),
    ({"default_ttl": -1}, ValueError, "default_ttl must be positive"),
    ({"default_ttl": math.nan}, ValueError, "default_ttl must be positive"),
    ({"default_ttl": True}, TypeError, "default_ttl must be"),
    ({"default_ttl": "60"}, TypeError, "default_ttl must be"),
    ({"default_ttl": 2**50}, ValueError, "ttl must be positive and finite"),
    ({"default_ttl": MINUTE}, TypeError, "default_ttl is a number of minutes.*pass ttl=timedelta"),
    ({"ttl": 60}, ValueError, "ttl takes default_ttl (minutes) and refresh_on_read, not ['ttl']"),
    ({"default_ttl": 60, "refresh": True}, ValueError, "not ['refresh']"),
    ({"default_ttl": 60, 5: True}, ValueError, "not [5]"),
    ({"refresh_on_read": True}, ValueError, "refresh_on_read needs a ttl to refresh"),
    ({"default_ttl": None, "refresh_on_read": True}, ValueError, "refresh_on_read needs a ttl"),
    ({"default_ttl": 5, "refresh_on_read": "no"}, TypeError, "refresh_on_read must be a bool"),
    ({"default_ttl": 5, "refresh_on_read": 1}, TypeError, "refresh_on_read must be a bool"),
]


def left(redis: Redis) -> timedelta | None:
    """What the thread has left to live."""
    moment = expires_at(redis)
    seconds, microseconds = redis.time()
    if moment == -1:
        return None
    return timedelta(milliseconds=moment) - timedelta(seconds=seconds, microseconds=microseconds)


@pytest.mark.parametrize(("ttl", "wanted"), GOOD)
def test_ways_to_say_it(redis: Redis, ttl: Any, wanted: timedelta | None) -> None:
    """A timedelta, seconds, or the dict of langgraph-checkpoint-redis, in minutes."""
    put(RedisSaver(redis, ttl=ttl), config())
    found = left(redis)
    if wanted is None or found is None:
        assert found is wanted is None
    else:
        assert wanted - timedelta(seconds=10) < found <= wanted


def test_less_than_a_millisecond(redis: Redis) -> None:
    """The shortest time is a millisecond: it is not taken for none."""
    put(RedisSaver(redis, ttl=timedelta(microseconds=1)), config())
    assert redis.zcard(registry("expiry")) == 1
    while redis.exists(key("index")):
        pass


def constructors(server: Server, **options: Any) -> list[Any]:
    """Every way to make a saver, as something to call."""
    named: dict[str, Any] = {"host": "127.0.0.1", "port": server.port, "db": 0, **options}
    return [
        lambda: RedisSaver(Redis(), **options),
        lambda: AsyncRedisSaver(AsyncRedis(), **options),
        lambda: RedisSaver.from_conn_string(server.url, **options).__enter__(),
        lambda: RedisSaver.from_conn_info(**named).__enter__(),
    ]


@pytest.mark.parametrize(("ttl", "error", "says"), BAD)
async def test_bad_times(server: Server, ttl: Any, error: type[Exception], says: str) -> None:
    """Refused by each constructor, before anything is sent."""
    says = says.replace("(", r"\(").replace(")", r"\)").replace("[", r"\[")
    for make in constructors(server, ttl=ttl):
        with pytest.raises(error, match=says):
            make()
    for asynchronous in (
        AsyncRedisSaver.from_conn_string(server.url, ttl=ttl),
        AsyncRedisSaver.from_conn_info(host="127.0.0.1", port=server.port, db=0, ttl=ttl),
    ):
        with pytest.raises(error, match=says):
            await asynchronous.__aenter__()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"refresh_on_read": True}, ValueError),
        ({"refresh_on_read": "yes", "ttl": 5}, TypeError),
        ({"refresh_on_read": 1, "ttl": 5}, TypeError),
        ({"refresh_on_read": 0}, TypeError),
        ({"refresh_on_read": True, "ttl": {}}, ValueError),
    ],
)
def test_bad_refresh(server: Server, options: dict[str, Any], error: type[Exception]) -> None:
    """It needs a ttl, and is a bool."""
    for make in constructors(server, **options):
        with pytest.raises(error):
            make()


@pytest.mark.parametrize(
    ("options", "refreshes"),
    [
        ({"ttl": 5000}, False),
        ({"ttl": 5000, "refresh_on_read": False}, False),
        ({"ttl": 5000, "refresh_on_read": True}, True),
        ({"ttl": {"default_ttl": 80}}, False),
        ({"ttl": {"default_ttl": 80, "refresh_on_read": True}}, True),
        ({"ttl": {"default_ttl": 80, "refresh_on_read": False}}, False),
        ({"ttl": {"default_ttl": 80, "refresh_on_read": None}}, False),
        ({"ttl": {"default_ttl": 80, "refresh_on_read": True}, "refresh_on_read": False}, False),
        ({"ttl": {"default_ttl": 80}, "refresh_on_read": True}, True),
    ],
)
async def test_refresh(
    server: Server,
    redis: Redis,
    options: dict[str, Any],
    refreshes: bool,  # noqa: FBT001
) -> None:
    """In either place; the option outside the dict wins. The same for every constructor."""

    def is_long() -> bool:
        found = left(redis)
        assert found is not None
        return found > MINUTE

    named: dict[str, Any] = {"host": "127.0.0.1", "port": server.port, "db": 0, **options}
    with (
        RedisSaver.from_conn_string(server.url, **options) as one,
        RedisSaver.from_conn_info(**named) as other,
    ):
        for saver in (RedisSaver(redis, **options), one, other):
            put(saver, config(), checkpoint("1"))
            assert is_long()
            saver.expire("t", MINUTE)
            assert saver.get_tuple(config())
            assert is_long() == refreshes
    async with (
        AsyncRedisSaver.from_conn_string(server.url, **options) as first,
        AsyncRedisSaver.from_conn_info(**named) as second,
    ):
        for asaver in (first, second):
            await asaver.aput_writes(config(checkpoint_id="1"), [("a", 1)], "task")
            assert is_long()
            await asaver.aexpire("t", MINUTE)
            assert await asaver.aget_tuple(config())
            assert is_long() == refreshes


def test_clone_keeps_them(redis: Redis) -> None:
    """What with_allowlist returns has the same options."""
    saver = RedisSaver(redis, ttl=5000, refresh_on_read=True).with_allowlist([("a", "B")])
    put(saver, config())
    saver.expire("t", MINUTE)
    assert saver.get_tuple(config())
    assert (left(redis) or MINUTE) > MINUTE
