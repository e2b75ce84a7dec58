"""Scripts touch no key but those in KEYS, as clusters and access rules by key need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ResponseError

from saver._scripts import scripts
from tests.raw import NAMES, RUN, contents, fill, key, keys_of, record, run, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.servers import Server

TERM = b"?" + b"K" * 8 + b"V" * 8
INDEX, TIMELINE = (b"index", b"(\1", b"[\0"), (b"timeline", b"+", b"-")
CALLS: dict[str, list[tuple[bytes | int, ...]]] = {
    "put": [
        (b"t", b"", b"3", record(b"c\0s1", run=b"run00002"), b"?", 0, b"\0c\0s1", b"Pjson\x001"),
        (b"t", b"", b"2", record(b"a\0s1", run=b"run00002"), b"?", 1, b"\0a\0s1"),
        (b"t", b"", b"1", record(), b"", 0),
    ],
    "put_writes": [
        (b"t", b"\x003\0z", write(0, b"P")),
        (b"t", b"\x002\0x", write(0, b"P") + write(-1, b"P")),
    ],
    "get_tuple": [(b"t", b"", b""), (b"t", b"", b"1"), (b"t", b"", b"9"), (b"t", b"n", b"")],
    "list": [
        (b"t", *INDEX, 5),
        (b"t", *TIMELINE, 1),
        (b"t", *TIMELINE, 5, TERM),
        (b"t", b"index", b"-", b"+", 5),
    ],
    "threads": [(b"-", 5)],
    "delete_thread": [(b"t",), (b"t",), (b"t",)],
}


@pytest.fixture
def restricted(server: Server, redis: Redis) -> Iterator[dict[str, Redis]]:
    """For each script a client that may touch exactly the keys that it declares."""
    clients = {}
    for script in NAMES:
        rules = [b"~" + name for name in keys_of(script)]
        redis.execute_command("ACL", "SETUSER", script, "reset", "on", "nopass", "+@all", *rules)
        clients[script] = server.client(username=script, password="any")
    yield clients
    for script, client in clients.items():
        client.close()
        redis.acl_deluser(script)


@pytest.mark.parametrize("script", CALLS)
def test_only_declared_keys(redis: Redis, restricted: dict[str, Redis], script: str) -> None:
    """Every branch of every script, as a user that may touch nothing else."""
    fill(redis)
    redis.hset(key("runs:t"), mapping={b"%08d" % number: 1 for number in range(1200)})
    redis.zadd(key("runs"), {RUN + b"other": 0})
    for args in CALLS[script]:
        assert run(restricted[script], script, *args) is not None


@pytest.mark.parametrize("script", CALLS)
def test_only_declared_keys_of_no_thread(restricted: dict[str, Redis], script: str) -> None:
    """The same where there is nothing yet."""
    for args in CALLS[script]:
        assert run(restricted[script], script, *args) is not None


def test_deleting_the_last_thread(redis: Redis, restricted: dict[str, Redis]) -> None:
    """The call that removes the shard's marker, too, touches only declared keys."""
    fill(redis)
    assert run(restricted["delete_thread"], "delete_thread", b"t") == 0
    assert contents(redis) == {}


@pytest.mark.parametrize("script", CALLS)
def test_an_undeclared_key_is_seen(
    redis: Redis, restricted: dict[str, Redis], script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests above can fail: the same script with one more key in its source is refused."""
    fill(redis)
    check = "if refused then return refused end\n"
    source = scripts()[script].source
    assert source.count(check) == 1
    undeclared = f"redis.call('EXISTS', '{key('other:t').decode()}')\n"
    spoiled = source.replace(check, check + undeclared)
    keys = keys_of(script)
    command = ("EVAL", spoiled, len(keys), *keys, *CALLS[script][0])
    with pytest.raises(ResponseError, match=r"(?i)acl failure|no permission|can't access"):
        restricted[script].execute_command(*command)
    assert redis.execute_command(*command) is not None  # the key is all that was wrong with it
