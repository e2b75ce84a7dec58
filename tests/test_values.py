"""Channel values without a server: what is stored of them, and how a page of them is read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from saver import _codec as codec
from saver._envelope import Version
from saver._values import PageValues, ValueStore
from saver._versions import KnownVersions
from saver.errors import DamagedRecordError, LostKeysError

SERDE = JsonPlusSerializer()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
SURROGATES = {"\ud800"}


def pack(value: object, channel: str = "a") -> bytes:
    """A value as a saver without compression stores it."""
    return ValueStore().pack(SERDE, (b"t", b"", channel), b"s1", value, whole=False)[0]


def read(stored: list[bytes | None], held: bytes, *channels: str) -> dict[str, Any]:
    """A checkpoint's values out of a page that has nothing else."""
    page = PageValues(SERDE, stored, [0] * len(stored))
    references = [(channel, b"s7") for channel in channels]
    return page.of_checkpoint(references, range(1, len(stored) + 1), held)


@given(VALUES.filter(lambda value: "\\ud" not in ascii(value)))
def test_values_come_back(value: Any) -> None:
    """A value, in the documented envelope."""
    data = pack(value)
    kind, payload = SERDE.dumps_typed(value)
    assert data == b"P" + kind.encode() + b"\0" + payload
    assert read([data], b"1", "a") == {"a": value}


def test_absent_values() -> None:
    """Never held, or emptied since: the channel is left out. None is a value."""
    stored = [None, b"", pack(None)]
    assert read(stored, b"011", "never", "emptied", "none") == {"none": None}


def test_lost_value() -> None:
    """A value that was held and is gone: the error names channel and version."""
    with pytest.raises(LostKeysError, match="channel 'a', version '7': it.* is gone"):
        read([None], b"1", "a")


@pytest.mark.parametrize("envelope", [b"X", b"\0", b"p", b"\xff"])
def test_unknown_envelope(envelope: bytes) -> None:
    """An envelope of another version of the saver: the error names channel and version."""
    with pytest.raises(DamagedRecordError, match="channel 'a', version '7': envelope .* not known"):
        read([envelope + b"json\x001"], b"1", "a")


def test_loops() -> None:
    """A chain that comes back to itself ends."""
    page = PageValues(SERDE, [b"D", b"D"], [2, 1])
    with pytest.raises(DamagedRecordError, match="starts from itself"):
        page.of_checkpoint([("a", b"s1")], [1], b"1")


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a server would not accept is refused before it is sent, by its name and size."""
    monkeypatch.setattr(codec, "MAX_BULK", 100)
    assert len(pack(b"x" * 93)) == 100
    with pytest.raises(
        ValueError, match="the value of channel 'a' takes .* bytes, a server accepts"
    ):
        pack("x" * 100)


@pytest.mark.parametrize("value", [object, lambda: None], ids=["object", "function"])
def test_unserializable(value: Any) -> None:
    """TypeError that names the channel and keeps the cause."""
    with pytest.raises(TypeError, match="channel 'a' cannot be serialized") as caught:
        pack(value)
    assert caught.value.__cause__ is not None


def version(size: int) -> Version:
    """A version of so many bytes."""
    return Version(b"s1", b"x" * size, b"", 0, 0, size)


def test_known_versions_are_bounded() -> None:
    """The least recently used go first; one that is too large is not kept at all."""
    known = KnownVersions(1300)
    a, b, c = ((b"t", b"", name) for name in "abc")
    known.put(a, version(40))
    known.put(b, version(40))
    assert known.get(a) is not None
    known.put(c, version(40))
    assert [known.get(each) is None for each in (a, b, c)] == [False, True, False]
    known.put(b, version(901))
    assert [known.get(each) is None for each in (a, b, c)] == [False, True, False]
    known.put(a, version(900))
    assert [known.get(each) is None for each in (a, b, c)] == [False, True, True]


def test_known_version_is_forgotten() -> None:
    """A version that nothing can start from ends what was known of its channel."""
    known = KnownVersions(500)
    known.put((b"t", b"", "a"), version(90))
    known.put((b"t", b"", "a"), None)
    known.put((b"t", b"", "b"), version(90))
    assert known.get((b"t", b"", "a")) is None
    assert known.get((b"t", b"", "b")) is not None
