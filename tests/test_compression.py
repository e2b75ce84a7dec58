"""Compressed values on a server: every saver reads them, whatever becomes of their bases."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from saver import RedisSaver
from saver.errors import DamagedRecordError, LostKeysError
from tests.samples import checkpoint, config, ids, put

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langgraph.checkpoint.base import BaseCheckpointSaver
    from redis import Redis

    from tests.servers import Server

SETTINGS = ["delta", "zstd", None]
LINES = [
    random.Random(1).randbytes(5_000).hex(),  # so that a keyframe takes more than its deltas
    *(f"line {number} of a text that is long enough to be compressed" for number in range(400)),
]


@pytest.fixture
def other(server: Server) -> Iterator[RedisSaver]:
    """A saver that knows of nothing that `saver` did."""
    with RedisSaver.from_conn_string(server.url) as made:
        yield made


pytestmark = pytest.mark.usefixtures("sound")


def grow(
    saver: BaseCheckpointSaver[Any], number: int, first: int = 0, parent: str | None = None
) -> list[str]:
    """Checkpoints of a list that grows by a line each; their ids."""
    made = []
    for position in range(first, first + number):
        at = put(saver, config(checkpoint_id=parent), checkpoint(log=LINES[: 20 + position]))
        parent = at["configurable"]["checkpoint_id"]
        made.append(parent)
    return made


def logs(saver: BaseCheckpointSaver[Any], made: list[str]) -> list[int]:
    """How many lines each checkpoint has, when they are the right ones."""
    found = []
    for each in made:
        got = saver.get_tuple(config(checkpoint_id=each))
        assert got is not None
        log = got.checkpoint["channel_values"]["log"]
        assert log == LINES[: len(log)]
        found.append(len(log))
    return found


def forms(redis: Redis) -> bytes:
    """First letters of the stored values, sorted."""
    (key,) = redis.keys("*:values:t")
    return b"".join(sorted(value[:1] for value in redis.hvals(key)))


def test_deltas(saver: RedisSaver, other: RedisSaver, redis: Redis) -> None:
    """Most versions are deltas, and another saver reads each of them."""
    made = grow(saver, 40)
    assert forms(redis) == b"D" * 35 + b"Z" * 5
    assert logs(other, made) == [*range(20, 60)]
    listed = [len(each.checkpoint["channel_values"]["log"]) for each in other.list(config())]
    assert listed == [*range(59, 19, -1)]


@pytest.mark.parametrize("second", SETTINGS)
@pytest.mark.parametrize("first", SETTINGS)
def test_settings(server: Server, first: Any, second: Any) -> None:
    """A saver reads and continues what one with any other setting wrote."""
    with (
        RedisSaver.from_conn_string(server.url, compression=first) as one,
        RedisSaver.from_conn_string(server.url, compression=second) as two,
    ):
        made = grow(one, 5)
        assert logs(two, made) == [*range(20, 25)]
        made += grow(two, 5, 5, made[-1])
        made += grow(one, 5, 10, made[-1])
        assert logs(one, made) == logs(two, made) == [*range(20, 35)]


def test_forms_of_settings(server: Server, redis: Redis) -> None:
    """None stores values as they are, zstd each by itself."""
    for setting, expected in ((None, b"PPP"), ("zstd", b"ZZZ"), ("delta", b"DDZ")):
        with RedisSaver.from_conn_string(server.url, compression=setting) as saver:
            grow(saver, 3)
            assert forms(redis) == expected
            saver.delete_thread("t")


def test_bad_setting(redis: Redis) -> None:
    """Another setting is refused, and says what there is."""
    with pytest.raises(ValueError, match='"delta", "zstd" or None'):
        RedisSaver(redis, compression="gzip")  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [-1, True, 1.5, "1"])
def test_bad_cache(redis: Redis, size: Any) -> None:
    """What is no number of bytes is refused."""
    with pytest.raises(ValueError, match="cache_bytes must be a number of bytes"):
        RedisSaver(redis, cache_bytes=size)


def test_without_cache(server: Server, other: RedisSaver, redis: Redis) -> None:
    """A saver that may remember nothing stores each value by itself."""
    with RedisSaver.from_conn_string(server.url, cache_bytes=0) as saver:
        made = grow(saver, 3)
    assert forms(redis) == b"ZZZ"
    assert logs(other, made) == [20, 21, 22]


def test_damaged_values_can_be_deleted(saver: RedisSaver, redis: Redis) -> None:
    """A delta that does not say what it starts from does not stop a prune."""
    made = grow(saver, 3)
    (key,) = redis.keys("*:values:t")
    for field, value in redis.hgetall(key).items():
        if value[:1] == b"D":
            redis.hset(key, field, b"D")
    put(saver, config(checkpoint_id=made[-1]), checkpoint(log=["other"]))
    saver.prune(["t"])
    assert logs_of_latest(saver) == ["other"]
    saver.delete_thread("t")


def logs_of_latest(saver: BaseCheckpointSaver[Any]) -> list[str]:
    """The list of the latest checkpoint."""
    found = saver.get_tuple(config())
    assert found is not None
    return found.checkpoint["channel_values"]["log"]  # type: ignore[no-any-return]


def test_reader_goes_on(saver: RedisSaver, other: RedisSaver, redis: Redis) -> None:
    """Who has read the latest checkpoint writes the next as a delta, after a restart too."""
    (last,) = grow(saver, 1)
    other.get_tuple(config())
    grow(other, 1, 1, last)
    assert forms(redis) == b"DZ"


@pytest.mark.parametrize("how", ["deleted", "expired", "pruned", "other version"])
def test_base_goes(saver: RedisSaver, other: RedisSaver, redis: Redis, how: str) -> None:
    """When what a delta would start from is gone, or another one, the whole value is sent."""
    made = grow(saver, 3)
    if how == "deleted":
        other.delete_thread("t")
    elif how == "expired":
        for key in redis.keys("*:t"):
            redis.pexpire(key, 1)
        while redis.keys("*:t"):
            pass
        other.delete_thread("t")
    elif how == "pruned":
        put(other, config(checkpoint_id=made[-1]), checkpoint(log=["other"]))
        other.prune(["t"])
    else:
        (key,) = redis.keys("*:values:t")
        (index,) = redis.keys("*:index:t")
        other.delete_thread("t")
        again = checkpoint(made[-1], log=random.Random(1).randbytes(500).hex())
        again["channel_versions"] = {"log": f"{10**6:032}.5"}
        put(other, config(), again)
        assert redis.exists(key, index) == 2
    last = grow(saver, 2, 3, made[-1])
    assert logs(other, last) == [23, 24]


@pytest.mark.parametrize("keep", [1, 3])
def test_pruned_chains(saver: RedisSaver, other: RedisSaver, keep: int) -> None:
    """What a delta that stays starts from stays, and goes when it is not needed any more."""
    made = grow(saver, 30)
    other.prune(["t"], keep_last=keep)
    assert logs(other, made[-keep:]) == [*range(50 - keep, 50)]
    other.delete_thread("t")


def test_trimmed_chains(server: Server, other: RedisSaver, redis: Redis) -> None:
    """With keep_last the values of a growing list stay few."""
    with RedisSaver.from_conn_string(server.url, keep_last=1) as saver:
        made = grow(saver, 100)
    assert logs(other, made[-1:]) == [119]
    assert len(forms(redis)) <= 9


def test_deleted_runs(saver: RedisSaver, other: RedisSaver) -> None:
    """A run whose values others start from goes, the others stay whole."""
    parent = None
    made = []
    for position in range(12):
        at = config(checkpoint_id=parent)
        stored = put(saver, at, checkpoint(log=LINES[: 20 + position]), run_id=f"r{position % 3}")
        parent = stored["configurable"]["checkpoint_id"]
        made.append(parent)
    other.delete_for_runs(["r0", "r1"])
    assert ids(other.list(config())) == made[::-1][::3]
    assert logs(other, made[2::3]) == [22, 25, 28, 31]


def test_copied_chains(saver: RedisSaver, other: RedisSaver) -> None:
    """A copy has what its deltas start from, also of checkpoints that were pruned."""
    made = grow(saver, 130)
    saver.prune(["t"], keep_last=120)
    saver.copy_thread("t", "copy")
    saver.delete_thread("t")
    listed = [*other.list(config("copy"))]
    assert ids(listed) == made[:-121:-1]
    assert all(each.checkpoint["channel_values"]["log"] for each in listed)


def test_two_writers(saver: RedisSaver, other: RedisSaver) -> None:
    """Two writers that fork one thread, each from what it knows, leave two true histories."""
    made = grow(saver, 3)
    other.get_tuple(config())
    left = grow(saver, 10, 3, made[-1])
    right = grow(other, 10, 3, made[-1])
    assert logs(saver, right) == logs(other, left) == [*range(23, 33)]


def test_same_put_again(saver: RedisSaver, other: RedisSaver, redis: Redis) -> None:
    """A put that is made again, by its writer or by another, changes no value."""
    made = checkpoint(log=LINES[:50])
    put(saver, config(), made)
    (key,) = redis.keys("*:values:t")
    before = redis.hgetall(key)
    put(saver, config(), made)
    put(other, config(), made)
    assert redis.hgetall(key) == before


def test_encrypted(server: Server, redis: Redis) -> None:
    """Values are compressed, then encrypted: small, and nothing of them to be seen."""
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 16)
    with RedisSaver.from_conn_string(server.url, serde=serde) as saver:
        made = grow(saver, 20)
        saver.put_writes(config(checkpoint_id=made[-1]), [("log", LINES)], "task")
        assert logs(saver, made) == [*range(20, 40)]
        found = saver.get_tuple(config())
        assert found is not None
        assert found.pending_writes == [("task", "log", LINES)]
    (values,) = redis.keys("*:values:t")
    (writes,) = redis.keys("*:writes:t")
    stored = [*redis.hvals(values), *redis.hvals(writes)]
    assert b"".join(sorted(value[:1] for value in redis.hvals(values))) == b"d" * 17 + b"z" * 3
    assert sum(map(len, stored)) < 30_000
    assert not any(b"line" in value for value in stored)


def test_random_states(server: Server, redis: Redis) -> None:
    """What cannot be compressed takes hardly more than its bytes."""
    sizes = {}
    for setting in SETTINGS:
        with RedisSaver.from_conn_string(server.url, compression=setting) as saver:
            chance = random.Random(1)
            for _ in range(10):
                put(saver, config(), checkpoint(noise=chance.randbytes(20_000)))
            (key,) = redis.keys("*:values:t")
            sizes[setting] = sum(map(len, redis.hvals(key)))
            saver.delete_thread("t")
    assert max(sizes.values()) < 1.03 * sizes[None]


@pytest.mark.parametrize("damage", ["changed", "base changed", "base gone", "loop", "unknown"])
def test_damage(saver: RedisSaver, other: RedisSaver, redis: Redis, damage: str) -> None:
    """A damaged chain is told, with thread, channel and version; other checkpoints are read."""
    first, second = grow(saver, 2)
    (key,) = redis.keys("*:values:t")
    stored = {value[:1]: field for field, value in redis.hgetall(key).items()}
    keyframe, delta = stored[b"Z"], stored[b"D"]
    before = redis.hgetall(key)
    change = {
        "changed": (delta, before[delta][:-1] + b"\0"),
        "base changed": (keyframe, before[keyframe][:-1] + b"\0"),
        "base gone": (keyframe, None),
        "loop": (keyframe, before[delta]),
        "unknown": (delta, b"?" + before[delta]),
    }[damage]
    if change[1] is None:
        redis.hdel(key, change[0])
    else:
        redis.hset(key, change[0], change[1])
    with pytest.raises((DamagedRecordError, LostKeysError), match=r"thread 't'.*'log'.*version"):
        other.get_tuple(config(checkpoint_id=second))
    if damage in ("changed", "unknown"):
        assert logs(other, [first]) == [20]
    redis.hset(key, mapping=before)
    assert logs(other, [first, second]) == [20, 21]


def test_one_stale_base_costs_one_repeat(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """After whole values were sent once, each channel's next versions are deltas again."""
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 16)
    with RedisSaver.from_conn_string(server.url, serde=serde) as saver:
        made = checkpoint("0", a=LINES[:30], b=LINES[:30])
        put(saver, config(), made)
        saver.delete_thread("t")
        sent: list[Any] = []
        execute = saver._transport._execute  # type: ignore[union-attr]

        def recorded(request: Any) -> Any:
            sent.append(request)
            return execute(request)

        monkeypatch.setattr(saver._transport, "_execute", recorded)
        for number in range(1, 9):
            channel = "ab"[number % 2]
            made["id"] = str(number)
            made["channel_values"][channel] = LINES[: 30 + number]
            made["channel_versions"][channel] = f"{number:032}.7"
            new = {channel: made["channel_versions"][channel]}
            saver.put(config(), made, {}, new)  # type: ignore[arg-type]
        assert len(sent) == 9
        assert sum(map(len, sent[-1].args[10:])) < 1_000
