"""A saver with `keep_last`: each put trims its namespace, a bounded number a call."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from saver import RedisSaver
from tests.graph_scenarios import chain, plain
from tests.raw import contents, key
from tests.samples import HOSTILE, checkpoint, comparable, config, ids, put
from tests.test_prune_graphs import GRAPHS, fan_out, namespaces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from tests.servers import Server

AT = config(ns=None)


pytestmark = pytest.mark.usefixtures("sound")


@contextmanager
def keeping(server: Server, keep: int | None) -> Iterator[RedisSaver]:
    """A saver that keeps so many."""
    with RedisSaver.from_conn_string(server.url, keep_last=keep) as saver:
        yield saver


@pytest.mark.parametrize("keep", [1, 3, 50])
def test_what_is_left_is_what_prune_leaves(server: Server, saver: RedisSaver, keep: int) -> None:
    """The last n of each namespace, whole: as if all had been kept and then pruned."""
    with keeping(server, keep) as trimming:
        for thread_id, each in (("t", trimming), ("u", saver)):
            for ns in ("", "a", HOSTILE[-1]):
                parent = config(thread_id, ns)
                for number in range(12):
                    parent = put(each, parent, checkpoint(f"{number:02}", value=number), step=1)
                    each.put_writes(parent, [("value", number)], "task")
        saver.prune(["u"], keep_last=keep)
    found = [
        [comparable(one)[0][1:] for one in saver.list(config(thread_id, None))]
        for thread_id in ("t", "u")
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 3 * min(keep, 12)
    for one in saver.list(config(ns=None)):
        number = int(one.checkpoint["id"])
        assert one.checkpoint["channel_values"] == {"value": number}
        assert one.pending_writes == [("task", "value", number)]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("keep", [1, 3])
def test_turns(server: Server, keep: int, durability: Any) -> None:
    """A graph gives the results that it gives when everything is kept."""
    with keeping(server, keep) as saver:
        graph, expected = chain(saver), chain(InMemorySaver())
        for number in range(4):
            for given in ({"steps": [number]}, None):
                result = graph.invoke(given, AT, durability=durability)
                assert result == expected.invoke(given, AT, durability=durability)
            history = [plain(state) for state in graph.get_state_history(AT)]
            everything = [plain(state) for state in expected.get_state_history(AT)]
            assert history == everything[:keep]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("keep", [1, 3])
def test_interrupted_inside(server: Server, keep: int, name: str, durability: Any) -> None:
    """A run that waits inside a subgraph goes on, and calls that are over go."""
    outcomes = []
    with keeping(server, keep) as saver:
        for each in (saver, InMemorySaver()):
            graph, seen = GRAPHS[name](each), []
            for number in range(4):
                given = graph.invoke({"steps": [f"turn {number}"]}, AT, durability=durability)
                seen.append([it.value for it in given.pop("__interrupt__")])
                seen += [given, plain(graph.get_state(AT, subgraphs=True))]
                seen.append(graph.invoke(Command(resume=number), AT, durability=durability))
                seen.append(plain(graph.get_state(AT, subgraphs=True)))
            outcomes.append(seen)
        assert outcomes[0] == outcomes[1]
        chain(saver).invoke({"steps": ["no call"]}, AT)
        memory = {"own memory": {"inner"}, "own memory inside": {"inner|inner"}}
        assert namespaces(saver) == {"", *memory.get(name, ())}


@pytest.mark.parametrize("how", ["turn", "replay", "update_state"])
def test_fork_of_an_older_checkpoint(server: Server, how: str) -> None:
    """A branch from any checkpoint that is kept."""
    outcomes = []
    with keeping(server, 3) as saver:
        for each in (saver, InMemorySaver()):
            graph, seen = chain(each), []
            for number, back in enumerate((2, 1, 2)):
                graph.invoke({"steps": [number]}, AT)
                old = [*each.list(config(), limit=3)][back].config
                if how == "update_state":
                    old = graph.update_state(old, {"steps": ["by hand"]}, "a")
                seen.append(graph.invoke({"steps": ["fork"]} if how == "turn" else None, old))
                seen.append(plain(graph.get_state(AT)))
            outcomes.append(seen)
        assert outcomes[0] == outcomes[1]
        assert len([*saver.list(config(ns=None))]) == 3


def test_turned_on_for_a_long_thread(server: Server, saver: RedisSaver) -> None:
    """Each put removes more than it adds, a few only, until the last n are left."""
    parent = config()
    for number in range(2000):
        parent = put(saver, parent, checkpoint(f"{number:06}", value=number))
    left = 2000
    with keeping(server, 5) as trimming:
        for number in itertools.count(2000):
            parent = put(trimming, parent, checkpoint(f"{number:06}", value=number))
            before, left = left, saver._transport.client.zcard(key("index:t"))  # type: ignore[union-attr]
            assert before - 100 < left < before
            if left == 5:
                break
    assert ids(saver.list(config())) == [f"{number - back:06}" for back in range(5)]


@pytest.mark.parametrize("channels", [1, 60, 700])
def test_wide_checkpoints(server: Server, redis: Redis, channels: int) -> None:
    """However many channels there are, a thread that is trimmed from the start stays small."""
    with keeping(server, 2) as saver:
        parent = config()
        for number in range(10):
            values = {f"c{channel}": number for channel in range(channels)}
            parent = put(saver, parent, checkpoint(f"{number:06}", **values))
            assert redis.zcard(key("index:t")) <= 2
            assert redis.hlen(key("values:t")) <= 2 * channels


def test_fan_out(server: Server, redis: Redis) -> None:
    """A graph of many subgraph calls stays small too: all puts of it help to remove them."""
    with keeping(server, 1) as saver:
        graph, most = fan_out(saver, 40, lambda _: False), []
        for _ in range(8):
            graph.invoke({"results": []}, AT)
            most.append(redis.zcard(key("index:t")))
        assert max(most[4:]) <= max(most[:4])


def test_late_writes(server: Server, redis: Redis) -> None:
    """A write that comes after its checkpoint was trimmed leaves nothing behind."""
    with keeping(server, 1) as saver:
        configs = [put(saver, config(), checkpoint(f"{number}", value=1)) for number in range(5)]
        before = contents(redis)
        for old in configs[:-1]:
            saver.put_writes(old, [("value", "late")], "task")
        assert contents(redis) == before
        saver.delete_thread("t")
    assert redis.keys() == []


def test_runs_that_were_trimmed(server: Server, redis: Redis) -> None:
    """A run is forgotten with its last checkpoint."""
    with keeping(server, 2) as saver:
        for number in range(9):
            put(saver, config(), checkpoint(f"{number}"), run_id=f"run{number // 3}")
        assert redis.zcard(key("runs")) == redis.zcard(key("runs_of")) == 1
        saver.delete_for_runs(["run2"])
    assert redis.keys() == []


def test_older_id_than_what_is_kept(server: Server) -> None:
    """A checkpoint that is older than those that stay is trimmed as it arrives."""
    with keeping(server, 2) as saver:
        for each in ("5", "6", "1"):
            put(saver, config(), checkpoint(each, value=each))
        assert ids(saver.list(config())) == ["6", "5"]


def test_concurrent_runs(server: Server) -> None:
    """Runs on several threads of one saver each read back what they wrote last."""

    def run(thread_id: str) -> None:
        stored = config(thread_id)
        for number in range(60):
            stored = put(saver, stored, checkpoint(f"{number:03}", value=number))
            saver.put_writes(stored, [("value", number)], "task")
            found = saver.get_tuple(stored)
            assert found
            assert found.checkpoint["channel_values"] == {"value": number}
            assert found.pending_writes == [("task", "value", number)]

    with keeping(server, 1) as saver, ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(run, f"t{number}") for number in range(8)]:
            done.result()
        found = [ids(saver.list(config(f"t{number}"))) for number in range(8)]
        assert found == [["059"]] * 8


@pytest.mark.parametrize(
    ("keep", "error"), [(0, ValueError), (-1, ValueError), (True, TypeError), (1.0, TypeError)]
)
def test_refused(server: Server, keep: Any, error: type[Exception]) -> None:
    """What is no number of checkpoints is refused at once."""
    with pytest.raises(error, match="keep_last must be"), keeping(server, keep):
        pass
