"""The scripts as source: headers, size, lint, and agreement with the plans that call them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from saver import _plans as plans
from saver._keys import Keys
from saver._listing import list_checkpoints, query_of
from saver._scripts import scripts
from tests.raw import KINDS, NAMES, key, keys_of
from tests.samples import checkpoint, config

if TYPE_CHECKING:
    from saver._requests import Call

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "lua").glob("*.lua"), key=lambda path: path.stem)
INCLUDES = sorted((ROOT / "lua" / "includes").glob("*.lua"))
BANNED = {"KEYS", "SCAN", "RANDOMKEY", "FLUSHDB", "FLUSHALL", "SORT", "DBSIZE", "EVAL", "DEL"}
FLAGS = {
    "put": "",
    "put_writes": "",
    "get_tuple": " flags=no-writes",
    "list": " flags=no-writes",
    "threads": " flags=no-writes",
    "delete_thread": " flags=allow-oom",
}
SERDE = JsonPlusSerializer()
by_name = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
by_file = pytest.mark.parametrize("path", SCRIPTS + INCLUDES, ids=lambda path: path.stem)


def header(path: Path) -> str:
    """The comment that a script starts with, without its first line."""
    _, *lines = path.read_text().splitlines()
    return "\n".join(lines[: next(at for at, line in enumerate(lines) if line[:2] != "--")])


def commands(source: str) -> set[str]:
    """The commands that a source calls: whatever it has in capitals between quotes."""
    return set(re.findall(r"['\"]([A-Z]{2,})['\"]", source))


def declared_keys(path: Path) -> int:
    """How many keys a header declares; `KEYS[5..10]` are six."""
    numbers: list[int] = []
    for first, last in re.findall(r"^-- KEYS\[(\d+)(?:\.\.(\d+))?\] ", header(path), re.MULTILINE):
        numbers += range(int(first), int(last or first) + 1)
    assert numbers == list(range(1, len(numbers) + 1))
    return len(numbers)


def calls() -> dict[str, Call]:
    """The call that each plan sends, without a server."""
    keys, at, made = Keys("saver"), config("t", "", "1"), checkpoint("2", a=1)
    found: list[Any] = [
        next(plans.put(keys, SERDE, at, made, {}, made["channel_versions"])),
        next(plans.put_writes(keys, SERDE, at, [("a", 1)], "task", "")),
        next(plans.get_tuple(keys, SERDE, at)),
        next(plans.delete_thread(keys, "t")),
        next(list_checkpoints(keys, SERDE, query_of(at, {"a": 1}, None, None))),
        next(list_checkpoints(keys, SERDE, query_of(None, None, None, None)))[0],
    ]
    return {call.script: call for call in found}


def test_every_script_is_known() -> None:
    """The folder, the loader, the plans and these tests have the same scripts."""
    names = [path.stem for path in SCRIPTS]
    assert names == sorted(FLAGS) == sorted(scripts()) == sorted(calls()) == sorted(NAMES)


@by_name
def test_first_line(path: Path) -> None:
    """`#!lua` in the first bytes; readers promise no writes, a deletion runs on a full server."""
    assert path.read_text().startswith(f"#!lua{FLAGS[path.stem]}\n-- ")
    assert scripts()[path.stem].source.startswith(f"#!lua{FLAGS[path.stem]}\n")


@by_name
def test_header(path: Path) -> None:
    """A script says what it takes, replies, raises and costs, before its code."""
    told = header(path)
    for part in ("-- KEYS[1] layout ", "-- ARGV[1] ", "Reply: ", "Errors: SAVER", "Cost: O("):
        assert part in told, part


@by_name
def test_errors_in_header(path: Path) -> None:
    """The errors in a header are those of the script with its includes."""
    raised = set(re.findall(r"error_reply\('(SAVER[A-Z]+) ", scripts()[path.stem].source))
    assert set(re.findall(r"SAVER[A-Z]+", header(path))) == raised


@by_name
def test_keys_in_header(path: Path) -> None:
    """As many keys as the plan sends; the scripts refuse another number."""
    assert declared_keys(path) == len(calls()[path.stem].keys) == len(keys_of(path.stem))


@by_name
def test_types_in_header(path: Path) -> None:
    """The types in a header are those of the keys."""
    told = re.findall(r"^-- KEYS\[\d+\] +\w+ +(\w+)", header(path), re.MULTILINE)
    kinds = [KINDS[name] for name in NAMES[path.stem].split()]
    assert told == kinds[: len(told)]
    assert told


def test_keys_of_plans() -> None:
    """Each plan sends its script's keys in the order that the script names."""
    sent = {name: list(call.keys) for name, call in calls().items()}
    shard = [b"saver:{0}:layout", b"saver:{0}:threads"]  # where a walk over every thread starts
    assert sent == {name: keys_of(name) for name in NAMES} | {"threads": shard}
    assert len({key(name) for name in KINDS}) == len(KINDS)


@by_file
def test_size(path: Path) -> None:
    """A file fits in the head, its lines on a screen."""
    lines = path.read_text().splitlines()
    assert len(lines) <= 130
    assert max(map(len, lines)) <= 100


@by_file
def test_commands(path: Path) -> None:
    """Nothing walks over the keyspace, and memory is freed in the background."""
    source = path.read_text()
    assert not BANNED & commands(source)
    assert not re.search(r"cjson|cmsgpack|loadstring|math\.random", source)


def test_commands_are_seen() -> None:
    """The test above can fail, and sees what the scripts call."""
    assert commands("call('SCAN', 0) redis.call(\"KEYS\", '*')") == {"SCAN", "KEYS"}
    assert {"HSET", "ZADD"} <= commands((ROOT / "lua" / "put.lua").read_text())


@by_name
def test_keys_are_named_once(path: Path) -> None:
    """No KEYS[n] below the names at the top; an unpack of the rest may stay."""
    code = path.read_text().removeprefix(f"#!lua{FLAGS[path.stem]}\n{header(path)}")
    used = re.findall(r"KEYS\[(\d+)\]", code)
    assert len(used) == len(set(used))


def test_every_include_is_used() -> None:
    """No include is left over, and none includes another."""
    used = {include for path in SCRIPTS for include in _includes_of(path)}
    assert used == set(INCLUDES)
    assert not any(_includes_of(path) for path in INCLUDES)


@by_name
def test_includes_are_in_the_source(path: Path) -> None:
    """What is sent has each include once, whole, and no directive left."""
    source = scripts()[path.stem].source
    assert "@include" not in source
    for include in _includes_of(path):
        assert source.count(include.read_text()) == 1


@pytest.mark.skipif(
    shutil.which("luacheck") is None, reason="luacheck is not installed (Debian: lua-check)"
)
def test_luacheck(tmp_path: Path) -> None:
    """No warning in the scripts as they are sent."""
    for name, script in scripts().items():
        (tmp_path / f"{name}.lua").write_text(script.source)
    found = luacheck(tmp_path)
    assert found.returncode == 0, found.stdout
    assert f"Total: 0 warnings / 0 errors in {len(scripts())} files" in found.stdout
    (tmp_path / "bad.lua").write_text("#!lua\nKEYS = unknown\n")
    assert "unknown" in luacheck(tmp_path).stdout  # it does read these files by these rules


def luacheck(folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs luacheck by the project's rules."""
    words = ["luacheck", "--no-color", "--no-cache", "--config", ROOT / ".luacheckrc", folder]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def _includes_of(path: Path) -> list[Path]:
    names = re.findall(r"^-- @include (\w+)$", path.read_text(), re.MULTILINE)
    return [ROOT / "lua" / "includes" / f"{name}.lua" for name in names]
