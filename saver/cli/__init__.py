"""The command line `saver`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from saver.cli import _scripts

__all__ = ["main"]

app = typer.Typer(
    name="saver",
    help="LangGraph checkpoints in plain Redis or Valkey.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(_scripts.app, name="scripts")


def main() -> None:
    """Entry point of the command."""
    app()


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - how typer calls it
    if wanted:
        typer.echo(f"saver {version('langgraph-checkpoint-redis-lua')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    url: Annotated[
        str | None,
        typer.Option(
            help="Use this server, and delete the demo's threads from it at the end.",
            show_default="a server of its own",
        ),
    ] = None,
) -> None:
    """Run an agent, kill its process, resume it, travel in time, fork it. Needs no key."""
    from saver.cli._demo import run_demo

    run_demo(url)
