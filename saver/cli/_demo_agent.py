"""The agent of the demo: LangChain's ReAct agent with one tool, and a model that needs no key."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import BaseTool, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from langchain_core.callbacks import CallbackManagerForLLMRun
    from langchain_core.runnables import Runnable
    from langgraph.graph.state import CompiledStateGraph

    from saver._base import BaseRedisSaver

    Agent = CompiledStateGraph[Any, Any, Any, Any]

WEATHER = {"sf": "It's always sunny in sf", "nyc": "It might be cloudy in nyc"}


def question_about(city: str) -> str:
    """The guide's question."""
    return f"what's the weather in {city}"


def cities_told(messages: Sequence[BaseMessage]) -> list[str]:
    """The cities whose weather the tools told."""
    told = [it.text for it in messages if isinstance(it, ToolMessage)]
    return [city for text in told for city, weather in WEATHER.items() if weather == text]


@tool
def get_weather(city: Literal["nyc", "sf"]) -> str:
    """Use this to get weather information."""
    return WEATHER[city]


class ScriptedModel(BaseChatModel):
    """Calls `get_weather` for each city in the question, then repeats what the tools answered."""

    on_call: Any = None
    """Called without arguments before each answer."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],  # noqa: ARG002
        *,
        tool_choice: str | None = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> Runnable[Any, AIMessage]:
        """It knows its one tool already."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,  # noqa: ARG002
    ) -> ChatResult:
        if self.on_call:
            self.on_call()
        asked = max(at for at, it in enumerate(messages) if isinstance(it, HumanMessage))
        if asked == len(messages) - 1:
            answer = AIMessage("", tool_calls=_calls_for(messages[asked].text))
        else:
            found = [it.text for it in messages[asked:] if isinstance(it, ToolMessage)]
            answer = AIMessage(". ".join(found))
        return ChatResult(generations=[ChatGeneration(message=answer)])


def _calls_for(question: str) -> list[Any]:
    cities = [city for city in WEATHER if city in question.split()]
    return [
        {"name": "get_weather", "args": {"city": city}, "id": f"call-{city}"} for city in cities
    ]


def chosen_model() -> tuple[BaseChatModel, str]:
    """ChatOpenAI when there are a key and langchain-openai, else the scripted model; its name."""
    if os.environ.get("OPENAI_API_KEY") and find_spec("langchain_openai"):
        model = import_module("langchain_openai").ChatOpenAI(model="gpt-4o-mini", temperature=0)
        return model, "gpt-4o-mini"
    return ScriptedModel(), "scripted, no key needed"


def weather_agent(
    saver: BaseRedisSaver,
    model: BaseChatModel | None = None,
    get_weather: BaseTool = get_weather,
) -> Agent:
    """The agent, with its state in `saver`."""
    return create_agent(model or ScriptedModel(), tools=[get_weather], checkpointer=saver)
