"""What the doctor finds about the store of a cache: address, permissions, server, clock. Nothing is changed."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from llmcache_plugins.cli.checks import Check
from llmcache_plugins.errors import ConfigError, LLMCacheError, why
from llmcache_plugins.factory import parse_url

__all__ = ["store_checks"]

_MOST_APART = 2.0  # seconds: with more, the shortest times to live and the leases of processes are noticeably off
_SQLITE = b"SQLite format 3\0"  # https://www.sqlite.org/fileformat2.html#magic_header_string


def store_checks(url: str | None, given_as: str, name: str, now: Callable[[], float] = time.time) -> Iterator[Check]:
    """
    Args:
        url: of the cache; None when none is named.
        given_as: who named it.
        name: of the line that says what the cache is.
        now: this process's wall clock.
    """
    if not url:
        yield Check(name, "memory:// (set LLMCACHE_URL for another)")
        return
    try:
        kind, path = parse_url(url)
    except ConfigError as error:
        yield Check(name, f"{given_as}: {error}", is_ok=False)
        return
    if kind == "redis":
        yield from _server(url, given_as, name, now)
        return
    yield Check(name, f"{kind}://{path if kind == 'disk' else ''} ({given_as})")
    if kind == "disk":
        yield _permissions(path)


def _permissions(path: Path) -> Check:
    """Can this user keep a cache there? SQLite writes files of its own beside the cache's."""
    name, folder = "permissions", path.parent
    if not folder.is_dir():
        return Check(name, f"there is no folder {folder}", f"mkdir -p {shlex.quote(str(folder))}", is_ok=False)
    if not os.access(folder, os.W_OK | os.X_OK):
        remedy = "let this user write there, or name another place; the journal of the file lies beside it"
        return Check(name, f"the folder {folder} cannot be written", remedy, is_ok=False)
    if not path.exists():
        return Check(name, "the file is not there yet, and can be made")
    if not os.access(path, os.R_OK | os.W_OK):
        return Check(name, "the file cannot be read and written", "let this user do both: chmod u+rw", is_ok=False)
    return _kind_of_file(path, name)


def _kind_of_file(path: Path, name: str) -> Check:
    try:
        with path.open("rb") as file:
            head = file.read(len(_SQLITE))
    except OSError as error:
        return Check(name, f"the file cannot be read ({why(error)})", "name another", is_ok=False)
    if head not in (b"", _SQLITE):
        return Check(name, "the file is there, but is no cache", "name another, or move it away", is_ok=False)
    return Check(name, "file and folder can be read and written")


def _server(url: str, given_as: str, name: str, now: Callable[[], float]) -> Iterator[Check]:
    """What the server says of itself, and what should be changed there."""
    try:
        from llmcache_plugins.stores.redis import RedisStore, redis_settings

        server, settings = redis_settings(url)
        for setting in ("maxmemory", "maxmemory_policy"):
            settings.pop(setting, None)
        store = RedisStore(server, **settings)
        try:
            before = now()
            found = store.inspect()
            after = now()
        finally:
            store.close()
    except LLMCacheError as error:
        yield Check(name, f"{given_as}: {error}", is_ok=False)
        return
    yield Check(name, str(found), "; ".join(found.advice), is_ok=not found.advice)
    yield _clock(found.clock, before, after)


def _clock(clock: float | None, before: float, after: float) -> Check:
    """The server was asked at some moment between the two: what it says in between is right."""
    if clock is None:
        return Check("clock", "the server does not say what time it is")
    apart = clock - before if clock < before else max(0.0, clock - after)
    if abs(apart) <= _MOST_APART:
        return Check("clock", f"the server's and ours are at most {abs(apart):.1f} s apart")
    which = "ahead of" if apart > 0 else "behind"
    remedy = "set both by NTP; entries would expire, and leases end, too early or too late"
    return Check("clock", f"the server is {abs(apart):.0f} s {which} this machine", remedy, is_ok=False)
