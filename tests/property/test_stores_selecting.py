"""A selector finds the same in a file, by SQL, as it does entry by entry."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.testing.store_contract import make_entry
from llmcache_plugins.types import Entry, Profile

# Few signs, and those that mean something in patterns, in SQL, in JSON or in UTF-8.
WORDS = st.text("ab*?[%_'\u00fc\U0001f600\ud800\x00", min_size=1, max_size=3)
TAGS = st.lists(WORDS, max_size=3).map(tuple)
INSTANTS = st.integers(0, 4).map(float)
NAMESPACES = st.lists(st.sampled_from(["a", "b", 'a","b', "\ud800"]), max_size=2).map(tuple)
PATTERNS = st.lists(st.text("ab*?[]%_!-\u00fc\U0001f600", min_size=1, max_size=4), max_size=2).map(tuple)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    return make_entry(
        draw(st.sampled_from("0123456789")),
        scope=draw(st.sampled_from(["s1", "s2"])),
        profile=Profile(draw(WORDS), "", draw(TAGS)),
        model=draw(WORDS),
        label=draw(st.sampled_from(["", "v1", "v1:site", "v1:site:x", "v1:device:y:z", "v1::x"])),
        namespace=draw(NAMESPACES),
        created_at=draw(INSTANTS),
        stale_at=draw(st.none() | INSTANTS),
        is_note=draw(st.sampled_from([False, False, True])),
    )


def selectors(there: list[Entry]) -> st.SearchStrategy[Selector]:
    def some(values: set[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
        return st.lists(st.sampled_from(sorted(values)) if values else WORDS, max_size=2).map(tuple)

    given_fields: dict[str, st.SearchStrategy[Any]] = {
        "scope": st.sampled_from(["s1", "s2"]),
        "keys": some({entry.key for entry in there}),
        "tags": some({tag for entry in there for tag in entry.profile.tags}),
        "tag_patterns": PATTERNS,
        "query_types": some({entry.profile.query_type for entry in there}),
        "models": some({entry.model for entry in there}),
        "namespace": NAMESPACES,
        "levels": some({"site", "device"}),
        "stored_before": INSTANTS,
        "tier": st.sampled_from(["hot", "cold"]),
        "idle_since": INSTANTS,
        "is_stale": st.booleans(),
    }
    return st.fixed_dictionaries({}, optional=given_fields).map(lambda fields: Selector(**fields))


@pytest.fixture(scope="module")
def store() -> Iterator[DiskStore]:
    with tempfile.TemporaryDirectory() as folder, closing(DiskStore(Path(folder) / "cache.db")) as store:
        yield store


@settings(max_examples=150, deadline=None)
@given(there=st.lists(st.tuples(entries(), st.sampled_from(["", "hot", "cold"])), max_size=8), data=st.data())
def test_the_same_entries_are_found(store: DiskStore, there: list[tuple[Entry, str]], data: st.DataObject) -> None:
    store.clear()
    for entry, tier in there:
        store.put(entry, tier=tier)
        if data.draw(st.booleans()):
            store.touch(entry.scope, entry.key, data.draw(INSTANTS))
    everything = store.select(Selector(), limit=100).rows
    last = {(entry.scope, entry.key): entry for entry, _ in there}
    assert len(everything) == len([entry for entry in last.values() if not entry.is_note])
    for _ in range(4):
        selector = data.draw(selectors([entry for entry, _ in there]))
        expected = [stored for stored in everything if selector.matches_stored(stored)]
        found, after = [], 0
        while after is not None:
            page = store.select(selector, limit=3, after=after)
            found += page.rows
            after = page.after  # type: ignore[assignment]
        assert found == expected, selector
    addresses = [(stored.entry.scope, stored.entry.key) for stored in expected]
    assert list(store.invalidate(selector, 9.0, is_lazy=False, limit=100).addresses) == addresses
    assert len(store.select(Selector(), limit=100).rows) == len(everything) - len(expected)
