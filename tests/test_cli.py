"""The command `saver`, run as a user runs it."""

from __future__ import annotations

import os
import socketserver
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from saver._scripts import scripts
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.servers import Server

SAVER = Path(sys.executable).with_name("saver")


def saver_command(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs the command without a terminal, in 80 columns, without settings of the machine."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"REDIS_URL", "OPENAI_API_KEY", "COLUMNS"}
    }
    env = {**kept, "PYTHONIOENCODING": "utf-8", **env}
    return subprocess.run(
        [SAVER, *words], env=env, capture_output=True, encoding="utf-8", check=False, timeout=100
    )


def assert_one_line(found: subprocess.CompletedProcess[str], code: int, *texts: str) -> None:
    """The command failed with one line on stderr that has the texts."""
    assert found.returncode == code
    assert found.stderr.startswith("error: ")
    assert found.stderr.count("\n") == 1
    assert "Traceback" not in found.stderr
    for text in texts:
        assert text in found.stderr
    assert not found.stdout


class _OldServer(socketserver.StreamRequestHandler):
    """Enough of a Redis to say that it is a 6.2."""

    def handle(self) -> None:
        info = b"redis_version:6.2.14\r\n"
        while line := self.rfile.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(size + 2)[:-2].upper())
            if words[0] == b"INFO":
                self.wfile.write(b"$%d\r\n%b\r\n" % (len(info), info))
            elif words[0] == b"HELLO":
                self.wfile.write(b"%1\r\n$5\r\nproto\r\n:3\r\n")
            else:
                self.wfile.write(b"+OK\r\n")


@contextmanager
def listening(handler: type[socketserver.BaseRequestHandler]) -> Iterator[str]:
    """URL of a server with this handler."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_version() -> None:
    """--version prints the installed version."""
    found = saver_command("--version")
    assert found.stdout == f"saver {version('langgraph-checkpoint-redis-lua')}\n"
    assert found.returncode == 0


@pytest.mark.parametrize("words", [(), ("scripts",)])
def test_help(words: tuple[str, ...]) -> None:
    """--help names every command."""
    found = saver_command(*words, "--help")
    assert found.returncode == 0
    assert not found.stderr
    for name in ("load", "list", "check") if words else ("scripts", "demo"):
        assert f" {name} " in found.stdout


@pytest.mark.parametrize("columns", ["20", "80", "200"])
def test_list(columns: str) -> None:
    """`list` needs no server, and cuts no SHA1 at any width."""
    found = saver_command("scripts", "list", COLUMNS=columns)
    assert found.returncode == 0
    assert not found.stderr
    for script in scripts().values():
        line = next(line for line in found.stdout.splitlines() if script.sha in line)
        assert f" {script.name} " in line
        assert f" {len(script.source.encode()):,} " in line


def test_load(server: Server, redis: Redis) -> None:
    """`load` loads every script, says so, and can be repeated."""
    shas = [script.sha for script in scripts().values()]
    assert not any(redis.script_exists(*shas))
    for _ in range(2):
        found = saver_command("scripts", "load", "--url", server.url)
        assert found.returncode == 0
        assert not found.stderr
        assert all(redis.script_exists(*shas))
        assert all(sha in found.stdout for sha in shas)
        assert f"{len(shas)} scripts loaded into {server.url}" in found.stdout


def test_url_from_environment(server: Server, redis: Redis) -> None:
    """Without --url, REDIS_URL names the server."""
    assert saver_command("scripts", "load", REDIS_URL=server.tcp_url).returncode == 0
    assert saver_command("scripts", "check", REDIS_URL=server.tcp_url).returncode == 0
    redis.script_flush()
    assert saver_command("scripts", "check", REDIS_URL=server.tcp_url).returncode == 1


def test_check(server: Server, redis: Redis) -> None:
    """`check` exits with 1 and names what is missing."""
    known = list(scripts().values())
    for script in known[1:-1]:
        redis.script_load(script.source)
    found = saver_command("scripts", "check", "--url", server.url)
    assert_one_line(found, 1, f" lacks {known[0].name}, {known[-1].name}: run `saver scripts load`")
    for script in known:
        redis.script_load(script.source)
    found = saver_command("scripts", "check", "--url", server.url)
    assert found.returncode == 0
    assert found.stdout == f"{server.url} has all {len(known)} scripts\n"


@pytest.mark.parametrize("command", ["load", "check"])
@pytest.mark.parametrize("env", [{}, {"REDIS_URL": ""}])
def test_no_url(command: str, env: dict[str, str]) -> None:
    """Without a server, the line says how to name one."""
    assert_one_line(saver_command("scripts", command, **env), 2, "--url", "REDIS_URL")


@pytest.mark.parametrize("url", ["localhost", "http://h", "redis://h:x", "redis://h?no_such=1"])
def test_malformed_url(url: str) -> None:
    """A malformed URL is refused before anything is sent."""
    found = saver_command("scripts", "load", "--url", url)
    assert_one_line(found, 2, "redis://", "rediss://", "unix://")


@pytest.mark.parametrize("words", [("scripts", "load"), ("scripts", "check"), ("demo",)])
def test_server_down(words: tuple[str, ...]) -> None:
    """A server that is down is said to be, soon, without the password."""
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"
    start = time.monotonic()
    found = saver_command(*words, "--url", url)
    assert time.monotonic() - start < 20
    assert_one_line(found, 1, url.replace(":secret@", ""), "is it running")
    assert "secret" not in found.stderr


def test_silent_server() -> None:
    """A server that accepts and never answers is given up on after a few seconds."""

    class Silent(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while self.request.recv(1000):
                pass

    with listening(Silent) as url:
        start = time.monotonic()
        found = saver_command("scripts", "load", "--url", url)
        assert time.monotonic() - start < 20
        assert_one_line(found, 1, "cannot be reached")


def test_not_redis() -> None:
    """Another protocol on the port is recognized."""

    class Web(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with listening(Web) as url:
        assert_one_line(saver_command("scripts", "load", "--url", url), 1, "is the port right?")


@pytest.mark.parametrize("words", [("scripts", "load"), ("demo",)])
def test_too_old(words: tuple[str, ...]) -> None:
    """A Redis before 7.0 is refused with its version."""
    with listening(_OldServer) as url:
        assert_one_line(saver_command(*words, "--url", url), 1, "6.2.14", "Redis 7.0 or later")


def test_login(server: Server, redis: Redis) -> None:
    """A missing login, a wrong one and one without permissions are told apart."""
    redis.acl_setuser("weak", enabled=True, passwords=["+right"], commands=["+ping"])
    redis.acl_setuser("strong", enabled=True, passwords=["+right"], categories=["+@all"])
    redis.config_set("requirepass", "right")
    try:
        for user, words in {
            "": ("wants a login", "redis://user:password@host"),
            "strong:wrong@": ("refuses the login",),
            "weak:right@": ("refuses this user", "script|load"),
        }.items():
            url = server.tcp_url.replace("//", f"//{user}")
            assert_one_line(saver_command("scripts", "load", "--url", url), 1, *words)
        url = server.tcp_url.replace("//", "//strong:right@")
        found = saver_command("scripts", "load", "--url", url)
        assert found.returncode == 0
        assert "right" not in found.stdout
    finally:
        redis.config_set("requirepass", "")
        redis.acl_deluser("weak", "strong")


def test_eviction_policy(server: Server, redis: Redis) -> None:
    """A policy that drops checkpoints is warned of; the scripts are loaded all the same."""
    redis.config_set("maxmemory-policy", "allkeys-lru")
    found = saver_command("scripts", "load", "--url", server.url)
    assert found.returncode == 0
    assert found.stderr.startswith("warning: maxmemory-policy is allkeys-lru")
    assert found.stderr.count("\n") == 1
