"""Shadow and canary: who is served, what is counted and compared in place of a hit, and what does not change."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins import CacheConfig, Hit, Miss, SemanticCache, open_cache
from llmcache_plugins.engine.recording import Recording
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.recorded import ComparisonEvent, Event, GroupLookupEvent, UpdateEvent
from llmcache_plugins.telemetry import LogRecorder
from llmcache_plugins.testing import FakeClock, FakeEmbedder
from llmcache_plugins.types import Answer, MissReason, Request, Usage

ASKED = "Which sites are down?"
OTHER = "What sites are not up?"  # means the same


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def shadow(clock: FakeClock) -> Iterator[SemanticCache]:
    with closing(opened(mode="shadow", clock=clock)) as cache:
        yield cache


def opened(**settings: Any) -> SemanticCache:
    embedder = FakeEmbedder({ASKED: "down", OTHER: "down"})
    return open_cache("memory://", **{"embedder": embedder, "guards": (), "maintenance": "manual", **settings})


def stream(cache: SemanticCache, question: str, answer: str) -> Any:
    """As a plugin that streams does it."""
    found = cache.record(question, lambda: answer)
    if isinstance(found, Hit):
        return found.answer
    found.store(Answer(answer))
    return answer


def by_hand(cache: SemanticCache, question: str, answer: str, *, lead: bool) -> Any:
    """As a plugin does that the framework calls before and after the model."""
    found = cache.lookup(question, lead=lead)
    if isinstance(found, Hit):
        return found.answer
    cache.update(question, answer)
    return answer


async def astream(cache: SemanticCache, question: str, answer: str) -> Any:
    async def renew() -> str:
        return answer

    found = await cache.arecord(question, renew)
    if isinstance(found, Recording):
        await found.astore(Answer(answer))
        return answer
    return found.answer


async def aby_hand(cache: SemanticCache, question: str, answer: str) -> Any:
    found = await cache.alookup(question, lead=True)
    if isinstance(found, Hit):
        return found.answer
    await cache.aupdate(question, answer)
    return answer


async def agenerate(cache: SemanticCache, question: str, answer: str) -> Any:
    async def generate() -> str:
        return answer

    return await cache.aget_or_generate(question, generate)


SHAPES: dict[str, Callable[[SemanticCache, str, str], Any]] = {
    "call": lambda cache, question, answer: cache.get_or_generate(question, lambda: answer),
    "stream": stream,
    "lookup": lambda cache, question, answer: by_hand(cache, question, answer, lead=False),
    "lookup_leading": lambda cache, question, answer: by_hand(cache, question, answer, lead=True),
    "acall": lambda cache, question, answer: asyncio.run(agenerate(cache, question, answer)),
    "astream": lambda cache, question, answer: asyncio.run(astream(cache, question, answer)),
    "alookup": lambda cache, question, answer: asyncio.run(aby_hand(cache, question, answer)),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shadow_never_serves(shadow: SemanticCache, shape: str) -> None:
    ask = SHAPES[shape]
    assert [ask(shadow, ASKED, f"answer {number}") for number in range(3)] == ["answer 0", "answer 1", "answer 2"]
    assert ask(shadow, OTHER, "another") == "another"
    assert shadow.finish_checks(10)
    stats = shadow.stats()
    control = stats.groups["control"]
    assert (stats.hit_count, control.hits, control.misses, control.withheld, control.calls) == (0, 0, 4, 3, 4)
    assert control.same + control.different + control.unclear == 3
    assert stats.misses["withheld"] == 3
    assert "served" not in stats.groups
    assert control.answers.count == 4  # each call was timed, however it was made


@pytest.mark.parametrize("shape", SHAPES)
def test_what_would_have_been_served_is_compared(clock: FakeClock, shape: str) -> None:
    ask = SHAPES[shape]
    with closing(
        opened(mode="shadow", clock=clock, answers_agree=lambda fresh, stored: fresh[0] == stored[0])
    ) as cache:
        for answer in ("north", "nothing but north", "south"):
            ask(cache, ASKED, answer)
        assert cache.finish_checks(10)
        control = cache.stats().groups["control"]
        assert (control.same, control.different, control.unclear) == (1, 1, 0)


def test_what_is_stored_ages_as_if_it_were_served(clock: FakeClock) -> None:
    with closing(opened(mode="shadow", clock=clock, ttl=100.0)) as cache:
        for _ in range(3):
            cache.get_or_generate(ASKED, lambda: "north")
            clock.advance(40.0)
        stats = cache.stats()
        assert (stats.updates, stats.refusals) == (1, {"withheld": 2})
        assert isinstance(cache.lookup(ASKED), Miss)  # 120 seconds old: a fresh answer did not take its place
        assert cache.stats().misses["expired"] == 1
        cache.get_or_generate(ASKED, lambda: "south")
        assert cache.stats().updates == 2


def test_an_old_answer_that_would_be_renewed_is_renewed(clock: FakeClock) -> None:
    with closing(opened(mode="shadow", clock=clock, ttl=100.0, stale_while_revalidate=100.0)) as cache:
        cache.get_or_generate(ASKED, lambda: "north")
        clock.advance(150.0)
        assert cache.get_or_generate(ASKED, lambda: "south") == "south"
        assert cache.stats().updates == 2
        assert cache.stats().groups["control"].withheld == 1


def test_another_wording_is_compared_each_time_it_would_be_served(shadow: SemanticCache) -> None:
    events: list[Event] = []
    shadow._emit._recorders.append(events.append)
    shadow.get_or_generate(ASKED, lambda: "north")
    for _ in range(2):
        shadow.get_or_generate(OTHER, lambda: "north")
    assert [event.kind for event in events if isinstance(event, ComparisonEvent)] == ["semantic", "alias"]
    assert shadow.stats().entries == 1


def test_the_events_say_which_group_and_what_was_withheld(clock: FakeClock) -> None:
    events: list[Event] = []
    with closing(opened(mode="shadow", clock=clock, recorders=[events.append])) as cache:
        cache.get_or_generate(ASKED, lambda: "north")
        cache.get_or_generate(ASKED, lambda: "north")
        looked = [event for event in events if isinstance(event, GroupLookupEvent)]
        assert [event.group for event in looked] == ["control", "control"]
        assert looked[0].withheld is None
        assert looked[1].withheld is not None
        assert looked[1].withheld.answer == "north"
        assert looked[1].withheld.kind == "exact"
        assert [event.group for event in events if isinstance(event, UpdateEvent)] == ["control", "control"]
        assert "north" not in repr(looked)


def test_logs_name_group_and_kind_and_no_text(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "llmcache_plugins.events")
    with closing(opened(mode="shadow", clock=clock, recorders=[LogRecorder()])) as cache:
        for _ in range(2):
            cache.get_or_generate("secret question", lambda: "secret answer")
    lines = [record.getMessage() for record in caplog.records]
    assert sum("group=control withheld_kind=exact withheld_key=" in line for line in lines) == 1
    assert [line for line in lines if line.startswith("comparison")] == ["comparison outcome=same kind=exact"]
    assert not any("secret" in line for line in lines)


def test_what_the_calls_would_have_cost_is_known(shadow: SemanticCache) -> None:
    request = Request(ASKED, model="m")
    for tokens in (10, 20):
        shadow.get_or_generate(request, lambda tokens=tokens: Answer("north", usage=Usage(tokens, 1)))
    use = shadow.stats().groups["control"].models["m"]
    assert (use.calls, use.spent.input_tokens) == (2, 30)
    assert (use.hits, use.saved.input_tokens) == (1, 10)


def test_nobody_waits_for_the_call_of_another_in_shadow(shadow: SemanticCache) -> None:
    barrier = threading.Barrier(3, timeout=10)
    given: list[str] = []

    def ask(number: int) -> None:
        def generate() -> str:
            barrier.wait()  # all three calls are under way at once, or none gets past
            return f"answer {number}"

        given.append(shadow.get_or_generate(ASKED, generate))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == ["answer 0", "answer 1", "answer 2"]


def test_an_error_of_the_model_passes_and_leaves_nothing_behind(shadow: SemanticCache) -> None:
    shadow.get_or_generate(ASKED, lambda: "north")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            shadow.get_or_generate(ASKED, lambda: 1 // 0)
    assert shadow.get_or_generate(ASKED, lambda: "north") == "north"
    control = shadow.stats().groups["control"]
    assert (control.withheld, control.same, control.calls) == (3, 1, 2)


def test_answers_that_may_not_be_stored_are_no_evidence(shadow: SemanticCache) -> None:
    shadow.get_or_generate(ASKED, lambda: "north")
    shadow.get_or_generate(ASKED, lambda: Answer("no", finish_reason="max_tokens"))
    control = shadow.stats().groups["control"]
    assert (control.same, control.different, control.unclear) == (0, 0, 1)


def test_a_comparison_that_breaks_costs_no_answer(clock: FakeClock) -> None:
    def breaks(fresh: str, stored: str) -> bool:
        raise RuntimeError("no")

    with closing(opened(mode="shadow", clock=clock, answers_agree=breaks)) as cache:
        cache.get_or_generate(ASKED, lambda: "north")
        assert cache.get_or_generate(ASKED, lambda: "south") == "south"
        assert cache.finish_checks(10)
        stats = cache.stats()
        assert stats.groups["control"].unclear == 1
        assert stats.errors["answers_agree"] == 1


def test_threads_that_cannot_be_started_cost_no_answer(shadow: SemanticCache, monkeypatch: pytest.MonkeyPatch) -> None:
    shadow.get_or_generate(ASKED, lambda: "north")

    def no_thread(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("llmcache_plugins.engine.daemons.threading.Thread", no_thread)
    assert shadow.get_or_generate(ASKED, lambda: "quite something else") == "quite something else"
    assert shadow.finish_checks(10)
    assert shadow.stats().groups["control"].unclear == 1


def test_what_is_bypassed_or_warmed_is_in_no_group_and_a_refresh_is_stored(shadow: SemanticCache) -> None:
    shadow.get_or_generate(ASKED, lambda: "north")
    with shadow.bypass():
        shadow.get_or_generate(ASKED, lambda: "south")
    shadow.warm(["Something else?"], lambda: "warm")
    control = shadow.stats().groups["control"]
    assert (control.lookups, control.calls) == (1, 1)
    with shadow.context(refresh=True):
        assert shadow.get_or_generate(ASKED, lambda: "renewed") == "renewed"
    assert shadow.stats().updates == 3  # the refresh has replaced what was stored


def test_canary_serves_its_share_and_compares_the_rest(clock: FakeClock) -> None:
    questions = [f"How is rtr-{number:03}?" for number in range(200)]
    with closing(opened(mode="canary", fraction=0.3, embedder=None, clock=clock)) as cache:
        for question in questions:
            cache.get_or_generate(question, lambda: "up")
        served = [question for question in questions if isinstance(cache.call(question, lambda: "up").outcome, Hit)]
        groups = cache.stats().groups
        assert 0.2 < len(served) / len(questions) < 0.4
        assert groups["served"].hits == len(served)
        assert groups["control"].withheld == groups["control"].same == len(questions) - len(served)
        assert groups["served"].lookups + groups["control"].lookups == 2 * len(questions)
        assert groups["served"].calls == len(served)
    with closing(opened(mode="canary", fraction=0.6, embedder=None, clock=clock)) as cache:  # another process
        for question in questions:
            cache.get_or_generate(question, lambda: "up")
        more = [question for question in questions if isinstance(cache.lookup(question), Hit)]
        assert set(served) < set(more)


def test_a_tenant_is_served_as_a_whole_or_not_at_all(clock: FakeClock) -> None:
    with closing(opened(mode="canary", fraction=0.5, split_by="tenant", embedder=None, clock=clock)) as cache:
        shares = {}
        for tenant in map(str, range(40)):
            for number in range(5):
                request = Request(f"question {number}", namespace=(tenant,))
                cache.get_or_generate(request, lambda: "up")
                kinds = shares.setdefault(tenant, set())
                kinds.add(isinstance(cache.lookup(request), Hit))
        assert all(len(kinds) == 1 for kinds in shares.values())
        assert 10 <= sum(kinds == {True} for kinds in shares.values()) <= 30
        assert {isinstance(cache.lookup(f"question {number}"), Miss) for number in range(5)} == {True}


def test_the_served_still_share_a_call(clock: FakeClock) -> None:
    with closing(opened(mode="canary", fraction=1.0, clock=clock)) as cache:
        calls: list[int] = []
        entered, go_on = threading.Event(), threading.Event()

        def generate() -> str:
            calls.append(1)
            entered.set()
            assert go_on.wait(10)
            return "north"

        first = threading.Thread(target=lambda: cache.get_or_generate(ASKED, generate))
        first.start()
        assert entered.wait(10)
        second = threading.Thread(target=lambda: cache.get_or_generate(ASKED, generate))
        second.start()
        go_on.set()
        first.join()
        second.join()
        assert len(calls) == 1


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_the_ends_of_the_fraction(clock: FakeClock, fraction: float) -> None:
    with closing(opened(mode="canary", fraction=fraction, clock=clock)) as cache:
        cache.update(ASKED, "north")
        assert isinstance(cache.lookup(ASKED), Hit) is bool(fraction)


def test_explain_and_serve_mode_know_nothing_of_groups(clock: FakeClock) -> None:
    with closing(opened(clock=clock)) as cache:
        cache.get_or_generate(ASKED, lambda: "north")
        assert isinstance(cache.lookup(ASKED), Hit)
        assert cache.stats().groups == {}
        assert cache.config.mode == "serve"


def test_an_adaptive_policy_goes_on_learning_in_shadow(clock: FakeClock) -> None:
    with closing(opened(mode="shadow", policy="adaptive", clock=clock, max_error_rate=0.5)) as cache:
        cache.update(ASKED, "north")
        cache.get_or_generate(OTHER, lambda: "north")
        assert cache.finish_checks(10)
        assert cache.stats().adaptive[0].near_agreed == 1


# ---------------------------------------------------------------- settings
def test_the_environment_switches_it_on(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    monkeypatch.setenv("LLMCACHE_MODE", "canary")
    monkeypatch.setenv("LLMCACHE_FRACTION", "0.25")
    with closing(opened(clock=clock)) as cache:
        assert (cache.config.mode, cache.config.fraction) == ("canary", 0.25)
    with closing(opened(clock=clock, mode="serve")) as cache:  # what is said in code counts
        assert cache.config.mode == "serve"
    monkeypatch.setenv("LLMCACHE_MODE", "")
    with closing(opened(clock=clock)) as cache:
        assert cache.config.mode == "serve"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LLMCACHE_MODE", "shaddow"),
        ("LLMCACHE_FRACTION", "10%"),
        ("LLMCACHE_FRACTION", "1.5"),
        ("LLMCACHE_FRACTION", "nan"),
    ],
)
def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"{name} must be .*{value}"):
        open_cache("memory://", embedder=None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "dark"}, "mode must be"),
        ({"fraction": 1.1}, "fraction must be"),
        ({"fraction": True}, "fraction must be"),
        ({"split_by": "user"}, "split_by must be"),
        ({"rollout": 0.1}, "rollout must be a Rollout"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CacheConfig(**settings)


def test_nobody_compares_answers_where_all_are_served() -> None:
    with pytest.raises(ConfigError, match="answers_agree is for"):
        open_cache("memory://", embedder=None, answers_agree=lambda fresh, stored: True)


def test_a_miss_names_its_reason(shadow: SemanticCache) -> None:
    shadow.update(ASKED, "north")
    outcome = shadow.lookup(ASKED)
    assert isinstance(outcome, Miss)
    assert outcome.reason is MissReason.WITHHELD


# ---------------------------------------------------------------- an answer is that of its own lookup
def fails() -> Any:
    raise OSError("the model is down")


def test_an_answer_given_by_hand_after_a_call_that_failed_is_stored(clock: FakeClock) -> None:
    with closing(opened(mode="shadow", clock=clock, embedder=None)) as cache:
        cache.get_or_generate("q", lambda: "wrong")
        for _ in range(3):
            with pytest.raises(OSError, match="down"):
                cache.get_or_generate("q", fails)
        found = cache.record("q", lambda: "")
        assert isinstance(found, Recording)
        found.fail(OSError("the stream broke"))
        assert cache.update("q", "corrected").stored
        withheld = cache.explain("q").exact
        assert withheld is not None
        stats = cache.stats()
        assert (stats.groups["control"].calls, sum(stats.misses.values())) == (1, 5)


def test_lookups_that_nobody_answered_refuse_one_update_at_most(clock: FakeClock) -> None:
    with closing(opened(mode="shadow", clock=clock, embedder=None)) as cache:
        cache.update("q", "old")
        for _ in range(5):
            cache.lookup("q")
        assert [cache.update("q", "new").stored for _ in range(3)] == [False, True, True]


def test_what_has_gone_meanwhile_is_stored_anew(clock: FakeClock) -> None:
    with closing(opened(mode="shadow", clock=clock, embedder=None)) as cache:
        cache.update("q", "old")
        cache.lookup("q")
        cache.clear()
        assert cache.update("q", "new").stored


def test_a_slow_model_is_compared_too(clock: FakeClock) -> None:
    agrees = lambda new, old: new == old  # noqa: E731
    with closing(opened(mode="shadow", clock=clock, single_flight_timeout=1.0, answers_agree=agrees)) as cache:
        cache.update(ASKED, "down")

        def generate() -> str:
            clock.advance(300.0)
            return "up"

        cache.get_or_generate(ASKED, generate)
        cache.finish_checks()
        assert cache.stats().groups["control"].different == 1


def test_what_is_being_compared_when_the_cache_closes_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmcache_plugins.engine.rolling_out._CLOSING", 0.1)
    may_go_on = threading.Event()

    def agrees(new: str, old: str) -> bool:
        may_go_on.wait(30)
        return False

    cache = opened(mode="shadow", answers_agree=agrees)
    try:
        cache.update(ASKED, "down")
        cache.get_or_generate(ASKED, lambda: "up")
        cache._rolling_out.close(0.1)
        assert cache.stats().groups["control"].unclear == 1
    finally:
        may_go_on.set()
        cache.close()
    stats = cache.stats().groups["control"]
    assert (stats.different, stats.unclear) == (0, 1)


def test_updates_without_a_lookup_are_no_calls_of_a_group(clock: FakeClock) -> None:
    with closing(opened(mode="shadow", clock=clock, embedder=None)) as cache:
        cache.get_or_generate("q", lambda: "a")
        for number in range(10):
            cache.update(f"faq {number}", "a")
        assert cache.stats().groups["control"].calls == 1


def test_answers_of_both_groups_are_timed_alike(clock: FakeClock) -> None:
    with closing(opened(mode="canary", fraction=0.5, clock=clock, embedder=None)) as cache:
        for number in range(60):
            cache.lookup(f"q {number}")
            clock.advance(2.0)
            cache.update(f"q {number}", "a")
        for group in cache.stats().groups.values():
            assert group.lookups > 10
            assert (group.answers.count, group.answers.seconds) == (group.lookups, pytest.approx(2.0 * group.lookups))


def test_a_call_stays_in_the_group_of_its_lookup(clock: FakeClock) -> None:
    with closing(opened(mode="canary", fraction=1.0, clock=clock, embedder=None)) as cache:
        cache.lookup("q")
        assert cache._rolling_out is not None
        cache._rolling_out._fraction = 0.0
        cache.update("q", "a")
        groups = cache.stats().groups
        assert (groups["served"].calls, "control" in groups and groups["control"].calls) == (1, False)


def test_a_comparison_names_what_it_was_about(clock: FakeClock) -> None:
    events: list[Event] = []
    with closing(opened(mode="shadow", clock=clock, embedder=None, recorders=[events.append])) as cache:
        cache.update("q", "a")
        cache.get_or_generate("q", lambda: "a")
        (event,) = [one for one in events if isinstance(one, ComparisonEvent)]
        assert cache.report_wrong(event.reference).removed == 1
