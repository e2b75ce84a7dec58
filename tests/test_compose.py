"""docker-compose.yml, checked as YAML; its commands run here, without Docker."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from saver._scripts import scripts
from tests.servers import Server
from tests.test_cli import saver_command

if TYPE_CHECKING:
    from redis import Redis

ROOT = Path(__file__).parents[1]
IN_COMPOSE = "redis://redis:6379/0"
"""The server as the services name it."""


@pytest.fixture
def compose() -> Any:
    """The file."""
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


@pytest.fixture
def services(compose: Any) -> Any:
    """Its services."""
    return compose["services"]


def run_service(service: dict[str, Any], url: str) -> tuple[int, str]:
    """Runs the command of a service against another server."""
    program, *words = [word.replace(IN_COMPOSE, url) for word in service["command"]]
    assert program == "saver"
    env = {name: value.replace(IN_COMPOSE, url) for name, value in service["environment"].items()}
    found = saver_command(*words, **env)
    return found.returncode, found.stdout + found.stderr


def test_services(services: dict[str, Any]) -> None:
    """A server, the one-shot service that loads the scripts, and the demo on them."""
    assert set(services) == {"redis", "scripts", "demo"}
    assert services["scripts"]["depends_on"] == {"redis": {"condition": "service_healthy"}}
    done = {"condition": "service_completed_successfully"}
    assert services["demo"]["depends_on"] == {"scripts": done}


def test_images(services: dict[str, Any]) -> None:
    """Images are of a known major version; ours is built here and never pulled."""
    assert re.fullmatch(r"valkey/valkey:\d+", services["redis"]["image"])
    for name in ("scripts", "demo"):
        assert services[name]["pull_policy"] == "build"
        assert re.match(r"FROM python:3\.\d+-slim\n", services[name]["build"]["dockerfile_inline"])


def test_image_has_what_the_build_needs(services: dict[str, Any]) -> None:
    """The image copies every file that pyproject.toml names."""
    dockerfile = services["scripts"]["build"]["dockerfile_inline"]
    lines = re.findall(r"^COPY (.*) \S+$", dockerfile, re.MULTILINE)
    copied = {source for line in lines for source in line.split()}
    assert all((ROOT / source).exists() for source in copied)
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    names = r'^(?:readme = |license-files = \[|package-dir = .*= )"(.*?)"'
    named = re.findall(names, project, re.MULTILINE)
    assert len(named) == 3
    assert {"pyproject.toml", "saver", *named} <= copied


def test_server_starts_with_its_options(services: dict[str, Any]) -> None:
    """The server's own command gives a server that keeps its data and evicts nothing."""
    program, *words = services["redis"]["command"]
    assert program == "valkey-server"
    with Server(*words) as server, server.client() as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_data_is_kept(compose: Any, services: dict[str, Any]) -> None:
    """The folder that the image uses is a named volume of the file."""
    volume, folder = services["redis"]["volumes"][0].split(":")
    assert folder == "/data"
    assert volume in compose["volumes"]


def test_health_check(services: dict[str, Any]) -> None:
    """The server is healthy when it answers; an error reply is not an answer."""
    check = services["redis"]["healthcheck"]
    assert check["test"] == ["CMD", "valkey-cli", "-e", "ping"]
    assert set(check) == {"test", "interval", "timeout", "retries"}


def test_port_is_the_one_of_the_readme(services: dict[str, Any]) -> None:
    """The port is published on this machine only, and the README names it."""
    (published,) = services["redis"]["ports"]
    address, outside, inside = published.split(":")
    assert (address, inside) == ("127.0.0.1", "6379")
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"port {outside} of this" in readme
    assert f"redis://localhost:{outside}" in readme


def test_scripts_service(services: dict[str, Any], server: Server, redis: Redis) -> None:
    """The service `scripts` loads them all."""
    assert services["scripts"]["command"] == ["saver", "scripts", "load"]
    code, output = run_service(services["scripts"], server.tcp_url)
    assert code == 0, output
    assert all(redis.script_exists(*(script.sha for script in scripts().values())))


def test_demo_service(services: dict[str, Any], server: Server) -> None:
    """The service `demo` runs the demo on that server."""
    assert IN_COMPOSE in services["demo"]["command"]
    code, output = run_service(services["demo"], server.tcp_url)
    assert code == 0, output
    assert f"{server.tcp_url}" in output
