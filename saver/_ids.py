"""Reads ids from a RunnableConfig and refuses, before anything is sent, what is no id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.runnables import RunnableConfig


class Target(NamedTuple):
    """Where a call goes: a thread, a namespace ('' is the root), perhaps one checkpoint."""

    thread_id: bytes
    ns: bytes
    checkpoint_id: bytes | None

    @property
    def member(self) -> bytes:
        """`ns NUL checkpoint_id`, the name of a checkpoint inside its thread."""
        return self.ns + b"\0" + (self.checkpoint_id or b"")


def encode_text(what: str, value: object) -> bytes:
    """UTF-8 of a `str` without NUL, the separator of every compound name that we store.

    Raises:
        TypeError: `value` is not a `str`.
        ValueError: `value` holds NUL or a lone surrogate.
    """
    if not isinstance(value, str):
        msg = f"{what} must be a str, not {type(value).__name__}: pass {str(value)!r}"
        raise TypeError(msg)
    if "\0" in value:
        msg = f"{what} must not contain NUL (\\0): {value!r}"
        raise ValueError(msg)
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        msg = f"{what} must be valid Unicode, without lone surrogates: {value!r}"
        raise ValueError(msg) from error


def encode_id(what: str, value: object) -> bytes:
    """`encode_text` of a non-empty id."""
    encoded = encode_text(what, value)
    if not encoded:
        msg = f"{what} must not be empty: pass an id, or leave it out where it is optional"
        raise ValueError(msg)
    return encoded


def configurable_of(config: RunnableConfig | None) -> Mapping[str, Any]:
    """The `configurable` part of a config.

    Raises:
        TypeError: `config` is not a dict that has one.
    """
    configurable = config.get("configurable") if isinstance(config, dict) else None
    if not isinstance(configurable, dict):
        msg = f'config must be {{"configurable": {{"thread_id": ...}}}}, not {config!r}'
        raise TypeError(msg)
    return configurable


def target_of(config: RunnableConfig | None) -> Target:
    """The target that a config names; `checkpoint_ns` defaults to the root.

    Raises:
        TypeError: an id is not a `str`.
        ValueError: `thread_id` is missing, or an id is empty or holds NUL.
    """
    configurable = configurable_of(config)
    ns = configurable.get("checkpoint_ns")
    checkpoint_id = configurable.get("checkpoint_id")
    return Target(
        thread_id=thread_id_of(configurable),
        ns=b"" if ns is None else encode_text("checkpoint_ns", ns),
        checkpoint_id=None if checkpoint_id is None else encode_id("checkpoint_id", checkpoint_id),
    )


def thread_id_of(configurable: Mapping[str, Any]) -> bytes:
    """The thread id of a config's `configurable`."""
    if configurable.get("thread_id") is None:
        msg = 'config has no thread_id: pass {"configurable": {"thread_id": "some-id"}}'
        raise ValueError(msg)
    return encode_id("thread_id", configurable["thread_id"])


def config_of(thread_id: bytes, ns: bytes, checkpoint_id: bytes) -> RunnableConfig:
    """The config that names a stored checkpoint."""
    return {
        "configurable": {
            "thread_id": thread_id.decode(),
            "checkpoint_ns": ns.decode(),
            "checkpoint_id": checkpoint_id.decode(),
        }
    }
