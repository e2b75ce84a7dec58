"""What the savers raise beyond ValueError and TypeError for bad input and redis-py's own errors."""

from __future__ import annotations

from redis.exceptions import ResponseError

__all__ = [
    "DamagedRecordError",
    "EmbeddedServerError",
    "EvictionPolicyWarning",
    "ForeignKeyError",
    "LayoutError",
    "LostKeysError",
    "SaverError",
    "ServerUnsuitableError",
    "ThreadNotFoundError",
]


class SaverError(Exception):
    """Base class of this package's errors."""


class LayoutError(SaverError):
    """The data under this prefix was written in a layout that this version does not know."""


class ForeignKeyError(SaverError):
    """A key of ours holds another type: something else writes under the same prefix."""


class LostKeysError(SaverError):
    """The server lost keys of a thread, by eviction or by hand: its state is not complete."""


class DamagedRecordError(SaverError):
    """A stored record is not what was written. Names the thread and the part."""


class ThreadNotFoundError(SaverError, LookupError):
    """There is no thread of that id."""


class ServerUnsuitableError(SaverError):
    """The server cannot run the savers: too old, or without scripting."""


class EmbeddedServerError(SaverError):
    """The embedded server did not start or stop."""


class EvictionPolicyWarning(UserWarning):
    """The server may evict checkpoints when its memory is full."""


_BY_CODE: dict[str, type[SaverError]] = {
    "SAVERLAYOUT": LayoutError,
    "WRONGTYPE": ForeignKeyError,
    "SAVERLOST": LostKeysError,
}


def translated(error: BaseException) -> BaseException:
    """The error of ours that a script's error reply stands for, or `error` itself."""
    if not isinstance(error, ResponseError):
        return error
    code, _, text = str(error).partition(" ")
    if code not in _BY_CODE:
        return error
    if code == "WRONGTYPE":
        text = f"something else writes under this prefix, choose another one ({text})"
    ours = _BY_CODE[code](text)
    ours.__cause__ = error
    return ours
