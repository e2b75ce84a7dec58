"""A server that is down, full, read-only, misused or newer raises; it never reads as empty."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

from saver import AsyncRedisSaver, RedisSaver, errors
from tests.samples import checkpoint, config, put
from tests.servers import Server

if TYPE_CHECKING:
    from pathlib import Path


def filled(saver: RedisSaver) -> None:
    """A thread with every kind of key."""
    stored = put(saver, config(), checkpoint("1", a=1), run_id="run")
    saver.put_writes(stored, [("a", 1)], "task")


def key_of(redis: Redis, kind: str) -> bytes:
    """The key of a kind."""
    (key,) = (key for key in redis.keys() if f"}}:{kind}" in key.decode())
    return bytes(key)


def snapshot(redis: Redis) -> dict[bytes, bytes]:
    """Every key with its content."""
    return {key: redis.dump(key) for key in redis.keys()}


def test_server_down(tmp_path: Path) -> None:
    """redis-py's own error, from reads and writes."""
    saver = RedisSaver(Redis(unix_socket_path=str(tmp_path / "none"), retry=None))
    for operation in (
        lambda: saver.get_tuple(config()),
        lambda: list(saver.list(config())),
        lambda: list(saver.list(None)),
        lambda: put(saver, config()),
        lambda: saver.delete_thread("t"),
        saver.setup,
    ):
        with pytest.raises(RedisConnectionError):
            operation()


async def test_server_down_async(tmp_path: Path) -> None:
    """Every caller of a batch has the error."""
    import asyncio

    url = f"unix://{tmp_path / 'none'}"
    async with AsyncRedisSaver.from_conn_string(url, retry=None) as saver:
        outcomes = await asyncio.gather(
            *(saver.aget_tuple(config()) for _ in range(10)), return_exceptions=True
        )
    assert [type(each) for each in outcomes] == [RedisConnectionError] * 10


def test_a_restart_is_survived() -> None:
    """A server that restarts between two calls, with its data, goes unnoticed."""
    with Server("--appendonly", "yes", "--appendfsync", "always") as server:
        with RedisSaver.from_conn_string(server.url) as saver:
            filled(saver)
            before = saver.get_tuple(config())
            server.kill()
            server.start()
            assert saver.get_tuple(config()) == before


def test_full_server(saver: RedisSaver, redis: Redis) -> None:
    """Over maxmemory with noeviction: writes raise and change nothing, reads and deletes go on."""
    filled(saver)
    before, read = snapshot(redis), saver.get_tuple(config())
    redis.config_set("maxmemory", 1)
    with pytest.raises(OutOfMemoryError):
        put(saver, config(), checkpoint("2", a=2))
    with pytest.raises(OutOfMemoryError):
        saver.put_writes(config(checkpoint_id="1"), [("a", 1)], "other")
    assert snapshot(redis) == before
    assert saver.get_tuple(config()) == read
    assert [*saver.list(None)] == [read]
    saver.delete_thread("t")
    assert redis.keys() == []


def test_filling_up_midway(saver: RedisSaver, redis: Redis) -> None:
    """A put whose own values push the server over its limit is there whole, or not at all."""
    filled(saver)
    redis.config_set("maxmemory", int(redis.info("memory")["used_memory"]) + 200_000)
    refused = 0
    for number in range(2, 60):
        before = snapshot(redis)
        try:
            put(saver, config(), checkpoint(f"{number:02}", a="x" * 20_000, b="y" * 20_000))
        except OutOfMemoryError:
            refused += 1
            assert snapshot(redis) == before
    redis.config_set("maxmemory", 0)
    assert 0 < refused < 58
    for each in saver.list(config(), before=config(checkpoint_id="99")):
        assert each.checkpoint["channel_values"]


def test_read_only_replica(server: Server) -> None:
    """A replica refuses writes and answers reads."""
    with RedisSaver.from_conn_string(server.url) as primary:
        filled(primary)
        wanted = primary.get_tuple(config())
        with server.client() as client:
            client.config_set("repl-diskless-sync-delay", 0)
        with Server("--replicaof", f"127.0.0.1 {server.port}") as replica:
            with RedisSaver.from_conn_string(replica.url, retry=None) as saver:
                with replica.client() as client:
                    while client.info("replication")["master_link_status"] != "up":
                        pass
                assert saver.get_tuple(config()) == wanted
                assert [*saver.list(None)] == [wanted]
                with pytest.raises(ReadOnlyError):
                    put(saver, config(), checkpoint("2"))
                with pytest.raises(ReadOnlyError):
                    saver.delete_thread("t")


def test_newer_layout(saver: RedisSaver, redis: Redis) -> None:
    """Data of a newer layout raises and is not touched."""
    filled(saver)
    redis.set(key_of(redis, "layout"), "2")
    before = snapshot(redis)
    for operation in (
        lambda: saver.get_tuple(config()),
        lambda: list(saver.list(config())),
        lambda: list(saver.list(None)),
        lambda: put(saver, config()),
        lambda: saver.put_writes(config(checkpoint_id="1"), [("a", 1)], "task"),
        lambda: saver.delete_thread("t"),
    ):
        with pytest.raises(errors.LayoutError, match=r"has layout 2.*upgrade the saver"):
            operation()
    assert snapshot(redis) == before


@pytest.mark.parametrize(
    ("kind", "readers"),
    {
        "index:": "get_tuple, list of a namespace",
        "timeline:": "list",
        "checkpoints:": "get_tuple, list of a namespace, list",
        "values:": "get_tuple, list of a namespace, list",
        "writes:": "get_tuple, list of a namespace, list",
        "pending:": "get_tuple, list of a namespace, list",
    }.items(),
)
def test_lost_keys(saver: RedisSaver, redis: Redis, kind: str, readers: str) -> None:
    """A key that was evicted or deleted by hand raises in each reader that would miss it."""
    filled(saver)
    whole = saver.get_tuple(config())
    redis.delete(key_of(redis, kind))
    for reader, read in {
        "get_tuple": lambda: saver.get_tuple(config()),
        "list of a namespace": lambda: next(saver.list(config())),
        "list": lambda: next(saver.list(config(ns=None))),
    }.items():
        if reader in readers.split(", "):
            with pytest.raises(errors.LostKeysError):
                read()
        else:
            assert read() == whole
    saver.delete_thread("t")
    assert saver.get_tuple(config()) is None


def test_all_keys_of_a_thread_lost(saver: RedisSaver, redis: Redis) -> None:
    """The shard still knows the thread: it is not a new one."""
    filled(saver)
    redis.delete(*(key for key in redis.keys() if key.endswith(b":t")))
    with pytest.raises(errors.LostKeysError, match="delete_thread"):
        saver.get_tuple(config())
    assert saver.get_tuple(config("another")) is None


def test_index_and_checkpoints_lost(saver: RedisSaver, redis: Redis) -> None:
    """Writes that are left do not make it a thread whose checkpoint has not arrived yet."""
    filled(saver)
    redis.delete(key_of(redis, "index:"), key_of(redis, "checkpoints:"))
    with pytest.raises(errors.LostKeysError):
        saver.get_tuple(config())


def test_foreign_keys(saver: RedisSaver, redis: Redis) -> None:
    """A key of another type is refused before anything is written."""
    filled(saver)
    key = key_of(redis, "values:")
    redis.delete(key)
    redis.rpush(key, "somebody else's")
    before = snapshot(redis)
    with pytest.raises(errors.ForeignKeyError, match="under this prefix, choose another"):
        put(saver, config(), checkpoint("2"))
    assert snapshot(redis) == before


def test_prefixes_do_not_meet(redis: Redis) -> None:
    """Savers of different prefixes share a server and nothing else."""
    one, other = RedisSaver(redis), RedisSaver(redis, prefix="saver:x")
    filled(one)
    assert other.get_tuple(config()) is None
    assert [*other.list(None)] == []
    other.delete_thread("t")
    assert one.get_tuple(config())


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-random"])
def test_setup_warns_of_eviction(saver: RedisSaver, redis: Redis, policy: str) -> None:
    """A policy that drops checkpoints; the warning says what to set."""
    redis.config_set("maxmemory-policy", policy)
    with pytest.warns(errors.EvictionPolicyWarning, match=f"{policy}.*noeviction"):
        saver.setup()


def test_setup_without_worries(saver: RedisSaver) -> None:
    """No warning where nothing is wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saver.setup()


def test_setup_refuses_an_old_server(saver: RedisSaver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older than 7.0: the message names both versions."""
    monkeypatch.setattr("saver._setup.OLDEST", (99, 0))
    with pytest.raises(errors.ServerUnsuitableError, match=r"need Redis 99\.0"):
        saver.setup()


def test_setup_without_scripting(server: Server, redis: Redis) -> None:
    """A user who may not run scripts is told at start-up."""
    redis.execute_command("ACL", "SETUSER", "u", "on", "nopass", "~*", "+@all", "-@scripting")
    with RedisSaver.from_conn_string(server.url, username="u", password="x") as saver:
        with pytest.raises(NoPermissionError):
            saver.setup()
        with pytest.raises(ResponseError):
            saver.get_tuple(config())
    redis.execute_command("ACL", "DELUSER", "u")
