"""Scripts touch no key but those in KEYS, as clusters and access rules by key need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ResponseError

from saver._scripts import scripts
from tests.raw import (
    RUN,
    SHARD_SCRIPTS,
    STAGED,
    contents,
    fill_every_kind,
    key,
    keys_of,
    put,
    put_args,
    record,
    run,
    staged_keys,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.servers import Server

TERM = b"?" + b"K" * 8 + b"V" * 8
INDEX, TIMELINE = (b"index", b"(\1", b"[\0"), (b"timeline", b"+", b"-")
OTHER = b"run00002"
WRITE = write(0, b"P")
CALLS: dict[str, list[tuple[bytes | int, ...]]] = {
    "put": [
        put_args(b"3", record(b"c\0s1", run=OTHER), b"1", b"\0c\0s1", b"Pjson\x001"),
        put_args(b"2", record(b"a\0s1", run=OTHER), b"?", b"\0a\0s1", cleared=1, ttl=5000),
        put_args(b"3", record(b"d\0s1", parent=b"2"), b"0", deltas=b"d\0"),
        put_args(b"5", record(run=OTHER, origin=b"1"), ns=b"n:task"),
        put_args(b"5", record(), ns=b"sub"),
        put_args(b"9", record(b"x\0s1"), b"?"),
        put_args(b"9", record(), keep_last=1),
    ],
    "put_writes": [
        (b"t", b"\x003", b"z", WRITE, 0),
        (b"t", b"\x002", b"x", WRITE + write(-1, b"P"), 5000),
        (b"t", b"sub\x005", b"x", WRITE, 0),
    ],
    "get_tuple": [(b"t", b"", b""), (b"t", b"", b"1"), (b"t", b"", b"9"), (b"t", b"n", b"")],
    "list": [
        (b"t", *INDEX, 5),
        (b"t", *TIMELINE, 1),
        (b"t", *TIMELINE, 5, TERM),
        (b"t", b"index", b"-", b"+", 5),
    ],
    "threads": [(b"-", 5)],
    "runs": [(5, b"[" + RUN, b"(" + OTHER + b"t")],
    "describe": [(b"t",)],
    "expire": [(b"t", how) for how in (b"pin", b"unpin", 5000)],
    "export": [
        (b"t", order, *page)
        for order in (b"timeline", b"pending")
        for page in ((b"-", 2), (b"-", 50), (b"(\xff", 5))
    ],
    "delta_history": [
        (b"t", b"", b"", b"", b"d"),
        (b"t", b"", b"3", b"", b"d", b"a"),
        (b"t", b"", b"2", b"", b"a"),
        (b"t", b"n", b"", b"", b"a"),
    ],
    "prune": [(b"t", 2, b"-"), (b"t", 1, b"[\0"), (b"t", 1, b"-")],
    "delete_run": [(b"t", each, b"[" + each + b"\xff") for each in (OTHER, RUN)],
    "delete_thread": [(b"t",), (b"t",), (b"t",)],
    "publish": [(b"t", STAGED.encode(), ttl) for ttl in (0, 5000)],
}
CALLS["get_tuple_renewing"] = [(*args, 5000) for args in CALLS["get_tuple"]]


def test_every_script_is_called() -> None:
    """These tests leave no script out."""
    assert CALLS.keys() == scripts().keys()


@pytest.fixture
def restricted(server: Server, redis: Redis) -> Iterator[dict[str, Redis]]:
    """For each script a client that may touch exactly the keys that it declares."""
    clients = {}
    for script in CALLS:
        # A rule holds no NUL, which the name of a copy under way does.
        rules = [b"~" + name.replace(b"\0", b"?") for name in keys_of(script)]
        redis.execute_command("ACL", "SETUSER", script, "reset", "on", "nopass", "+@all", *rules)
        clients[script] = server.client(username=script, password="any")
    yield clients
    for script, client in clients.items():
        client.close()
        redis.acl_deluser(script)


def fill_and_more(redis: Redis) -> None:
    """Every kind of key, many runs, another thread that expired, and a copy under way."""
    fill_every_kind(redis)
    runs = [b"%08d" % number for number in range(1200)]
    redis.zadd(key("runs"), {RUN + b"other": 0, **{name + b"t": 0 for name in runs}})
    redis.zadd(key("runs_of"), {b"other\0" + RUN: 0, **{b"t\0" + name: 0 for name in runs}})
    redis.zadd(key("threads"), {b"other": 0})
    redis.zadd(key("expiry"), {b"other": 1})
    put(redis, b"1", record(run=RUN), thread_id=STAGED.encode(), keys=staged_keys())


@pytest.mark.parametrize("script", CALLS)
def test_only_declared_keys(redis: Redis, restricted: dict[str, Redis], script: str) -> None:
    """Every branch of every script, as a user that may touch nothing else."""
    fill_and_more(redis)
    for args in CALLS[script]:
        run(restricted[script], script, *args)


@pytest.mark.parametrize("script", CALLS)
def test_only_declared_keys_of_no_thread(
    redis: Redis, restricted: dict[str, Redis], script: str
) -> None:
    """The same where there is nothing yet; what does not put leaves nothing."""
    for args in CALLS[script]:
        run(restricted[script], script, *args)
    assert script in ("put", "put_writes") or contents(redis) == {}


@pytest.mark.parametrize("staged", [True, False])
def test_publishing(redis: Redis, restricted: dict[str, Redis], *, staged: bool) -> None:
    """The same of a copy that comes to its end, where there is no such thread yet."""
    if staged:
        made = record(run=RUN)
        put(redis, b"1", made, thread_id=STAGED.encode(), ttl=5000, keys=staged_keys())
    args = b"t", STAGED.encode(), 0
    while (reply := run(restricted["publish"], "publish", *args)) == b"MORE":
        pass
    assert reply == (b"OK" if staged else b"GONE")


def test_deleting_the_last_thread(redis: Redis, restricted: dict[str, Redis]) -> None:
    """The calls that remove the shard's marker, too, touch only declared keys."""
    fill_every_kind(redis)
    assert run(restricted["delete_thread"], "delete_thread", b"t") == 0
    assert contents(redis) == {}


@pytest.mark.parametrize("script", CALLS)
def test_an_undeclared_key_is_seen(redis: Redis, restricted: dict[str, Redis], script: str) -> None:
    """The tests above can fail: the same script with one more key in its source is refused."""
    fill_and_more(redis)
    source = scripts()[script].source
    first_line, code = source.split("\n", 1)
    undeclared = f"redis.call('EXISTS', '{key('index:other').decode()}')"
    spoiled = f"{first_line}\n{undeclared}\n{code}"
    keys = keys_of(script)
    command = ("EVAL", spoiled, len(keys), *keys, *CALLS[script][0])
    with pytest.raises(ResponseError, match=r"(?i)acl failure|no permission|can't access"):
        restricted[script].execute_command(*command)
    redis.execute_command(*command)  # the key is all that was wrong with it


def test_shard_scripts_take_the_shards_keys() -> None:
    """The registries of a shard are read without any thread's keys."""
    assert {script for script in CALLS if len(keys_of(script)) == 5} == SHARD_SCRIPTS
