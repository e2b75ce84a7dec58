"""A process of the demo that runs the agent, and may be killed at any moment.

    python -m saver.cli._demo_worker ask|resume THREAD_ID LOG

SAVER_DEMO_URL names the server. Whatever runs leaves a line in LOG: its process id and its name.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Literal

from langchain_core.tools import tool

from saver import RedisSaver
from saver.cli._demo_agent import WEATHER, ScriptedModel, question_about, weather_agent

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

QUESTION = question_about("sf and nyc")
SLOW_CITY = "nyc"
_SLOW = 60.0
"""Seconds, more than the worker has to live."""


def main() -> None:
    """Asks, with a weather service that hangs for one city, or resumes where another stopped."""
    task, thread_id, log = sys.argv[1:]

    def note(what: str) -> None:
        with open(log, "a", encoding="utf-8") as file:  # noqa: PTH123 - one write, appended whole
            file.write(f"{os.getpid()} {what}\n")

    @tool
    def get_weather(city: Literal["nyc", "sf"]) -> str:
        """Use this to get weather information."""
        note(f"get_weather {city}")
        if task == "ask" and city == SLOW_CITY:
            time.sleep(_SLOW)
        return WEATHER[city]

    config: RunnableConfig = {"configurable": {"thread_id": thread_id}}
    question = {"messages": [("human", QUESTION)]} if task == "ask" else None
    with RedisSaver.from_conn_string(os.environ["SAVER_DEMO_URL"]) as saver:
        model = ScriptedModel(on_call=lambda: note("model"))
        weather_agent(saver, model, get_weather).invoke(question, config)


if __name__ == "__main__":
    main()
