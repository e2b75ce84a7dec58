"""Runs of LangGraph graphs against the same runs on InMemorySaver.

Both sides are LangGraph itself with the same graph, whose nodes take no time of their own, and both
savers serialise. Ours adds the server, its scripts and the way there; there is nothing to hide it
behind, since no node waits for a model.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError

from benchmarks.graphs import (
    SUPERSTEPS_A_TURN,
    TASKS,
    chat_graph,
    fan_out_graph,
    loop_graph,
    question,
    thread,
)
from benchmarks.measure import Comparison, atime_pair, rounds, time_pair
from saver import AsyncRedisSaver, RedisSaver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from langgraph.types import Durability

    from benchmarks.environment import Environment
    from benchmarks.graphs import Graph

    MakeGraph = Callable[..., Graph]

CHAT_SUPERSTEPS = 100
CHAT_TURNS = 10
AGENTS = 32
TURNS_AN_AGENT = 2


def chat(environment: Environment) -> list[Comparison]:
    """A chat of 100 supersteps in one run, each step saved before the next."""
    comparison = Comparison("superstep of a run", asked=1.5, supersteps=CHAT_SUPERSTEPS)
    return [_compare(environment, comparison, loop_graph, _play_loop)]


def turns(environment: Environment) -> list[Comparison]:
    """A chat of 10 runs, each of which loads the thread and saves its input first."""
    supersteps = CHAT_TURNS * SUPERSTEPS_A_TURN
    comparison = Comparison("superstep, a run a turn", supersteps=supersteps)
    return [_compare(environment, comparison, chat_graph, _play_turns)]


def fan_out(environment: Environment) -> list[Comparison]:
    """A run with 50 parallel tasks."""
    comparison = Comparison(f"fan-out of {TASKS} tasks", asked=2)
    return [_compare(environment, comparison, fan_out_graph, _fan_out)]


def async_fan_out(environment: Environment) -> list[Comparison]:
    """The same with `ainvoke`."""
    comparison = Comparison(f"async fan-out of {TASKS} tasks", asked=2)
    return [asyncio.run(_acompare(environment, comparison, fan_out_graph, _afan_out))]


def agents(environment: Environment) -> list[Comparison]:
    """32 concurrent chats on one saver: supersteps a second, as LangGraph saves by default."""
    return [_agents(environment, "async", asked=0.7)]


def agents_sync(environment: Environment) -> list[Comparison]:
    """The same, each step saved before the next."""
    return [_agents(environment, "sync", asked=None)]


def _agents(environment: Environment, durability: Durability, asked: float | None) -> Comparison:
    supersteps = AGENTS * TURNS_AN_AGENT * SUPERSTEPS_A_TURN
    name = f"{AGENTS} agents, {durability} durability"
    comparison = Comparison(name, asked, supersteps, is_rate=True)
    play = partial(_play_agents, durability=durability)
    return asyncio.run(_acompare(environment, comparison, chat_graph, play))


def _compare(
    environment: Environment,
    comparison: Comparison,
    make_graph: MakeGraph,
    play: Callable[[Graph, str], None],
) -> Comparison:
    with environment.client() as client:
        saver = RedisSaver(client)
        for thread_id in rounds(environment, [comparison]):
            ours, reference = (make_graph(s, is_async=False) for s in (saver, InMemorySaver()))
            time_pair(
                comparison, partial(play, ours, thread_id), partial(play, reference, thread_id)
            )
    return comparison


async def _acompare(
    environment: Environment,
    comparison: Comparison,
    make_graph: MakeGraph,
    play: Callable[[Graph, str], Awaitable[None]],
) -> Comparison:
    async with environment.async_client() as client:
        saver = AsyncRedisSaver(client)
        for thread_id in rounds(environment, [comparison]):
            ours, reference = (make_graph(s, is_async=True) for s in (saver, InMemorySaver()))
            await atime_pair(
                comparison, partial(play, ours, thread_id), partial(play, reference, thread_id)
            )
    return comparison


def _play_loop(graph: Graph, thread_id: str) -> None:
    config = thread(thread_id)
    config["recursion_limit"] = CHAT_SUPERSTEPS
    with suppress(GraphRecursionError):
        graph.invoke({"messages": []}, config, durability="sync")


def _play_turns(graph: Graph, thread_id: str) -> None:
    for turn in range(CHAT_TURNS):
        graph.invoke(question(turn), thread(thread_id), durability="sync")


def _fan_out(graph: Graph, thread_id: str) -> None:
    graph.invoke({"results": []}, thread(thread_id), durability="sync")


async def _afan_out(graph: Graph, thread_id: str) -> None:
    await graph.ainvoke({"results": []}, thread(thread_id), durability="sync")


async def _play_agents(graph: Graph, thread_id: str, *, durability: Durability) -> None:
    async def agent(number: int) -> None:
        config = thread(f"{thread_id}-{number}")
        for turn in range(TURNS_AN_AGENT):
            await graph.ainvoke(question(turn), config, durability=durability)

    await asyncio.gather(*map(agent, range(AGENTS)))
