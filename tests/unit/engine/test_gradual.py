"""Gradual invalidation: stale at once, renewed no faster than the rate, and gone in the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from llmcache_plugins import Entry, Hit, InvalidationProgress, InvalidationReport, Miss, SemanticCache, open_cache
from llmcache_plugins.testing import FakeClock, FakeEmbedder


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(clock: FakeClock) -> Iterator[SemanticCache]:
    with open_cache("memory://", embedder=None, clock=clock, maintenance="manual") as cache:
        yield cache


def fill(cache: SemanticCache, count: int) -> list[str]:
    questions = [f"question {number}" for number in range(count)]
    for question in questions:
        cache.update(question, "old")
    return questions


def pump(report: InvalidationReport, clock: FakeClock, *, step: float, most: float) -> InvalidationProgress:
    """Let the cache's time pass until the invalidation is done."""
    passed = 0.0
    while not report.wait(0.005).is_done and passed < most:
        clock.advance(step)
        passed += step
    return report.wait(5)


def test_all_are_stale_at_once_and_the_model_is_asked_at_the_rate(cache: SemanticCache, clock: FakeClock) -> None:
    questions = fill(cache, 30)
    report = cache.invalidate(everything=True, mode="gradual", rate=5.0)
    assert (report.count, report.progress.stale, report.progress.is_done) == (30, 30, False)
    renewed = []
    for _ in range(3):
        for question in questions:
            outcome = cache.lookup(question, lead=True)
            assert isinstance(outcome, Hit | Miss)
            assert isinstance(outcome, Miss) or outcome.is_stale or outcome.answer == "new"
            if isinstance(outcome, Miss):
                renewed.append(question)
                cache.update(question, "new")
        clock.advance(1.0)
    assert len(renewed) == 15
    assert len(set(renewed)) == 15
    report.cancel()


def test_5000_entries_under_traffic_never_exceed_the_rate(cache: SemanticCache, clock: FakeClock) -> None:
    """Threads ask for all of them again and again, on a clock that is moved between the rounds."""
    questions = fill(cache, 5000)
    report = cache.invalidate(everything=True, mode="gradual", rate=1000.0)
    calls: list[float] = []
    renewed: set[str] = set()

    def ask(part: Sequence[str]) -> None:
        for question in part:
            outcome = cache.lookup(question, lead=True)
            assert isinstance(outcome, Miss) or (isinstance(outcome, Hit) and outcome.is_stale)
            if isinstance(outcome, Miss):
                calls.append(clock.monotonic())
                renewed.add(question)
                assert cache.update(question, "new").stored

    for _ in range(10):
        waiting = [question for question in questions if question not in renewed]
        threads = [threading.Thread(target=ask, args=(waiting[start::4],)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        clock.advance(0.5)
    calls.sort()
    assert len(calls) == len(renewed) == 5000, "each was renewed once"
    assert all(later - first >= 1.0 - 1e-9 for first, later in zip(calls, calls[1000:], strict=False))
    answers = [cache.lookup(question) for question in questions]
    assert all(isinstance(hit, Hit) and not hit.is_stale and hit.answer == "new" for hit in answers)
    assert pump(report, clock, step=1.0, most=400) == InvalidationProgress(total=5000)


def test_renewed_in_the_background_they_keep_to_the_rate_too(cache: SemanticCache, clock: FakeClock) -> None:
    questions = fill(cache, 60)
    report = cache.invalidate(everything=True, mode="gradual", rate=5.0)
    calls: list[str] = []

    def generate(request: Any) -> str:
        calls.append(request)
        return "new"

    for second in range(1, 21):
        assert {cache.get_or_generate(question, generate) for question in questions} <= {"old", "new"}
        assert len(calls) <= 5 * second
        clock.advance(1.0)
    report.cancel()
    report.wait(5)
    assert len(calls) == len(set(calls))


def test_what_nobody_asks_for_is_removed_in_the_end(cache: SemanticCache, clock: FakeClock) -> None:
    questions = fill(cache, 25)
    told: list[InvalidationProgress] = []
    ends: list[InvalidationProgress] = []
    report = cache.invalidate(
        everything=True, mode="gradual", batch_size=10, delay=1.0, progress=told.append, on_done=ends.append
    )
    assert isinstance(cache.lookup(questions[0], lead=True), Miss)
    cache.update(questions[0], "new")
    done = pump(report, clock, step=5.0, most=1000)
    assert (done.total, done.stale, done.removed, done.refreshed) == (25, 0, 24, 1)
    assert done.is_done
    assert ends == [done]
    assert [one.removed for one in told if one.removed] == [10, 20, 24]
    assert cache.stats().entries == 1


def test_until_then_stale_answers_are_served_longer_than_five_minutes_if_their_turn_takes_longer(
    cache: SemanticCache, clock: FakeClock
) -> None:
    fill(cache, 100)
    report = cache.invalidate(everything=True, mode="gradual", rate=0.1)
    clock.advance(900.0)  # of the thousand seconds that they need
    assert isinstance(cache.lookup("question 1", lead=True), Miss)
    outcome = cache.lookup("question 2")
    assert isinstance(outcome, Hit)
    assert outcome.is_stale
    report.cancel()


def test_warming_keeps_to_the_rate_and_ends_it_early(cache: SemanticCache, clock: FakeClock) -> None:
    fill(cache, 20)
    calls: list[float] = []

    def warm(entries: Sequence[Entry]) -> None:
        for entry in entries:
            calls.append(clock.monotonic())
            assert isinstance(cache.lookup(entry.text, lead=True), Miss)
            cache.update(entry.text, "new")

    report = cache.invalidate(everything=True, mode="gradual", rate=4.0, batch_size=6, delay=0.1, warm=warm)
    done = pump(report, clock, step=0.25, most=60)
    assert done == InvalidationProgress(total=20)
    assert len(calls) == 20
    assert all(later - first >= 1.0 - 1e-9 for first, later in zip(calls, calls[4:], strict=False))
    assert calls[-1] < 30.0


def test_a_callback_that_fails_is_passed_over(
    cache: SemanticCache, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    fill(cache, 3)

    def fail(argument: Any) -> None:
        raise RuntimeError("question 1")

    report = cache.invalidate(everything=True, mode="gradual", warm=fail, progress=fail, on_done=fail)
    assert pump(report, clock, step=10.0, most=1000).removed == 3
    assert "RuntimeError" in caplog.text
    assert "question 1" not in caplog.text


def test_cancelled_it_leaves_what_is_marked_to_the_rules_of_a_lazy_one(cache: SemanticCache, clock: FakeClock) -> None:
    fill(cache, 3)
    report = cache.invalidate(everything=True, mode="gradual", rate=0.001)
    assert report.cancel()
    done = report.wait(5)
    assert (done.is_done, done.is_cancelled, done.stale) == (True, True, 3)
    assert not report.cancel()
    assert [isinstance(cache.lookup(f"question {n}", lead=True), Miss) for n in range(3)] == [True] * 3


def test_without_a_thread_it_is_cancelled_and_nobody_hears_an_error(
    cache: SemanticCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    fill(cache, 3)
    told: list[InvalidationProgress] = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        report = cache.invalidate(everything=True, mode="gradual", rate=0.001, on_done=told.append)
    done = report.wait(5)
    assert (report.count, done.is_done, done.is_cancelled, done.stale, told) == (3, True, True, 3, [done])
    assert isinstance(cache.lookup("question 1"), Miss)


def test_closing_the_cache_stops_it(clock: FakeClock) -> None:
    with open_cache("memory://", embedder=None, clock=clock) as cache:
        fill(cache, 3)
        report = cache.invalidate(everything=True, mode="gradual")
    assert report.wait(5).is_cancelled


def test_nothing_to_invalidate_is_done_at_once(cache: SemanticCache) -> None:
    report = cache.invalidate(tags="none", mode="gradual")
    assert report.count == 0
    assert report.wait(5) == InvalidationProgress()


def test_what_the_invalidation_is_not_about_is_not_held_back(cache: SemanticCache, clock: FakeClock) -> None:
    fill(cache, 3)
    report = cache.invalidate(everything=True, mode="gradual", rate=0.001)
    assert isinstance(cache.lookup("question 0", lead=True), Miss)
    assert isinstance(cache.lookup("question 1", lead=True), Hit)
    assert [cache.get_or_generate(f"other {n}", lambda: "new") for n in range(5)] == ["new"] * 5
    report.cancel()


def test_other_words_do_not_ask_the_model_past_the_rate(clock: FakeClock) -> None:
    groups = {f"{how} {number}": f"group {number}" for number in range(6) for how in ("what is", "please tell me")}
    with open_cache(
        "memory://", embedder=FakeEmbedder(groups), clock=clock, use_guards=False, similarity_threshold=0.9
    ) as cache:
        for number in range(6):
            cache.update(f"what is {number}", "old")
        report = cache.invalidate(everything=True, mode="gradual", rate=2.0)
        asked = [cache.lookup(f"please tell me {number}", lead=True) for number in range(6)]
        assert [isinstance(one, Miss) for one in asked] == [True, True, False, False, False, False]
        served = asked[-1]
        assert isinstance(served, Hit)
        assert (served.kind, served.is_stale, served.answer) == ("semantic", True, "old")
        cache.update("please tell me 0", "new")
        fresh = cache.lookup("what is 0", lead=True)
        assert isinstance(fresh, Hit)
        report.cancel()
        assert report.wait(5).is_cancelled
        assert isinstance(cache.lookup("please tell me 5", lead=True), Miss), "without a rate other words miss"


def test_a_dry_run_holds_nothing_back(cache: SemanticCache) -> None:
    fill(cache, 3)
    report = cache.invalidate(everything=True, mode="gradual", dry_run=True)
    assert (report.count, report.progress.is_done) == (3, True)
    assert isinstance(hit := cache.lookup("question 0"), Hit)
    assert not hit.is_stale


def test_on_an_event_loop(cache: SemanticCache, clock: FakeClock) -> None:
    async def main() -> None:
        fill(cache, 10)
        report = await cache.ainvalidate(everything=True, mode="gradual", rate=2.0)
        misses = 0
        for number in range(10):
            outcome = await cache.alookup(f"question {number}", lead=True)
            if isinstance(outcome, Miss):
                misses += 1
                await cache.aupdate(f"question {number}", "new")
        assert misses == 2
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(report.await_end(), 0.01)
        report.cancel()
        assert (await report.await_end()).is_cancelled

    asyncio.run(main())


def test_two_at_once_keep_to_both_rates(cache: SemanticCache, clock: FakeClock) -> None:
    fill(cache, 10)
    wide = cache.invalidate(everything=True, mode="gradual", rate=3.0)
    narrow = cache.invalidate(everything=True, mode="gradual", rate=1.0)
    assert narrow.count == 0, "what is marked already is not marked again"
    misses = [isinstance(cache.lookup(f"question {n}", lead=True), Miss) for n in range(10)]
    assert sum(misses) == 1
    wide.cancel()
    narrow.cancel()
