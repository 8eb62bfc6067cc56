"""What the page shows: the same numbers as everywhere else, and JSON without infinities."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest

from llmcache_plugins import MissReason, NearMissRecord, SemanticCache, open_cache
from llmcache_plugins.dashboard.api import Api, Sources
from llmcache_plugins.dashboard.data import BINS, alerts_of, boundary_of, distribution_of, pairs_of
from llmcache_plugins.dashboard.history import History
from llmcache_plugins.dashboard.labels import Given, Labels
from llmcache_plugins.dashboard.seen import SeenHit, SeenHits
from llmcache_plugins.engine.explanation import PolicyReport
from llmcache_plugins.recorded import Event
from llmcache_plugins.report import Alert
from llmcache_plugins.testing import FakeClock
from llmcache_plugins.types import Hit


def api_of(cache: SemanticCache) -> Api:
    sources = Sources(near_misses=cache.near_misses, seen=None, alerts=(), money=None, is_shared=False)
    return Api(cache, sources, Labels(), History())


def near(
    asked: str, similarity: float = 0.9, *, at: float = 0.0, reason: str = "low_confidence", vetoed: bool = False
) -> NearMissRecord:
    vetoed_by = ("numbers",) if vetoed else ()
    return NearMissRecord(asked, "stored", similarity, 0.5, vetoed_by, MissReason(reason), at, (), "s:k:a")


def test_the_numbers_of_the_example_are_those_of_report_json_and_prometheus(example_events: list[Event]) -> None:
    prometheus = pytest.importorskip("prometheus_client")
    from llmcache_plugins.telemetry import PrometheusCollector

    with open_cache("memory://", embedder=None, clock=FakeClock()) as cache:
        for event in example_events:
            cache._emit(event)
        registry = prometheus.CollectorRegistry()
        registry.register(PrometheusCollector(cache))
        metrics = prometheus.generate_latest(registry).decode()
        report = cache.report()
        state = json.loads(json.dumps(api_of(cache).state(), allow_nan=False))
    shown = state["report"]
    assert (shown["hit_count"], shown["miss_count"], shown["lookups"]) == (130, 60, 190)
    assert (report.hit_count, report.miss_count, report.lookups) == (130, 60, 190)
    assert shown == report.as_json()
    assert shown["hit_rate"] == pytest.approx(130 / 190)
    assert 'llmcache_lookups_total{outcome="hit",reason="exact"} 130.0' in metrics
    assert 'llmcache_lookups_total{outcome="miss",reason="no_candidates"} 60.0' in metrics
    by_type = {row["query_type"]: (row["hits"], row["misses"]) for row in shown["query_types"]}
    assert by_type == {
        "bgp_queries": (50, 10),
        "device_queries": (30, 20),
        "troubleshooting": (10, 25),
        "config_queries": (40, 5),
    }
    for name, (hits, misses) in by_type.items():
        for outcome, number in (("hit", hits), ("miss", misses)):
            assert f'llmcache_query_type_lookups_total{{outcome="{outcome}",query_type="{name}"}} {number}.0' in metrics
    (sample,) = state["samples"]
    assert (sample["hits"], sample["misses"]) == (130, 60)
    assert sample["types"] == {name: list(counts) for name, counts in by_type.items()}
    assert sample["net"] == pytest.approx(report.money.net)
    kinds = state["latency"]["kinds"]
    assert {kind: (one["count"], sum(one["buckets"])) for kind, one in kinds.items()} == {
        "hit": (130, 130),
        "miss": (60, 60),
        "model": (60, 60),
    }


def test_similarities_fall_into_bins_whatever_they_are() -> None:
    hit = SeenHit("a", "b", 0.98, 1.0, "semantic", 0.0, (), "s:k:a")
    misses = [near("a", value) for value in (0.98, 1.0000001, -0.3, math.nan, 0.5)]
    found = distribution_of(misses, [hit])
    assert sum(found["similarity"]["near_misses"]) == 4
    assert found["similarity"]["near_misses"][BINS - 1] == 2
    assert found["similarity"]["near_misses"][0] == 1
    assert found["similarity"]["near_misses"][BINS // 2] == 1
    assert found["similarity"]["hits"][BINS - 1] == 1
    assert found["confidence"]["hits"][BINS - 1] == 1


def test_a_boundary_that_nothing_passes_is_null() -> None:
    nothing_learnt = PolicyReport("adaptive", 0.01, 0.8, math.inf, math.inf, is_learnt=True)
    found = boundary_of(nothing_learnt)
    assert found is not None
    assert (found["floor"], found["confidence"]) == (0.8, None)
    assert boundary_of(None) is None


def test_each_pair_is_listed_once_the_most_telling_first() -> None:
    records = [
        near("far", reason="below_threshold", at=5.0),
        near("sure", at=1.0),
        near("vetoed", reason="guard_conflict", vetoed=True, at=4.0),
        near("sure", at=2.0),
        near("later", at=3.0),
    ]
    rows = pairs_of(records, {})
    assert [(row["asked"], row["count"]) for row in rows] == [("later", 1), ("sure", 2), ("vetoed", 1), ("far", 1)]
    assert rows[0]["entry"] == "s:k"
    labelled = pairs_of(records, {rows[0]["id"]: Given("right", "obeyed")})
    assert [(row["asked"], row["outcome"]) for row in labelled][-1] == ("later", "obeyed")


def test_a_label_shows_however_many_pairs_have_none() -> None:
    records = [near(f"question {number}", at=float(number)) for number in range(300)]
    first = pairs_of(records, {})
    assert len(first) == 100
    assert first[0]["asked"] == "question 299"
    rows = pairs_of(records, {first[7]["id"]: Given("right", "obeyed")})
    assert [row["id"] for row in rows if row["label"]] == [first[7]["id"]]
    assert len(rows) == 101


def test_alerts_need_not_know_since_when_and_a_hundred_are_enough() -> None:
    notice = Alert("hit_rate", "warning", "the hit rate is low")
    since = SimpleNamespace(name="odd", level="urgent", text="odd", since=12.0)
    first, second, *more = alerts_of([notice, since, *[notice] * 200])
    assert first == {"name": "hit_rate", "level": "warning", "text": "the hit rate is low", "since": None}
    assert second == {"name": "odd", "level": "urgent", "text": "odd", "since": 12.0}
    assert len(more) == 98


def test_hits_by_meaning_are_heard_and_shown_in_no_repr(cache: SemanticCache) -> None:
    seen = SeenHits(cache.now, ("app",))
    cache.listen(seen)
    cache.lookup("Show rtr-001")
    assert seen.snapshot() == ()  # an exact one
    hit = cache.lookup("Display rtr-001")
    assert isinstance(hit, Hit)
    (one,) = seen.snapshot()
    assert (one.asked, one.stored, one.kind, one.namespace) == ("Display rtr-001", "Show rtr-001", "semantic", ("app",))
    assert one.reference == hit.reference
    assert "rtr" not in repr(one)
