"""copy_thread while something else happens, at each of its steps: nothing, or a whole copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from saver import RedisSaver
from saver._copies import copy_thread
from saver._retention import Retention
from saver.errors import SaverError
from tests.invariants import problems
from tests.lifecycle import (
    delta,
    fill,
    let_expire,
    neighbor,
    registered,
    stepped,
    stored,
)
from tests.samples import checkpoint, comparable, config, ids, put
from tests.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from redis import Redis

    from tests.servers import Server


pytestmark = pytest.mark.usefixtures("sound")


PAGES = 2


@pytest.fixture(params=["u", neighbor("t")], ids=["another shard", "same shard"])
def target(request: pytest.FixtureRequest) -> str:
    """A target in another shard than the source's, and one in the same."""
    return str(request.param)


def fill_pages(saver: RedisSaver) -> None:
    """A thread that takes several pages, with a snapshot of its delta channel in the middle."""
    fill(saver)
    at = config(checkpoint_id="3")
    for number in range(4, 55):
        steps = number % 20
        made = delta(f"4-{number:03}", number, steps, step=number)
        counters = {"log": [steps, steps]} if steps else {}
        at = put(saver, at, made, counters_since_delta_snapshot=counters, run_id=f"r {number}")
        saver.put_writes(at, [("log", [number])], "task")


def plan(saver: RedisSaver, target: str, source: str = "t") -> Any:
    """The plan that copy_thread runs."""
    return copy_thread(saver._keys, source, target, Retention())


def rounds(
    saver: RedisSaver, redis: Redis, target: str, meddle: Callable[[], object]
) -> Iterator[Exception | None]:
    """Copies once for each step of a copy, and calls `meddle` just before it; yields what came."""
    fill_pages(saver)
    steps = stepped(saver, plan(saver, target), lambda _: None)
    assert steps > 2 * PAGES
    for step in range(steps):
        redis.flushall()
        fill_pages(saver)
        outcome: Exception | None = None
        try:
            stepped(saver, plan(saver, target), lambda number: number == step and meddle())  # noqa: B023
        except (SaverError, ValueError) as error:
            outcome = error
        yield outcome
        assert problems(redis) == []


def staged(redis: Redis) -> set[bytes]:
    """Names under which copies are under way: of keys and in registries."""
    names = redis.keys()
    found = {name.rpartition(b":")[2] for name in names if b":\0" in name}
    for name in names:
        if name.endswith((b"}:threads", b"}:expiry")):
            found.update(redis.zrange(name, 0, -1))
        elif name.endswith(b"}:runs"):
            found.update(member[8:] for member in redis.zrange(name, 0, -1))
        elif name.endswith(b"}:runs_of"):
            found.update(member[:-9] for member in redis.zrange(name, 0, -1))
    return {name for name in found if name.startswith(b"\0")}


def seen(saver: RedisSaver, thread_id: str) -> dict[str, Any]:
    """Each checkpoint that a reader sees, and what its delta channel is rebuilt from."""
    found = {}
    for each in saver.list(config(thread_id, None)):
        (_, *named), *rest = comparable(each)
        channels = [] if "log" in each.checkpoint["channel_values"] else ["log"]
        history = saver.get_delta_channel_history(config=each.config, channels=channels)
        found[str(named)] = (rest, history)
    return found


@pytest.mark.parametrize("how", ["deleted", "expired"])
def test_source_goes_away(saver: RedisSaver, redis: Redis, target: str, how: str) -> None:
    """The target has nothing, or all that the source had; nothing is left staged."""
    whole: list[Any] = []

    def meddle() -> None:
        whole.append(stored(redis))
        if how == "deleted":
            saver.delete_thread("t")
        else:
            let_expire(redis)

    copies = 0
    for outcome in rounds(saver, redis, target, meddle):
        assert outcome is None
        copied = stored(redis, target)
        assert copied in ({}, whole[-1])
        assert staged(redis) == set()
        copies += bool(copied)
    assert 0 < copies < len(whole)


def test_source_is_pruned(saver: RedisSaver, redis: Redis, target: str) -> None:
    """Every checkpoint of the copy is as it was, the newest among them; none misses anything."""
    before: dict[str, Any] = {}

    def meddle() -> None:
        before.update(seen(saver, "t"))
        saver.prune(["t"])

    for outcome in rounds(saver, redis, target, meddle):
        assert outcome is None
        copied = seen(saver, target)
        assert copied
        assert {**before, **copied} == before
        assert max(copied) == max(before)
        before.clear()


def test_source_is_written_to(saver: RedisSaver, redis: Redis, target: str) -> None:
    """All of what was there before; of what came meanwhile a checkpoint whole or not at all."""
    before: dict[str, Any] = {}

    def meddle() -> None:
        before.update(seen(saver, "t"))
        at = put(saver, config(checkpoint_id="4-054"), checkpoint("5", step=5))
        saver.put_writes(at, [("step", 6)], "task")

    for outcome in rounds(saver, redis, target, meddle):
        assert outcome is None
        copied = seen(saver, target)
        assert {**copied, **before} == copied
        assert {**copied, **seen(saver, "t")} == seen(saver, "t")
        before.clear()


def test_target_is_written_to(saver: RedisSaver, redis: Redis, target: str) -> None:
    """The copy gives way to a thread that somebody else has begun."""
    for outcome in rounds(
        saver, redis, target, lambda: put(saver, config(target), checkpoint("1"))
    ):
        assert isinstance(outcome, ValueError)
        assert "has checkpoints already" in str(outcome)
        assert ids(saver.list(config(target))) == ["1"]
        assert staged(redis) == set()


def test_two_copies_to_one_target(saver: RedisSaver, redis: Redis, target: str) -> None:
    """The one that ends first wins; of the other there is a ValueError and no trace."""

    def other_copy() -> None:
        fill(saver, "other", text="other")
        saver.copy_thread("other", target)

    for outcome in rounds(saver, redis, target, other_copy):
        assert isinstance(outcome, ValueError)
        assert stored(redis, target) == stored(redis, "other")
        assert staged(redis) == set()


def test_staged_copy_is_lost(saver: RedisSaver, redis: Redis, target: str) -> None:
    """A copier that stands still for longer than its staged copy lives says so."""
    outcomes = []

    def meddle() -> None:
        for each in staged(redis):
            let_expire(redis, each.decode(), beside=target)

    for outcome in rounds(saver, redis, target, meddle):
        assert outcome is None or "repeat it" in str(outcome)
        assert stored(redis, target) == ({} if outcome else stored(redis))
        outcomes.append(type(outcome))
    assert {*outcomes} == {type(None), SaverError}


class DiedError(BaseException):
    """Stands for the end of a process."""


def test_process_dies(saver: RedisSaver, redis: Redis, target: str) -> None:
    """What it leaves is hidden, expires, and is swept out of the registries after that."""
    left = []

    def die(step: int) -> Callable[[int], None]:
        def meddle(number: int) -> None:
            if number == step:
                raise DiedError

        return meddle

    for step in range(2 * PAGES + 5):
        redis.flushall()
        fill_pages(saver)
        with pytest.raises(DiedError):
            stepped(saver, plan(saver, target), die(step))
        assert saver.get_tuple(config(target)) is None
        assert [each.thread_id for each in saver.threads()] == ["t"]
        assert {each.config["configurable"]["thread_id"] for each in saver.list(None)} == {"t"}
        names = redis.keys("*:\0*")
        left.append(len(names))
        assert all(redis.ttl(name) > 3500 for name in names)
        assert len({redis.pexpiretime(name) for name in names}) <= 1
        for each in staged(redis):
            let_expire(redis, each.decode(), beside=target)
            put(saver, config(neighbor(target, 1)))
            put(saver, config(neighbor(target, 1)))
        assert staged(redis) == set()
        assert registered(redis, target) == set()
    assert left[0] == 0
    assert left[-1] > 8


def test_lost_replies(saver: RedisSaver, redis: Redis, server: Server, target: str) -> None:
    """The connection breaks at any one step, after the server has run it: the copy is whole."""
    fill_pages(saver)
    before, entries = stored(redis), registered(redis)
    with Wire(server.socket) as wire, RedisSaver.from_conn_string(wire.url) as through:
        through.setup()

        def lose(step: int) -> Callable[[int], None]:
            def meddle(number: int) -> None:
                wire.lose_replies = number == step

            return meddle

        step = 0
        while stepped(through, plan(through, target), lose(step)) > step:
            assert stored(redis, target) == before
            assert registered(redis, target) == entries
            assert staged(redis) == set()
            saver.delete_thread(target)
            step += 1
        assert step > 2 * PAGES
