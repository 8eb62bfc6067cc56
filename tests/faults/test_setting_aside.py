"""A damaged cache file keeps no application from starting; what is no cache file is never touched."""

from __future__ import annotations

import logging
import multiprocessing
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from llmcache_plugins import StoreCorrupt, open_cache
from llmcache_plugins.stores.setting_aside import identity_of, set_aside


def filled(path: Path) -> Path:
    with open_cache(f"disk://{path}", embedder=None, ttl=None) as cache:
        for number in range(50):
            cache.update(f"question {number}", "answer " * 50)
    return path


def break_structure(path: Path) -> bytes:
    content = bytearray(path.read_bytes())
    content[100:3000] = b"\xff" * 2900
    path.write_bytes(content)
    return bytes(content)


def test_a_damaged_file_is_put_aside_and_the_cache_begins_empty(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = filled(tmp_path / "cache.db")
    damaged = break_structure(path)
    with caplog.at_level(logging.WARNING), open_cache(f"disk://{path}", embedder=None, ttl=None) as cache:
        assert not cache.lookup("question 1")
        assert cache.update("question 1", "answer").stored
        assert cache.lookup("question 1")
    (aside,) = tmp_path.glob("cache.db.damaged-*")
    assert aside.read_bytes() == damaged
    (record,) = caplog.records
    assert str(aside) in record.getMessage()
    with open_cache(f"disk://{path}", embedder=None, ttl=None) as cache:
        assert cache.lookup("question 1")


def test_a_file_that_was_cut_off_is_put_aside_with_its_logs(tmp_path: Path) -> None:
    path = filled(tmp_path / "cache.db")
    path.write_bytes(path.read_bytes()[:5000])
    path.with_name("cache.db-wal").write_bytes(b"of the damaged one")
    with open_cache(f"disk://{path}", embedder=None, ttl=None) as cache:
        assert cache.update("question 1", "answer").stored
    assert len(list(tmp_path.glob("cache.db.damaged-*"))) >= 1


@pytest.mark.parametrize("what", ["text", "another program", "a later version", "header"])
def test_what_is_no_cache_file_of_this_version_is_left_alone(tmp_path: Path, what: str) -> None:
    path = filled(tmp_path / "cache.db")
    if what == "text":
        path.write_text("my diary\n" * 100)
    elif what == "header":
        path.write_bytes(b"\x00" * 16 + path.read_bytes()[16:])
    else:
        pragma = "application_id = 7" if what == "another program" else "user_version = 99"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA {pragma}")
        break_structure(path)
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt):
        open_cache(f"disk://{path}", embedder=None)
    assert path.read_bytes() == before
    assert set_aside(path, identity_of(path)) is None


def opened(path: str) -> bool:
    with open_cache(f"disk://{path}", embedder=None, ttl=None) as cache:
        return cache.update("question of many", "answer").stored


@pytest.mark.slow
def test_processes_that_find_the_damage_together_end_up_with_one_file(tmp_path: Path) -> None:
    for number in range(3):
        path = filled(tmp_path / f"{number}.db")
        break_structure(path)
        with multiprocessing.get_context("spawn").Pool(4) as pool:
            assert pool.map(opened, [str(path)] * 4) == [True] * 4
        with open_cache(f"disk://{path}", embedder=None, ttl=None) as cache:
            assert cache.lookup("question of many")


def test_the_file_of_a_process_that_was_quicker_is_left_alone(tmp_path: Path) -> None:
    path = filled(tmp_path / "cache.db")
    damaged = identity_of(path)
    path.rename(tmp_path / "elsewhere.db")
    filled(path)
    before = identity_of(path)
    assert set_aside(path, damaged) == path
    assert identity_of(path) == before
