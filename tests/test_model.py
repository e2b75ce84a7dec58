"""Random operations on hostile ids against InMemorySaver as the oracle, sync and async."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.memory import InMemorySaver

from saver import AsyncRedisSaver, RedisSaver
from tests.samples import HOSTILE, checkpoint, comparable, config

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import CheckpointTuple

    from tests.servers import Server

names = st.sampled_from(HOSTILE)
few_names = st.sampled_from(HOSTILE[:6])
threads = st.sampled_from(["t", "T", "t:", "\U0001f600", "e\u0301", "\u00e9"])
namespaces = st.sampled_from(["", "a", "a:b", "a|b:c", "\U0001f600"])
versions = st.sampled_from([1, 2, 1.0, 1.5, "1", "2", "1.5", "\U0001f600"])
channels = st.one_of(few_names, st.sampled_from(["messages", "branch:to:a"]))
metadata_values = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        1.0,
        0.5,
        -0.0,
        "",
        "1",
        "loop",
        "\u00e9",
        2**53,
        2**53 + 1,
        [],
        [1, [True]],
        {},
        {"b": [1.0], "a": {"c": None}},
    ]
)
metadata = st.dictionaries(st.sampled_from(["source", "step", "run_id", "k"]), metadata_values)
values = st.one_of(
    st.none(), st.binary(max_size=5), st.text(max_size=5), st.lists(st.integers(0, 9), max_size=3)
)
writes = st.lists(st.tuples(st.one_of(channels, st.sampled_from(list(WRITES_IDX_MAP))), values))


def same(left: Any, right: Any) -> bool:
    """Equality of JSON, in which `True` is not `1`."""
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


Named = tuple[str, str, str]
"""Thread, namespace and id of a checkpoint."""
Value = tuple[str, str, str, Any]
"""Thread, namespace, channel and version of a channel value."""


class Model(RuleBasedStateMachine):
    """Does the same to both savers, and asks both the same.

    Other than the oracle, a saver drops a value with the last checkpoint that holds it, and stores
    one that is not there although `new_versions` does not name it, with all others of that put.
    """

    saver: RedisSaver | AsyncRedisSaver
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.prefix = f"model{next(self.numbers)}"
        self.oracle = InMemorySaver()
        self.threads: set[str] = set()
        self.held: dict[Named, set[Value]] = {}
        self.holders: dict[Value, set[Named]] = defaultdict(set)
        self.open()

    def open(self) -> None:
        """Makes the saver."""
        raise NotImplementedError

    def call(self, name: str, *args: Any) -> Any:
        """Calls an operation of the saver."""
        raise NotImplementedError

    def listed(self, at: RunnableConfig | None, **options: Any) -> list[CheckpointTuple]:
        """What the saver lists."""
        raise NotImplementedError

    def expected(
        self,
        at: RunnableConfig | None,
        filter: dict[str, Any] | None,
        before: RunnableConfig | None,
    ) -> list[CheckpointTuple]:
        """What it should list: the oracle's, newest first over all namespaces of a thread."""
        found = [
            each
            for each in self.oracle.list(at, before=before)
            if all(same(value, each.metadata.get(key)) for key, value in (filter or {}).items())
        ]

        def newest(each: CheckpointTuple) -> tuple[str, str]:
            named = each.config["configurable"]
            return named["checkpoint_id"], named["checkpoint_ns"]

        return sorted(found, key=newest, reverse=True)

    @rule(
        thread=threads,
        ns=namespaces,
        parent=st.none() | few_names,
        checkpoint_id=names,
        channel_versions=st.dictionaries(channels, versions, max_size=4),
        channel_values=st.dictionaries(channels, values, max_size=4),
        metadata=metadata,
        changed=st.sets(channels),
    )
    def put(
        self,
        thread: str,
        ns: str,
        parent: str | None,
        checkpoint_id: str,
        channel_versions: Any,
        channel_values: Any,
        metadata: Any,
        changed: set[str],
    ) -> None:
        """A new checkpoint, or another one of the same id."""
        made = checkpoint(checkpoint_id)
        made["channel_versions"] = channel_versions
        made["channel_values"] = channel_values
        new = {name: version for name, version in channel_versions.items() if name in changed}
        at = config(thread, ns, parent)
        stored = self.call("put", at, made, metadata, new)
        valued = {name: channel_versions[name] for name in channel_versions.keys() & channel_values}
        held = {(thread, ns, name, version) for name, version in valued.items()}
        if any(not self.holders[value] for value in held if value[2] not in new):
            new = {**new, **valued}
        assert stored == self.oracle.put(at, made, metadata, new)
        self.hold((thread, ns, checkpoint_id), held)
        self.threads.add(thread)

    def hold(self, named: Named, held: set[Value]) -> None:
        """Takes from the oracle, which keeps every value, those that no checkpoint holds now."""
        for value in self.held.pop(named, set()) - held:
            self.holders[value].discard(named)
            if not self.holders[value]:
                self.oracle.blobs.pop(value, None)
        self.held[named] = held
        for value in held:
            self.holders[value].add(named)

    @rule(
        thread=threads,
        ns=namespaces,
        checkpoint_id=names,
        writes=writes,
        task=few_names,
        path=st.just("") | few_names,
    )
    def put_writes(
        self, thread: str, ns: str, checkpoint_id: str, writes: Any, task: str, path: str
    ) -> None:
        """A task's writes, perhaps before their checkpoint, perhaps once more."""
        arguments = (config(thread, ns, checkpoint_id), writes, task, path)
        self.call("put_writes", *arguments)
        self.oracle.put_writes(*arguments)
        self.threads.add(thread)

    @rule(thread=threads, ns=namespaces, checkpoint_id=st.none() | names)
    def get_tuple(self, thread: str, ns: str, checkpoint_id: str | None) -> None:
        """One checkpoint, or the latest."""
        at = config(thread, ns, checkpoint_id)
        assert comparable(self.call("get_tuple", at)) == comparable(self.oracle.get_tuple(at))

    @rule(
        thread=threads,
        ns=st.none() | namespaces,
        checkpoint_id=st.none() | st.none() | few_names,
        filter=st.none() | metadata,
        before=st.none() | names,
        limit=st.none() | st.integers(0, 3),
    )
    def list(
        self,
        thread: str,
        ns: str | None,
        checkpoint_id: str | None,
        filter: dict[str, Any] | None,
        before: str | None,
        limit: int | None,
    ) -> None:
        """The checkpoints of a thread."""
        at = config(thread, ns, checkpoint_id)
        below = None if before is None else config(checkpoint_id=before)
        expected = self.expected(at, filter, below)[:limit]
        found = self.listed(at, filter=filter, before=below, limit=limit)
        assert [*map(comparable, found)] == [*map(comparable, expected)]

    @rule(filter=st.none() | metadata, limit=st.none() | st.integers(0, 3))
    def list_every_thread(self, filter: dict[str, Any] | None, limit: int | None) -> None:
        """The checkpoints of all threads: each thread's in order."""
        expected: dict[str, list[Any]] = defaultdict(list)
        for each in self.expected(None, filter, None):
            expected[each.config["configurable"]["thread_id"]].append(comparable(each))
        found: dict[str, list[Any]] = defaultdict(list)
        for each in self.listed(None, filter=filter, limit=limit):
            found[each.config["configurable"]["thread_id"]].append(comparable(each))
        if limit is None:
            assert found == expected
        else:
            total = sum(map(len, expected.values()))
            assert sum(map(len, found.values())) == min(limit, total)
            assert all(each == expected[name][: len(each)] for name, each in found.items())

    @rule(thread=threads)
    def delete_thread(self, thread: str) -> None:
        """Everything of a thread goes."""
        self.call("delete_thread", thread)
        self.oracle.delete_thread(thread)
        for named in [named for named in self.held if named[0] == thread]:
            self.hold(named, set())

    def teardown(self) -> None:
        """After everything is deleted no key is left."""
        for thread in self.threads:
            self.call("delete_thread", thread)


class SyncModel(Model):
    """RedisSaver."""

    server: Server

    def open(self) -> None:
        self.client = self.server.client()
        self.saver = RedisSaver(self.client, prefix=self.prefix)

    def call(self, name: str, *args: Any) -> Any:
        return getattr(self.saver, name)(*args)

    def listed(self, at: RunnableConfig | None, **options: Any) -> list[CheckpointTuple]:
        return [*self.saver.list(at, **options)]

    def teardown(self) -> None:
        super().teardown()
        assert self.client.keys(f"{self.prefix}:*") == []
        self.client.close()


class AsyncModel(Model):
    """AsyncRedisSaver."""

    server: Server
    loop: asyncio.AbstractEventLoop

    def open(self) -> None:
        self.made = AsyncRedisSaver.from_conn_string(self.server.url, prefix=self.prefix)
        self.saver = self.loop.run_until_complete(self.made.__aenter__())

    def call(self, name: str, *args: Any) -> Any:
        return self.loop.run_until_complete(getattr(self.saver, "a" + name)(*args))

    def listed(self, at: RunnableConfig | None, **options: Any) -> list[CheckpointTuple]:
        async def listed() -> list[CheckpointTuple]:
            return [each async for each in self.saver.alist(at, **options)]

        return self.loop.run_until_complete(listed())

    def teardown(self) -> None:
        super().teardown()
        self.loop.run_until_complete(self.made.__aexit__(None, None, None))
        with self.server.client() as client:
            assert client.keys(f"{self.prefix}:*") == []


@pytest.mark.parametrize("model", [SyncModel, AsyncModel])
@pytest.mark.timeout(300)
def test_model(server: Server, model: type[Any]) -> None:
    """Every answer is the oracle's."""
    loop = asyncio.new_event_loop()
    bound = type(model.__name__, (model,), {"server": server, "loop": loop})
    try:
        run_state_machine_as_test(
            bound,
            settings=settings(
                max_examples=60,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        loop.close()
