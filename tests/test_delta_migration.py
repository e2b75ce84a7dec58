"""Channels that begin late, become delta channels, or cease to be: nothing is lost by removals."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from saver import RedisSaver
from tests.delta_graphs import DeltaChannel, appended, check_kept, in_runs, states
from tests.samples import config

if TYPE_CHECKING:
    from tests.servers import Server

AT = config(ns=None)


pytestmark = pytest.mark.usefixtures("sound")


Stored = Annotated[list[Any], operator.add]
Delta = Annotated[list[Any], DeltaChannel(appended, snapshot_frequency=5)]


class PlainState(TypedDict):
    """The state before `a` became a delta channel."""

    a: Stored
    c: Stored


class DeltaState(TypedDict):
    """The state since."""

    a: Delta
    c: Stored


class SwappedState(TypedDict):
    """The other one of the two is a delta channel."""

    a: Stored
    c: Delta


def of_kind(state: Any, saver: Any) -> Any:
    """One graph with one state or the other; not every turn writes `a`."""
    builder = StateGraph(state)
    builder.add_node("one", lambda it: {"c": ["one"], **({} if len(it["c"]) % 3 else {"a": [7]})})
    builder.add_node("two", lambda it: {"c": [len(it.get("a", []))]})
    return builder.add_edge(START, "one").add_edge("one", "two").compile(saver)


class LateState(TypedDict):
    """A channel that turns write from the start, and one that they write later."""

    a: Annotated[list[Any], DeltaChannel(appended, snapshot_frequency=2)]  # type: ignore[valid-type]
    c: Annotated[list[Any], DeltaChannel(appended, snapshot_frequency=5)]  # type: ignore[valid-type]


@pytest.mark.parametrize("late", [1, 3, 4])
def test_channel_first_written_late(saver: RedisSaver, late: int) -> None:
    """A channel that began in the middle of a thread needs nothing from before."""

    def made(saver: Any) -> Any:
        builder = StateGraph(LateState).add_node("one", lambda state: {"a": [len(state["a"])]})
        builder.add_node("two", lambda it: {"c": [7]} if len(it["a"]) > 2 * late else {"a": []})
        return builder.add_edge(START, "one").add_edge("one", "two").compile(saver)

    graph, expected = made(saver), made(InMemorySaver())
    for number in range(14):
        given = {"a": [number]}
        assert graph.invoke(given, AT) == expected.invoke(given, AT)
        before = states(graph, saver)
        saver.prune(["t"], keep_last=2)
        check_kept(before, states(graph, saver), 2, needed=5 * 4)


@pytest.mark.parametrize("durability", ["sync", "exit"])
@pytest.mark.parametrize(
    "kinds",
    [(PlainState, DeltaState), (DeltaState, PlainState), (DeltaState, SwappedState)],
    ids=["plain-delta", "delta-plain", "swapped"],
)
@pytest.mark.parametrize("keep", [None, 1, 2])
def test_channel_that_changes_its_kind(
    server: Server, kinds: Any, keep: int | None, durability: Any
) -> None:
    """A channel becomes a delta channel or ceases to be one: its value is carried over.

    What older checkpoints have stored of it stays as it is.
    """
    with RedisSaver.from_conn_string(server.url, keep_last=keep) as saver:
        memory = InMemorySaver()
        for number in range(12):
            ours, theirs = (of_kind(kinds[number // 3 % 2], each) for each in (saver, memory))
            given = {"c": [number]} if number % 2 else {"a": [number], "c": [number]}
            result = ours.invoke(given, AT, durability=durability)
            assert result == theirs.invoke(given, AT, durability=durability)
            found, wanted = states(ours, saver), states(theirs, memory)
            for mine, other in zip(list(found.values())[:keep], wanted.values(), strict=False):
                assert mine == other
            assert keep or len(found) == len(wanted)


def test_delete_for_runs_of_one_channel(saver: RedisSaver) -> None:
    """With one delta channel the newer runs need the old ones no further than its last snapshot."""
    graph, expected = of_kind(DeltaState, saver), of_kind(DeltaState, InMemorySaver())
    assert in_runs(graph, 20) == in_runs(expected, 20)
    saver.delete_for_runs([f"run{number}" for number in range(18, -1, -1)])
    assert len(list(saver.list(config()))) <= 5 + 5 * 4
    assert in_runs(graph, 5, first=20) == in_runs(expected, 5, first=20)
