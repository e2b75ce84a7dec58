"""Fixtures: one server for each worker process, emptied for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saver import AsyncRedisSaver, RedisSaver
from tests.invariants import problems
from tests.servers import Server
from tests.wire import Wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from redis import Redis


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """A server that lives as long as the worker; take `server` instead."""
    with Server() as server:
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """A running, empty server with default settings."""
    with shared_server.client() as client:
        client.flushall()
        client.script_flush()
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")
    return shared_server


@pytest.fixture
def redis(server: Server) -> Iterator[Redis]:
    """A client of the server."""
    with server.client() as client:
        yield client


@pytest.fixture
def saver(server: Server) -> Iterator[RedisSaver]:
    """A sync saver."""
    with RedisSaver.from_conn_string(server.url) as saver:
        yield saver


@pytest.fixture
async def asaver(server: Server) -> AsyncIterator[AsyncRedisSaver]:
    """An async saver."""
    async with AsyncRedisSaver.from_conn_string(server.url) as saver:
        yield saver


@pytest.fixture
def wire(server: Server) -> Iterator[Wire]:
    """A wire to the server, which knows the scripts already; it counts what is sent."""
    with RedisSaver.from_conn_string(server.url) as saver:
        saver.setup()
    with Wire(server.socket) as wire:
        yield wire


@pytest.fixture
def sound(redis: Redis) -> Iterator[None]:
    """After the test: no key contradicts another one."""
    yield
    assert problems(redis) == []
