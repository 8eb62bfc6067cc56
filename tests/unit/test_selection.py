from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.selection import Invalidation, Selector, last_seen, tag_pattern
from llmcache_plugins.testing.store_contract import make_entry
from llmcache_plugins.types import Profile, Stored

WORDS = st.lists(st.text("abx:*[]?\\^-!.", min_size=1, max_size=4), max_size=3).map(tuple)
TEXTS = st.none() | st.text("ab", min_size=1, max_size=3)
SECONDS = st.none() | st.integers(0, 10) | st.floats(0, 1e10)


@given(
    st.builds(
        Selector,
        scope=TEXTS,
        keys=WORDS,
        tags=WORDS,
        tag_patterns=WORDS,
        query_types=WORDS,
        models=WORDS,
        namespace=WORDS,
        levels=WORDS,
        stored_before=SECONDS,
        tier=TEXTS,
        idle_since=SECONDS,
        is_stale=st.none() | st.booleans(),
    )
)
def test_a_selector_comes_back_from_json(selector: Selector) -> None:
    content = json.loads(json.dumps(selector.to_json()))
    assert Selector.from_json(content) == selector
    assert selector.is_empty is (selector == Selector())
    assert hash(Selector.from_json(content)) == hash(selector)


def is_one_of(sign: str, listed: str) -> bool:
    if listed[1:2] == "-" and len(listed) > 2:
        return min(listed[0], listed[2]) <= sign <= max(listed[0], listed[2]) or is_one_of(sign, listed[3:])
    return bool(listed) and (listed[0] == sign or is_one_of(sign, listed[1:]))


def fits(pattern: str, tag: str) -> bool:
    """A matcher that tries every way, sign by sign: slow and plain."""
    if not pattern:
        return not tag
    head, rest = pattern[0], pattern[1:]
    if head == "*":
        return any(fits(rest, tag[start:]) for start in range(len(tag) + 1))
    if not tag:
        return False
    if head == "?":
        return fits(rest, tag[1:])
    closing = pattern.find("]", 2) if head == "[" else -1
    if closing > 0:
        inside = pattern[1:closing]
        is_negated = inside.startswith("!") and len(inside) > 1
        return is_one_of(tag[0], inside[is_negated:]) is not is_negated and fits(pattern[closing + 1 :], tag[1:])
    return head == tag[0] and fits(rest, tag[1:])


@given(st.text("ab*?[]!^\\.-&|~(+$\n", max_size=7), st.text("ab*?[]!^\\.-&|~(+$\n", max_size=6))
def test_only_stars_question_marks_and_brackets_mean_anything(pattern: str, tag: str) -> None:
    assert bool(tag_pattern(pattern).fullmatch(tag)) is fits(pattern, tag)


@pytest.mark.parametrize("sign", [chr(code) for code in range(32, 127)])
def test_a_sign_in_brackets_is_itself(sign: str) -> None:
    pattern = f"a[{sign}]b"
    assert tag_pattern(pattern).fullmatch(f"a{sign}b")
    assert not tag_pattern(pattern).fullmatch("a\u00e9b")


@pytest.mark.parametrize(
    ("pattern", "fitting"),
    [
        ("rtr-00[1-3]", "12"),
        ("rtr-00[!1-3]", "49-"),
        ("rtr-00[3-1]", "12"),
        ("rtr-00[-1]", "1-"),
        ("rtr-00[14-]", "14-"),
    ],
)
def test_a_range_stands_for_all_between(pattern: str, fitting: str) -> None:
    assert [last for last in "1249-" if tag_pattern(pattern).fullmatch(f"rtr-00{last}")] == list(fitting)


def test_a_pattern_of_many_stars_is_quick() -> None:
    """No more work than the text is long, star for star: a pattern comes from an event."""
    assert not tag_pattern("*" * 40 + "x").fullmatch("a" * 2000)
    assert not tag_pattern("*a*b*c*x").fullmatch("abc" * 60)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tags": ("",)}, "tags must be a non-empty string or several"),
        ({"tags": ""}, "tags must be"),
        ({"tags": (1,)}, "tags must be"),
        ({"keys": None}, "keys must be"),
        ({"namespace": {"a": 1}}, "namespace must be"),
        ({"scope": ""}, "scope must be a non-empty string or None"),
        ({"tier": 5}, "tier must be"),
        ({"stored_before": "now"}, "stored_before must be seconds"),
        ({"idle_since": True}, "idle_since must be seconds"),
        ({"tag": "x"}, "a selector has no field 'tag'; it has"),
        ({"_keys": ["x"]}, "a selector has no field '_keys'"),
    ],
)
def test_what_is_no_selector_says_so(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Selector.from_json(given)


def test_one_text_stands_for_a_tuple_of_one() -> None:
    assert Selector(tags="a", namespace=["acme", "x"]) == Selector(tags=("a",), namespace=("acme", "x"))  # type: ignore[arg-type]


def test_an_entry_is_idle_since_it_was_last_read_placed_or_stored() -> None:
    entry = make_entry(created_at=10.0)
    assert [
        last_seen(stored)
        for stored in (Stored(entry), Stored(entry, last_access=20.0), Stored(entry, last_access=20.0, placed_at=30.0))
    ] == [10.0, 20.0, 30.0]


@pytest.mark.parametrize(("bound", "is_undone"), [(99.0, False), (100.0, True), (101.0, True)])
def test_a_late_answer_is_as_old_as_the_invalidation_it_missed(bound: float, is_undone: bool) -> None:
    noted = Invalidation(1, 100.0, Selector(stored_before=bound))
    assert noted.undoes(make_entry(created_at=150.0)) is is_undone


def test_what_undoes_an_answer_selects_it() -> None:
    entry = make_entry(profile=Profile(tags=("a",)), model="m")
    tags: list[tuple[str, ...]] = [(), ("a",), ("b",)]
    models: list[tuple[str, ...]] = [(), ("m",)]
    selectors = [Selector(tags=some, models=others) for some, others in itertools.product(tags, models)]
    assert [Invalidation(1, 5.0, selector).undoes(entry) for selector in selectors] == [True] * 4 + [False] * 2
