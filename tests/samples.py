"""Checkpoints, ids and graphs that the tests share."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import empty_checkpoint

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import BaseCheckpointSaver, Checkpoint, CheckpointTuple

HOSTILE = [
    "a",
    "A",
    "a:b",
    "a:b:",
    ":",
    "*",
    "?",
    "[a-z]",
    "{1}",
    "}{",
    "|",
    ",",
    "\\",
    "\\x00",
    "$",
    "$a$b",
    "%",
    "%z",
    "%s%d",
    "a\nb",
    "\r\n",
    "\t",
    " ",
    "'\"",
    "\x01",
    "\x7f",
    "\x80",
    "\u00e9",
    "e\u0301",
    "\U0001f600",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\uffff",
    "\U0010ffff",
    "x" * 300,
    "index:a",
    "runs",
    "0",
]
"""Ids that other savers confuse with each other or with their own syntax."""

_numbers = itertools.count()


def config(
    thread_id: str = "t", ns: str | None = "", checkpoint_id: str | None = None
) -> RunnableConfig:
    """A config with these ids."""
    named = {"thread_id": thread_id, "checkpoint_ns": ns, "checkpoint_id": checkpoint_id}
    return {"configurable": {name: value for name, value in named.items() if value is not None}}


def checkpoint(checkpoint_id: str | None = None, **channel_values: Any) -> Checkpoint:
    """A checkpoint whose channels have versions of their own."""
    made = empty_checkpoint()
    if checkpoint_id is not None:
        made["id"] = checkpoint_id
    made["channel_values"] = channel_values
    made["channel_versions"] = {name: f"{next(_numbers):032}.5" for name in channel_values}
    return made


def put(
    saver: BaseCheckpointSaver[Any],
    at: RunnableConfig,
    made: Checkpoint | None = None,
    **metadata: Any,
) -> RunnableConfig:
    """Puts a checkpoint with all of its channels new."""
    made = made or checkpoint()
    return saver.put(at, made, metadata, made["channel_versions"])  # type: ignore[arg-type]


def ids(found: Any) -> list[str]:
    """The checkpoint ids of listed tuples, in order."""
    return [each.config["configurable"]["checkpoint_id"] for each in found]


def comparable(found: CheckpointTuple | None) -> Any:
    """What must be equal between two savers."""
    if found is None:
        return None
    named = found.config["configurable"]
    parent = found.parent_config and found.parent_config["configurable"]["checkpoint_id"]
    return (
        [named["thread_id"], named.get("checkpoint_ns", ""), named["checkpoint_id"], parent],
        found.checkpoint,
        found.metadata,
        found.pending_writes,
    )
