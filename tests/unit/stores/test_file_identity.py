from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.stores import file_identity
from llmcache_plugins.stores.file_identity import FilesInUse, make_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "cache.db"
    for name in ("cache.db", "cache.db-wal", "cache.db-shm"):
        (tmp_path / name).write_text(name)
    return path


def left(path: Path) -> list[str]:
    return sorted(item.name for item in path.parent.iterdir())


def test_logs_stay_while_their_file_is_there(path: Path) -> None:
    files = FilesInUse.of(path)
    assert files.is_in_place()
    files.remove_logs()
    assert left(path) == ["cache.db", "cache.db-shm", "cache.db-wal"]


def test_logs_leave_when_their_file_is_gone(path: Path) -> None:
    files = FilesInUse.of(path)
    with path.open(), Path(f"{path}-wal").open(), Path(f"{path}-shm").open():  # as SQLite has them
        path.unlink()
        assert not files.is_in_place()
        files.remove_logs()
        assert left(path) == []
        files.remove_logs()


def test_logs_of_another_file_stay(path: Path) -> None:
    files = FilesInUse.of(path)
    with path.open(), Path(f"{path}-wal").open(), Path(f"{path}-shm").open():
        for name in ("cache.db", "cache.db-wal"):
            (path.parent / name).unlink()
            (path.parent / name).write_text("new")
        assert not files.is_in_place()
        files.remove_logs()
    assert left(path) == ["cache.db", "cache.db-wal"]


def test_a_file_that_is_made_has_no_logs_from_before(path: Path) -> None:
    path.unlink()
    make_file(path)
    assert left(path) == ["cache.db"]
    assert path.read_bytes() == b""


def test_a_file_that_is_there_is_left_alone(path: Path) -> None:
    make_file(path)
    assert path.read_text() == "cache.db"
    assert left(path) == ["cache.db", "cache.db-shm", "cache.db-wal"]


def test_nothing_is_in_place_where_there_was_nothing(tmp_path: Path) -> None:
    assert not FilesInUse.of(tmp_path / "cache.db").is_in_place()
    (tmp_path / "file").touch()
    assert not FilesInUse.of(tmp_path / "file" / "cache.db").is_in_place()


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks there, and no need of them")
def test_a_locked_folder_is_waited_for_but_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr(file_identity, "_PATIENCE", 0.0)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailable, match="locked by another process"):
            make_file(tmp_path / "cache.db")
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        make_file(tmp_path / "cache.db")
    finally:
        with suppress(OSError):
            os.close(descriptor)
