"""How long threads live and how many checkpoints of them stay: the options of a saver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

TimeToLive = timedelta | float
"""A duration, or seconds."""

_LONGEST = 2**53
"""Milliseconds that a script counts exactly."""


@dataclass(frozen=True)
class Retention:
    """The options as the scripts take them."""

    ttl: int = 0
    """Milliseconds; 0 for ever."""
    refresh_on_read: bool = False
    keep_last: int = 0
    """Checkpoints of a namespace; 0 for all."""


def retention_of(
    ttl: TimeToLive | Mapping[str, Any] | None = None,
    *,
    refresh_on_read: bool | None = None,
    keep_last: int | None = None,
) -> Retention:
    """The options of a saver.

    Raises:
        TypeError: an option has the wrong type.
        ValueError: an option is out of its range, or `ttl` is a dict with other keys than
            `default_ttl` (minutes) and `refresh_on_read`.
    """
    if isinstance(ttl, Mapping):
        if unknown := ttl.keys() - {"default_ttl", "refresh_on_read"}:
            msg = f"ttl takes default_ttl (minutes) and refresh_on_read, not {sorted(unknown)}"
            raise ValueError(msg)
        if refresh_on_read is None:
            refresh_on_read = ttl.get("refresh_on_read")
        ttl = _seconds_of(ttl.get("default_ttl"))
    if refresh_on_read is not None and not isinstance(refresh_on_read, bool):
        msg = f"refresh_on_read must be a bool, not {refresh_on_read!r}"
        raise TypeError(msg)
    if refresh_on_read and ttl is None:
        msg = "refresh_on_read needs a ttl to refresh: pass ttl=timedelta(...)"
        raise ValueError(msg)
    return Retention(
        ttl=0 if ttl is None else milliseconds("ttl", ttl),
        refresh_on_read=bool(refresh_on_read),
        keep_last=0 if keep_last is None else checked_count("keep_last", keep_last),
    )


def _seconds_of(minutes: Any) -> float | None:
    if minutes is None:
        return None
    if isinstance(minutes, timedelta):
        msg = f"default_ttl is a number of minutes, not {minutes!r}: pass ttl=timedelta(...)"
        raise TypeError(msg)
    milliseconds("default_ttl", minutes)  # raises for what is no duration
    return float(minutes * 60)


def milliseconds(what: str, duration: object) -> int:
    """A duration in whole milliseconds, at least 1.

    Raises:
        TypeError: it is no timedelta and no number.
        ValueError: it is not positive, or longer than a server keeps count of.
    """
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        msg = f"{what} must be a timedelta or a number, not {duration!r}"
        raise TypeError(msg)
    if not 0 < seconds * 1000 < _LONGEST:  # nan is neither
        msg = f"{what} must be positive and finite, not {duration!r}"
        raise ValueError(msg)
    return max(1, round(seconds * 1000))


def checked_count(what: str, count: object) -> int:
    """A number of checkpoints, at least 1."""
    if not isinstance(count, int) or isinstance(count, bool):
        msg = f"{what} must be an int, not {count!r}"
        raise TypeError(msg)
    if count < 1:
        msg = f"{what} must be at least 1, not {count}: delete_thread() keeps nothing"
        raise ValueError(msg)
    return count
