"""Simulated caches answer what the real ones do; nothing surpasses the optimum."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest

from llmcache_plugins import ConfigError, Hit, TierConfig, open_cache
from llmcache_plugins.logs import EVICTIONS, Configuration, Trace, best_possible, configurations, simulate
from llmcache_plugins.policies.placement import default_tiers
from llmcache_plugins.testing import FakeClock

RANDOM = random.Random(4)
KEYS = [min(int(RANDOM.paretovariate(0.7)), 60) for _ in range(600)]
TIMES = list(itertools.accumulate(RANDOM.expovariate(1 / 30.0) for _ in KEYS))
TRACE = Trace(KEYS, TIMES)


def one_tier(size: int, eviction: str = "lru", ttl: float | None = None) -> Configuration:
    return Configuration(name=eviction, tiers=(TierConfig("all", max_entries=size, eviction=eviction),), ttl=ttl)


def real_hit_rate(size: int, eviction: str, ttl: float | None) -> float:
    return real_hit_rate_of([TierConfig("all", max_entries=size, eviction=eviction)], size, ttl)


def real_hit_rate_of(tiers: Sequence[TierConfig], size: int, ttl: float | None) -> float:
    clock, hits = FakeClock(), 0
    with open_cache(
        "memory://", embedder=None, tiers=tiers, max_entries=size, ttl=ttl, clock=clock, maintenance="manual"
    ) as cache:
        for key, at in TRACE:
            clock.advance(at - clock.monotonic())
            if isinstance(cache.lookup(f"question {key}"), Hit):
                hits += 1
            else:
                cache.update(f"question {key}", "an answer")
    return hits / len(TRACE)


@pytest.mark.parametrize("ttl", [None, 900.0])
@pytest.mark.parametrize("eviction", ["lru", "fifo"])
def test_one_tier_answers_what_the_real_cache_answers(eviction: str, ttl: float | None) -> None:
    assert simulate(TRACE, one_tier(12, eviction, ttl)).hit_rate == real_hit_rate(12, eviction, ttl)


@pytest.mark.parametrize("eviction", ["lfu", "random"])
def test_orders_that_age_or_draw_come_near_the_real_cache(eviction: str) -> None:
    assert simulate(TRACE, one_tier(12, eviction)).hit_rate == pytest.approx(
        real_hit_rate(12, eviction, None), abs=0.03
    )


@pytest.mark.parametrize("size", [8, 20])
def test_three_tiers_come_near_the_real_cache(size: int) -> None:
    real = real_hit_rate_of(default_tiers(size, 2**30), size, None)
    (three,) = (one for one in configurations([size]) if one.name == "three tiers")
    assert simulate(TRACE, three).hit_rate == pytest.approx(real, abs=0.03)


@pytest.mark.parametrize("ttl", [None, 300.0, 3000.0])
@pytest.mark.parametrize("size", [1, 5, 20, 100])
def test_no_configuration_surpasses_the_optimum(size: int, ttl: float | None) -> None:
    bound = best_possible(TRACE, size, ttl)
    for one in configurations([size], [ttl]):
        assert simulate(TRACE, one).hit_rate <= bound + 1e-12


def best_by_trying(keys: list[int], size: int) -> int:
    """The most hits of any sequence of decisions, by trying all of them."""
    best: dict[frozenset[int], int] = {frozenset(): 0}
    for key in keys:
        after: dict[frozenset[int], int] = {}
        for held, hits in best.items():
            if key in held:
                options = [(held, hits + 1)]
            else:
                options = [(held, hits)]
                options += (
                    [(held - {out} | {key}, hits) for out in held] if len(held) == size else [(held | {key}, hits)]
                )
            for state, count in options:
                after[state] = max(after.get(state, -1), count)
        best = after
    return max(best.values())


@pytest.mark.parametrize("seed", range(8))
def test_the_optimum_is_what_trying_everything_finds(seed: int) -> None:
    draw = random.Random(seed)
    keys = [draw.randrange(6) for _ in range(24)]
    for size in (1, 2, 3):
        assert best_possible(Trace(keys), size) == best_by_trying(keys, size) / len(keys)


def test_a_ttl_counts_from_when_an_answer_was_stored_and_reading_does_not_lengthen_it() -> None:
    trace = Trace([1, 1, 1, 1], [0.0, 60.0, 99.0, 100.0])
    result = simulate(trace, one_tier(5, ttl=100.0))
    assert (result.hit_rate, result.expirations) == (0.5, 1)
    assert best_possible(trace, 5, 100.0) == 0.5


def test_entries_move_up_by_reads_and_down_by_idleness() -> None:
    tiers = (TierConfig("up", residency=50.0, max_entries=9), TierConfig("down", max_entries=9, promote_at=2))
    trace = Trace([1] * 6, [0.0, 1.0, 2.0, 3.0, 60.0, 61.0])
    result = simulate(trace, Configuration(name="two", tiers=tiers))
    # Two reads below, one above, then 57 seconds of idleness: below again.
    assert result.by_tier == {"up": 1 / 6, "down": 4 / 6}


def test_the_newest_is_not_evicted_and_the_last_tier_leaves_first() -> None:
    tiers = (TierConfig("up", max_entries=1), TierConfig("down", max_entries=2, promote_at=1))
    trace = Trace([1, 1, 2, 3, 1])  # 1 moves up, so that 2 has to go when 3 comes
    result = simulate(trace, Configuration(name="two", tiers=tiers))
    assert (result.hit_rate, result.evictions) == (2 / 5, 1)


def test_without_times_a_ttl_is_refused() -> None:
    with pytest.raises(ConfigError, match="only for a log whose calls have times"):
        simulate(Trace([1, 2]), one_tier(5, ttl=10.0))
    with pytest.raises(ConfigError, match="only for a log whose calls have times"):
        best_possible(Trace([1, 2]), 5, 10.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0],), "a size must be an integer of at least 1, not 0"),
        (([5], [0.0]), "ttl must be seconds above 0"),
        (([5], [None], ["cost_aware"]), "eviction must be one of lru, lfu, fifo, random, not 'cost_aware'"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(arguments: tuple[list[object], ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configurations(*arguments)  # type: ignore[arg-type]


def test_every_eviction_is_tried_at_every_size_and_ttl() -> None:
    made = configurations([5, 10], [None, 60.0])
    assert len(made) == 2 * 2 * (len(EVICTIONS) + 1)
