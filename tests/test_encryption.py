"""EncryptedSerializer: everything comes back, and nothing of it lies in Redis in plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from saver import RedisSaver
from tests.samples import checkpoint, config

if TYPE_CHECKING:
    from redis import Redis

    from tests.servers import Server

KEY = b"0123456789abcdef"
SECRETS = ("SECRET-STATE", "SECRET-WRITE", "SECRET-METADATA", "SECRET-RUN", "SECRET-NODE")


def everything_in(redis: Redis) -> bytes:
    """Every key, member, field and value of the server."""
    found = []
    for key in redis.keys():
        found.append(key)
        kind = redis.type(key)
        if kind == b"hash":
            found += [part for pair in redis.hgetall(key).items() for part in pair]
        elif kind == b"zset":
            found += redis.zrange(key, 0, -1)
        else:
            found.append(redis.get(key))
    return b"\n".join(found)


def fill(saver: RedisSaver) -> None:
    """Puts the secrets where a graph would put them."""
    made = checkpoint("1", messages=[HumanMessage("SECRET-STATE"), AIMessage("ok")])
    made["versions_seen"] = {"SECRET-NODE": {"messages": 1}}
    metadata = {"source": "loop", "user": "SECRET-METADATA", "run_id": "SECRET-RUN"}
    stored = saver.put(config(), made, metadata, made["channel_versions"])  # type: ignore[arg-type]
    saver.put_writes(stored, [("messages", AIMessage("SECRET-WRITE"))], "task", "path")


@pytest.fixture
def encrypted(server: Server, redis: Redis) -> RedisSaver:
    """A saver that encrypts."""
    return RedisSaver(redis, serde=EncryptedSerializer.from_pycryptodome_aes(key=KEY))


def test_round_trip(encrypted: RedisSaver) -> None:
    """State, metadata and writes come back, also through a filter."""
    fill(encrypted)
    (found,) = encrypted.list(config(), filter={"user": "SECRET-METADATA"})
    assert found == encrypted.get_tuple(config())
    assert found.checkpoint["channel_values"]["messages"][0].content == "SECRET-STATE"
    assert found.metadata["run_id"] == "SECRET-RUN"
    assert found.pending_writes
    assert found.pending_writes[0][2].content == "SECRET-WRITE"


def test_no_plain_text(encrypted: RedisSaver, redis: Redis) -> None:
    """Neither state nor metadata text lies in Redis."""
    fill(encrypted)
    stored = everything_in(redis)
    assert [secret for secret in SECRETS if secret.encode() in stored] == []


def test_plain_text_without_encryption(redis: Redis) -> None:
    """The same look finds the text when nothing encrypts or compresses it: the look works."""
    fill(RedisSaver(redis, compression=None))
    stored = everything_in(redis)
    secrets = [secret for secret in SECRETS if secret.encode() in stored]
    assert secrets == [
        "SECRET-STATE",
        "SECRET-WRITE",
        "SECRET-METADATA",
        "SECRET-RUN",
        "SECRET-NODE",
    ]


def test_wrong_key(encrypted: RedisSaver, redis: Redis) -> None:
    """Another key is an error, not an empty state."""
    fill(encrypted)
    other = RedisSaver(redis, serde=EncryptedSerializer.from_pycryptodome_aes(key=KEY[::-1]))
    with pytest.raises(ValueError, match="MAC check failed"):
        other.get_tuple(config())
