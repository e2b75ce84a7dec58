"""Rules that read, and rules that concern threads as a whole: savers and model do the same."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from saver.errors import LostKeysError, ThreadNotFoundError
from tests.lifecycle_machine import (
    DELTAS,
    OPTIONS,
    RUNS,
    Writing,
    ids,
    namespaces,
    savers,
    threads,
)
from tests.lifecycle_model import PINNED, LostError, Thread
from tests.samples import config

if TYPE_CHECKING:
    from datetime import timedelta


class Machine(Writing):
    """All operations."""

    walked = False
    deletions = 0

    @rule(saver=savers, thread=threads, ns=namespaces, checkpoint_id=st.none() | ids)
    def get_tuple(self, saver: str, thread: str, ns: str, checkpoint_id: str | None) -> None:
        """One checkpoint, or the latest."""
        model = self.threads[thread]
        found = self.call(saver, "get_tuple", config(thread, ns, checkpoint_id))
        expected = [x for x in model.of(ns) if checkpoint_id in {None, x.id}]
        assert plain(found) == (model.tuple_of(expected[-1]) if expected else None)
        if found and OPTIONS[saver].get("refresh_on_read"):
            model.renew(OPTIONS[saver]["ttl"])

    @rule(thread=threads, ns=namespaces, checkpoint_id=ids)
    def get_delta_channel_history(self, thread: str, ns: str, checkpoint_id: str) -> None:
        """The writes along the ancestors; an error when they are not all there."""
        at = config(thread, ns, checkpoint_id)
        try:
            expected = self.threads[thread].history((ns, checkpoint_id), DELTAS)
        except LostError:
            with pytest.raises(LostKeysError):
                self.call("plain", "get_delta_channel_history", config=at, channels=DELTAS)
        else:
            found = self.call("plain", "get_delta_channel_history", config=at, channels=DELTAS)
            assert found == expected

    @rule(thread=threads, saver=savers)
    def delete_thread(self, thread: str, saver: str) -> None:
        """Everything of a thread goes."""
        self.call(saver, "delete_thread", thread)
        self.threads.pop(thread, None)

    @rule(saver=savers, source=threads, to=threads)
    def copy_thread(self, saver: str, source: str, to: str) -> None:
        """A thread goes on under another name, too; not under one that is taken."""
        if self.threads[to]:
            with pytest.raises(ValueError, match="already"):
                self.call(saver, "copy_thread", source, to)
            return
        self.call(saver, "copy_thread", source, to)
        if self.threads[source]:
            self.threads[to] = self.threads[source].copied()
            self.threads[to].renew(OPTIONS[saver].get("ttl"))

    @precondition(lambda self: self.deletions < 3)
    @rule(runs=st.lists(st.sampled_from([*RUNS, "none"]), min_size=1, max_size=3))
    def delete_for_runs(self, runs: list[str]) -> None:
        """What runs made goes, in every thread."""
        self.deletions += 1
        self.call("plain", "delete_for_runs", runs)
        for thread in self.threads.values():
            thread.delete_for_runs(runs)

    @rule(some=st.sets(threads), keep=st.integers(1, 3))
    def prune(self, some: set[str], keep: int) -> None:
        """The newest of each namespace stay, with all that they need."""
        self.call("plain", "prune", sorted(some), keep_last=keep)
        for thread in some:
            self.threads[thread].prune(keep)

    @rule(saver=savers, thread=threads, how=st.sampled_from(["pin", "unpin", "expire", "now"]))
    def expire(self, saver: str, thread: str, how: str) -> None:
        """A thread lives as long as was said last."""
        model = self.threads[thread]
        name, args = ("expire", [0.001 if how == "now" else 3000]) if how[-1] in "ew" else (how, [])
        if not model:
            with pytest.raises(ThreadNotFoundError):
                self.call(saver, name, thread, *args)
            return
        self.call(saver, name, thread, *args)
        model.ttl = {"pin": PINNED, "expire": 3000}.get(how, OPTIONS[saver].get("ttl"))
        if how == "now":
            while self.redis.exists(*self.call_keys(thread)):
                pass
            self.threads.pop(thread, None)

    def call_keys(self, thread: str) -> list[bytes]:
        """The keys of a thread that tell that it is there."""
        start = f"{self.prefix}:{{{crc32(thread.encode()) % 1024}}}:"
        return [f"{start}{kind}:{thread}".encode() for kind in ("index", "pending")]

    @rule()
    def script_flush(self) -> None:
        """The server forgets the scripts."""
        self.redis.script_flush()

    @rule()
    def list(self) -> None:
        """Every checkpoint of each thread, the newest first."""
        for name, model in self.threads.items():
            newest = sorted(model.stored.values(), key=lambda x: (x.id, x.ns), reverse=True)
            expected = [model.tuple_of(each) for each in newest]
            assert [plain(each) for each in self.each("list", config(name, None))] == expected

    @precondition(lambda self: not self.walked)
    @rule()
    def walk(self) -> None:
        """Every checkpoint of every thread, and what is known of the threads."""
        self.walked = True
        found = Counter(
            each.config["configurable"]["thread_id"] for each in self.each("list", None)
        )
        assert found == {name: len(x.stored) for name, x in self.threads.items() if x.stored}
        known = {each.thread_id: each for each in self.each("threads")}
        assert known.keys() == {name for name, model in self.threads.items() if model}
        for name, each in known.items():
            model = self.threads[name]
            assert each.checkpoints == len(model.stored)
            assert each.checkpoint_id == max((x.id for x in model.stored.values()), default=None)
            assert each.pinned == (model.ttl == PINNED)
            self._check_ttl(model, each.ttl)

    @rule(thread=threads)
    def ttl(self, thread: str) -> None:
        """How long a thread has left."""
        if self.threads[thread]:
            self._check_ttl(self.threads[thread], self.call("plain", "ttl", thread))
        else:
            with pytest.raises(ThreadNotFoundError):
                self.call("plain", "ttl", thread)

    def _check_ttl(self, model: Thread, left: timedelta | None) -> None:
        ttl = None if model.ttl == PINNED else model.ttl
        assert (left is None) == (ttl is None)
        assert left is None or ttl is None or ttl - 60 < left.total_seconds() <= ttl

    def teardown(self) -> None:
        self.list()
        super().teardown()


def plain(found: Any) -> Any:
    """A tuple as the model has it."""
    if found is None:
        return None
    named = found.config["configurable"]
    parent = found.parent_config and found.parent_config["configurable"]["checkpoint_id"]
    return (
        named["checkpoint_ns"],
        named["checkpoint_id"],
        parent,
        found.checkpoint,
        found.metadata,
        found.pending_writes,
    )
