"""Invalidations as a user sees them: what is removed or marked, and what is left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Hit, Miss, Request, SemanticCache, StoreUnavailable, open_cache
from llmcache_plugins.errors import ConfigError, EmbedderError
from llmcache_plugins.policies.placement import TierConfig
from llmcache_plugins.recorded import Event, InvalidationEvent
from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.testing import FakeClock, FakeEmbedder, FaultyStore

GROUPS = {"What are the BGP states?": "bgp", "Which states does BGP have?": "bgp", "BGP states please": "bgp"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "disk"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory://" if request.param == "memory" else f"disk://{tmp_path}/cache.db"


@pytest.fixture
def cache(url: str, clock: FakeClock) -> Iterator[SemanticCache]:
    with open_cache(url, embedder=FakeEmbedder(GROUPS), clock=clock, maintenance="manual") as cache:
        yield cache


def ask(text: str, **fields: Any) -> Request:
    return Request(text, **fields)


def store(cache: SemanticCache, *requests: Request | str) -> None:
    for request in requests:
        assert cache.update(request, "answer").stored


def is_there(cache: SemanticCache, request: Request | str) -> bool:
    outcome = cache.lookup(request)
    return isinstance(outcome, Hit) and not outcome.is_stale


# ------------------------------------------------------------------------------------------------ what is selected
A = ask("one", tags=("device:rtr-001", "config"), model="m1", query_type="status")
B = ask("two", tags=("device:rtr-001", "uptime"), model="m2", query_type="status")
C = ask("three", tags=("device:rtr-002", "config"), model="m1", query_type="listing")


@pytest.mark.parametrize(
    ("given", "gone"),
    [
        ({"tags": "device:rtr-001"}, "AB"),
        ({"tags": ("device:rtr-001", "config")}, "A"),
        ({"tag_pattern": "device:*"}, "ABC"),
        ({"tag_pattern": ("device:*", "conf??")}, "AC"),
        ({"tag_pattern": "device:rtr-00[*]"}, ""),
        ({"query_type": "status"}, "AB"),
        ({"query_type": ("status", "listing")}, "ABC"),
        ({"model": "m1"}, "AC"),
        ({"model": "m1", "query_type": "status"}, "A"),
        ({"model": "m1", "tags": "uptime"}, ""),
        ({"everything": True}, "ABC"),
    ],
)
def test_all_that_is_given_must_hold(cache: SemanticCache, given: Any, gone: str) -> None:
    store(cache, A, B, C)
    planned = cache.invalidate(**given, dry_run=True)
    assert (planned.count, planned.is_dry_run, planned.number) == (len(gone), True, 0)
    assert all(is_there(cache, one) for one in (A, B, C))
    report = cache.invalidate(**given)
    assert (report.count, report.mode, report.has_failed) == (len(gone), "now", False)
    assert "".join(name for name, one in zip("ABC", (A, B, C), strict=True) if not is_there(cache, one)) == gone


def test_the_things_of_a_selector_and_those_by_name_are_joined(cache: SemanticCache) -> None:
    store(cache, A, B, C)
    assert cache.invalidate(Selector(models=("m1",)), tags="device:rtr-002").count == 1
    with pytest.raises(ConfigError, match="models of the selector and model= are both given"):
        cache.invalidate(Selector(models=("m1",)), model="m2")


def test_by_age(cache: SemanticCache, clock: FakeClock) -> None:
    store(cache, "old")
    clock.advance(100)
    store(cache, "new")
    assert cache.invalidate(older_than=100.5).count == 0
    assert cache.invalidate(older_than=99).count == 1
    assert is_there(cache, "new")


def test_by_key_reference_and_hit(cache: SemanticCache) -> None:
    store(cache, "one", "two", "three", "four")
    first, second, third = (cache.lookup(text) for text in ("one", "two", "three"))
    assert isinstance(first, Hit)
    assert isinstance(second, Hit)
    assert isinstance(third, Hit)
    assert cache.invalidate(key=first).count == 1
    assert cache.invalidate(key=[second.reference, third.entry.key]).count == 2
    assert is_there(cache, "four")


def test_a_hit_by_other_words_names_its_entry(cache: SemanticCache) -> None:
    store(cache, "What are the BGP states?")
    hit = cache.lookup("Which states does BGP have?")
    assert isinstance(hit, Hit)
    assert hit.kind == "semantic"
    assert cache.invalidate(key=hit).count == 1
    assert not is_there(cache, "Which states does BGP have?"), "its wordings go with an entry"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "nothing is selected"),
        ({"everything": False}, "nothing is selected"),
        ({"everything": True, "tags": "a"}, "everything=True goes with"),
        ({"tag": "a"}, "invalidate has no tag"),
        ({"tags": ""}, "tags must be"),
        ({"tags": 3}, "tags must be"),
        ({"key": "short"}, "whole key"),
        ({"key": []}, "at least one"),
        ({"key": 3}, "key must be"),
        ({"older_than": -1}, "older_than"),
        ({"older_than": "1h"}, "older_than"),
        ({"tags": "a", "mode": "soon"}, "mode must be"),
        ({"tags": "a", "reason": 3}, "reason must be"),
        ({"meaning": " "}, "meaning must be"),
        ({"meaning": "a", "similarity": 1.5}, "similarity must be"),
        ({"tags": "a", "rate": 3.0}, "only a gradual"),
        ({"tags": "a", "mode": "gradual", "rate": 0}, "rate must be"),
        ({"tags": "a", "mode": "gradual", "batch_size": 0}, "batch_size must be"),
        ({"tags": "a", "mode": "gradual", "warm": 3}, "warm must be"),
        ({"namespace": ("",), "tags": "a"}, "namespace must be"),
    ],
)
def test_what_selects_nothing_or_wrongly_is_refused(cache: SemanticCache, given: Any, says: str) -> None:
    store(cache, "one")
    with pytest.raises(ConfigError, match=says):
        cache.invalidate(**given)
    assert is_there(cache, "one")


def test_only_the_own_namespace_is_touched(tmp_path: Path, clock: FakeClock) -> None:
    url = f"disk://{tmp_path}/cache.db"
    with (
        open_cache(url, embedder=None, clock=clock, namespace=("a",)) as own,
        open_cache(url, embedder=None, clock=clock, namespace=("b",)) as other,
    ):
        below = ask("q", namespace=("x",))
        store(own, "q", below)
        store(other, "q")
        assert own.invalidate(everything=True, namespace="x", dry_run=True).count == 1
        assert own.invalidate(Selector(namespace=("x",))).count == 1
        assert not is_there(own, below)
        assert is_there(own, "q")
        assert own.invalidate(everything=True).count == 1
        assert not is_there(own, "q")
        assert is_there(other, "q")
        assert len(own.invalidations()) == 2
        assert other.invalidations() == ()


# ------------------------------------------------------------------------------------------------ by meaning
def test_by_meaning_in_all_scopes(cache: SemanticCache) -> None:
    near = [ask(text, model=model) for text in GROUPS for model in ("m1", "m2")]
    store(cache, *near, ask("How does OSPF flood LSAs?", model="m1"), ask("What is a VLAN?", model="m3"))
    assert cache.invalidate(meaning="Tell me the BGP states", dry_run=True).count == 0
    assert cache.invalidate(meaning="BGP states please", dry_run=True).count == 6
    assert cache.invalidate(meaning="BGP states please", model="m1").count == 3
    assert cache.invalidate(meaning="BGP states please").count == 3
    assert is_there(cache, ask("How does OSPF flood LSAs?", model="m1"))
    assert is_there(cache, ask("What is a VLAN?", model="m3"))


def test_by_meaning_reaches_what_has_no_vector_and_what_is_matched_exactly_only(cache: SemanticCache) -> None:
    step = ask("What are the BGP states?", exact_only="agent_step")
    store(cache, step)
    assert cache.invalidate(meaning="Which states does BGP have?").count == 1
    assert not is_there(cache, step)


def test_by_meaning_a_text_too_long_to_embed_is_near_to_itself_alone(clock: FakeClock) -> None:
    with open_cache("memory://", embedder=FakeEmbedder(max_chars=50), clock=clock) as cache:
        store(cache, "x" * 60, "y" * 60)
        assert cache.invalidate(meaning="x" * 60).count == 1
        assert is_there(cache, "y" * 60)


def test_by_meaning_more_near_ones_than_one_search_gives(clock: FakeClock) -> None:
    texts = [f"question {number}" for number in range(300)]
    embedder = FakeEmbedder(dict.fromkeys(texts, "same") | {"like them": "same"})
    with open_cache("memory://", embedder=embedder, clock=clock) as cache:
        store(cache, *texts, "another")
        assert cache.invalidate(meaning="like them").count == 300
        assert is_there(cache, "another")


def test_meaning_needs_an_embedder() -> None:
    with open_cache("memory://", embedder=None) as cache, pytest.raises(ConfigError, match="needs a cache with"):
        cache.invalidate(meaning="a")


# ------------------------------------------------------------------------------------------------ modes, log, race
def test_lazy_marks_and_serves_while_the_answer_is_renewed(cache: SemanticCache, clock: FakeClock) -> None:
    store(cache, "one")
    report = cache.invalidate(everything=True, mode="lazy")
    assert (report.count, report.mode) == (1, "lazy")
    leader, other = cache.lookup("one", lead=True), cache.lookup("one")
    assert isinstance(leader, Miss), "one caller renews it"
    assert not isinstance(other, Hit) or other.is_stale
    cache.update("one", "new")
    assert is_there(cache, "one")


def test_lazy_is_a_miss_after_five_minutes(cache: SemanticCache, clock: FakeClock) -> None:
    store(cache, "one")
    cache.invalidate(everything=True, mode="lazy")
    clock.advance(299)
    assert cache.get_or_generate("one", lambda: "new") == "answer"
    clock.advance(2)
    assert cache.get_or_generate("one", lambda: "newer") in ("new", "newer")


def test_the_log_tells_reason_time_and_count(cache: SemanticCache, clock: FakeClock) -> None:
    store(cache, A, B, C)
    cache.invalidate(model="m1", reason="price list")
    clock.advance(10)
    cache.invalidate(tags="uptime", mode="lazy")
    first, second = cache.invalidations()
    assert (first.reason, first.count, first.mode) == ("price list", 2, "now")
    assert (second.count, second.mode, second.at - first.at) == (1, "lazy", 10.0)
    assert second.selector == Selector(tags=("uptime",))
    assert cache.invalidations(since=clock.now()) == (second,)
    cache.invalidate(meaning="nothing like it", reason="by meaning")
    assert len(cache.invalidations()) == 2, "what found nothing changed nothing"


@pytest.mark.parametrize(
    "given", [{"tags": "t"}, {"everything": True}, {"meaning": "one"}, {"tags": "t", "mode": "lazy"}]
)
def test_an_answer_asked_for_before_is_not_stored_after(cache: SemanticCache, given: Any) -> None:
    request = ask("one", tags=("t",))
    assert isinstance(cache.lookup(request), Miss)
    cache.invalidate(**given)
    outcome = cache.update(request, "old")
    assert (outcome.stored, outcome.reason) == (False, "invalidated")
    assert isinstance(cache.lookup(request), Miss)
    assert cache.update(request, "new").stored


def test_an_answer_to_something_else_is_stored(cache: SemanticCache) -> None:
    assert isinstance(cache.lookup(A), Miss)
    cache.invalidate(tags="device:rtr-002")
    assert cache.update(A, "answer").stored


def test_many_entries_go_in_parts_and_newer_ones_stay(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmcache_plugins.engine.invalidation_flow._PART", 7)
    with open_cache("memory://", embedder=None, clock=clock) as cache:
        store(cache, *(f"q{number}" for number in range(30)))
        assert cache.invalidate(Selector(is_stale=False), mode="lazy").count == 30
        assert cache.invalidate(Selector(is_stale=True)).count == 30


def test_everything_is_gone_at_once_and_removed_later(tmp_path: Path, clock: FakeClock, monkeypatch: Any) -> None:
    monkeypatch.setattr("llmcache_plugins.engine.invalidation_flow._PART", 7)
    url = f"disk://{tmp_path}/cache.db"
    with (
        open_cache(url, embedder=None, clock=clock, maintenance="manual") as cache,
        open_cache(url, embedder=None, clock=clock, maintenance="manual") as other,
    ):
        below = [ask(f"q{number}", namespace=("x",)) for number in range(20)]
        store(cache, "q", *below)
        waiting = below[0]
        clock.advance(1.0)
        assert isinstance(other.lookup(ask("q20", namespace=("x",)), lead=True), Miss)
        report = cache.invalidate(everything=True, namespace="x")
        assert report.count == 20
        assert not any(is_there(one, request) for one in (cache, other) for request in below)
        assert other.update(ask("q20", namespace=("x",)), "old").reason == "invalidated"
        assert is_there(other, "q")
        assert cache.stats().entries == 14, "7 were removed; the rest is out of reach"
        clock.advance(1.0)
        store(other, waiting)
        cache.maintain()
        assert cache.stats().entries == 2
        assert is_there(cache, waiting)
        assert is_there(cache, "q")


def test_recorders_and_statistics_hear_of_it(clock: FakeClock) -> None:
    events: list[Event] = []
    with open_cache("memory://", embedder=None, clock=clock, recorders=[events.append]) as cache:
        store(cache, A, B, C)
        cache.invalidate(model="m1", dry_run=True)
        cache.invalidate(model="m1", reason="r")
        cache.invalidate(everything=True, mode="lazy")
        assert cache.stats().invalidated == 3
    told = [event for event in events if isinstance(event, InvalidationEvent)]
    assert told == [InvalidationEvent(2, "now", "r"), InvalidationEvent(1, "lazy", "")]


def test_a_dry_run_counts_by_type_and_lists_no_question(cache: SemanticCache) -> None:
    store(cache, A, B, C)
    report = cache.invalidate(tag_pattern="device:*", dry_run=True)
    assert report.by_query_type == {"status": 2, "listing": 1}
    assert len(report.sample) == 3
    assert not {"one", "two", "three"} & set(report.sample)


# ------------------------------------------------------------------------------------------------ async, failures
def test_the_same_on_an_event_loop(cache: SemanticCache) -> None:
    async def main() -> None:
        store(cache, A, B, C)
        assert (await cache.ainvalidate(model="m1", dry_run=True)).count == 2
        assert (await cache.ainvalidate(model="m1", reason="r")).count == 2
        assert [one.reason for one in await cache.ainvalidations()] == ["r"]
        assert (await cache.ainvalidate(meaning="two")).count == 1

    asyncio.run(main())


def faulty_cache(clock: FakeClock, *, fail_open: bool, store: FaultyStore) -> SemanticCache:
    tiers = [TierConfig("only", store=store)]
    return open_cache(tiers=tiers, embedder=FakeEmbedder(GROUPS), clock=clock, fail_open=fail_open)


@pytest.mark.parametrize("verb", ["invalidate", "select"])
def test_a_failing_store_is_told_for_what_was_meant_may_still_be_served(clock: FakeClock, verb: str) -> None:
    faulty = FaultyStore(MemoryStore())
    with faulty_cache(clock, fail_open=True, store=faulty) as cache:
        store(cache, "one")
        faulty.fail({verb})
        report = cache.invalidate(everything=True, dry_run=verb == "select")
        assert report.has_failed
        assert cache.stats().errors
        faulty.heal()
        assert not cache.invalidate(everything=True).has_failed
        assert not is_there(cache, "one")


def test_a_failing_store_raises_where_the_user_wants_to_hear_it(clock: FakeClock) -> None:
    faulty = FaultyStore(MemoryStore())
    with faulty_cache(clock, fail_open=False, store=faulty) as cache:
        store(cache, "one")
        faulty.fail({"invalidate", "invalidations"})
        with pytest.raises(StoreUnavailable):
            cache.invalidate(everything=True)
        with pytest.raises(StoreUnavailable):
            cache.invalidations()


def test_a_failing_embedder_is_told(clock: FakeClock) -> None:
    def fail(texts: Any) -> None:
        raise EmbedderError("no")

    with open_cache("memory://", embedder=FakeEmbedder(before=fail), clock=clock) as cache:
        assert cache.invalidate(meaning="one").has_failed


def test_surroundings_do_not_narrow_an_invalidation_and_a_namespace_does(cache: SemanticCache) -> None:
    for tenant in ("one", "two"):
        with cache.context(tenant=tenant, tags="site:a"):
            store(cache, "q")
    with cache.context(tenant="one"):
        assert cache.invalidate(tags="site:a", dry_run=True).count == 2
    assert cache.invalidate(tags="site:a", namespace="one").count == 1
    with cache.context(tenant="two"):
        assert is_there(cache, "q")


def test_clearing_refuses_no_answer_under_way_and_invalidating_everything_does(cache: SemanticCache) -> None:
    cache.lookup("q", lead=True)
    cache.clear()
    assert cache.update("q", "answer").stored
    cache.lookup("r", lead=True)
    cache.invalidate(everything=True)
    assert cache.update("r", "answer").reason == "invalidated"
