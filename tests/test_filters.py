"""Metadata filters: which values are equal, which are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saver._filters import digest, digests_of, terms_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: "inf" not in repr(value))


def matches(metadata: dict[Any, Any], filter: dict[str, Any]) -> bool:
    """What list.lua does with the digests of a checkpoint and the terms of a filter."""
    digests = digests_of(metadata)
    assert len(digests) % 16 == 0
    pairs = [(digests[at : at + 8], digests[at + 8 : at + 16]) for at in range(0, len(digests), 16)]
    found = dict(reversed(pairs))
    return all(
        found[key] == value if key in found else sign == b"?"
        for sign, key, value in ((term[:1], term[1:9], term[9:]) for term in terms_of(filter))
    )


def test_a_number_too_long_for_json() -> None:
    """It has no digest that a filter could ask for, and stops no put."""
    assert digests_of({"n": 10**5000}) == digest("n") + bytes(8)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        (1, 1.0),
        (1.0, 1),
        (0.0, -0.0),
        (0, -0.0),
        (2**53 + 1, 2**53 + 1),
        (1e300, int(1e300)),
        (0.1, 0.1),
        ((1, 2), [1, 2]),
        ([1, (2.0,)], (1, [2])),
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3.0, "c": 2}, "a": 1}),
        (None, None),
        ("", ""),
        ("\ud800", "\ud800"),
        ({}, {}),
    ],
)
def test_equal(stored: Any, asked: Any) -> None:
    """Values that are the same JSON."""
    assert matches({"key": stored}, {"key": asked})


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        (True, 1),
        (1, True),
        (False, 0),
        ([True], [1]),
        ({"a": True}, {"a": 1}),
        (2**53 + 1, 2**53),
        (2**53 + 1, float(2**53)),
        (10**300, 1e300),
        (1, "1"),
        ("1", 1),
        (None, "null"),
        (None, ""),
        (None, False),
        ([], {}),
        ([1, 2], [2, 1]),
        ([1, 2], [12]),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": 1}),
        ("\u00e9", "e\u0301"),
        ("a", "A"),
        ("a", "a "),
        (0.1, 0.1 + 1e-17 + 1e-16),
    ],
)
def test_different(stored: Any, asked: Any) -> None:
    """Values that other savers take for equal."""
    assert not matches({"key": stored}, {"key": asked})


def test_none_matches_missing() -> None:
    """As `metadata.get(key) == None` has it; any other value needs the key."""
    assert matches({}, {"key": None})
    assert matches({"other": 1}, {"key": None})
    assert not matches({"key": 0}, {"key": None})
    assert not matches({}, {"key": 0})


def test_every_term_must_match() -> None:
    """Terms are joined by and; no filter matches all."""
    metadata = {"a": 1, "b": "x"}
    assert matches(metadata, {"a": 1, "b": "x"})
    assert not matches(metadata, {"a": 1, "b": "y"})
    assert not matches(metadata, {"a": "x", "b": 1})
    assert terms_of(None) == terms_of({}) == []


@pytest.mark.parametrize(
    ("stored", "asked"), [("\u00e9", "e\u0301"), ("a", "A"), ("a", "a\0"), ("a.b", "a")]
)
def test_keys_are_exact(stored: str, asked: str) -> None:
    """Keys that differ at all are different keys."""
    assert not matches({stored: 1}, {asked: 1})
    assert matches({stored: 1}, {stored: 1})


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        [math.nan],
        {"a": math.inf},
        b"bytes",
        {1, 2},
        object,
        {1: "int key"},
        {"a": {None: 1}},
        1j,
    ],
    ids=repr,
)
def test_refused_values(value: Any) -> None:
    """What is no JSON is refused with the key, and nothing finds it in metadata."""
    with pytest.raises(TypeError, match=r"filter value of 'key' must be JSON"):
        terms_of({"key": value})
    assert not matches({"key": value}, {"key": None})


def test_nesting_without_end_is_refused() -> None:
    """A list that holds itself is no JSON."""
    value: list[Any] = []
    value.append(value)
    with pytest.raises(TypeError, match="must be JSON"):
        terms_of({"key": value})


@pytest.mark.parametrize("key", [1, None, b"key", ("key",), True])
def test_refused_keys(key: Any) -> None:
    """A key that is no str is refused; in metadata it is left out."""
    with pytest.raises(TypeError, match="filter keys are metadata keys, of type str"):
        terms_of({key: 1})
    assert digests_of({key: 1}) == b""


@pytest.mark.parametrize("filter", [[], [("key", 1)], "key", 1, ()])
def test_refused_filters(filter: Any) -> None:
    """A filter is a dict."""
    with pytest.raises(TypeError, match="filter must be a dict"):
        terms_of(filter)


def test_nothing_in_plain_text() -> None:
    """Digests have one length, whatever they stand for, and show nothing of it."""
    packed = digests_of({"secret key": "secret value" * 100})
    assert packed == digest("secret key") + digest('"' + "secret value" * 100 + '"')
    assert len(packed) == 16


@given(JSON)
def test_a_value_equals_itself(value: Any) -> None:
    """Any JSON value is found by itself."""
    assert matches({"key": value, "other": 1}, {"key": value})


@given(JSON, JSON)
def test_equality_is_python_equality(one: Any, other: Any) -> None:
    """Values differ where Python says so, and where a bool meets a number."""
    if one != other:
        assert not matches({"key": one}, {"key": other})
