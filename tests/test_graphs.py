"""Real graphs end as they do with InMemorySaver: both savers, invoke and ainvoke."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from saver import AsyncRedisSaver, RedisSaver
from tests.graph_scenarios import SCENARIOS, Driver, chat, said
from tests.samples import checkpoint, config

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

# Before Python 3.11 a task has no context of its own, by which interrupt() finds its run.
INTERRUPTS = {"interrupted", "subgraph_in_node"}
cannot = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="LangGraph's interrupt() in async nodes needs Python 3.11"
)
cases = pytest.mark.parametrize(
    ("asynchronous", "scenario"),
    [
        pytest.param(
            asynchronous,
            scenario,
            id=f"{'ainvoke' if asynchronous else 'invoke'}-{scenario.__name__}",
            marks=[cannot] if asynchronous and scenario.__name__ in INTERRUPTS else [],
        )
        for asynchronous in (False, True)
        for scenario in SCENARIOS
    ],
)


@cases
async def test_redis_saver(saver: RedisSaver, scenario: Any, asynchronous: bool) -> None:  # noqa: FBT001
    """RedisSaver: the outcome is InMemorySaver's."""
    expected = await scenario(Driver(InMemorySaver(), asynchronous))
    assert await scenario(Driver(saver, asynchronous)) == expected


@cases
async def test_async_redis_saver(
    asaver: AsyncRedisSaver,
    scenario: Any,
    asynchronous: bool,  # noqa: FBT001
) -> None:
    """AsyncRedisSaver, its sync methods from a thread: the outcome is InMemorySaver's."""
    expected = await scenario(Driver(InMemorySaver(), asynchronous))
    assert await scenario(Driver(asaver, asynchronous)) == expected


SYNC_METHODS: dict[str, Callable[[AsyncRedisSaver], Any]] = {
    "asetup": lambda saver: saver.setup(),
    "aget_tuple": lambda saver: saver.get_tuple(config()),
    "alist": lambda saver: list(saver.list(config())),
    "aput": lambda saver: saver.put(config(), checkpoint(), {}, {}),
    "aput_writes": lambda saver: saver.put_writes(config("t", "", "1"), [("a", 1)], "task"),
    "adelete_thread": lambda saver: saver.delete_thread("t"),
}


@pytest.mark.parametrize("name", SYNC_METHODS)
async def test_sync_method_in_the_loops_thread(
    asaver: AsyncRedisSaver, redis: Redis, name: str
) -> None:
    """A sync method that would block the loop it waits for names the async one; nothing is sent."""
    with pytest.raises(RuntimeError, match=rf"`await saver\.{name}\(\.\.\.\)` instead"):
        SYNC_METHODS[name](asaver)
    assert redis.keys() == []


async def test_invoke_in_the_loops_thread(asaver: AsyncRedisSaver) -> None:
    """So does `invoke` of a graph; the graph works with `ainvoke` afterwards."""
    graph = chat(asaver)
    with pytest.raises(RuntimeError, match=r"await saver\.aget_tuple"):
        graph.invoke(said("one"), config())
    with pytest.raises(RuntimeError, match=r"await saver\.aget_tuple"):
        graph.get_state(config())
    with pytest.raises(RuntimeError, match=r"await saver\.alist"):
        list(graph.get_state_history(config()))
    assert len((await graph.ainvoke(said("one"), config()))["messages"]) == 2


def test_sync_methods_without_a_loop(redis: Redis, saver: RedisSaver) -> None:
    """An AsyncRedisSaver whose loop has ended says so, naming the async method and RedisSaver."""
    from redis.asyncio import Redis as AsyncRedis

    async def made() -> AsyncRedisSaver:
        return AsyncRedisSaver(AsyncRedis())

    for asaver in (AsyncRedisSaver(AsyncRedis()), asyncio.run(made())):
        with pytest.raises(RuntimeError, match=r"await saver\.aget_tuple.*or use RedisSaver"):
            asaver.get_tuple(config())


@dataclass
class Mood:
    """A type of the user's."""

    name: str


STRICT = JsonPlusSerializer(allowed_msgpack_modules=None)
ALLOWED = [(Mood.__module__, "Mood")]


def test_clone_with_allowlist(redis: Redis) -> None:
    """A clone reads what its saver wrote, over the same connection, and admits the type."""
    kept = checkpoint("1", mood=Mood("calm"))
    with RedisSaver.from_conn_string(url_of(redis), serde=STRICT, max_connections=1) as saver:
        clone = saver.with_allowlist(ALLOWED)
        assert clone is not saver
        saver.put(config(), kept, {}, kept["channel_versions"])
        before = redis.info("stats")["total_connections_received"]
        clone.put_writes(config("t", "", "1"), [("mood", Mood("glad"))], "task")
        found = clone.get_tuple(config())
        assert redis.info("stats")["total_connections_received"] == before
        assert found is not None
        assert found.checkpoint["channel_values"] == {"mood": Mood("calm")}
        assert found.pending_writes == [("task", "mood", Mood("glad"))]


async def test_async_clone_with_allowlist(redis: Redis) -> None:
    """The same of AsyncRedisSaver; saver and clone may be used at once."""
    kept = checkpoint("1", mood=Mood("calm"))
    url = url_of(redis)
    async with AsyncRedisSaver.from_conn_string(url, serde=STRICT, max_connections=1) as saver:
        clone = saver.with_allowlist(ALLOWED)
        assert clone is not saver
        await saver.aput(config(), kept, {}, kept["channel_versions"])
        before = redis.info("stats")["total_connections_received"]
        writes = [("mood", Mood("glad"))]
        await asyncio.gather(
            *(clone.aput_writes(config("t", "", "1"), writes, str(n)) for n in range(5)),
            *(saver.aput_writes(config("t", "", "1"), writes, str(n)) for n in range(5, 9)),
        )
        found = await clone.aget_tuple(config())
        assert redis.info("stats")["total_connections_received"] == before
        assert found is not None
        assert found.checkpoint["channel_values"] == {"mood": Mood("calm")}
        assert found.pending_writes == [(str(n), "mood", Mood("glad")) for n in range(9)]


def url_of(redis: Redis) -> str:
    """URL of the server of a client."""
    return f"unix://{redis.get_connection_kwargs()['path']}"


def test_next_version(saver: RedisSaver) -> None:
    """Versions grow strictly, as strings, over changes of their number of digits."""
    versions = [saver.get_next_version(None, None)]
    for _ in range(1200):
        versions.append(saver.get_next_version(versions[-1], None))
    assert versions == sorted(set(versions))
    assert [int(version.split(".")[0]) for version in versions] == list(range(1, 1202))


@pytest.mark.parametrize(
    "before",
    [
        0,
        1,
        9,
        2**53 + 1,
        0.0,
        7.5,
        1e16,
        "3",
        "9.25",
        f"{99:032}.7",
    ],
)
def test_next_version_after_another_savers(saver: RedisSaver, before: Any) -> None:
    """After a version of any kind that other savers use comes one with the next whole number."""
    after = saver.get_next_version(before, None)
    whole = int(before.split(".")[0]) if isinstance(before, str) else int(before)
    assert int(after.split(".")[0]) == whole + 1
    assert saver.get_next_version(after, None) > after


def test_forks_get_different_versions(saver: RedisSaver) -> None:
    """Two forks of one thread do not get the same version: neither overwrites the other."""
    version = saver.get_next_version(None, None)
    assert len({saver.get_next_version(version, None) for _ in range(100)}) == 100
