"""Graphs with delta channels, and what is compared of them."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from saver.errors import LostKeysError
from tests.graph_scenarios import plain
from tests.samples import config

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import BaseCheckpointSaver

channels = pytest.importorskip("langgraph.channels")
if not hasattr(channels, "DeltaChannel"):
    pytest.skip("this langgraph has no DeltaChannel", allow_module_level=True)
DeltaChannel = channels.DeltaChannel


def appended(state: list[Any], writes: list[list[Any]]) -> list[Any]:
    """A reducer that takes many writes at once, and for which their order matters."""
    return state + [item for write in writes for item in write]


class State(TypedDict):
    """Two delta channels whose snapshots rarely fall on one step, and one that is stored whole."""

    a: Annotated[list[Any], DeltaChannel(appended, snapshot_frequency=3)]  # type: ignore[valid-type]
    b: Annotated[list[Any], DeltaChannel(appended, snapshot_frequency=4)]  # type: ignore[valid-type]
    c: Annotated[list[Any], operator.add]


def staggered(
    saver: BaseCheckpointSaver[Any] | bool | None,  # noqa: FBT001 - as LangGraph has it
    **options: Any,
) -> Any:
    """Three steps that write the channels at different rates."""
    builder = StateGraph(State)
    builder.add_node("one", lambda state: {"a": [len(state["a"])], "c": ["one"]})
    builder.add_node("two", lambda state: {"b": [len(state["a"]) + len(state["b"])]})
    builder.add_node("three", lambda state: {"a": [-len(state["b"])], "b": ["3"], "c": ["three"]})
    builder.add_edge(START, "one").add_edge("one", "two").add_edge("two", "three")
    return builder.compile(saver, **options)


def asking(saver: BaseCheckpointSaver[Any] | None) -> Any:
    """A step that asks, beside one that finishes; then one more."""
    builder = StateGraph(State)
    builder.add_node("work", lambda state: {"a": ["worked"], "b": [len(state["a"])]})
    builder.add_node("ask", lambda state: {"a": [interrupt(len(state["a"]))], "c": ["asked"]})
    builder.add_node("end", lambda state: {"b": [len(state["a"])]})
    builder.add_edge(START, "work").add_edge(START, "ask")
    return builder.add_edge(["work", "ask"], "end").compile(saver)


def nested(saver: BaseCheckpointSaver[Any] | None, *, memory: bool = False) -> Any:
    """A subgraph with delta channels of its own, which is interrupted before its last step."""
    inside = staggered(memory or None, interrupt_before=["three"])
    builder = StateGraph(State).add_node("before", lambda state: {"a": [len(state["a"])]})
    builder.add_node("inside", inside).add_node("after", lambda state: {"c": [len(state["a"])]})
    builder.add_edge(START, "before").add_edge("before", "inside").add_edge("inside", "after")
    return builder.compile(saver)


NEEDED = 8
"""More checkpoints than these graphs ever need before the newest that stay."""


def turn(number: int) -> dict[str, list[Any]]:
    """Input of one turn; every third leaves a channel out."""
    given = {"a": [f"a{number}"], "b": [f"b{number}"], "c": [f"c{number}"]}
    if number % 3 == 1:
        del given["b"]
    return given


def turns(
    graph: Any, first: int, last: int, at: RunnableConfig | None = None, **options: Any
) -> list[Any]:
    """Results of the turns `first` to `last` - 1."""
    at = at or config(ns=None)
    return [graph.invoke(turn(number), at, **options) for number in range(first, last)]


def state_at(graph: Any, at: RunnableConfig) -> Any:
    """The state of one checkpoint, or None when it needs ancestors that are gone."""
    try:
        return plain(graph.get_state(at))
    except LostKeysError:
        return None


def states(graph: Any, saver: BaseCheckpointSaver[Any], thread_id: str = "t") -> dict[str, Any]:
    """The state of every checkpoint of the root that is listed, by id, newest first."""
    return {
        found.config["configurable"]["checkpoint_id"]: state_at(graph, found.config)
        for found in saver.list(config(thread_id))
    }


def check_kept(
    before: dict[str, Any], after: dict[str, Any], keep: int, needed: int = NEEDED
) -> None:
    """The newest are as before; what they need stays; of the others nothing reads differently."""
    assert list(after)[:keep] == list(before)[:keep]
    assert len(after) <= keep + needed
    for number, (checkpoint_id, state) in enumerate(after.items()):
        assert state == before[checkpoint_id] or (state is None and number >= keep)


def in_runs(graph: Any, count: int, first: int = 0) -> list[Any]:
    """Turns, each a run of its own."""
    return [
        graph.invoke(turn(number), {**config(ns=None), "metadata": {"run_id": f"run{number}"}})
        for number in range(first, first + count)
    ]
