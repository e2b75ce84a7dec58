"""delete_for_runs: what it costs by how much it deletes, with few and with many other threads."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import empty_checkpoint
from rich.progress import Progress

from benchmarks.graphs import thread
from saver import RedisSaver
from saver import _plans as plans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.environment import Environment

SIZES = (0, 1, 10, 100, 1_000)
"""Checkpoints that are deleted, each in a thread of its own."""
_BATCH = 200
_REPEATS = 5


@dataclass(frozen=True)
class Deletion:
    """Milliseconds that a deletion took."""

    checkpoints: int
    by_threads: list[float]


def delete_for_runs(environment: Environment, others: tuple[int, ...]) -> list[Deletion]:
    """Times it beside each number of other threads."""
    with environment.client() as client:
        saver = RedisSaver(client)
        columns = []
        for count in others:
            environment.empty()
            saver.setup()
            _fill(environment, saver, f"{count:,} threads", [f"own-{n}" for n in range(count)])
            columns.append([_time(environment, saver, size) for size in SIZES])
    return [Deletion(size, [column[row] for column in columns]) for row, size in enumerate(SIZES)]


def _time(environment: Environment, saver: RedisSaver, size: int) -> float:
    times = []
    for _ in range(_REPEATS):
        _fill(environment, saver, f"a run of {size:,}", ["deleted"] * size)
        start = perf_counter()
        saver.delete_for_runs(["deleted"])
        times.append(perf_counter() - start)
    return median(times) * 1e3


def _fill(environment: Environment, saver: RedisSaver, what: str, run_ids: list[str]) -> None:
    """Stores a checkpoint of each run, each in a thread of its own."""
    with Progress(
        console=environment.console,
        transient=True,
        disable=not environment.console.is_terminal or len(run_ids) < 10_000,
    ) as progress:
        for first in progress.track(range(0, len(run_ids), _BATCH), description=what):
            some = enumerate(run_ids[first : first + _BATCH], first)
            saver._transport.run(_stored(saver, some))  # noqa: SLF001


def _stored(saver: RedisSaver, runs: Iterator[tuple[int, str]]) -> plans.Plan[None]:
    calls = []
    for number, run_id in runs:
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"messages": ["hello"]}
        checkpoint["channel_versions"] = {"messages": "1"}
        metadata: Any = {"source": "loop", "step": 0, "run_id": run_id}
        config = thread(f"{run_id}-{number}", checkpoint_ns="")
        versions = checkpoint["channel_versions"]
        put = plans.put(saver._keys, saver.serde, config, checkpoint, metadata, versions)  # noqa: SLF001
        calls.append(next(put))
    yield tuple(calls)
