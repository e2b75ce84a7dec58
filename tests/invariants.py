"""What must hold of all keys under a prefix while nobody writes; plain commands, no script."""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from math import inf
from typing import TYPE_CHECKING, Any
from zlib import crc32

from saver._codec import Stored, unpack_record, unpack_writes
from saver._envelope import parse
from saver.errors import SaverError
from tests.keyspace import read_keyspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from redis import Redis

    from tests.keyspace import Shard, Thread

RUN_SIZE = 8


def problems(redis: Redis, prefix: str = "saver", *, in_order: bool = True) -> list[str]:
    """Whatever contradicts something else among the keys under a prefix.

    `in_order`: every checkpoint was put once, after its parent, and so has the lows that follow
    from it.
    """
    keyspace = read_keyspace(redis, prefix)
    found = keyspace.complaints
    for shard in keyspace.shards.values():
        for thread in shard.threads.values():
            for check in (_orders, _values, _writes, _runs, _spans, _calls, _deleted):
                found += [f"{thread.name!r}: {each}" for each in check(thread)]
            found += [f"{thread.name!r}: {each}" for each in _lows(thread, in_order=in_order)]
            found += [f"{thread.name!r}: {each}" for each in _expiry(thread, shard)]
        found += [f"shard {shard.number}: {each}" for each in _registries(shard, keyspace.now)]
    return found


def _differ(what: str, actual: Iterable[Any], expected: Iterable[Any]) -> Iterator[str]:
    actual, expected = set(actual), set(expected)
    if actual - expected:
        yield f"{what} has too much: {sorted(actual - expected)}"
    if expected - actual:
        yield f"{what} lacks: {sorted(expected - actual)}"


def _orders(thread: Thread) -> Iterator[str]:
    """Orders index, timeline and checkpoints name the same; every record can be read."""
    members = thread.data["checkpoints"].keys()
    yield from _differ("index", thread.data["index"], members)
    yield from _differ("timeline", thread.data["timeline"], map(_entry, members))
    for member, data in thread.data["checkpoints"].items():
        if member.count(b"\0") != 1:
            yield f"checkpoints has the field {member!r}"
            continue
        try:
            stored = unpack_record(data)
        except (SaverError, ValueError) as error:
            yield f"record {member!r}: {error}"
            continue
        lows = b"".join(b"%b\0%b\0" % (name.encode(), low) for name, low in stored.lows)
        added = b"".join(struct.pack(">I", len(each)) + each for each in (stored.held, lows))
        if data != b"P" + added + stored.record.pack()[1:] or set(stored.held) - set(b"01"):
            yield f"record {member!r} is not as put.lua makes it"
        thread.records[member] = stored


def _values(thread: Thread) -> Iterator[str]:
    """A value is there if and only if it is held; holders counts who holds it beyond the first.

    Checkpoints hold the values that they have, and a delta the version that it starts from.
    """
    held = Counter(
        b"%b\0%b\0%b" % (member.partition(b"\0")[0], channel.encode(), token)
        for member, stored in thread.records.items()
        for flag, (channel, token) in zip(stored.held, stored.references, strict=True)
        if flag == ord("1")
    )
    for name, value in thread.data["values"].items():
        if value[:1] in {b"", b"P"}:
            continue
        try:
            stored = parse(value)
        except SaverError as error:
            yield f"value {name!r}: {error}"
            continue
        if stored.base:
            base = name.rpartition(b"\0")[0] + b"\0" + stored.base
            held[base] += 1
            if thread.data["values"].get(base, b"")[1:9] != stored.base_check:
                yield f"value {name!r} does not start from {base!r}"
    yield from _differ("values", thread.data["values"], held)
    expected = {name: b"%d" % (count - 1) for name, count in held.items() if count > 1}
    yield from _differ("holders", thread.data["holders"].items(), expected.items())


def _writes(thread: Thread) -> Iterator[str]:
    """Entries in pending and writes name the same; every record of writes can be read."""
    yield from _differ("pending", thread.data["pending"], thread.data["writes"])
    for name, data in thread.data["writes"].items():
        try:
            _, _, task_id = name.split(b"\0")
            count = len(list(unpack_writes(task_id.decode(), data)))
        except (SaverError, ValueError) as error:
            yield f"writes {name!r}: {error}"
            continue
        if count == 0:
            yield f"writes {name!r} is empty"


def _runs(thread: Thread) -> Iterator[str]:
    expected = [
        stored.record.run + _entry(member)
        for member, stored in thread.records.items()
        if stored.record.run
    ]
    yield from _differ("runs of the thread", thread.data["runs"], expected)


def _spans(thread: Thread) -> Iterator[str]:
    expected = []
    for member, stored in thread.records.items():
        ns, _, checkpoint_id = member.partition(b"\0")
        if stored.lows:
            low = min(low for _, low in stored.lows)
            expected.append(b"%b\0%b\0%b" % (ns, low, checkpoint_id))
    yield from _differ("spans", thread.data["spans"], expected)


def _calls(thread: Thread) -> Iterator[str]:
    """One entry a checkpoint with an origin; the origin is '' when it was gone already."""
    called = {member: each.record.origin for member, each in thread.records.items()}
    entries: defaultdict[bytes, list[bytes]] = defaultdict(list)
    for entry in thread.data["calls"]:
        origin, _, member = entry.partition(b"\0")
        entries[member].append(origin)
    yield from _differ("calls", entries, [member for member, origin in called.items() if origin])
    for member, origins in entries.items():
        if len(origins) > 1 or origins[0] not in {b"", called.get(member)}:
            yield f"calls has {member!r} under {origins}"


def _lows(thread: Thread, *, in_order: bool) -> Iterator[str]:
    """A low follows from the parent. One that had not arrived yet leaves the own id."""
    for member, stored in thread.records.items():
        ns, _, checkpoint_id = member.partition(b"\0")
        flags = dict(zip((name for name, _ in stored.references), stored.held, strict=True))
        parent_id = stored.record.parent
        parent = thread.records.get(ns + b"\0" + parent_id) if parent_id else None
        for channel, low in stored.lows:
            expected = parent_id
            if parent is not None and not _holds(parent, channel):
                expected = min(parent_id, dict(parent.lows).get(channel, parent_id))
            good = low == expected or (low <= parent_id and not (parent and in_order))
            if flags.get(channel) != ord("0"):
                yield f"{member!r} has a low for {channel!r}, of which it holds a value"
            elif low != checkpoint_id and not (parent_id and good):
                yield f"{member!r} has the low {low!r} for {channel!r}, not {expected!r}"


def _holds(stored: Stored, channel: str) -> bool:
    return any(
        name == channel and flag == ord("1")
        for flag, (name, _) in zip(stored.held, stored.references, strict=True)
    )


def _deleted(thread: Thread) -> Iterator[str]:
    there = {*thread.data["checkpoints"], *(name.rpartition(b"\0")[0] for name in _tasks(thread))}
    for member in there & thread.data["deleted"].keys():
        yield f"deleted names {member!r}, which is there"


def _tasks(thread: Thread) -> set[bytes]:
    return {*thread.data["pending"], *thread.data["writes"]}


def _expiry(thread: Thread, shard: Shard) -> Iterator[str]:
    """All keys of a thread expire together, when the registry says."""
    score = shard.data["expiry"].get(thread.name, inf)
    expires_at = {**thread.expires_at}
    forgotten_at = expires_at.pop("deleted", 0)
    for kind, each in expires_at.items():
        if each != (-1 if score == inf else score):
            yield f"{kind} expires at {each}, not {score}"
    if forgotten_at == -1 or forgotten_at > score:
        yield f"deleted expires at {forgotten_at}, the thread at {score}"


def _registries(shard: Shard, now: float) -> Iterator[str]:
    """The registries name what is there; entries of expired threads may stay a while."""
    expiry = shard.data["expiry"]
    gone = {name for name, score in expiry.items() if score < now and name not in shard.threads}
    there = {each.name for each in shard.threads.values() if each.data["index"] or _tasks(each)}
    yield from _differ("threads", shard.data["threads"].keys() - gone, there)
    yield from _differ("expiry", expiry.keys() - shard.data["threads"].keys(), [])
    for name in shard.threads:
        if name[:1] != b"\0" and crc32(name) % 1024 != shard.number:
            yield f"{name!r} is in the wrong shard"
    for name in shard.threads.keys() - there:
        yield f"{name!r} has the keys {sorted(shard.threads[name].expires_at)} and nothing else"
    runs = {
        (thread.name, stored.record.run)
        for thread in shard.threads.values()
        for stored in thread.records.values()
        if stored.record.run
    }
    by_run = {(name[RUN_SIZE:], name[:RUN_SIZE]) for name in shard.data["runs"]}
    by_thread = {(name[: -RUN_SIZE - 1], name[-RUN_SIZE:]) for name in shard.data["runs_of"]}
    yield from _differ("runs", {each for each in by_run if each[0] not in gone}, runs)
    yield from _differ("runs_of", by_thread, by_run)
    if shard.layout != (b"1" if shard.data["threads"] else None):
        yield f"layout is {shard.layout!r}, with the threads {sorted(shard.data['threads'])}"


def _entry(member: bytes) -> bytes:
    ns, _, checkpoint_id = member.partition(b"\0")
    return checkpoint_id + b"\0" + ns
