"""Channel values: how a saver stores them, and how a page of them is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from saver import _codec as codec
from saver import _envelope as envelope
from saver._versions import KnownVersions
from saver.errors import DamagedRecordError, LostKeysError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langgraph.checkpoint.serde.base import SerializerProtocol

    from saver._envelope import Version
    from saver._versions import Channel

Compression = Literal["delta", "zstd"] | None
CACHE_BYTES = 64 * 1024 * 1024


class ValueStore:
    """Packs values as a saver's option has it, and remembers them as bases."""

    def __init__(self, compression: Compression = None, cache_bytes: int = CACHE_BYTES) -> None:
        if compression not in ("delta", "zstd", None):
            msg = f'compression must be "delta", "zstd" or None, not {compression!r}'
            raise ValueError(msg)
        if not isinstance(cache_bytes, int) or isinstance(cache_bytes, bool) or cache_bytes < 0:
            msg = f"cache_bytes must be a number of bytes, 0 or more, not {cache_bytes!r}"
            raise ValueError(msg)
        self._compresses = compression is not None
        self.dump: codec.Dump = codec.dump_compressed if self._compresses else codec.dump
        """For what is no channel value."""
        self._known = KnownVersions(cache_bytes if compression == "delta" else 0)

    def pack(
        self, serde: SerializerProtocol, where: Channel, token: bytes, value: object, *, whole: bool
    ) -> tuple[bytes, Version | None]:
        """A value as stored, not as a delta when it is to be whole; and what to know of it."""
        what = f"the value of channel {where[2]!r}"
        inner, cipher = codec.layers(serde)
        kind, data = codec.dump(inner, what, value)
        if self._compresses:
            base = None if whole else self._known.get(where)
            if base is not None and base.token == token:
                base = None
            packed = envelope.encode(b"%b\0%b" % (kind, data), token, base, cipher)
            if packed is not None:
                codec.bounded(what, packed[0])
                return packed
        kind, data = codec.sealed(cipher, kind, data)
        return codec.bounded(what, b"%b%b\0%b" % (codec.PLAIN, kind, data)), None

    def learn(self, where: Channel, version: Version | None) -> None:
        """Remembers the version that the next one starts from."""
        self._known.put(where, version)


class PageValues:
    """The values of a page, each with the versions that it starts from; every one read once."""

    def __init__(
        self, serde: SerializerProtocol, stored: Sequence[bytes | None], bases: Sequence[int]
    ) -> None:
        self._serde = serde
        self._inner, self._cipher = codec.layers(serde)
        self._stored = stored
        self._bases = bases
        self._versions: dict[int, Version] = {}

    def of_checkpoint(
        self, references: Sequence[tuple[str, bytes]], positions: Sequence[int], held: bytes
    ) -> dict[str, Any]:
        """The channel values of a checkpoint; a channel without a value is left out.

        Raises:
            LostKeysError: the server held a value when the checkpoint was put and no longer does.
            DamagedRecordError: a value cannot be read.
        """
        values = {}
        for (channel, token), position, flag in zip(references, positions, held, strict=True):
            stored = self._stored[position - 1]
            if stored or (stored is None and flag == ord("1")):
                values[channel] = self.load(position, channel, token)
        return values

    def load(self, position: int, channel: str, token: bytes = b"") -> Any:
        """The value at a position.

        Raises:
            DamagedRecordError: it cannot be read; the message names channel and version.
            LostKeysError: it, or a version that it starts from, is gone.
        """
        data = self._stored[position - 1]
        try:
            if data is not None and data[:1] == codec.PLAIN:
                kind, _, payload = data[1:].partition(b"\0")
                return codec.load(self._serde, kind, payload)
            kind, _, payload = self._restored(position).value.partition(b"\0")
            return codec.load(self._inner, kind, payload)
        except (DamagedRecordError, LostKeysError) as error:
            version = f", version {codec.version_of(token)!r}" if token else ""
            msg = f"the value of channel {channel!r}{version}: {error}"
            raise type(error)(msg) from error

    def version_of(self, position: int, token: bytes) -> Version | None:
        """What a next version can start from: a compressed value."""
        data = self._stored[position - 1]
        if not data or data[:1] == codec.PLAIN:
            return None
        return self._restored(position)._replace(token=token)

    def _restored(self, position: int) -> Version:
        base: Version | None = None
        for link in reversed(self._chain(position)):
            base = self._versions.get(link) or self._restore(link, base)
            self._versions[link] = base
        return self._versions[position]

    def _chain(self, position: int) -> list[int]:
        """Positions from a value back to its keyframe, or to one that is restored already."""
        chain = [position]
        while position not in self._versions and (position := self._bases[position - 1]):
            if len(chain) > envelope.MOST_LINKS:
                raise DamagedRecordError(_LOOP)
            chain.append(position)
        return chain

    def _restore(self, position: int, base: Version | None) -> Version:
        data = self._stored[position - 1]
        if data is None:
            msg = "it, or a version that it starts from, is gone"
            raise LostKeysError(msg)
        stored = envelope.parse(data)
        if stored.base_check != (base.check if base else b""):
            msg = "it does not start from the version that is stored"
            raise DamagedRecordError(msg)
        return envelope.restore(stored, len(data), base, self._cipher)


_LOOP = "it starts from itself"
