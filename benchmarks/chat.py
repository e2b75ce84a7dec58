"""A realistic chat: messages with text, tool calls and provider metadata; no model is called.

The text is that of docstrings of the standard library, so it compresses and varies as prose does,
and is the same in every run.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import inspect
import json
import logging
import pathlib
import statistics
import subprocess
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

if TYPE_CHECKING:
    from types import ModuleType

    from langchain_core.messages import AnyMessage

TURN = 4
"""Messages in a turn: the question, a tool call, the tool's result, the answer."""

_MODULES = (
    argparse,
    asyncio,
    collections,
    json,
    logging,
    pathlib,
    statistics,
    subprocess,
    threading,
)


def message(position: int) -> AnyMessage:
    """The message at a position of the chat, 0 being the first question."""
    turn, part = divmod(position, TURN)
    name, text = _texts()[turn % len(_texts())]
    if part == 0:
        return HumanMessage(f"What does {name} do, and when should I not use it?", id=_id(position))
    if part == 1:
        call = {"name": "read_documentation", "args": {"name": name, "section": "all"}}
        return _answer(position, "", "tool_calls", [{**call, "id": f"call_{turn:024d}"}])
    if part == 2:
        return ToolMessage(
            text, name="read_documentation", tool_call_id=f"call_{turn:024d}", id=_id(position)
        )
    return _answer(position, f"In short, {name} is for this: {text[: len(text) // 2]}", "stop", [])


def _answer(
    position: int, content: str, finish_reason: str, tool_calls: list[dict[str, object]]
) -> AIMessage:
    """A model's message, with what a provider's integration adds to it."""
    usage = {
        "input_tokens": 350 * position,
        "output_tokens": 20 + len(content) // 4,
        "total_tokens": 350 * position + 20 + len(content) // 4,
    }
    return AIMessage(
        content,
        id=f"run--{_id(position)}",
        tool_calls=tool_calls,
        response_metadata={
            "token_usage": {**usage, "prompt_tokens_details": {"cached_tokens": 0}},
            "model_provider": "openai",
            "model_name": "gpt-4.1-mini-2025-04-14",
            "system_fingerprint": "fp_38647f5e19",
            "id": f"chatcmpl-{position:029d}",
            "finish_reason": finish_reason,
            "logprobs": None,
        },
        usage_metadata={**usage, "input_token_details": {"cache_read": 0}},
    )


def _id(position: int) -> str:
    return f"5f0c1b7e-3d52-4c8e-9a41-{position:012x}"


@lru_cache(maxsize=1)
def _texts() -> list[tuple[str, str]]:
    """Names of the standard library, each with its docstring, 200 to 2,000 characters long."""
    return [found for module in _MODULES for found in _docstrings(module)]


def _docstrings(module: ModuleType) -> list[tuple[str, str]]:
    found = []
    for name, value in sorted(vars(module).items()):
        text = getattr(value, "__doc__", None)
        if callable(value) and isinstance(text, str) and 200 <= len(text) <= 2000:
            found.append((f"{module.__name__}.{name}", inspect.cleandoc(text)))
    return found
