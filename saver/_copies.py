"""The plan behind `copy_thread`: stage beside the target, then switch in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from saver import _codec as codec
from saver._envelope import parse
from saver._ids import encode_id
from saver._keys import SHARD_KINDS
from saver._lifecycle import describe_call
from saver._plans import put_call
from saver._requests import Call, InOrder
from saver._retention import Retention
from saver.errors import DamagedRecordError, LostKeysError, SaverError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from saver._keys import Keys
    from saver._plans import Plan

_PAGE = 50
_STAGED = Retention(ttl=3_600_000)
"""A copy that does not come to its end is gone after an hour."""


def copy_thread(keys: Keys, source: str, target: str, retention: Retention) -> Plan[None]:
    """Replays a thread under a hidden name beside the target, then gives it the target's."""
    source_id = encode_id("source_thread_id", source)
    target_id = encode_id("target_thread_id", target)
    if (yield describe_call(keys, target_id)):
        raise _taken(target)
    staged_id = b"\0" + uuid4().hex.encode()
    staged = keys.staged(target_id, staged_id)
    copied = yield from _stage(keys.thread(source_id), source_id, staged, staged_id)
    if not copied:
        return
    there, found = yield (describe_call(keys, source_id), Call("describe", staged, (staged_id,)))
    if not there:  # it was deleted, or expired, perhaps before all of it was read
        yield from _discard(staged, staged_id)
        return
    if not found or found[0] + found[4] != copied:
        raise _incomplete(source)
    end = Call(
        "publish",
        keys.thread(target_id) + staged[len(SHARD_KINDS) :],
        (target_id, staged_id, retention.ttl),
    )
    while (reply := (yield end)) == b"MORE":
        pass
    if reply == b"TAKEN":
        yield from _discard(staged, staged_id)
        raise _taken(target)
    # It is gone, too, when the reply to an earlier publish was lost.
    if reply == b"GONE" and not (yield describe_call(keys, target_id)):
        raise _incomplete(source)


def _stage(
    source: tuple[bytes, ...], source_id: bytes, staged: tuple[bytes, ...], staged_id: bytes
) -> Plan[int]:
    """Replays a thread into other keys, page by page; how many calls that took."""
    copied = 0
    for order, replay in ((b"timeline", _put_again), (b"pending", _write_again)):
        bound: bytes | None = b"-"
        while bound is not None:
            page = yield Call("export", source, (source_id, order, bound, _PAGE))
            bound = page[3]
            calls = tuple(replay(staged, staged_id, page))
            copied += len(calls)
            if calls and b"INCOMPLETE" in (yield InOrder(calls)):
                msg = "a value of the source does not start from the version that is stored"
                raise DamagedRecordError(msg)
    return copied


def _discard(staged: tuple[bytes, ...], staged_id: bytes) -> Plan[None]:
    while (yield Call("delete_thread", staged, (staged_id,))):
        pass


def _taken(target: str) -> ValueError:
    msg = f"the target thread {target!r} has checkpoints already: delete it, or pass another id"
    return ValueError(msg)


def _incomplete(source: str) -> SaverError:
    return SaverError(f"the copy of {source!r} was lost before it was complete: repeat it")


def _put_again(staged: tuple[bytes, ...], staged_id: bytes, page: Sequence[Any]) -> Iterator[Call]:
    """The calls that store a page of export.lua, byte for byte."""
    checkpoints, values, bases = page[:3]
    sent: set[int] = set()
    for ns, checkpoint_id, data, positions, tasks in checkpoints:
        stored = codec.unpack_record(data)
        flags, fields = bytearray(), []
        for position, flag, (channel, token) in zip(
            positions, stored.held, stored.references, strict=True
        ):
            if flag == ord("0"):
                flags += b"0"
            elif position in sent:
                flags += b"?"
            else:
                flags += b"1"
                stem = ns + b"\0" + channel.encode() + b"\0"
                fields += _with_bases(stem, token, position, values, bases, sent)
        yield put_call(
            staged,
            staged_id,
            ns,
            checkpoint_id,
            stored.record.pack(),
            bytes(flags),
            b"".join([channel.encode() + b"\0" for channel, _ in stored.lows]),
            [],
            fields,
            _STAGED,
        )
        for task_id, writes in zip(tasks[::2], tasks[1::2], strict=True):
            yield _write_call(staged, staged_id, ns + b"\0" + checkpoint_id, task_id, writes)


def _with_bases(
    stem: bytes,
    token: bytes,
    position: int,
    values: Sequence[bytes | None],
    bases: Sequence[int],
    sent: set[int],
) -> list[bytes]:
    """Field, value, ... of a value not sent yet, after the versions that it starts from."""
    fields: list[bytes] = []
    while position and position not in sent:
        value = values[position - 1]
        if value is None:
            msg = f"the value {(stem + token)!r} is gone"
            raise LostKeysError(msg)
        sent.add(position)
        fields[:0] = [stem + token, value]
        position = bases[position - 1]
        if position:
            token = parse(value).base
    return fields


def _write_again(
    staged: tuple[bytes, ...], staged_id: bytes, page: Sequence[Any]
) -> Iterator[Call]:
    fields = page[0]
    for field, writes in zip(fields[::2], fields[1::2], strict=True):
        member, _, task_id = field.rpartition(b"\0")
        yield _write_call(staged, staged_id, member, task_id, writes)


def _write_call(
    staged: tuple[bytes, ...], staged_id: bytes, member: bytes, task_id: bytes, writes: bytes | None
) -> Call:
    if writes is None:
        msg = f"the writes of task {task_id.decode()!r} are gone"
        raise LostKeysError(msg)
    return Call("put_writes", staged, (staged_id, member, task_id, writes, _STAGED.ttl))
