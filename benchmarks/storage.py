"""What is stored and sent for each setting of `compression`, and what it costs in time.

Bytes are the memory of every key, with all that the server keeps to hold it (`MEMORY USAGE`), over
the checkpoints; and what the server received (`total_net_input_bytes`). Times are those of a put
after a small change, and of reading it again, each setting beside `None`.
"""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from langgraph.checkpoint.base import empty_checkpoint

from benchmarks.chat import message
from benchmarks.graphs import thread
from benchmarks.link import link
from benchmarks.measure import Comparison, rounds, time_pair
from benchmarks.recording import Put, moved, record_chat
from saver import RedisSaver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from benchmarks.environment import Environment
    from benchmarks.recording import PutWrites
    from saver._values import Compression

SETTINGS: tuple[Compression, ...] = ("delta", "zstd", None)
MESSAGES = (48, 200, 1_000)
STATES = (10_000, 100_000, 1_000_000)
WAYS: dict[str, dict[str, float]] = {
    "loopback": {},
    "1 ms away": {"latency": 0.0005},
    "100 Mbit/s": {"bits_a_second": 100e6},
}
_CHECKPOINTS = 50
_GROWTH = 20


@dataclass(frozen=True)
class Stored:
    """Bytes for each setting."""

    name: str
    by_setting: list[float]


def storage(environment: Environment, most_messages: int) -> list[Stored]:
    """Bytes a checkpoint of chats, bytes sent a put, and values of states that change otherwise."""
    found = []
    with environment.client() as client:
        for messages in MESSAGES:
            if messages <= most_messages:
                calls = record_chat(messages // 4)
                sizes = [_chat(environment, client, calls, setting) for setting in SETTINGS]
                name = f"chat of {messages:,} messages"
                found.append(Stored(f"{name}, memory a checkpoint", [size[0] for size in sizes]))
                found.append(Stored(f"{name}, sent a checkpoint", [size[1] for size in sizes]))
        for name, states in _STATES.items():
            sizes = [_states(environment, client, states, setting) for setting in SETTINGS]
            found.append(Stored(f"100 KB {name}, memory a checkpoint", sizes))
    return found


def times(environment: Environment) -> list[Comparison]:
    """Of put and get_tuple with lists of messages that grow, beside those without compression."""
    port = urlsplit(environment.url).port
    if port is None:
        return []  # a unix socket
    found = []
    for way, options in WAYS.items():
        with link(port, **options) if options else nullcontext(port) as way_port:
            there = replace(environment, url=f"redis://127.0.0.1:{way_port}")
            for size in STATES:
                found += _times(there, size, f"{size // 1000} KB, {way}")
    return found


def _times(environment: Environment, size: int, where: str) -> list[Comparison]:
    texts = _messages(size, _GROWTH)
    put = Comparison(f"put {where}", asked=1.0)
    get = Comparison(f"get {where}")
    with environment.client() as client:
        plain = RedisSaver(client, compression=None)
        for thread_id in rounds(environment, [put, get]):
            pair = (RedisSaver(client), plain)
            for number in range(_GROWTH):
                state = texts[: len(texts) - _GROWTH + number]
                puts = [
                    partial(_put, each, f"{thread_id}-{id(each)}", state, number) for each in pair
                ]
                time_pair(put, *puts)
                gets = [partial(each.get_tuple, thread(f"{thread_id}-{id(each)}")) for each in pair]
                time_pair(get, *gets)
    return [put, get]


def _put(saver: RedisSaver, thread_id: str, state: Any, number: int) -> None:
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = {"messages": state}
    checkpoint["channel_versions"] = {"messages": f"{number:032}.5"}
    config = thread(thread_id, checkpoint_ns="")
    saver.put(config, checkpoint, {"step": number}, checkpoint["channel_versions"])


def _chat(
    environment: Environment, client: Redis, calls: list[Put | PutWrites], setting: Compression
) -> tuple[float, float]:
    saver = RedisSaver(client, compression=setting)
    environment.empty()
    sent = _received(client)
    for recorded in calls:
        call = moved(recorded, "chat")
        if isinstance(call, Put):
            saver.put(call.config, call.checkpoint, call.metadata, call.new_versions)
        else:
            saver.put_writes(call.config, call.writes, call.task_id, call.task_path)
    puts = sum(isinstance(call, Put) for call in calls)
    return _memory(client) / puts, (_received(client) - sent) / puts


def _states(
    environment: Environment,
    client: Redis,
    states: Callable[[], Iterator[Any]],
    setting: Compression,
) -> float:
    saver = RedisSaver(client, compression=setting)
    environment.empty()
    for number, state in zip(range(_CHECKPOINTS), states(), strict=False):
        _put(saver, "states", state, number)
    return _memory(client) / _CHECKPOINTS


def _memory(client: Redis) -> int:
    keys = client.keys("*")
    return sum(client.memory_usage(key, samples=0) or 0 for key in keys)


def _received(client: Redis) -> int:
    return int(client.info("stats")["total_net_input_bytes"])


def _messages(size: int, more: int = 0) -> list[Any]:
    """Messages of so many bytes, roughly, and some more."""
    found: list[Any] = []
    total = 0
    while total < size:
        found.append(message(len(found)))
        total += len(found[-1].text) + 300
    return found + [message(len(found) + number) for number in range(more)]


def _appended() -> Iterator[Any]:
    texts = _messages(100_000)
    return (texts[: len(texts) - _CHECKPOINTS + number] for number in range(_CHECKPOINTS))


def _edited() -> Iterator[Any]:
    texts = [each.text for each in _messages(100_000)]
    for number in range(_CHECKPOINTS):
        texts[len(texts) // 2] = f"edit number {number}"
        yield list(texts)


def _sliding() -> Iterator[Any]:
    texts = _messages(200_000)
    return (texts[number : number + len(texts) // 2] for number in range(_CHECKPOINTS))


def _random() -> Iterator[Any]:
    chance = random.Random(1)
    return (chance.randbytes(100_000) for _ in range(_CHECKPOINTS))


_STATES = {
    "append-only": _appended,
    "edited in the middle": _edited,
    "sliding window": _sliding,
    "random": _random,
}
