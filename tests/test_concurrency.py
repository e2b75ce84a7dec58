"""Many calls at once on one saver: small pools, cancellation, one bad call of many."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis as AsyncRedis

from saver import AsyncRedisSaver, RedisSaver
from saver._batching import AsyncTransport
from saver._scripts import scripts
from saver.errors import ForeignKeyError
from tests.samples import checkpoint, config, put
from tests.wire import Wire

if TYPE_CHECKING:
    from redis import Redis

    from tests.servers import Server


async def run(saver: Any, number: int) -> None:
    """What a superstep does, on a thread of its own."""
    made = checkpoint("1", n=number)
    stored = await saver.aput(config(f"t{number}"), made, {}, made["channel_versions"])
    await saver.aput_writes(stored, [("n", number)], "task")
    found = await saver.aget_tuple(config(f"t{number}"))
    assert found.checkpoint["channel_values"] == {"n": number}
    assert found.pending_writes == [("task", "n", number)]


async def test_500_async_calls(asaver: AsyncRedisSaver, redis: Redis) -> None:
    """500 runs at once on one saver each get their own answers, over few connections."""
    await asyncio.gather(*(run(asaver, number) for number in range(500)))
    alone, ours = 1, 1
    most = AsyncTransport.MAX_UNDER_WAY + alone + ours
    assert redis.info("clients")["connected_clients"] <= most


async def test_500_async_calls_on_the_sync_saver(saver: RedisSaver) -> None:
    """The sync saver's async methods bear the same, in threads."""
    await asyncio.gather(*(run(saver, number) for number in range(500)))


async def test_async_pool_of_one(server: Server) -> None:
    """A pool smaller than the load waits and does not raise."""
    async with AsyncRedisSaver.from_conn_string(server.url, max_connections=1) as saver:
        await asyncio.gather(*(run(saver, number) for number in range(200)))


def test_sync_pool_smaller_than_the_threads(server: Server) -> None:
    """32 threads on two connections wait and do not raise."""
    with RedisSaver.from_conn_string(server.url, max_connections=2) as saver:

        def step(number: int) -> None:
            stored = put(saver, config(f"t{number}"), checkpoint("1", n=number))
            found = saver.get_tuple(stored)
            assert found
            assert found.checkpoint["channel_values"] == {"n": number}

        with ThreadPoolExecutor(32) as pool:
            list(pool.map(step, range(400)))


async def test_script_flush_under_load(asaver: AsyncRedisSaver, redis: Redis) -> None:
    """NOSCRIPT in the middle of batches concerns single calls, which are sent again."""

    async def flush() -> None:
        for _ in range(50):
            await asyncio.to_thread(redis.script_flush)

    await asyncio.gather(flush(), *(run(asaver, number) for number in range(500)))


def test_script_flush(saver: RedisSaver, redis: Redis) -> None:
    """A server that forgot the scripts is given them again."""
    put(saver, config())
    redis.script_flush()
    assert saver.get_tuple(config())
    assert redis.script_exists(scripts()["get_tuple"].sha) == [True]
    redis.script_flush()
    assert len([*saver.list(None)]) == 1


async def test_one_refused_call_of_many(asaver: AsyncRedisSaver, redis: Redis) -> None:
    """An error in a pipeline reaches its caller only."""
    await run(asaver, 7)
    key = next(key for key in redis.keys() if key.endswith(b":index:t7"))
    redis.delete(key)
    redis.set(key, "somebody else's")
    outcomes = await asyncio.gather(
        *(asaver.aget_tuple(config(f"t{number}")) for number in range(20)), return_exceptions=True
    )
    assert isinstance(outcomes.pop(7), ForeignKeyError)
    assert outcomes == [None] * 19


async def test_cancelled_callers(server: Server) -> None:
    """Callers that give up, before or after their call was sent, disturb nobody."""
    with Wire(server.socket) as wire:
        async with AsyncRedisSaver.from_conn_string(wire.url) as saver:
            await run(saver, 0)
            tasks = [asyncio.create_task(run(saver, number)) for number in range(300)]
            for turn in range(60):
                for task in tasks[turn * 5 : turn * 5 + 3]:
                    task.cancel()
                await asyncio.sleep(0)
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert [each for each in outcomes if isinstance(each, Exception)] == []
            assert sum(isinstance(each, asyncio.CancelledError) for each in outcomes) > 100
            await run(saver, 1000)


async def test_a_huge_value_does_not_hold_up_the_rest(server: Server) -> None:
    """While 100 MB are on their way, small calls are answered."""
    async with AsyncRedisSaver.from_conn_string(server.url) as saver:
        await run(saver, 0)
        made = checkpoint("1", huge=bytes(100 << 20))
        huge = asyncio.create_task(saver.aput(config("huge"), made, {}, made["channel_versions"]))
        await asyncio.sleep(0)
        answered = 0
        while not huge.done():
            await saver.aget_tuple(config("t0"))
            answered += 1
        assert await huge
    assert answered > 1


async def test_sync_methods_from_another_thread(asaver: AsyncRedisSaver) -> None:
    """AsyncRedisSaver answers sync calls from another thread than the loop's."""

    def work() -> None:
        asaver.setup()
        stored = put(asaver, config(), checkpoint("1", a=1))
        asaver.put_writes(stored, [("a", 1)], "task")
        assert asaver.get_tuple(config()) == next(asaver.list(config()))
        assert [each.config for each in asaver.list(None)] == [stored]
        asaver.delete_thread("t")
        assert asaver.get(config()) is None

    await asyncio.to_thread(work)


async def test_sync_methods_from_the_loop(asaver: AsyncRedisSaver) -> None:
    """From the loop's own thread they would wait for themselves: the error says what to call."""
    at = config(checkpoint_id="1")
    for name, call in {
        "aget_tuple": lambda: asaver.get_tuple(at),
        "alist": lambda: asaver.list(at),
        "aput": lambda: put(asaver, at),
        "aput_writes": lambda: asaver.put_writes(at, [("a", 1)], "task"),
        "adelete_thread": lambda: asaver.delete_thread("t"),
        "asetup": asaver.setup,
    }.items():
        with pytest.raises(RuntimeError, match=rf"await saver\.{name}\("):
            call()


def test_sync_methods_without_a_loop() -> None:
    """Without a running loop there is nobody to answer."""
    with pytest.raises(RuntimeError, match=r"await saver\.aget_tuple\(.*or use RedisSaver"):
        AsyncRedisSaver(AsyncRedis()).get_tuple(config())


async def test_a_saver_made_outside_a_loop(server: Server) -> None:
    """The loop of its first call is the one that answers sync calls."""
    client = AsyncRedis(unix_socket_path=str(server.socket))
    saver = await asyncio.to_thread(AsyncRedisSaver, client)
    assert await saver.aget_tuple(config()) is None
    assert await asyncio.to_thread(saver.get_tuple, config()) is None
    await client.aclose()


def test_one_saver_in_two_loops(server: Server) -> None:
    """A saver that outlives its loop serves the next one."""
    client = AsyncRedis(unix_socket_path=str(server.socket))
    saver = AsyncRedisSaver(client)

    async def once(number: int) -> None:
        await run(saver, number)
        await client.aclose()

    asyncio.run(once(1))
    asyncio.run(once(2))


async def test_the_loop_goes_on_while_the_sync_saver_works(server: Server) -> None:
    """RedisSaver's async methods do not block the event loop."""
    with RedisSaver.from_conn_string(server.url) as saver, server.client() as client:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.01)

        counter = asyncio.create_task(count())
        client.execute_command("CLIENT", "PAUSE", 300, "ALL")
        await saver.aget_tuple(config())
        counter.cancel()
        assert turns > 5
