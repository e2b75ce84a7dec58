"""What a thread is after each operation, by the documented rules and in plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import WRITES_IDX_MAP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CLEARED = object()
"""Instead of the value of a channel that lost it."""
PINNED = -1.0
Name = tuple[str, str]
"""Namespace and checkpoint id."""


@dataclass
class Stored:
    """A checkpoint. `lows` and `needs` concern delta channels without a snapshot in it."""

    ns: str
    id: str
    parent: str | None
    checkpoint: dict[str, Any]
    """With all values that the caller had."""
    metadata: dict[str, Any]
    root: str | None = None
    """The root checkpoint from which the call started whose checkpoint this is; '': one that was
    removed before this arrived."""
    lows: dict[str, str] = field(default_factory=dict)
    """The smallest id on the way to where a channel was last stored; its own without a parent."""
    needs: dict[str, frozenset[str]] = field(default_factory=dict)
    """All ids on that way."""

    @property
    def versions(self) -> dict[str, Any]:
        """The channels' versions."""
        versions: dict[str, Any] = self.checkpoint["channel_versions"]
        return versions

    def holds(self, channel: str) -> bool:
        """Whether it has a value of a channel, new or old."""
        return channel in self.versions and channel in self.checkpoint["channel_values"]


class LostError(Exception):
    """A delta channel cannot be rebuilt any more."""


class Thread:
    """One thread; it exists while it has checkpoints or writes."""

    def __init__(self) -> None:
        self.stored: dict[Name, Stored] = {}
        self.values: dict[tuple[str, str, Any], Any] = {}
        self.writes: dict[Name, dict[tuple[str, int], tuple[str, str, Any]]] = {}
        """(task id, index): (path, channel, value)."""
        self.removed: set[Name] = set()
        self.ttl: float | None = None
        """Seconds at the last write that set it."""

    def __bool__(self) -> bool:
        return bool(self.stored or self.writes)

    def renew(self, ttl: float | None) -> None:
        """A write by a saver with this ttl."""
        if ttl is not None and self.ttl != PINNED:
            self.ttl = ttl

    def put(self, made: Stored, new: dict[str, Any], keep_last: int | None = None) -> None:
        """Stores a checkpoint in which the channels of `new` changed."""
        values, versions = made.checkpoint["channel_values"], made.versions
        kept = {name for name in versions if made.holds(name) and new.get(name) != versions[name]}
        if any((made.ns, name, versions[name]) not in self.values for name in kept):
            new = {**new, **{name: versions[name] for name in versions if made.holds(name)}}
        for name, version in new.items():
            if name in values:
                self.values[made.ns, name, version] = values[name]
            elif (made.ns, name, version) in self.values:
                self.values[made.ns, name, version] = CLEARED
        self._link(made)
        self.removed.discard((made.ns, made.id))
        self.stored[made.ns, made.id] = made
        if keep_last is not None:
            self.trim(made.ns, keep_last)
            self.trim("", keep_last)
        self._release()

    def work(self, made: Stored, keep_last: int) -> int:
        """How many fields a put would drop; it drops the oldest first, a bounded number a call."""
        trial = Thread()
        trial.stored, trial.removed = dict(self.stored), set(self.removed)
        trial.writes = dict(self.writes)
        trial.put(made, {}, keep_last)
        gone = [x for name, x in self.stored.items() if name not in trial.stored]
        if (made.ns, made.id) not in trial.stored:
            gone.append(made)
        tasks = [{task for task, _ in self.writes.get((x.ns, x.id), {})} for x in gone]
        return sum(3 + len(x.versions) for x in gone) + sum(map(len, tasks))

    def _link(self, made: Stored) -> None:
        counted = made.metadata.get("counters_since_delta_snapshot", {})
        before = self.stored.get((made.ns, made.parent or ""))
        for name in counted:
            if name in made.versions and not made.holds(name):
                made.lows[name] = before.id if before else made.id
                made.needs[name] = frozenset([before.id] if before else [])
                if before and not before.holds(name) and name in before.lows:
                    made.lows[name] = min(before.id, before.lows[name])
                    made.needs[name] |= before.needs[name]
        root = made.metadata.get("parents", {}).get("")
        if root is not None and ":" in made.ns:
            made.root = "" if ("", root) in self.removed else root

    def _release(self) -> None:
        held = {
            (each.ns, name, version)
            for each in self.stored.values()
            for name, version in each.versions.items()
            if each.holds(name)
        }
        self.values = {name: value for name, value in self.values.items() if name in held}
        if not self:
            self.__init__()  # type: ignore[misc]

    def put_writes(
        self, name: Name, writes: Sequence[tuple[str, Any]], task: str, path: str
    ) -> bool:
        """Stores a task's writes; False when their checkpoint was removed."""
        if not writes or name in self.removed:
            return False
        there = self.writes.setdefault(name, {})
        for index, (channel, value) in enumerate(writes):
            slot = task, WRITES_IDX_MAP.get(channel, index)
            if slot not in there or slot[1] < 0:
                there[slot] = path, channel, value
        return True

    def of(self, ns: str) -> list[Stored]:
        """The checkpoints of a namespace, the oldest first."""
        return sorted((x for x in self.stored.values() if x.ns == ns), key=lambda x: x.id)

    def _drop(self, each: Stored) -> None:
        del self.stored[each.ns, each.id]
        self.writes.pop((each.ns, each.id), None)
        self.removed.add((each.ns, each.id))

    def _drop_calls(self, root: str) -> None:
        for each in [x for x in self.stored.values() if x.root == root]:
            self._drop(each)

    def trim(self, ns: str, keep: int) -> None:
        """Drops what is older than all that the newest `keep` are and need."""
        if ns == "":
            self._drop_calls("")
        whole, there = self._whole(), self.of(ns)
        if len(there) <= keep:
            return
        kept = there[-keep:]
        lowest = min(low for each in kept for low in (each.id, *each.lows.values()))
        for each in there[:-keep]:
            if each.id < lowest:
                if ns == "":
                    self._drop_calls(each.id)
                self._drop(each)
        assert whole & {(ns, each.id) for each in kept} <= self._whole(), "the rule is not safe"

    def prune(self, keep: int) -> None:
        """`trim` of every namespace."""
        for ns in sorted({each.ns for each in self.stored.values()}):
            if self.of(ns):
                self.trim(ns, keep)
        self._release()

    def delete_for_runs(self, runs: Iterable[str]) -> None:
        """Drops what the runs made, unless a delta channel of a newer one that stays spans it."""
        runs, whole = set(runs), self._whole()
        for each in sorted(self.stored.values(), key=lambda x: x.id, reverse=True):
            newer = [x for x in self.of(each.ns) if x.id > each.id]
            spanned = any(low <= each.id for x in newer for low in x.lows.values())
            if each.metadata.get("run_id") in runs and not spanned:
                self._drop(each)
                for call in [x for x in self.stored.values() if not each.ns and x.root == each.id]:
                    call.root = ""
        assert whole & self.stored.keys() <= self._whole(), "the rule is not safe"
        self._release()

    def _whole(self) -> set[Name]:
        """The checkpoints of which all is there that they are rebuilt from."""
        return {
            name
            for name, each in self.stored.items()
            if all((each.ns, one) in self.stored for ones in each.needs.values() for one in ones)
        }

    def copied(self) -> Thread:
        """A copy: the same put again, in order of ids."""
        copy = Thread()
        for name in sorted(self.stored, key=lambda name: name[::-1]):
            old = self.stored[name]
            made = Stored(old.ns, old.id, old.parent, old.checkpoint, old.metadata)
            copy._link(made)
            copy.stored[name] = made
        copy.values = dict(self.values)
        copy.writes = {name: dict(writes) for name, writes in self.writes.items()}
        return copy

    def tuple_of(self, each: Stored) -> Any:
        """What `get_tuple` finds."""
        values = {
            name: self.values[each.ns, name, version]
            for name, version in each.versions.items()
            if self.values.get((each.ns, name, version), CLEARED) is not CLEARED
        }
        checkpoint = {**each.checkpoint, "channel_values": values}
        return each.ns, each.id, each.parent, checkpoint, each.metadata, self._writes_of(each)

    def _writes_of(self, each: Stored) -> list[tuple[str, str, Any]]:
        found = self.writes.get((each.ns, each.id), {})
        ordered = sorted(found.items(), key=lambda item: (item[1][0], *item[0]))
        return [(task, channel, value) for (task, _), (_, channel, value) in ordered]

    def _ancestors(self, each: Stored) -> Iterator[Stored | None]:
        while each.parent is not None:
            above = self.stored.get((each.ns, each.parent))
            yield above
            if above is None:
                return
            each = above

    def history(self, name: Name, channels: Iterable[str]) -> dict[str, Any]:
        """The writes of the ancestors to delta channels, and the value from which they go on."""
        found: dict[str, Any] = {channel: {"writes": []} for channel in channels}
        target = self.stored.get(name)
        remaining, last = set(found), target
        for each in self._ancestors(target) if target else ():
            if not remaining:
                break
            if each is None:
                if last and remaining & last.lows.keys():
                    raise LostError
                break
            last = each
            values = self.tuple_of(each)[3]["channel_values"]
            for channel in sorted(remaining):
                writes = [x for x in self._writes_of(each) if x[1] == channel]
                found[channel]["writes"][:0] = writes
                if channel in values:
                    found[channel]["seed"] = values[channel]
                    remaining.remove(channel)
        return found
