"""`python -m benchmarks`: measures on a server of its own and prints tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from benchmarks import operations, runs
from benchmarks.deletion import delete_for_runs
from benchmarks.environment import Environment
from benchmarks.report import comparison_table, deletion_table, server_time_table, storage_table
from benchmarks.scripts import server_times
from benchmarks.storage import storage, times
from tests.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Comparison

COMPARISONS: dict[str, Callable[[Environment], list[Comparison]]] = {
    "operations": operations.operations,
    "async-operations": operations.async_operations,
    "chat": runs.chat,
    "turns": runs.turns,
    "fan-out": runs.fan_out,
    "async-fan-out": runs.async_fan_out,
    "agents": runs.agents,
    "agents-sync": runs.agents_sync,
    "compression": times,
}
SERVER_TIMES = "server-times"
DELETE_FOR_RUNS = "delete-for-runs"
STORAGE = "storage"
NAMES = (*COMPARISONS, SERVER_TIMES, DELETE_FOR_RUNS, STORAGE)


def main(
    *,
    only: Annotated[
        list[str] | None, typer.Option(help=f"Measure this alone: {', '.join(NAMES)}.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="About 90 seconds.")] = False,
    unix: Annotated[bool, typer.Option("--unix", help="A unix socket, not loopback TCP.")] = False,
    server: Annotated[str, typer.Option(help="valkey, redis, or a server's path.")] = "valkey",
) -> None:
    """Measures the saver against bare Redis commands and InMemorySaver, in turns."""
    chosen = only or list(NAMES)
    unknown = set(chosen) - set(NAMES)
    if unknown:
        msg = f"no such measurement: {', '.join(sorted(unknown))}; choose from {', '.join(NAMES)}"
        raise typer.BadParameter(msg)
    console = Console()
    with Server(kind=server) as running:
        url = running.url if unix else running.tcp_url
        environment = Environment(url, seconds=2 if quick else 12, console=console)
        with running.client() as client:
            info = client.info("server")
        version = info.get("valkey_version") or info["redis_version"]
        way = "a unix socket" if unix else "loopback TCP"
        console.print(f"{info.get('server_name', 'redis')} {version} over {way}")
        found: list[Comparison] = []
        for name, measure in COMPARISONS.items():
            if name in chosen:
                environment.measuring = name
                found += measure(environment)
        if found:
            console.print(comparison_table(found))
        if SERVER_TIMES in chosen:
            with console.status(SERVER_TIMES):
                times = server_times(environment)
            console.print(server_time_table(times))
        if DELETE_FOR_RUNS in chosen:
            others = (100, 10_000 if quick else 100_000)
            console.print(deletion_table(delete_for_runs(environment, others), others))
        if STORAGE in chosen:
            with console.status(STORAGE):
                found_sizes = storage(environment, 200 if quick else 1_000)
            console.print(storage_table(found_sizes))


if __name__ == "__main__":
    typer.run(main)
