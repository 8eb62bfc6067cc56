"""What the counters say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from llmcache_plugins import open_cache
from llmcache_plugins.counters import LookupCounts, ModelUse, StoreStats, TierStats
from llmcache_plugins.quality import Validation
from llmcache_plugins.recorded import ErrorEvent, LookupEvent, MoveEvent, UpdateEvent, ValidationEvent
from llmcache_plugins.telemetry import Statistics
from llmcache_plugins.types import (
    Answer,
    Bypass,
    Entry,
    Hit,
    HitKind,
    Miss,
    MissReason,
    Profile,
    Request,
    UpdateOutcome,
    Usage,
)


def hit(kind: HitKind = "exact", latency: float = 0.5, tier: str = "hot") -> LookupEvent:
    entry = Entry("s", "k", "n", (), "q", '"a"', 0.0, None, usage=Usage(10, 5, 2, 1), generation_seconds=3.0)
    return LookupEvent(Hit(entry, kind, tier, 1.0, 1.0, 0.0, 1, latency), ())


def test_everything_adds_up() -> None:
    statistics = Statistics()
    events = [
        hit(),
        hit("semantic"),
        LookupEvent(Miss(MissReason.NO_CANDIDATES), ()),
        LookupEvent(Bypass("asked"), ()),
        UpdateEvent(UpdateOutcome(True), ()),
        UpdateEvent(UpdateOutcome(False, "empty"), ()),
        ErrorEvent("hot", "StoreUnavailable"),
    ]
    for event in events:
        statistics(event)
    stats = statistics.snapshot({"hot": StoreStats(entries=3), "cold": StoreStats(entries=7)})
    assert (stats.hits, stats.misses, stats.bypasses) == ({"exact": 1, "semantic": 1}, {"no_candidates": 1}, 1)
    assert (stats.updates, stats.refusals, stats.errors) == (1, {"empty": 1}, {"hot": 1})
    assert stats.tokens_saved == Usage(20, 10, 4, 2)
    assert stats.tokens_saved.total_tokens == 36
    assert stats.seconds_saved == 5.0
    assert (stats.lookups, stats.hit_count, stats.miss_count, stats.entries) == (3, 2, 1, 7)
    assert stats.hit_rate == 2 / 3


def test_each_tier_has_its_own_counters_and_a_hit_is_a_miss_of_the_tiers_above() -> None:
    statistics = Statistics()
    for tier in ("hot", "warm", "warm", "cold"):
        statistics(hit(tier=tier))
    statistics(LookupEvent(Miss(MissReason.NO_CANDIDATES), ()))
    statistics(MoveEvent("warm", "hot", 2, "reads"))
    statistics(MoveEvent("warm", "cold", 3, "idle"))
    statistics(MoveEvent("hot", "warm", 1, "capacity"))
    sizes = {name: TierStats(entries=number) for number, name in enumerate(("hot", "warm", "cold"))}
    tiers = statistics.snapshot({}, sizes).tiers
    assert list(tiers) == ["hot", "warm", "cold"]
    assert [(t.entries, t.hits, t.misses) for t in tiers.values()] == [(0, 1, 4), (1, 2, 2), (2, 1, 1)]
    assert [(t.promotions, t.demotions) for t in tiers.values()] == [(0, 1), (2, 3), (0, 0)]


def test_nothing_happened_yet() -> None:
    stats = Statistics().snapshot({})
    assert (stats.hit_rate, stats.lookups, stats.entries) == (0.0, 0, 0)


def test_counters_lose_nothing_between_threads() -> None:
    statistics = Statistics()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(lambda: [statistics(hit()) for _ in range(500)])
    assert statistics.snapshot({}).hits == {"exact": 4000}


def test_a_snapshot_stands_still() -> None:
    statistics = Statistics()
    before = statistics.snapshot({})
    statistics(hit())
    assert before.hits == {}


def test_validator_that_broke_is_no_wrong_hit_found() -> None:
    statistics = Statistics()
    for validation, has_failed in ((Validation(True), False), (Validation(False), False), (Validation(False), True)):
        statistics(ValidationEvent(validation, (), has_failed))
    stats = statistics.snapshot({})
    assert (stats.validated, stats.rejected, stats.false_positive_rate) == (2, 1, 0.5)


def test_models_beyond_those_told_apart_are_counted_together_and_keep_what_they_took() -> None:
    statistics = Statistics()
    for number in range(300):
        statistics(UpdateEvent(UpdateOutcome(True), (), f"model {number}", Usage(10, 1)))
    models = statistics.snapshot({}).models
    assert sum(use.calls for use in models.values()) == 300
    assert sum(use.spent.input_tokens for use in models.values()) == 3000
    assert models["(others)"].calls > 0


def test_the_profiler_tells_what_a_miss_is_about() -> None:
    def broken(request: Request) -> Profile:
        raise ValueError("never")

    with open_cache("memory://", embedder=None) as cache:
        cache.lookup(Request("What is the status of router 3?", model="m"))
        cache.lookup(Request("Whatever", query_type="bgp"))
        counts = cache.stats().query_types
    assert counts == {"status": LookupCounts(misses=1), "bgp": LookupCounts(misses=1)}
    with open_cache("memory://", embedder=None, profiler=broken) as cache:
        cache.lookup("What is the status of router 3?")
        assert cache.stats().query_types == {"unknown": LookupCounts(misses=1)}
        assert cache.stats().errors == {}


def test_what_calls_take_and_hits_spare_is_told_by_model() -> None:
    with open_cache("memory://", embedder=None) as cache:
        for question, model, usage in (
            ("a", "small", Usage(10, 2)),
            ("b", "large", Usage(100, 20)),
            ("c", "large", None),
        ):
            request = Request(question, model=model)
            cache.get_or_generate(request, lambda usage=usage: Answer("said", usage=usage or Usage()))
            cache.lookup(request)
        stats = cache.stats()
    assert stats.models["small"] == ModelUse(hits=1, saved=Usage(10, 2), calls=1, spent=Usage(10, 2))
    large = ModelUse(
        hits=2, hits_without_usage=1, saved=Usage(100, 20), calls=2, calls_without_usage=1, spent=Usage(100, 20)
    )
    assert stats.models["large"] == large
    assert stats.latency["model"].count == 3


def test_a_call_is_profiled_once() -> None:
    asked: list[str] = []

    def profiler(request: Request) -> Profile:
        asked.append(request.text)
        return Profile("of mine")

    with open_cache("memory://", embedder=None, profiler=profiler) as cache:
        cache.get_or_generate("one", lambda: "answer")
        cache.get_or_generate("one", lambda: "answer")
        assert asked == ["one"]
        for number in range(600):
            cache.lookup(f"never answered {number}")
        cache.get_or_generate("two", lambda: "answer")
        assert asked.count("two") == 1
        assert cache.stats().query_types == {"of mine": LookupCounts(hits=1, misses=602)}
