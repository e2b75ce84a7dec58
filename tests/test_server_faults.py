"""A server that is down, full, read-only, misused or newer raises; it never reads as empty."""

from __future__ import annotations

import warnings
from random import randbytes
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

from saver import AsyncRedisSaver, RedisSaver, errors
from tests.samples import checkpoint, config, put
from tests.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def filled(saver: RedisSaver) -> None:
    """A thread with every kind of key but those of removed checkpoints."""
    stored = put(saver, config(), checkpoint("1", a=1), run_id="run")
    saver.put_writes(stored, [("a", 1)], "task")
    call = checkpoint("2", a=1)
    put(saver, config(ns="node:task"), call, run_id="run", parents={"": "1"})
    call["id"] = "3"
    put(saver, config(ns="node:task", checkpoint_id="2"), call, run_id="run", parents={"": "1"})
    delta = checkpoint("4", d=1)
    delta["channel_values"] = {}
    put(saver, config(ns="delta"), delta, counters_since_delta_snapshot={"d": [1, 1]})


def writers(saver: RedisSaver) -> dict[str, Callable[[], object]]:
    """Every operation that writes, on the thread of `filled`."""
    return {
        "put": lambda: put(saver, config(), checkpoint("9", a=2)),
        "put_writes": lambda: saver.put_writes(config(checkpoint_id="1"), [("a", 1)], "other"),
        "copy_thread": lambda: saver.copy_thread("t", "copy"),
        "expire": lambda: saver.expire("t", 60),
        "pin": lambda: saver.pin("t"),
        "unpin": lambda: saver.unpin("t"),
        "prune": lambda: saver.prune(["t"]),
        "delete_for_runs": lambda: saver.delete_for_runs(["run"]),
        "delete_thread": lambda: saver.delete_thread("t"),
    }


def readers(saver: RedisSaver) -> dict[str, Callable[[], Any]]:
    """Every operation that reads, on the thread of `filled`."""
    at = config(checkpoint_id="1")
    below = config(ns="node:task", checkpoint_id="3")
    return {
        "get_tuple": lambda: saver.get_tuple(config()),
        "get_tuple of an id": lambda: saver.get_tuple(at),
        "list of a namespace": lambda: [*saver.list(config())],
        "list": lambda: [*saver.list(config(ns=None))],
        "list of everything": lambda: [*saver.list(None)],
        "history": lambda: saver.get_delta_channel_history(config=below, channels=["a"]),
        "ttl": lambda: saver.ttl("t"),
        "threads": lambda: [(each.thread_id, each.checkpoints) for each in saver.threads()],
    }


def key_of(redis: Redis, kind: str) -> bytes:
    """The key of a kind."""
    (key,) = (key for key in redis.keys() if key.endswith(f"}}:{kind}".encode()))
    return bytes(key)


def snapshot(redis: Redis) -> dict[bytes, bytes]:
    """Every key with its content."""
    return {key: redis.dump(key) for key in redis.keys()}


def test_server_down(tmp_path: Path) -> None:
    """redis-py's own error, from reads and writes."""
    saver = RedisSaver(Redis(unix_socket_path=str(tmp_path / "none"), retry=None))
    operations = {**readers(saver), **writers(saver), "setup": saver.setup}
    for operation in operations.values():
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
    """Over maxmemory with noeviction: what adds raises and changes nothing, the rest goes on."""
    filled(saver)
    before, read = snapshot(redis), [read() for read in readers(saver).values()]
    redis.config_set("maxmemory", 1)
    writes = writers(saver)
    for name in ("put", "put_writes", "copy_thread"):
        with pytest.raises(OutOfMemoryError):
            writes.pop(name)()
    assert snapshot(redis) == before
    assert [read() for read in readers(saver).values()] == read
    renewing = RedisSaver(redis, ttl=60, refresh_on_read=True)
    assert renewing.get_tuple(config()) == read[0]
    assert saver.ttl("t") is not None
    for write in writes.values():
        write()
    assert redis.keys() == []


def test_filling_up_midway(saver: RedisSaver, redis: Redis) -> None:
    """A put whose own values push the server over its limit is there whole, or not at all."""
    filled(saver)
    redis.config_set("maxmemory", int(redis.info("memory")["used_memory"]) + 200_000)
    refused = 0
    for number in range(2, 60):
        before = snapshot(redis)
        try:
            put(
                saver,
                config(),
                checkpoint(f"{number:02}", a=randbytes(20_000), b=randbytes(20_000)),
            )
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
        wanted = [read() for read in readers(primary).values()]
        with server.client() as client:
            client.config_set("repl-diskless-sync-delay", 0)
        with Server("--replicaof", f"127.0.0.1 {server.port}") as replica:
            with RedisSaver.from_conn_string(replica.url, retry=None) as saver:
                with replica.client() as client:
                    while client.info("replication")["master_link_status"] != "up":
                        pass
                assert [read() for read in readers(saver).values()] == wanted
                for write in writers(saver).values():
                    with pytest.raises(ReadOnlyError):
                        write()
            options = {"ttl": 60, "refresh_on_read": True, "retry": None}
            with RedisSaver.from_conn_string(replica.url, **options) as saver:
                with pytest.raises(ReadOnlyError):
                    saver.get_tuple(config())


def test_newer_layout(saver: RedisSaver, redis: Redis) -> None:
    """Data of a newer layout raises and is not touched."""
    filled(saver)
    redis.set(key_of(redis, "layout"), "2")
    before = snapshot(redis)
    for operation in {**readers(saver), **writers(saver)}.values():
        with pytest.raises(errors.LayoutError, match=r"has layout 2.*upgrade the saver"):
            operation()
    assert snapshot(redis) == before


EVERY = "get_tuple, list of a namespace, list, list of everything"
LOST = {
    "index": "get_tuple, list of a namespace, threads, ttl",
    "timeline": "list, list of everything, threads, ttl",
    "checkpoints": f"{EVERY}, get_tuple of an id, history, threads, ttl",
    "values": f"{EVERY}, get_tuple of an id, history",
    "writes": f"{EVERY}, get_tuple of an id",
    "pending": f"{EVERY}, get_tuple of an id, history",
    "holders": "",
    "runs": "",
    "spans": "",
    "calls": "",
}
"""Kinds of keys, and the readers that would miss them."""


@pytest.mark.parametrize("reader", readers(RedisSaver(Redis())))
@pytest.mark.parametrize("kind", LOST)
def test_lost_keys(saver: RedisSaver, redis: Redis, kind: str, reader: str) -> None:
    """A key that was evicted or deleted by hand raises in each reader that would miss it."""
    filled(saver)
    read = readers(saver)[reader]
    whole = read()
    redis.delete(key_of(redis, f"{kind}:t"))
    if reader in LOST[kind].split(", "):
        with pytest.raises(errors.LostKeysError):
            read()
    else:
        assert read() == whole
    saver.delete_thread("t")
    assert saver.get_tuple(config()) is None
    assert redis.keys() == []


@pytest.mark.parametrize("kind", ["timeline", "checkpoints", "values", "writes", "pending"])
def test_what_is_lost_is_not_copied(saver: RedisSaver, redis: Redis, kind: str) -> None:
    """A copy would be short of what the source lost."""
    filled(saver)
    redis.delete(key_of(redis, f"{kind}:t"))
    with pytest.raises(errors.LostKeysError):
        saver.copy_thread("t", "copy")
    assert saver.get_tuple(config("copy")) is None


@pytest.mark.parametrize("operation", ["prune", "delete_for_runs"])
@pytest.mark.parametrize("kinds", [["index"], ["index", "pending"], ["index", "checkpoints"]])
def test_what_is_lost_is_not_cleared(
    saver: RedisSaver, redis: Redis, operation: str, kinds: list[str]
) -> None:
    """A thread without its index is not taken for one that is empty: what is left stays."""
    filled(saver)
    redis.delete(*[key_of(redis, f"{kind}:t") for kind in kinds])
    before = snapshot(redis)
    with pytest.raises(errors.LostKeysError):
        writers(saver)[operation]()
    assert snapshot(redis) == before


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
    redis.delete(key_of(redis, "index:t"), key_of(redis, "checkpoints:t"))
    with pytest.raises(errors.LostKeysError):
        saver.get_tuple(config())


def test_foreign_keys(saver: RedisSaver, redis: Redis) -> None:
    """A key of another type is refused before anything is written."""
    filled(saver)
    key = key_of(redis, "values:t")
    redis.delete(key)
    redis.rpush(key, "somebody else's")
    before = snapshot(redis)
    with pytest.raises(errors.ForeignKeyError, match="under this prefix, choose another"):
        put(saver, config(), checkpoint("2", a=1))
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
