"""What a cache has saved: the calls that hits have spared at their price, less what the cache itself costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from llmcache_plugins.counters import CacheStats, ModelUse
from llmcache_plugins.money.prices import Price
from llmcache_plugins.money.settings import MoneySettings
from llmcache_plugins.types import Usage

__all__ = ["DAY", "MONTH", "ModelMoney", "Projection", "Savings", "savings_of"]

DAY = 86_400.0
MONTH = 365.25 / 12 * DAY  # seconds
_LEAST_SPAN = 3600.0  # seconds; a month is not told from less
_WITHOUT_EMBEDDING = ("exact", "normalised", "alias")
_VERIFIED = ("low_confidence", "rejected", "reported", "shadow")  # misses of which the verifier may have been asked


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMoney:
    """Money round one model.

    Args:
        price: pattern of the price that counts; empty when there is none, and all of it is estimated.
        hits: hits whose answer came from this model.
        estimated_hits: of these, those that count as `call_cost`, for their tokens or the price are not known.
        saved: what the hits' calls would have cost.
        calls: calls made.
        estimated_calls: of these, those that count as `call_cost`.
        spent: what the calls cost.
        warmed: calls that warming made.
        warming: what those cost.
    """

    price: str = ""
    hits: int = 0
    estimated_hits: int = 0
    saved: float = 0.0
    calls: int = 0
    estimated_calls: int = 0
    spent: float = 0.0
    warmed: int = 0
    warming: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """What a month is going to look like when all goes on as it was counted.

    Args:
        lookups: in a month.
        without_cache: what the models would cost.
        with_cache: what models and cache cost.
        month: what is saved, net.
        year: twelve times that.
    """

    lookups: float
    without_cache: float
    with_cache: float
    month: float
    year: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Savings:
    """What was saved, in `currency`.

    Args:
        gross: what the calls would have cost that hits have spared.
        costs: what the cache took, by what for: `hits`, `embedding`, `verifier`, `judge`, `warming`, `running`,
            `false_hits`. Embedding and verifier are what they cost at most: for each lookup that can have asked them.
        spent: what calls of models have cost; those of warming are in `costs`.
        models: the same by model.
        estimated_hits: hits that count as `call_cost`, for nobody knows their tokens, or their model has no price.
        unpriced: models that have no price, by name.
        seconds: how long was counted, None when nobody knows.
        projection: None when less than an hour was counted, or nothing.
        setup_cost: what it took to set the cache up.
        payback_days: after so many days it has come back; None without a `setup_cost`, or when it never does.
        first_year_return: what a year saves beyond the `setup_cost`, as a multiple of it; None without one.
        call_cost: what stands for a call of which too little is known.
        hit_cost: of one hit.
        prices_read: the day of the oldest price that was used; empty when none was, or one has no day.
    """

    currency: str = "USD"
    gross: float = 0.0
    costs: Mapping[str, float] = field(default_factory=dict)
    spent: float = 0.0
    models: Mapping[str, ModelMoney] = field(default_factory=dict)
    estimated_hits: int = 0
    unpriced: tuple[str, ...] = ()
    seconds: float | None = None
    projection: Projection | None = None
    setup_cost: float = 0.0
    payback_days: float | None = None
    first_year_return: float | None = None
    call_cost: float = 0.0
    hit_cost: float = 0.0
    prices_read: str = ""

    @property
    def cost(self) -> float:
        """All costs of the cache."""
        return sum(self.costs.values())

    @property
    def net(self) -> float:
        """What is left of `gross`; below 0 when the cache costs more than it spares."""
        return self.gross - self.cost

    @property
    def without_cache(self) -> float:
        """What the same lookups would have cost without a cache."""
        return self.spent + self.gross

    @property
    def with_cache(self) -> float:
        """What they did cost."""
        return self.spent + self.cost


def savings_of(
    stats: CacheStats,
    settings: MoneySettings | None = None,
    *,
    seconds: float | None = None,
    false_hit_rate: float | None = None,
) -> Savings:
    """What these counts are worth.

    Args:
        seconds: how long was counted; None when nobody knows, and nothing is projected but `monthly_lookups`.
        false_hit_rate: share of the hits that are wrong, in [0, 1], which `false_hit_cost` is for; None when unknown.
    """
    settings = MoneySettings() if settings is None else settings
    models = {name: _money(name, use, settings) for name, use in stats.models.items()}
    gross = sum(model.saved for model in models.values())
    spent = sum(model.spent for model in models.values())
    costs = _costs(stats, settings, models, false_hit_rate)
    projection = _projection(stats.lookups, gross, spent, sum(costs.values()), settings, seconds)
    costs["running"] = settings.monthly_cost * (seconds or 0.0) / MONTH
    return Savings(
        currency=settings.table.currency,
        gross=gross,
        costs=costs,
        spent=spent,
        models=models,
        estimated_hits=sum(model.estimated_hits for model in models.values()),
        unpriced=tuple(name for name, model in models.items() if not model.price),
        seconds=seconds,
        projection=projection,
        setup_cost=settings.setup_cost,
        payback_days=_payback(projection, settings.setup_cost),
        first_year_return=_first_year(projection, settings.setup_cost),
        call_cost=settings.call_cost,
        hit_cost=settings.hit_cost,
        prices_read=_oldest(stats.models, settings),
    )


def _oldest(models: Iterable[str], settings: MoneySettings) -> str:
    return min((price.read for name in models if (price := settings.table.price_of(name))), default="")


def _money(name: str, use: ModelUse, settings: MoneySettings) -> ModelMoney:
    price = settings.table.price_of(name)
    saved, hits = _worth(price, use.saved, use.hits, use.hits_without_usage, settings.call_cost)
    spent, calls = _worth(price, use.spent, use.calls, use.calls_without_usage, settings.call_cost)
    warming, _ = _worth(price, use.warmed_spent, use.warmed, use.warmed_without_usage, settings.call_cost)
    return ModelMoney(
        price="" if price is None else price.model,
        hits=use.hits,
        estimated_hits=hits,
        saved=saved,
        calls=use.calls,
        estimated_calls=calls,
        spent=spent,
        warmed=use.warmed,
        warming=warming,
    )


def _worth(price: Price | None, usage: Usage, calls: int, unknown: int, call_cost: float) -> tuple[float, int]:
    """What so many calls cost, and how many of them are estimated."""
    if price is None:
        return calls * call_cost, calls
    return price.of(usage) + unknown * call_cost, unknown


def _costs(
    stats: CacheStats, settings: MoneySettings, models: Mapping[str, ModelMoney], false_hit_rate: float | None
) -> dict[str, float]:
    """What the cache took, but for what runs anyhow."""
    warmed = sum(model.warmed for model in models.values())
    embedded = stats.lookups - sum(stats.hits.get(kind, 0) for kind in _WITHOUT_EMBEDDING) + warmed
    verified = stats.hits.get("semantic", 0) + sum(stats.misses.get(reason, 0) for reason in _VERIFIED)
    return {
        "hits": stats.hit_count * settings.hit_cost,
        "embedding": embedded * settings.embedding_cost,
        "verifier": verified * settings.verifier_cost,
        "judge": stats.judge_cost,
        "warming": sum(model.warming for model in models.values()),
        "false_hits": (false_hit_rate or 0.0) * stats.hit_count * settings.false_hit_cost,
    }


def _projection(
    lookups: int, gross: float, spent: float, cost: float, settings: MoneySettings, seconds: float | None
) -> Projection | None:
    """
    Args:
        cost: of what goes with the lookups; what the cache runs on is paid by the month.
    """
    if not lookups:
        return None
    monthly = settings.monthly_lookups
    if monthly is None:
        if seconds is None or seconds < _LEAST_SPAN:
            return None
        monthly = lookups * MONTH / seconds
    times = monthly / lookups
    month = (gross - cost) * times - settings.monthly_cost
    without = (spent + gross) * times
    return Projection(lookups=monthly, without_cache=without, with_cache=without - month, month=month, year=12 * month)


def _payback(projection: Projection | None, setup_cost: float) -> float | None:
    if projection is None or not setup_cost or projection.month <= 0:
        return None
    return setup_cost / (projection.month / (MONTH / DAY))


def _first_year(projection: Projection | None, setup_cost: float) -> float | None:
    return None if projection is None or not setup_cost else (projection.year - setup_cost) / setup_cost
