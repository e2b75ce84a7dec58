"""Ids and key names: every id is its own, and what is no id is refused."""

from __future__ import annotations

import itertools
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saver._codec import reference
from saver._ids import (
    Target,
    config_of,
    configurable_of,
    encode_id,
    encode_text,
    target_of,
    thread_id_of,
)
from saver._keys import SHARDS, Keys
from tests.samples import HOSTILE, config

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
NUL = "(?i)must not contain NUL"


def hash_tag(name: bytes) -> bytes:
    """What a cluster hashes: between the first brace and the next closing one."""
    return name.split(b"{", 1)[1].split(b"}", 1)[0]


def test_hostile_threads_share_no_key() -> None:
    """Key names of all hostile threads differ, from the registries of their shards too."""
    names = [name for each in HOSTILE for name in Keys("saver").thread(each.encode())[5:]]
    registries = {name for number in range(SHARDS) for name in Keys("saver").shard(number)}
    assert len(names) == len(HOSTILE) * 11
    assert len(registries) == SHARDS * 5
    assert len({*names, *registries}) == len(names) + len(registries)


@pytest.mark.parametrize("thread_id", HOSTILE, ids=ascii)
def test_one_slot(thread_id: str) -> None:
    """All keys of a thread and of its shard have the shard's number as their hash tag."""
    encoded = thread_id.encode()
    names = Keys("any:prefix").thread(encoded)
    number = crc32(encoded) % SHARDS
    assert len(set(names)) == 16
    assert {hash_tag(name) for name in names} == {b"%d" % number}
    assert Keys("any:prefix").shard(number) == names[:5]


def test_key_names() -> None:
    """The names that the documentation and access rules speak of, in the order of the scripts."""
    start = b"saver:{%d}:" % (crc32(b"t") % 1024)
    shard = "layout threads runs runs_of expiry"
    kinds = "index timeline checkpoints values holders writes pending runs spans calls deleted"
    names = shard.split() + [f"{kind}:t" for kind in kinds.split()]
    assert Keys("saver").thread(b"t") == tuple(start + name.encode() for name in names)


@pytest.mark.parametrize("target", HOSTILE, ids=ascii)
def test_staged_keys(target: str) -> None:
    """A copy under way is in the slot of its target, and no id that a caller has names it."""
    keys, encoded = Keys("saver"), target.encode()
    staged = keys.staged(encoded, b"\0s")
    own = keys.thread(encoded)
    assert staged[:5] == own[:5]
    assert [name.removesuffix(b"\0s") for name in staged[5:]] == [
        name.removesuffix(encoded) for name in own[5:]
    ]
    with pytest.raises(ValueError, match=NUL):
        encode_id("thread_id", "\0s")


def test_prefixes_share_no_key() -> None:
    """Two prefixes are apart even when one starts with the other."""
    prefixes = ["a", "a:", "a:a", "A", "\u00e9", "*"]
    names = [name for each in prefixes for name in Keys(each).thread(b"a:{1}:index")]
    assert len(set(names)) == len(names)


def test_hostile_members_differ() -> None:
    """Namespaces, checkpoint ids, tasks, channels and versions: no two pairs make one name."""
    pairs = list(itertools.product(["", *HOSTILE], HOSTILE))
    members = {Target(b"t", ns.encode(), name.encode()).member for ns, name in pairs}
    assert len(members) == len(pairs)
    assert all(member.count(b"\0") == 1 for member in members)
    references = {reference(channel, version) for channel, version in pairs}
    assert len(references) == len(pairs)


@given(TEXT, TEXT, TEXT)
def test_ids_come_back(thread_id: str, ns: str, checkpoint_id: str) -> None:
    """A config that is read and written again names the same ids."""
    target = target_of(config(thread_id, ns, checkpoint_id))
    assert target.member.decode() == f"{ns}\0{checkpoint_id}"
    assert target.checkpoint_id is not None
    made = config_of(target.thread_id, target.ns, target.checkpoint_id)
    assert made == config(thread_id, ns, checkpoint_id)


@given(TEXT, TEXT)
def test_order_is_that_of_str(one: str, other: str) -> None:
    """Encoded ids sort as the ids do, so "latest" is the greatest id as Python compares."""
    first, second = Target(b"", b"", one.encode()), Target(b"", b"", other.encode())
    assert (first.member < second.member) == (one < other)


def test_defaults() -> None:
    """No namespace is the root, no checkpoint is none; so is None for either."""
    root = Target(b"t", b"", None)
    assert target_of({"configurable": {"thread_id": "t"}}) == root
    unset = {"thread_id": "t", "checkpoint_ns": None, "checkpoint_id": None}
    assert target_of({"configurable": unset}) == root


@pytest.mark.parametrize("value", ["\0", "a\0", "\0a", "a\0b"])
def test_nul_is_refused(value: str) -> None:
    """NUL separates the parts of a name, so no part may hold it."""
    with pytest.raises(ValueError, match=NUL):
        encode_text("this", value)
    for made in (config(value), config("t", value), config("t", "", value)):
        with pytest.raises(ValueError, match=NUL):
            target_of(made)


def test_empty_is_refused() -> None:
    """An empty thread or checkpoint id is refused; an empty namespace is the root."""
    with pytest.raises(ValueError, match="this must not be empty"):
        encode_id("this", "")
    for made in (config(""), config("t", "", "")):
        with pytest.raises(ValueError, match="must not be empty"):
            target_of(made)


@pytest.mark.parametrize("value", [1, 1.5, True, b"t", ["t"], object], ids=repr)
def test_what_is_no_str_is_refused(value: Any) -> None:
    """With a message that names the part and what to pass."""
    for part in ("thread_id", "checkpoint_ns", "checkpoint_id"):
        made: Any = {"configurable": {"thread_id": "t", part: value}}
        with pytest.raises(TypeError, match=f"{part} must be a str, not {type(value).__name__}"):
            target_of(made)


@pytest.mark.parametrize("value", ["\ud800", "a\udfff", "\udc80b"], ids=ascii)
def test_lone_surrogates_are_refused(value: str) -> None:
    """They have no UTF-8; ValueError, not the UnicodeEncodeError underneath."""
    with pytest.raises(ValueError, match="valid Unicode") as caught:
        encode_id("this", value)
    assert type(caught.value) is ValueError


def test_missing_thread() -> None:
    """No thread_id, or None: the message says what to pass."""
    for configurable in ({}, {"thread_id": None}):
        with pytest.raises(ValueError, match=r'pass \{"configurable": \{"thread_id"'):
            thread_id_of(configurable)


@pytest.mark.parametrize("made", [None, {}, {"configurable": None}, "t", [], {"configurable": "t"}])
def test_what_is_no_config_is_refused(made: Any) -> None:
    """TypeError with the shape of a config."""
    with pytest.raises(TypeError, match="config must be"):
        configurable_of(made)


@pytest.mark.parametrize("prefix", ["", "{", "}", "a{b}", "a\0"])
def test_refused_prefixes(prefix: str) -> None:
    """Braces would move the hash tag; an empty prefix is none."""
    with pytest.raises(ValueError, match="prefix must be non-empty, without braces and NUL"):
        Keys(prefix)


@pytest.mark.parametrize("prefix", [None, 1, b"saver"])
def test_prefix_is_a_str(prefix: Any) -> None:
    """TypeError for anything else."""
    with pytest.raises(TypeError, match="prefix must be a str"):
        Keys(prefix)


def test_prefix_with_lone_surrogate() -> None:
    """Refused as an id would be."""
    with pytest.raises(ValueError, match=r"prefix|surrogates"):
        Keys("\ud800")
