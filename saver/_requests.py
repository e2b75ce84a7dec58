"""What a plan yields: requests to the server, and pages for the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from redis.client import NEVER_DECODE

from saver._scripts import scripts

if TYPE_CHECKING:
    from collections.abc import Sequence

_Argument = bytes | str | int


@dataclass(frozen=True)
class Call:
    """One run of a script."""

    script: str
    keys: tuple[bytes, ...]
    args: tuple[bytes | int, ...]
    source: bool = False
    """Send the source instead of its SHA-1; the server then knows the script."""

    options: ClassVar[dict[str, Any]] = {NEVER_DECODE: True}
    # Payloads are bytes, also on a client that was built with decode_responses=True.

    def command(self) -> tuple[_Argument, ...]:
        """EVALSHA, or EVAL."""
        script = scripts()[self.script]
        how = ("EVAL", script.source) if self.source else ("EVALSHA", script.sha)
        return (*how, len(self.keys), *self.keys, *self.args)

    def with_source(self) -> Call:
        """The same call for a server that does not know the script."""
        return Call(self.script, self.keys, self.args, source=True)

    @property
    def size(self) -> int:
        """Bytes of the arguments, roughly."""
        return sum(len(arg) for arg in self.args if isinstance(arg, bytes))


@dataclass(frozen=True)
class Command:
    """A plain command of the server, decoded as the client does."""

    words: tuple[str, ...]

    options: ClassVar[dict[str, Any]] = {}
    size: ClassVar[int] = 0

    def command(self) -> tuple[_Argument, ...]:
        """The command's words."""
        return self.words

    def with_source(self) -> Command:
        """The command itself: NOSCRIPT answers none but EVALSHA."""
        return self


Request = Call | Command


@dataclass(frozen=True)
class InOrder:
    """Calls for one round trip that the server runs one after the other, some perhaps twice.

    Those of a tuple may overtake each other.
    """

    calls: Sequence[Call]


@dataclass(frozen=True)
class Page:
    """What a listing hands out between its calls."""

    items: Sequence[Any]
