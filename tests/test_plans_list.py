"""The plan of a listing driven by hand: its pages, its ranges, its laziness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from saver._codec import Record, dump
from saver._filters import terms_of
from saver._keys import SHARDS, Keys
from saver._listing import list_checkpoints, query_of
from saver._requests import Page
from tests.raw import keys_of, stored
from tests.samples import config, ids
from tests.test_plans import finish

if TYPE_CHECKING:
    from saver._plans import Plan

KEYS, SERDE = Keys("saver"), JsonPlusSerializer()


def entry(checkpoint_id: str) -> list[Any]:
    """A checkpoint without channels, as the scripts reply it."""
    head = dump(SERDE, "head", {"id": checkpoint_id})
    record = Record(b"", b"", b"", b"", b"", *head, *dump(SERDE, "metadata", {})).pack()
    return [b"", checkpoint_id.encode(), stored(record), [], []]


def page(*checkpoint_ids: str, high: bytes | None = None) -> list[Any]:
    """A page as list.lua replies it."""
    return [[entry(each) for each in checkpoint_ids], [], [], high]


def listing(*args: Any) -> Plan[None]:
    """The plan of `list(config, filter, before, limit)`."""
    return list_checkpoints(KEYS, SERDE, query_of(*args, *[None] * (4 - len(args))))


def test_list_pages() -> None:
    """A page comes before the call for the next one, which starts where the last one ended."""
    plan = listing(config("t", ""))
    first = next(plan)
    assert (first.script, list(first.keys)) == ("list", keys_of("list"))
    assert first.args == (b"t", b"index", b"(\1", b"[\0", 50)
    shown = plan.send(page("3", "2", high=b"(\x002"))
    assert isinstance(shown, Page)
    assert ids(shown.items) == ["3", "2"]
    assert next(plan).args == (b"t", b"index", b"(\x002", b"[\0", 50)
    assert ids(plan.send(page("1")).items) == ["1"]
    assert finish(plan, None) is None


def test_list_goes_on_over_an_empty_page() -> None:
    """A page on which nothing matched, and which is not the last, is not handed out."""
    plan = listing(config("t"))
    next(plan)
    assert plan.send(page(high=b"(5\0")).args[2] == b"(5\0"
    assert finish(plan, page()) is None


def test_list_limit() -> None:
    """The limit bounds what a call asks for, and ends the listing without a further call."""
    plan = listing(config("t"), None, None, 52)
    assert next(plan).args[4] == 50
    made = [f"{number:02}" for number in range(50)]
    assert len(plan.send(page(*made, high=b"(1\0")).items) == 50
    assert next(plan).args[4] == 2
    plan.send(page("b", "a", high=b"(a\0"))
    assert finish(plan, None) is None


@pytest.mark.parametrize("at", [config("t"), None])
def test_list_limit_of_none_left(at: Any) -> None:
    """limit=0 sends nothing."""
    assert finish(listing(at, None, None, 0), None) is None


@pytest.mark.parametrize(
    ("at", "before", "order", "high", "low"),
    [
        (config("t", None), None, b"timeline", b"+", b"-"),
        (config("t", ""), None, b"index", b"(\1", b"[\0"),
        (config("t", "ns"), None, b"index", b"(ns\1", b"[ns\0"),
        (config("t", None), "5", b"timeline", b"(5", b"-"),
        (config("t", "ns"), "5", b"index", b"(ns\x005", b"[ns\0"),
        (config("t", None, "4"), None, b"timeline", b"(4\1", b"(4"),
        (config("t", "ns", "4"), None, b"index", b"[ns\x004", b"[ns\x004"),
        (config("t", "ns", "4"), "5", b"index", b"[ns\x004", b"[ns\x004"),
        (config("t", "ns", "5"), "5", b"index", b"-", b"+"),
        (config("t", None, "6"), "5", b"timeline", b"-", b"+"),
    ],
)
def test_list_range(at: Any, before: str | None, order: bytes, high: bytes, low: bytes) -> None:
    """Which order, from where to where."""
    named = before and config("any", None, before)
    assert next(listing(at, None, named)).args[1:4] == (order, high, low)


def test_list_filter() -> None:
    """Filter terms are the last arguments of every page's call."""
    wanted = {"source": "loop", "gone": None}
    plan = listing(config("t"), wanted)
    assert list(next(plan).args[5:]) == terms_of(wanted)
    assert list(plan.send(page(high=b"(5\0")).args[5:]) == terms_of(wanted)


@pytest.mark.parametrize(
    ("args", "error", "match"),
    [
        ((config("t"), None, None, -1), ValueError, "limit must not be negative"),
        ((config("t"), None, None, True), TypeError, "limit must be an int"),
        ((config("t"), None, None, 1.0), TypeError, "limit must be an int"),
        ((config("t"), None, config("t")), ValueError, "pass a config with a checkpoint_id"),
        ((config("t"), None, {}), TypeError, "config must be"),
        (({"configurable": {}},), ValueError, "config has no thread_id"),
        ((config("t"), {"key": object()}), TypeError, "must be JSON"),
    ],
)
def test_list_refuses(args: Any, error: type[Exception], match: str) -> None:
    """Bad arguments, before there is a plan."""
    with pytest.raises(error, match=match):
        listing(*args)


def test_list_every_thread() -> None:
    """Each shard is asked for its threads, 128 a round trip; none has any."""
    plan = listing(None)
    request, asked = next(plan), []
    for _ in range(7):
        assert all((call.script, call.args) == ("threads", (b"[\1", 100)) for call in request)
        asked += [call.keys[1] for call in request]
        request = plan.send([[]] * 128)
    asked += [call.keys[1] for call in request]
    assert finish(plan, [[]] * 128) is None
    assert asked == [b"saver:{%d}:threads" % shard for shard in range(SHARDS)]


def test_list_every_thread_of_a_full_shard() -> None:
    """Its threads are listed one by one, then it alone is asked for those after them."""
    plan = listing(None)
    next(plan)
    found = [b"%03d" % number for number in range(100)]
    request = plan.send([[], found] + [[]] * 126)
    for thread_id in found:
        start = b"saver:{%d}:" % (crc32(thread_id) % SHARDS)
        assert (request.script, request.args[0]) == ("list", thread_id)
        assert request.keys[5] == start + b"index:" + thread_id
        request = plan.send(page())
    [again] = request
    assert (again.keys[1], again.args) == (b"saver:{1}:threads", (b"(099", 100))
    assert len(plan.send([[]])) == 128  # the next shards


def test_list_every_thread_stops_at_limit() -> None:
    """No further thread and no further shard once the limit is reached."""
    plan = listing(None, None, None, 1)
    next(plan)
    call = plan.send([[b"one", b"two"]] + [[]] * 127)
    assert (call.args[0], call.args[4]) == (b"one", 1)
    assert len(plan.send(page("1", high=b"(1\0")).items) == 1
    assert finish(plan, None) is None
