"""The plan behind `list`: pages of a thread's checkpoints, or of every thread's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from saver._filters import terms_of
from saver._ids import configurable_of, encode_id, encode_text, thread_id_of
from saver._keys import SHARDS
from saver._plans import tuples_of
from saver._requests import Call, Page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.serde.base import SerializerProtocol

    from saver._keys import Keys
    from saver._plans import Plan

_PAGE = 50
_THREADS_PAGE = 100
_SHARDS_AT_ONCE = 128
_FIRST_THREAD = b"[\1"
"""Ids that begin with NUL are no threads."""


@dataclass(frozen=True)
class Query:
    """What to list: validated, as list.lua takes it. No `thread_id` means every thread."""

    thread_id: bytes | None
    order: bytes
    high: bytes
    low: bytes
    terms: list[bytes]
    limit: int | None


def query_of(
    config: RunnableConfig | None,
    filter: Mapping[str, Any] | None,
    before: RunnableConfig | None,
    limit: int | None,
) -> Query:
    """The query that the arguments of `list` ask for.

    Raises:
        TypeError: an argument, an id or a filter value has the wrong type.
        ValueError: `thread_id` or the `checkpoint_id` of `before` is missing, an id is empty or
            holds NUL, or `limit` is negative.
    """
    configurable = {} if config is None else configurable_of(config)
    order, high, low = _range(configurable, _before_id(before))
    return Query(
        thread_id=None if config is None else thread_id_of(configurable),
        order=order,
        high=high,
        low=low,
        terms=terms_of(filter),
        limit=checked_limit(limit),
    )


def list_checkpoints(keys: Keys, serde: SerializerProtocol, query: Query) -> Plan[None]:
    """Yields pages of checkpoints, newest first within each thread."""
    if query.thread_id is not None:
        yield from _pages_of_thread(keys, serde, query, query.thread_id, query.limit)
        return

    def of_threads(thread_ids: Sequence[bytes], left: int | None) -> Plan[int | None]:
        for thread_id in thread_ids:
            if left == 0:
                break
            left = yield from _pages_of_thread(keys, serde, query, thread_id, left)
        return left

    yield from walk_threads(keys, of_threads, query.limit)


def walk_threads(
    keys: Keys,
    visit: Callable[[Sequence[bytes], int | None], Plan[int | None]],
    limit: int | None,
) -> Plan[None]:
    """Visits every thread: `visit` gets a few ids and what is left of a limit, and returns that."""
    left = limit
    for first in range(0, SHARDS, _SHARDS_AT_ONCE):
        after = dict.fromkeys(range(first, first + _SHARDS_AT_ONCE), _FIRST_THREAD)
        while after and left != 0:
            found = yield tuple(
                Call("threads", keys.shard(shard), (start, _THREADS_PAGE))
                for shard, start in after.items()
            )
            for shard, thread_ids in zip(list(after), found, strict=True):
                if left == 0:
                    return
                left = yield from visit(thread_ids, left)
                if len(thread_ids) < _THREADS_PAGE:
                    del after[shard]
                else:
                    after[shard] = b"(" + thread_ids[-1]


def _pages_of_thread(
    keys: Keys, serde: SerializerProtocol, query: Query, thread_id: bytes, left: int | None
) -> Plan[int | None]:
    """Lists one thread; returns what is left of the limit."""
    high: bytes | None = query.high
    while high is not None and left != 0:
        count = _PAGE if left is None else min(_PAGE, left)
        page = yield Call(
            "list",
            keys.thread(thread_id),
            (thread_id, query.order, high, query.low, count, *query.terms),
        )
        high = page[3]
        tuples = tuples_of(serde, thread_id, page)
        if tuples:
            yield Page(tuples)
        if left is not None:
            left -= len(tuples)
    return left


def _range(configurable: Mapping[str, Any], before: bytes | None) -> tuple[bytes, bytes, bytes]:
    """Order, high and low: members are `ns NUL id` in the index, `id NUL ns` in the timeline."""
    ns, checkpoint_id = configurable.get("checkpoint_ns"), configurable.get("checkpoint_id")
    if ns is None:
        order, start, lowest, highest = b"timeline", b"", b"-", b"+"
    else:
        name = encode_text("checkpoint_ns", ns)
        order, start, lowest, highest = (
            b"index",
            name + b"\0",
            b"[" + name + b"\0",
            b"(" + name + b"\1",
        )
    if checkpoint_id is None:
        return order, highest if before is None else b"(" + start + before, lowest
    exact = encode_id("checkpoint_id", checkpoint_id)
    if before is not None and exact >= before:
        return order, b"-", b"+"  # nothing is below the lowest
    if ns is None:
        return order, b"(" + exact + b"\1", b"(" + exact
    return order, b"[" + start + exact, b"[" + start + exact


def _before_id(before: RunnableConfig | None) -> bytes | None:
    if before is None:
        return None
    checkpoint_id = configurable_of(before).get("checkpoint_id")
    if checkpoint_id is None:
        msg = "before names no checkpoint: pass a config with a checkpoint_id"
        raise ValueError(msg)
    return encode_id("the checkpoint_id of before", checkpoint_id)


def checked_limit(limit: int | None) -> int | None:
    """A limit as a listing takes it."""
    if limit is None:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool):
        msg = f"limit must be an int or None, not {limit!r}"
        raise TypeError(msg)
    if limit < 0:
        msg = f"limit must not be negative, got {limit}: pass None for no limit"
        raise ValueError(msg)
    return limit
