"""What is stored of a value: its bytes, compressed, or what changed since an earlier version.

A value is `type NUL data`, as `serde` has it, and is stored in one of these forms. Numbers are
big-endian; `check` is 8 bytes of BLAKE2b over everything behind it.

    P value                                                   plain
    Z check size:4 frame                                      zstd
    D check base_check:8 links:1 size:4 base NUL delta        `base` is the version token of a base

`delta` rebuilds a value of `size` bytes from its base. `head:4 patch:4 start:4 same:4 tail:4 frame`
says base[:head], the first `patch` bytes of the frame's content, base[start:][:same], the rest of
the content, base[-tail:]. So a list that grew costs its new items, whatever its length, and so does
one that lost its first ones; the patch is for the count in front of a list. The frame is compressed
with the WINDOW bytes of the base before the change as its dictionary, where text like the new one
often stands.

`base_check` is the check of the base: a delta fits one stored form, to the byte. `links` counts the
deltas back to the keyframe, which is a Z. With an EncryptedSerializer `frame` and `delta` are
encrypted, the letter is small, and `cipher NUL` stands before them.
"""

from __future__ import annotations

import struct
import threading
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import zstandard as zstd

from saver.errors import DamagedRecordError

if TYPE_CHECKING:
    from langgraph.checkpoint.serde.base import CipherProtocol

PLAIN, KEYFRAME, DELTA = b"P", b"Z", b"D"
SMALLEST, LARGEST = 1024, 16 * 1024 * 1024
"""Bytes of values that are compressed. A larger one would take a tenth of a second of its writer's
event loop; and a reader takes no form that claims to hold more."""
MAX_LINKS = 8
WINDOW = 4096

MOST_LINKS = 255
"""That any writer makes."""

_CUT = "it is cut short"
_LEVEL, _DELTA_LEVEL = 3, 1
_CHECK = 8
_PATCH = 4
_PROBE = 32
_SIZE = struct.Struct(">I")
_DELTA_HEAD = struct.Struct(">8sBI")
_PARTS = struct.Struct(">IIIII")


class Version(NamedTuple):
    """A stored version of a channel value, as its writer or a reader knows it."""

    token: bytes
    """Its version token."""
    value: bytes
    check: bytes
    links: int
    chain: int
    """Bytes stored from its keyframe on, without that."""
    keyframe: int
    """Bytes stored of its keyframe."""


def encode(
    value: bytes, token: bytes, base: Version | None, cipher: CipherProtocol | None
) -> tuple[bytes, Version] | None:
    """The compressed form of a value, and what to know of it for the next version.

    `base` is an earlier version; a delta from it is taken where it is much shorter than a keyframe.
    `None` when the value is best stored plain.
    """
    if not SMALLEST <= len(value) <= LARGEST:
        return None
    if base is not None and base.links < MAX_LINKS and base.chain < base.keyframe:
        stored = _delta(value, base, cipher)
        if len(stored) < len(value) // 4 or len(stored) < base.keyframe // 4:
            version = Version(
                token,
                value,
                stored[1 : 1 + _CHECK],
                base.links + 1,
                base.chain + len(stored),
                base.keyframe,
            )
            return stored, version
    stored = _keyframe(value, cipher)
    if len(stored) >= len(value):
        return None
    return stored, Version(token, value, stored[1 : 1 + _CHECK], 0, 0, len(stored))


class Stored(NamedTuple):
    """A stored form, taken apart."""

    check: bytes
    base_check: bytes
    """Empty but for a delta."""
    links: int
    size: int
    base: bytes
    """Version token of the base; empty but for a delta."""
    payload: bytes
    is_encrypted: bool


def parse(data: bytes) -> Stored:
    """A compressed form taken apart.

    Raises:
        DamagedRecordError: it is cut short, changed, of a form that is not known, or of a size that
            no value has.
    """
    letter = data[:1]
    kind, start = letter.upper(), 1 + _CHECK
    if kind not in (KEYFRAME, DELTA):
        msg = f"envelope {letter!r} is not known to this version of the saver"
        raise DamagedRecordError(msg)
    check = data[1:start]
    if _check(data[start:]) != check:
        msg = "its bytes are not those that were written"
        raise DamagedRecordError(msg)
    try:
        if kind == KEYFRAME:
            (size,) = _SIZE.unpack_from(data, start)
            stored = Stored(check, b"", 0, size, b"", data[start + _SIZE.size :], letter != kind)
        else:
            base_check, links, size = _DELTA_HEAD.unpack_from(data, start)
            base, _, payload = data[start + _DELTA_HEAD.size :].partition(b"\0")
            stored = Stored(check, base_check, links, size, base, payload, letter != kind)
    except struct.error as error:
        raise DamagedRecordError(_CUT) from error
    if stored.size > LARGEST:
        msg = f"it claims to be {stored.size:,} bytes long, {LARGEST:,} is the most"
        raise DamagedRecordError(msg)
    return stored


def restore(
    stored: Stored, length: int, base: Version | None, cipher: CipherProtocol | None
) -> Version:
    """The version behind a compressed form of so many bytes; `base` is what a delta starts from.

    Raises:
        DamagedRecordError: it does not fit its base, or does not decompress to its size.
    """
    payload = _opened(stored, cipher)
    if base is None:
        value = _inflated(payload, stored.size, None)
        return Version(stored.base, value, stored.check, 0, 0, length)
    value = _patched(payload, stored.size, base.value)
    return Version(b"", value, stored.check, base.links + 1, base.chain + length, base.keyframe)


def _patched(payload: bytes, size: int, base: bytes) -> bytes:
    try:
        head, patch, start, same, tail = _PARTS.unpack_from(payload)
    except struct.error as error:
        raise DamagedRecordError(_CUT) from error
    behind = start + same
    fresh = size - head - same - tail
    if max(head, behind, tail) > len(base) or fresh < patch:
        msg = "it does not fit the version that it starts from"
        raise DamagedRecordError(msg)
    content = _inflated(payload[_PARTS.size :], fresh, _dictionary(base, behind))
    return b"".join(
        (
            base[:head],
            content[:patch],
            base[start:behind],
            content[patch:],
            base[len(base) - tail :],
        )
    )


def deflated(data: bytes) -> bytes:
    """A zstd frame that knows the size of its content."""
    return _contexts.sized.compress(data)


def inflated(frame: bytes) -> bytes:
    """The content of `deflated`.

    Raises:
        DamagedRecordError: it is no such frame, or claims more than LARGEST.
    """
    try:
        size = zstd.frame_content_size(frame)
        if not 0 <= size <= LARGEST:
            msg = f"it claims to be {size:,} bytes long, {LARGEST:,} is the most"
            raise DamagedRecordError(msg)
        return _contexts.decompressor.decompress(frame)
    except zstd.ZstdError as error:
        msg = f"it does not decompress: {error}"
        raise DamagedRecordError(msg) from error


def _keyframe(value: bytes, cipher: CipherProtocol | None) -> bytes:
    frame = _contexts.compressor.compress(value)
    letter, frame = _sealed(KEYFRAME, frame, cipher)
    return _checked(letter, _SIZE.pack(len(value)) + frame)


def _delta(value: bytes, base: Version, cipher: CipherProtocol | None) -> bytes:
    old = base.value
    head = _common_run(value, 0, old, 0)
    patch, start, same = _moved_run(value, old, head)
    used, behind = head + patch + same, start + same
    tail = _common_end(value, old, min(len(value) - used, len(old) - behind))
    fresh = value[head : head + patch] + value[used : len(value) - tail]
    frame = _compressor(_DELTA_LEVEL, _dictionary(old, behind)).compress(fresh)
    letter, payload = _sealed(DELTA, _PARTS.pack(head, patch, start, same, tail) + frame, cipher)
    return _checked(
        letter,
        _DELTA_HEAD.pack(base.check, base.links + 1, len(value)),
        base.token,
        b"\0",
        payload,
    )


def _checked(letter: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return letter + _check(data) + data


def _check(data: bytes) -> bytes:
    return blake2b(data, digest_size=_CHECK).digest()


def _sealed(kind: bytes, frame: bytes, cipher: CipherProtocol | None) -> tuple[bytes, bytes]:
    if cipher is None:
        return kind, frame
    name, secret = cipher.encrypt(frame)
    return kind.lower(), name.encode() + b"\0" + secret


def _opened(stored: Stored, cipher: CipherProtocol | None) -> bytes:
    if not stored.is_encrypted:
        return stored.payload
    if cipher is None:
        msg = "it is encrypted: pass the EncryptedSerializer that it was written with"
        raise DamagedRecordError(msg)
    name, _, secret = stored.payload.partition(b"\0")
    return cipher.decrypt(name.decode(), secret)


def _inflated(frame: bytes, size: int, window: zstd.ZstdCompressionDict | None) -> bytes:
    context = zstd.ZstdDecompressor(dict_data=window) if window else _contexts.decompressor
    try:
        # A size in the frame itself, which no writer puts there, would count more than the limit.
        if zstd.frame_content_size(frame) not in (-1, size):
            msg = f"it does not decompress to {size:,} bytes"
            raise DamagedRecordError(msg)
        content = context.decompress(frame, max_output_size=max(size, 1))
    except zstd.ZstdError as error:
        msg = f"it does not decompress: {error}"
        raise DamagedRecordError(msg) from error
    if len(content) != size:
        msg = f"it decompresses to {len(content):,} bytes, not to {size:,}"
        raise DamagedRecordError(msg)
    return content


class _Contexts(threading.local):
    """Of each thread, for they may not be shared, and are costly to make."""

    def __init__(self) -> None:
        self.compressor = _compressor(_LEVEL, None)
        self.sized = zstd.ZstdCompressor(level=_LEVEL, write_checksum=True, write_dict_id=False)
        self.decompressor = zstd.ZstdDecompressor()


def _compressor(level: int, window: zstd.ZstdCompressionDict | None) -> zstd.ZstdCompressor:
    return zstd.ZstdCompressor(
        level=level,
        dict_data=window,
        write_content_size=False,
        write_checksum=False,
        write_dict_id=False,
    )


def _dictionary(base: bytes, end: int) -> zstd.ZstdCompressionDict | None:
    """The bytes of a base before `end`."""
    window = base[max(0, end - WINDOW) : end]
    if not window:
        return None
    return zstd.ZstdCompressionDict(window, dict_type=zstd.DICT_TYPE_RAWCONTENT)


_contexts = _Contexts()


def _moved_run(value: bytes, old: bytes, head: int) -> tuple[int, int, int]:
    """What goes on alike after the first difference: patch, start in `old`, length.

    In its old place, as when only a count changed; else wherever its first bytes are found, as when
    a list lost its first items.
    """
    after = head + _PATCH
    same = _common_run(value, after, old, after)
    if same >= _PROBE:
        return _PATCH, after, same
    start = old.find(value[after : after + _PROBE], head)
    if start >= 0 and len(value) - after >= _PROBE:
        return _PATCH, start, _common_run(value, after, old, start)
    return 0, head, 0


def _common_run(left: bytes, at: int, right: bytes, start: int) -> int:
    """How many bytes are equal from two places on.

    By halves: comparing slices is quick, comparing bytes is not.
    """
    low, high = 0, max(0, min(len(left) - at, len(right) - start))
    if left[at : at + high] == right[start : start + high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        if left[at + low : at + middle] == right[start + low : start + middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common_end(left: bytes, right: bytes, most: int) -> int:
    """How many bytes are equal at the end, up to `most`."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if (
            left[len(left) - middle : len(left) - low]
            == right[len(right) - middle : len(right) - low]
        ):
            low = middle
        else:
            high = middle - 1
    return low
