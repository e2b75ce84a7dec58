"""Plans that concern threads as a whole: copy, prune, delete by run, expire, describe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast
from uuid import uuid4

from saver import _codec as codec
from saver._filters import digest
from saver._ids import encode_id
from saver._keys import SHARD_KINDS, SHARDS
from saver._listing import checked_limit, walk_threads
from saver._plans import put_call
from saver._requests import Call, InOrder, Page
from saver._retention import Retention, checked_count
from saver.errors import DamagedRecordError, LostKeysError, SaverError, ThreadNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from langgraph.checkpoint.serde.base import SerializerProtocol

    from saver._keys import Keys
    from saver._plans import Plan

_PAGE = 50
_SHARDS_AT_ONCE = 128
_THREADS_AT_ONCE = 100
_RUNS_AT_ONCE = 100
_STAGED = Retention(ttl=3_600_000)
"""A copy that does not come to its end is gone after an hour."""


@dataclass(frozen=True)
class ThreadInfo:
    """What is known of a thread."""

    thread_id: str
    checkpoints: int
    """In all namespaces."""
    checkpoint_id: str | None
    """The newest one's; `None` when there are only writes whose checkpoint has not arrived."""
    updated_at: datetime | None
    """When that one was made."""
    bytes: int
    """Memory that the thread takes on the server, estimated from samples."""
    ttl: timedelta | None
    """Time left to live; `None`: for ever."""
    pinned: bool
    """Kept for ever, whatever a saver's `ttl` is."""


def copy_thread(keys: Keys, source: str, target: str, retention: Retention) -> Plan[None]:
    """Replays a thread under a hidden name beside the target, then gives it the target's."""
    source_id = encode_id("source_thread_id", source)
    target_id = encode_id("target_thread_id", target)
    if (yield _describe(keys, target_id)):
        raise _taken(target)
    staged_id = b"\0" + uuid4().hex.encode()
    staged = keys.staged(target_id, staged_id)
    copied = yield from _stage(keys.thread(source_id), source_id, staged, staged_id)
    if not copied:
        return
    there, found = yield (_describe(keys, source_id), Call("describe", staged, (staged_id,)))
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
    if reply == b"GONE" and not (yield _describe(keys, target_id)):
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
            bound = page[2]
            calls = tuple(replay(staged, staged_id, page))
            copied += len(calls)
            if calls:
                yield InOrder(calls)
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
    checkpoints, values = page[0], page[1]
    sent = set()
    for ns, checkpoint_id, data, positions, tasks in checkpoints:
        stored = codec.unpack_record(data)
        flags, fields = bytearray(), []
        for position, flag, (channel, token) in zip(
            positions, stored.held, stored.references, strict=True
        ):
            if flag == ord("0"):
                flags += b"0"
                continue
            if position in sent:
                flags += b"?"
                continue
            value = values[position - 1]
            if value is None:
                msg = f"the value of channel {channel!r} is gone"
                raise LostKeysError(msg)
            sent.add(position)
            flags += b"1"
            fields += [ns + b"\0" + channel.encode() + b"\0" + token, value]
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


def prune(
    keys: Keys, thread_ids: Sequence[str], strategy: str, keep_last: int | None
) -> Plan[None]:
    """Keeps the newest checkpoints of each namespace, with what they need."""
    ids = _checked_ids("thread_ids", "thread_id", thread_ids)
    if strategy not in ("keep_latest", "delete"):
        msg = f'strategy must be "keep_latest" or "delete", not {strategy!r}'
        raise ValueError(msg)
    if strategy == "delete" and keep_last is not None:
        msg = 'strategy "delete" keeps nothing: leave keep_last out, or pass "keep_latest"'
        raise ValueError(msg)
    keep = 1 if keep_last is None else checked_count("keep_last", keep_last)
    if strategy == "delete":
        yield from _repeated(
            {each: Call("delete_thread", keys.thread(each), (each,)) for each in ids},
            lambda call, _: call,
        )
    else:
        yield from _repeated(
            {each: Call("prune", keys.thread(each), (each, keep, b"-")) for each in ids},
            _with_bound,
        )


def delete_for_runs(keys: Keys, run_ids: Sequence[str]) -> Plan[None]:
    """Finds the threads of runs in every shard, and deletes the runs' checkpoints there."""
    runs = [digest(each.decode()) for each in _checked_ids("run_ids", "run_id", run_ids)]
    runs.reverse()  # mostly the last is the newest, and rebuilt from the others
    left: dict[bytes, int] = {}
    for start in range(0, len(runs), _RUNS_AT_ONCE):
        some = runs[start : start + _RUNS_AT_ONCE]
        for first in range(0, SHARDS, _SHARDS_AT_ONCE):
            yield from _find_and_delete(keys, some, range(first, first + _SHARDS_AT_ONCE), left)
    # What stayed because another one of the runs needed it can go now.
    before: dict[bytes, int] = {}
    while len(runs) > 1 and left != before:
        before, left = left, {}
        yield from _delete_runs(keys, reversed(before), left)


def _find_and_delete(
    keys: Keys, runs: Sequence[bytes], shards: range, left: dict[bytes, int]
) -> Plan[None]:
    bounds = {shard: [b"[" + run for run in runs] for shard in shards}
    while bounds:
        replies = yield tuple(
            Call("runs", keys.shard(shard), (_THREADS_AT_ONCE, *some))
            for shard, some in bounds.items()
        )
        found = [
            member
            for reply in replies
            for members in reply
            for member in members
            if member[8:9] != b"\0"  # a copy under way
        ]
        yield from _delete_runs(keys, found, left)
        bounds = {
            shard: further
            for shard, reply in zip(list(bounds), replies, strict=True)
            if (further := [b"(" + each[-1] for each in reply if len(each) == _THREADS_AT_ONCE])
        }


def _delete_runs(keys: Keys, members: Iterable[bytes], left: dict[bytes, int]) -> Plan[None]:
    """Deletes runs (`run thread_id`); enters in `left` how many of their checkpoints stay."""

    def following(call: Call, reply: bytes | int) -> Call | None:
        if isinstance(reply, bytes):
            return _with_bound(call, reply)
        thread_id, run, _ = cast("tuple[bytes, ...]", call.args)
        left[run + thread_id] = reply
        return None

    yield from _repeated(
        {
            member: Call(
                "delete_run",
                keys.thread(member[8:]),
                (member[8:], member[:8], b"[" + member[:8] + b"\xff"),
            )
            for member in members
        },
        following,
    )


def _with_bound(call: Call, bound: bytes) -> Call:
    return Call(call.script, call.keys, (*call.args[:-1], bound))


def _repeated(calls: Mapping[bytes, Call], following: Any) -> Plan[None]:
    """Sends calls, some at once, and for each that replies something the following one, if any."""
    waiting = list(calls.values())
    while waiting:
        some, waiting = waiting[:_THREADS_AT_ONCE], waiting[_THREADS_AT_ONCE:]
        replies = yield tuple(some)
        further = [
            following(call, reply) for call, reply in zip(some, replies, strict=True) if reply
        ]
        waiting += filter(None, further)


def expire(keys: Keys, thread_id: str, how: int | Literal[b"pin", b"unpin"]) -> Plan[None]:
    """Sets how long a thread lives: milliseconds, or for ever with or without a saver's say."""
    encoded = encode_id("thread_id", thread_id)
    if not (yield Call("expire", keys.thread(encoded), (encoded, how))):
        raise _not_found(thread_id)


def ttl(keys: Keys, thread_id: str) -> Plan[timedelta | None]:
    """How long a thread has left to live."""
    reply = yield _describe(keys, encode_id("thread_id", thread_id))
    if not reply:
        raise _not_found(thread_id)
    return _time_left(reply[5])


def _not_found(thread_id: str) -> ThreadNotFoundError:
    return ThreadNotFoundError(f"there is no thread {thread_id!r}")


def threads(keys: Keys, serde: SerializerProtocol, limit: int | None) -> Plan[None]:
    """Yields pages of what is known of every thread."""

    def describe(thread_ids: Sequence[bytes], left: int | None) -> Plan[int | None]:
        replies = (yield tuple(_describe(keys, each) for each in thread_ids)) if thread_ids else []
        found = [
            _info(serde, each, reply)
            for each, reply in zip(thread_ids, replies, strict=True)
            if reply  # else it expired
        ][:left]
        if found:
            yield Page(found)
        return None if left is None else left - len(found)

    yield from walk_threads(keys, describe, checked_limit(limit))


def _describe(keys: Keys, thread_id: bytes) -> Call:
    return Call("describe", keys.thread(thread_id), (thread_id,))


def _info(serde: SerializerProtocol, thread_id: bytes, reply: Sequence[Any]) -> ThreadInfo:
    checkpoints, checkpoint_id, _, data, _, left, size = reply
    return ThreadInfo(
        thread_id=thread_id.decode(),
        checkpoints=checkpoints,
        checkpoint_id=checkpoint_id.decode() or None,
        updated_at=_made_at(serde, data) if data else None,
        bytes=size,
        ttl=_time_left(left),
        pinned=left == b"inf",
    )


def _made_at(serde: SerializerProtocol, data: bytes) -> datetime | None:
    record = codec.unpack_record(data).record
    ts = codec.load(serde, record.head_type, record.head).get("ts")
    if ts is None:
        return None
    try:
        return datetime.fromisoformat(ts)
    except ValueError as error:
        msg = f"a checkpoint's ts is no time: {ts!r}"
        raise DamagedRecordError(msg) from error


def _time_left(milliseconds: int | bytes) -> timedelta | None:
    if isinstance(milliseconds, bytes) or milliseconds < 0:
        return None
    return timedelta(milliseconds=milliseconds)


def _checked_ids(what: str, each: str, ids: Sequence[str]) -> list[bytes]:
    if isinstance(ids, (str, bytes)):
        msg = f"{what} must be a list of ids, not one: pass [{ids!r}]"
        raise TypeError(msg)
    return list(dict.fromkeys(encode_id(each, one) for one in ids))
