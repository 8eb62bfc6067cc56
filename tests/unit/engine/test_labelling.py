"""Labels on near misses: the next lookup obeys, in its own scope alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from llmcache_plugins import (
    ConfigError,
    Hit,
    Miss,
    MissReason,
    Request,
    Selector,
    SemanticCache,
    StoreError,
    open_cache,
)
from llmcache_plugins.recorded import Event, LookupEvent
from llmcache_plugins.testing import FakeClock, FakeEmbedder

STORED, ASKED, OTHER = "Show rtr-001", "Show rtr-002", "Show rtr-003"


def opened(**settings: Any) -> SemanticCache:
    return open_cache(
        "memory://", embedder=FakeEmbedder(dict.fromkeys((STORED, ASKED, OTHER), "r")), clock=FakeClock(), **settings
    )


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    """Two stored questions, and a near miss: a guard objects to another number."""
    with opened(namespace="app") as cache:
        for question in (STORED, "else"):
            cache.update(question, "up")
        assert isinstance(cache.lookup(ASKED), Miss)
        yield cache


def test_what_is_called_right_hits_from_the_next_lookup_on(cache: SemanticCache) -> None:
    (near,) = cache.near_misses()
    labelled = cache.label(near, is_right=True)
    assert labelled.outcome == "obeyed"
    hit = cache.lookup(ASKED)
    assert isinstance(hit, Hit)
    assert (hit.kind, hit.matched_question, hit.policy) == ("alias", STORED, "labelled")
    assert isinstance(cache.lookup(OTHER), Miss)


async def test_the_same_on_an_event_loop(cache: SemanticCache) -> None:
    (near,) = cache.near_misses()
    assert (await cache.alabel(near, is_right=False)).outcome == "noted"
    assert isinstance(await cache.alookup(ASKED), Miss)
    assert (await cache.alabel(near, is_right=True)).outcome == "obeyed"
    assert isinstance(await cache.alookup(ASKED), Hit)


def test_what_is_called_wrong_changes_nothing(cache: SemanticCache) -> None:
    (near,) = cache.near_misses()
    assert cache.label(near, is_right=False).outcome == "noted"
    assert isinstance(cache.lookup(ASKED), Miss)
    assert isinstance(cache.lookup(STORED), Hit)


def test_the_label_is_a_pair_that_tune_reads(cache: SemanticCache) -> None:
    (near,) = cache.near_misses()
    for is_right in (True, False):
        pair = cache.label(near, is_right=is_right).pair
        assert pair is not None
        row = pair.row()
        assert (row["a"], row["b"], row["label"]) == (STORED, ASKED, int(is_right))
        assert "rtr" not in repr(pair)


def test_another_scope_never_obeys() -> None:
    with opened() as cache:
        for tenant in ("a", "b"):
            for question in (STORED, "else"):
                cache.update(Request(question, namespace=(tenant,)), tenant)
        assert isinstance(cache.lookup(Request(ASKED, namespace=("a",))), Miss)
        assert cache.label(cache.near_misses()[0], is_right=True).outcome == "obeyed"
        hit = cache.lookup(Request(ASKED, namespace=("a",)))
        assert isinstance(hit, Hit)
        assert hit.answer == "a"
        assert isinstance(cache.lookup(Request(ASKED, namespace=("b",))), Miss)


def test_a_label_outlives_a_change_of_settings(tmp_path: Any) -> None:
    url, groups = f"disk://{tmp_path / 'a.db'}", dict.fromkeys((STORED, ASKED), "r")
    with open_cache(url, embedder=FakeEmbedder(groups), similarity_threshold=0.9) as cache:
        for question in (STORED, "else"):
            cache.update(question, "up")
        cache.lookup(ASKED)
        assert cache.label(cache.near_misses()[0], is_right=True).outcome == "obeyed"
    with open_cache(url, embedder=FakeEmbedder(groups), similarity_threshold=0.99) as cache:
        assert isinstance(cache.lookup(ASKED), Hit)


def test_reporting_the_hit_wrong_takes_the_label_back(cache: SemanticCache) -> None:
    (near,) = cache.near_misses()
    cache.label(near, is_right=True)
    hit = cache.lookup(ASKED)
    assert isinstance(hit, Hit)
    assert cache.report_wrong(hit).removed == 1
    assert isinstance(cache.lookup(ASKED), Miss)
    cache.update(STORED, "up")
    assert cache.label(near, is_right=True).outcome == "reported"
    assert isinstance(cache.lookup(ASKED), Miss)


def test_it_says_when_the_next_lookup_does_not_obey(cache: SemanticCache) -> None:
    (near,) = cache.near_misses()
    cache.update(ASKED, "its own")
    assert cache.label(near, is_right=True).outcome == "answered"
    hit = cache.lookup(ASKED)
    assert isinstance(hit, Hit)
    assert hit.answer == "its own"
    cache.invalidate(everything=True)
    assert cache.label(near, is_right=True).outcome == "gone"
    for reference in ("", "a:b", "a:b:c", "::"):
        assert cache.label(replace(near, reference=reference), is_right=True).outcome == "gone"


def test_a_reference_of_another_question_is_not_obeyed(cache: SemanticCache) -> None:
    (near,) = cache.near_misses()
    assert cache.label(replace(near, stored="else"), is_right=True).outcome == "gone"


def test_a_budget_of_nothing_lets_no_label_through() -> None:
    budgets = {"max_error_rate_by_namespace": {("bank",): 0.0}}
    with opened(**budgets) as cache:
        for question in (STORED, "else"):
            cache.update(Request(question, namespace=("bank",)), "up")
            cache.update(question, "up")
        cache.lookup(ASKED)
        near = replace(cache.near_misses()[0], namespace=("bank",))
        assert cache.label(near, is_right=True).outcome == "exact_only"


def test_texts_that_may_not_be_kept_make_no_label() -> None:
    with opened(redact=lambda text: text.replace("rtr-002", "<device>")) as cache:
        for question in (STORED, "else"):
            cache.update(question, "up")
        cache.lookup(ASKED)
        labelled = cache.label(cache.near_misses()[0], is_right=True)
        assert (labelled.outcome, labelled.pair) == ("exact_only", None)
        assert isinstance(cache.lookup(ASKED), Miss)


def test_only_near_misses_are_labelled(cache: SemanticCache) -> None:
    with pytest.raises(ConfigError, match="near_misses"):
        cache.label("rtr", is_right=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("fail_open", [True, False])
def test_a_broken_store_is_said_or_raised(tmp_path: Any, fail_open: bool) -> None:
    url, groups = f"disk://{tmp_path / 'a.db'}", dict.fromkeys((STORED, ASKED), "r")
    with open_cache(url, embedder=FakeEmbedder(groups), fail_open=fail_open) as cache:
        for question in (STORED, "else"):
            cache.update(question, "up")
        cache.lookup(ASKED)
        (near,) = cache.near_misses()
    if fail_open:
        assert cache.label(near, is_right=True).outcome == "failed"
    else:
        with pytest.raises(StoreError):
            cache.label(near, is_right=True)


def test_a_recorder_may_come_later_and_go(cache: SemanticCache) -> None:
    heard: list[Event] = []
    stop = cache.listen(heard.append)
    cache.lookup(STORED)
    stop()
    stop()
    cache.lookup(STORED)
    assert [type(event) for event in heard] == [LookupEvent]
    with pytest.raises(ConfigError, match="recorder"):
        cache.listen(None)  # type: ignore[arg-type]


async def test_entries_page_by_page(cache: SemanticCache) -> None:
    cache.update(Request("third", namespace=("tenant",)), "x")
    first = cache.entries(limit=2)
    assert [stored.entry.text for stored in first.rows] == [STORED, "else"]
    assert first.after is not None
    last = await cache.aentries(limit=2, after=first.after)
    assert ([stored.entry.text for stored in last.rows], last.after) == (["third"], None)
    below = cache.entries(Selector(namespace=("tenant",)))
    assert [stored.entry.text for stored in below.rows] == ["third"]


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"limit": 1001}, {"limit": True}, {"after": -1}, {"after": "1"}])
def test_pages_have_limits(cache: SemanticCache, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        cache.entries(**wrong)


def test_a_miss_says_where_it_was_looked_for(cache: SemanticCache) -> None:
    miss = cache.lookup(ASKED)
    assert isinstance(miss, Miss)
    identity = cache.identify(ASKED)
    assert (miss.reason, miss.scope, miss.asked_key) == (MissReason.GUARD_CONFLICT, identity.scope, identity.key)


async def test_a_question_is_explained_where_another_is_stored(cache: SemanticCache) -> None:
    request = Request(STORED, model="small", params={"temperature": 0})
    cache.update(request, "up")
    cache.update(Request("else", model="small", params={"temperature": 0}), "x")
    scope = cache.identify(request).scope
    assert cache.explain(STORED, scope=scope).outcome == "hit (exact)"
    found = await cache.aexplain(ASKED, scope=scope)
    assert found.outcome == "miss (guard_conflict)"
    assert cache.explain("else", scope="a" * 40).outcome == "miss (no_candidates)"
    with pytest.raises(ConfigError, match="scope"):
        cache.explain(STORED, scope="\u00e9")
