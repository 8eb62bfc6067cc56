"""Prices of models: what a million tokens cost, by the model's name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.types import Usage

__all__ = ["Price", "PriceTable", "amount"]

_MILLION = 1_000_000
# What gateways and clouds put round a model's name: "bedrock/us.anthropic.claude-x-20250929-v1:0", "gpt-x-2026-03-05".
_BEFORE = re.compile(r"^.*/|^(?:[a-z]{2,6}\.)?(?:anthropic|openai)\.")
_AFTER = re.compile(r"(?:-v\d+)?(?::\d+)?$|-latest$|[-@]\d{8}$|-\d{4}-\d{2}-\d{2}$")


def amount(name: str, value: object, unit: str = "money") -> float:
    """The value, when it is a number of at least 0.

    Raises:
        ConfigError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigError(f"{name} must be {unit}, a number of at least 0, not {value!r}")
    return float(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a million tokens of some models cost.

    Args:
        model: pattern of the models' names as for file names (`*`, `?`, `[...]`), in lower case.
        input: money for a million input tokens.
        output: the same for output tokens.
        cache_write: for tokens written into the provider's prompt cache; None: as input.
        cache_read: for tokens read from there; None: as input.
        read: the day the price was read, as `2026-11-23`; empty when nobody knows.
        source: where; empty when nobody knows.

    Raises:
        ConfigError: the pattern is empty, a price is no number of at least 0, or `read` is no day.
    """

    model: str
    input: float
    output: float
    cache_write: float | None = None
    cache_read: float | None = None
    read: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model:
            raise ConfigError(f"the model of a price must be a name or a pattern, not {self.model!r}")
        for name in ("input", "output", "cache_write", "cache_read"):
            value = getattr(self, name)
            if value is not None or name in ("input", "output"):
                amount(f"{name} of the price of {self.model!r}", value, "money for a million tokens")
        _check_day(self.read, f"the price of {self.model!r}")
        if not isinstance(self.source, str):
            raise ConfigError(f"source of the price of {self.model!r} must be text, not {self.source!r}")

    def of(self, usage: Usage) -> float:
        """What these tokens cost.

        >>> Price(model="m", input=3.0, output=15.0, cache_read=0.3).of(Usage(1_000_000, 100_000, 0, 1_000_000))
        4.8
        """
        write = self.input if self.cache_write is None else self.cache_write
        read = self.input if self.cache_read is None else self.cache_read
        parts = (
            usage.input_tokens * self.input,
            usage.output_tokens * self.output,
            usage.cache_creation_input_tokens * write,
            usage.cache_read_input_tokens * read,
        )
        return sum(parts) / _MILLION


class PriceTable:
    """Prices, asked from the first to the last: the first pattern that fits counts.

    A model is looked for as it is called, and without what gateways and clouds add: a provider before it
    (`anthropic/`, `us.anthropic.`) and a date or version after it (`-20250929`, `-2026-03-05`, `-latest`, `-v1:0`).
    Upper and lower case are the same. What a cloud takes more or less than the provider does needs a price of its own,
    further up.

    Args:
        prices: `Price` values, or mappings with their fields.
        currency: of all of them.

    Raises:
        ConfigError: one of them is no price.
    """

    def __init__(self, prices: Iterable[Price | Mapping[str, Any]], *, currency: str = "USD") -> None:
        if not isinstance(currency, str) or not currency:
            raise ConfigError(f"currency must be a name like 'USD', not {currency!r}")
        if isinstance(prices, str | bytes | Mapping) or not isinstance(prices, Iterable):
            raise ConfigError(f"prices must be several prices, not {type(prices).__name__}; load_prices reads a file")
        self.currency = currency
        self._prices = tuple(_price(number, price) for number, price in enumerate(prices, 1))

    def __iter__(self) -> Iterator[Price]:
        return iter(self._prices)

    def __len__(self) -> int:
        return len(self._prices)

    def price_of(self, model: str) -> Price | None:
        """The price of a model, or None when no pattern fits its name.

        >>> table = PriceTable([Price(model="claude-haiku-4-5", input=1.0, output=5.0)])
        >>> table.price_of("us.anthropic.claude-haiku-4-5-20251001-v1:0").output
        5.0
        """
        names = {model.lower(), _bare(model)}
        for price in self._prices:
            if any(fnmatchcase(name, price.model.lower()) for name in names):
                return price
        return None

    def before(self, *prices: Price | Mapping[str, Any]) -> PriceTable:
        """A table that asks these first."""
        return PriceTable([*prices, *self._prices], currency=self.currency)

    def __repr__(self) -> str:
        return f"PriceTable({len(self._prices)} prices in {self.currency})"


def _price(number: int, price: Price | Mapping[str, Any]) -> Price:
    if isinstance(price, Price):
        return price
    if not isinstance(price, Mapping):
        raise ConfigError(f"price {number} must be a Price or a mapping with its fields, not {type(price).__name__}")
    known = {field.name for field in fields(Price)}
    unknown, missing = sorted(map(str, set(price) - known)), sorted({"model", "input", "output"} - set(price))
    if unknown or missing:
        raise ConfigError(
            f"price {number} "
            + (f"has no field {', '.join(unknown)}; it has {', '.join(sorted(known))}" if unknown else "")
            + (" and " if unknown and missing else "")
            + (f"lacks {', '.join(missing)}" if missing else "")
        )
    return Price(**price)


def _check_day(day: object, of: str) -> None:
    try:
        if day != "":
            date.fromisoformat(day)  # type: ignore[arg-type]  # what is no text raises TypeError
    except (TypeError, ValueError) as error:
        raise ConfigError(f"read of {of} must be a day like '2026-11-23', not {day!r}") from error


def _bare(model: str) -> str:
    """The name without what gateways and clouds add."""
    name, before = model.lower(), ""
    while name != before:
        before, name = name, _AFTER.sub("", _BEFORE.sub("", name))
    return name
