"""Prints the results as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from benchmarks.scripts import LENGTHS, LOGGED
from benchmarks.storage import SETTINGS

LONGEST = 10_000
"""Microseconds that no call of a script may take."""

if TYPE_CHECKING:
    from benchmarks.deletion import Deletion
    from benchmarks.measure import Comparison
    from benchmarks.scripts import ServerTime, Times
    from benchmarks.storage import Stored


def comparison_table(comparisons: list[Comparison]) -> Table:
    """Ratios against what is asked."""
    title = "Ours beside the reference: medians, and the middle half of the ratios"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("measurement", no_wrap=True)
    for heading in ("ours", "reference", "ratio", "half", "asked"):
        table.add_column(heading, justify="right", no_wrap=True)
    for it in comparisons:
        low, high = it.quartiles
        table.add_row(
            it.name,
            it.show(it.ours),
            it.show(it.reference),
            f"[bold]{it.ratio:.2f}[/]",
            f"{low:.2f}-{high:.2f}",
            _asked(it),
        )
    return table


def _asked(comparison: Comparison) -> str:
    if comparison.asked is None:
        return ""
    bound = f"{'≥' if comparison.is_rate else '≤'} {comparison.asked}"
    return f"[green]{bound}  ok[/]" if comparison.is_met else f"[red]{bound} not[/]"


def server_time_table(times: list[ServerTime]) -> Table:
    """Microseconds of scripts."""
    title = f"Microseconds a script call, by checkpoints in the thread; the slowest from {LOGGED}"
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("operation", no_wrap=True)
    for length in LENGTHS:
        table.add_column(f"{length:,}", justify="right", no_wrap=True)
        table.add_column("slowest", justify="right", no_wrap=True)
    table.add_column("calls", justify="right", no_wrap=True)
    for it in times:
        cells = [cell for each in it.by_length for cell in _server_time(each)]
        table.add_row(it.name, *cells, f"{it.by_length[-1].calls:,.0f}")
    return table


def _server_time(times: Times) -> tuple[str, str]:
    if times.slowest is None:
        return f"{times.mean:,.0f}", ""
    color = "red" if times.slowest > LONGEST else "default"
    return f"{times.mean:,.0f}", f"[{color}]{times.slowest:,.0f}[/]"


def deletion_table(deletions: list[Deletion], others: tuple[int, ...]) -> Table:
    """Milliseconds of delete_for_runs."""
    table = Table(title="delete_for_runs of one run, milliseconds", box=SIMPLE_HEAD)
    table.add_column("checkpoints deleted", justify="right")
    for count in others:
        table.add_column(f"beside {count:,} threads", justify="right")
    for it in deletions:
        table.add_row(f"{it.checkpoints:,}", *(f"{time:,.1f}" for time in it.by_threads))
    return table


def storage_table(sizes: list[Stored]) -> Table:
    """Bytes for each setting of `compression`."""
    table = Table(title="Bytes by compression", box=SIMPLE_HEAD)
    table.add_column("of", no_wrap=True)
    for setting in SETTINGS:
        table.add_column(str(setting), justify="right", no_wrap=True)
    for it in sizes:
        table.add_row(it.name, *(f"{size:,.0f}" for size in it.by_setting))
    return table
