"""Metadata filters as digests: the server compares bytes and never sees a value.

Two values are equal when their canonical JSON is: `True` is not `1`, `1.0` is `1`, integers of any
size are exact, a tuple is a list. Digests also work on metadata that `serde` encrypts.
"""

from __future__ import annotations

import json
import math
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIZE = 8
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
_NO_JSON = bytes(_SIZE)
"""Digest of a value that has no canonical JSON: no filter asks for it."""


def digest(text: str) -> bytes:
    """Eight bytes that stand for a text."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_SIZE).digest()


_digest_of_key = lru_cache(maxsize=1024)(digest)
_LONGEST_CACHED = 100
"""Characters or bits; sources and steps come again, long ones hardly do."""


def digests_of(metadata: Mapping[str, Any]) -> bytes:
    """`(key digest, value digest)*` of a checkpoint's metadata, 16 bytes a key."""
    return b"".join(
        _digest_of_key(key) + _digest_of_value(value)
        for key, value in metadata.items()
        if isinstance(key, str)
    )


def terms_of(filter: Mapping[str, Any] | None) -> list[bytes]:
    """The filter as list.lua takes it.

    Raises:
        TypeError: a key is not a `str`, or a value has no canonical JSON.
    """
    if filter is not None and not isinstance(filter, dict):
        msg = f"filter must be a dict of metadata keys and values, not {filter!r}"
        raise TypeError(msg)
    return [_term(key, value) for key, value in (filter or {}).items()]


def _term(key: object, value: object) -> bytes:
    if not isinstance(key, str):
        msg = f"filter keys are metadata keys, of type str, not {key!r}"
        raise TypeError(msg)
    canonical = _canonical(value)
    if canonical is None:
        msg = (
            f"filter value of {key!r} must be JSON (str, number, bool, None, list, dict): {value!r}"
        )
        raise TypeError(msg)
    # As `metadata.get(key) == None` has it, a checkpoint without the key matches None.
    sign = b"?" if value is None else b"="
    return sign + _digest_of_key(key) + digest(canonical)


def _digest_of_value(value: object) -> bytes:
    if type(value) is str and len(value) <= _LONGEST_CACHED:
        return _digest_of_scalar(value)
    if type(value) is int and value.bit_length() <= _LONGEST_CACHED:
        return _digest_of_scalar(value)
    canonical = _canonical(value)
    return _NO_JSON if canonical is None else digest(canonical)


@lru_cache(maxsize=1024)
def _digest_of_scalar(value: str | int) -> bytes:
    return digest(json.dumps(value))


def _canonical(value: object) -> str | None:
    try:
        return _JSON.encode(_normal(value))
    except (TypeError, ValueError, RecursionError):
        return None


def _normal(value: object) -> object:
    """`value` with integral floats as integers; raises TypeError for what JSON does not have."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value.is_integer() else value
    if isinstance(value, (list, tuple)):
        return [_normal(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _normal(item) for key, item in value.items()}
    msg = f"not JSON: {type(value).__name__}"
    raise TypeError(msg)
