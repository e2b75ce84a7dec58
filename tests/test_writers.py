"""Several processes write at once: every reader sees one whole winner."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.base import ERROR, INTERRUPT

from tests.samples import checkpoint, config, ids, put
from tests.writers_worker import (
    CHECKPOINTS,
    READERS,
    ROUNDS,
    WRITERS,
    check_checkpoint,
    check_writes,
    thread_of,
    writes_of,
)

if TYPE_CHECKING:
    from redis import Redis

    from saver import RedisSaver
    from tests.servers import Server


def race(role: str, server: Server) -> None:
    """Runs writers and readers at once, begun together; what one of them finds wrong fails here."""
    with ExitStack() as stack:
        running = []
        for number in range(WRITERS + READERS):
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.writers_worker", role, server.url, str(number)],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            running.append(process)
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
        for process in running:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in running:
            output, errors = process.communicate(timeout=100)
            assert process.returncode == 0, errors
            assert role in output


def test_writes_of_one_task(server: Server, saver: RedisSaver, redis: Redis) -> None:
    """One writer wins each index whole: path, channel and value; of special writes the last.

    What was written before its checkpoint appears with it.
    """
    race("writes", server)
    outcomes = []
    for round_number in range(ROUNDS):
        at = config(thread_of(round_number), "", "1")
        assert saver.get_tuple(at) is None
        put(saver, config(thread_of(round_number)), checkpoint("1", value=1))
        found = saver.get_tuple(at)
        assert found is not None
        assert found.checkpoint["channel_values"] == {"value": 1}
        winners = check_writes(found)
        outcomes.append(tuple(sorted(winners)))
        writes = found.pending_writes or []
        regular = [write[2] for write in writes if write[1] not in {INTERRUPT, ERROR}]
        assert sorted(index for _, index, _ in regular) == list(range(WRITERS + 1))
        assert sorted(write[1] for write in writes if len(write[2]) == 1) == [ERROR, INTERRUPT]
        # The first of the four took all the indexes that it has, the shortest of which are two.
        assert len({name for name, index, _ in regular if index < 2}) == 1
        assert len({write[2] for write in writes if write[1] in {INTERRUPT, ERROR}}) == 1
        assert_paths_match(redis, round_number)
    assert len(set(outcomes)) > 1, "always the same order: this was no race"


def assert_paths_match(redis: Redis, round_number: int) -> None:
    """The stored records pair each path with a channel and a value of the same writer."""
    (key,) = redis.keys(f"*:writes:{thread_of(round_number)}")
    (record,) = redis.hvals(key)
    from saver._codec import unpack_writes

    for write in unpack_writes("task", record):
        assert isinstance(write.task_path, str)
        writer = write.task_path.removeprefix("path ")
        if write.channel not in {INTERRUPT, ERROR}:
            assert write.channel == f"channel {writer}"
        assert writer.encode() in write.data


def test_same_and_different_ids(server: Server, saver: RedisSaver) -> None:
    """Puts of the same ids out of order: latest is the greatest, each checkpoint one writer's."""
    race("puts", server)
    for round_number in range(ROUNDS // 10):
        listed = list(saver.list(config(thread_of(round_number))))
        assert ids(listed) == [f"{number:06}" for number in reversed(range(CHECKPOINTS))]
        for found in listed:
            check_checkpoint(found)
        latest = saver.get_tuple(config(thread_of(round_number)))
        assert latest is not None
        assert latest.checkpoint["id"] == f"{CHECKPOINTS - 1:06}"


def test_deletion(server: Server, saver: RedisSaver, redis: Redis) -> None:
    """While a thread is deleted a reader sees nothing or a whole; a last deletion leaves no key."""
    race("deletion", server)
    saver.delete_thread("t")
    assert redis.keys("saver:*") == []
    assert saver.get_tuple(config("t")) is None
    assert list(saver.list(config("t"))) == []


@pytest.mark.parametrize("order", [(0, 3), (3, 0), (1, 2, 0), (2, 1, 3, 0)])
def test_first_and_last(saver: RedisSaver, order: tuple[int, ...]) -> None:
    """Of regular writes the first to bring an index stays, of special ones the last."""
    at: Any = config("t", "", "1")
    put(saver, config("t"), checkpoint("1"))
    expected: dict[int, Any] = {}
    for writer in order:
        saver.put_writes(at, writes_of(writer), "task", f"path {writer}")
        for channel, value in writes_of(writer):
            if channel not in {INTERRUPT, ERROR}:
                expected.setdefault(value[1], value)
    found = saver.get_tuple(at)
    assert found is not None
    values = {channel: value for _, channel, value in found.pending_writes or []}
    assert values[INTERRUPT] == values[ERROR] == str(order[-1])
    regular = [value for _, _, value in found.pending_writes or [] if len(value) == 3]
    assert sorted(regular, key=lambda value: value[1]) == [
        expected[key] for key in sorted(expected)
    ]
