"""Compressed forms of values, with no server: what was put in comes out, damage is told."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from saver import _envelope as envelope
from saver.errors import DamagedRecordError

if TYPE_CHECKING:
    from collections.abc import Callable

    from langgraph.checkpoint.serde.base import CipherProtocol

    from saver._envelope import Version

TEXT = b"msgpack\0" + b"".join(b"a message of some length, number %d; " % n for n in range(100))


def cipher() -> CipherProtocol:
    """AES, as LangGraph's serializer has it."""
    return EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 16).cipher


def packed(
    value: bytes, base: Version | None = None, cipher: CipherProtocol | None = None
) -> tuple[bytes, Version]:
    """The compressed form of a value that has one."""
    found = envelope.encode(value, b"s1", base, cipher)
    assert found is not None
    return found


def restored(
    data: bytes, base: Version | None = None, cipher: CipherProtocol | None = None
) -> Version:
    """What a reader makes of a compressed form."""
    return envelope.restore(envelope.parse(data), len(data), base, cipher)


def grown(value: bytes) -> bytes:
    """Another count in front, more at the end: a list that grew."""
    return value[:9] + b"\xff\xff" + value[11:] + b"one more message, of which nothing is known yet"


EDITS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda value: value,
    "grown": grown,
    "longer count": lambda value: value[:9] + b"12345" + value[9:],
    "middle": lambda value: value[:500] + b"EDITED" + value[700:],
    "window": lambda value: value[:8] + value[300:] + b"next message",
    "cut": lambda value: value[:-600],
    "start": lambda value: b"json" + value[7:],
    "other": lambda value: bytes(reversed(value)),
}


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("edit", EDITS)
def test_versions_come_back(edit: str, *, sealed: bool) -> None:
    """A value, and what it becomes, come back as they were, encrypted or not."""
    key = cipher() if sealed else None
    data, version = packed(TEXT, None, key)
    assert restored(data, None, key).value == TEXT
    value = EDITS[edit](TEXT)
    data, after = packed(value, version, key)
    base = restored(packed(TEXT, None, key)[0], None, key)._replace(check=version.check)
    is_delta = envelope.parse(data).base != b""
    assert restored(data, base if is_delta else None, key).value == value == after.value


@given(st.integers(0, 2**32))
def test_any_edits(seed: int) -> None:
    """Chains of random edits come back, whatever a delta is made of."""
    chance = random.Random(seed)
    value, base, known = b"", None, {}
    for number in range(6):
        for _ in range(chance.randint(0, 3)):
            at = chance.randint(0, len(value))
            value = chance.choice(
                [
                    value[:at] + chance.randbytes(chance.randint(0, 400)) + value[at:],
                    value[:at] + value[at + chance.randint(0, 300) :],
                    value + b"abc" * chance.randint(0, 100),
                ]
            )
        token = b"s%d" % number
        found = envelope.encode(value, token, base, None)
        base = None
        if found is not None:
            data, base = found
            start = envelope.parse(data).base
            known[token] = restored(data, known[start] if start else None)
            assert known[token].value == value
            assert known[token][2:] == base[2:]  # a reader knows what the writer knows


def test_delta_is_small() -> None:
    """A list that grew costs what is new, and hardly more however long it is."""
    for length in (1_000, 100_000):
        value = random.Random(1).randbytes(length)
        _, version = packed(value + b"\0" * 99_000)
        data, _ = packed(grown(version.value), version)
        assert len(data) < 120


def test_small_or_random_values_stay_plain() -> None:
    """Where a compressed form would be no shorter there is none."""
    assert envelope.encode(TEXT[: envelope.SMALLEST - 1], b"s1", None, None) is None
    assert envelope.encode(random.Random(1).randbytes(5_000), b"s1", None, None) is None


def test_chains_end() -> None:
    """After so many deltas, or so many bytes of them, comes a keyframe."""
    value, base, links = TEXT + random.Random(1).randbytes(10_000), None, []
    for _ in range(3 * envelope.MAX_LINKS):
        value = grown(value)
        data, base = packed(value, base)
        links.append(envelope.parse(data).links)
    assert max(links) == envelope.MAX_LINKS
    assert links.count(0) >= 3
    for _ in range(envelope.MAX_LINKS):
        value += random.Random(len(value)).randbytes(500)
        data, base = packed(value, base)
        assert base.chain < base.keyframe + 1_000


@pytest.mark.parametrize("position", [0, 1, 5, 9, 13, 14, 20, 25, 40, -1])
@pytest.mark.parametrize("delta", [False, True])
def test_changed_bytes(position: int, *, delta: bool) -> None:
    """A byte that changed is noticed."""
    data, version = packed(TEXT)
    if delta:
        data, _ = packed(grown(TEXT), version)
    changed = bytearray(data)
    changed[position] ^= 0x55
    with pytest.raises(DamagedRecordError):
        restored(bytes(changed), version if delta else None)


@pytest.mark.parametrize("length", [0, 1, 8, 9, 12, 20, 23, 30])
def test_cut_bytes(length: int) -> None:
    """So is the loss of the end."""
    data, version = packed(TEXT)
    for whole, base in ((data, None), (packed(grown(TEXT), version)[0], version)):
        with pytest.raises(DamagedRecordError):
            restored(whole[:length], base)


def forged(kind: bytes, rest: bytes) -> bytes:
    """A form whose check is right."""
    return kind + envelope._check(rest) + rest


def test_bomb() -> None:
    """A frame that holds more than it says is not unpacked."""
    frame = packed(b"\0" * 10_000_000)[0][13:]
    for size in (1_000, 2**32 - 1):
        with pytest.raises(DamagedRecordError):
            restored(forged(b"Z", size.to_bytes(4, "big") + frame))


def test_delta_of_another_base() -> None:
    """A delta that points outside of its base is refused."""
    _, version = packed(TEXT)
    data, _ = packed(grown(TEXT), version)
    _, other = packed(TEXT[:1500])
    with pytest.raises(DamagedRecordError):
        restored(data, other)


def test_encrypted_without_key() -> None:
    """Without its cipher an encrypted form is told from a damaged one."""
    data, _ = packed(TEXT, None, cipher())
    assert b"message" not in data
    with pytest.raises(DamagedRecordError, match="EncryptedSerializer"):
        restored(data)


@pytest.mark.parametrize("frame", [b"", b"nonsense", b"\x28\xb5\x2f\xfd"])
def test_deflated_damage(frame: bytes) -> None:
    """What is no frame is told."""
    assert envelope.inflated(envelope.deflated(TEXT)) == TEXT
    with pytest.raises(DamagedRecordError):
        envelope.inflated(frame)
