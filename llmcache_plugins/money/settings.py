"""What has to be known to turn counts into money."""

from __future__ import annotations

from dataclasses import dataclass

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.money.price_file import shipped_prices
from llmcache_plugins.money.prices import PriceTable, amount

__all__ = ["MoneySettings"]

_AMOUNTS = ("call_cost", "hit_cost", "embedding_cost", "verifier_cost", "monthly_cost", "setup_cost", "false_hit_cost")


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneySettings:
    """Prices, and what the cache costs. All money is in the currency of the prices.

    Args:
        prices: of models; None for those that come with the package.
        call_cost: of a call whose tokens nobody knows, or whose model has no price.
        hit_cost: of a hit: what reading the cache costs.
        embedding_cost: of an embedding; 0 for one made on this machine.
        verifier_cost: of asking the verifier about one lookup.
        monthly_cost: of what the cache runs on, a server for example, for a month.
        setup_cost: what it took to set the cache up, for the return on it.
        false_hit_cost: what a wrong answer that is served costs.
        monthly_lookups: lookups in a month to project to; None for as many as were counted.

    Source of the defaults of `call_cost` and `hit_cost`: a rule of thumb, ten cents a call and a hundredth of a cent a
    hit. They are meant to be replaced.

    Raises:
        ConfigError: `prices` is no `PriceTable`, or a number is below 0.
    """

    prices: PriceTable | None = None
    call_cost: float = 0.10
    hit_cost: float = 0.0001
    embedding_cost: float = 0.0
    verifier_cost: float = 0.0
    monthly_cost: float = 0.0
    setup_cost: float = 0.0
    false_hit_cost: float = 0.0
    monthly_lookups: float | None = None

    def __post_init__(self) -> None:
        if self.prices is not None and not isinstance(self.prices, PriceTable):
            raise ConfigError(
                f"prices must be a PriceTable, not {type(self.prices).__name__}; load_prices(path) makes one"
            )
        for name in _AMOUNTS:
            amount(name, getattr(self, name))
        if self.monthly_lookups is not None:
            amount("monthly_lookups", self.monthly_lookups, "how many")

    @property
    def table(self) -> PriceTable:
        """The prices that count."""
        return shipped_prices() if self.prices is None else self.prices
