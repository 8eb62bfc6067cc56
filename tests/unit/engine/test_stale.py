"""Old answers, served while one call renews them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Bypass, ConfigError, Hit, Miss, MissReason, SemanticCache, UpdateOutcome, open_cache
from llmcache_plugins.testing import FakeClock

LIMIT = 20.0  # seconds after which a test counts as hung
WINDOW = 60.0
TTL = 100.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "disk"])
def cache(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[SemanticCache]:
    url = "memory://" if request.param == "memory" else f"disk://{tmp_path}/c.db"
    with open_stale(clock, url) as cache:
        yield cache


def open_stale(clock: FakeClock, url: str = "memory://", **settings: Any) -> SemanticCache:
    values = {"ttl": TTL, "stale_while_revalidate": WINDOW, "single_flight_timeout": LIMIT} | settings
    return open_cache(url, embedder=None, clock=clock, **values)


class Model:
    """Answers `answer 1`, `answer 2`, ... once it may."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.calls = 0
        self.began = threading.Semaphore(0)
        self.may_answer = threading.Event()
        self.error: Exception | None = None
        self._lock = threading.Lock()
        if is_open:
            self.may_answer.set()

    def __call__(self) -> str:
        with self._lock:
            self.calls += 1
            answer = f"answer {self.calls}"
        self.began.release()
        assert self.may_answer.wait(LIMIT)
        if self.error is not None:
            raise self.error
        return answer


def settle(cache: SemanticCache) -> None:
    """Until nothing is renewed in the background any more."""
    deadline = threading.Event()
    for _ in range(int(LIMIT / 0.005)):
        if not len(cache._flights) and not cache._refresher._running:
            return
        deadline.wait(0.005)
    raise AssertionError("a refresh does not end")


def kind(cache: SemanticCache, *, lead: bool = True) -> str:
    outcome = cache.lookup("q", lead=lead)
    if isinstance(outcome, Hit):
        return "stale" if outcome.is_stale else "fresh"
    return outcome.reason if isinstance(outcome, Miss | Bypass) else ""


def test_fifty_threads_on_an_expired_popular_entry_make_one_call() -> None:
    clock, model = FakeClock(), Model()
    with open_stale(clock, stale_while_revalidate=0.0) as cache:
        cache.update("q", "old")
        clock.advance(TTL)
        gate = threading.Barrier(50)

        def ask() -> Any:
            gate.wait(LIMIT)
            return cache.get_or_generate("q", model)

        with ThreadPoolExecutor(50) as pool:
            answers = [future.result(LIMIT) for future in [pool.submit(ask) for _ in range(50)]]
    assert (set(answers), model.calls) == ({"answer 1"}, 1)


def test_none_of_fifty_threads_waits_for_the_one_call_that_renews(cache: SemanticCache, clock: FakeClock) -> None:
    model = Model(is_open=False)
    cache.update("q", "old")
    clock.advance(TTL)
    gate = threading.Barrier(50)

    def ask() -> Any:
        gate.wait(LIMIT)
        return cache.get_or_generate("q", model)

    with ThreadPoolExecutor(50) as pool:
        answers = [future.result(LIMIT) for future in [pool.submit(ask) for _ in range(50)]]
    assert set(answers) == {"old"}  # all are back, and the model has not answered
    model.may_answer.set()
    settle(cache)
    assert model.calls == 1
    assert cache.get_or_generate("q", model) == "answer 1"


async def test_tasks_do_not_wait_either(cache: SemanticCache, clock: FakeClock) -> None:
    calls, may_answer = [], asyncio.Event()

    async def generate() -> str:
        calls.append(1)
        await may_answer.wait()
        return "new"

    await cache.aupdate("q", "old")
    clock.advance(TTL)
    asked = [asyncio.create_task(cache.aget_or_generate("q", generate)) for _ in range(50)]
    assert await asyncio.wait_for(asyncio.gather(*asked), LIMIT) == ["old"] * 50
    may_answer.set()
    while len(cache._flights):
        await asyncio.sleep(0)
    assert await cache.aget_or_generate("q", generate) == "new"
    assert len(calls) == 1


def test_beyond_the_window_callers_wait_for_a_new_answer(cache: SemanticCache, clock: FakeClock) -> None:
    cache.update("q", "old")
    clock.advance(TTL + WINDOW)
    assert cache.get_or_generate("q", lambda: "new") == "new"


def test_a_sweep_leaves_what_may_still_be_served(clock: FakeClock) -> None:
    with open_stale(clock, sweep_interval=1.0) as cache:
        cache.update("q", "old")
        clock.advance(TTL + WINDOW - 1.0)
        cache.update("other", "sweeps")
        assert kind(cache, lead=False) == "expired"
        assert cache.get_or_generate("q", lambda: "new") == "old"
        settle(cache)


def test_a_plain_lookup_misses_for_nobody_would_renew(cache: SemanticCache, clock: FakeClock) -> None:
    cache.update("q", "old")
    clock.advance(TTL)
    assert kind(cache, lead=False) == "expired"


def test_behind_a_lookup_one_caller_pays_and_the_others_are_served(cache: SemanticCache, clock: FakeClock) -> None:
    """As LangChain calls it: nobody tells how to make the call."""
    cache.update("q", "old")
    clock.advance(TTL)
    assert kind(cache) == "expired"
    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(kind, cache) for _ in range(4)]
        assert [other.result(LIMIT) for other in others] == ["stale"] * 4
    cache.update("q", "new")
    assert kind(cache) == "fresh"


def test_a_failed_call_passes_the_renewal_on(cache: SemanticCache, clock: FakeClock) -> None:
    cache.update("q", "old")
    clock.advance(TTL)
    assert kind(cache) == "expired"
    assert cache.release_leads() == 1
    assert kind(cache) == "expired"


def test_a_stale_hit_says_so_and_counts_as_a_read(cache: SemanticCache, clock: FakeClock) -> None:
    cache.update("q", "old")
    clock.advance(TTL)
    assert kind(cache) == "expired"
    [first, second] = [cache.lookup("q", lead=True) for _ in range(2)]
    assert isinstance(first, Hit)
    assert isinstance(second, Hit)
    assert first.evidence["is_stale"] is True
    assert (first.access_count, second.access_count) == (1, 2)


def test_a_fresh_hit_does_not_say_that_it_is_stale(cache: SemanticCache) -> None:
    cache.update("q", "a")
    outcome = cache.lookup("q")
    assert isinstance(outcome, Hit)
    assert (outcome.is_stale, "is_stale" in outcome.evidence) == (False, False)


def test_lazily_invalidated_answers_are_served_for_a_while(clock: FakeClock) -> None:
    with open_stale(clock, stale_while_revalidate=0.0, ttl=3600.0) as cache:
        cache.update("q", "old")
        clock.advance(61.0)
        cache.invalidate(everything=True, mode="lazy")
        assert kind(cache, lead=False) == "stale"  # the reason of a miss
        clock.advance(299.0)
        assert cache.get_or_generate("q", lambda: "new") == "old"
        settle(cache)
        assert cache.get_or_generate("q", lambda: "newer") == "new"
        cache.invalidate(everything=True, mode="lazy")
        clock.advance(300.0)
        assert cache.get_or_generate("q", lambda: "newest") == "newest"


def test_a_marked_answer_in_the_hot_tier_is_served_stale(cache: SemanticCache) -> None:
    """Its copy in memory is not served as if nothing had happened."""
    cache.update("q", "old")
    assert [cache.get_or_generate("q", lambda: "never") for _ in range(12)] == ["old"] * 12
    cache.invalidate(everything=True, mode="lazy")
    assert kind(cache) == "stale"  # the reason of a miss: this caller renews it
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(cache.lookup, "q", lead=True).result(LIMIT)
    assert isinstance(outcome, Hit)
    assert outcome.is_stale
    cache.update("q", "new")
    assert kind(cache) == "fresh"
    assert cache.get_or_generate("q", lambda: "never") == "new"


def test_a_failing_model_is_not_asked_by_every_reader(cache: SemanticCache, clock: FakeClock) -> None:
    model = Model()
    model.error = ConnectionError("down")
    cache.update("q", "old")
    clock.advance(TTL)
    for _ in range(5):
        assert cache.get_or_generate("q", model) == "old"
        settle(cache)
    assert model.calls == 1
    assert cache.stats().errors == {"refresh": 1}
    clock.advance(6.0)
    model.error = None
    assert cache.get_or_generate("q", model) == "old"
    settle(cache)
    assert cache.get_or_generate("q", model) == "answer 2"


def test_beyond_workers_and_queue_nothing_is_begun(clock: FakeClock) -> None:
    model = Model(is_open=False)
    with open_stale(clock, refresh_workers=1, refresh_queue=1) as cache:
        for name in "abc":
            cache.update(name, "old")
        clock.advance(TTL)
        assert [cache.get_or_generate(name, model) for name in "abc"] == ["old"] * 3
        assert model.began.acquire(timeout=LIMIT)
        assert model.calls == 1  # a runs, b waits
        model.may_answer.set()
        settle(cache)
        assert model.calls == 2
        assert cache.get_or_generate("c", model) == "old"  # c is asked for by its next reader
        settle(cache)
        assert model.calls == 3


def test_closing_lets_go_of_what_waits(clock: FakeClock) -> None:
    model = Model(is_open=False)
    cache = open_stale(clock, refresh_workers=1)
    for name in "ab":
        cache.update(name, "old")
    clock.advance(TTL)
    assert [cache.get_or_generate(name, model) for name in "ab"] == ["old"] * 2
    assert model.began.acquire(timeout=LIMIT)
    cache.close()
    model.may_answer.set()
    settle(cache)
    assert model.calls == 1


async def test_closing_cancels_what_a_loop_renews(clock: FakeClock) -> None:
    began, cancelled = asyncio.Event(), asyncio.Event()

    async def generate() -> str:
        began.set()
        try:
            await asyncio.sleep(LIMIT)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "never"

    cache = open_stale(clock)
    await cache.aupdate("q", "old")
    clock.advance(TTL)
    assert await cache.aget_or_generate("q", generate) == "old"
    await asyncio.wait_for(began.wait(), LIMIT)
    await cache.aclose()
    await asyncio.wait_for(cancelled.wait(), LIMIT)
    settle(cache)


def test_the_background_call_sees_the_caller_s_context(cache: SemanticCache, clock: FakeClock) -> None:
    cache.update("q", "old")
    clock.advance(TTL)
    with cache.context(tags=["seen"]):
        assert cache.get_or_generate("q", lambda: "new") == "old"
    settle(cache)
    outcome = cache.lookup("q")
    assert isinstance(outcome, Hit)
    assert outcome.entry.profile.tags == ("seen",)


def test_a_popular_answer_is_renewed_before_it_ends(clock: FakeClock) -> None:
    model = Model()
    with open_stale(clock, stale_while_revalidate=0.0, refresh_ahead=0.1, refresh_ahead_reads=3) as cache:
        cache.update("q", "old")
        clock.advance(0.9 * TTL - 1.0)
        assert [cache.get_or_generate("q", model) for _ in range(3)] == ["old"] * 3
        settle(cache)
        assert model.calls == 0  # not near its end
        clock.advance(1.0)
        assert cache.get_or_generate("q", model) == "old"
        settle(cache)
        assert cache.get_or_generate("q", model) == "answer 1"
        assert model.calls == 1


def test_what_is_hardly_read_just_ends(clock: FakeClock) -> None:
    model = Model()
    with open_stale(clock, stale_while_revalidate=0.0, refresh_ahead=0.1, refresh_ahead_reads=3) as cache:
        cache.update("q", "old")
        clock.advance(0.9 * TTL)
        assert [cache.get_or_generate("q", model) for _ in range(2)] == ["old"] * 2
        settle(cache)
        assert model.calls == 0


def test_behind_a_lookup_one_caller_is_chosen_to_renew_ahead(clock: FakeClock) -> None:
    with open_stale(clock, refresh_ahead=0.1, refresh_ahead_reads=1) as cache:
        cache.update("q", "old")
        clock.advance(0.9 * TTL)
        assert kind(cache) == MissReason.REFRESH
        assert [kind(cache), kind(cache)] == ["fresh", "fresh"]
        assert cache.update("q", "new") == UpdateOutcome(True)
        assert kind(cache) == "fresh"


def test_without_single_flight_nothing_old_is_served(clock: FakeClock) -> None:
    with pytest.raises(ConfigError, match="stale_while_revalidate needs single_flight"):
        open_stale(clock, single_flight=False)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("stale_while_revalidate", -1.0),
        ("lazy_stale_limit", "long"),
        ("refresh_ahead", 1.5),
        ("refresh_ahead_reads", 0),
        ("refresh_workers", 0),
        ("refresh_queue", -1),
        ("followers_on_failure", "raise"),
        ("single_flight_across_processes", 1),
        ("join_paraphrases", "yes"),
    ],
)
def test_a_wrong_setting_names_field_and_value(setting: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{setting} must be .*{value}"):
        open_cache("memory://", embedder=None, **{setting: value})
