"""The scripts as source: headers, size, lint, and agreement with the plans that call them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest

from saver import RedisSaver
from saver._keys import SHARD_KINDS, THREAD_KINDS
from saver._requests import Call
from saver._scripts import scripts
from tests import raw
from tests.raw import SHARD_SCRIPTS, keys_of
from tests.samples import checkpoint, config, put

if TYPE_CHECKING:
    from redis import Redis

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "lua").glob("*.lua"), key=lambda path: path.stem)
INCLUDES = sorted((ROOT / "lua" / "includes").glob("*.lua"))
BANNED = {"KEYS", "SCAN", "RANDOMKEY", "FLUSHDB", "FLUSHALL", "SORT", "DBSIZE", "EVAL", "DEL"}
FLAGS = {
    "put": "",
    "put_writes": "",
    "publish": "",
    "get_tuple": " flags=no-writes",
    "get_tuple_renewing": " flags=allow-oom",
    "list": " flags=no-writes",
    "threads": " flags=no-writes",
    "runs": " flags=no-writes",
    "describe": " flags=no-writes",
    "export": " flags=no-writes",
    "delta_history": " flags=no-writes",
    "expire": " flags=allow-oom",
    "prune": " flags=allow-oom",
    "delete_run": " flags=allow-oom",
    "delete_thread": " flags=allow-oom",
}
"""Of each script: what removes or reads runs on a full server, too."""

RULES = ROOT / ".luacheckrc"
needs_luacheck = pytest.mark.skipif(
    shutil.which("luacheck") is None, reason="luacheck is not installed (Debian: lua-check)"
)
by_name = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
by_file = pytest.mark.parametrize("path", SCRIPTS + INCLUDES, ids=lambda path: path.stem)


def header(path: Path) -> str:
    """The comment that a script starts with, without its first line."""
    _, *lines = path.read_text().splitlines()
    return "\n".join(lines[: next(at for at, line in enumerate(lines) if line[:2] != "--")])


def commands(source: str) -> set[str]:
    """The commands that a source calls: whatever it has in capitals between quotes."""
    return set(re.findall(r"['\"]([A-Z]{2,})['\"]", source))


@pytest.fixture
def calls(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> dict[str, Call]:
    """The last call of each script while a saver does all that it can."""
    sent: dict[str, Call] = {}
    command = Call.command

    def noted(call: Call) -> Any:
        sent[call.script] = call
        return command(call)

    monkeypatch.setattr(Call, "command", noted)
    saver, renewing = RedisSaver(redis), RedisSaver(redis, ttl=60, refresh_on_read=True)
    stored = put(saver, config("s"), checkpoint("1", a=1), run_id="run")
    saver.put_writes(stored, [("a", 1)], "task")
    saver.copy_thread("s", "t")
    assert len(list(saver.threads())) == 2
    assert len(list(saver.list(config("t")))) == 1
    saver.get_delta_channel_history(config=config("t"), channels=["a"])
    renewing.get_tuple(config("t"))
    saver.get_tuple(config("t"))
    saver.pin("t")
    assert saver.ttl("t") is None
    saver.prune(["t"])
    saver.delete_for_runs(["run"])
    put(saver, config("t"), checkpoint("2"))
    saver.put_writes(config("t", "", "2"), [("a", 1)], "task")
    saver.delete_thread("t")
    return sent


def test_every_script_is_known(calls: dict[str, Call]) -> None:
    """The folder, the loader, the plans and these tests have the same scripts."""
    names = [path.stem for path in SCRIPTS]
    assert names == sorted(FLAGS) == sorted(scripts()) == sorted(calls) == sorted(raw.GOOD)


def test_keys_of_plans(calls: dict[str, Call]) -> None:
    """Each plan sends its script's keys in the order that the script names."""
    for script, call in calls.items():
        if script in SHARD_SCRIPTS:  # the last shard, where a walk over all of them ends
            expected = [b"saver:{1023}:%b" % kind for kind in SHARD_KINDS]
        else:
            start = b"saver:{%d}:" % (crc32(call.args[0]) % 1024)
            ids = call.args[:2] if script == "publish" else call.args[:1]
            expected = [start + kind for kind in SHARD_KINDS]
            expected += [b"%b%b:%b" % (start, kind, each) for each in ids for kind in THREAD_KINDS]
        assert list(call.keys) == expected, script
        assert len(expected) == len(keys_of(script)), script


def test_keys_by_name() -> None:
    """The scripts name KEYS in the order of saver/_keys.py; of `runs` there are two kinds."""
    source = (ROOT / "lua" / "includes" / "keys.lua").read_text()
    named = re.findall(r"(\w+) = KEYS\[(\d+)\]", source)
    own = ["thread_runs" if kind == b"runs" else kind.decode() for kind in THREAD_KINDS]
    kinds = [kind.decode() for kind in SHARD_KINDS] + own
    assert named == [(kind, str(position)) for position, kind in enumerate(kinds, 1)]
    assert f"SHARD_KEYS, THREAD_KEYS = {len(SHARD_KINDS)}, {len(kinds)}\n" in source


def test_kinds() -> None:
    """What these tests know of the keys is what saver/_keys.py spells."""
    assert [*raw.SHARD_KINDS] == [kind.decode() for kind in SHARD_KINDS]
    assert [*raw.THREAD_KINDS] == [kind.decode() for kind in THREAD_KINDS]


@by_name
def test_first_line(path: Path) -> None:
    """`#!lua` in the first bytes; readers promise no writes, a deletion runs on a full server."""
    assert path.read_text().startswith(f"#!lua{FLAGS[path.stem]}\n-- ")
    assert scripts()[path.stem].source.startswith(f"#!lua{FLAGS[path.stem]}\n")


@by_name
def test_header(path: Path) -> None:
    """A script says what it takes, replies, raises and costs, before its code."""
    told = header(path)
    for part in ("-- KEYS[1..", "-- ARGV[1] ", "Reply: ", "Errors: SAVER", "Cost: O("):
        assert part in told, part


@by_name
def test_errors_in_header(path: Path) -> None:
    """The errors in a header are those of the script with its includes."""
    raised = set(re.findall(r"error_reply\('(SAVER[A-Z]+) ", scripts()[path.stem].source))
    assert set(re.findall(r"SAVER[A-Z]+", header(path))) == raised


@by_name
def test_keys_in_header(path: Path) -> None:
    """A header says whose keys the script takes; it refuses another number of them."""
    whose = re.findall(r"^-- (KEYS\[.*)$", header(path), re.MULTILINE)
    shard, thread = "KEYS[1..5]    of the shard", "KEYS[1..16]   of the thread"
    told = {5: shard, 16: thread, 27: thread}[len(keys_of(path.stem))]
    more = "; [17..27] the staged thread's own, as [6..16]" if path.stem == "publish" else ""
    assert whose == [f"{told}, see includes/keys.lua{more}"]


@by_name
def test_arguments_in_header(path: Path) -> None:
    """A header names the arguments in order, without a gap, and at least as many as it needs."""
    found = re.findall(r"ARGV\[(\d+)(\.\.)?\]", header(path))
    assert [int(number) for number, _ in found] == list(range(1, len(found) + 1))
    assert not any(rest for _, rest in found[:-1])
    (least,) = re.findall(r"refusal\([\w* -]+, (\d+)[,)]", path.read_text())
    assert len(found) - bool(found[-1][1]) <= int(least) <= len(found)


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


@by_file
def test_keys_are_named_once(path: Path) -> None:
    """No KEYS[n] by number but in keys.lua, where each stands once."""
    used = re.findall(r"KEYS\[(\d+)\]", path.read_text())
    assert len(used) == (16 if path.name == "keys.lua" else 0)
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


@needs_luacheck
def test_luacheck(sent: Path) -> None:
    """No warning in the scripts as they are sent."""
    found = luacheck(sent)
    assert found.returncode == 0, found.stdout
    assert f"Total: 0 warnings / 0 errors in {len(scripts())} files" in found.stdout
    (sent / "bad.lua").write_text("#!lua\nKEYS = unknown\n")
    assert "unknown" in luacheck(sent).stdout  # it does read these files by these rules


@needs_luacheck
def test_luacheck_ignores_no_more_than_it_must(sent: Path) -> None:
    """.luacheckrc lists what an include brings and some script does not use; nothing else."""
    rules = RULES.read_text()
    strict = sent / "rules"
    strict.write_text(re.sub(r"ignore = \{.*?\}", "", rules, flags=re.DOTALL))
    unused = re.findall(r"unused (?:function|variable) '?(\w+)'?", luacheck(sent, strict).stdout)
    assert sorted(re.findall(r'"211/(\w+)"', rules)) == sorted(set(unused))


@pytest.fixture
def sent(tmp_path: Path) -> Path:
    """A folder with the scripts as they are sent."""
    for name, script in scripts().items():
        (tmp_path / f"{name}.lua").write_text(script.source)
    return tmp_path


def luacheck(folder: Path, rules: Path = RULES) -> subprocess.CompletedProcess[str]:
    """Runs luacheck, by the project's rules or by others."""
    words = ["luacheck", "--no-color", "--no-cache", "--config", rules, folder]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def _includes_of(path: Path) -> list[Path]:
    names = re.findall(r"^-- @include (\w+)$", path.read_text(), re.MULTILINE)
    return [ROOT / "lua" / "includes" / f"{name}.lua" for name in names]
