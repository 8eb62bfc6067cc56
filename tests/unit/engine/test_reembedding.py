"""Moving vectors to another embedder: what is said of it, at what pace, and what a failure costs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

import pytest

from llmcache_plugins import (
    ConfigError,
    EmbedderError,
    Request,
    SemanticCache,
    StoreUnavailable,
    TierConfig,
    open_cache,
)
from llmcache_plugins.engine import reembedding
from llmcache_plugins.engine.vector_moves import MOVES, embedder_in, move_note, moves_in
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.testing import FakeClock, FakeEmbedder, FaultyStore
from llmcache_plugins.transfer import ReembedProgress, ReembedReport

COUNT = 25
Opener = Callable[..., SemanticCache]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore(MemoryStore())


@pytest.fixture
def opened(clock: FakeClock, store: FaultyStore) -> Iterator[Opener]:
    with ExitStack() as stack:

        def opened(embedder: FakeEmbedder | None, **settings: Any) -> SemanticCache:
            given = {"clock": clock, "maintenance": "manual", "tiers": [TierConfig("only", store=store)], **settings}
            return stack.enter_context(closing(open_cache(None, embedder=embedder, **given)))

        yield opened


@pytest.fixture(params=["sync", "async"])
def move(request: pytest.FixtureRequest) -> Callable[..., ReembedReport]:
    def move(cache: SemanticCache, **settings: Any) -> ReembedReport:
        if request.param == "sync":
            return cache.reembed(**settings)
        return asyncio.run(cache.areembed(**settings))

    return move


def filled(opened: Opener, count: int = COUNT, **settings: Any) -> SemanticCache:
    cache = opened(FakeEmbedder(name="old"), **settings)
    for number in range(count):
        cache.update(f"question {number}", number)
    cache.lookup("something else")
    return cache


def test_batches_are_as_small_as_asked_for(opened: Opener, move: Callable[..., ReembedReport]) -> None:
    filled(opened)
    new = FakeEmbedder(name="new")
    told: list[ReembedProgress] = []
    report = move(opened(new), batch=10, progress=told.append)
    assert (report.moved, new.batches) == (COUNT, 3)
    assert [(one.done, one.total, one.moved) for one in told] == [(10, 25, 10), (20, 25, 20), (25, 25, 25)]


def test_the_rate_is_kept(opened: Opener, move: Callable[..., ReembedReport], monkeypatch: pytest.MonkeyPatch) -> None:
    filled(opened)
    slept: list[float] = []

    async def asleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(reembedding, "_sleep", slept.append)
    monkeypatch.setattr(reembedding, "_asleep", asleep)
    cache = opened(FakeEmbedder(name="new"))
    move(cache, batch=10, rate=5.0)
    assert sum(slept) == pytest.approx(COUNT / 5.0)
    assert max(slept) <= 0.5
    slept.clear()
    move(cache, batch=10, rate=5.0)
    assert sum(slept) == 0, "what is there already is not waited for"


def test_a_trial_embeds_and_writes_nothing(opened: Opener, move: Callable[..., ReembedReport]) -> None:
    old = filled(opened)
    new = FakeEmbedder(name="new")
    version = old._parts.tiers[0].store.version()
    report = move(opened(new), dry_run=True)
    assert (report.moved, report.is_dry_run, new.embedded) == (COUNT, True, [])
    assert str(report).startswith("25 of 25 entries would be moved to new/64/unit, in ")
    assert old._parts.tiers[0].store.version() == version
    assert report.as_json()["moved_from"] == {"old/64/unit": COUNT}


def test_what_is_left_as_it_is(opened: Opener, clock: FakeClock, move: Callable[..., ReembedReport]) -> None:
    cache = filled(opened, 3)
    cache.update("expires soon", "x", ttl=5.0)
    cache.update(Request("a step", exact_only="agent_step"), "x")
    cache.update("as long as that: " + "word " * 30, "x")
    clock.advance(6.0)
    report = move(opened(FakeEmbedder(name="new", max_chars=100)))
    assert (report.moved, report.expired, report.exact_only, report.unreadable) == (3, 1, 1, 1)
    assert report.is_whole


def test_one_text_that_fails_costs_itself_alone(opened: Opener, move: Callable[..., ReembedReport]) -> None:
    filled(opened)

    def refuse(texts: Sequence[str]) -> None:
        if "question 4" in texts:
            raise EmbedderError("no")

    report = move(opened(FakeEmbedder(name="new", before=refuse)), batch=10)
    assert (report.moved, report.failed, report.is_complete, report.is_whole) == (COUNT - 1, 1, True, False)


@pytest.mark.parametrize("batch", [1, 10])
def test_an_embedder_that_is_down_ends_it(opened: Opener, move: Callable[..., ReembedReport], batch: int) -> None:
    filled(opened)

    def fail(texts: Sequence[str]) -> None:
        raise EmbedderError("down")

    embedder = FakeEmbedder(name="new", before=fail)
    report = move(opened(embedder), batch=batch)
    assert (report.moved, report.stopped, report.is_whole) == (0, "EmbedderError", False)
    with pytest.raises(EmbedderError):
        move(opened(embedder, fail_open=False), batch=batch)


def test_a_store_that_fails_in_the_middle_loses_nothing(
    opened: Opener, store: FaultyStore, move: Callable[..., ReembedReport]
) -> None:
    filled(opened)
    writes = iter(range(2))

    def fail_at_last() -> None:
        if next(writes, None) is None:
            raise StoreUnavailable("gone")

    store.before(["set_vectors"], fail_at_last)
    cache = opened(FakeEmbedder(name="new"))
    report = move(cache, batch=10)
    assert (report.moved, report.stopped) == (20, "StoreUnavailable")
    assert "run it again, what was moved stays moved" in str(report)
    with pytest.raises(StoreUnavailable):
        move(opened(FakeEmbedder(name="new"), fail_open=False))
    store.heal()
    report = move(cache, batch=10)
    assert (report.moved, report.current, report.is_whole) == (5, 20, True)


def test_a_closed_cache_stops(opened: Opener, move: Callable[..., ReembedReport]) -> None:
    filled(opened)
    cache = opened(FakeEmbedder(name="new"))
    report = move(cache, batch=5, progress=lambda at: cache.close())
    assert (report.moved, report.stopped) == (5, "closed")


@pytest.mark.parametrize(
    "settings",
    [
        {"batch": 0},
        {"batch": True},
        {"batch": 1001},
        {"rate": 0},
        {"rate": float("nan")},
        {"rate": "fast"},
        {"dry_run": 1},
        {"progress": "yes"},
        {"namespace": ("",)},
    ],
)
def test_wrong_arguments(opened: Opener, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        opened(FakeEmbedder()).reembed(**settings)


def test_without_an_embedder(opened: Opener) -> None:
    with pytest.raises(ConfigError, match="no embedder"):
        opened(None).reembed()


# ---------------------------------------------------------------- the note
def test_the_move_told_last_counts() -> None:
    notes = dict([move_note((), "first", 0.0), move_note(("acme",), "second", 10.0)])
    moves = moves_in(notes)
    assert embedder_in(moves, ("acme", "support"), 20.0) == "second"
    assert embedder_in(moves, ("other",), 20.0) == "first"
    assert embedder_in(moves_in(dict([move_note((), "third", 20.0)]) | notes), ("other",), 24 * 3600.0) is None


@pytest.mark.parametrize("value", ["", "null", "[]", "{}", '{"to": "x"}', '{"to": "x", "until": "soon"}'])
def test_a_note_that_cannot_be_read_is_none(value: str) -> None:
    assert moves_in({f"{MOVES}[]": value, f"{MOVES}no json": "{}", "epoch:[]": "1.0 x"}) == {}
