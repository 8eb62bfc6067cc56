"""What each release left behind is read by this one: same hits, same invalidations, same labels.

The folders are written by make_release.py, once for each release, and never again.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Selector, open_cache
from llmcache_plugins.embedders import VectorCacheFile
from llmcache_plugins.evaluation.rows import read_file
from llmcache_plugins.stores import RedisStore
from llmcache_plugins.stores.codec import FORMAT_VERSION
from llmcache_plugins.stores.schema import SCHEMA_VERSION
from llmcache_plugins.telemetry.tallied import _VERSION as TALLIES_VERSION
from llmcache_plugins.testing import FakeClock
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.transfer import FORMAT_VERSION as FILE_VERSION

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("upgrade_release", HERE / "release.py")
assert _spec is not None
assert _spec.loader is not None
release = importlib.util.module_from_spec(_spec)
sys.modules["upgrade_release"] = release
_spec.loader.exec_module(release)

RELEASES = ["0.1.0"]
PREFIX = "upgrade"


@pytest.fixture(params=RELEASES)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy: whoever opens a file may bring it up to date."""
    return Path(shutil.copytree(HERE / request.param, tmp_path / request.param))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(release.START + 60.0)


def opened(url: str, clock: FakeClock, **settings: Any) -> Any:
    """As another process, so that what the release counted stays apart."""
    return release.opened(url, clock, node_id="node-2", **settings)


def test_every_format_of_today_has_been_left_behind() -> None:
    """Whoever raises one of these numbers writes a new folder, and lets the old ones be."""
    assert (FORMAT_VERSION, SCHEMA_VERSION, FILE_VERSION, TALLIES_VERSION) == (1, 3, 1, 1)
    with closing(sqlite3.connect(HERE / RELEASES[-1] / "cache.sqlite")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        empty = {name for name in tables if not connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]}
    assert empty <= {"leases"}, "each kind of record is in the file"


def test_a_file(folder: Path, clock: FakeClock) -> None:
    with closing(opened(f"disk://{folder}/cache.sqlite", clock)) as cache:
        release.check(cache)
        assert cache.stats().entries > 0
        store = cache._parts.tiers[-1].store
        assert store.stats().damaged == 0
        release.check_awaited(cache)


def test_a_file_goes_on_being_written(folder: Path, clock: FakeClock) -> None:
    url = f"disk://{folder}/cache.sqlite"
    with closing(opened(url, clock)) as cache:
        assert cache.update("new", "answer").stored
        assert cache.invalidate(tags=["device:rtr-002"]).count == 1
        assert cache.maintain().failed == ()
    with closing(opened(url, clock)) as cache:
        assert cache.lookup("new")
        assert not cache.lookup(release.asked("Restart the router"))
        assert len(cache.invalidations(since=0.0)) >= 4


def test_a_sealed_file(folder: Path, clock: FakeClock) -> None:
    pytest.importorskip("cryptography")
    url = f"disk://{folder}/sealed.sqlite"
    with closing(opened(url, clock, encryption_key=release.KEY)) as cache:
        release.check(cache)
        assert cache._parts.tiers[-1].store.stats().damaged == 0
    with closing(opened(url, clock, encryption_key=bytes(32))) as other:
        assert not other.lookup(release.asked("Show BGP status"))


def test_an_export(folder: Path, clock: FakeClock) -> None:
    with closing(opened("memory://", clock)) as cache:
        report = cache.import_from(folder / "export.jsonl")
        assert (report.is_whole, report.stored, report.damaged) == (True, report.read, 0)
        assert report.vectors >= 4
        for text in ("Show BGP status", "Where is the cellar?", "What is old?"):
            hit = cache.lookup(release.asked(text))
            assert text == "What is old?" or hit.answer == {"text": f"about: {text}"}
        found = cache.lookup(release.asked("Give me the BGP state"))
        assert found.kind == "semantic"


def test_files_of_near_misses_regressions_and_vectors(folder: Path, clock: FakeClock) -> None:
    """Who appends to them goes on where the release ended."""
    with closing(open_cache(embedder=release.Axes(), clock=clock, **release.files_of(folder))) as cache:
        cache.lookup("anything")
    near = [json.loads(line) for line in (folder / "near_misses.jsonl").read_text().splitlines()]
    assert [(one["asked"], one["stored"]) for one in near] == [("Which gates are open?", "Which ports are open?")]
    (pair,) = read_file(folder / "regressions.jsonl").pairs
    assert (pair.a.text, pair.b.text, pair.label) == ("Where is the cellar?", "Where is the basement?", 0)
    with closing(VectorCacheFile(folder / "vectors.sqlite", max_entries=100)) as file:
        assert file is not None
    with closing(sqlite3.connect(folder / "vectors.sqlite")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


def test_events_have_the_fields_that_they_had(folder: Path) -> None:
    """What reads a log of events goes by these names."""
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    by_kind = {line["event"]: line.keys() for line in lines}
    assert by_kind.keys() == {"update", "lookup", "report", "invalidation"}
    hits = [line for line in lines if line["event"] == "lookup" and line["outcome"] == "hit"]
    assert [hit["kind"] for hit in hits] == ["semantic", "normalised", "semantic"]
    assert {"at", "tier", "similarity", "confidence", "latency"} <= hits[0].keys()


# ---------------------------------------------------------------- servers
@pytest.fixture
def client(client_at: Callable[[str], Any], where: tuple[str, RedisServer]) -> Any:
    return client_at(where[1].url)


@pytest.fixture
def client_at() -> Iterator[Callable[[str], Any]]:
    redis = pytest.importorskip("redis")
    opened: list[Any] = []

    def client_at(url: str) -> Any:
        opened.append(redis.Redis.from_url(url, socket_timeout=10.0))
        return opened[-1]

    yield client_at
    for client in opened:
        client.close()


@pytest.fixture(
    params=[
        ("search", "search"),
        ("vectorset", "vectorset"),
        ("plain", "plain"),
        ("plain", "valkey"),
        ("plain", "vectorset"),  # the server was replaced by one that finds candidates itself
        ("plain", "search"),
    ],
    ids=" -> ".join,
)
def where(request: pytest.FixtureRequest, redis_flavour: Callable[[str], str]) -> Iterator[tuple[str, RedisServer]]:
    """Whose layout it is, and a server of its own."""
    layout, flavour = request.param
    with RedisServer(redis_flavour(flavour)) as server:
        yield layout, server


def restore(client: Any, path: Path) -> None:
    for line in path.read_text().splitlines():
        client.execute_command(*[release.unpacked(word) for word in json.loads(line)])


@pytest.mark.slow
def test_a_server(folder: Path, clock: FakeClock, where: tuple[str, RedisServer], client: Any) -> None:
    layout, server = where
    restore(client, folder / f"redis_{layout}.jsonl")
    with closing(opened(f"{server.url}?prefix={PREFIX}", clock)) as cache:
        if server.flavour == "search":  # an index over what is there already fills a moment later
            deadline = time.monotonic() + 60.0
            while not cache.lookup(release.asked("Reboot the router")):
                assert time.monotonic() < deadline, "waited in vain"
                time.sleep(0.05)
        release.check(cache)
        assert cache._parts.tiers[-1].store.stats().damaged == 0
        assert cache.update("new", "answer").stored
        assert cache.invalidate(tags=["device:rtr-002"]).count == 1
        assert cache.maintain().failed == ()
        release.check_awaited(cache)
    with closing(RedisStore(server.url, prefix=PREFIX)) as store:
        tags = Selector(tags=("site:fra",))
        assert [stored.entry.text for stored in store.select(tags, limit=9).rows] == ["Show BGP status"]
