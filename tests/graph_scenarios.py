"""Real graphs, each run to an outcome that must not depend on the saver."""

from __future__ import annotations

import asyncio
import operator
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, Send, StateSnapshot, interrupt

from tests.samples import config

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import BaseCheckpointSaver


@dataclass
class Driver:
    """Calls a graph with its sync methods, from a thread, or with its async ones."""

    saver: BaseCheckpointSaver[Any]
    asynchronous: bool

    async def call(self, target: Any, method: str, *args: Any, **options: Any) -> Any:
        """Calls `method` of a graph or a saver, or its async twin."""
        if self.asynchronous:
            return await getattr(target, "a" + method)(*args, **options)
        return await asyncio.to_thread(getattr(target, method), *args, **options)

    async def history(self, graph: Any, at: RunnableConfig) -> list[StateSnapshot]:
        """State history, newest first."""
        if self.asynchronous:
            return [state async for state in graph.aget_state_history(at)]
        return await asyncio.to_thread(lambda: list(graph.get_state_history(at)))


def plain(state: StateSnapshot) -> Any:
    """A snapshot without what differs between two runs: ids and times."""
    metadata = {name: value for name, value in (state.metadata or {}).items() if name != "parents"}
    tasks = [
        (task.name, task.path[:2], task.error, [it.value for it in task.interrupts], task.result)
        for task in state.tasks
    ]
    nested = [plain(task.state) for task in state.tasks if isinstance(task.state, StateSnapshot)]
    return (state.values, state.next, metadata, tasks, nested, state.parent_config is None)


class Total(TypedDict):
    """State that adds up."""

    steps: Annotated[list[str], operator.add]


def chat(saver: Any) -> Any:
    """Answers with the number of messages so far."""

    def answer(state: MessagesState) -> Any:
        number = len(state["messages"])
        return {"messages": [AIMessage(f"{number}: {state['messages'][-1].text}", id=f"a{number}")]}

    return StateGraph(MessagesState).add_node(answer).add_edge(START, "answer").compile(saver)


def said(text: str) -> Any:
    """Input of one turn."""
    return {"messages": [HumanMessage(text, id=text)]}


def chain(saver: Any, **options: Any) -> Any:
    """Three steps, one after the other."""
    builder = StateGraph(Total)
    for name in "abc":
        builder.add_node(name, lambda _, name=name: {"steps": [name]})
    return (
        builder.add_edge(START, "a").add_edge("a", "b").add_edge("b", "c").compile(saver, **options)
    )


async def several_turns(driver: Driver) -> Any:
    """Turns of two chats, mixed."""
    graph = chat(driver.saver)
    for text in ("one", "two", "three"):
        for thread_id in ("t", "u"):
            await driver.call(graph, "invoke", said(text + thread_id), config(thread_id, None))
    return [
        [plain(state) for state in await driver.history(graph, config(thread_id, None))]
        for thread_id in ("t", "u", "nobody's")
    ]


async def interrupted(driver: Driver) -> Any:
    """A node that asks twice, beside one that finishes."""
    ran: list[str] = []

    def ask(_: Total) -> Any:
        ran.append("ask")
        return {"steps": [interrupt("first?") + interrupt("second?")]}

    def work(_: Total) -> Any:
        ran.append("work")
        return {"steps": ["worked"]}

    builder = StateGraph(Total).add_node(ask).add_node(work)
    graph = builder.add_edge(START, "ask").add_edge(START, "work").compile(driver.saver)
    seen = []
    for given in ({"steps": ["0"]}, Command(resume="A"), Command(resume="B")):
        result = await driver.call(graph, "invoke", given, config(ns=None))
        asked = [it.value for it in result.pop("__interrupt__", ())]
        seen.append((result, asked, plain(await driver.call(graph, "get_state", config(ns=None)))))
    assert sorted(ran) == ["ask", "ask", "ask", "work"]
    return seen, [plain(state) for state in await driver.history(graph, config(ns=None))]


async def failed_task(driver: Driver) -> Any:
    """A fan-out of which one task fails, when the others' writes are stored; then the retry."""
    ran: list[int] = []
    at = config(ns=None)

    def finished() -> int:
        found = driver.saver.get_tuple(at)
        writes = found.pending_writes or [] if found else []
        return sum(channel == "steps" for _, channel, _ in writes)

    def work(item: int) -> Any:
        ran.append(item)
        if item == 2 and ran.count(2) == 1:
            deadline = time.monotonic() + 20
            while finished() < 3 and time.monotonic() < deadline:
                threading.Event().wait(0.005)
            raise LookupError(item)
        return {"steps": [f"worked {item}"]}

    builder = StateGraph(Total).add_node("work", work).add_node("end", lambda _: {"steps": ["end"]})
    builder.add_conditional_edges(START, lambda _: [Send("work", item) for item in range(4)])
    graph = builder.add_edge("work", "end").add_edge("end", END).compile(driver.saver)
    with pytest.raises(LookupError):
        await driver.call(graph, "invoke", {"steps": ["0"]}, at)
    between = plain(await driver.call(graph, "get_state", at))
    result = await driver.call(graph, "invoke", None, at)
    assert sorted(ran) == [0, 1, 2, 2, 3]
    return between, result, [plain(state) for state in await driver.history(graph, at)]


async def subgraph_with_memory(driver: Driver) -> Any:
    """A subgraph that keeps its own state from turn to turn."""
    within = chain(True)  # noqa: FBT003 - LangGraph's way to say so
    builder = StateGraph(Total).add_node("within", within).add_edge(START, "within")
    graph = builder.compile(driver.saver)
    at = config(ns=None)
    results = [await driver.call(graph, "invoke", {"steps": [turn]}, at) for turn in ("one", "two")]
    inside = {"configurable": {"thread_id": "t", "checkpoint_ns": "within"}}
    state = await driver.call(graph, "get_state", inside)
    histories = [await driver.history(graph, each) for each in (at, inside)]
    return results, plain(state), [[plain(each) for each in history] for history in histories]


async def subgraph_in_node(driver: Driver) -> Any:
    """A node that calls a graph which is interrupted."""

    def ask(_: Total) -> Any:
        return {"steps": [interrupt("inside?")]}

    within = StateGraph(Total).add_node(ask).add_edge(START, "ask").compile()

    def node(state: Total) -> Any:
        return {"steps": within.invoke({"steps": state["steps"][-1:]})["steps"]}

    graph = StateGraph(Total).add_node(node).add_edge(START, "node").compile(driver.saver)
    at = config(ns=None)
    first = await driver.call(graph, "invoke", {"steps": ["0"]}, at)
    asked = [it.value for it in first.pop("__interrupt__")]
    state = plain(await driver.call(graph, "get_state", at, subgraphs=True))
    result = await driver.call(graph, "invoke", Command(resume="yes"), at)
    return first, asked, state, result, [plain(it) for it in await driver.history(graph, at)]


async def time_travel(driver: Driver) -> Any:
    """A replay and a new turn from a checkpoint of the past, which stays as it was."""
    graph = chat(driver.saver)
    at = config(ns=None)
    for text in ("one", "two", "three"):
        await driver.call(graph, "invoke", said(text), at)
    history = await driver.history(graph, at)
    old = next(state for state in history if len(state.values["messages"]) == 3 and state.next)
    replayed = await driver.call(graph, "invoke", None, old.config)
    forked = await driver.call(graph, "invoke", said("other"), old.config)
    after = await driver.history(graph, at)
    assert after[-len(history) :] == history
    assert await driver.call(graph, "get_state", old.config) == old
    return replayed, forked, [plain(state) for state in after]


async def updated_state(driver: Driver) -> Any:
    """A fork by update_state, run on from there."""
    graph = chain(driver.saver)
    at = config(ns=None)
    await driver.call(graph, "invoke", {"steps": ["0"]}, at)
    old = next(state for state in await driver.history(graph, at) if state.next == ("b",))
    fork = await driver.call(graph, "update_state", old.config, {"steps": ["by hand"]}, "b")
    state = plain(await driver.call(graph, "get_state", fork))
    result = await driver.call(graph, "invoke", None, fork)
    return state, result, [plain(each) for each in await driver.history(graph, at)]


async def every_durability(driver: Driver) -> Any:
    """The three ways to save, one thread each, one of them stopped in the middle."""
    graph = chain(driver.saver, interrupt_before=["c"])
    outcome = []
    for durability in ("sync", "async", "exit"):
        at = config(durability, None)
        for given in ({"steps": ["0"]}, None):
            result = await driver.call(graph, "invoke", given, at, durability=durability)
            states = await driver.history(graph, at)
            outcome.append((result, [plain(state) for state in states]))
    return outcome


def appended(state: list[str], writes: list[list[str]]) -> list[str]:
    """A reducer that takes many writes at once."""
    return state + [item for write in writes for item in write]


async def delta_channel(driver: Driver) -> Any:
    """A channel kept as writes, with a snapshot now and then; then a fork of its past."""
    channels = pytest.importorskip("langgraph.channels")
    if not hasattr(channels, "DeltaChannel"):
        pytest.skip("this langgraph has no DeltaChannel")
    channel = channels.DeltaChannel(appended, snapshot_frequency=4)
    state_type = TypedDict("state_type", {"steps": Annotated[list[str], channel]})  # type: ignore[misc,valid-type] # noqa: UP013
    builder = StateGraph(state_type)
    builder.add_node("node", lambda state: {"steps": [f"after {len(state['steps'])}"]})
    graph = builder.add_edge(START, "node").compile(driver.saver)
    at = config(ns=None)
    for turn in range(7):
        await driver.call(graph, "invoke", {"steps": [str(turn)]}, at)
    history = await driver.history(graph, at)
    old = next(state for state in history if len(state.values["steps"]) == 6)
    forked = await driver.call(graph, "invoke", {"steps": ["fork"]}, old.config)
    seen = await driver.call(
        driver.saver, "get_delta_channel_history", config=at, channels=["steps"]
    )
    writes = [(name, value) for _, name, value in seen["steps"]["writes"]]
    return forked, writes, [plain(state) for state in await driver.history(graph, at)]


async def deleted_thread(driver: Driver) -> Any:
    """A thread deleted and begun anew, beside one that stays."""
    graph = chat(driver.saver)
    for thread_id in ("t", "u"):
        await driver.call(graph, "invoke", said("before"), config(thread_id, None))
    await driver.call(driver.saver, "delete_thread", "t")
    gone = plain(await driver.call(graph, "get_state", config(ns=None)))
    assert await driver.history(graph, config(ns=None)) == []
    await driver.call(graph, "invoke", said("after"), config(ns=None))
    return gone, [
        [plain(state) for state in await driver.history(graph, config(thread_id, None))]
        for thread_id in ("t", "u")
    ]


SCENARIOS: list[Callable[[Driver], Awaitable[Any]]] = [
    several_turns, interrupted, failed_task, subgraph_with_memory, subgraph_in_node, time_travel,
    updated_state, every_durability, delta_channel, deleted_thread,
]  # fmt: skip
