"""prune: what stays, what goes, what is refused."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.raw import contents
from tests.samples import HOSTILE, checkpoint, comparable, config, ids, put

if TYPE_CHECKING:
    from redis import Redis

    from saver import AsyncRedisSaver, RedisSaver


pytestmark = pytest.mark.usefixtures("sound")


def fill(saver: RedisSaver, thread_id: str = "t", ns: str = "", count: int = 5) -> list[Any]:
    """A chain with one channel that changes and one that does not, and a write each."""
    stored, configs = config(thread_id, ns), []
    shared = checkpoint(kept="shared")
    for number in range(count):
        made = checkpoint(f"{number:03}", step=number)
        new = dict(made["channel_versions"])
        made["channel_values"]["kept"] = "shared"
        made["channel_versions"]["kept"] = shared["channel_versions"]["kept"]
        if number == 0:
            new = dict(made["channel_versions"])
        stored = saver.put(stored, made, {"step": number}, new)
        saver.put_writes(stored, [("step", number)], "task")
        configs.append(stored)
    return configs


def everything(saver: RedisSaver, thread_id: str = "t") -> list[Any]:
    """Every checkpoint of a thread."""
    return [comparable(found) for found in saver.list(config(thread_id, None))]


@pytest.mark.parametrize("keep", [None, 1, 2, 4, 5, 99])
def test_newest_stay_as_they_were(saver: RedisSaver, keep: int | None) -> None:
    """The last n of each namespace stay, with values that older ones stored and with writes."""
    for ns in ("", "a", "a:1", "a|b:2"):
        fill(saver, ns=ns)
    before = {ns: [*saver.list(config(ns=ns))] for ns in ("", "a", "a:1", "a|b:2")}
    saver.prune(["t"], keep_last=keep)
    for ns, all_of_it in before.items():
        assert [*saver.list(config(ns=ns))] == all_of_it[: keep or 1]
    assert saver.get_tuple(config(checkpoint_id="000")) == (
        before[""][-1] if keep in {5, 99} else None
    )


def test_hostile_ids(saver: RedisSaver) -> None:
    """Namespaces and checkpoint ids are told apart and ordered as everywhere, whatever they are."""
    for ns in ["", *HOSTILE]:
        parent = config(ns=ns)
        for each in sorted(HOSTILE):
            parent = put(saver, parent, checkpoint(each, value=[ns, each]))
            saver.put_writes(parent, [("value", each)], each)
    saver.prune(["t"], keep_last=2)
    for ns in ["", *HOSTILE]:
        newest = sorted(HOSTILE)[-2:]
        found = [*saver.list(config(ns=ns))]
        assert ids(found) == newest[::-1]
        assert [each.checkpoint["channel_values"] for each in found] == [
            {"value": [ns, each]} for each in newest[::-1]
        ]
        assert [each.pending_writes for each in found] == [
            [(each, "value", each)] for each in newest[::-1]
        ]


def test_nothing_is_left_of_what_goes(saver: RedisSaver, redis: Redis) -> None:
    """No value, write, run or place in an order of a removed checkpoint stays."""
    fill(saver)
    put(saver, config(), checkpoint("999", step="last"), run_id="last")
    for number in range(3):
        put(saver, config(), checkpoint(f"5{number}", step=number), run_id=f"run{number}")
    saver.prune(["t"])
    held = contents(redis)
    assert len(held.pop("deleted:t")) == 8
    held = {
        name: len(stored) if isinstance(stored, dict) else stored for name, stored in held.items()
    }
    assert held == {
        "layout": b"1", "threads": 1, "runs": 1, "runs_of": 1, "runs:t": 1, "index:t": 1,
        "timeline:t": 1, "checkpoints:t": 1, "values:t": 1,
    }  # fmt: skip


def test_writes_before_their_checkpoint(saver: RedisSaver) -> None:
    """Writes whose checkpoint has not arrived stay, whether its id is old or new."""
    fill(saver)
    for early in ("0025", "999"):
        saver.put_writes(config(checkpoint_id=early), [("step", early)], "task")
    saver.prune(["t"])
    for early in ("0025", "999"):
        put(saver, config(checkpoint_id="004"), checkpoint(early))
        found = saver.get_tuple(config(checkpoint_id=early))
        assert found
        assert found.pending_writes == [("task", "step", early)]


def test_thread_with_writes_only(saver: RedisSaver) -> None:
    """A thread that has no checkpoint yet keeps its writes."""
    saver.put_writes(config(checkpoint_id="1"), [("a", 1)], "task")
    saver.prune(["t"])
    put(saver, config(), checkpoint("1"))
    assert saver.get_tuple(config()).pending_writes == [("task", "a", 1)]  # type: ignore[union-attr]


def test_late_writes(saver: RedisSaver, redis: Redis) -> None:
    """A write that comes after its checkpoint was removed leaves nothing behind."""
    configs = fill(saver)
    saver.prune(["t"])
    before = contents(redis)
    for removed in configs[:-1]:
        saver.put_writes(removed, [("step", "late")], "task")
        saver.put_writes(removed, [("__error__", "late")], "another")
    assert contents(redis) == before


def test_removed_checkpoint_put_again(saver: RedisSaver) -> None:
    """A checkpoint that is put again after it was removed is there again, and takes writes."""
    configs = fill(saver)
    saver.prune(["t"])
    stored = put(saver, configs[0], checkpoint("001", step="again"))
    saver.put_writes(stored, [("step", "new")], "task")
    found = saver.get_tuple(stored)
    assert found
    assert found.checkpoint["channel_values"] == {"step": "again"}
    assert found.pending_writes == [("task", "step", "new")]


def test_twice(saver: RedisSaver, redis: Redis) -> None:
    """Pruning again changes nothing."""
    fill(saver)
    saver.prune(["t"], keep_last=2)
    before = contents(redis)
    saver.prune(["t", "t"], keep_last=2)
    assert contents(redis) == before


def test_many_threads(saver: RedisSaver) -> None:
    """More threads than go in one round trip, some twice, some unknown; others are left alone."""
    for number in range(150):
        fill(saver, f"t{number}", count=3)
    before = everything(saver, "t149")
    saver.prune([*(f"t{number}" for number in range(149)), "t0", "unknown"])
    assert [len(everything(saver, f"t{number}")) for number in range(149)] == [1] * 149
    assert everything(saver, "t149") == before
    assert everything(saver, "unknown") == []


def test_more_than_one_call(saver: RedisSaver) -> None:
    """A long thread with many namespaces is pruned whole."""
    for ns in ("", "b", "a:1", "z"):
        fill(saver, ns=ns, count=400)
    saver.prune(["t"], keep_last=3)
    assert [len(everything(saver)), len([*saver.list(config())])] == [12, 3]


def test_delete(saver: RedisSaver, redis: Redis) -> None:
    """Strategy "delete" leaves no key of the threads, and takes what has writes only."""
    for thread_id in HOSTILE[:10]:
        fill(saver, thread_id)
        put(saver, config(thread_id), run_id="run")
    saver.put_writes(config("early", checkpoint_id="1"), [("a", 1)], "task")
    saver.prune([*HOSTILE[:10], "early", "early", "unknown"], strategy="delete")
    assert redis.keys() == []


@pytest.mark.parametrize("strategy", ["keep_latest", "delete"])
async def test_no_threads(
    saver: RedisSaver, asaver: AsyncRedisSaver, redis: Redis, strategy: str
) -> None:
    """An empty list: nothing is sent."""
    redis.config_resetstat()
    saver.prune([], strategy=strategy)
    saver.prune((), strategy=strategy)
    await asaver.aprune([], strategy=strategy)
    assert not {"cmdstat_evalsha", "cmdstat_eval"} & set(redis.info("commandstats"))


WRONG: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "strategy": (["t"], {"strategy": "keep_all"}, ValueError, '"keep_latest" or "delete"'),
    "no strategy": ([], {"strategy": None}, ValueError, '"keep_latest" or "delete"'),
    "keep_last with delete": (
        ["t"], {"strategy": "delete", "keep_last": 1}, ValueError, "leave keep_last out",
    ),
    "none kept": (["t"], {"keep_last": 0}, ValueError, "at least 1"),
    "fewer than none": (["t"], {"keep_last": -1}, ValueError, "at least 1"),
    "float": (["t"], {"keep_last": 2.0}, TypeError, "must be an int"),
    "text": (["t"], {"keep_last": "2"}, TypeError, "must be an int"),
    "bool": (["t"], {"keep_last": True}, TypeError, "must be an int"),
    "one id": ("t", {}, TypeError, "a list of ids"),
    "one id of bytes": (b"t", {}, TypeError, "a list of ids"),
    "number": (["t", 1], {}, TypeError, "thread_id must be a str"),
    "empty id": (["t", ""], {}, ValueError, "thread_id must not be empty"),
    "NUL": (["t", "a\0b"], {}, ValueError, "NUL"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
async def test_refused(saver: RedisSaver, asaver: AsyncRedisSaver, redis: Redis, name: str) -> None:
    """What is no thread, strategy or number is refused before anything is sent."""
    thread_ids, options, error, message = WRONG[name]
    fill(saver)
    before = contents(redis)
    with pytest.raises(error, match=message):
        saver.prune(thread_ids, **options)
    with pytest.raises(error, match=message):
        await asaver.aprune(thread_ids, **options)
    assert contents(redis) == before


async def test_async(saver: RedisSaver, asaver: AsyncRedisSaver) -> None:
    """`aprune` does what prune does, on both savers."""
    for thread_id in ("t", "u", "v"):
        fill(saver, thread_id)
    await asaver.aprune(["t"], keep_last=2)
    await saver.aprune(["u"], keep_last=2)
    saver.prune(["v"], keep_last=2)
    kept = [ids(saver.list(config(thread_id))) for thread_id in ("t", "u", "v")]
    assert kept == [["004", "003"]] * 3


def test_while_runs_go_on(saver: RedisSaver) -> None:
    """Runs that write while others prune read back all they wrote: none of it is old yet."""
    over = threading.Event()

    def write(thread_id: str) -> None:
        stored, values, versions = config(thread_id), {}, {}
        for number in range(150):
            made = checkpoint(f"{number:03}", **{f"c{number % 7}": number})
            new = dict(made["channel_versions"])
            values.update(made["channel_values"])
            versions.update(new)
            made["channel_values"], made["channel_versions"] = dict(values), dict(versions)
            early = config(thread_id, checkpoint_id=made["id"])
            saver.put_writes(early, [("c0", number)], "early")
            stored = saver.put(stored, made, {}, new)
            saver.put_writes(stored, [("c1", number)], "late")
            found = saver.get_tuple(stored)
            assert found
            assert found.checkpoint["channel_values"] == values
            assert found.pending_writes == [("early", "c0", number), ("late", "c1", number)]

    def prune() -> None:
        while not over.is_set():
            saver.prune(["t", "u"])

    with ThreadPoolExecutor(4) as pool:
        pruning = [pool.submit(prune) for _ in range(2)]
        try:
            for each in [pool.submit(write, thread_id) for thread_id in ("t", "u")]:
                each.result()
        finally:
            over.set()
        for each in pruning:
            each.result()
    saver.prune(["t", "u"])
    assert [len(everything(saver, thread_id)) for thread_id in ("t", "u")] == [1, 1]
