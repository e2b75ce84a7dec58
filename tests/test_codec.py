"""Bytes that Redis keeps: what goes in comes out, and what is damaged is named."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from saver import _codec as codec
from saver.errors import DamagedRecordError, LostKeysError
from tests.raw import section, write
from tests.samples import HOSTILE

SERDE = JsonPlusSerializer()
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VERSIONS = TEXT | st.integers() | st.floats(allow_nan=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
RECORD = codec.Record(
    b"R" * 8, b"D" * 16, b"a\0s1\0b\0i2\0", b"parent", b"origin", b"k", b"head", b"m", b"meta"
)


@given(st.dictionaries(TEXT, VERSIONS))
def test_versions_come_back(versions: dict[str, Any]) -> None:
    """Channels with versions of every type, equal and in order."""
    found = codec.unpack_references(codec.pack_references(versions))
    made = {name: codec.version_of(token) for name, token in found}
    assert list(made.items()) == list(versions.items())
    assert [isinstance(each, str) for each in made.values()] == [
        isinstance(each, str) for each in versions.values()
    ]


def test_versions_are_told_apart() -> None:
    """1 and 1.0 are one version, as they are equal; "1" and "1.0" are others."""
    tokens = [codec.reference("a", version) for version in ("1", "1.0", 1, 1.5, "i1", "s1")]
    assert len(set(tokens)) == 6
    assert codec.reference("a", 1.0) == codec.reference("a", 1) == b"a\0i1"
    assert codec.reference("a", -0.0) == codec.reference("a", 0)
    assert codec.reference("a", 2**53 + 1) != codec.reference("a", float(2**53))
    assert codec.reference("a", math.inf) == b"a\0finf"


@pytest.mark.parametrize("version", [None, b"1", (1,), object], ids=repr)
def test_refused_versions(version: Any) -> None:
    """A version of another type is refused with its channel."""
    with pytest.raises(TypeError, match="version of channel 'a' must be str, int or float"):
        codec.reference("a", version)


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800"], ids=ascii)
def test_refused_text(text: str) -> None:
    """NUL and lone surrogates in channels, versions and task paths."""
    for make in (
        lambda: codec.reference(text, 1),
        lambda: codec.reference("a", text),
        lambda: codec.pack_writes(SERDE, {0: (text, 1)}, ""),
        lambda: codec.pack_writes(SERDE, {0: ("a", 1)}, text),
    ):
        with pytest.raises(ValueError, match=r"NUL|valid Unicode"):
            make()


@given(TEXT, VALUES)
def test_values_come_back(channel: str, value: Any) -> None:
    """A value, in the documented envelope."""
    data = codec.pack_value(SERDE, channel, value)
    kind, payload = SERDE.dumps_typed(value)
    assert data == b"P" + kind.encode() + b"\0" + payload
    found = codec.unpack_values(SERDE, [(channel, b"s1")], [data], b"1")
    assert found == {channel: value}


def test_absent_values() -> None:
    """Never held, or emptied since: the channel is left out. None is a value."""
    references = [("never", b"s1"), ("emptied", b"s1"), ("none", b"s1")]
    stored = [None, b"", codec.pack_value(SERDE, "none", None)]
    assert codec.unpack_values(SERDE, references, stored, b"011") == {"none": None}


def test_lost_value() -> None:
    """A value that was held and is gone: the error names channel and version."""
    with pytest.raises(LostKeysError, match="channel 'a', version '7', is gone"):
        codec.unpack_values(SERDE, [("a", b"s7")], [None], b"1")


REFERENCES = st.dictionaries(TEXT, VERSIONS, max_size=4).map(codec.pack_references)
PAIRS = st.lists(st.tuples(TEXT, TEXT.map(str.encode)), max_size=3)


@given(st.tuples(*[st.binary(max_size=20)] * len(RECORD)), REFERENCES, PAIRS, st.data())
def test_records_come_back(
    sections: tuple[bytes, ...], references: bytes, lows: Any, data: st.DataObject
) -> None:
    """A record of any bytes, with what the script appends, in the documented form."""
    record = codec.Record(*sections)._replace(references=references)
    packed = record.pack()
    assert packed == b"P" + b"".join(map(section, record))
    named = codec.unpack_references(references)
    held = data.draw(st.from_regex(rb"\A[01]{%d}\Z" % len(named)))
    tail = b"".join(channel.encode() + b"\0" + low + b"\0" for channel, low in lows)
    assert codec.unpack_record(packed + held + tail) == (record, named, held, lows)


WHOLE = RECORD.pack() + b"10" + b"a\x005\0b\x006\0"


def test_record_with_its_tail() -> None:
    """Sections, then a flag a reference, then the lows."""
    stored = codec.unpack_record(WHOLE)
    assert stored.record == RECORD
    assert stored.references == [("a", b"s1"), ("b", b"i2")]
    assert (stored.held, stored.lows) == (b"10", [("a", b"5"), ("b", b"6")])


@pytest.mark.parametrize("size", range(1, len(WHOLE)))
def test_cut_record(size: int) -> None:
    """A record that ends early, wherever it ends: unless it is one that has fewer lows."""
    if size in (len(RECORD.pack()) + 2, len(WHOLE) - 4):
        assert codec.unpack_record(WHOLE[:size]).record == RECORD
        return
    with pytest.raises(DamagedRecordError, match="checkpoint record is cut short"):
        codec.unpack_record(WHOLE[:size])


@pytest.mark.parametrize("tail", [b"a", b"a\0", b"a\x005\0b", b"a\x005\0b\x006", b"\0\0\0"])
def test_damaged_lows(tail: bytes) -> None:
    """Lows that are no pairs, each with its end."""
    with pytest.raises(DamagedRecordError, match="checkpoint record is cut short"):
        codec.unpack_record(RECORD.pack() + b"10" + tail)


@pytest.mark.parametrize("references", [b"a", b"a\0", b"a\0s1", b"a\0s1\0b\0", b"\0"])
def test_damaged_references(references: bytes) -> None:
    """A section of references that is no list of pairs."""
    with pytest.raises(DamagedRecordError, match="checkpoint record is cut short"):
        codec.unpack_record(RECORD._replace(references=references).pack() + b"1111")


@pytest.mark.parametrize("tail", [b"", b"1"])
def test_too_few_flags(tail: bytes) -> None:
    """A record whose flags are fewer than its references."""
    with pytest.raises(DamagedRecordError, match="checkpoint record is cut short"):
        codec.unpack_record(RECORD.pack() + tail)


@pytest.mark.parametrize("envelope", [b"Z", b"\0", b"p", b"\xff"])
def test_unknown_envelope(envelope: bytes) -> None:
    """The part is named: the record, the channel, the task."""
    with pytest.raises(DamagedRecordError, match="checkpoint record has envelope"):
        codec.unpack_record(envelope + RECORD.pack()[1:])
    with pytest.raises(DamagedRecordError, match="value of channel 'a' has envelope"):
        codec.unpack_values(SERDE, [("a", b"s1")], [envelope + b"json\x001"], b"1")
    with pytest.raises(DamagedRecordError, match="write of task 'x' has envelope"):
        list(codec.unpack_writes("x", write(0, envelope + b"\0a\0json\x001")))


def test_empty_record() -> None:
    """No bytes at all have no envelope either."""
    with pytest.raises(DamagedRecordError, match="envelope b''"):
        codec.unpack_record(b"")


@given(
    st.dictionaries(st.integers(-(2**31), 2**31 - 1), st.tuples(TEXT, VALUES), max_size=4),
    TEXT,
    TEXT,
)
def test_writes_come_back(writes: dict[int, tuple[str, Any]], task_path: str, task_id: str) -> None:
    """Writes of any index, in order, with path, channel and value."""
    data = codec.pack_writes(SERDE, writes, task_path)
    found = list(codec.unpack_writes(task_id, data))
    assert [(w.task_path, w.task_id, w.idx, w.channel) for w in found] == [
        (task_path, task_id, index, channel) for index, (channel, _) in writes.items()
    ]
    values = [codec.load(SERDE, w.kind, w.data) for w in found]
    assert values == [value for _, value in writes.values()]


def test_writes_as_documented() -> None:
    """(index, size, PLAIN task_path NUL channel NUL type NUL data)*, special indexes below 0."""
    special = WRITES_IDX_MAP["__error__"]
    data = codec.pack_writes(SERDE, {0: ("a", None), special: ("__error__", b"\0")}, "path")
    bodies = b"Ppath\0a\0null\0", b"Ppath\0__error__\0bytes\0\0"
    assert special < 0
    assert data == write(0, bodies[0]) + write(special, bodies[1])
    assert codec.pack_writes(SERDE, {}, "path") == b""


def test_writes_sort_as_langgraph_has_it() -> None:
    """By task path, then task, then index; as `str` compares, hostile ones included."""
    made = [
        codec.Write(path, task, index, "a", b"", b"")
        for path in HOSTILE[:8]
        for task in HOSTILE[:8]
        for index in (1, 0, -1)
    ]
    assert sorted(made) == sorted(made, key=lambda w: (w.task_path, w.task_id, w.idx))


@pytest.mark.parametrize("size", [1, 7, 8, 9, 12, 14, 18])
def test_cut_writes(size: int) -> None:
    """Writes that end early."""
    with pytest.raises(DamagedRecordError):
        list(codec.unpack_writes("x", write(0, b"Pp\0a\0json\0003")[:size]))


def test_lost_writes() -> None:
    """A task that is listed and whose writes are gone."""
    with pytest.raises(LostKeysError, match="writes of task 'x' are gone"):
        list(codec.unpack_writes("x", None))


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server would not accept is refused before it is sent, by its name and size."""
    monkeypatch.setattr(codec, "MAX_BULK", 100)
    advice = "bytes, a server accepts 100 in one value: keep large objects elsewhere"
    with pytest.raises(ValueError, match=f"the value of channel 'big' takes .* {advice}"):
        codec.pack_value(SERDE, "big", "x" * 100)
    with pytest.raises(ValueError, match=f"the write to channel 'big' takes .* {advice}"):
        codec.pack_writes(SERDE, {0: ("big", "x" * 100)}, "")
    with pytest.raises(ValueError, match=f"the writes of the task takes? .* {advice}"):
        codec.pack_writes(SERDE, dict.fromkeys(range(3), ("a", "x" * 40)), "")
    with pytest.raises(ValueError, match=f"checkpoint without its values takes .* {advice}"):
        RECORD._replace(metadata=b"x" * 100).pack()
    assert len(codec.pack_value(SERDE, "big", b"x" * 93)) == 100


@pytest.mark.parametrize("value", [object, lambda: None], ids=["object", "function"])
def test_unserializable(value: Any) -> None:
    """TypeError that names the channel and keeps the cause."""
    for make in (
        lambda: codec.pack_value(SERDE, "a", value),
        lambda: codec.pack_writes(SERDE, {0: ("a", value)}, ""),
    ):
        with pytest.raises(TypeError, match="channel 'a' cannot be serialized") as caught:
            make()
        assert caught.value.__cause__ is not None


class Odd:
    """A serializer whose type holds the separator."""

    def dumps_typed(self, value: object) -> tuple[str, bytes]:
        """Not a type that can be stored."""
        return "a\0b", b""

    def loads_typed(self, data: tuple[str, bytes]) -> object:
        """Never called."""
        raise AssertionError


def test_type_with_nul() -> None:
    """A serializer's type with NUL is refused, not split at the wrong place."""
    with pytest.raises(ValueError, match="the type that serde gives must not contain NUL"):
        codec.pack_value(Odd(), "a", 1)


def test_index_out_of_range() -> None:
    """An index is four bytes; a larger one is no silent wrap."""
    with pytest.raises(struct.error):
        codec.pack_writes(SERDE, {2**31: ("a", 1)}, "")
