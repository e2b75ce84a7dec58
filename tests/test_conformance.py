"""LangGraph's own conformance suite: every capability, sync and async."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import ALL_CAPABILITIES

from saver import AsyncRedisSaver, RedisSaver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from langgraph.checkpoint.conformance.initializer import RegisteredCheckpointer

    from tests.servers import Server


class SyncBehindAsync(BaseCheckpointSaver[str]):
    """The sync methods of a saver under the async names, which are all that the suite calls."""

    def __init__(self, saver: RedisSaver) -> None:
        super().__init__(serde=saver.serde)
        self._saver = saver

    async def aget_tuple(self, *args: Any, **options: Any) -> Any:
        """`get_tuple`."""
        return self._saver.get_tuple(*args, **options)

    async def alist(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        """`list`."""
        for found in self._saver.list(*args, **options):
            yield found

    async def aput(self, *args: Any, **options: Any) -> Any:
        """`put`."""
        return self._saver.put(*args, **options)

    async def aput_writes(self, *args: Any, **options: Any) -> None:
        """`put_writes`."""
        self._saver.put_writes(*args, **options)

    async def adelete_thread(self, *args: Any, **options: Any) -> None:
        """`delete_thread`."""
        self._saver.delete_thread(*args, **options)

    async def adelete_for_runs(self, *args: Any, **options: Any) -> None:
        """`delete_for_runs`."""
        self._saver.delete_for_runs(*args, **options)

    async def acopy_thread(self, *args: Any, **options: Any) -> None:
        """`copy_thread`."""
        self._saver.copy_thread(*args, **options)

    async def aprune(self, *args: Any, **options: Any) -> None:
        """`prune`."""
        self._saver.prune(*args, **options)


async def check(registered: RegisteredCheckpointer) -> None:
    """Runs the suite; all eight capabilities must be there and pass."""
    wanted = {capability.value for capability in ALL_CAPABILITIES}
    assert len(wanted) == 8
    results = (await validate(registered, capabilities=wanted)).results
    assert results.keys() == wanted
    for result in results.values():
        assert result.failures == []
        assert result.detected
        assert result.passed
        assert result.tests_passed
        assert not result.tests_failed + result.tests_skipped


async def test_async_saver(server: Server) -> None:
    """AsyncRedisSaver."""

    @checkpointer_test("AsyncRedisSaver")
    async def made() -> AsyncIterator[AsyncRedisSaver]:
        async with AsyncRedisSaver.from_conn_string(server.url) as saver:
            yield saver

    await check(made)


async def test_sync_saver(server: Server) -> None:
    """RedisSaver, its sync methods behind an adapter."""

    @checkpointer_test("RedisSaver")
    async def made() -> AsyncIterator[SyncBehindAsync]:
        with RedisSaver.from_conn_string(server.url) as saver:
            yield SyncBehindAsync(saver)

    await check(made)


async def test_async_methods_of_sync_saver(server: Server) -> None:
    """RedisSaver, its own async methods."""

    @checkpointer_test("RedisSaver in threads")
    async def made() -> AsyncIterator[RedisSaver]:
        with RedisSaver.from_conn_string(server.url) as saver:
            yield saver

    await check(made)


@pytest.mark.parametrize("protocol", [2, 3])
async def test_decoding_sync_client(server: Server, protocol: int) -> None:
    """RedisSaver with a client that decodes, over RESP2 and RESP3."""

    @checkpointer_test(f"sync, decode_responses, RESP{protocol}")
    async def made() -> AsyncIterator[SyncBehindAsync]:
        with server.client(decode_responses=True, protocol=protocol) as client:
            yield SyncBehindAsync(RedisSaver(client))

    await check(made)


@pytest.mark.parametrize("protocol", [2, 3])
async def test_decoding_client(server: Server, protocol: int) -> None:
    """A client with decode_responses=True works, over RESP2 and RESP3."""

    @checkpointer_test(f"decode_responses, RESP{protocol}")
    async def made() -> AsyncIterator[AsyncRedisSaver]:
        from redis.asyncio import Redis

        async with Redis(
            unix_socket_path=str(server.socket), decode_responses=True, protocol=protocol
        ) as client:
            yield AsyncRedisSaver(client)

    await check(made)
