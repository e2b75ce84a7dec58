"""Random sequences of all operations against a model, and all keys checked after each of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from redis.asyncio import Redis as AsyncRedis

from saver import AsyncRedisSaver, RedisSaver

REWRITTEN = ["tests.lifecycle_machine", "tests.lifecycle_model", "tests.lifecycle_operations"]
pytest.register_assert_rewrite(*REWRITTEN)

from tests.lifecycle_machine import OPTIONS  # noqa: E402
from tests.lifecycle_operations import Machine  # noqa: E402

if TYPE_CHECKING:
    from tests.servers import Server

PHASES = [Phase.reuse, Phase.generate]
"""To shrink takes many minutes: add `Phase.shrink` by hand; a failure is kept, to be reused."""


class SyncMachine(Machine):
    """RedisSaver."""

    def open(self) -> None:
        for name, options in OPTIONS.items():
            self.savers[name] = RedisSaver(self.redis, prefix=self.prefix, **options)

    def call(self, saver: str, name: str, *args: Any, **options: Any) -> Any:
        return getattr(self.savers[saver], name)(*args, **options)

    def each(self, name: str, *args: Any) -> list[Any]:
        return [*getattr(self.savers["plain"], name)(*args)]


class AsyncMachine(Machine):
    """AsyncRedisSaver."""

    loop: asyncio.AbstractEventLoop
    client: AsyncRedis

    def open(self) -> None:
        for name, options in OPTIONS.items():
            self.savers[name] = AsyncRedisSaver(self.client, prefix=self.prefix, **options)

    def call(self, saver: str, name: str, *args: Any, **options: Any) -> Any:
        method = getattr(self.savers[saver], "a" + name)
        return self.loop.run_until_complete(method(*args, **options))

    def each(self, name: str, *args: Any) -> list[Any]:
        async def found() -> list[Any]:
            return [each async for each in getattr(self.savers["plain"], "a" + name)(*args)]

        return self.loop.run_until_complete(found())


@pytest.mark.parametrize(("machine", "examples"), [(SyncMachine, 60), (AsyncMachine, 30)])
@pytest.mark.timeout(300)
def test_lifecycle_model(server: Server, machine: type[Any], examples: int) -> None:
    """Every answer is the model's, and nothing that is stored contradicts anything else."""
    loop, client = asyncio.new_event_loop(), AsyncRedis(unix_socket_path=str(server.socket))
    named = {"server": server, "loop": loop, "client": client}
    bound = type(machine.__name__, (machine,), named)
    try:
        run_state_machine_as_test(
            bound,
            settings=settings(
                max_examples=examples,
                stateful_step_count=30,
                deadline=None,
                phases=PHASES,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        loop.run_until_complete(client.aclose())
        loop.close()
