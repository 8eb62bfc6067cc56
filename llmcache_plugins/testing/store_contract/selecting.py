"""Contract: which entries a selector finds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmcache_plugins.protocols import Store
from llmcache_plugins.selection import Page, Selector
from llmcache_plugins.testing.store_contract.base import ContractBase
from llmcache_plugins.testing.store_contract.samples import make_alias, make_entry, make_vector, stored_of
from llmcache_plugins.types import Entry, Profile

__all__ = ["SelectContract"]

_BORN = 1_700_000_000.0


def _entries() -> dict[str, Entry]:
    """One of each kind, by name."""
    return {
        "router 1": make_entry(
            "router 1",
            profile=Profile("status", "volatile", ("device:rtr-001", "device:rtr-001:config", "site:x")),
            model="small",
            label="v1:device:status:rtr-001:a3f2",
        ),
        "router 11": make_entry(
            "router 11",
            profile=Profile("status", "dynamic", ("device:rtr-0011", "site:x")),
            model="large",
            label="v1:site:status:x:a3f2",
            created_at=_BORN + 10,
        ),
        "definition": make_entry(
            "definition", profile=Profile("definition"), namespace=("acme", "app"), model="large", created_at=_BORN + 20
        ),
        "other scope": make_entry(
            "other scope",
            scope="scope 2",
            namespace=("acmes",),
            profile=Profile(tags=("100%_[*]", "\u00e9\ud800")),
            is_candidate=False,
        ),
        "stale": make_entry("stale", stale_at=_BORN + 5, profile=Profile(tags=("site:x", "Ticket:7"))),
    }


def found_in(store: Store, **given: Any) -> list[str]:
    return [stored.entry.text for stored in store.select(Selector(**given), limit=100).rows]


class SelectContract(ContractBase):
    """`select`, and so what `invalidate` is about."""

    @pytest.mark.parametrize(
        ("given", "found"),
        [
            ({}, ["router 1", "router 11", "definition", "other scope", "stale"]),
            ({"scope": "scope 2"}, ["other scope"]),
            ({"scope": "nowhere"}, []),
            ({"keys": ("key of stale", "key of router 1", "gone")}, ["router 1", "stale"]),
            ({"tags": ("device:rtr-001",)}, ["router 1"]),
            ({"tags": ("site:x",)}, ["router 1", "router 11", "stale"]),
            ({"tags": ("site:x", "device:rtr-0011")}, ["router 11"]),
            ({"tags": ("unknown",)}, []),
            ({"tags": ("100%_[*]",)}, ["other scope"]),
            ({"tags": ("\u00e9\ud800",)}, ["other scope"]),
            ({"tag_patterns": ("device:rtr-001*",)}, ["router 1", "router 11"]),
            ({"tag_patterns": ("device:rtr-001:*",)}, ["router 1"]),
            ({"tag_patterns": ("device:rtr-001?",)}, ["router 11"]),
            ({"tag_patterns": ("ticket:*",)}, []),
            ({"tag_patterns": ("T*:[0-9]",)}, ["stale"]),
            ({"tag_patterns": ("100%_[[][*]]",)}, ["other scope"]),
            ({"tag_patterns": ("100_*",)}, []),
            ({"tag_patterns": ("site:*", "device:*")}, ["router 1", "router 11"]),
            ({"query_types": ("status", "definition")}, ["router 1", "router 11", "definition"]),
            ({"models": ("large",)}, ["router 11", "definition"]),
            ({"namespace": ("acme",)}, ["router 1", "router 11", "definition", "stale"]),
            ({"namespace": ("acme", "app")}, ["definition"]),
            ({"levels": ("device",)}, ["router 1"]),
            ({"levels": ("site", "global")}, ["router 11"]),
            ({"stored_before": _BORN + 10}, ["router 1", "other scope", "stale"]),
            ({"is_stale": True}, ["stale"]),
            ({"is_stale": False, "tags": ("site:x",)}, ["router 1", "router 11"]),
            ({"tags": ("site:x",), "models": ("large",), "query_types": ("status",)}, ["router 11"]),
            ({"keys": ("key of stale",), "tags": ("device:rtr-001",)}, []),
        ],
    )
    def test_all_that_is_given_holds(self, store: Store, given: dict[str, Any], found: list[str]) -> None:
        for entry in _entries().values():
            store.put(entry)
        assert found_in(store, **given) == found

    def test_tier_and_idleness_are_the_store_s_to_know(self, store: Store) -> None:
        for text in "abc":
            store.put(make_entry(text), tier="warm")
        store.put(make_entry("d", created_at=_BORN + 30))
        store.place([("scope", "key of a")], "hot", _BORN + 20, is_demotion=False)
        store.touch("scope", "key of b", _BORN + 10)
        assert found_in(store, tier="warm") == ["b", "c"]
        assert found_in(store, tier="hot") == ["a"]
        assert found_in(store, idle_since=_BORN) == []
        assert found_in(store, idle_since=_BORN + 10) == ["c"]
        assert found_in(store, idle_since=_BORN + 20) == ["b", "c"]
        assert found_in(store, idle_since=_BORN + 21) == ["a", "b", "c"]
        assert found_in(store, idle_since=_BORN + 31, tier="warm") == ["b", "c"]

    def test_pages_are_in_the_order_of_storing(self, store: Store) -> None:
        texts = [f"{number}" for number in range(7)]
        for text in texts:
            store.put(make_entry(text, profile=Profile(tags=("t",))))
        store.put(make_entry("2", profile=Profile(tags=("t",))))  # put again: now the newest
        for selector in (Selector(), Selector(tags=("t",)), Selector(scope="scope"), Selector(tag_patterns=("*",))):
            pages = []
            page = store.select(selector, limit=3)
            while page.after is not None:
                pages.append([stored.entry.text for stored in page.rows])
                page = store.select(selector, limit=3, after=page.after)
            pages.append([stored.entry.text for stored in page.rows])
            assert [text for part in pages for text in part] == ["0", "1", "3", "4", "5", "6", "2"]
            assert all(len(part) <= 3 for part in pages)

    def test_a_page_that_holds_all_is_the_last(self, store: Store) -> None:
        assert store.select(Selector(), limit=5) == Page()
        for text in "ab":
            store.put(make_entry(text))
        page = store.select(Selector(), limit=5)
        assert (len(page.rows), page.after) == (2, None)

    def test_paging_goes_on_while_entries_leave(self, store: Store) -> None:
        for number in range(6):
            store.put(make_entry(f"{number}"))
        page = store.select(Selector(), limit=2)
        store.delete("scope", ["key of 0", "key of 1", "key of 3"])
        assert page.after is not None
        rest = store.select(Selector(), limit=9, after=page.after)
        assert [stored.entry.text for stored in rest.rows] == ["2", "4", "5"]

    def test_a_selected_entry_is_whole_but_for_its_vector(self, store: Store) -> None:
        entry = make_entry(
            vector=make_vector(),
            expires_at=_BORN - 5,  # expired ones are selected, too
            profile=Profile("status", "volatile", ("b", "a")),
            label="v1:device:status:x",
            stale_at=_BORN + 3,
            tolerant={"temperature": 0.2},
            finish_reason="stop",
        )
        store.put(entry, tier="warm")
        store.touch("scope", entry.key, _BORN + 4)
        (row,) = store.select(Selector(), limit=5).rows
        assert row.entry == entry  # a vector is not compared
        assert row.entry.vector is None
        assert (row.entry.embedder_id, row.tier, row.reads, row.last_access) == ("fake/8/unit", "warm", 1, _BORN + 4)
        assert stored_of(store.get("scope", entry.key)).entry == entry

    def test_no_selector_finds_notes_or_aliases(self, store: Store) -> None:
        entry = make_entry("note", is_note=True, profile=Profile(tags=("t",)))
        store.put(entry)
        store.put_alias(make_alias("other", entry))
        for selector in (Selector(), Selector(tags=("t",)), Selector(keys=("key of note", "key of other"))):
            assert store.select(selector, limit=5) == Page()
        assert store.invalidate(Selector(), _BORN, is_lazy=False, limit=5).addresses == ()
        assert stored_of(store.get("scope", "key of note")).entry.is_note

    def test_a_replaced_entry_is_found_by_what_it_is_now(self, store: Store) -> None:
        entry = make_entry(profile=Profile(tags=("old", "both")))
        store.put(entry)
        store.put(replace(entry, profile=Profile(tags=("new", "both", "both"))))
        assert [found_in(store, tags=(tag,)) for tag in ("old", "new", "both")] == [[], ["hello"], ["hello"]]
        store.delete("scope", [entry.key])
        assert [found_in(store, tags=(tag,)) for tag in ("old", "new", "both")] == [[], [], []]
