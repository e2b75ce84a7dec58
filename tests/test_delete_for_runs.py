"""delete_for_runs: every checkpoint of the runs goes, wherever it is, and nothing else."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from saver import AsyncRedisSaver, RedisSaver
from saver._copies import copy_thread
from saver._filters import digest
from tests.invariants import problems
from tests.lifecycle import delta, fill, key, neighbor, registered, registry, stepped, stored
from tests.samples import HOSTILE, checkpoint, config, ids, put

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import Server

THREADS = ["t", neighbor("t"), "u", "v"]


pytestmark = pytest.mark.usefixtures("sound")


def left(saver: RedisSaver) -> dict[str, list[str]]:
    """Ids of all checkpoints, by thread."""
    found: dict[str, list[str]] = {}
    for each in saver.list(None):
        named = each.config["configurable"]
        found.setdefault(named["thread_id"], []).append(named["checkpoint_id"])
    return found


def fill_runs(saver: RedisSaver, runs: int = 3) -> None:
    """Threads in several shards and namespaces that share runs; the last has one run only."""
    for thread_id in THREADS[:-1]:
        for ns in ("", "sub"):
            at = config(thread_id, ns)
            for number in range(2 * runs):
                run = f"run {number // 2}"
                at = put(saver, at, checkpoint(f"{number}{ns}", a=number), run_id=run)
                saver.put_writes(at, [("a", number)], "task")
    put(saver, config(THREADS[-1]), checkpoint("1"), run_id="run 1")


def test_across_threads(saver: RedisSaver, redis: Redis) -> None:
    """Shards, namespaces and threads; what other runs made stays, with values and writes."""
    fill_runs(saver)
    saver.delete_for_runs(["run 1"])
    wanted = ["5sub", "5", "4sub", "4", "1sub", "1", "0sub", "0"]
    assert left(saver) == dict.fromkeys(THREADS[:-1], wanted)
    for each in saver.list(None):
        number = int(each.checkpoint["id"][0])
        assert each.checkpoint["channel_values"] == {"a": number}
        assert each.pending_writes == [("task", "a", number)]
    saver.delete_for_runs(["run 0", "run 2"])
    assert redis.keys() == []


async def test_async(asaver: AsyncRedisSaver, saver: RedisSaver, redis: Redis) -> None:
    """The same of AsyncRedisSaver, from a server that knows no script yet."""
    fill_runs(saver)
    redis.script_flush()
    await asaver.adelete_for_runs(["run 0", "run 1"])
    assert left(saver) == {name: ["5sub", "5", "4sub", "4"] for name in THREADS[:-1]}
    await asaver.adelete_for_runs(["run 2"])
    assert redis.keys() == []


def test_a_thread_left_empty(saver: RedisSaver, redis: Redis) -> None:
    """It leaves no key and no entry; the others of its shard stay registered."""
    put(saver, config("t"), checkpoint("1", a=1), run_id="run")
    fill(saver, neighbor("t"))
    before = stored(redis, neighbor("t"))
    saver.delete_for_runs(["run"])
    assert stored(redis) == {}
    assert not redis.exists(key("deleted"))
    assert registered(redis) == set()
    assert stored(redis, neighbor("t")) == before
    put(saver, config("t"), checkpoint("1", a=1), run_id="run")
    saver.put_writes(config(checkpoint_id="1"), [("a", 1)], "task")
    assert ids(saver.list(config())) == ["1"]


def test_early_writes_stay(saver: RedisSaver) -> None:
    """Writes whose checkpoint has not arrived belong to no run yet."""
    put(saver, config(), checkpoint("1"), run_id="run")
    saver.put_writes(config(checkpoint_id="2"), [("a", 1)], "task")
    saver.delete_for_runs(["run"])
    assert list(saver.list(config())) == []
    put(saver, config(), checkpoint("2"), run_id="run")
    found = saver.get_tuple(config())
    assert found is not None
    assert found.pending_writes == [("task", "a", 1)]


def test_unknown_and_none(saver: RedisSaver, redis: Redis) -> None:
    """No error, nothing changes; checkpoints without a run are nobody's."""
    fill_runs(saver)
    put(saver, config("no run"))
    before = {name: redis.dump(name) for name in redis.keys()}
    for run_ids in ([], (), ["unknown"], ["run", "run 10", "RUN 1"], ["None"]):
        saver.delete_for_runs(run_ids)
    assert {name: redis.dump(name) for name in redis.keys()} == before
    saver.delete_for_runs(["run 1", "unknown", "run 1", "run 0", "run 2"])
    assert left(saver).keys() == {"no run"}


@pytest.mark.parametrize(
    ("bad", "error", "says"),
    [
        ("run", TypeError, "run_ids must be a list of ids, not one: pass ['run']"),
        (b"run", TypeError, "run_ids must be a list of ids"),
        ([5], TypeError, "run_id must be a str, not int"),
        (["run", None], TypeError, "run_id must be a str"),
        (["run", ""], ValueError, "run_id must not be empty"),
        (["a\0b"], ValueError, "run_id must not contain NUL"),
    ],
)
def test_bad_ids(tmp_path: Path, bad: Any, error: type[Exception], says: str) -> None:
    """Refused before anything is sent, the whole list."""
    saver = RedisSaver(Redis(unix_socket_path=str(tmp_path / "no server")))
    with pytest.raises(error, match=says.replace("[", r"\[")):
        saver.delete_for_runs(bad)


def test_hostile_ids(saver: RedisSaver, redis: Redis) -> None:
    """Threads and runs of any name; no run takes another's checkpoint with it."""
    for name in HOSTILE:
        put(saver, config(name, name), checkpoint(name), run_id=name)
        put(saver, config(name + "'", name), checkpoint(name), run_id=name)
    for position, name in enumerate(HOSTILE):
        saver.delete_for_runs([name])
        gone = HOSTILE[: position + 1]
        assert left(saver).keys() == {
            each + end for each in HOSTILE if each not in gone for end in ("", "'")
        }
    assert redis.keys() == []


def test_many_threads_of_one_run(saver: RedisSaver, redis: Redis) -> None:
    """More threads in one shard than one call finds, among them some of which nothing goes."""
    names = [neighbor("t", number) for number in range(230)]
    for name in names:
        put(saver, config(name), checkpoint("1"), run_id="run")
    for name in names[::10]:
        steps = {"counters_since_delta_snapshot": {"log": [1, 1]}}
        put(saver, config(name, "", "1"), delta("2", 2, 2), run_id="other", **steps)
    saver.delete_for_runs(["run"])
    assert left(saver) == {name: ["2", "1"] for name in names[::10]}
    saver.delete_for_runs(["other"])
    saver.delete_for_runs(["run"])
    assert redis.keys() == []


def test_many_checkpoints_and_runs(saver: RedisSaver, redis: Redis) -> None:
    """More checkpoints of a run, and more runs, than one call takes."""
    for number in range(400):
        run = "long run" if number % 2 else f"run {number}"
        put(saver, config(), checkpoint(f"{number:03}", a=1, b=2), run_id=run)
    saver.delete_for_runs(["long run"])
    assert ids(saver.list(config())) == [f"{number:03}" for number in range(398, -1, -2)]
    saver.delete_for_runs([f"run {number}" for number in range(400)])
    assert redis.keys() == []


def fill_chain(saver: RedisSaver, runs: int, thread_id: str = "t") -> None:
    """A thread whose runs each continue a delta channel of the one before; and a snapshot."""
    at = config(thread_id)
    for number in range(runs):
        steps = {"counters_since_delta_snapshot": {"log": [1, 1]}} if number else {}
        made = delta(f"{number:03}", number, number)
        at = put(saver, at, made, run_id=f"run {number}", **steps)
        saver.put_writes(at, [("log", [number])], "task")
    put(saver, at, delta("snapshot", runs, 0), run_id="last")


def test_delta_channels(saver: RedisSaver, redis: Redis) -> None:
    """A checkpoint that one of another run is rebuilt from stays, until that one goes."""
    fill_chain(saver, 4)
    before = saver.get_delta_channel_history(config=config(checkpoint_id="003"), channels=["log"])
    saver.delete_for_runs(["run 0", "run 1", "run 2", "last"])
    assert ids(saver.list(config())) == ["003", "002", "001", "000"]
    after = saver.get_delta_channel_history(config=config(checkpoint_id="003"), channels=["log"])
    assert after == before
    saver.delete_for_runs(["run 3"])
    assert ids(saver.list(config())) == ["002", "001", "000"]
    saver.delete_for_runs(["run 2", "run 0"])
    assert ids(saver.list(config())) == ["001", "000"]
    saver.delete_for_runs(["run 1", "run 0"])
    assert redis.keys() == []


@pytest.mark.parametrize("order", ["oldest first", "newest first", "mixed"])
async def test_runs_that_need_each_other(
    saver: RedisSaver, asaver: AsyncRedisSaver, redis: Redis, order: str
) -> None:
    """All of them go, whatever order they are named in, and nothing of another run."""
    runs = [f"run {number}" for number in range(130)]
    if order == "newest first":
        runs.reverse()
    if order == "mixed":
        random.Random(1).shuffle(runs)
    for asynchronous in (False, True):
        for thread_id in ("t", neighbor("t"), "u"):
            fill_chain(saver, 130, thread_id)
        if asynchronous:
            await asaver.adelete_for_runs(runs)
        else:
            saver.delete_for_runs(runs)
        assert left(saver) == {name: ["snapshot"] for name in ("t", neighbor("t"), "u")}
        saver.delete_for_runs(["last"])
        assert redis.keys() == []


def test_stale_entries(saver: RedisSaver, redis: Redis) -> None:
    """A registry that names a thread without a checkpoint of the run, or none, is put right."""
    put(saver, config(), checkpoint("1"), run_id="run")
    fill(saver, neighbor("t"))
    stale, gone = digest("run 0"), neighbor("t", 1).encode()
    redis.zadd(registry("runs"), {stale + b"t": 0, stale + gone: 0})
    redis.zadd(registry("runs_of"), {b"t\0" + stale: 0, gone + b"\0" + stale: 0})
    assert problems(redis) != []
    saver.delete_for_runs(["run 0"])
    assert problems(redis) == []
    assert ids(saver.list(config())) == ["1"]
    saver.delete_thread(neighbor("t"))
    saver.delete_for_runs(["run"])
    assert redis.keys() == []


def test_stale_entry_of_an_empty_shard(saver: RedisSaver, redis: Redis) -> None:
    """The last thing that a shard has: not even its layout stays."""
    redis.zadd(registry("runs"), {digest("run") + b"t": 0})
    redis.zadd(registry("runs_of"), {b"t\0" + digest("run"): 0})
    redis.set(registry("layout"), 1)
    saver.delete_for_runs(["run"])
    assert redis.keys() == []


def test_copies_under_way(saver: RedisSaver, redis: Redis) -> None:
    """One that is not there yet is left alone; its thread has the run afterwards."""
    fill_runs(saver)
    plan = copy_thread(saver._keys, "t", "copy", saver._retention)
    before = stored(redis)
    steps = stepped(saver, plan, lambda _: None)
    saver.delete_thread("copy")
    plan = copy_thread(saver._keys, "t", "copy", saver._retention)
    stepped(
        saver,
        plan,
        lambda number: saver.delete_for_runs(["run 1"]) if number == steps - 1 else None,
    )
    assert stored(redis, "copy") == before
    assert len(ids(saver.list(config(ns=None)))) == 8
    saver.delete_for_runs(["run 1"])
    assert len(ids(saver.list(config("copy", None)))) == 8


def test_while_writers_go_on(server: Server, saver: RedisSaver, redis: Redis) -> None:
    """Nothing of another run is lost, and a last call leaves nothing of the run."""
    over = threading.Event()
    names = [*THREADS, *(neighbor("t", number) for number in range(1, 4))]
    kept: dict[str, list[str]] = {name: [] for name in names}

    def write(thread_id: str) -> None:
        with RedisSaver.from_conn_string(server.url) as mine:
            at, number = config(thread_id), 0
            while not over.is_set() or number < 30:
                number += 1
                doomed = number % 3 > 0
                made = checkpoint(f"{number:05}", a=number)
                at = put(mine, at, made, run_id="run" if doomed else "other")
                mine.put_writes(at, [("a", number)], "task")
                if not doomed:
                    kept[thread_id].insert(0, made["id"])

    def delete() -> None:
        with RedisSaver.from_conn_string(server.url) as mine:
            for _ in range(15):
                mine.delete_for_runs(["run"])
        over.set()

    with ThreadPoolExecutor(len(names) + 1) as pool:
        for done in [pool.submit(delete), *(pool.submit(write, name) for name in names)]:
            done.result()
    assert problems(redis) == []
    saver.delete_for_runs(["run"])
    assert left(saver) == kept
    for each in saver.list(None):
        assert each.checkpoint["channel_values"] == {"a": int(each.checkpoint["id"])}
        assert len(each.pending_writes or []) == 1
    saver.delete_for_runs(["other"])
    assert redis.keys() == []


def test_calls_of_a_deleted_root(saver: RedisSaver) -> None:
    """What another run did in a subgraph call of a deleted root goes when the thread is pruned."""
    put(saver, config(), checkpoint("1", a=1), run_id="r1")
    put(saver, config(ns="n:1"), checkpoint("2", a=1), run_id="r2", parents={"": "1"})
    saver.delete_for_runs(["r1"])
    assert ids(saver.list(config(ns=None))) == ["2"]
    put(saver, config(), checkpoint("3", a=1))
    saver.prune(["t"])
    assert ids(saver.list(config(ns=None))) == ["3"]
