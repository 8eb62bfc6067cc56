"""The cache file is removed or replaced while a store has it open."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from llmcache_plugins.errors import StoreCorrupt
from llmcache_plugins.stores import DiskStore
from llmcache_plugins.testing.store_contract import make_entry, make_vector

EMBEDDER = "fake/8/unit"
TEXTS = ("mine", "more", "theirs", "later")


def put(store: DiskStore, text: str) -> None:
    store.put(make_entry(text, vector=make_vector(0.0)))


def got(store: DiskStore) -> list[str]:
    return [text for text in TEXTS if store.get("scope", f"key of {text}") is not None]


def searched(store: DiskStore) -> list[str]:
    found = store.search("scope", EMBEDDER, make_vector(0.0), limit=9, now=0.0)
    return sorted((candidate.entry.text for candidate in found), key=TEXTS.index)


def reopened(path: Path) -> list[str]:
    with closing(DiskStore(path)) as store:
        assert searched(store) == got(store)
        found = got(store)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return found


def replacement(folder: Path) -> Path:
    path = folder / "other.db"
    with closing(DiskStore(path)) as store:
        for number in range(40):
            store.put(make_entry(f"{number}", answer_json='"' + "x" * 3000 + '"'))
        put(store, "theirs")
    return path


def remove_file(path: Path) -> None:
    path.unlink()


def remove_all(path: Path) -> None:
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink()


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


VERBS: dict[str, Callable[[DiskStore], object]] = {
    "get": got,
    "search": searched,
    "census": lambda store: store.census("scope", EMBEDDER, limit=1),
    "stats": lambda store: store.stats(),
    "put": lambda store: put(store, "more"),
}


@pytest.mark.parametrize("first", sorted(VERBS))
@pytest.mark.parametrize("remove", [remove_file, remove_all, remove_folder])
def test_what_was_removed_is_served_no_more_and_what_is_written_later_is_kept(
    tmp_path: Path, remove: Callable[[Path], None], first: str
) -> None:
    path = tmp_path / "folder" / "cache.db"
    with closing(DiskStore(path)) as store:
        put(store, "mine")
        assert searched(store) == ["mine"]
        remove(path)
        VERBS[first](store)
        put(store, "more")
        assert (got(store), searched(store)) == (["more"], ["more"])
        assert store.stats().entries == 1
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert reopened(path) == ["more"]  # by somebody else, while it is open here
    assert reopened(path) == ["more"]


@pytest.mark.parametrize("first", sorted(VERBS))
def test_a_replacement_is_served_and_stays_whole(tmp_path: Path, first: str) -> None:
    path = tmp_path / "cache.db"
    other = replacement(tmp_path)
    with closing(DiskStore(path)) as store:
        put(store, "mine")
        assert searched(store) == ["mine"]
        other.replace(path)
        VERBS[first](store)
        put(store, "more")
        assert (got(store), searched(store)) == (["more", "theirs"], ["more", "theirs"])
        assert store.stats().entries == 42
    assert reopened(path) == ["more", "theirs"]


def test_closing_leaves_a_replacement_alone(tmp_path: Path) -> None:
    """The log of the file that is gone would be taken for the replacement's own by whoever opens it next."""
    path = tmp_path / "cache.db"
    other = replacement(tmp_path)
    store = DiskStore(path)
    put(store, "mine")
    other.replace(path)
    store.close()
    assert reopened(path) == ["theirs"]


@pytest.mark.parametrize("replace", [True, False])
def test_several_stores_move_on_together(tmp_path: Path, replace: bool) -> None:
    path = tmp_path / "cache.db"
    other = replacement(tmp_path)
    with closing(DiskStore(path)) as first, closing(DiskStore(path)) as second:
        put(first, "mine")
        assert searched(second) == ["mine"]
        if replace:
            other.replace(path)
        else:
            path.unlink()
        put(first, "more")
        put(second, "later")
        expected = ["more", "theirs", "later"] if replace else ["more", "later"]
        for store in (first, second):
            assert (got(store), searched(store)) == (expected, expected)
    assert reopened(path) == expected


def test_a_log_without_its_file_is_not_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        put(store, "mine")
        path.unlink()
        with closing(DiskStore(path)) as another:  # before the first has noticed
            put(another, "later")
            put(store, "more")
            assert got(another) == got(store) == ["more", "later"]
    assert reopened(path) == ["more", "later"]


def test_a_file_that_is_replaced_during_a_fork_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    other = replacement(tmp_path)
    with closing(DiskStore(path)) as store:
        put(store, "mine")
        assert searched(store) == ["mine"]
        store.before_fork()
        other.replace(path)
        store.after_fork()
        assert searched(store) == ["theirs"]


def test_a_replacement_that_is_no_cache_is_reported_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        put(store, "mine")
        notes = tmp_path / "notes"
        notes.write_bytes(b"These are some notes and not a database.\n" * 100)
        notes.replace(path)
        for _ in range(2):
            for verb in VERBS.values():
                with pytest.raises(StoreCorrupt, match="damaged or no cache file"):
                    verb(store)
        path.unlink()
        put(store, "more")
        assert got(store) == ["more"]
    assert reopened(path) == ["more"]


def test_a_link_that_points_elsewhere_leaves_both_files_whole(tmp_path: Path) -> None:
    other = replacement(tmp_path)
    mine, link = tmp_path / "mine.db", tmp_path / "cache.db"
    DiskStore(mine).close()
    link.symlink_to(mine)
    with closing(DiskStore(link)) as store:
        put(store, "mine")
        link.unlink()
        link.symlink_to(other)
        assert (got(store), searched(store)) == (["theirs"], ["theirs"])
        put(store, "more")
    assert reopened(mine) == ["mine"]
    assert reopened(other) == ["more", "theirs"]
