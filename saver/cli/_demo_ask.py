"""The part of the demo that runs the agent, sync and async."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from saver import AsyncRedisSaver, RedisSaver
from saver.cli._demo_agent import WEATHER, cities_told, question_about, weather_agent

if TYPE_CHECKING:
    from langchain_core.messages import AnyMessage

    from saver.cli._demo_report import Demo


def ask_and_read_back(demo: Demo) -> None:
    """Runs the agent sync and async; the other kind of saver reads each state back."""
    report = demo.report
    report.part("1. Ask, and read back", "Two runs, each a thread of its own.")
    with report.busy("asking"):
        first, second = _ask(demo, "sf"), asyncio.run(_aask(demo, "nyc"))
    report.table(
        ["saver", "question", "answer"],
        [
            ["RedisSaver", first[0].text, first[-1].text],
            ["AsyncRedisSaver", second[0].text, second[-1].text],
        ],
    )
    for city, messages in (("sf", first), ("nyc", second)):
        report.claim(
            f'the agent called its tool: "{WEATHER[city]}"', holds=cities_told(messages) == [city]
        )
    report.claim(
        f"AsyncRedisSaver reads the {len(first)} messages that RedisSaver kept, all equal",
        holds=asyncio.run(_aread(demo, "sf")) == first,
    )
    report.claim(
        f"RedisSaver reads the {len(second)} messages that AsyncRedisSaver kept, all equal",
        holds=_read(demo, "nyc") == second,
    )


def _input(city: str) -> dict[str, Any]:
    return {"messages": [("human", question_about(city))]}


def _ask(demo: Demo, city: str) -> list[AnyMessage]:
    with RedisSaver.from_conn_string(demo.url) as saver:
        result = weather_agent(saver, demo.model).invoke(_input(city), demo.thread(city))
    return list(result["messages"])


async def _aask(demo: Demo, city: str) -> list[AnyMessage]:
    async with AsyncRedisSaver.from_conn_string(demo.url) as saver:
        agent = weather_agent(saver, demo.model)
        result = await agent.ainvoke(_input(city), demo.thread(city))
    return list(result["messages"])


def _read(demo: Demo, city: str) -> Any:
    with RedisSaver.from_conn_string(demo.url) as saver:
        found = saver.get_tuple(demo.thread(city))
    return found and found.checkpoint["channel_values"]["messages"]


async def _aread(demo: Demo, city: str) -> Any:
    async with AsyncRedisSaver.from_conn_string(demo.url) as saver:
        found = await saver.aget_tuple(demo.thread(city))
    return found and found.checkpoint["channel_values"]["messages"]
