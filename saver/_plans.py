"""Every operation as a plan: a generator that yields calls, receives replies, returns a result.

A plan does no I/O, so the same plan serves the sync and the async saver; `saver._transport` sends
its calls. Yielding a tuple of calls asks for them in one go and receives the list of their replies.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    CheckpointTuple,
    get_checkpoint_metadata,
)

from saver import _codec as codec
from saver._filters import digest, digests_of
from saver._ids import config_of, encode_id, encode_text, target_of
from saver._requests import Call
from saver._retention import Retention
from saver._values import PageValues, ValueStore
from saver.errors import DamagedRecordError, LostKeysError, SaverError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
    from langgraph.checkpoint.serde.base import SerializerProtocol

    from saver._envelope import Version
    from saver._ids import Target
    from saver._keys import Keys

T = TypeVar("T")
Plan = Generator[Any, Any, T]
FOREVER = Retention()
PLAIN_STORE = ValueStore()

_OUTSIDE_HEAD = frozenset({"channel_values", "channel_versions"})


def put(
    keys: Keys,
    serde: SerializerProtocol,
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    new_versions: ChannelVersions,
    retention: Retention = FOREVER,
    store: ValueStore = PLAIN_STORE,
) -> Plan[RunnableConfig]:
    """Stores a checkpoint and the values of the channels in `new_versions`."""
    target = target_of(config)
    checkpoint_id = _id_of(checkpoint)
    full_metadata = get_checkpoint_metadata(config, metadata)
    record = _record(serde, store.dump, target, checkpoint, full_metadata)
    deltas = _delta_channels(checkpoint, full_metadata)

    def call(changed: ChannelVersions, *, whole: bool) -> tuple[Call, _Packed]:
        packed = _pack(serde, store, target, checkpoint, changed, whole=whole)
        made = put_call(
            keys.thread(target.thread_id),
            target.thread_id,
            target.ns,
            checkpoint_id,
            record,
            _held(checkpoint, changed),
            deltas,
            packed.cleared,
            packed.values,
            retention,
        )
        return made, packed

    request, packed = call(new_versions, whole=False)
    if (yield request) == b"INCOMPLETE":
        # The thread was deleted, or expired, under a run that goes on; or what a delta starts from
        # is gone, or another one. A channel that has no value here may have one at an older
        # checkpoint, of the same version.
        versions, values = checkpoint["channel_versions"], checkpoint["channel_values"]
        held = {channel: versions[channel] for channel in versions if channel in values}
        request, packed = call({**new_versions, **held}, whole=True)
        if (yield request) == b"INCOMPLETE":
            msg = f"the server does not take checkpoint {checkpoint_id.decode()!r} whole"
            raise SaverError(msg)
    for channel, version in packed.versions.items():
        # Of a channel that did not change the server keeps the form that it had.
        known = version if channel in new_versions else None
        store.learn((target.thread_id, target.ns, channel), known)
    return config_of(target.thread_id, target.ns, checkpoint_id)


def put_call(
    keys: tuple[bytes, ...],
    thread_id: bytes,
    ns: bytes,
    checkpoint_id: bytes,
    record: bytes,
    flags: bytes,
    deltas: bytes,
    cleared: Sequence[bytes],
    values: Sequence[bytes],
    retention: Retention,
) -> Call:
    """The call of put.lua; its header says what the arguments are."""
    return Call(
        "put",
        keys,
        (
            thread_id,
            ns,
            checkpoint_id,
            record,
            flags,
            deltas,
            retention.ttl,
            retention.keep_last,
            len(cleared),
            *cleared,
            *values,
        ),
    )


def put_writes(
    keys: Keys,
    serde: SerializerProtocol,
    config: RunnableConfig,
    writes: Sequence[tuple[str, Any]],
    task_id: str,
    task_path: str,
    retention: Retention = FOREVER,
    store: ValueStore = PLAIN_STORE,
) -> Plan[None]:
    """Stores the writes of a task; sends nothing when there are none."""
    target = target_of(config)
    if target.checkpoint_id is None:
        msg = "put_writes needs the checkpoint that the writes belong to: pass checkpoint_id"
        raise ValueError(msg)
    task = encode_id("task_id", task_id)
    # A later special write of the same call replaces an earlier one, as it would across calls.
    by_index = {
        WRITES_IDX_MAP.get(channel, index): (channel, value)
        for index, (channel, value) in enumerate(writes)
    }
    record = codec.pack_writes(serde, by_index, task_path, store.dump)
    if not record:
        return
    yield Call(
        "put_writes",
        keys.thread(target.thread_id),
        (target.thread_id, target.member, task, record, retention.ttl),
    )


def get_tuple(
    keys: Keys,
    serde: SerializerProtocol,
    config: RunnableConfig,
    retention: Retention = FOREVER,
    store: ValueStore = PLAIN_STORE,
) -> Plan[CheckpointTuple | None]:
    """Reads the checkpoint that a config names, or the latest of its namespace."""
    target = target_of(config)
    args = (target.thread_id, target.ns, target.checkpoint_id or b"")
    key = keys.thread(target.thread_id)
    if retention.refresh_on_read:
        page = yield Call("get_tuple_renewing", key, (*args, retention.ttl))
    else:
        page = yield Call("get_tuple", key, args)
    found = tuples_of(serde, target.thread_id, page, store)
    return found[0] if found else None


def delete_thread(keys: Keys, thread_id: str) -> Plan[None]:
    """Deletes everything of a thread; one call, and one more for each 250 runs."""
    encoded = encode_id("thread_id", thread_id)
    call = Call("delete_thread", keys.thread(encoded), (encoded,))
    while (yield call):
        pass


def tuples_of(
    serde: SerializerProtocol,
    thread_id: bytes,
    page: Sequence[Any],
    store: ValueStore | None = None,
) -> list[CheckpointTuple]:
    """The checkpoints of a page that get_tuple.lua or list.lua replied; `store` learns of them."""
    checkpoints, stored, bases = page[:3]
    values = PageValues(serde, stored, bases)
    return [_tuple(serde, thread_id, entry, values, store) for entry in checkpoints]


def _tuple(
    serde: SerializerProtocol,
    thread_id: bytes,
    entry: tuple[bytes, bytes, bytes, list[int], list[bytes]],
    values: PageValues,
    store: ValueStore | None,
) -> CheckpointTuple:
    ns, checkpoint_id, data, positions, tasks = entry
    try:
        record, references, held, _ = codec.unpack_record(data)
        checkpoint = {
            **codec.load(serde, record.head_type, record.head),
            "channel_versions": {name: codec.version_of(token) for name, token in references},
            "channel_values": values.of_checkpoint(references, positions, held),
        }
        found = CheckpointTuple(
            config=config_of(thread_id, ns, checkpoint_id),
            checkpoint=cast("Checkpoint", checkpoint),
            metadata=codec.load(serde, record.metadata_type, record.metadata),
            parent_config=config_of(thread_id, ns, record.parent) if record.parent else None,
            pending_writes=_pending_writes(serde, tasks),
        )
    except (DamagedRecordError, LostKeysError) as error:
        msg = f"thread {thread_id.decode()!r}, checkpoint {checkpoint_id.decode()!r}: {error}"
        raise type(error)(msg) from error
    if store is not None:
        for (channel, token), position in zip(references, positions, strict=True):
            store.learn((thread_id, ns, channel), values.version_of(position, token))
    return found


def _pending_writes(
    serde: SerializerProtocol, tasks: Sequence[bytes]
) -> list[tuple[str, str, Any]]:
    return [
        (write.task_id, write.channel, codec.load(serde, write.kind, write.data))
        for write in codec.unpack_tasks(tasks)
    ]


def _id_of(checkpoint: Checkpoint) -> bytes:
    for part in ("id", "channel_values", "channel_versions"):
        if part not in checkpoint:
            msg = f"the checkpoint has no {part!r}: pass one as empty_checkpoint() makes it"
            raise ValueError(msg)
    return encode_id("the checkpoint's id", checkpoint["id"])


def _record(
    serde: SerializerProtocol,
    dump: codec.Dump,
    target: Target,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
) -> bytes:
    run_id = metadata.get("run_id")
    head = {part: value for part, value in checkpoint.items() if part not in _OUTSIDE_HEAD}
    return codec.Record(
        digest(run_id) if isinstance(run_id, str) and run_id else b"",
        digests_of(metadata),
        codec.pack_references(checkpoint["channel_versions"]),
        target.checkpoint_id or b"",
        _origin(target.ns, metadata),
        *dump(serde, "the checkpoint", head),
        *dump(serde, "the metadata", metadata),
    ).pack()


def _origin(ns: bytes, metadata: CheckpointMetadata) -> bytes:
    """Of a checkpoint of one subgraph call: the root checkpoint that the call started from.

    A call's namespace names its task (`node:task_id`); that of a subgraph that keeps its state from
    call to call does not.
    """
    parents = metadata.get("parents")
    root = parents.get("") if isinstance(parents, dict) and b":" in ns else None
    return encode_text("the root checkpoint in metadata", root) if isinstance(root, str) else b""


def _delta_channels(checkpoint: Checkpoint, metadata: CheckpointMetadata) -> bytes:
    """`channel NUL` for each delta channel that has no snapshot in this checkpoint.

    LangGraph counts the supersteps since its last one, so that the metadata names it.
    """
    counted = metadata.get("counters_since_delta_snapshot")
    if not isinstance(counted, dict):
        return b""
    versions, values = checkpoint["channel_versions"], checkpoint["channel_values"]
    return b"".join(
        encode_id("a channel name", channel) + b"\0"
        for channel in counted
        if channel in versions and channel not in values
    )


def _held(checkpoint: Checkpoint, new_versions: ChannelVersions) -> bytes:
    """put.lua's flags: this put brings the value, or an earlier one did, or there is none."""
    held = bytearray()
    for channel, version in checkpoint["channel_versions"].items():
        if channel not in checkpoint["channel_values"]:
            held += b"0"
        else:
            held += b"1" if new_versions.get(channel) == version else b"?"
    return bytes(held)


class _Packed(NamedTuple):
    """The values of a put."""

    values: list[bytes]
    """Field, value, field, value, ..."""
    cleared: list[bytes]
    """Fields of new versions that have no value."""
    versions: dict[str, Version | None]
    """What the next version of each channel can start from."""


def _pack(
    serde: SerializerProtocol,
    store: ValueStore,
    target: Target,
    checkpoint: Checkpoint,
    changed: ChannelVersions,
    *,
    whole: bool,
) -> _Packed:
    packed = _Packed([], [], {})
    versions, channel_values = checkpoint["channel_versions"], checkpoint["channel_values"]
    for channel, version in changed.items():
        if versions.get(channel) != version:
            continue  # no checkpoint refers to it
        reference = codec.reference(channel, version)
        field = target.ns + b"\0" + reference
        if channel not in channel_values:
            packed.cleared.append(field)
            continue
        where, token = (target.thread_id, target.ns, channel), reference.partition(b"\0")[2]
        data, packed.versions[channel] = store.pack(
            serde, where, token, channel_values[channel], whole=whole
        )
        packed.values.extend((field, data))
    return packed
