"""Vectors move to another embedder in every kind of store, while it is in use; nothing else of an entry changes."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import ConfigError, Hit, Request, Selector, SemanticCache, TierConfig, open_cache
from llmcache_plugins.engine import reembedding
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.testing import FakeClock, FakeEmbedder
from llmcache_plugins.testing.redis_server import RedisCluster
from llmcache_plugins.transfer import ReembedReport
from llmcache_plugins.types import Stored

KEY = bytes(range(32))
_PREFIXES = itertools.count()
COUNT = 30
WORDINGS = {f"question {number}": f"q{number}" for number in range(COUNT)}
AGAIN = {f"asked again {number}": f"q{number}" for number in range(COUNT)}
Opener = Callable[..., SemanticCache]
KINDS = ["memory", "tiers", "disk", "sealed disk", "search", "vectorset", "plain", "valkey", "sealed search", "cluster"]


def embedder(name: str, dimension: int = 32, **given: Any) -> FakeEmbedder:
    return FakeEmbedder(WORDINGS | AGAIN, name=name, dimension=dimension, **given)


@pytest.fixture(scope="module")
def cluster_url(redis_flavour: Callable[[str], str]) -> Iterator[str]:
    with RedisCluster(redis_flavour("search")) as cluster:
        yield "redis+cluster://" + ",".join(url.split("/")[2] for url in cluster.urls)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(autouse=True)
def _heard_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests have nobody to wait for."""
    if "while_they_may" not in request.node.name:
        monkeypatch.setattr(reembedding, "_HEARD_WITHIN", 0.0)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """One event loop: what is connected on it is closed on it."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(params=KINDS)
def opened(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock, runner: asyncio.Runner
) -> Iterator[Opener]:
    """`opened("old")`: a cache over the one store of the test, with the embedder of this name."""
    kind = request.param
    settings: dict[str, Any] = {
        "clock": clock,
        "maintenance": "manual",
        "similarity_threshold": 0.9,
        "use_guards": False,
        "verifier": None,
    }
    if kind.startswith("sealed"):
        pytest.importorskip("cryptography")
        settings["encryption_key"] = KEY
    flavour = kind.removeprefix("sealed ")
    url: str | None = f"disk://{tmp_path}/cache.db"
    if flavour == "memory":
        url, settings["tiers"] = None, [TierConfig("only", store=MemoryStore())]
    elif flavour == "tiers":
        settings["tiers"] = [TierConfig("hot", store="memory://"), TierConfig("cold", promote_at=2)]
    elif flavour == "cluster":
        url = f"{request.getfixturevalue('cluster_url')}?prefix=reembed-{next(_PREFIXES)}"
    elif flavour != "disk":
        url = f"{request.getfixturevalue('redis_server')(flavour).url}?prefix=reembed-{next(_PREFIXES)}"
    caches: list[SemanticCache] = []

    def opened(name: str, **given: Any) -> SemanticCache:
        model = given.pop("embedder", None) or embedder(name)
        cache = open_cache(url, embedder=model, **settings, **given)
        caches.append(cache)
        return cache

    yield opened
    for cache in caches:
        runner.run(cache.aclose())


@pytest.fixture(params=["sync", "async"])
def move(request: pytest.FixtureRequest, runner: asyncio.Runner) -> Callable[..., ReembedReport]:
    def move(cache: SemanticCache, **settings: Any) -> ReembedReport:
        if request.param == "sync":
            return cache.reembed(**settings)
        return runner.run(cache.areembed(**settings))

    return move


def fill(cache: SemanticCache) -> None:
    for number, text in enumerate(WORDINGS):
        asked = Request(text, namespace=("tenant", str(number % 3)), tags=(f"n:{number}",))
        assert cache.update(asked, f"answer {number}").stored
    for number in range(3):  # embeds what is stored
        cache.lookup(Request("something else", namespace=("tenant", str(number))))


def kinds_of(cache: SemanticCache, texts: Any) -> list[str | None]:
    """Of each question how it is found, if it is."""
    found: list[str | None] = []
    for text in texts:
        number = int(text.split()[-1])
        hit = cache.lookup(Request(text, namespace=("tenant", str(number % 3))))
        found.append(hit.kind if isinstance(hit, Hit) else None)
        assert not isinstance(hit, Hit) or hit.answer == f"answer {number}"
    return found


def stored_in(cache: SemanticCache) -> dict[str, Stored]:
    page = cache._parts.tiers[cache._rules.bottom].store.select(Selector(), limit=1000)
    return {stored.entry.text: stored for stored in page.rows}


def without_embedder(stored: dict[str, Stored]) -> list[tuple[Any, ...]]:
    """All that is not to change."""
    return [
        (
            e.text,
            e.answer_json,
            e.created_at,
            e.expires_at,
            e.stale_at,
            e.profile,
            s.access_count,
            s.last_access,
            s.tier,
        )
        for s in stored.values()
        for e in [s.entry]
    ]


def test_entries_move_and_nothing_else_of_them_changes(opened: Opener, move: Callable[..., ReembedReport]) -> None:
    old = opened("old")
    fill(old)
    old.lookup(Request("question 4", namespace=("tenant", "1")))
    old.invalidate(tags=["n:7"], mode="lazy")
    before = without_embedder(stored_in(old))
    new = opened("new")
    report = move(new, batch=7)
    assert (report.read, report.moved, report.current, report.is_whole) == (COUNT, COUNT, 0, True)
    assert dict(report.moved_from) == {"old/32/unit": COUNT}
    after = stored_in(new)
    assert without_embedder(after) == before
    assert {stored.entry.embedder_id for stored in after.values()} == {"new/32/unit"}
    again = move(new)
    assert (again.moved, again.current) == (0, COUNT)


def test_old_and_new_caches_match_while_they_may(opened: Opener) -> None:
    old = opened("old")
    fill(old)
    wordings = list(AGAIN)
    assert kinds_of(old, wordings[:3]) == ["semantic"] * 3
    new = opened("new")
    assert new.reembed(batch=4, dry_run=True).moved == COUNT
    assert {stored.entry.embedder_id for stored in stored_in(new).values()} == {"old/32/unit"}
    new.reembed()
    assert kinds_of(old, wordings[9:15]) == [None] * 6, "who has it open hears of the move, and takes nothing back"
    assert kinds_of(new, wordings[3:9]) == ["semantic"] * 6
    for cache in (old, new):
        assert kinds_of(cache, WORDINGS) == ["exact"] * COUNT
    assert new.reembed(dry_run=True).current == COUNT


def test_a_cache_with_the_old_embedder_takes_nothing_back(opened: Opener, clock: FakeClock) -> None:
    old = opened("old")
    fill(old)
    new = opened("new")
    new.reembed()
    old = opened("old")  # one that was started meanwhile
    assert kinds_of(old, list(AGAIN)[:6]) == [None] * 6
    assert new.reembed(dry_run=True).current == COUNT
    old.update(Request("one more", namespace=("tenant", "0")), "more")
    old.lookup(Request("something", namespace=("tenant", "0")))
    report = new.reembed()
    assert (report.moved, report.current) == (1, COUNT), "what the old one stored meanwhile moves with the next run"
    clock.advance(25 * 3600)
    for number in range(COUNT):
        old.update(Request(f"later {number}", namespace=("tenant", "0")), "x")
    old.lookup(Request("something", namespace=("tenant", "0")))
    assert new.reembed(dry_run=True).moved > 0, "a day later an embedder fills in its vectors as ever"


def test_what_changes_meanwhile_keeps_its_last_word(opened: Opener) -> None:
    """One entry is removed, one replaced, one marked, one added, all between its reading and its new vector."""
    old = opened("old")
    fill(old)
    is_done = threading.Event()

    def change(texts: Any) -> None:
        if "question 5" not in texts or is_done.is_set():
            return
        is_done.set()
        old.invalidate(tags=["n:5"])
        old.update(Request("question 6", namespace=("tenant", "0"), tags=("n:6",)), "newer")
        old.invalidate(tags=["n:8"], mode="lazy")
        old.update(Request("added", namespace=("tenant", "0")), "added")

    new = opened("new", embedder=embedder("new", before=change))
    report = new.reembed(batch=COUNT)
    assert is_done.is_set()
    after = stored_in(new)
    assert "question 5" not in after
    assert after["question 6"].entry.answer == "newer"
    assert after["question 8"].entry.stale_at is not None
    assert report.gone == 1
    assert new.reembed().moved == 1, "what came behind the last batch moves with the next run"
    after = stored_in(new)
    assert {stored.entry.embedder_id for stored in after.values()} == {"new/32/unit"}


def test_updates_and_invalidations_while_it_moves(opened: Opener) -> None:
    old = opened("old")
    fill(old)
    new = opened("new")
    ends = threading.Event()
    last: dict[int, str] = {}

    def work() -> None:
        for round_ in itertools.count():
            for number in range(0, 10, 2):
                asked = Request(f"question {number}", namespace=("tenant", str(number % 3)), tags=(f"n:{number}",))
                last[number] = f"answer {number} of round {round_}"
                old.update(asked, last[number])
            if ends.is_set():
                return

    old.invalidate(tags=[f"n:{number}" for number in (11,)])
    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(3):
            new.reembed(batch=3)
    finally:
        ends.set()
        worker.join()
    assert new.reembed().is_whole
    after = stored_in(new)
    assert len(after) == COUNT - 1
    assert "question 11" not in after
    assert {number: after[f"question {number}"].entry.answer for number in last} == last
    assert {stored.entry.embedder_id for stored in after.values()} == {"new/32/unit"}


def test_an_embedder_of_another_dimension(opened: Opener) -> None:
    old = opened("old")
    fill(old)
    new = opened("new", embedder=embedder("new", 48))
    assert new.reembed(namespace=("tenant", "1")).moved == COUNT // 3
    assert new.reembed().moved == COUNT - COUNT // 3
    assert kinds_of(new, AGAIN) == ["semantic"] * COUNT


def test_texts_that_are_not_stored_cannot_be_moved(opened: Opener) -> None:
    with_text = opened("old")
    fill(with_text)
    old = opened("old", store_text=False)
    old.update("secret", "kept")
    new = opened("new")
    report = new.reembed()
    assert (report.moved, report.without_text, report.is_whole) == (COUNT, 1, True)
    assert "1 cannot be moved: their text is not stored" in str(report)
    assert isinstance(new.lookup("secret"), Hit)


def test_sealed_entries_need_their_key(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    url = f"disk://{tmp_path}/cache.db"
    with open_cache(url, embedder=embedder("old"), encryption_key=KEY, maintenance="manual") as cache:
        cache.update("question 1", "answer")
    with (
        open_cache(url, embedder=embedder("new"), maintenance="manual") as without,
        pytest.raises(ConfigError, match="LLMCACHE_ENCRYPTION_KEY"),
    ):
        without.reembed()


def test_sealed_entries_without_vectors_are_told(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    url = f"disk://{tmp_path}/cache.db"
    settings: dict[str, Any] = {"encryption_key": KEY, "encryption_vectors": "none", "maintenance": "manual"}
    with open_cache(url, embedder=embedder("new"), **settings) as cache:
        cache.update("question 1", "answer")
        report = cache.reembed()
    assert (report.moved, report.refused, report.is_whole) == (0, 1, False)
