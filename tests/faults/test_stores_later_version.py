"""A later version and this one on the same file or server: this one leaves what is there alone, says so once, and costs
the application model calls, nothing else."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Hit, Miss, SemanticCache, StoreCorrupt, StoreError, StoreUnavailable, open_cache
from llmcache_plugins.engine.reports import Report, report_entry, superfluous
from llmcache_plugins.stores import DiskStore, RedisStore
from llmcache_plugins.stores.schema import SCHEMA_VERSION
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_entry, make_vector
from llmcache_plugins.types import Entry, Stored

OLD_FILE = Path(__file__).parent.parent / "upgrade" / "format_1.sqlite"
LATER = SCHEMA_VERSION + 1
UPGRADE = f"""
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("ALTER TABLE entries ADD COLUMN later TEXT NOT NULL DEFAULT 'x'")
connection.execute("UPDATE state SET edits = edits + 1")
connection.execute("PRAGMA user_version = {LATER}")
connection.execute("COMMIT")
"""
_PREFIXES = itertools.count()
Logged = Callable[[], list[str]]


def opened(url: str, **settings: Any) -> SemanticCache:
    return open_cache(url, embedder=FakeEmbedder(), maintenance="manual", **settings)


def of_later_version(path: Path) -> None:
    """In another process, as a later version would."""
    subprocess.run([sys.executable, "-c", UPGRADE, str(path)], check=True)


def contents(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


# ---------------------------------------------------------------- a file
def test_a_file_that_a_later_version_takes_over_is_left_alone(tmp_path: Path, logged: Logged) -> None:
    path = tmp_path / "cache.db"
    with closing(opened(f"disk://{path}")) as cache:
        assert cache.update("hello", "stored before").stored
        assert isinstance(cache.lookup("hello"), Hit)
        of_later_version(path)
        before = contents(path)
        assert isinstance(cache.lookup("hello"), Miss)
        assert cache.get_or_generate("hello", lambda: "from the model") == "from the model"
        assert not cache.update("another", "x").stored
        cache.invalidate(tags=["t"])
        cache.maintain()
        assert contents(path) == before
    assert contents(path) == before, "not even closing writes into it"
    said = [line for line in logged() if "later version" in line]
    assert said == [
        f"{path} was brought up to date by a later version of llmcache-plugins while it was open (file version {LATER},"
        f" this one writes {SCHEMA_VERSION}); it is left alone. Upgrade this process, too"
    ]
    with pytest.raises(StoreCorrupt, match="Upgrade, or give another path"):
        opened(f"disk://{path}")


def test_every_verb_that_writes_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    with closing(DiskStore(path)) as store:
        store.put(make_entry("a", vector=make_vector()))
        of_later_version(path)
        before = contents(path)
        for write in (
            lambda: store.put(make_entry("b")),
            lambda: store.set_vectors("scope", "e", {"key of a": make_vector()}),
            lambda: store.delete("scope", ["key of a"]),
            lambda: store.clear(),
            lambda: store.note("n", "v"),
            lambda: store.acquire("l", "h", 0.0, 9.0),
            lambda: store.version(),
        ):
            with pytest.raises(StoreUnavailable, match="later version"):
                write()
        assert contents(path) == before


def test_a_file_brought_up_to_date_by_this_version_tells_who_has_it_open(tmp_path: Path) -> None:
    path = Path(shutil.copy(OLD_FILE, tmp_path))
    DiskStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        (edits,) = connection.execute("SELECT edits FROM state").fetchone()
    assert edits >= 1, "an earlier version that looks at it sees that something has changed"


# ---------------------------------------------------------------- a server
@pytest.fixture(params=["search", "vectorset", "plain", "valkey"])
def server(request: pytest.FixtureRequest, redis_server: Callable[[str], RedisServer]) -> RedisServer:
    return redis_server(request.param)


@pytest.fixture
def prefix() -> str:
    return f"later-{next(_PREFIXES)}"


def dump_of(client: Any, prefix: str) -> dict[bytes, bytes | None]:
    return {key: client.dump(key) for key in sorted(client.scan_iter(match=f"*{prefix}*", count=1000))}


def test_a_server_that_a_later_version_takes_over_is_left_alone(
    server: RedisServer, prefix: str, client_of: Callable[..., Any], logged: Logged
) -> None:
    client = client_of(server)
    with closing(opened(f"{server.url}?prefix={prefix}")) as cache:
        assert cache.update("hello", "stored before").stored
        assert isinstance(cache.lookup("hello"), Hit)
        client.hset(f"{{{prefix}}}:state", "format", "2")
        before = dump_of(client, prefix)
        assert len(before) > 5
        assert isinstance(cache.lookup("hello again"), Miss)
        assert cache.get_or_generate("hello once more", lambda: "from the model") == "from the model"
        assert not cache.update("another", "x").stored
        cache.invalidate(tags=["t"])
        cache.maintain()
        assert dump_of(client, prefix) == before
    assert dump_of(client, prefix) == before, "not even closing writes there"
    said = [line for line in logged() if "later version" in line]
    assert len(said) == 1
    assert "which is left alone: upgrade, or give another prefix" in said[0]
    with closing(opened(f"{server.url}?prefix={prefix}")) as cache:
        assert isinstance(cache.lookup("hello"), Miss)
        client.hdel(f"{{{prefix}}}:state", "format")
        assert isinstance(cache.lookup("hello"), Hit)


def test_keys_of_another_program_are_left_alone(
    server: RedisServer, prefix: str, client_of: Callable[..., Any], logged: Logged
) -> None:
    client = client_of(server)
    client.set(f"{{{prefix}}}:state", "of somebody else")
    client.rpush(f"{{{prefix}}}:all", "a", "b")
    client.set(f"{prefix}:state", "theirs")
    before = dump_of(client, prefix)
    with closing(opened(f"{server.url}?prefix={prefix}")) as cache:
        assert cache.get_or_generate("hello", lambda: "from the model") == "from the model"
        assert not cache.update("hello", "x").stored
        cache.invalidate(tags=["t"])
        with pytest.raises(StoreError, match="give another prefix"):
            cache.clear()
        cache.maintain()
    assert dump_of(client, prefix) == before
    said = [line for line in logged() if "another program" in line]
    assert len(said) == 1
    assert "give another prefix" in said[0]


def test_other_keys_beside_a_cache_do_not_matter(
    server: RedisServer, prefix: str, client_of: Callable[..., Any]
) -> None:
    client = client_of(server)
    theirs = {f"{prefix}:hello": "x", f"{{{prefix}}}:theirs": "y", f"{{{prefix}}}x": "z"}
    client.mset(theirs)
    with closing(opened(f"{server.url}?prefix={prefix}")) as cache:
        assert cache.update("hello", "stored").stored
        assert isinstance(cache.lookup("hello"), Hit)
        assert cache.clear() == 1
    assert client.mget(list(theirs)) == [value.encode() for value in theirs.values()]


def test_the_store_says_what_to_do(server: RedisServer, prefix: str, client_of: Any) -> None:
    client_of(server).hset(f"{{{prefix}}}:state", "format", "2")
    with closing(RedisStore(server.url, prefix=prefix)) as store, pytest.raises(StoreError, match="upgrade, or give"):
        store.put(make_entry("a"))


# ---------------------------------------------------------------- records
def test_reports_of_a_later_version_are_not_tidied_away() -> None:
    def stored(form: str) -> Stored:
        entry = report_entry("5c", (), Report("a", "b", 0.9), 1.0)
        fields = {name: getattr(entry, name) for name in ("scope", "key", "normalised_key", "namespace", "text")}
        answer = entry.answer_json.replace("llmcache/report/1", form)
        return Stored(Entry(**fields, answer_json=answer, created_at=1.0, expires_at=None, is_candidate=False))

    assert superfluous([stored("llmcache/report/2")]) == []
    assert superfluous([stored("somebody/else/1")]) != []
