"""`SemanticCache` as a user sees it: memory and disk store, a fake embedder, a fake clock."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import (
    Answer,
    CacheConfig,
    ConfigError,
    EmbedderError,
    Hit,
    Miss,
    MissReason,
    Request,
    SemanticCache,
    StoreUnavailable,
    Tier,
    TierConfig,
    Usage,
    Verdict,
    default_cache,
    open_cache,
    set_default_cache,
)
from llmcache_plugins.engine import Rules
from llmcache_plugins.engine.clock import SystemClock
from llmcache_plugins.matching import SimilarityPolicy
from llmcache_plugins.recorded import ErrorEvent, Event, LookupEvent, UpdateEvent
from llmcache_plugins.stores import AsyncStoreAdapter, MemoryStore
from llmcache_plugins.telemetry import Statistics
from llmcache_plugins.testing import FakeClock, FakeEmbedder, FaultyStore

GROUPS = {"What are the BGP states?": "bgp", "Which states does BGP have?": "bgp", "How does OSPF flood LSAs?": "ospf"}


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder(GROUPS)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "disk"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory://" if request.param == "memory" else f"disk://{tmp_path}/cache.db"


@pytest.fixture
def cache(url: str, embedder: FakeEmbedder, clock: FakeClock) -> Any:
    with open_cache(url, embedder=embedder, clock=clock) as cache:
        yield cache


def hit(cache: SemanticCache, question: str | Request) -> Hit:
    outcome = cache.lookup(question)
    assert isinstance(outcome, Hit), outcome
    return outcome


def miss(cache: SemanticCache, question: str | Request) -> Miss:
    outcome = cache.lookup(question)
    assert isinstance(outcome, Miss), outcome
    return outcome


# ------------------------------------------------------------------------------------------------ hits and misses
def test_repeated_question_is_an_exact_hit_without_any_embedding(cache: SemanticCache, embedder: FakeEmbedder) -> None:
    assert miss(cache, "What are the BGP states?").reason is MissReason.NO_CANDIDATES
    cache.update("What are the BGP states?", "Idle, Connect, ...")
    for _ in range(5):
        assert hit(cache, "What are the BGP states?").answer == "Idle, Connect, ..."
    assert embedder.embedded == []


def test_evidence_of_a_hit_is_json_and_quotes_nothing(cache: SemanticCache) -> None:
    for question in ("What are the BGP states?", "How does OSPF flood LSAs?"):
        cache.update(question, "an answer")
    served = hit(cache, "Which states does BGP have?")
    evidence = json.loads(json.dumps(served.evidence))
    assert evidence == served.evidence
    assert (evidence["kind"], evidence["policy"]) == ("semantic", "cosine 0.95")
    assert evidence["confidence"] == evidence["similarity"] >= 0.95
    asked = cache.identify("Which states does BGP have?")
    assert evidence["matched_key"] == f"{asked.scope}:{served.entry.key}:{asked.key}"
    assert "conflict" not in evidence["verdicts"].values()
    assert "BGP" not in json.dumps(evidence)
    assert "verifier_score" not in evidence
    alias = hit(cache, "Which states does BGP have?").evidence
    assert (alias["kind"], alias["policy"]) == ("alias", "cosine 0.95")
    assert hit(cache, "What are the BGP states?").evidence["policy"] == ""


def test_hit_tells_all_about_itself(cache: SemanticCache, clock: FakeClock) -> None:
    cache.update("What are the BGP states?", Answer("six", usage=Usage(10, 5), generation_seconds=3.0))
    clock.advance(7)
    cache.lookup("What are the BGP states?")
    found = hit(cache, "Which states does BGP have?")
    assert (found.kind, found.matched_question) == ("semantic", "What are the BGP states?")
    assert found.tier in ("hot", "warm")
    assert 0.95 <= found.similarity < 1.0
    assert found.confidence == pytest.approx(found.similarity)
    assert (found.age, found.access_count) == (7.0, 2)
    assert found.latency_saved == pytest.approx(3.0 - found.latency)
    assert found.entry.usage == Usage(10, 5)


def test_reworded_question_is_a_semantic_hit_and_then_an_alias(cache: SemanticCache, embedder: FakeEmbedder) -> None:
    cache.update("What are the BGP states?", "six")
    assert hit(cache, "Which states does BGP have?").kind == "semantic"
    embedded = len(embedder.embedded)
    again = hit(cache, "Which states does BGP have?")
    assert (again.kind, again.matched_question) == ("alias", "What are the BGP states?")
    assert len(embedder.embedded) == embedded
    assert cache.stats().tiers[again.tier].entries == 1


def test_case_and_closing_punctuation_do_not_matter(cache: SemanticCache, embedder: FakeEmbedder) -> None:
    cache.update("What are the BGP states?", "six")
    assert hit(cache, "  what are  the BGP states ").kind == "normalised"
    assert embedder.embedded == []


def test_unrelated_question_is_a_miss_that_names_its_nearest(cache: SemanticCache) -> None:
    cache.update("What are the BGP states?", "six")
    outcome = miss(cache, "How does OSPF flood LSAs?")
    assert outcome.reason is MissReason.BELOW_THRESHOLD
    assert outcome.near_misses[0].question == "What are the BGP states?"


def test_guard_refuses_a_look_alike(cache: SemanticCache, embedder: FakeEmbedder) -> None:
    embedder.groups |= {"Show the CPU of rtr-001": "cpu", "Show the CPU of rtr-002": "cpu"}
    cache.update("Show the CPU of rtr-001", "12 %")
    outcome = miss(cache, "Show the CPU of rtr-002")
    assert outcome.reason is MissReason.GUARD_CONFLICT
    assert any(verdict.verdict == "conflict" for verdict in outcome.near_misses[0].verdicts)


def test_everything_but_the_text_has_to_be_equal(cache: SemanticCache) -> None:
    first = Request("What are the BGP states?", model="a", params={"temperature": 0}, context=["system", "x"])
    cache.update(first, "six")
    assert hit(cache, first)
    for other in (
        Request(first.text, model="b", params=first.params, context=first.context),
        Request(first.text, model="a", params={"temperature": 1}, context=first.context),
        Request(first.text, model="a", params=first.params, context=["system", "y"]),
        Request(first.text, model="a", params=first.params, context=first.context, namespace=("tenant",)),
        Request("Which states does BGP have?", model="b", params=first.params, context=first.context),
    ):
        assert miss(cache, other).reason is MissReason.NO_CANDIDATES


def test_exact_only_request_hits_exactly_and_is_no_candidate(cache: SemanticCache) -> None:
    step = Request("What are the BGP states?", exact_only="agent_step")
    cache.update(step, "six")
    assert hit(cache, step).kind == "exact"
    assert miss(cache, "Which states does BGP have?").reason is MissReason.NO_CANDIDATES


def test_turn_of_several_lines_answers_no_other_layout(cache: SemanticCache) -> None:
    """Spaces are forgiven in a question; in rows, code or a configuration they are the content."""
    rows = "Sum the rows\n1 2\n3 4"
    cache.update(rows, "3 and 7")
    assert hit(cache, rows).kind == "exact"
    for other in ("Sum the rows\n1 2 3\n4", "Sum the rows 1 2 3 4", "Sum the rows\n1 2\n  3 4"):
        assert isinstance(cache.lookup(other), Miss)


def test_text_longer_than_the_embedder_reads_matches_exactly_only(cache: SemanticCache, embedder: FakeEmbedder) -> None:
    embedder.max_chars = 30
    long = "What are the BGP states? " * 3
    cache.update(long, "six")
    assert hit(cache, long).kind == "exact"
    assert miss(cache, long + "x").reason is MissReason.UNREADABLE
    assert embedder.embedded == []


def test_mutating_an_answer_changes_nothing_stored(cache: SemanticCache) -> None:
    mine = {"states": ["Idle"]}
    cache.update("q", mine)
    mine["states"].append("HACKED")
    hit(cache, "q").answer["states"].append("HACKED")
    assert hit(cache, "q").answer == {"states": ["Idle"]}


def test_without_embedder_exact_and_normalised_matches_remain(url: str) -> None:
    with open_cache(url, embedder=None) as cache:
        cache.update("What is BGP?", "a protocol")
        assert hit(cache, "what is BGP").kind == "normalised"
        assert miss(cache, "What does BGP mean?").reason is MissReason.NO_EMBEDDER


# --------------------------------------------------------------------------------------- time and capacity
def test_reading_never_extends_the_life_of_an_entry(url: str, embedder: FakeEmbedder, clock: FakeClock) -> None:
    with open_cache(url, embedder=embedder, clock=clock, ttl=3) as cache:
        cache.update("q", "a")
        for _ in range(2):
            clock.advance(1)
            assert hit(cache, "q")
        clock.advance(1)
        assert miss(cache, "q").reason is MissReason.EXPIRED


def test_an_entry_may_have_a_ttl_of_its_own(url: str, clock: FakeClock) -> None:
    with open_cache(url, embedder=None, clock=clock, ttl=100) as cache:
        cache.update("short", "a", ttl=3)
        cache.update("long", "a", ttl=1000)
        cache.update("ever", "a", ttl=None)
        cache.get_or_generate("generated", lambda: "a", ttl=3)
        clock.advance(3)
        assert miss(cache, "short").reason is MissReason.EXPIRED
        assert miss(cache, "generated").reason is MissReason.EXPIRED
        clock.advance(900)
        assert hit(cache, "long")
        clock.advance(10**6)
        assert hit(cache, "ever")
        for verb in (lambda: cache.update("q", "a", ttl=0), lambda: cache.get_or_generate("q", lambda: "a", ttl=-1)):
            with pytest.raises(ConfigError, match="ttl must be a number above 0 or None"):
                verb()


async def test_async_verbs_take_a_ttl_too(clock: FakeClock) -> None:
    async with open_cache("memory://", embedder=None, clock=clock) as cache:
        await cache.aupdate("a", "a", ttl=3)
        await cache.aget_or_generate("b", lambda: "b", ttl=3)
        clock.advance(3)
        assert isinstance(await cache.alookup("a"), Miss)
        assert isinstance(await cache.alookup("b"), Miss)


def test_expired_entry_is_no_candidate_either(url: str, embedder: FakeEmbedder, clock: FakeClock) -> None:
    with open_cache(url, embedder=embedder, clock=clock, ttl=3) as cache:
        cache.update("What are the BGP states?", "six")
        assert hit(cache, "Which states does BGP have?")
        clock.advance(3)
        assert miss(cache, "Which states does BGP have?").reason is MissReason.EXPIRED  # the alias is there no longer
        assert isinstance(miss(cache, "What are  the BGP states"), Miss)


def test_ttl_none_lives_for_ever(url: str, clock: FakeClock) -> None:
    with open_cache(url, embedder=None, clock=clock, ttl=None) as cache:
        cache.update("q", "a")
        clock.advance(10**9)
        assert hit(cache, "q")


def test_sweep_rides_on_updates(url: str, clock: FakeClock) -> None:
    with open_cache(url, embedder=None, clock=clock, ttl=10, sweep_interval=60) as cache:
        for number in range(5):
            cache.update(f"q{number}", "a")
        clock.advance(61)
        cache.update("new", "a")
        assert cache.stats().entries == 1
        assert sum(store.expirations for store in cache.stats().stores.values()) == 5


def test_least_recently_used_entry_is_evicted(url: str, clock: FakeClock) -> None:
    with open_cache(url, embedder=None, clock=clock, max_entries=2, tiers=[TierConfig("all")]) as cache:
        for question in ("a", "b"):
            cache.update(question, question)
            clock.advance(1)
        hit(cache, "a")
        clock.advance(1)
        cache.update("c", "c")
        assert hit(cache, "a")
        assert hit(cache, "c")
        assert isinstance(cache.lookup("b"), Miss)


def test_byte_limit_is_held(url: str) -> None:
    with open_cache(url, embedder=None, max_bytes=20_000) as cache:
        for number in range(50):
            cache.update(f"question {number}", "x" * 1000)
        stats = cache.stats()
        assert 0 < stats.entries < 20
        assert all(tier.size_bytes <= 20_000 for tier in stats.tiers.values())


# --------------------------------------------------------------------------------------- what may be stored
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("half an ans", finish_reason="max_tokens"), "truncated"),
        (Answer("I cannot", finish_reason="refusal"), "refused"),
        (Answer("  "), "empty"),
        ("", "empty"),
        (None, "empty"),
        ("x" * 2000, "too_large"),
    ],
)
def test_bad_answers_are_not_stored(answer: Any, reason: str) -> None:
    with open_cache("memory://", embedder=None, max_answer_bytes=1000) as cache:
        outcome = cache.update("q", answer)
        assert (outcome.stored, outcome.reason) == (False, reason)
        assert isinstance(cache.lookup("q"), Miss)
        assert cache.stats().refusals == {reason: 1}


@pytest.mark.parametrize("answer", [(1, 2), {1: 2}, [float("nan")], {"a": {"b": (1,)}}])
def test_answer_that_would_come_back_otherwise_is_not_stored(answer: Any) -> None:
    with open_cache("memory://", embedder=None) as cache:
        assert cache.get_or_generate("q", lambda: answer) is answer
        assert not cache.update("q", answer).stored


def test_answer_larger_than_the_whole_cache_is_said_not_to_be_kept(url: str) -> None:
    with open_cache(url, embedder=None, max_bytes=3000) as cache:
        assert cache.update("q", "x" * 5000).reason == "not_kept"
        assert cache.update("q", "x" * 50).stored


def test_answer_that_is_not_json_costs_nothing_but_the_hit(caplog: pytest.LogCaptureFixture) -> None:
    with open_cache("memory://", embedder=None) as cache:
        assert cache.get_or_generate("q", object).__class__ is object
        assert not cache.update("q", object()).stored
        assert cache.stats().errors == {"engine": 2}


# --------------------------------------------------------------------------------------- tenants
def test_namespaces_never_meet_and_clear_takes_its_own_only(tmp_path: Path, embedder: FakeEmbedder) -> None:
    url = f"disk://{tmp_path}/shared.db"
    with (
        open_cache(url, embedder=embedder, namespace="acme") as acme,
        open_cache(url, embedder=embedder, namespace=("acmes",)) as acmes,
        open_cache(url, embedder=embedder) as everything,
    ):
        for owner in (acme, acmes):
            owner.update("What are the BGP states?", f"{owner.config.namespace}")
        assert hit(acme, "Which states does BGP have?").answer == "('acme',)"
        assert miss(everything, "What are the BGP states?").reason is MissReason.NO_CANDIDATES
        assert acme.clear() == 1
        assert isinstance(acme.lookup("What are the BGP states?"), Miss)
        assert hit(acmes, "What are the BGP states?")
        assert everything.clear() == 1


def test_request_namespace_stands_below_the_cache_s_own() -> None:
    with open_cache("memory://", embedder=None, namespace="acme") as cache:
        cache.update(Request("q", namespace=("bot",)), "a")
        assert isinstance(cache.lookup("q"), Miss)
        assert cache.clear(("other",)) == 0
        assert cache.clear(("bot",)) == 1


# --------------------------------------------------------------------------------------- persistence and closing
def test_close_and_reopen_loses_nothing(tmp_path: Path, embedder: FakeEmbedder) -> None:
    url = f"disk://{tmp_path}/cache.db"
    with open_cache(url, embedder=embedder) as cache:
        for number in range(50):
            cache.update(f"question {number}", number)
        cache.update("What are the BGP states?", "six")
        hit(cache, "Which states does BGP have?")
    with open_cache(url, embedder=embedder) as cache:
        assert [hit(cache, f"question {number}").answer for number in range(50)] == list(range(50))
        assert hit(cache, "Which states does BGP have?").kind == "alias"
        embedder.groups["Name the BGP states"] = "bgp"
        assert hit(cache, "Name the BGP states").kind == "semantic"


def test_another_embedder_never_sees_the_vectors_of_the_first(tmp_path: Path) -> None:
    url = f"disk://{tmp_path}/cache.db"
    with open_cache(url, embedder=FakeEmbedder(GROUPS, name="one")) as cache:
        cache.update("How does OSPF flood LSAs?", "in areas")
        cache.update("What are the BGP states?", "six")
    other = FakeEmbedder(GROUPS, name="two", dimension=32)
    with open_cache(url, embedder=other) as cache:
        assert hit(cache, "Which states does BGP have?").kind == "semantic"
        assert "What are the BGP states?" in other.embedded  # embedded anew, not compared with the old vector


def test_closed_cache_misses_and_breaks_nothing(url: str, embedder: FakeEmbedder) -> None:
    cache = open_cache(url, embedder=embedder)
    cache.update("q", "a")
    cache.close()
    cache.close()
    assert miss(cache, "q").reason is MissReason.CLOSED
    assert [cache.get_or_generate("q", lambda: "fresh") for _ in range(2)] == ["fresh", "fresh"]
    assert cache.update("q", "b").reason == "closed"
    assert cache.stats().errors == {}


# --------------------------------------------------------------------------------------- broken parts
def broken(texts: Sequence[str]) -> None:
    raise RuntimeError(f"a secret prompt: {texts}")


def test_broken_embedder_costs_a_model_call_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    embedder = FakeEmbedder(GROUPS, before=broken)
    with open_cache("memory://", embedder=embedder) as cache:
        cache.update("What are the BGP states?", "six")
        for _ in range(3):
            assert miss(cache, "Which states does BGP have?").reason is MissReason.EMBEDDER_ERROR
        assert hit(cache, "What are the BGP states?")
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "secret" not in caplog.text
        assert cache.stats().errors["embedder"] >= 3
        embedder._before = None
        assert hit(cache, "Which states does BGP have?")
        assert [record.message for record in caplog.records][1:] == ["embedder manages to embed again"]


def test_fail_open_false_raises() -> None:
    with open_cache("memory://", embedder=FakeEmbedder(GROUPS, before=broken), fail_open=False) as cache:
        cache.update("What are the BGP states?", "six")
        with pytest.raises(EmbedderError):
            cache.lookup("Which states does BGP have?")


@pytest.mark.parametrize("shape", [(1, 0), (2, 4), (4,)])
def test_embedder_that_returns_nonsense_is_a_miss(shape: tuple[int, ...]) -> None:
    import numpy as np

    class Nonsense(FakeEmbedder):
        def embed(self, texts: Sequence[str]) -> Any:
            return np.zeros(shape, dtype=np.float32)

    with open_cache("memory://", embedder=Nonsense(GROUPS), embedding_cache_entries=0) as cache:
        cache.update("What are the BGP states?", "six")
        assert miss(cache, "Which states does BGP have?").reason is MissReason.EMBEDDER_ERROR


def test_vectors_that_are_not_normalised_are_normalised_before_they_are_compared() -> None:
    class Long(FakeEmbedder):
        def embed(self, texts: Sequence[str]) -> Any:
            return super().embed(texts) * 7

    with open_cache("memory://", embedder=Long(GROUPS)) as cache:
        cache.update("What are the BGP states?", "six")
        assert hit(cache, "Which states does BGP have?").similarity < 1.0
        assert miss(cache, "How does OSPF flood LSAs?").near_misses[0].similarity < 0.95


def test_a_part_that_fails_at_one_thing_only_warns_once_and_does_not_flap(caplog: pytest.LogCaptureFixture) -> None:
    store = FaultyStore(MemoryStore())
    with cache_over(store) as cache:
        store.fail({"put"}, error=StoreUnavailable("disk full"))
        for number in range(4):
            cache.lookup(f"question {number}")
            assert not cache.update(f"question {number}", "a").stored
        assert [record.message for record in caplog.records] == [
            "hot fails to write (StoreUnavailable); the cache goes on without it"
        ]
        store.heal()
        assert cache.update("question", "a").stored
        assert caplog.records[-1].message == "hot manages to write again"
        assert cache.stats().errors == {"hot": 4}


def test_a_store_that_is_down_costs_a_model_call_each_time_and_nothing_else() -> None:
    store = FaultyStore(MemoryStore())
    store.fail(error=RuntimeError("a driver's own error, with a secret"))
    with cache_over(store) as cache:
        assert [cache.get_or_generate("q", lambda: "fresh") for _ in range(3)] == ["fresh"] * 3
        assert miss(cache, "q").reason is MissReason.STORE_ERROR
        store.heal()


def cache_over(store: FaultyStore) -> SemanticCache:
    return SemanticCache(
        [Tier("hot", store, AsyncStoreAdapter(store))],
        config=CacheConfig(),
        rules=Rules(("hot",), None, "p", lambda request: SimilarityPolicy(0.95), lambda asked, stored: ()),
        embedder=None,
        statistics=Statistics(),
        clock=SystemClock(),
    )


def test_bug_of_ours_is_counted_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_cache("memory://", embedder=None) as cache:
        monkeypatch.setattr("llmcache_plugins.engine.joining.lookup_flow", lambda *arguments: 1 / 0)
        assert miss(cache, "q").reason is MissReason.INTERNAL_ERROR
        assert cache.stats().errors == {"engine": 1}


def test_recorder_hears_everything_and_a_raising_one_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    events: list[Event] = []

    def raising(event: Event) -> None:
        raise RuntimeError("recorder")

    with open_cache("memory://", embedder=None, recorders=[raising, events.append]) as cache:
        cache.lookup("q")
        cache.update("q", "a")
        cache.lookup("q")
        cache.report_error("langchain", ValueError("prompt"))
    assert [type(event) for event in events] == [LookupEvent, UpdateEvent, LookupEvent, ErrorEvent]
    assert events[-1] == ErrorEvent("langchain", "ValueError")
    assert caplog.text.count("recorder failed") == 1


# --------------------------------------------------------------------------------------- arguments
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ttl": 0}, "ttl must be a number above 0 or None, not 0"),
        ({"ttl": -1}, "ttl"),
        ({"ttl": float("nan")}, "ttl"),
        ({"similarity_threshold": 1.5}, "similarity_threshold must be a number above 0 and at most 1, not 1.5"),
        ({"similarity_threshold": True}, "similarity_threshold"),
        ({"max_entries": 0}, "max_entries must be an integer of at least 1, not 0"),
        ({"max_bytes": 1.5}, "max_bytes"),
        ({"namespace": ("a", "")}, "namespace"),
        ({"fail_open": "yes"}, "fail_open must be True or False"),
        ({"treshold": 0.9}, "unknown setting treshold; known are namespace"),
    ],
)
def test_bad_settings_fail_when_the_cache_is_opened(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_cache("memory://", embedder=None, **settings)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mongodb://user:secret@host", "unknown kind of cache URL, mongodb://; use memory://"),
        ("cache.db", "without a scheme"),
        ("memory://x", "memory:// takes nothing behind it"),
        ("disk://", "needs the path of a file"),
        ("disk://user:secret@host:6379/0", "disk:// has no user and no host; a server is redis://"),
        ("disk:///tmp/a#1.db", "no # part|%23"),
        ("disk:///tmp/a?tenant=2", "%3F"),
        ("memory://?x=1", "%3F"),
        (Path("cache.db"), "not PosixPath"),
    ],
)
def test_bad_urls_say_what_is_known_and_no_password(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        open_cache(url, embedder=None)
    assert "secret" not in str(caught.value)


def test_only_a_hit_is_true() -> None:
    with open_cache("memory://", embedder=None) as cache:
        cache.update("q", "answer")
        assert cache.lookup("q")
        assert not cache.lookup("other")
        with cache.bypass():
            assert not cache.lookup("q")


def test_namespace_as_a_string_is_one_part_everywhere() -> None:
    with open_cache("memory://", embedder=None) as cache:
        cache.update(Request("q", namespace="ab"), "of ab")  # type: ignore[arg-type]  # people do
        assert isinstance(cache.lookup(Request("q", namespace=("a", "b"))), Miss)
        assert hit(cache, Request("q", namespace=("ab",))).answer == "of ab"
        assert cache.clear("a") == 0
        assert cache.clear("ab") == 1
        for bad in (("a", ""), (1,), None, 5):
            with pytest.raises(ConfigError, match="namespace"):
                cache.clear(bad)  # type: ignore[arg-type]  # the point


@pytest.mark.parametrize("embedder", ["minilm", 3, object()])
def test_what_is_no_embedder_is_refused(embedder: Any) -> None:
    with pytest.raises(ConfigError, match="embedder"):
        open_cache("memory://", embedder=embedder)


def test_config_and_settings_together_are_refused() -> None:
    with pytest.raises(ConfigError, match="not both: ttl"):
        open_cache("memory://", embedder=None, config=CacheConfig(), ttl=3)


@pytest.mark.parametrize(
    "request_",
    [
        3,
        None,
        b"q",
        ["q"],
        Request("q", params={"x": object()}),
        Request("q", model=None),  # type: ignore[arg-type]  # the point
        Request("q", namespace=(1,)),  # type: ignore[arg-type]  # the point
    ],
    ids=str,
)
def test_what_is_no_request_is_refused(request_: Any) -> None:
    with open_cache("memory://", embedder=None) as cache, pytest.raises(ConfigError):
        cache.lookup(request_)


def test_default_cache_without_the_local_extra_has_no_embedder_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr("llmcache_plugins.factory._said_no_embedder", False)
    monkeypatch.delenv("LLMCACHE_URL", raising=False)
    set_default_cache(None)
    try:
        cache = default_cache()
        assert default_cache() is cache
        with open_cache("memory://"):
            pass
    finally:
        set_default_cache(None)
    assert caplog.text.count("pip install 'llmcache-plugins[local]'") == 1


def test_guards_of_the_user_replace_the_default_ones(embedder: FakeEmbedder) -> None:
    class Never:
        name = "never"

        def __call__(self, asked: str, stored: str) -> Verdict:
            return Verdict(self.name, "conflict", "never")

    with open_cache("memory://", embedder=embedder, guards=[Never()]) as cache:
        cache.update("What are the BGP states?", "six")
        assert miss(cache, "Which states does BGP have?").near_misses[0].vetoed_by == ("never",)
    with pytest.raises(ConfigError, match="use_guards"):
        open_cache("memory://", embedder=None, guards=[], use_guards=False)


def test_environment_names_the_default_url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LLMCACHE_URL", f"disk://{tmp_path}/from_env.db")
    with open_cache(embedder=None) as cache:
        cache.update("q", "a")
    assert (tmp_path / "from_env.db").exists()


def test_copies_share_the_cache_and_nothing_shows_prompts(cache: SemanticCache) -> None:
    assert copy.deepcopy(cache) is cache
    assert copy.copy(cache) is cache
    cache.update("a secret question", "a secret answer")
    texts = [repr(cache), repr(hit(cache, "a secret question")), repr(cache.stats()), repr(miss(cache, "another"))]
    assert not any("secret" in text for text in texts)


# --------------------------------------------------------------------------------------- event loops
async def test_async_verbs_do_what_the_sync_ones_do(url: str, embedder: FakeEmbedder) -> None:
    async with open_cache(url, embedder=embedder) as cache:
        assert isinstance(await cache.alookup("What are the BGP states?"), Miss)
        assert (await cache.aupdate("What are the BGP states?", "six")).stored
        found = await cache.alookup("Which states does BGP have?")
        assert isinstance(found, Hit)
        assert found.kind == "semantic"
        assert (await cache.astats()).hit_count == 1
        assert await cache.aclear() == 1


async def test_alookup_leaves_the_loop_free_while_the_embedder_works(url: str) -> None:
    """The embedder waits for something that only the loop can do: were the loop blocked, it would time out."""
    loop = asyncio.get_running_loop()
    was_free: list[bool] = []

    def wait_for_the_loop(texts: Sequence[str]) -> None:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(timeout=10)
        was_free.append(True)

    embedder = FakeEmbedder(GROUPS, before=wait_for_the_loop)
    async with open_cache(url, embedder=embedder) as cache:
        await cache.aupdate("What are the BGP states?", "six")
        found = await cache.alookup("Which states does BGP have?")
    assert isinstance(found, Hit)
    assert was_free


# --------------------------------------------------------------------------------------- generate
def test_get_or_generate_calls_once_and_times_the_call() -> None:
    calls: list[str] = []

    def ask(question: str) -> str:
        calls.append(question)
        return question.upper()

    with open_cache("memory://", embedder=None) as cache:
        assert [cache.get_or_generate("q", ask) for _ in range(3)] == ["Q", "Q", "Q"]
        assert calls == ["q"]
        spent = hit(cache, "q").entry.generation_seconds
        assert spent is not None
        assert spent >= 0


@pytest.mark.parametrize(
    "generate",
    [lambda: "a", lambda question: "a", lambda question, more=1: "a", lambda *rest: "a"],
)
def test_generate_may_take_the_request_or_nothing(generate: Callable[..., Any]) -> None:
    with open_cache("memory://", embedder=None) as cache:
        value = cache.get_or_generate("a", generate)
        assert value == "a"
        assert cache.get_or_generate("a", lambda: "never called") == "a"


def test_a_hit_does_not_look_at_generate() -> None:
    class Model:
        looked = 0

        @property
        def __signature__(self) -> inspect.Signature:
            Model.looked += 1
            return inspect.Signature()

        def __call__(self) -> str:
            return "a"

    with open_cache("memory://", embedder=None) as cache:
        assert [cache.get_or_generate("q", Model()) for _ in range(3)] == ["a"] * 3
        assert Model.looked == 1
        assert asyncio.run(cache.aget_or_generate("q", Model())) == "a"
        assert Model.looked == 1


def test_generate_may_return_an_answer_with_its_usage() -> None:
    with open_cache("memory://", embedder=None) as cache:
        assert cache.get_or_generate("q", lambda: Answer({"x": 1}, usage=Usage(3, 4))) == {"x": 1}
        assert cache.get_or_generate("q", lambda: None) == {"x": 1}
        assert cache.stats().tokens_saved.total_tokens == 7


def test_error_of_the_model_passes_unchanged_and_is_not_cached() -> None:
    error = ValueError("model down")

    def fail() -> str:
        raise error

    with open_cache("memory://", embedder=None) as cache:
        with pytest.raises(ValueError) as caught:  # noqa: PT011  # identity is asserted below
            cache.get_or_generate("q", fail)
        assert caught.value is error
        assert cache.get_or_generate("q", lambda: "a") == "a"


def test_stop_iteration_of_the_model_passes_unchanged_too() -> None:
    with open_cache("memory://", embedder=None) as cache, pytest.raises(StopIteration):
        cache.get_or_generate("q", lambda: next(iter(())))


def test_object_with_an_async_call_is_refused_by_the_sync_verb() -> None:
    class Model:
        async def __call__(self) -> str:
            return "a"

    with open_cache("memory://", embedder=None) as cache, pytest.raises(ConfigError, match="aget_or_generate"):
        cache.get_or_generate("q", Model())


def test_coroutine_function_is_refused_by_the_sync_verb() -> None:
    async def ask() -> str:
        return "a"

    with open_cache("memory://", embedder=None) as cache, pytest.raises(ConfigError, match="aget_or_generate"):
        cache.get_or_generate("q", ask)


async def test_aget_or_generate_takes_coroutines_and_plain_functions() -> None:
    async def ask(question: str) -> str:
        return question.upper()

    async with open_cache("memory://", embedder=None) as cache:
        assert await cache.aget_or_generate("q", ask) == "Q"
        assert await cache.aget_or_generate("r", lambda: ask("r")) == "R"
        assert await cache.aget_or_generate("s", lambda: "S") == "S"
        assert await cache.aget_or_generate("q", lambda: "never") == "Q"
