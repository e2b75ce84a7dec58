"""The reference for single operations: what a put, a read or a put of writes cannot do without.

Each is one HSET or HMGET of the values that the saver stores, and their serialisation. No ids are
checked, no order is kept, nothing is indexed, no types are stored beside the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langgraph.checkpoint.serde.base import SerializerProtocol

    from benchmarks.recording import Put, PutWrites

Parts = list[tuple[bytes, Any]]
"""Field names with the values to serialise."""


@dataclass
class RawHash:
    """One hash, and what has been put into it."""

    key: bytes
    serde: SerializerProtocol
    _kinds: dict[bytes, str] = field(default_factory=dict)
    _latest: list[bytes] = field(default_factory=list)

    def parts_of_put(self, call: Put) -> Parts:
        """The new channel values, the checkpoint without its channels, the metadata."""
        values, versions = call.checkpoint["channel_values"], call.checkpoint["channel_versions"]
        field_of = {name: f"{name} {versions[name]}".encode() for name in values}
        head, metadata = (f"{call.checkpoint['id']} {what}".encode() for what in "hm")
        self._latest = [*field_of.values(), head, metadata]
        return [
            *((field_of[name], values[name]) for name in call.new_versions if name in values),
            (head, call.head),
            (metadata, call.full_metadata),
        ]

    def parts_of_writes(self, call: PutWrites) -> Parts:
        """The values written."""
        start = f"{call.config['configurable']['checkpoint_id']} {call.task_id}"
        parts = [(f"{start} {n}".encode(), value) for n, (_, value) in enumerate(call.writes)]
        self._latest += [name for name, _ in parts]
        return parts

    def store(self, parts: Parts) -> list[Any]:
        """Serialises; returns the command."""
        command: list[Any] = ["HSET", self.key]
        for name, value in parts:
            kind, data = self.serde.dumps_typed(value)
            self._kinds[name] = kind
            command += [name, data]
        return command

    def latest_fields(self) -> list[bytes]:
        """Fields of the latest checkpoint: its channel values, itself, its metadata and writes."""
        return list(self._latest)

    def read(self, fields: list[bytes]) -> list[Any]:
        """The command that reads fields."""
        return ["HMGET", self.key, *fields]

    def load(self, fields: list[bytes], reply: Sequence[bytes]) -> list[Any]:
        """Deserialises what was read."""
        kinds, loads = self._kinds, self.serde.loads_typed
        return [loads((kinds[name], data)) for name, data in zip(fields, reply, strict=True)]
