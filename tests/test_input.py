"""Bad input raises before anything is sent, with a message that says what to pass."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from saver import AsyncRedisSaver, RedisSaver
from tests.samples import HOSTILE, checkpoint, config, ids, put
from tests.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import Server

BAD_IDS: list[tuple[Any, type[Exception], str]] = [
    (5, TypeError, "must be a str, not int: pass '5'"),
    (b"t", TypeError, "must be a str, not bytes"),
    ("", ValueError, "must not be empty"),
    ("a\0b", ValueError, "must not contain NUL"),
    ("\ud800", ValueError, "must be valid Unicode, without lone surrogates"),
]


@pytest.fixture
def saver(wire: Wire) -> Iterator[RedisSaver]:
    """A saver behind the wire; at the end, fails when it sent anything."""
    with RedisSaver.from_conn_string(wire.url) as saver:
        yield saver
        assert wire.commands == []


def operations(saver: RedisSaver, at: Any) -> list[Callable[[], object]]:
    """Every operation that takes a config."""
    return [
        lambda: saver.get_tuple(at),
        lambda: saver.get(at),
        lambda: list(saver.list(at)),
        lambda: put(saver, at),
        lambda: saver.put_writes(at, [("a", 1)], "task"),
    ]


@pytest.mark.parametrize(
    ("name", "bad", "error", "says"),
    [
        (name, *bad)
        for name in ("thread_id", "checkpoint_id", "checkpoint_ns")
        for bad in BAD_IDS
        if (name, bad[0]) != ("checkpoint_ns", "")  # the root
    ],
)
def test_bad_ids(saver: RedisSaver, name: str, bad: Any, error: type, says: str) -> None:
    """Ids in a config."""
    at = config(checkpoint_id="1")
    at["configurable"][name] = bad
    for operation in operations(saver, at):
        with pytest.raises(error, match=rf"{name} .*{says}"):
            operation()


@pytest.mark.parametrize("at", [{}, {"configurable": {}}, {"configurable": {"thread_id": None}}, 5])
def test_missing_thread_id(saver: RedisSaver, at: Any) -> None:
    """A config without a thread id; the message shows one that has it."""
    for operation in operations(saver, at):
        with pytest.raises((TypeError, ValueError), match='{"configurable": {"thread_id": '):
            operation()


@pytest.mark.parametrize(("bad", "error", "says"), BAD_IDS)
def test_bad_ids_outside_the_config(saver: RedisSaver, bad: Any, error: type, says: str) -> None:
    """The checkpoint's own id, a task's, and the thread to delete."""
    with pytest.raises(error, match=f"checkpoint's id {says}"):
        put(saver, config(), {**checkpoint(), "id": bad})
    with pytest.raises(error, match=f"task_id {says}"):
        saver.put_writes(config(checkpoint_id="1"), [("a", 1)], bad)
    with pytest.raises(error, match=f"thread_id {says}"):
        saver.delete_thread(bad)


def test_put_writes_without_checkpoint(saver: RedisSaver) -> None:
    """Writes belong to a checkpoint."""
    with pytest.raises(ValueError, match="pass checkpoint_id"):
        saver.put_writes(config(), [("a", 1)], "task")


def test_bad_list_arguments(saver: RedisSaver) -> None:
    """limit, before and filter; list raises when called, not when consumed."""
    with pytest.raises(ValueError, match="limit must not be negative, got -1: pass None"):
        saver.list(config(), limit=-1)
    with pytest.raises(TypeError, match="limit must be an int"):
        saver.list(config(), limit="5")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pass a config with a checkpoint_id"):
        saver.list(config(), before=config())
    with pytest.raises(TypeError, match="must be JSON"):
        saver.list(config(), filter={"a": object()})
    with pytest.raises(TypeError, match="must be JSON"):
        saver.list(config(), filter={"a": float("nan")})
    with pytest.raises(TypeError, match="filter keys"):
        saver.list(config(), filter={1: 2})  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="filter must be a dict"):
        saver.list(config(), filter=[1])  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [lambda: None, threading.Lock(), open])
def test_values_that_cannot_be_serialized(saver: RedisSaver, bad: Any) -> None:
    """The message names the channel."""
    with pytest.raises(TypeError, match="channel 'b' cannot be serialized.*Pass a value"):
        put(saver, config(), checkpoint(a=1, b=bad))
    with pytest.raises(TypeError, match="channel 'b' cannot be serialized.*Pass a value"):
        saver.put_writes(config(checkpoint_id="1"), [("a", 1), ("b", bad)], "task")
    with pytest.raises(TypeError, match="metadata cannot be serialized"):
        saver.put(config(), checkpoint(), {"bad": bad}, {})  # type: ignore[typeddict-unknown-key]


def test_values_beyond_the_bulk_limit(saver: RedisSaver) -> None:
    """512 MB is what a server takes in one argument."""
    huge = bytes(512 * 1024 * 1024)
    with pytest.raises(ValueError, match="channel 'b' takes 536,870,.* a reference to them"):
        put(saver, config(), checkpoint(a=1, b=huge))
    with pytest.raises(ValueError, match="channel 'b' takes 536,870,.* a reference to them"):
        saver.put_writes(config(checkpoint_id="1"), [("b", huge)], "task")


def test_malformed_checkpoints(saver: RedisSaver) -> None:
    """A checkpoint without its parts, a version that is none, a channel name that is none."""
    with pytest.raises(ValueError, match="has no 'channel_versions'"):
        saver.put(config(), {"id": "1", "channel_values": {}}, {}, {})  # type: ignore[typeddict-item]
    made = checkpoint(a=1)
    made["channel_versions"]["a"] = None  # type: ignore[assignment]
    with pytest.raises(TypeError, match="version of channel 'a' must be str, int or float"):
        put(saver, config(), made)
    with pytest.raises(ValueError, match="channel name must not contain NUL"):
        put(saver, config(), checkpoint(**{"a\0b": 1}))
    with pytest.raises(ValueError, match="task_path must not contain NUL"):
        saver.put_writes(config(checkpoint_id="1"), [("a", 1)], "task", "a\0b")


def test_clients_and_prefixes() -> None:
    """A client of the other kind names the saver to take; a prefix may hold no braces."""
    client, async_client = Redis(), AsyncRedis()
    with pytest.raises(TypeError, match="needs AsyncRedisSaver"):
        RedisSaver(async_client)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="needs RedisSaver"):
        AsyncRedisSaver(client)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"must be a redis\.client\.Redis"):
        RedisSaver("redis://localhost")  # type: ignore[arg-type]
    for prefix in ("", "{a}", "a\0"):
        with pytest.raises(ValueError, match="prefix must be non-empty"):
            RedisSaver(client, prefix=prefix)
    with pytest.raises(ValueError, match="must specify one of"):
        RedisSaver.from_conn_string("http://localhost").__enter__()


async def test_async_input(server: Server) -> None:
    """The async methods check the same."""
    with Wire(server.socket) as wire:
        async with AsyncRedisSaver.from_conn_string(wire.url) as saver:
            with pytest.raises(ValueError, match="has no thread_id"):
                await saver.aget_tuple({"configurable": {}})
            with pytest.raises(ValueError, match="limit must not be negative"):
                saver.alist(config(), limit=-1)
            made = checkpoint(a=open)
            with pytest.raises(TypeError, match="cannot be serialized"):
                await saver.aput(config(), made, {}, made["channel_versions"])
        assert wire.commands == []


def test_hostile_ids_are_distinct(server: Server) -> None:
    """Every hostile id is a thread, a namespace, a checkpoint, a channel and a task of its own."""
    with RedisSaver.from_conn_string(server.url) as saver:
        for number, name in enumerate(HOSTILE):
            stored = put(saver, config(name, name), checkpoint(name, **{name: number}), mark=number)
            saver.put_writes(stored, [(name, number)], name, name)
        for number, name in enumerate(HOSTILE):
            (found,) = saver.list(config(name, None))
            assert found == saver.get_tuple(config(name, name, name))
            assert found.checkpoint["channel_values"] == {name: number}
            assert found.pending_writes == [(name, name, number)]
            assert ids(saver.list(config(name, ""))) == []
        assert len(list(saver.list(None))) == len(HOSTILE)
        for name in HOSTILE:
            saver.delete_thread(name)
        with server.client() as client:
            assert client.keys() == []
