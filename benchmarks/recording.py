"""What LangGraph itself asks a saver to store in the course of a chat."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import get_checkpoint_metadata
from langgraph.checkpoint.memory import InMemorySaver

from benchmarks.graphs import chat_graph, question, thread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata


@dataclass(frozen=True)
class Put:
    """Arguments of a `put`."""

    config: RunnableConfig
    checkpoint: Checkpoint
    metadata: CheckpointMetadata
    new_versions: ChannelVersions

    @property
    def head(self) -> dict[str, Any]:
        """The checkpoint without its channels."""
        outside = ("channel_values", "channel_versions")
        return {key: value for key, value in self.checkpoint.items() if key not in outside}

    @property
    def full_metadata(self) -> CheckpointMetadata:
        """The metadata as savers store it."""
        return get_checkpoint_metadata(self.config, self.metadata)


@dataclass(frozen=True)
class PutWrites:
    """Arguments of a `put_writes`."""

    config: RunnableConfig
    writes: Sequence[tuple[str, Any]]
    task_id: str
    task_path: str


def record_chat(turns: int) -> list[Put | PutWrites]:
    """Every call that stores something in a chat of so many turns, in order."""
    saver = _Recorder()
    graph = chat_graph(saver, is_async=False)
    for turn in range(turns):
        graph.invoke(question(turn), thread("recorded"), durability="sync")
    return saver.calls


def moved(call: Put | PutWrites, thread_id: str) -> Any:
    """The same call for another thread."""
    configurable = {**call.config["configurable"], "thread_id": thread_id}
    return replace(call, config={**call.config, "configurable": configurable})


class _Recorder(InMemorySaver):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Put | PutWrites] = []

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        self.calls.append(Put(config, checkpoint, metadata, new_versions))
        return super().put(config, checkpoint, metadata, new_versions)

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        self.calls.append(PutWrites(config, list(writes), task_id, task_path))
        super().put_writes(config, writes, task_id, task_path)
