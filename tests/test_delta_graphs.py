"""Graphs with delta channels lose nothing when pruned, trimmed, copied or cut by run."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import Command
from typing_extensions import TypedDict

from saver import AsyncRedisSaver, RedisSaver
from tests.delta_graphs import (
    DeltaChannel,
    appended,
    asking,
    nested,
    staggered,
    states,
    turn,
    turns,
)
from tests.graph_scenarios import plain
from tests.invariants import problems
from tests.samples import config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.servers import Server

AT = config(ns=None)
NEEDED = 8
"""More checkpoints than these graphs ever need before the newest that stay."""


@pytest.fixture(autouse=True)
def whole(redis: Redis) -> Iterator[None]:
    """Whatever a test does, it leaves keys that fit together."""
    yield
    assert problems(redis) == []


@pytest.fixture(params=[1, 3])
def keeping(server: Server, request: pytest.FixtureRequest) -> Iterator[RedisSaver]:
    """A saver that keeps the last checkpoint, or three."""
    with RedisSaver.from_conn_string(server.url, keep_last=request.param) as saver:
        yield saver


def latest(*graphs: Any) -> list[Any]:
    """The latest state in each graph."""
    return [plain(graph.get_state(AT)) for graph in graphs]


def check_kept(
    before: dict[str, Any], after: dict[str, Any], keep: int, needed: int = NEEDED
) -> None:
    """The newest are as before; what they need stays; of the others nothing reads differently."""
    assert list(after)[:keep] == list(before)[:keep]
    assert len(after) <= keep + needed
    for number, (checkpoint_id, state) in enumerate(after.items()):
        assert state == before[checkpoint_id] or (state is None and number >= keep)


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("keep", [1, 2, 5])
def test_prune(saver: RedisSaver, keep: int, durability: Any) -> None:
    """The checkpoints that stay read as before, and the thread goes on as if nothing was removed.

    The two channels never snapshot on one step for long, so that each checkpoint needs older ones.
    """
    graph, expected = staggered(saver), staggered(InMemorySaver())
    for first in range(0, 12, 3):
        wanted = turns(expected, first, first + 3, durability=durability)
        assert turns(graph, first, first + 3, durability=durability) == wanted
        before = states(graph, saver)
        assert None not in list(before.values())[: keep + 2]
        saver.prune(["t"], keep_last=keep)
        check_kept(before, states(graph, saver), keep)
        saver.prune(["t"], keep_last=keep)
        check_kept(before, states(graph, saver), keep)
        ours, theirs = latest(graph, expected)
        assert ours == theirs


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_keep_last(keeping: RedisSaver, durability: Any) -> None:
    """A saver that trims on write gives each turn the same result, and stays small."""
    graph, expected = staggered(keeping), staggered(InMemorySaver())
    for number in range(15):
        wanted = turns(expected, number, number + 1, durability=durability)
        assert turns(graph, number, number + 1, durability=durability) == wanted
        ours, theirs = latest(graph, expected)
        assert ours == theirs
        assert len(list(keeping.list(config()))) <= 3 + NEEDED


def test_interrupted(keeping: RedisSaver) -> None:
    """A run that asked goes on from what was trimmed around it, turn after turn."""
    outcomes = []
    for saver in (keeping, InMemorySaver()):
        graph = asking(saver)
        seen = []
        for number in range(8):
            asked = graph.invoke(turn(number), AT)
            seen.append([it.value for it in asked.pop("__interrupt__")])
            if saver is keeping:
                saver.prune(["t"])
            seen += [asked, plain(graph.get_state(AT)), graph.invoke(Command(resume=number), AT)]
        outcomes.append(seen)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("memory", [False, True])
def test_interrupted_in_subgraph(keeping: RedisSaver, memory: bool) -> None:  # noqa: FBT001
    """The subgraph's own delta channels are there when its run goes on."""
    outcomes = []
    for saver in (keeping, InMemorySaver()):
        graph = nested(saver, memory=memory)
        seen = []
        for number in range(8):
            seen.append(graph.invoke(turn(number), AT))
            if saver is keeping:
                saver.prune(["t"])
            seen.append(plain(graph.get_state(AT, subgraphs=True)))
            seen += [graph.invoke(None, AT), plain(graph.get_state(AT))]
        outcomes.append(seen)
    assert outcomes[0] == outcomes[1]


def forked(graph: Any, saver: Any, back: int, how: str) -> Any:
    """A branch from the checkpoint so many steps back."""
    old = [found.config for found in saver.list(config(), limit=back + 1)][back]
    if how == "turn":
        return graph.invoke(turn(100), old)
    if how == "replay":
        return graph.invoke(None, old)
    fork = graph.update_state(old, {"a": ["by hand"], "b": ["too"]}, "two")
    return plain(graph.get_state(fork)), graph.invoke(None, fork)


@pytest.mark.parametrize("how", ["turn", "replay", "update_state"])
@pytest.mark.parametrize("back", [1, 2, 4])
def test_fork_of_what_was_pruned(saver: RedisSaver, back: int, how: str) -> None:
    """A branch from an older checkpoint that was kept, pruned itself, goes on like its twin."""
    memory = InMemorySaver()
    graph, expected = staggered(saver), staggered(memory)
    for first in range(0, 9, 3):
        turns(graph, first, first + 3)
        turns(expected, first, first + 3)
        saver.prune(["t"], keep_last=5)
        assert forked(graph, saver, back, how) == forked(expected, memory, back, how)
        before = states(graph, saver)
        saver.prune(["t"], keep_last=2)
        after = states(graph, saver)
        assert list(after)[:2] == list(before)[:2]
        assert list(after.values())[:2] == list(before.values())[:2]
        ours, theirs = latest(graph, expected)
        assert ours == theirs


@pytest.mark.parametrize("keep", [1, 3])
async def test_async(server: Server, asaver: AsyncRedisSaver, keep: int) -> None:
    """The same over the async saver, pruned from outside and trimmed by its own writes."""
    async with AsyncRedisSaver.from_conn_string(server.url, keep_last=keep) as trimming:
        expected = staggered(InMemorySaver())
        graphs = {"t": staggered(asaver), "u": staggered(trimming)}
        for number in range(8):
            wanted = await expected.ainvoke(turn(number), AT)
            for thread_id, graph in graphs.items():
                at = config(thread_id, None)
                assert await graph.ainvoke(turn(number), at) == wanted
                state = plain(await graph.aget_state(at))
                await asaver.aprune([thread_id], keep_last=keep)
                assert plain(await graph.aget_state(at)) == state


def in_runs(graph: Any, count: int, first: int = 0) -> list[Any]:
    """Turns, each a run of its own."""
    return [
        graph.invoke(turn(number), {**AT, "metadata": {"run_id": f"run{number}"}})
        for number in range(first, first + count)
    ]


@pytest.mark.parametrize("kept", [1, 2, 4])
def test_delete_for_runs(saver: RedisSaver, kept: int) -> None:
    """Old runs go as far as no other needs them; every checkpoint that is left reads as before."""
    graph, expected = staggered(saver), staggered(InMemorySaver())
    assert in_runs(graph, 8) == in_runs(expected, 8)
    before = states(graph, saver)
    for old in range(7 - kept, -1, -1):
        saver.delete_for_runs([f"run{old}"])
        after = states(graph, saver)
        assert after == {checkpoint_id: before[checkpoint_id] for checkpoint_id in after}
    assert len(after) < len(before)
    assert {found.metadata["run_id"] for found in saver.list(config())} >= {
        f"run{number}" for number in range(8 - kept, 8)
    }
    assert in_runs(graph, 3, first=8) == in_runs(expected, 3, first=8)


def test_delete_for_runs_of_one_channel(saver: RedisSaver) -> None:
    """With one delta channel the newer runs need the old ones no further than its last snapshot."""
    graph, expected = of_kind(DeltaState, saver), of_kind(DeltaState, InMemorySaver())
    assert in_runs(graph, 20) == in_runs(expected, 20)
    saver.delete_for_runs([f"run{number}" for number in range(18, -1, -1)])
    assert len(list(saver.list(config()))) <= 5 + 5 * 4
    assert in_runs(graph, 5, first=20) == in_runs(expected, 5, first=20)


@pytest.mark.parametrize("pruned", [False, True])
def test_copy_thread(saver: RedisSaver, pruned: bool) -> None:  # noqa: FBT001
    """Every checkpoint of the copy reads as that of the source does; both go on alike."""
    graph = staggered(saver)
    turns(graph, 0, 5)
    forked(graph, saver, 3, "update_state")
    turns(graph, 5, 8)
    if pruned:
        saver.prune(["t"], keep_last=2)
    saver.copy_thread("t", "u")
    assert states(graph, saver, "u") == states(graph, saver)
    for keep in (3, 1):
        saver.prune(["t", "u"], keep_last=keep)
        assert states(graph, saver, "u") == states(graph, saver)
    assert turns(graph, 8, 10) == turns(graph, 8, 10, config("u", None))


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
