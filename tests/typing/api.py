"""The public API as a type checker sees it: checked by `mypy --strict`, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    empty_checkpoint,
)
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import MessagesState, StateGraph
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from typing_extensions import assert_type

from saver import AsyncRedisSaver, RedisSaver, errors

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

config: RunnableConfig = {"configurable": {"thread_id": "1"}}
metadata: CheckpointMetadata = {"source": "input", "step": -1}
checkpoint: Checkpoint = empty_checkpoint()
serde = JsonPlusSerializer()


def constructors() -> None:
    """A saver over a client of one's own, and the four ways to get one for a block."""
    assert_type(RedisSaver(Redis()), RedisSaver)
    assert_type(RedisSaver(Redis(), serde=serde, prefix="app"), RedisSaver)
    a: AbstractContextManager[RedisSaver] = RedisSaver.from_conn_string("redis://localhost")
    b: AbstractContextManager[RedisSaver] = RedisSaver.from_conn_string(
        "redis://localhost", serde=serde, prefix="app", max_connections=5, timeout=1.5
    )
    c: AbstractContextManager[RedisSaver] = RedisSaver.from_conn_info(
        host="localhost", port=6380, db=0, password="secret"
    )
    d: AbstractContextManager[RedisSaver] = RedisSaver.embedded()
    e: AbstractContextManager[RedisSaver] = RedisSaver.embedded(Path("data"), prefix="app")
    with a as saver, b, c, d, e:
        assert_type(saver, RedisSaver)


async def async_constructors() -> None:
    """The same of AsyncRedisSaver."""
    assert_type(AsyncRedisSaver(AsyncRedis()), AsyncRedisSaver)
    a: AbstractAsyncContextManager[AsyncRedisSaver] = AsyncRedisSaver.from_conn_string(
        "redis://localhost", serde=serde, prefix="app", max_connections=5
    )
    b: AbstractAsyncContextManager[AsyncRedisSaver] = AsyncRedisSaver.from_conn_info(
        host="localhost", port=6380, db=0
    )
    c: AbstractAsyncContextManager[AsyncRedisSaver] = AsyncRedisSaver.embedded("data")
    async with a as saver, b, c:
        assert_type(saver, AsyncRedisSaver)


def wrong_arguments() -> None:
    """What a checker refuses; an ignore that is not needed is an error."""
    RedisSaver(AsyncRedis())  # type: ignore[arg-type]
    AsyncRedisSaver(Redis())  # type: ignore[arg-type]
    RedisSaver(Redis(), serde)  # type: ignore[call-arg]
    RedisSaver.from_conn_info("localhost", 6380, 0)  # type: ignore[call-arg]
    RedisSaver(Redis(), prefix=1)  # type: ignore[arg-type]
    RedisSaver(Redis()).get_tuple("1")  # type: ignore[arg-type]
    RedisSaver(Redis()).list(None, limit="1")  # type: ignore[arg-type]
    RedisSaver(Redis()).put_writes(config, [("channel", 1)], 5)  # type: ignore[arg-type]


def sync_methods(saver: RedisSaver | AsyncRedisSaver) -> None:
    """Both savers have the sync methods, with the same types."""
    saver.setup()
    assert_type(saver.get_tuple(config), CheckpointTuple | None)
    assert_type(saver.get(config), Checkpoint | None)
    assert_type(saver.list(None), Iterator[CheckpointTuple])
    assert_type(
        saver.list(config, filter={"source": "loop", "step": 1}, before=config, limit=2),
        Iterator[CheckpointTuple],
    )
    assert_type(saver.put(config, checkpoint, metadata, {"channel": "1"}), RunnableConfig)
    saver.put_writes(config, [("channel", 1)], "task", "path")
    saver.delete_thread("1")
    assert_type(saver.get_next_version(None, None), str)


async def async_methods(saver: RedisSaver | AsyncRedisSaver) -> None:
    """Both savers have the async methods, with the same types."""
    await saver.asetup()
    assert_type(await saver.aget_tuple(config), CheckpointTuple | None)
    assert_type(await saver.aget(config), Checkpoint | None)
    assert_type(
        saver.alist(config, filter={"source": "loop"}, before=config, limit=2),
        AsyncIterator[CheckpointTuple],
    )
    assert_type([found async for found in saver.alist(None)], list[CheckpointTuple])
    assert_type(await saver.aput(config, checkpoint, metadata, {"channel": "1"}), RunnableConfig)
    await saver.aput_writes(config, [("channel", 1)], "task", "path")
    await saver.adelete_thread("1")


def as_langgraphs_saver(saver: RedisSaver, asaver: AsyncRedisSaver) -> None:
    """Both are LangGraph savers, with versions that are strings; a graph takes them."""
    savers: list[BaseCheckpointSaver[str]] = [saver, asaver]
    for each in savers:
        StateGraph(MessagesState).compile(checkpointer=each)
    clone: BaseCheckpointSaver[str] = saver.with_allowlist([("module", "Name")])
    history: Any = clone.get_delta_channel_history(config=config, channels=["channel"])
    assert history is not None


def every_error() -> tuple[type[errors.SaverError], ...]:
    """Each error of ours is a SaverError; the warning is a UserWarning."""
    warning: type[UserWarning] = errors.EvictionPolicyWarning
    assert warning is not None
    return (
        errors.DamagedRecordError,
        errors.EmbeddedServerError,
        errors.ForeignKeyError,
        errors.LayoutError,
        errors.LostKeysError,
        errors.ServerUnsuitableError,
    )


def caught(saver: RedisSaver) -> CheckpointTuple | None:
    """An error is an Exception with a message."""
    try:
        return saver.get_tuple(config)
    except errors.LostKeysError as error:
        assert_type(error, errors.LostKeysError)
        raise LookupError(str(error)) from error
