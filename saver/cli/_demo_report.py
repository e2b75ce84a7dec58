"""What the demo prints: parts, tables, and claims that were checked."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from saver.cli._terminal import wide_console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import RunnableConfig
    from rich.console import Console


class DemoError(Exception):
    """The demo cannot go on. Its message says why."""


@dataclass
class Report:
    """Prints as it goes, and counts the claims that hold and those that do not."""

    console: Console = field(default_factory=wide_console)
    held: int = 0
    failed: int = 0

    def part(self, title: str, text: str) -> None:
        """Starts a part."""
        self.console.print()
        self.console.rule(Text(title, style="bold"), align="left")
        self.console.print(text, markup=False)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Prints a table."""
        table = Table(*columns)
        for row in rows:
            table.add_row(*(Text(str(cell)) for cell in row))
        self.console.print(table)

    def claim(self, text: str, *, holds: bool) -> None:
        """Prints a claim and whether it holds."""
        if not holds:
            self.trouble(f"does not hold: {text}")
            return
        self.held += 1
        self._mark("✓", "ok", "bold green", text)

    def trouble(self, text: str) -> None:
        """Prints what went wrong; the demo has then failed."""
        self.failed += 1
        self._mark("✗", "FAILED", "bold red", text)

    def _mark(self, mark: str, ascii_mark: str, style: str, text: str) -> None:
        unicode = self.console.encoding.startswith("utf")
        line = Text.assemble((mark if unicode else ascii_mark, style), " ", text)
        self.console.print(line, soft_wrap=True)

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """A spinner, on a terminal."""
        with self.console.status(text, spinner="line"):
            yield


@dataclass(frozen=True)
class Demo:
    """What every part needs."""

    url: str
    model: BaseChatModel
    report: Report
    run: str
    """Random, so that no two demos on one server meet."""

    def thread(self, name: str) -> RunnableConfig:
        """Config of one of the demo's threads."""
        return {"configurable": {"thread_id": f"saver-demo-{self.run}-{name}"}}
