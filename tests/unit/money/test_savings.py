"""Savings, added up by hand."""

from __future__ import annotations

import pytest

from llmcache_plugins import Answer, Request, Usage, open_cache
from llmcache_plugins.counters import CacheStats, ModelUse
from llmcache_plugins.money import MoneySettings, Price, PriceTable, savings_of
from llmcache_plugins.money.savings import DAY, MONTH

PRICES = PriceTable(
    [
        Price(model="large", input=5.0, output=25.0, cache_write=6.25, cache_read=0.5, read="2026-11-20"),
        Price(model="small", input=1.0, output=5.0, read="2026-11-01"),
    ]
)


def test_money_of_three_models_is_what_it_is_by_hand() -> None:
    stats = CacheStats(
        hits={"exact": 8, "semantic": 4},
        misses={"no_candidates": 5, "low_confidence": 3},
        judge_cost=0.02,
        models={
            # (10,000 x 5 + 2,000 x 25 + 4,000 x 6.25 + 100,000 x 0.5) / 1,000,000 = 0.175
            "large-2026-01-01": ModelUse(
                hits=5, saved=Usage(10_000, 2_000, 4_000, 100_000), calls=2, spent=Usage(4_000, 800)
            ),
            # (20,000 x 1 + 4,000 x 5) / 1,000,000 = 0.04, and one hit of which nobody knows: 0.10
            "small": ModelUse(
                hits=4,
                hits_without_usage=1,
                saved=Usage(20_000, 4_000),
                calls=4,
                calls_without_usage=1,
                spent=Usage(1_000, 200),
                warmed=2,
                warmed_spent=Usage(2_000, 400),
            ),
            "unheard-of": ModelUse(hits=3, saved=Usage(500, 500), calls=2, spent=Usage(9, 9)),
        },
    )
    settings = MoneySettings(
        prices=PRICES, call_cost=0.10, hit_cost=0.001, embedding_cost=0.0001, verifier_cost=0.0002, false_hit_cost=0.5
    )
    found = savings_of(stats, settings, false_hit_rate=0.25)
    assert {name: model.saved for name, model in found.models.items()} == pytest.approx(
        {"large-2026-01-01": 0.175, "small": 0.14, "unheard-of": 0.30}
    )
    assert found.gross == pytest.approx(0.615)
    assert found.costs == pytest.approx(
        {
            "hits": 0.012,  # 12 hits
            "embedding": 0.0014,  # 20 lookups but for the 8 exact ones, and 2 calls of warming
            "verifier": 0.0014,  # 4 hits by meaning, and 3 misses that were near
            "judge": 0.02,
            "warming": 0.004,  # (2,000 x 1 + 400 x 5) / 1,000,000
            "false_hits": 1.5,  # a quarter of 12 hits
            "running": 0.0,
        }
    )
    assert found.net == pytest.approx(0.615 - 0.012 - 0.0014 - 0.0014 - 0.02 - 0.004 - 1.5)
    # large: (4,000 x 5 + 800 x 25) / 1,000,000; small: (1,000 x 1 + 200 x 5) / 1,000,000 and one unknown; two unpriced
    assert found.spent == pytest.approx(0.04 + 0.002 + 0.10 + 0.20)
    assert found.without_cache - found.with_cache == pytest.approx(found.net)
    assert (found.estimated_hits, found.unpriced, found.prices_read) == (4, ("unheard-of",), "2026-11-01")
    assert found.models["large-2026-01-01"].price == "large"


def test_a_month_of_another_team_comes_out_as_they_say() -> None:
    """150,000 requests in 30 days, three quarters of them hits, ten cents a call: 11,238.75 saved."""
    stats = CacheStats(
        hits={"exact": 112_500},
        misses={"no_candidates": 37_500},
        models={"": ModelUse(hits=112_500, hits_without_usage=112_500, calls=37_500, calls_without_usage=37_500)},
    )
    found = savings_of(stats, MoneySettings(setup_cost=2400, monthly_lookups=150_000), seconds=30 * DAY)
    assert found.net == pytest.approx(11_238.75)
    assert (found.spent, found.without_cache, found.with_cache) == pytest.approx((3_750.0, 15_000.0, 3_761.25))
    assert found.projection is not None
    assert (found.projection.month, found.projection.year) == pytest.approx((11_238.75, 134_865.0))
    assert found.payback_days == pytest.approx(2400 / (11_238.75 / (MONTH / DAY)))
    assert found.first_year_return == pytest.approx((134_865.0 - 2400) / 2400)


def counted(hits: int = 100, misses: int = 100) -> CacheStats:
    use = ModelUse(hits=hits, hits_without_usage=hits, calls=misses, calls_without_usage=misses)
    return CacheStats(hits={"exact": hits}, misses={"no_candidates": misses}, models={"m": use})


def test_a_month_is_told_from_what_was_counted() -> None:
    found = savings_of(counted(), MoneySettings(hit_cost=0.0, monthly_cost=50.0), seconds=MONTH / 10)
    assert found.projection is not None
    assert found.projection.lookups == pytest.approx(2000)
    assert found.projection.month == pytest.approx(100.0 - 50.0)  # the server is paid by the month, not by the lookup
    assert found.costs["running"] == pytest.approx(5.0)
    assert found.projection.without_cache - found.projection.with_cache == pytest.approx(found.projection.month)


def test_nothing_is_told_from_minutes_or_from_nothing() -> None:
    assert savings_of(counted(), seconds=3599.0).projection is None
    assert savings_of(counted(), seconds=3600.0).projection is not None
    assert savings_of(counted()).projection is None
    assert savings_of(CacheStats(), MoneySettings(monthly_lookups=1000), seconds=MONTH).projection is None


def test_a_cache_that_costs_more_than_it_spares_never_pays_back() -> None:
    found = savings_of(counted(1, 199), MoneySettings(monthly_cost=900.0, setup_cost=10.0), seconds=MONTH)
    assert found.net < 0
    assert found.payback_days is None
    assert found.first_year_return is not None
    assert found.first_year_return < 0


def test_calls_of_warming_are_a_cost_of_the_cache_and_no_calls_of_users() -> None:
    with open_cache("memory://", embedder=None) as cache:
        cache.warm([Request("a", model="small")], lambda request: Answer("said", usage=Usage(1_000_000, 0)))
        cache.lookup(Request("a", model="small"))
        use = cache.stats().models["small"]
    assert (use.warmed, use.warmed_spent, use.calls, use.spent) == (1, Usage(1_000_000, 0), 0, Usage())
    found = savings_of(CacheStats(hits={"exact": 1}, models={"small": use}), MoneySettings(prices=PRICES, hit_cost=0))
    assert (found.gross, found.costs["warming"], found.spent) == (1.0, 1.0, 0.0)


async def test_warming_in_an_event_loop_is_a_cost_too() -> None:
    async with open_cache("memory://", embedder=None) as cache:
        await cache.awarm([Request("a", model="m")], lambda request: Answer("said", usage=Usage(10, 1)))
        use = cache.stats().models["m"]
    assert use == ModelUse(warmed=1, warmed_spent=Usage(10, 1))


def test_the_age_of_prices_is_that_of_the_ones_in_use() -> None:
    stats = CacheStats(hits={"exact": 1}, models={"large": ModelUse(hits=1, saved=Usage(1))})
    assert savings_of(stats, MoneySettings(prices=PRICES)).prices_read == "2026-11-20"
    assert savings_of(counted(), MoneySettings(prices=PRICES)).prices_read == ""
