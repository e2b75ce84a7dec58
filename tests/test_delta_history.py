"""The history of delta channels is that of LangGraph's base class, word for word."""

from __future__ import annotations

from random import randbytes
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from saver.errors import LostKeysError
from tests.raw import key
from tests.samples import checkpoint, config, put

if TYPE_CHECKING:
    from redis import Redis

    from saver import RedisSaver


@pytest.mark.parametrize(
    "at", [config("nobody's"), config(checkpoint_id="unknown"), config(ns="other")]
)
def test_unknown_checkpoint(saver: RedisSaver, at: Any) -> None:
    """A checkpoint that does not exist has no history, as in InMemorySaver."""
    memory = InMemorySaver()
    for each in (saver, memory):
        put(each, config(), checkpoint("1", a=1))
    expected = memory.get_delta_channel_history(config=at, channels=["a", "b"])
    assert saver.get_delta_channel_history(config=at, channels=["a", "b"]) == expected
    assert expected == {"a": {"writes": []}, "b": {"writes": []}}


def test_no_channels(saver: RedisSaver, redis: Redis) -> None:
    """Nothing asked for, nothing sent."""
    redis.config_resetstat()
    assert saver.get_delta_channel_history(config=config(), channels=[]) == {}
    assert "cmdstat_evalsha" not in redis.info("commandstats")


def test_channel_named_twice(saver: RedisSaver) -> None:
    """A channel that is asked for twice is there once, with each write once."""
    chain(saver, 3, a="seed")
    assert saver.get_delta_channel_history(
        config=config(), channels=["a", "a"]
    ) == saver.get_delta_channel_history(config=config(), channels=["a"])


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}, b""])
def test_seed_that_is_false(saver: RedisSaver, value: Any) -> None:
    """A stored value is the seed whatever it is."""
    made = checkpoint("1", a=value)
    saver.put(config(), made, {}, made["channel_versions"])
    saver.put(config(checkpoint_id="1"), checkpoint("2"), {}, {})
    found = saver.get_delta_channel_history(config=config(), channels=["a"])
    assert found == {"a": {"writes": [], "seed": value}}


def test_order_within_a_checkpoint(saver: RedisSaver) -> None:
    """Writes of one superstep come by task path, then task id, then index."""
    stored = saver.put(config(), checkpoint("1"), {}, {})
    saver.put_writes(stored, [("a", "third"), ("b", 0), ("a", "fourth")], "x", "~2")
    saver.put_writes(stored, [("a", "second")], "y", "~1")
    saver.put_writes(stored, [("a", "first")], "z")
    saver.put_writes(stored, [("a", "fifth")], "y2", "~2")
    saver.put(stored, checkpoint("2"), {}, {})
    found = saver.get_delta_channel_history(config=config(), channels=["a"])
    assert [value for _, _, value in found["a"]["writes"]] == [
        "first", "second", "third", "fourth", "fifth"
    ]  # fmt: skip


def test_wrong_types(saver: RedisSaver) -> None:
    """What is no channel name is refused before anything is sent."""
    wrong: Any = [1]
    with pytest.raises(TypeError, match="a channel name must be a str"):
        saver.get_delta_channel_history(config=config(), channels=wrong)
    with pytest.raises(ValueError, match="NUL"):
        saver.get_delta_channel_history(config=config(), channels=["a\0b"])


def chain(saver: RedisSaver, ancestors: int, **first_values: Any) -> None:
    """A thread whose latest checkpoint has so many ancestors, each with a write to `a`."""
    made = checkpoint(f"{0:06}", **first_values)
    made["channel_versions"].setdefault("a", "0")
    counted: Any = {"counters_since_delta_snapshot": {"a": (1, 1)}}
    stored = saver.put(config(), made, {}, made["channel_versions"])
    for number in range(1, ancestors + 1):
        saver.put_writes(stored, [("a", number)], "task")
        following = checkpoint(f"{number:06}")
        following["channel_versions"] = {"a": str(number)}
        stored = saver.put(stored, following, counted, following["channel_versions"])


def calls(redis: Redis, saver: RedisSaver, at: Any = None) -> tuple[int, Any]:
    """How many script calls a read of `a` takes, and what it finds."""
    saver.get_delta_channel_history(config=config("warm"), channels=["a"])
    redis.config_resetstat()
    found = saver.get_delta_channel_history(config=at or config(), channels=["a"])["a"]
    return redis.info("commandstats")["cmdstat_evalsha"]["calls"], found


def test_calls_of_a_long_walk(saver: RedisSaver, redis: Redis) -> None:
    """One call for each 1,000 ancestors that are begun."""
    chain(saver, 2500, a="seed")
    for ancestors, expected in [(1, 1), (999, 1), (1000, 1), (1001, 2), (2000, 2), (2500, 3)]:
        taken, found = calls(redis, saver, config(checkpoint_id=f"{ancestors:06}"))
        assert (taken, found["seed"]) == (expected, "seed")
        assert [value for *_, value in found["writes"]] == [*range(1, ancestors + 1)]


def test_walk_without_a_seed(saver: RedisSaver, redis: Redis) -> None:
    """A channel that was never stored is walked to the root, and no further call is made."""
    chain(saver, 1000)
    taken, found = calls(redis, saver)
    assert taken == 1
    assert "seed" not in found
    assert len(found["writes"]) == 1000


def test_huge_writes(saver: RedisSaver, redis: Redis) -> None:
    """A page ends with the ancestor that takes it over 1 MiB."""
    stored = saver.put(config(), checkpoint("0"), {}, {})
    for number in range(1, 9):
        saver.put_writes(stored, [("a", bytes([number]) + randbytes(400_000))], "task")
        stored = saver.put(stored, checkpoint(str(number)), {}, {})
    taken, found = calls(redis, saver)
    assert taken == 3
    assert [value[:1] for *_, value in found["writes"]] == [bytes([n]) for n in range(1, 9)]


def test_one_write_larger_than_a_page(saver: RedisSaver, redis: Redis) -> None:
    """The walk goes on behind a write, or a value, that fills more than a page alone."""
    made = checkpoint("0", a="seed" + randbytes(2_000_000).hex())
    stored = saver.put(config(), made, {}, made["channel_versions"])
    saver.put_writes(stored, [("a", "w" + randbytes(2_000_000).hex())], "task")
    stored = saver.put(stored, checkpoint("1"), {}, {})
    saver.put_writes(stored, [("a", "x" + randbytes(2_000_000).hex())], "task")
    saver.put(stored, checkpoint("2"), {}, {})
    taken, found = calls(redis, saver)
    assert taken == 2
    assert (found["seed"][:4], [value[0] for *_, value in found["writes"]]) == ("seed", ["w", "x"])


def test_ancestor_removed_by_hand(saver: RedisSaver, redis: Redis) -> None:
    """A channel that continues beyond what is still there raises; one that ends before does not."""
    chain(saver, 6, a="seed")
    redis.hdel(key("checkpoints:t"), b"\0" + b"000003")
    with pytest.raises(LostKeysError, match="ancestors that its delta channels continue"):
        saver.get_delta_channel_history(config=config(), channels=["a"])
    found = saver.get_delta_channel_history(config=config(), channels=["never written"])
    assert found == {"never written": {"writes": []}}
    found = saver.get_delta_channel_history(config=config(checkpoint_id="000002"), channels=["a"])
    assert found["a"]["seed"] == "seed"


@pytest.mark.parametrize("kind", ["checkpoints", "values", "writes", "pending", "index"])
def test_evicted_key(saver: RedisSaver, redis: Redis, kind: str) -> None:
    """Without one of the keys that the history is read from there is an error, no other value."""
    chain(saver, 3, a="seed")
    redis.delete(key(f"{kind}:t"))
    with pytest.raises(LostKeysError):
        saver.get_delta_channel_history(config=config(), channels=["a"])


@pytest.mark.parametrize("removal", ["delete_thread", "prune"])
def test_removed_between_two_calls(
    saver: RedisSaver, monkeypatch: pytest.MonkeyPatch, removal: str
) -> None:
    """What is removed while it is read raises: part of a history is another value."""
    chain(saver, 1001, a="seed")
    send = saver._transport._send  # type: ignore[union-attr]

    def send_and_remove(request: Any) -> Any:
        reply = send(request)
        if getattr(request, "script", None) == "delta_history":
            with monkeypatch.context() as undone:
                undone.setattr(saver._transport, "_send", send)
                if removal == "prune":
                    made = checkpoint("001002", a="stored anew")
                    saver.put(config(checkpoint_id="001001"), made, {}, made["channel_versions"])
                    saver.prune(["t"])
                else:
                    saver.delete_thread("t")
        return reply

    monkeypatch.setattr(saver._transport, "_send", send_and_remove)
    with pytest.raises(LostKeysError):
        saver.get_delta_channel_history(config=config(), channels=["a"])
