"""Invalidations, leases, notes and the version, between the stores of one file."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from llmcache_plugins.selection import Lease, Selector
from llmcache_plugins.stores import DiskStore, disk_invalidations, disk_leases
from llmcache_plugins.testing.store_contract import make_alias, make_entry, make_vector
from llmcache_plugins.types import Profile, Stored

TAGGED = Profile("status", "", ("device:rtr-001",))
SELECTOR = Selector(tags=TAGGED.tags)


def test_an_answer_from_before_another_stores_invalidation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store, closing(DiskStore(path)) as other:
        seen = store.sequence()
        store.put(make_entry("a", profile=TAGGED))
        assert other.invalidate(SELECTOR, 1.0, is_lazy=False, limit=9).addresses == (("scope", "key of a"),)
        assert not store.put(make_entry("a", profile=TAGGED), seen=seen)
        assert store.put(make_entry("b"), seen=seen)  # not what the invalidation is about
        assert store.put(make_entry("a", profile=TAGGED), seen=store.sequence())


def test_a_refused_answer_leaves_what_is_there(tmp_path: Path) -> None:
    with closing(DiskStore(tmp_path / "cache.db")) as store:
        store.invalidate(SELECTOR, 1.0, is_lazy=False, limit=9)
        store.put(make_entry("a", answer_json='"new"', profile=TAGGED))
        store.put_alias(make_alias("other", make_entry("a")))
        assert not store.put(make_entry("a", answer_json='"old"', profile=TAGGED), seen=0)
        assert not store.put(make_entry("other", answer_json='"old"', profile=TAGGED), seen=0)
        found = store.get("scope", "key of other")
        assert isinstance(found, Stored)
        assert found.entry.answer == "new"


def test_what_can_not_be_told_any_more_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_invalidations, "_KEPT", 3)
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        for now in range(5):
            store.invalidate(SELECTOR, float(now), is_lazy=False, limit=9)
        assert [noted.number for noted in store.invalidations(since=0.0)] == [3, 4, 5]
        assert not store.put(make_entry("a"), seen=1)
        assert store.put(make_entry("a"), seen=2)
        assert store.forget_invalidations(before=9.0) == 3
    with closing(DiskStore(path)) as store:
        assert store.sequence() == 5
        assert not store.put(make_entry("b"), seen=4)
        assert store.put(make_entry("b"), seen=5)
        assert store.invalidate(SELECTOR, 9.0, is_lazy=False, limit=9).number == 6


def test_marking_writes_no_body_anew_and_a_new_answer_is_fresh(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    entry = make_entry("a", profile=TAGGED, vector=make_vector(), answer_json='"' + "x" * 50_000 + '"')
    with closing(DiskStore(path)) as store, closing(DiskStore(path)) as other:
        store.put(entry)
        for now in (5.0, 6.0):
            store.invalidate(SELECTOR, now, is_lazy=True, limit=9)
        (candidate,) = other.search("scope", "fake/8/unit", make_vector(), limit=1, now=0.0)
        assert candidate.entry.stale_at == 5.0
        (stored,) = other.get_normalised("scope", entry.normalised_key, limit=1)
        assert stored.entry.stale_at == 5.0
        assert [noted.count for noted in store.invalidations(since=0.0)] == [1, 0]
        store.put(entry)
        found = other.get("scope", entry.key)
        assert isinstance(found, Stored)
        assert found.entry.stale_at is None


def test_a_replaced_entry_keeps_no_tag_of_the_one_before(tmp_path: Path) -> None:
    with closing(DiskStore(tmp_path / "cache.db")) as store:
        store.put(make_entry("a", profile=TAGGED))
        store.put(make_entry("a", profile=Profile("status", "", ("site:fra", "site:fra"))))
        assert store.select(SELECTOR, limit=9).rows == ()
        assert len(store.select(Selector(tag_patterns=("site:*",)), limit=9).rows) == 1


# -- leases


def test_tokens_rise_over_release_and_reopening(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store, closing(DiskStore(path)) as other:
        first = store.acquire("name", "a", 1.0, 9.0)
        assert first == Lease("name", "a", 1, 9.0)
        assert other.acquire("name", "b", 8.0, 20.0) is None
        assert store.acquire("name", "a", 8.0, 12.0) == Lease("name", "a", 1, 12.0)
        other.release(Lease("name", "b", 1, 12.0))  # not its own
        assert other.acquire("name", "b", 9.0, 20.0) is None
        store.release(first)
        assert store.put(make_entry("a"), fence=first)  # nobody came later
    with closing(DiskStore(path)) as store:
        second = store.acquire("name", "b", 9.0, 20.0)
        assert second == Lease("name", "b", 2, 20.0)
        assert not store.put(make_entry("a", answer_json='"late"'), fence=first)
        assert store.put(make_entry("b"), fence=second)


def test_of_many_names_the_oldest_ended_ones_are_forgotten_and_count_as_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_leases, "_KEPT", 5)
    monkeypatch.setattr(disk_leases, "_TRIM_EVERY", 1)
    with closing(DiskStore(tmp_path / "cache.db")) as store:
        running = store.acquire("running", "a", 0.0, 99.0)
        ended = [store.acquire(f"{number}", "a", 0.0, 1.0) for number in range(10)]
        store.acquire("last", "a", 5.0, 99.0)
        assert not store.put(make_entry("a"), fence=ended[0])
        assert store.put(make_entry("a"), fence=ended[-1])
        assert store.put(make_entry("a"), fence=running)
        assert store.acquire("running", "b", 5.0, 99.0) is None


# -- version

MAKES_COPIES_WRONG: dict[str, Callable[[DiskStore], object]] = {
    "replaced": lambda store: store.put(make_entry("a", answer_json='"new"')),
    "marked": lambda store: store.invalidate(SELECTOR, 1.0, is_lazy=True, limit=9),
    "removed": lambda store: store.delete("scope", ["key of a"]),
    "alias removed": lambda store: store.delete("scope", ["key of alias"]),
    "alias moved": lambda store: store.put_alias(make_alias("alias", make_entry("b"))),
    "swept": lambda store: store.sweep(1e12, limit=9),
    "cleared": lambda store: store.clear(("acme",)),
    "noted": lambda store: store.note("epoch", "1"),
    "note changed": lambda store: store.note("kept", "2"),
    "note removed": lambda store: store.note("kept", None),
}
LEAVES_THEM_RIGHT: dict[str, Callable[[DiskStore], object]] = {
    "added": lambda store: store.put(make_entry("new")),
    "read": lambda store: (store.touch("scope", "key of a", 5.0), store.close()),
    "given a vector": lambda store: store.set_vectors("scope", "e", {"key of b": make_vector()}),
    "placed": lambda store: store.place([("scope", "key of a")], "hot", 5.0, is_demotion=False),
    "leased": lambda store: store.acquire("name", "a", 1.0, 2.0),
    "looked at": lambda store: (store.get("scope", "key of a"), store.select(Selector(), limit=9), store.stats()),
}


def filled(path: Path) -> DiskStore:
    store = DiskStore(path)
    store.put(make_entry("a", profile=TAGGED, expires_at=1e9))
    store.put(make_entry("b"))
    store.put_alias(make_alias("alias", make_entry("a")))
    store.note("kept", "1")
    return store


@pytest.mark.parametrize("what", sorted(MAKES_COPIES_WRONG))
def test_a_copy_is_out_of_date_as_soon_as_another_store_changed_something(tmp_path: Path, what: str) -> None:
    path = tmp_path / "cache.db"
    with closing(filled(path)) as store, closing(DiskStore(path)) as other:
        before = store.version()
        assert store.version() == before
        MAKES_COPIES_WRONG[what](other)
        assert store.version() != before


@pytest.mark.parametrize("what", sorted(LEAVES_THEM_RIGHT))
def test_what_changes_no_entry_leaves_the_version(tmp_path: Path, what: str) -> None:
    path = tmp_path / "cache.db"
    with closing(filled(path)) as store, closing(DiskStore(path)) as other:
        before = store.version()
        LEAVES_THEM_RIGHT[what](other)
        assert store.version() == before


def test_another_file_at_the_path_is_another_version(tmp_path: Path) -> None:
    path, replacement = tmp_path / "cache.db", tmp_path / "other.db"
    filled(replacement).close()
    with closing(filled(path)) as store:
        before = store.version()
        replacement.replace(path)
        assert store.version() != before


def test_evicting_makes_copies_doubtful(tmp_path: Path) -> None:
    with closing(DiskStore(tmp_path / "cache.db", max_entries=2)) as store:
        store.put(make_entry("a"))
        store.put(make_entry("b"))
        before = store.version()
        store.put(make_entry("c"))
        assert store.version() != before


# -- notes


def test_notes_by_prefix(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    names = ["epoch:", "epoch:a", "epoch:%", "epoch:\u00fc", "epocha", "epoch;", "Epoch:a", "z"]
    with closing(DiskStore(path)) as store, closing(DiskStore(path)) as other:
        for name in names:
            store.note(name, name.upper())
        store.clear()
        assert other.notes("epoch:") == {name: name.upper() for name in names[:4]}
        assert other.notes() == {name: name.upper() for name in names}
        other.note("z", "")
        other.note("nothing", None)
        assert store.notes("z") == {"z": ""}
