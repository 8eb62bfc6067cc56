from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.policies.eviction import (
    EVICTION_POLICIES,
    CostAware,
    Fifo,
    Lfu,
    Lru,
    RandomOrder,
    eviction_policy,
)
from llmcache_plugins.protocols import EvictionPolicy
from llmcache_plugins.testing.store_contract import make_entry
from llmcache_plugins.types import Usage

HOUR = 3600.0
NOW = 1_700_000_000.0
POLICIES = [eviction_policy(name) for name in EVICTION_POLICIES]


def test_every_policy_has_its_name() -> None:
    assert [policy.name for policy in POLICIES] == list(EVICTION_POLICIES)
    with pytest.raises(ConfigError, match=r"eviction must be one of lru, lfu, .*, not 'mru'"):
        eviction_policy("mru")


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
@given(
    reads=st.lists(st.tuples(st.integers(1, 1000), st.floats(0, 1e6)), max_size=20),
    tokens=st.integers(0, 10**9),
    size=st.integers(1, 10**9),
)
def test_a_read_never_lowers_a_priority(
    policy: EvictionPolicy, reads: list[tuple[int, float]], tokens: int, size: int
) -> None:
    weight = policy.weight(make_entry(usage=Usage(tokens)), size)
    priority = policy.on_put(weight, NOW, 1)
    for order, (count, later) in enumerate(reads, 2):  # the clock may jump back, too
        after = policy.on_read(priority, weight, count, NOW + later, order)
        assert math.isfinite(after)
        assert after >= priority
        priority = after


@given(
    a=st.lists(st.floats(0, 20), min_size=1, max_size=8),
    b=st.lists(st.floats(0, 20), min_size=1, max_size=8),
    asked=st.floats(20, 40),
)
def test_lfu_orders_by_reads_that_count_half_after_each_half_life(a: list[float], b: list[float], asked: float) -> None:
    """The first number is when it was stored, the others are reads; in half-lives."""

    def aged(instants: list[float]) -> float:
        return sum(math.exp2(instant - asked) for instant in instants)

    def priority(instants: list[float]) -> float:
        found = policy.on_put(0.0, instants[0] * HOUR, 1)
        for instant in instants[1:]:
            found = policy.on_read(found, 0.0, 1, instant * HOUR, 1)
        return found

    policy = Lfu(HOUR)
    a, b = sorted(a), sorted(b)
    if aged(a) > 1.0001 * aged(b):
        assert priority(a) > priority(b)


def test_lfu_forgets_an_old_favourite() -> None:
    policy = Lfu(HOUR)
    favourite = policy.on_read(policy.on_put(0.0, NOW, 1), 0.0, 1000, NOW, 2)
    newcomer = policy.on_put(0.0, NOW + 9 * HOUR, 3)
    assert favourite > newcomer
    assert favourite < policy.on_put(0.0, NOW + 11 * HOUR, 4)


def test_several_reads_at_once_count_like_as_many() -> None:
    for policy in (Lfu(), CostAware()):
        one_by_one = at_once = policy.on_put(1.0, NOW, 1)
        for _ in range(5):
            one_by_one = policy.on_read(one_by_one, 1.0, 1, NOW + 9, 2)
        assert policy.on_read(at_once, 1.0, 5, NOW + 9, 2) == pytest.approx(one_by_one)


def test_cost_aware_keeps_what_is_dear_small_and_asked_for() -> None:
    policy = CostAware()

    def priority(tokens: int, size: int, reads: int = 0) -> float:
        weight = policy.weight(make_entry(usage=Usage(0, tokens)), size)
        stored = policy.on_put(weight, NOW, 1)
        return policy.on_read(stored, weight, reads, NOW, 2) if reads else stored

    assert priority(2000, 1000) > priority(1000, 1000) > priority(1000, 2000)
    assert priority(1000, 1000, reads=1) == pytest.approx(priority(2000, 1000))
    assert priority(1000, 1000, reads=3) == pytest.approx(priority(4000, 1000))


def test_an_answer_without_usage_costs_what_its_time_says() -> None:
    policy = CostAware()
    slow, quick, unknown = (
        policy.weight(make_entry(generation_seconds=seconds), 1000) for seconds in (20.0, 0.5, None)
    )
    assert slow > quick > unknown


def test_fifo_and_random_do_not_mind_reads_and_lru_minds_nothing_else() -> None:
    for policy in (Fifo(), RandomOrder()):
        stored = policy.on_put(0.0, NOW, 7)
        assert policy.on_read(stored, 0.0, 5, NOW + 5, 9) == stored
    lru = Lru()
    assert lru.on_read(lru.on_put(0.0, NOW, 1), 0.0, 1, NOW, 9) > lru.on_put(0.0, NOW + 99, 8)


def test_random_order_is_spread_and_settled_by_the_write() -> None:
    policy = RandomOrder()
    drawn = [policy.on_put(0.0, NOW, order) for order in range(2000)]
    assert drawn == [policy.on_put(0.0, NOW + 5, order) for order in range(2000)]
    assert [sum(low / 4 <= number < (low + 1) / 4 for number in drawn) for low in range(4)] == pytest.approx(
        [500] * 4, abs=80
    )
    rises = sum(drawn[i] < drawn[i + 1] for i in range(1999))
    assert 900 < rises < 1100


@pytest.mark.parametrize("half_life", [0, -1.0, float("nan")])
@pytest.mark.parametrize("policy", [Lfu, CostAware])
def test_a_half_life_is_above_nothing(policy: type[Lfu], half_life: float) -> None:
    with pytest.raises(ConfigError, match="half_life must be seconds above 0"):
        policy(half_life)
