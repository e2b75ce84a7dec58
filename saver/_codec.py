"""Turns checkpoints, values and writes into the bytes that Redis keeps, and back.

Sizes are 4 bytes, big-endian. `serde` produced every `type` and `data`; nothing here or in a script
looks inside. The first byte of each is its envelope.

    value    PLAIN type NUL data                          or compressed, see saver/_envelope.py;
                                                          '' when the channel lost its value
    write    PLAIN task_path NUL channel NUL type NUL data
    writes   (index, size, write)*                        one record a task; index is signed
    record   PLAIN (size, section)*                       `held`, `lows` by put.lua; then `Record`
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from functools import lru_cache
from pickle import PicklingError
from typing import TYPE_CHECKING, Any, NamedTuple

from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from saver._envelope import LARGEST, SMALLEST, deflated, inflated
from saver._ids import encode_text
from saver.errors import DamagedRecordError, LostKeysError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from langgraph.checkpoint.base import ChannelVersions
    from langgraph.checkpoint.serde.base import CipherProtocol, SerializerProtocol

PLAIN = b"P"
COMPRESSED, SEALED = b"\1", b"\2"
"""First byte of the type of what `dump_compressed` compressed; and then encrypted."""
MAX_BULK = 512 * 1024 * 1024
"""Bytes in one argument that a server accepts (`proto-max-bulk-len`)."""

_USUAL_VERSION = re.compile(rb"\d{32}\.[\d.e-]*")
_WRITE_HEAD = struct.Struct(">iI")
_SIZE = struct.Struct(">I")
_CUT = "a checkpoint record is cut short"


class Record(NamedTuple):
    """What is stored of a checkpoint besides its values; the order is the stored one."""

    run: bytes
    """Digest of the run id, or empty. Read by the scripts."""
    digests: bytes
    """Filter digests of the metadata. Read by the scripts."""
    references: bytes
    """`channel NUL version NUL` for each channel. Read by the scripts."""
    parent: bytes
    """Id of the parent checkpoint, or empty. Read by the scripts."""
    origin: bytes
    """Of a subgraph call: id of the root checkpoint that it started from. Read by the scripts."""
    head_type: bytes
    head: bytes
    metadata_type: bytes
    metadata: bytes

    def pack(self) -> bytes:
        """The record as put.lua takes it."""
        sections = b"".join([_SIZE.pack(len(section)) + section for section in self])
        return bounded("the checkpoint without its values", PLAIN + sections)


class Stored(NamedTuple):
    """A record with what put.lua put in front of it."""

    record: Record
    references: list[tuple[str, bytes]]
    """(channel, version token) of each."""
    held: bytes
    """A flag (`0` or `1`) a reference: does the checkpoint hold a value for it?"""
    lows: list[tuple[str, bytes]]
    """Delta channels, and the smallest checkpoint id that each continues from."""


def unpack_record(data: bytes) -> Stored:
    """A stored record.

    Raises:
        DamagedRecordError: it is cut short, or its flags are not one a reference.
    """
    _require_plain("checkpoint record", data)
    position, sections = 1, []
    for _ in range(2 + len(Record._fields)):
        try:
            (size,) = _SIZE.unpack_from(data, position)
        except struct.error as error:
            raise DamagedRecordError(_CUT) from error
        position += _SIZE.size
        sections.append(data[position : position + size])
        position += size
    held, lows, *rest = sections
    record = Record(*rest)
    references = unpack_references(record.references)
    if position != len(data) or len(held) != len(references):
        raise DamagedRecordError(_CUT)
    return Stored(record, references, held, unpack_references(lows))


def dump(serde: SerializerProtocol, what: str, value: object) -> tuple[bytes, bytes]:
    """`(type, data)` of a value.

    Raises:
        TypeError: `serde` cannot encode it; the message names `what`.
    """
    try:
        kind, data = serde.dumps_typed(value)
    except (TypeError, ValueError, AttributeError, RecursionError, PicklingError) as error:
        msg = (
            f"{what} cannot be serialized: {error}. Pass a value that the serializer supports, "
            "or a saver with serde=JsonPlusSerializer(pickle_fallback=True)"
        )
        raise TypeError(msg) from error
    return _encode_kind(kind), data


@lru_cache(maxsize=64)
def _encode_kind(kind: str) -> bytes:
    encoded = encode_text("the type that serde gives", kind)
    if encoded[:1] in (COMPRESSED, SEALED):
        msg = f"the type that serde gives must not begin with \\x01 or \\x02: {kind!r}"
        raise ValueError(msg)
    return encoded


def dump_compressed(serde: SerializerProtocol, what: str, value: object) -> tuple[bytes, bytes]:
    """`dump`, compressed where that is shorter; `load` reads both."""
    inner, cipher = layers(serde)
    kind, data = dump(inner, what, value)
    if SMALLEST <= len(data) <= LARGEST:
        frame = deflated(data)
        if len(frame) < len(data):
            return sealed(cipher, (SEALED if cipher else COMPRESSED) + kind, frame)
    return sealed(cipher, kind, data)


def load(serde: SerializerProtocol, kind: bytes, data: bytes) -> Any:
    """The value that `dump` or `dump_compressed` encoded.

    Raises:
        DamagedRecordError: it does not decompress.
    """
    if kind[:1] not in (COMPRESSED, SEALED):
        return serde.loads_typed((kind.decode(), data))
    inner, cipher = layers(serde)
    is_sealed, kind = kind[:1] == SEALED, kind[1:]
    if is_sealed:
        kind, _, name = kind.rpartition(b"+")
        if cipher is None:
            msg = "it is encrypted: pass the EncryptedSerializer that it was written with"
            raise DamagedRecordError(msg)
        data = cipher.decrypt(name.decode(), data)
    return inner.loads_typed((kind.decode(), inflated(data)))


def layers(serde: SerializerProtocol) -> tuple[SerializerProtocol, CipherProtocol | None]:
    """Serializer and cipher: encrypted bytes do not compress, so compression goes in between."""
    if type(serde) is EncryptedSerializer:
        return serde.serde, serde.cipher
    return serde, None


def sealed(cipher: CipherProtocol | None, kind: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Type and data as EncryptedSerializer has them."""
    if cipher is None:
        return kind, data
    name, secret = cipher.encrypt(data)
    return kind + b"+" + name.encode(), secret


def pack_references(versions: ChannelVersions) -> bytes:
    """The channels of a checkpoint with their versions."""
    return b"".join([reference(channel, version) + b"\0" for channel, version in versions.items()])


def reference(channel: str, version: object) -> bytes:
    """`channel NUL version`: names a value inside its namespace."""
    if not isinstance(version, (str, int, float)):
        msg = f"the version of channel {channel!r} must be str, int or float, not {version!r}"
        raise TypeError(msg)
    if version != version:  # noqa: PLR0124 - NaN
        msg = f"the version of channel {channel!r} must not be NaN"
        raise ValueError(msg)
    return _reference(channel, version)


@lru_cache(maxsize=4096, typed=True)  # a channel keeps its version over many checkpoints
def _reference(channel: str, version: str | float) -> bytes:
    name = encode_text("a channel name", channel)
    if isinstance(version, str):
        token = _text_token(encode_text(f"the version of channel {channel!r}", version))
    elif isinstance(version, int) or (isinstance(version, float) and version.is_integer()):
        token = b"i%d" % version
    else:
        token = b"f%r" % version
    return name + b"\0" + token


def _text_token(version: bytes) -> bytes:
    """A version as LangGraph's savers make it (32 digits, a dot, digits), without its zeros."""
    if _USUAL_VERSION.fullmatch(version):
        return b"v" + (version[:31].lstrip(b"0") + version[31:])
    return b"s" + version


def unpack_references(data: bytes) -> list[tuple[str, bytes]]:
    """(channel, version token) of each reference."""
    parts = data.split(b"\0")
    if len(parts) % 2 == 0 or parts[-1]:
        raise DamagedRecordError(_CUT)
    return [(name.decode(), token) for name, token in zip(parts[:-1:2], parts[1::2], strict=True)]


def version_of(token: bytes) -> str | int | float:
    """The channel version that `reference` encoded."""
    kind, text = token[:1], token[1:].decode()
    if kind == b"s":
        return text
    if kind == b"v":
        number, dot, rest = text.partition(".")
        return number.zfill(32) + dot + rest
    return int(text) if kind == b"i" else float(text)


Dump = Callable[["SerializerProtocol", str, object], tuple[bytes, bytes]]
"""`dump`, or `dump_compressed`."""


def pack_writes(
    serde: SerializerProtocol,
    writes: Mapping[int, tuple[str, Any]],
    task_path: str,
    dump: Dump = dump,
) -> bytes:
    """The writes of one task, `{index: (channel, value)}`, as stored."""
    path = encode_text("task_path", task_path)
    packed = []
    for index, (channel, value) in writes.items():
        what = f"the write to channel {channel!r}"
        kind, data = dump(serde, what, value)
        name = encode_text("a channel name", channel)
        body = b"%b%b\0%b\0%b\0%b" % (PLAIN, path, name, kind, data)
        packed.append(_WRITE_HEAD.pack(index, len(bounded(what, body))) + body)
    return bounded("the writes of the task", b"".join(packed))


class Write(NamedTuple):
    """One stored write; sorts after `writes_sort_key` of langgraph.checkpoint.base."""

    task_path: str
    task_id: str
    idx: int
    channel: str
    kind: bytes
    data: bytes


def unpack_writes(task_id: str, data: bytes | None) -> Iterator[Write]:
    """The writes of one task.

    Raises:
        LostKeysError: the task is listed, its writes are gone.
    """
    if data is None:
        msg = f"the writes of task {task_id!r} are gone"
        raise LostKeysError(msg)
    position = 0
    while position < len(data):
        try:
            index, size = _WRITE_HEAD.unpack_from(data, position)
            position += _WRITE_HEAD.size
            body = data[position : position + size]
            position += size
            _require_plain(f"write of task {task_id!r}", body)
            path, channel, kind, payload = body[1:].split(b"\0", 3)
        except (struct.error, ValueError) as error:
            msg = f"the writes of task {task_id!r} are damaged"
            raise DamagedRecordError(msg) from error
        if position > len(data):
            msg = f"the writes of task {task_id!r} are cut short"
            raise DamagedRecordError(msg)
        yield Write(path.decode(), task_id, index, channel.decode(), kind, payload)


def unpack_tasks(tasks: Sequence[bytes]) -> list[Write]:
    """The writes under a checkpoint, in order; `tasks` is task id, writes, task id, writes, ..."""
    return sorted(
        write
        for task_id, data in zip(tasks[::2], tasks[1::2], strict=True)
        for write in unpack_writes(task_id.decode(), data)
    )


def bounded(what: str, data: bytes) -> bytes:
    """`data`, unless a server would not accept it."""
    if len(data) > MAX_BULK:
        msg = (
            f"{what} takes {len(data):,} bytes, a server accepts {MAX_BULK:,} in one value: "
            "keep large objects elsewhere and put a reference to them in the state"
        )
        raise ValueError(msg)
    return data


def _require_plain(what: str, data: bytes) -> None:
    if data[:1] != PLAIN:
        msg = f"{what} has envelope {data[:1]!r}, which this version of the saver does not know"
        raise DamagedRecordError(msg)
