"""What a saver remembers of stored values, so that the next version can be stored as a delta."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saver._envelope import Version

Channel = tuple[bytes, bytes, str]
"""Thread, namespace, channel."""


_EACH = 400


class KnownVersions:
    """The last known version of each channel, up to so many bytes; the least recently used goes.

    What is remembered may be out of date: the server checks that a base is still there. Any thread
    may use it.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._versions: OrderedDict[Channel, Version] = OrderedDict()
        self._lock = Lock()

    def get(self, channel: Channel) -> Version | None:
        """The last known version."""
        with self._lock:
            version = self._versions.get(channel)
            if version is not None:
                self._versions.move_to_end(channel)
            return version

    def put(self, channel: Channel, version: Version | None) -> None:
        """Remembers a version, or that the last one can be no base."""
        with self._lock:
            before = self._versions.pop(channel, None)
            if before is not None:
                self._bytes -= _size(before)
            if version is None or _size(version) > self._max_bytes:
                return
            self._versions[channel] = version
            self._bytes += _size(version)
            while self._bytes > self._max_bytes:
                _, oldest = self._versions.popitem(last=False)
                self._bytes -= _size(oldest)


def _size(version: Version) -> int:
    """Bytes of memory, roughly: the value, and what it takes to remember one."""
    return len(version.value) + _EACH
