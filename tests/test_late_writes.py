"""Deleted stays deleted: what a run that goes on writes after delete_thread, or after expiry."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from saver import RedisSaver
from saver.errors import LostKeysError
from tests.graph_scenarios import Driver
from tests.invariants import problems
from tests.lifecycle import delta, expires_at, fill, let_expire, neighbor, stored
from tests.samples import checkpoint, config, ids, put

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from saver import AsyncRedisSaver


pytestmark = pytest.mark.usefixtures("sound")


def test_put_writes(saver: RedisSaver, redis: Redis) -> None:
    """Alone they show nowhere as a checkpoint, and the next delete_thread removes them."""
    at = put(saver, config(), checkpoint("1", a=1), run_id="run")
    saver.delete_thread("t")
    saver.put_writes(at, [("a", 2)], "task")
    assert saver.get_tuple(config()) is None
    assert saver.get_tuple(at) is None
    assert list(saver.list(config(ns=None))) == list(saver.list(None)) == []
    (info,) = saver.threads()
    assert (info.thread_id, info.checkpoints, info.checkpoint_id) == ("t", 0, None)
    saver.prune(["t"])
    saver.delete_for_runs(["run"])
    assert redis.exists("saver:{680}:writes:t")
    saver.delete_thread("t")
    assert redis.keys() == []


def unchanged(before: Any, checkpoint_id: str, **channel_values: Any) -> Any:
    """A checkpoint that follows `before`, with some channels changed; and the new versions."""
    made = checkpoint(checkpoint_id, **channel_values)
    new_versions = dict(made["channel_versions"])
    for part in ("channel_values", "channel_versions"):
        made[part] = {**before[part], **made[part]}  # type: ignore[literal-required]
    return made, new_versions


@pytest.mark.parametrize("how", ["deleted", "expired", "pruned away"])
def test_put(redis: Redis, how: str) -> None:
    """The next superstep's checkpoint is whole: with the values that were stored before, too."""
    saver = RedisSaver(redis, ttl=10_000)
    first = checkpoint("1", kept=["kept"], a=1, none=None)
    at = put(saver, config(), first)
    fill(saver, neighbor("t"))
    second, new_versions = unchanged(first, "2", a=2)
    if how == "deleted":
        saver.delete_thread("t")
    elif how == "expired":
        let_expire(redis)
    else:
        saver.prune(["t"], strategy="delete")
    at = saver.put(at, second, {}, new_versions)
    found = saver.get_tuple(config())
    assert found is not None
    assert found.checkpoint["channel_values"] == {"kept": ["kept"], "a": 2, "none": None}
    assert found.checkpoint["channel_versions"] == second["channel_versions"]
    assert ids(saver.list(config())) == ["2"]
    assert expires_at(redis) > 0
    assert found.parent_config is not None
    assert saver.get_tuple(found.parent_config) is None
    third, new_versions = unchanged(second, "3", a=3)
    saver.put(at, third, {}, new_versions)
    assert len(stored(redis)["values"]) == 4
    saver.delete_thread("t")
    assert stored(redis) == {}


def test_channels_that_lost_their_value(saver: RedisSaver, redis: Redis) -> None:
    """A channel without a value stays without one in the checkpoint that is stored whole."""
    first = checkpoint("1", a=1, b=1)
    at = put(saver, config(), first)
    second, new_versions = unchanged(first, "2", a=2)
    del second["channel_values"]["b"]
    saver.delete_thread("t")
    saver.put(at, second, {}, {**new_versions, "b": second["channel_versions"]["b"]})
    found = saver.get_tuple(config())
    assert found is not None
    assert found.checkpoint["channel_values"] == {"a": 2}
    assert found.checkpoint["channel_versions"] == second["channel_versions"]


def test_another_namespace(saver: RedisSaver) -> None:
    """Each namespace has values of its own."""
    kept = {}
    for ns in ("", "sub"):
        kept[ns] = checkpoint("1", kept=ns, a=1)
        put(saver, config(ns=ns), kept[ns])
    saver.delete_thread("t")
    for ns, first in kept.items():
        second, new_versions = unchanged(first, "2", a=2)
        saver.put(config("t", ns, "1"), second, {}, new_versions)
    assert [each.checkpoint["channel_values"]["kept"] for each in saver.list(config(ns=None))] == [
        "sub",
        "",
    ]


class State(TypedDict, total=False):
    """A channel that only the input sets, one that grows, one that each step replaces."""

    given: str
    steps: Annotated[list[str], operator.add]
    last: str


def meddled(saver: Any, meddle: Callable[[], object], *, nested: bool) -> Any:
    """A graph of five steps; `meddle` is called in the middle of its second turn."""

    def step(name: str) -> Callable[[State], State]:
        def run(state: State) -> State:
            if name == "c" and state["given"] == "second":
                meddle()
            return {"steps": [name], "last": name}

        return run

    def chain(names: str, checkpointer: Any) -> Any:
        builder = StateGraph(State)
        for before, name in zip(["", *names], names, strict=False):
            builder.add_node(name, step(name)).add_edge(before or START, name)
        return builder.compile(checkpointer)

    if not nested:
        return chain("abcde", saver)
    inner = chain("bcd", None)
    builder = StateGraph(State).add_node("a", step("a")).add_node("inner", inner)
    builder.add_node("e", step("e"))
    return builder.add_edge(START, "a").add_edge("a", "inner").add_edge("inner", "e").compile(saver)


async def turns(driver: Driver, graph: Any, durability: str) -> Any:
    """Three turns: what each returned, and what is stored after it."""
    outcomes = []
    for given in ("first", "second", "third"):
        at = config(ns=None)
        result = await driver.call(graph, "invoke", {"given": given}, at, durability=durability)
        state = await driver.call(graph, "get_state", at)
        outcomes.append((result, state.values, state.next))
    return outcomes


@pytest.mark.parametrize("how", ["deleted", "expired"])
@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("kind", ["RedisSaver", "RedisSaver, ainvoke", "AsyncRedisSaver"])
async def test_graphs(
    saver: RedisSaver,
    asaver: AsyncRedisSaver,
    redis: Redis,
    kind: str,
    durability: str,
    nested: bool,  # noqa: FBT001
    how: str,
) -> None:
    """A thread that goes away in the middle of a turn: the run does not notice, nor does the next.

    What is stored is the run's state, whole, as if nothing had happened but for the history.
    """
    calm = meddled(InMemorySaver(), lambda: None, nested=nested)
    expected = await turns(Driver(InMemorySaver(), asynchronous=False), calm, durability)
    gone = []

    def meddle() -> None:
        gone.append(stored(redis))
        if how == "deleted":
            RedisSaver(redis).delete_thread("t")
        else:
            let_expire(redis)

    mine: Any = asaver if kind == "AsyncRedisSaver" else saver
    graph = meddled(mine, meddle, nested=nested)
    driver = Driver(mine, asynchronous=kind != "RedisSaver")
    assert await turns(driver, graph, durability) == expected
    assert len(gone) == 1
    assert gone[0]
    for state in await driver.history(graph, config(ns=None)):
        assert state.values
    assert problems(redis) == []
    saver.delete_thread("t")
    assert redis.keys() == []


def test_delta_channels(saver: RedisSaver, redis: Redis) -> None:
    """What a delta channel was rebuilt from is gone: that raises, and never reads as less.

    A snapshot makes the thread readable again, and so does another deletion.
    """
    fill(saver)
    saver.delete_thread("t")
    at = config(checkpoint_id="3")
    steps = {"counters_since_delta_snapshot": {"log": [4, 4]}}
    at = put(saver, at, delta("4", 4, 4, a=1), **steps)
    saver.put_writes(at, [("log", [4])], "task")
    at = put(saver, at, delta("5", 5, 5, a=1), **steps)
    assert ids(saver.list(config())) == ["5", "4"]
    with pytest.raises(LostKeysError):
        saver.get_delta_channel_history(config=at, channels=["log"])
    at = put(saver, at, delta("6", 6, 0))
    put(saver, at, delta("7", 7, 1), **steps)
    history = saver.get_delta_channel_history(config=config(), channels=["log"])
    assert history == {"log": {"writes": [], "seed": ["seed 6"]}}
    saver.delete_thread("t")
    assert redis.keys() == []
