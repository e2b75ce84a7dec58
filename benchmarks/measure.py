"""Times two things in turns, and keeps what came of it.

Each repeat times ours and the reference back to back, the first of them alternating. The ratio is
taken within a repeat, and the median over the repeats is reported with its quartiles: what else the
machine does then strikes both sides, or few of the repeats.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass, field
from statistics import median, quantiles
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from rich.progress import Progress

    from benchmarks.environment import Environment


@dataclass
class Comparison:
    """Seconds of ours and of the reference, repeat by repeat."""

    name: str
    asked: float | None = None
    """The ratio of times that ours may reach; of rates, that it must. None: informational."""
    supersteps: int = 1
    """Each repeat's; more than one are shown as time a superstep, or as a rate."""
    is_rate: bool = False
    ours: list[float] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)

    def add(self, ours: float, reference: float) -> None:
        """Adds a repeat."""
        self.ours.append(ours)
        self.reference.append(reference)

    def forget(self) -> None:
        """Drops the repeats so far."""
        self.ours.clear()
        self.reference.clear()

    @property
    def ratios(self) -> list[float]:
        """Of each repeat."""
        pairs = zip(self.ours, self.reference, strict=True)
        return [theirs / ours if self.is_rate else ours / theirs for ours, theirs in pairs]

    @property
    def ratio(self) -> float:
        """The median."""
        return median(self.ratios)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Between them lies the middle half of the ratios."""
        low, _, high = quantiles(self.ratios, n=4) if len(self.ratios) > 1 else self.ratios * 3
        return low, high

    @property
    def is_met(self) -> bool | None:
        """Whether the ratio is as asked; None when nothing is."""
        if self.asked is None:
            return None
        return self.ratio >= self.asked if self.is_rate else self.ratio <= self.asked

    def show(self, seconds: list[float]) -> str:
        """The median of some repeats, with its unit."""
        one = median(seconds) / self.supersteps
        return f"{1 / one:,.0f} /s" if self.is_rate else f"{one * 1e3:.3f} ms"


def time_pair(
    comparison: Comparison, ours: Callable[[], object], reference: Callable[[], object]
) -> None:
    """Times a repeat of both."""
    swap = len(comparison.ours) % 2
    times = [_time(call) for call in ((reference, ours) if swap else (ours, reference))]
    comparison.add(times[swap], times[1 - swap])


async def atime_pair(
    comparison: Comparison,
    ours: Callable[[], Awaitable[Any]],
    reference: Callable[[], Awaitable[Any]],
) -> None:
    """`time_pair` of things to await."""
    swap = len(comparison.ours) % 2
    times = [await _atime(call) for call in ((reference, ours) if swap else (ours, reference))]
    comparison.add(times[swap], times[1 - swap])


def rounds(environment: Environment, comparisons: list[Comparison]) -> Iterator[str]:
    """Yields the ids of new threads until the measurement's time is over, a round each.

    The server is empty before each round. The first one warms up: what it adds is dropped again.
    """
    with _progress_of(environment) as progress:
        task = progress.add_task(environment.measuring, total=environment.seconds)
        start, number = perf_counter(), 0
        while number < 2 or perf_counter() < start + environment.seconds:
            environment.empty()
            gc.collect()
            gc.freeze()  # what lives on is no work for the collections that fall into a repeat
            yield f"round-{number}"
            if number == 0:
                for comparison in comparisons:
                    comparison.forget()
            number += 1
            progress.update(task, completed=perf_counter() - start)
            progress.refresh()
    gc.unfreeze()


def _progress_of(environment: Environment) -> Progress:
    from rich.progress import Progress

    # No refreshing thread: it would take turns with what is measured.
    return Progress(
        console=environment.console,
        auto_refresh=False,
        transient=True,
        disable=not environment.console.is_terminal,
    )


def _time(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


async def _atime(call: Callable[[], Awaitable[Any]]) -> float:
    start = perf_counter()
    await call()
    return perf_counter() - start
