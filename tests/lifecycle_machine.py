"""Rules that write the same to the savers and to the model; all keys are checked after each."""

from __future__ import annotations

import itertools
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any
from zlib import crc32

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT

from saver._codec import unpack_record
from tests.invariants import problems
from tests.keyspace import read_keyspace
from tests.lifecycle_model import Stored, Thread
from tests.samples import checkpoint, config

if TYPE_CHECKING:
    from tests.servers import Server

TWIN = next(f"t{n}" for n in itertools.count() if crc32(b"t%d" % n) % 1024 == crc32(b"t") % 1024)
THREADS = ["t", TWIN, "runs:\U0001f600"]
"""The second one shares the shard of the first."""
IDS = [f"0{number}" for number in range(1, 9)]
RUNS = ["r0", "r1", "r2"]
DELTAS = ["d", "e"]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "keep 1": {"keep_last": 1},
    "keep 2": {"keep_last": 2, "ttl": 9000},
    "ttl": {"ttl": 5000},
    "refresh": {"ttl": 7000, "refresh_on_read": True},
}
MOST = 50
"""Fields that a put trims at most."""
threads = st.sampled_from(["t", *THREADS])
runs = st.none() | st.sampled_from(RUNS)
namespaces = st.sampled_from(["", "", "", "sub", "node:1", "node:1", "node:1|deep:2"])
ids = st.sampled_from(IDS)
roots = st.none() | st.sampled_from(IDS[:3])
savers = st.sampled_from([*OPTIONS])
shared = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from([1, 2, "1"]))
fates = st.fixed_dictionaries(
    dict.fromkeys(
        IDS,
        st.tuples(
            st.sampled_from([-1, -1, -1, -2, -8]),
            *[st.sampled_from(["delta", "delta", "same", "snapshot", "none"])] * len(DELTAS),
        ),
    )
)
writes = st.lists(
    st.tuples(st.sampled_from(["a", *DELTAS, INTERRUPT, ERROR]), st.integers(0, 99)), max_size=3
)


class Writing(RuleBasedStateMachine):
    """Writes the same to the savers and to the model."""

    server: Server
    numbers = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.prefix = f"model{next(self.numbers)}"
        self.redis = self.server.client()
        self.threads: defaultdict[str, Thread] = defaultdict(Thread)
        self.savers: dict[str, Any] = {}
        self.walked, self.deletions = False, 0
        self.open()

    def open(self) -> None:
        """Makes the savers."""
        raise NotImplementedError

    def call(self, saver: str, name: str, *args: Any, **options: Any) -> Any:
        """Calls an operation of a saver."""
        raise NotImplementedError

    def each(self, name: str, *args: Any) -> list[Any]:
        """All that an operation yields."""
        raise NotImplementedError

    @initialize(fates=fates)
    def choose(self, fates: dict[str, tuple[Any, ...]]) -> None:
        """Parents and delta channels by id, so that a put of the same id again is the same step."""
        self.parents: dict[str, str | None] = {}
        self.versions: dict[str, dict[str, str]] = {}
        self.states: dict[str, dict[str, str]] = {}
        for position, (checkpoint_id, (offset, *states)) in enumerate(
            (name, fates[name]) for name in IDS
        ):
            above = position + offset
            parent = IDS[above] if above >= 0 else None
            self.parents[checkpoint_id] = parent
            self.states[checkpoint_id] = dict(zip(DELTAS, states, strict=True))
            before = self.versions[parent] if parent else {}
            self.versions[checkpoint_id] = {
                name: before.get(name, checkpoint_id) if state == "same" else checkpoint_id
                for name, state in self.states[checkpoint_id].items()
                if state != "none"
            }

    @rule(
        saver=savers,
        thread=threads,
        ns=namespaces,
        checkpoint_id=ids,
        versions=shared,
        missing=st.sets(st.sampled_from(["a", "b"]), max_size=1),
        changed=st.sets(st.sampled_from(["a", "b"])),
        value=st.integers(0, 99),
        run=runs,
        root=roots,
    )
    def put(self, saver: str, **drawn: Any) -> None:
        """A new checkpoint, or another one of the same id."""
        self._put(saver, **drawn)

    @rule(
        saver=savers,
        thread=threads,
        ns=namespaces,
        first=st.integers(0, len(IDS) - 1),
        count=st.integers(2, 5),
        changed=st.sets(st.sampled_from(["a", "b"])),
        writes=writes,
        run=st.tuples(runs, runs),
        root=roots,
    )
    def superstep(
        self,
        saver: str,
        first: int,
        count: int,
        changed: set[str],
        writes: Any,
        run: Any,
        **drawn: Any,
    ) -> None:
        """Several checkpoints, the later ones of another run, with writes in between."""
        for position, name in enumerate(IDS[first : first + count]):
            versions = {"a": 1, "b": name}
            self._put(
                saver,
                name,
                versions,
                set(),
                changed,
                position,
                run=run[position >= count // 2],
                **drawn,
            )
            self._put_writes(saver, drawn["thread"], drawn["ns"], name, writes, "x", "p")

    def _put(
        self,
        saver: str,
        checkpoint_id: str,
        versions: dict[str, Any],
        missing: set[str],
        changed: set[str],
        value: int,
        thread: str,
        ns: str,
        run: str | None,
        root: str | None,
    ) -> None:
        states, parent = self.states[checkpoint_id], self.parents[checkpoint_id]
        snapshots = {name for name in DELTAS if states[name] == "snapshot"}
        made: Any = checkpoint(checkpoint_id)
        made["channel_versions"] = {**versions, **self.versions[checkpoint_id]}
        made["channel_values"] = dict.fromkeys(versions.keys() - missing, value)
        made["channel_values"].update({name: [checkpoint_id] for name in snapshots})
        changed = changed | {name for name in DELTAS if states[name] != "same"}
        new = {name: each for name, each in made["channel_versions"].items() if name in changed}
        counted = {name: [1, 1] for name in DELTAS if states[name] in {"delta", "same"}}
        metadata: Any = {"k": value, "counters_since_delta_snapshot": counted}
        metadata.update({"run_id": run} if run else {})
        metadata.update({"parents": {"": root}} if root else {})
        model, stored = (
            self.threads[thread],
            partial(Stored, ns, checkpoint_id, parent, made, metadata),
        )
        keep = OPTIONS[saver].get("keep_last")
        if keep and model.work(stored(), keep) >= MOST:
            saver, keep = "plain", None
        self.call(saver, "put", config(thread, ns, parent), made, metadata, new)
        model.put(stored(), new, keep)
        model.renew(OPTIONS[saver].get("ttl"))

    @rule(
        saver=savers,
        thread=threads,
        ns=namespaces,
        checkpoint_id=ids,
        writes=writes,
        task=st.sampled_from(["x", "y"]),
        path=st.sampled_from(["", "p", "~"]),
    )
    def put_writes(self, **drawn: Any) -> None:
        """A task's writes: before their checkpoint, with it, or after it was removed."""
        self._put_writes(**drawn)

    def _put_writes(
        self,
        saver: str,
        thread: str,
        ns: str,
        checkpoint_id: str,
        writes: Any,
        task: str,
        path: str,
    ) -> None:
        at, model = config(thread, ns, checkpoint_id), self.threads[thread]
        self.call(saver, "put_writes", at, writes, task, path)
        if model.put_writes((ns, checkpoint_id), writes, task, path):
            model.renew(OPTIONS[saver].get("ttl"))

    @invariant()
    def nothing_contradicts(self) -> None:
        """All keys agree."""
        assert problems(self.redis, self.prefix, in_order=False) == []
        for shard in read_keyspace(self.redis, self.prefix).shards.values():
            for name, thread in shard.threads.items():
                model = self.threads[name.decode()]
                for member, data in thread.data["checkpoints"].items():
                    ns, _, checkpoint_id = member.decode().partition("\0")
                    expected = model.stored[ns, checkpoint_id].lows
                    assert {x: low.decode() for x, low in unpack_record(data).lows} == expected

    def teardown(self) -> None:
        """After everything is deleted no key is left."""
        for thread in THREADS:
            self.call("plain", "delete_thread", thread)
        assert self.redis.keys(f"{self.prefix}:*") == []
        self.redis.close()
