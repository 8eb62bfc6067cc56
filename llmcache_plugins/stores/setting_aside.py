"""A cache file that is damaged is put aside under another name, so that an application starts with an empty one."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from llmcache_plugins.stores.schema import APPLICATION_ID, SCHEMA_VERSION

__all__ = ["identity_of", "set_aside"]

Identity: TypeAlias = tuple[int, int]

# Of the header of a database file: https://www.sqlite.org/fileformat.html#the_database_header
_MAGIC, _VERSION, _APPLICATION, _HEADER = b"SQLite format 3\x00", slice(60, 64), slice(68, 72), 100


def identity_of(path: Path) -> Identity | None:
    """Which file this is, whatever it is called; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def set_aside(path: Path, damaged: Identity | None) -> Path | None:
    """Rename a damaged file, `cache.db` to `cache.db.damaged-1732350000` (seconds since 1970), and its logs with it.

    Args:
        damaged: which file was found damaged, from before it was opened.

    Returns:
        its new path; `path` itself when another process was quicker, and another file is there by now; None where the
        file stays, for its header does not say that it is a cache file of this version or an earlier one, or for it
        cannot be renamed.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
    except OSError:
        return path if identity_of(path) != damaged else None
    if identity_of(path) != damaged:
        return path
    if not _is_ours(header):
        return None
    aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    try:
        path.rename(aside)
    except OSError:
        return path if identity_of(path) != damaged else None
    if identity_of(aside) != damaged:  # another process was quicker by a hair, and this is its new one
        with suppress(OSError):
            os.link(aside, path)  # not `rename`, which would replace what a third one may have made by now
            aside.unlink()
        return path
    for end in ("-wal", "-shm"):  # of the damaged file: an empty one must not read them as its own
        with suppress(OSError):
            path.with_name(path.name + end).rename(aside.with_name(aside.name + end))
    return aside


def _is_ours(header: bytes) -> bool:
    version = int.from_bytes(header[_VERSION], "big")
    is_cache = int.from_bytes(header[_APPLICATION], "big") == APPLICATION_ID
    return len(header) == _HEADER and header.startswith(_MAGIC) and is_cache and 0 < version <= SCHEMA_VERSION
