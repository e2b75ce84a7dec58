"""Random trees of checkpoints with delta channels: whatever is removed, no history reads wrong."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from saver import RedisSaver
from saver.errors import LostKeysError
from tests.samples import HOSTILE, checkpoint, config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from saver import AsyncRedisSaver
    from tests.servers import Server

CHANNELS = ["a", "a:b", "\x01", "\U0001f600", "x" * 300]
# InMemorySaver orders by code point, a server by byte: the same in UTF-8.
IDS = sorted([*HOSTILE, *(f"{number:03}" for number in range(10))])


pytestmark = pytest.mark.usefixtures("sound")


def grow(
    savers: Sequence[BaseCheckpointSaver[Any]],
    seed: int,
    thread_id: str = "t",
    *,
    channels_begin_anywhere: bool = False,
) -> None:
    """The same random tree in each saver: forks, snapshots now and then, writes of several tasks.

    The metadata counts every channel that has no snapshot, as LangGraph's does; and as there, but
    for the option, there are no writes to a channel before the first checkpoint that knows it.
    """
    chance = random.Random(seed)
    versions: dict[str, dict[str, str]] = {}
    for number, made_id in enumerate(IDS):
        parent = None if number == 0 or chance.random() < 0.04 else chance.choice(IDS[:number][-4:])
        before = versions.get(parent or "", {})
        new = {
            channel: f"{made_id}.{chance.random()}"
            for channel in CHANNELS
            if chance.random() < 0.5 or not (parent or channels_begin_anywhere)
        }
        made = {**checkpoint(made_id), "ts": "2026-01-01T00:00:00+00:00"}
        made["channel_versions"] = versions[made_id] = {**before, **new}
        snapshots = [channel for channel in new if chance.random() < 0.5]
        made["channel_values"] = {channel: [channel, made_id] for channel in snapshots}
        counted = {**before, **new}.keys() - snapshots
        metadata: Any = {
            "counters_since_delta_snapshot": dict.fromkeys(sorted(counted), (1, 1)),
            "run_id": f"run{number // 4}",
        }
        tasks = [
            (
                f"task{chance.randrange(100)}",
                chance.choice(["", "~a", "~b"]),
                [
                    (chance.choice([*CHANNELS, "__error__", "other"]), [made_id, index])
                    for index in range(chance.randrange(4))
                ],
            )
            for _ in range(chance.randrange(4))
        ]
        steps = ["writes", "put"] if chance.random() < 0.3 else ["put", "writes"]
        for saver in savers:
            for step in steps:
                if step == "put":
                    at = config(thread_id, checkpoint_id=parent)
                    saver.put(at, made, metadata, dict(new))  # type: ignore[arg-type]
                    continue
                for task_id, path, writes in tasks:
                    at = config(thread_id, checkpoint_id=made_id)
                    saver.put_writes(at, writes, task_id, path)


@pytest.mark.parametrize("seed", range(12))
def test_history(saver: RedisSaver, seed: int) -> None:
    """From any checkpoint: what InMemorySaver finds, and the base class over our own reads."""
    memory = InMemorySaver()
    grow([saver, memory], seed, channels_begin_anywhere=True)
    chance = random.Random(seed)
    for at in [config(), *(config(checkpoint_id=each) for each in IDS)]:
        for asked in (CHANNELS, chance.sample(CHANNELS, 2), ["other"], ["unknown", "a"]):
            found = saver.get_delta_channel_history(config=at, channels=asked)
            assert found == memory.get_delta_channel_history(config=at, channels=asked)
            assert found == BaseCheckpointSaver.get_delta_channel_history(
                saver, config=at, channels=asked
            )
            assert list(found) == list(asked)


async def test_async_history(saver: RedisSaver, asaver: AsyncRedisSaver) -> None:
    """The async method finds the same, on both savers."""
    grow([saver], 99)
    for at in [config(), *(config(checkpoint_id=each) for each in IDS)]:
        expected = saver.get_delta_channel_history(config=at, channels=CHANNELS)
        assert await asaver.aget_delta_channel_history(config=at, channels=CHANNELS) == expected
        assert await saver.aget_delta_channel_history(config=at, channels=CHANNELS) == expected


def readings(saver: BaseCheckpointSaver[Any], thread_id: str = "t") -> dict[str, Any]:
    """What is rebuilt at every checkpoint that is listed, newest first; None where it cannot be."""
    found: dict[str, Any] = {}
    for each in saver.list(config(thread_id)):
        checkpoint_id, values = each.checkpoint["id"], each.checkpoint["channel_values"]
        delta = [name for name in each.checkpoint["channel_versions"] if name not in values]
        try:
            rebuilt = saver.get_delta_channel_history(config=each.config, channels=delta)
        except LostKeysError:
            found[checkpoint_id] = None
        else:
            found[checkpoint_id] = (each.checkpoint, each.pending_writes, rebuilt)
    return found


def check(before: dict[str, Any], after: dict[str, Any], keep: int) -> None:
    """The newest read as before; no other one reads differently."""
    assert list(after.items())[:keep] == list(before.items())[:keep]
    for checkpoint_id, reading in after.items():
        assert reading in (before[checkpoint_id], None)


@pytest.mark.parametrize("seed", range(12))
def test_prune(saver: RedisSaver, seed: int) -> None:
    """The newest n read as before, and nothing reads differently, with n going down to 1."""
    grow([saver], seed)
    before, count = readings(saver), len(IDS)
    for keep in (30, 12, 5, 2, 1):
        saver.prune(["t"], keep_last=keep)
        after = readings(saver)
        check(before, after, keep)
        assert len(after) <= count
        count = len(after)
    assert count < len(IDS)


@pytest.mark.parametrize("keep", [1, 4])
@pytest.mark.parametrize("seed", range(8))
def test_keep_last(server: Server, saver: RedisSaver, seed: int, keep: int) -> None:
    """What is trimmed as it grows reads, in its newest, as what was never trimmed.

    A branch may begin at a checkpoint that was trimmed: then it cannot be read, or reads right.
    """
    with RedisSaver.from_conn_string(server.url, keep_last=keep) as trimming:
        grow([saver], seed, "u")
        grow([trimming], seed)
    before, after = readings(saver, "u"), readings(saver)
    assert list(after)[:keep] == list(before)[:keep]
    for checkpoint_id, reading in after.items():
        wanted = before[checkpoint_id]
        assert reading is None or (reading[0], reading[2]) == (wanted[0], wanted[2])


@pytest.mark.parametrize("seed", range(8))
def test_delete_for_runs(saver: RedisSaver, seed: int) -> None:
    """Whichever runs go, every checkpoint that is left reads as before."""
    grow([saver], seed)
    before = readings(saver)
    runs = [f"run{number}" for number in range(len(IDS) // 4 + 1)]
    random.Random(seed).shuffle(runs)
    for run in runs[:-2]:
        saver.delete_for_runs([run])
        after = readings(saver)
        assert after == {checkpoint_id: before[checkpoint_id] for checkpoint_id in after}
    assert len(after) < len(before)


@pytest.mark.parametrize("seed", range(4))
def test_copy_thread(saver: RedisSaver, seed: int) -> None:
    """A copy reads as its source, whatever was removed before, and is pruned like it."""
    grow([saver], seed)
    for keep in (40, 8, 2):
        saver.prune(["t"], keep_last=keep)
        saver.copy_thread("t", f"copy {keep}")
        assert readings(saver, f"copy {keep}") == readings(saver)
        saver.prune([f"copy {keep}"])
        newest = next(iter(readings(saver, f"copy {keep}").items()))
        assert newest == next(iter(readings(saver).items()))
