"""Loads the Lua scripts: from `saver/lua` of a wheel, or from `lua/` of the source tree."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha1
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Traversable  # Python 3.10 has it here

_INCLUDE = re.compile(r"^-- @include (\w+)\n", re.MULTILINE)


@dataclass(frozen=True)
class Script:
    """A script as it is sent: its includes are in its source."""

    name: str
    source: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        # SHA-1 is how a server names scripts (EVALSHA), not a matter of security.
        sha = sha1(self.source.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "sha", sha)


@lru_cache(maxsize=1)
def scripts() -> dict[str, Script]:
    """Every script by its name."""
    folder = _folder()
    includes = _sources(folder / "includes")
    return {
        name: Script(name, _INCLUDE.sub(lambda match: includes[match[1]], source))
        for name, source in sorted(_sources(folder).items())
    }


def _folder() -> Traversable:
    packaged = files("saver") / "lua"
    # An editable install runs from the source tree, where the scripts lie beside the package.
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "lua"


def _sources(folder: Traversable) -> dict[str, str]:
    return {
        entry.name.removesuffix(".lua"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".lua")
    }
