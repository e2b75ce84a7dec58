"""A thread of 10,000 checkpoints: short calls for the server, flat memory for the client."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, TypeVar

import pytest

from saver import RedisSaver
from tests.samples import checkpoint, config, ids
from tests.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

T = TypeVar("T")

LENGTH = 10_000
SLOW_MICROSECONDS = 10_000


@pytest.fixture(scope="module")
def long_server() -> Iterator[Server]:
    """A server that logs every script call above 10 ms, with one long thread."""
    with Server("--slowlog-log-slower-than", str(SLOW_MICROSECONDS)) as server:
        fill(server)
        yield server


def fill(server: Server) -> None:
    """Puts the checkpoints as a chat would, each with two channels of its own and one shared."""
    with RedisSaver.from_conn_string(server.url) as saver:
        parent = config("long")
        shared = checkpoint(kept="the same in all " * 20)
        for number in range(LENGTH):
            made = checkpoint(f"{number:06}", messages=f"message {number} " * 20, step=number)
            made["channel_values"]["kept"] = shared["channel_values"]["kept"]
            made["channel_versions"]["kept"] = shared["channel_versions"]["kept"]
            new = dict(made["channel_versions"])
            parent = saver.put(parent, made, {"source": "loop", "step": number}, new)  # type: ignore[typeddict-unknown-key]
            if number % 10 == 0:
                saver.put_writes(parent, [("messages", number)], f"task{number}")


@pytest.fixture
def client(long_server: Server) -> Iterator[Redis]:
    """A client."""
    with long_server.client() as client:
        yield client


def short(client: Redis, operation: Callable[[], T]) -> T:
    """Runs an operation; fails when a script call of it takes the server more than 10 ms.

    The log counts wall time, also while the machine runs something else instead of the server, so
    one of five runs has to be short throughout.
    """
    for _ in range(5):
        client.slowlog_reset()
        result = operation()
        slow = [entry for entry in client.slowlog_get(100) if b"EVAL" in entry["command"]]
        if not slow:
            return result
    raise AssertionError(slow)


@pytest.fixture
def saver(long_server: Server) -> Iterator[RedisSaver]:
    """A saver on the long thread."""
    with RedisSaver.from_conn_string(long_server.url) as saver:
        yield saver


def test_latest(client: Redis, saver: RedisSaver) -> None:
    """The latest checkpoint is found at once."""
    found = short(client, lambda: saver.get_tuple(config("long")))
    assert found
    assert found.metadata["step"] == LENGTH - 1


def test_page_of_ten(client: Redis, saver: RedisSaver) -> None:
    """A page from the middle of the thread."""
    before = config("long", checkpoint_id="005000")
    found = short(client, lambda: [*saver.list(config("long"), before=before, limit=10)])
    assert ids(found) == [f"{number:06}" for number in range(4999, 4989, -1)]


def test_filter_that_matches_nothing(client: Redis, saver: RedisSaver) -> None:
    """The whole thread is looked at, in calls that are each short."""
    assert short(client, lambda: [*saver.list(config("long"), filter={"source": "nobody"})]) == []
    client.config_resetstat()
    assert [*saver.list(config("long"), filter={"source": "nobody"})] == []
    calls = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert LENGTH / 1000 <= calls <= LENGTH / 1000 + 1


@pytest.mark.parametrize("ns", ["", None])
def test_filter_that_matches_the_oldest(client: Redis, saver: RedisSaver, ns: str | None) -> None:
    """A rare match at the far end is found, also across namespaces."""
    found = short(client, lambda: [*saver.list(config("long", ns), filter={"step": 3})])
    assert ids(found) == ["000003"]


def test_listing_everything_in_flat_memory(saver: RedisSaver) -> None:
    """The client holds a page at a time: the second half needs no more than the first."""
    listed = 0
    tracemalloc.start()
    try:
        for listed, _ in enumerate(saver.list(config("long")), start=1):
            if listed == LENGTH // 2:
                first_half = tracemalloc.get_traced_memory()[1]
                tracemalloc.reset_peak()
        second_half = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert listed == LENGTH
    assert second_half < first_half * 1.2


def test_pages_of_everything_are_short(client: Redis, saver: RedisSaver) -> None:
    """Each full page takes the server a short time."""
    assert len(short(client, lambda: [*saver.list(config("long", None), limit=1000)])) == 1000


def test_writes_to_a_long_thread(client: Redis, saver: RedisSaver) -> None:
    """Adding to a long thread is as cheap as to a short one."""
    made = checkpoint("00000x", messages="one more")
    stored = short(client, lambda: saver.put(config("long"), made, {}, made["channel_versions"]))
    short(client, lambda: saver.put_writes(stored, [("messages", 1)], "task"))
    found = short(client, lambda: saver.get_tuple(stored))
    assert found
    assert found.checkpoint["channel_values"] == {"messages": "one more"}


def test_deleting_a_thread_of_many_runs() -> None:
    """A thread of 10,000 checkpoints and as many runs goes in short calls and leaves no key."""
    with Server() as server:
        with RedisSaver.from_conn_string(server.url) as saver, server.client() as client:
            for number in range(LENGTH):
                made = checkpoint(f"{number:06}")
                saver.put(config(), made, {"run_id": f"run{number}"}, {})
            client.config_resetstat()
            before = client.info("cpu")["used_cpu_user_main_thread"]
            saver.delete_thread("t")
            used = client.info("cpu")["used_cpu_user_main_thread"] - before
            calls = client.info("commandstats")["cmdstat_evalsha"]["calls"]
            assert client.keys() == []
            assert calls >= LENGTH / 1000
            assert used / calls < SLOW_MICROSECONDS / 1e6
