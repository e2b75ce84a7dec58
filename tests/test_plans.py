"""Plans driven by hand, with canned replies and no server: all but the listing."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from saver import _plans as plans
from saver._codec import Record, Stored, dump, pack_references, unpack_record
from saver._filters import digest, terms_of
from saver._keys import Keys
from saver._requests import Call
from saver._retention import Retention
from saver.errors import DamagedRecordError
from tests import raw
from tests.raw import keys_of, section, write
from tests.samples import checkpoint, config
from tests.test_values import pack as pack_value

KEYS, SERDE = Keys("saver"), JsonPlusSerializer()
AT = config("t", "", "1")


def finish(plan: plans.Plan[Any], reply: Any) -> Any:
    """The result of a plan that has no further request."""
    with pytest.raises(StopIteration) as stop:
        plan.send(reply)
    return stop.value.value


def put(made: Any, at: Any = AT, metadata: Any = None, new: Any = None) -> plans.Plan[Any]:
    """The plan of `put`; every channel is new unless told."""
    new = made["channel_versions"] if new is None else new
    return plans.put(KEYS, SERDE, at, made, metadata or {}, new)


def stored(call: Call) -> Stored:
    """The record of a put, as the script would store it."""
    record, flags = call.args[3:5]
    assert isinstance(record, bytes)
    assert isinstance(flags, bytes)
    return unpack_record(raw.stored(record, flags.replace(b"?", b"1")))


def test_put() -> None:
    """One call with the record and the new values, then the config of what was stored."""
    made = checkpoint("2", a=1, b=2)
    made["channel_values"] = {"a": 1, "old": 3}
    made["channel_versions"] = {"a": "v1", "b": 7, "old": 3}
    plan = put(made, metadata={"step": 1, "run_id": "r"}, new={"a": "v1", "b": 7, "gone": 1})
    call = next(plan)
    assert isinstance(call, Call)
    assert (call.script, list(call.keys)) == ("put", keys_of("put"))
    thread_id, ns, checkpoint_id, _, flags, deltas, ttl, keep_last, cleared, *rest = call.args
    assert (thread_id, ns, checkpoint_id, flags, deltas) == (b"t", b"", b"2", b"10?", b"")
    assert (ttl, keep_last, cleared) == (0, 0, 1)
    assert rest == [b"\0b\0i7", b"\0a\0sv1", pack_value(1)]
    record = stored(call).record
    assert (record.run, record.parent, record.origin) == (digest("r"), b"1", b"")
    assert record.references == b"a\0sv1\0b\0i7\0old\0i3\0"
    assert terms_of({"step": 1})[0][1:] in record.digests
    assert finish(plan, b"OK") == config("t", "", "2")


def test_put_once_more_with_every_value() -> None:
    """When a value that should be there is not, all are sent; the rest of the call is the same."""
    made = checkpoint("2", a=1, b=2)
    made["channel_versions"] = {"a": 1, "b": 1, "cleared": 1, "none": 1}
    plan = put(made, new={"a": 5, "b": 1, "cleared": 1})
    first = next(plan)
    a, b = pack_value(1), pack_value(2)
    cleared = b"\0cleared\0i1"
    assert (first.args[4], first.args[8:]) == (b"?100", (1, cleared, b"\0b\0i1", b))
    again = plan.send(b"INCOMPLETE")
    assert (again.args[:4], again.args[4]) == (first.args[:4], b"1100")
    assert again.args[5:] == (b"", 0, 0, 1, cleared, b"\0a\0i1", a, b"\0b\0i1", b)
    assert finish(plan, b"OK") == config("t", "", "2")


def test_put_by_its_retention() -> None:
    """Milliseconds to live and the number of checkpoints go with each put, writes and read."""
    keeps = Retention(ttl=5000, refresh_on_read=True, keep_last=3)
    made = checkpoint("2")
    call = next(plans.put(KEYS, SERDE, AT, made, {}, {}, keeps))
    assert call.args[6:9] == (5000, 3, 0)
    call = next(plans.put_writes(KEYS, SERDE, AT, [("a", 1)], "task", "", keeps))
    assert call.args[4] == 5000
    call = next(plans.get_tuple(KEYS, SERDE, AT, keeps))
    keys = tuple(keys_of("get_tuple_renewing"))
    assert call == Call("get_tuple_renewing", keys, (b"t", b"", b"1", 5000))
    call = next(plans.get_tuple(KEYS, SERDE, AT, Retention(ttl=5000)))
    assert call.script == "get_tuple"


def test_put_of_delta_channels() -> None:
    """Named by the metadata: those that have a version and no value here."""
    made = checkpoint("2", snapshot=1)
    made["channel_versions"] = {"snapshot": 1, "d": 1, "e": 1, "plain": 1}
    counted = {"snapshot": [0, 0], "d": [1, 1], "e": [2, 2], "gone": [1, 1]}
    call = next(put(made, metadata={"counters_since_delta_snapshot": counted}))
    assert call.args[5] == b"d\0e\0"
    for none in (None, {}, "odd"):
        assert next(put(made, metadata={"counters_since_delta_snapshot": none})).args[5] == b""


@pytest.mark.parametrize(
    ("ns", "parents", "origin"),
    [
        ("node:task", {"": "1"}, b"1"),
        ("a:1|b:2", {"": "1", "a:1": "5"}, b"1"),
        ("node", {"": "1"}, b""),
        ("", {"": "1"}, b""),
        ("node:task", {}, b""),
        ("node:task", None, b""),
        ("node:task", {"": 5}, b""),
        ("node:task", "odd", b""),
    ],
)
def test_put_of_a_subgraph_call(ns: str, parents: Any, origin: bytes) -> None:
    """A namespace that names a task: the root checkpoint in `parents` is its origin."""
    call = next(put(checkpoint("2"), config("t", ns), {"parents": parents}))
    assert stored(call).record.origin == origin


def test_put_leaves_values_out_of_the_record() -> None:
    """What the record holds of the checkpoint is all but values and versions."""
    made = checkpoint("2", secret="hidden")
    call = next(put(made))
    record = stored(call).record
    head = SERDE.loads_typed((record.head_type.decode(), record.head))
    assert head.keys() == made.keys() - {"channel_values", "channel_versions"}
    assert b"hidden" not in call.args[3]
    assert b"hidden" in call.args[-1]


def test_put_skips_a_version_that_is_not_the_checkpoints() -> None:
    """A version in new_versions that the checkpoint does not have would never be read."""
    made = checkpoint("2", a=1)
    call = next(put(made, new={"a": "another", "b": 1}))
    assert (call.args[4], len(call.args)) == (b"?", 9)


def test_put_to_root_of_run() -> None:
    """No parent, no run: empty sections; the namespace is in every name."""
    made = checkpoint("2", a=1)
    made["channel_versions"] = {"a": 1}
    call = next(put(made, config("t", "ns")))
    record = stored(call).record
    assert (record.run, record.parent) == (b"", b"")
    assert (call.args[1], call.args[9]) == (b"ns", b"ns\0a\0i1")


@pytest.mark.parametrize("part", ["id", "channel_values", "channel_versions"])
def test_put_of_an_incomplete_checkpoint(part: str) -> None:
    """Refused before anything is sent; the message names the part."""
    made: Any = checkpoint("2", a=1)
    versions = made["channel_versions"]
    del made[part]
    with pytest.raises(ValueError, match=f"the checkpoint has no '{part}'"):
        next(put(made, new=versions))


def test_put_writes() -> None:
    """One call with the field and the record; returns nothing."""
    plan = plans.put_writes(KEYS, SERDE, AT, [("a", 1), ("__error__", "e")], "task", "path")
    call = next(plan)
    assert (call.script, list(call.keys)) == ("put_writes", keys_of("put_writes"))
    kind, data = SERDE.dumps_typed(1)
    first = write(0, b"Ppath\0a\0" + kind.encode() + b"\0" + data)
    assert call.args[:3] == (b"t", b"\x001", b"task")
    assert call.args[3].startswith(first + write(-1, b"")[:4])
    assert call.args[4] == 0
    assert finish(plan, b"OK") is None


def test_put_writes_last_special_of_a_call() -> None:
    """Two errors in one call have one index: the later one is sent."""
    writes = [("__error__", "first"), ("__error__", "last")]
    record = next(plans.put_writes(KEYS, SERDE, AT, writes, "task", "")).args[3]
    assert b"last" in record
    assert b"first" not in record


def test_put_no_writes() -> None:
    """Nothing to store, nothing sent; bad ids are refused all the same."""
    plan = plans.put_writes(KEYS, SERDE, AT, [], "task", "")
    assert finish(plan, None) is None
    with pytest.raises(ValueError, match="task_id must not be empty"):
        next(plans.put_writes(KEYS, SERDE, AT, [], "", ""))


def test_put_writes_without_checkpoint() -> None:
    """Refused with what to pass."""
    with pytest.raises(ValueError, match="pass checkpoint_id"):
        next(plans.put_writes(KEYS, SERDE, config("t"), [("a", 1)], "task", ""))


@pytest.mark.parametrize(("named", "sent"), [(None, b""), ("1", b"1")])
def test_get_tuple_of_nothing(named: str | None, sent: bytes) -> None:
    """One call; an empty page is None."""
    plan = plans.get_tuple(KEYS, SERDE, config("t", "ns", named))
    call = next(plan)
    assert call == Call("get_tuple", tuple(keys_of("get_tuple")), (b"t", b"ns", sent))
    assert finish(plan, [[], [], []]) is None


def test_get_tuple() -> None:
    """Record, values by their positions and writes in order become one tuple."""
    head, metadata = dump(SERDE, "", {"v": 4, "id": "2"}), dump(SERDE, "", {"step": 1})
    references = pack_references({"a": 1, "b": "x", "c": 1.5})
    packed = Record(b"", b"", references, b"1", b"", *head, *metadata).pack()
    record = raw.stored(packed, b"110")
    tasks = [b"y", write(0, b"P\0a\0null\0"), b"x", write(1, b"P~\0b\0null\0")]
    tasks += [b"z", write(0, b"P\0a\0null\0") + write(-1, b"P\0e\0null\0")]
    values = [pack_value("B"), pack_value("A"), None]
    plan = plans.get_tuple(KEYS, SERDE, config("t", "ns"))
    next(plan)
    found = finish(plan, [[[b"ns", b"2", record, [2, 1, 3], tasks]], values, [0, 0, 0]])
    assert found == CheckpointTuple(
        config=config("t", "ns", "2"),
        checkpoint={
            "v": 4,
            "id": "2",
            "channel_versions": {"a": 1, "b": "x", "c": 1.5},
            "channel_values": {"a": "A", "b": "B"},
        },
        metadata={"step": 1},
        parent_config=config("t", "ns", "1"),
        pending_writes=[("y", "a", None), ("z", "e", None), ("z", "a", None), ("x", "b", None)],
    )


def test_delete_thread() -> None:
    """The same call again while the reply is 1."""
    plan = plans.delete_thread(KEYS, "t")
    call = next(plan)
    assert call == Call("delete_thread", tuple(keys_of("delete_thread")), (b"t",))
    assert plan.send(1) == call
    assert plan.send(1) == call
    assert finish(plan, 0) is None


def test_damage_reaches_the_caller() -> None:
    """A section of a record that cannot be read ends the plan with the codec's error."""
    plan = plans.get_tuple(KEYS, SERDE, AT)
    next(plan)
    with pytest.raises(DamagedRecordError, match="cut short"):
        plan.send([[[b"", b"1", b"P" + section(b""), [], []]], [], []])
