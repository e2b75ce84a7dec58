"""Bytes that Redis keeps: what goes in comes out, and what is damaged is named."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from saver import _codec as codec
from saver.errors import DamagedRecordError, LostKeysError
from tests.raw import section, stored, write
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


REFERENCES = st.dictionaries(TEXT, VERSIONS, max_size=4).map(codec.pack_references)
PAIRS = st.lists(st.tuples(TEXT, TEXT.map(str.encode)), max_size=3)


@given(st.tuples(*[st.binary(max_size=20)] * len(RECORD)), REFERENCES, PAIRS, st.data())
def test_records_come_back(
    sections: tuple[bytes, ...], references: bytes, lows: Any, data: st.DataObject
) -> None:
    """A record of any bytes, with what the script appends, in the documented form."""
    record = codec.Record(*sections)._replace(references=references)
    assert record.pack() == b"P" + b"".join(map(section, record))
    named = codec.unpack_references(references)
    held = data.draw(st.from_regex(rb"\A[01]{%d}\Z" % len(named)))
    tail = b"".join(channel.encode() + b"\0" + low + b"\0" for channel, low in lows)
    assert codec.unpack_record(stored(record.pack(), held, tail)) == (record, named, held, lows)


WHOLE = stored(RECORD.pack(), b"10", b"a\x005\0b\x006\0")


def test_record_with_what_is_added() -> None:
    """A flag a reference, the lows, then the sections."""
    found = codec.unpack_record(WHOLE)
    assert found.record == RECORD
    assert found.references == [("a", b"s1"), ("b", b"i2")]
    assert (found.held, found.lows) == (b"10", [("a", b"5"), ("b", b"6")])


@pytest.mark.parametrize("size", range(1, len(WHOLE)))
def test_cut_record(size: int) -> None:
    """A record that ends early, wherever it ends."""
    with pytest.raises(DamagedRecordError, match="checkpoint record is cut short"):
        codec.unpack_record(WHOLE[:size])


@pytest.mark.parametrize("tail", [b"a", b"a\0", b"a\x005\0b", b"a\x005\0b\x006", b"\0\0\0"])
def test_damaged_lows(tail: bytes) -> None:
    """Lows that are no pairs, each with its end."""
    with pytest.raises(DamagedRecordError, match="checkpoint record is cut short"):
        codec.unpack_record(stored(RECORD.pack(), b"10", tail))


@pytest.mark.parametrize("references", [b"a", b"a\0", b"a\0s1", b"a\0s1\0b\0", b"\0"])
def test_damaged_references(references: bytes) -> None:
    """A section of references that is no list of pairs."""
    with pytest.raises(DamagedRecordError, match="checkpoint record is cut short"):
        codec.unpack_record(stored(RECORD._replace(references=references).pack(), b"1111"))


@pytest.mark.parametrize("held", [b"", b"1", b"111"])
def test_wrong_flags(held: bytes) -> None:
    """A record whose flags are not one a reference."""
    with pytest.raises(DamagedRecordError, match="checkpoint record is cut short"):
        codec.unpack_record(stored(RECORD.pack(), held))


def test_too_long() -> None:
    """A record with more than its sections."""
    with pytest.raises(DamagedRecordError, match="checkpoint record is cut short"):
        codec.unpack_record(WHOLE + b"1")


@pytest.mark.parametrize("envelope", [b"Z", b"\0", b"p", b"\xff"])
def test_unknown_envelope(envelope: bytes) -> None:
    """The part is named: the record, the channel, the task."""
    with pytest.raises(DamagedRecordError, match="checkpoint record has envelope"):
        codec.unpack_record(envelope + RECORD.pack()[1:])
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
    with pytest.raises(ValueError, match=f"the write to channel 'big' takes .* {advice}"):
        codec.pack_writes(SERDE, {0: ("big", "x" * 100)}, "")
    with pytest.raises(ValueError, match=f"the writes of the task takes? .* {advice}"):
        codec.pack_writes(SERDE, dict.fromkeys(range(3), ("a", "x" * 40)), "")
    with pytest.raises(ValueError, match=f"checkpoint without its values takes .* {advice}"):
        RECORD._replace(metadata=b"x" * 100).pack()


@pytest.mark.parametrize("value", [object, lambda: None], ids=["object", "function"])
def test_unserializable(value: Any) -> None:
    """TypeError that names the channel and keeps the cause."""
    with pytest.raises(TypeError, match="channel 'a' cannot be serialized") as caught:
        codec.pack_writes(SERDE, {0: ("a", value)}, "")
    assert caught.value.__cause__ is not None


class Odd:
    """A serializer with types of its own."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def dumps_typed(self, value: object) -> tuple[str, bytes]:
        """Not a type that can be stored."""
        return self.kind, b""

    def loads_typed(self, data: tuple[str, bytes]) -> object:
        """Never called."""
        raise AssertionError


@pytest.mark.parametrize("kind", ["a\0b", "\1a"])
def test_type_that_means_something(kind: str) -> None:
    """A serializer's type with a byte that is ours is refused, not misread later."""
    with pytest.raises(ValueError, match="the type that serde gives must not"):
        codec.pack_writes(Odd(kind), {0: ("a", 1)}, "")


@given(VALUES)
def test_compressed_or_not(value: Any) -> None:
    """What is compressed where that is shorter comes back, encrypted or not."""
    for serde in (SERDE, EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 16)):
        for each in (value, [value] * 100):
            kind, data = codec.dump_compressed(serde, "it", each)
            assert codec.load(serde, kind, data) == each
            if each is not value and not isinstance(value, float):
                assert len(data) <= len(codec.dump(serde, "it", each)[1])


def test_encrypted_without_key() -> None:
    """A reader without the cipher is told so."""
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 16)
    kind, data = codec.dump_compressed(serde, "it", "text " * 400)
    assert kind.startswith(codec.SEALED)
    with pytest.raises(DamagedRecordError, match="EncryptedSerializer"):
        codec.load(SERDE, kind, data)


USUAL = [f"{number:032}.{rest}" for number in (0, 1, 10**31) for rest in ("0.5", "1e-05", "7", "")]


@pytest.mark.parametrize(
    "version", [*USUAL, "0" * 32, "0" * 33 + ".5", "1.5", "v1.5", "", "\u0663" * 32]
)
def test_versions_as_stored(version: str) -> None:
    """A version comes back as it was; one as LangGraph makes it takes few bytes."""
    token = codec.reference("a", version).partition(b"\0")[2]
    assert codec.version_of(token) == version
    if version in USUAL[:8]:
        assert len(token) < 10


def test_index_out_of_range() -> None:
    """An index is four bytes; a larger one is no silent wrap."""
    with pytest.raises(struct.error):
        codec.pack_writes(SERDE, {2**31: ("a", 1)}, "")


@pytest.mark.parametrize("length", [1, 5_000])
def test_type_with_plus(length: int) -> None:
    """A serializer's type may have a plus: it is no cipher's name."""

    class Plus(JsonPlusSerializer):
        def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
            return "application/x+json", json.dumps(obj).encode()

        def loads_typed(self, data: tuple[str, bytes]) -> Any:
            assert data[0] == "application/x+json"
            return json.loads(data[1])

    key = {"key": b"0" * 16}
    for serde in (Plus(), EncryptedSerializer.from_pycryptodome_aes(Plus(), **key)):
        kind, data = codec.dump_compressed(serde, "it", "x" * length)
        if length > 1 or not isinstance(serde, EncryptedSerializer):
            assert codec.load(serde, kind, data) == "x" * length


def test_nan_version() -> None:
    """A version that does not equal itself names nothing."""
    with pytest.raises(ValueError, match="must not be NaN"):
        codec.reference("a", math.nan)
