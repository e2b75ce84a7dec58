"""The graphs that are run on both savers; their nodes do nothing but return messages."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Send

from benchmarks.chat import TURN, message

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

    Node = Any  # a function of the state, async or not
    Graph = CompiledStateGraph[Any, Any, Any, Any]

SUPERSTEPS_A_TURN = 5
"""__start__, guard, agent, tools, agent; the question comes as the input."""
TASKS = 50


class ChatState(MessagesState):
    """The chat, and what the guard found it to be about."""

    topic: str


class FanOutState(TypedDict):
    """Results of the workers."""

    results: Annotated[list[str], operator.add]


def chat_graph(saver: BaseCheckpointSaver[Any], *, is_async: bool) -> Graph:
    """A guard, then an agent that calls a tool and answers. Each turn is one run."""
    adapt = _async_node if is_async else _same
    builder = StateGraph(ChatState)
    builder.add_node("guard", adapt(_guard))
    builder.add_node("agent", adapt(_next_message))
    builder.add_node("tools", adapt(_next_message))
    builder.add_edge(START, "guard")
    builder.add_edge("guard", "agent")
    builder.add_conditional_edges("agent", _route, ["tools", END])
    builder.add_edge("tools", "agent")
    return builder.compile(checkpointer=saver)


def loop_graph(saver: BaseCheckpointSaver[Any], *, is_async: bool) -> Graph:
    """A user, an agent and its tool in a loop without end: a whole chat in one run."""
    adapt = _async_node if is_async else _same
    builder = StateGraph(ChatState)
    builder.add_node("user", adapt(_next_message))
    builder.add_node("agent", adapt(_next_message))
    builder.add_node("tools", adapt(_next_message))
    builder.add_edge(START, "user")
    builder.add_edge("user", "agent")
    builder.add_conditional_edges("agent", _route, {"tools": "tools", END: "user"})
    builder.add_edge("tools", "agent")
    return builder.compile(checkpointer=saver)


def question(turn: int) -> Any:
    """Input of a turn of the chat."""
    return {"messages": [message(turn * TURN)]}


def fan_out_graph(saver: BaseCheckpointSaver[Any], *, is_async: bool) -> Graph:
    """50 tasks in one superstep, gathered by the next."""
    adapt = _async_node if is_async else _same
    builder = StateGraph(FanOutState)
    builder.add_node("plan", adapt(_nothing))
    builder.add_node("work", adapt(_work))
    builder.add_node("gather", adapt(_nothing))
    builder.add_edge(START, "plan")
    builder.add_conditional_edges("plan", _send_tasks, ["work"])
    builder.add_edge("work", "gather")
    return builder.compile(checkpointer=saver)


def thread(thread_id: str, **more: str) -> RunnableConfig:
    """A config that names a thread."""
    return {"configurable": {"thread_id": thread_id, **more}}


def _guard(state: ChatState) -> dict[str, Any]:
    return {"topic": f"topic {len(state['messages'])}"}


def _next_message(state: ChatState) -> dict[str, Any]:
    return {"messages": [message(len(state["messages"]))]}


def _route(state: ChatState) -> str:
    return "tools" if getattr(state["messages"][-1], "tool_calls", None) else END


def _nothing(_: FanOutState) -> dict[str, Any]:
    return {"results": []}


def _send_tasks(_: FanOutState) -> list[Send]:
    return [Send("work", {"number": number}) for number in range(TASKS)]


def _work(task: dict[str, int]) -> dict[str, Any]:
    return {"results": [f"result of task {task['number']}: {message(2).text}"]}


def _same(node: Node) -> Node:
    return node


def _async_node(node: Node) -> Node:
    async def run(state: Any) -> Any:
        return node(state)

    run.__name__ = node.__name__
    return run
