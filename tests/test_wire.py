"""What crosses the wire: one call an operation, one a page, and nothing lost with a reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saver import AsyncRedisSaver, RedisSaver
from tests.samples import checkpoint, config, ids, put

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server
    from tests.wire import Wire


@pytest.fixture
def saver(wire: Wire) -> Iterator[RedisSaver]:
    """A saver behind the wire."""
    with RedisSaver.from_conn_string(wire.url) as saver:
        yield saver


def test_one_call_an_operation(wire: Wire, saver: RedisSaver) -> None:
    """put, put_writes, get_tuple and delete_thread are one EVALSHA each."""
    stored = put(saver, config(), checkpoint(a=1, b=[2] * 1000))
    assert wire.commands == ["EVALSHA"]
    saver.put_writes(stored, [("a", 1), ("b", 2)], "task")
    assert wire.commands == ["EVALSHA"] * 2
    assert saver.get_tuple(config())
    assert saver.get_tuple(stored)
    assert wire.commands == ["EVALSHA"] * 4
    saver.delete_thread("t")
    assert wire.commands == ["EVALSHA"] * 5


def test_nothing_to_write_is_not_sent(wire: Wire, saver: RedisSaver) -> None:
    """put_writes without writes sends nothing."""
    saver.put_writes(config(checkpoint_id="1"), [], "task")
    assert wire.commands == []


def test_one_call_a_page(wire: Wire, saver: RedisSaver) -> None:
    """Listing sends one EVALSHA a page of 50, and only for pages that are consumed."""
    for number in range(120):
        put(saver, config(), checkpoint(f"{number:03}"))
    wire.reset()
    assert ids(saver.list(config(), limit=10)) == [f"{n:03}" for n in range(119, 109, -1)]
    assert wire.commands == ["EVALSHA"]
    wire.reset()
    found = saver.list(config())
    assert wire.commands == []
    next(found)
    assert wire.commands == ["EVALSHA"]
    assert len(list(found)) == 119
    assert wire.commands == ["EVALSHA"] * 3
    wire.reset()
    assert list(saver.list(config(), limit=0)) == []
    assert wire.commands == []


def test_a_filter_costs_no_call_a_miss(wire: Wire, saver: RedisSaver) -> None:
    """A filter that matches few of 120 checkpoints is still one call."""
    for number in range(120):
        put(saver, config(), checkpoint(f"{number:03}"), rare=number % 60 == 0)
    wire.reset()
    assert ids(saver.list(config(), filter={"rare": True})) == ["060", "000"]
    assert wire.commands == ["EVALSHA"]


def test_every_thread_in_few_round_trips(wire: Wire, saver: RedisSaver) -> None:
    """list(None) asks all shards in 8 round trips, and each thread in one."""
    for name in "abc":
        put(saver, config(name))
    wire.reset()
    assert len(list(saver.list(None))) == 3
    assert wire.evals() == 1024 + 3


async def test_async_calls_of_one_turn_share_a_write(wire: Wire) -> None:
    """Async operations are one EVALSHA each; those of one turn of the loop travel together."""
    import asyncio

    async with AsyncRedisSaver.from_conn_string(wire.url) as saver:
        made = checkpoint(a=1)
        stored = await saver.aput(config(), made, {}, made["channel_versions"])
        await saver.aput_writes(stored, [("a", 1)], "task")
        assert await saver.aget_tuple(config())
        assert [found async for found in saver.alist(config())]
        assert wire.commands == ["EVALSHA"] * 4
        wire.reset()
        await asyncio.gather(*(saver.aget_tuple(config()) for _ in range(50)))
        assert wire.commands == ["EVALSHA"] * 50
        assert wire.writes <= 4


@pytest.mark.parametrize("operation", ["put", "put_writes", "delete_thread"])
def test_a_lost_reply_is_repeated_to_the_same_state(
    server: Server, wire: Wire, saver: RedisSaver, operation: str
) -> None:
    """When the reply of a write is lost the client repeats it; the state is as if sent once."""
    made = checkpoint("2", a=1)
    before = put(saver, config(), checkpoint("1", a=0), run_id="run")

    def write(to: RedisSaver) -> None:
        if operation == "put":
            put(to, before, made, run_id="run")
        elif operation == "put_writes":
            to.put_writes(before, [("a", 1), ("__error__", "no")], "task", "path")
        else:
            to.delete_thread("t")

    write(saver)
    with server.client() as client:
        once = {key: client.dump(key) for key in client.keys()}
        wire.reset()
        wire.lose_replies = True
        write(saver)
        assert wire.evals() == 2
        assert {key: client.dump(key) for key in client.keys()} == once


async def test_an_async_lost_reply_is_repeated(server: Server, wire: Wire) -> None:
    """The same for calls in one pipeline: each is there once, and every caller has its answer."""
    import asyncio

    async with AsyncRedisSaver.from_conn_string(wire.url) as saver:
        await saver.aget_tuple(config())
        wire.lose_replies = True
        await asyncio.gather(
            *(
                saver.aput_writes(config(checkpoint_id="1"), [("a", n)], f"task{n}")
                for n in range(20)
            )
        )
        made = checkpoint("1")
        await saver.aput(config(), made, {}, {})
        found = await saver.aget_tuple(config())
    assert found
    assert sorted(write[2] for write in found.pending_writes or []) == list(range(20))
