"""What the commands print, on a terminal and without one."""

from __future__ import annotations

from typing import NoReturn

import typer
from rich.console import Console
from rich.text import Text

NARROWEST = 80
"""Columns that every table fits in: a SHA-1 or a checkpoint id is of no use when it is cut."""


def wide_console() -> Console:
    """A console of stdout, at least as wide as our tables."""
    console = Console(highlight=False)
    console.width = max(console.width, NARROWEST)
    return console


def fail(message: str, code: int = 1) -> NoReturn:
    """Prints one line on stderr and ends the command."""
    _print_error("error: ", "bold red", message)
    raise typer.Exit(code)


def warn(message: str) -> None:
    """Prints one line on stderr."""
    _print_error("warning: ", "bold yellow", message)


def _print_error(kind: str, style: str, message: str) -> None:
    # soft_wrap: a log keeps the line whole, whatever the width.
    Console(stderr=True).print(Text.assemble((kind, style), message), soft_wrap=True)
