"""Graphs with delta channels lose nothing when pruned, trimmed, copied or cut by run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END
from langgraph.types import Command

from saver import AsyncRedisSaver, RedisSaver
from tests.delta_graphs import (
    NEEDED,
    asking,
    check_kept,
    in_runs,
    nested,
    staggered,
    states,
    turn,
    turns,
)
from tests.graph_scenarios import plain
from tests.samples import config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import Server

AT = config(ns=None)


pytestmark = pytest.mark.usefixtures("sound")


@pytest.fixture(params=[1, 3])
def keeping(server: Server, request: pytest.FixtureRequest) -> Iterator[RedisSaver]:
    """A saver that keeps the last checkpoint, or three."""
    with RedisSaver.from_conn_string(server.url, keep_last=request.param) as saver:
        yield saver


def latest(*graphs: Any) -> list[Any]:
    """The latest state in each graph."""
    return [plain(graph.get_state(AT)) for graph in graphs]


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


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_interrupted(keeping: RedisSaver, durability: Any) -> None:
    """A run that asked goes on from what was trimmed around it, turn after turn."""
    outcomes = []
    for saver in (keeping, InMemorySaver()):
        graph = asking(saver)
        seen = []
        for number in range(8):
            asked = graph.invoke(turn(number), AT, durability=durability)
            seen.append([it.value for it in asked.pop("__interrupt__")])
            if saver is keeping:
                saver.prune(["t"])
            seen += [asked, plain(graph.get_state(AT))]
            seen.append(graph.invoke(Command(resume=number), AT, durability=durability))
        outcomes.append(seen)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("memory", [False, True])
def test_interrupted_in_subgraph(
    keeping: RedisSaver,
    memory: bool,  # noqa: FBT001
    durability: Any,
) -> None:
    """The subgraph's own delta channels are there when its run goes on."""
    outcomes = []
    for saver in (keeping, InMemorySaver()):
        graph = nested(saver, memory=memory)
        seen = []
        for number in range(8):
            seen.append(graph.invoke(turn(number), AT, durability=durability))
            if saver is keeping:
                saver.prune(["t"])
            seen.append(plain(graph.get_state(AT, subgraphs=True)))
            seen.append(graph.invoke(None, AT, durability=durability))
            seen.append(plain(graph.get_state(AT)))
        outcomes.append(seen)
    assert outcomes[0] == outcomes[1]


def forked(graph: Any, saver: Any, back: int, how: str) -> Any:
    """A branch from the checkpoint so many steps back."""
    old = [found.config for found in saver.list(config(), limit=back + 1)][back]
    if how == "turn":
        return graph.invoke(turn(100), old)
    if how == "replay":
        return graph.invoke(None, old)
    if how == "copy":
        fork = graph.update_state(old, None, "__copy__")
    elif how == "clear":
        fork = graph.update_state(old, None, END)
    elif how == "input":
        fork = graph.update_state(old, turn(200), "__start__")
    else:
        fork = graph.update_state(old, {"a": ["by hand"], "b": ["too"]}, "two")
    return plain(graph.get_state(fork)), graph.invoke(None, fork)


@pytest.mark.parametrize("how", ["turn", "replay", "update_state", "copy", "clear", "input"])
@pytest.mark.parametrize("back", [0, 1, 2, 4])
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
