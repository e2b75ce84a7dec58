"""`saver scripts`: load, list, check. For start-up hooks and init containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from saver._scripts import scripts
from saver._setup import load_scripts, missing_scripts
from saver.cli._server import check, connected, shown
from saver.cli._terminal import fail, wide_console

if TYPE_CHECKING:
    from collections.abc import Iterable

    from saver._scripts import Script

app = typer.Typer(
    help="Load the Lua scripts into a server, list them, check for them.", no_args_is_help=True
)

Url = Annotated[
    str | None,
    typer.Option(envvar="REDIS_URL", help="redis://host:port/db, rediss://… or unix:///path.sock"),
]


@app.command()
def load(url: Url = None) -> None:
    """Load every script, so that no first call has to. Safe to repeat."""
    with connected(url) as transport:
        check(transport)
        loaded = transport.run(load_scripts())
    _print_scripts(loaded)
    typer.echo(f"{len(loaded)} scripts loaded into {shown(url or '')}")


@app.command("list")
def list_scripts() -> None:
    """List the scripts of this version. Needs no server."""
    _print_scripts(scripts().values())


@app.command("check")
def check_scripts(url: Url = None) -> None:
    """Exit with 1 when the server lacks a script."""
    with connected(url) as transport:
        missing = transport.run(missing_scripts())
    if missing:
        names = ", ".join(script.name for script in missing)
        fail(f"{shown(url or '')} lacks {names}: run `saver scripts load`")
    typer.echo(f"{shown(url or '')} has all {len(scripts())} scripts")


def _print_scripts(listed: Iterable[Script]) -> None:
    table = Table("script", "SHA1", "bytes")
    table.columns[1].no_wrap = True
    table.columns[2].justify = "right"
    for script in listed:
        table.add_row(script.name, script.sha, f"{len(script.source.encode()):,}")
    wide_console().print(table)
