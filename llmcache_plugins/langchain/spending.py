"""What model calls came to: frozen sums of calls, tokens and money. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.types import Usage

__all__ = ["CallSums", "PriceList", "Spent", "usage_of"]

_MILLION = 1_000_000
# What Anthropic's prompt caching costs, as a multiple of the input price (5 minutes; reading).
_CACHE_WRITE, _CACHE_READ = 1.25, 0.1
_DATED = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|latest)$")


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls to the model with their tokens and price.

    Args:
        input_tokens: without those that the provider's prompt cache wrote or read.
        usd: US dollars, of the calls that have a price.
        unpriced: calls that have none.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0

    def plus(self, usage: Usage, usd: float | None) -> Spent:
        """This and one call more; `usd` is None where no price is known."""
        return Spent(
            self.calls + 1,
            self.input_tokens + usage.input_tokens,
            self.output_tokens + usage.output_tokens,
            self.cache_creation_input_tokens + usage.cache_creation_input_tokens,
            self.cache_read_input_tokens + usage.cache_read_input_tokens,
            self.usd + (usd or 0.0),
            self.unpriced + (usd is None),
        )

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens + self.cache_creation_input_tokens + self.cache_read_input_tokens

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "usd": round(self.usd, 6)}

    def __str__(self) -> str:
        cached = self.cache_creation_input_tokens + self.cache_read_input_tokens
        parts = [_count(self.calls, "call"), f"{self.input_tokens:,} input and {self.output_tokens:,} output tokens"]
        if cached:
            parts.append(f"{cached:,} tokens of the provider's prompt cache")
        if self.calls > self.unpriced:
            parts.append(f"${self.usd:.4f}")
            if self.unpriced:
                parts.append(f"{_count(self.unpriced, 'call')} without a price")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class CallSums:
    """Counts of the calls of models that were seen.

    Args:
        hits: answered from the cache, by kind (`"exact"`, `"semantic"`, ...).
        misses: answered by the model: the cache missed, was bypassed, or there is none.
        unfinished: calls that failed or were cancelled, and streams that were closed early.
        spent: what the misses cost.
        saved: what the hits would have cost: what their answers cost when they were made.
    """

    hits: Mapping[str, int] = field(default_factory=dict)
    misses: int = 0
    unfinished: int = 0
    spent: Spent = field(default_factory=Spent)
    saved: Spent = field(default_factory=Spent)

    @property
    def calls(self) -> int:
        """How often an application asked a model, whoever answered."""
        return self.hit_count + self.misses + self.unfinished

    @property
    def hit_count(self) -> int:
        return sum(self.hits.values())

    @property
    def hit_rate(self) -> float:
        """Hits over answered calls, in [0, 1]."""
        answered = self.hit_count + self.misses
        return self.hit_count / answered if answered else 0.0

    def hit(self, kind: str, usage: Usage, usd: float | None) -> CallSums:
        """These and one hit more."""
        hits = {**self.hits, kind: self.hits.get(kind, 0) + 1}
        return replace(self, hits=hits, saved=self.saved.plus(usage, usd))

    def miss(self, usage: Usage, usd: float | None) -> CallSums:
        """These and one call more that the model answered."""
        return replace(self, misses=self.misses + 1, spent=self.spent.plus(usage, usd))

    def unanswered(self) -> CallSums:
        """These and one call more that nobody answered."""
        return replace(self, unfinished=self.unfinished + 1)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON, the hit rate included."""
        return {
            "calls": self.calls,
            "hits": dict(self.hits),
            "misses": self.misses,
            "unfinished": self.unfinished,
            "hit_rate": round(self.hit_rate, 4),
            "spent": self.spent.as_dict(),
            "saved": self.saved.as_dict(),
        }

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(self.hits.items()))
        hits = _count(self.hit_count, "hit") + (f" ({kinds})" if kinds else "")
        head = f"{_count(self.calls, 'call')}: {hits}, {_count(self.misses, 'miss', 'misses')}"
        if self.unfinished:
            head += f", {self.unfinished:,} unfinished"
        return f"{head}; hit rate {self.hit_rate:.0%}\nspent: {self.spent}\nsaved: {self.saved}"


class PriceList:
    """What calls cost.

    Args:
        prices: for a model's name its US dollars for a million tokens: input and output, or input, output, writing to
            and reading from the provider's prompt cache. With two numbers the last two are what Anthropic takes: 1.25
            and 0.1 times the input price. A name without its date prices the dated ones too.
        cost_per_call: US dollars for a call of any other model.

    Raises:
        ConfigError: a price is no such tuple, or below 0.
    """

    def __init__(self, prices: Mapping[str, Sequence[float]] | None = None, cost_per_call: float | None = None) -> None:
        self._prices = {model: _four(model, given) for model, given in (prices or {}).items()}
        if cost_per_call is not None and not _is_amount(cost_per_call):
            raise ConfigError(f"cost_per_call must be a number of dollars, 0 or more, not {cost_per_call!r}")
        self._cost_per_call = cost_per_call

    def usd(self, model: str, usage: Usage) -> float | None:
        """US dollars of one call; None where no price is known.

        >>> PriceList({"claude-haiku-4-5": (1.0, 5.0)}).usd("claude-haiku-4-5-20251001", Usage(1000, 200))
        0.002
        """
        price = self._prices.get(model) or self._prices.get(_DATED.sub("", model))
        if price is None:
            return self._cost_per_call
        tokens = (
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_creation_input_tokens,
            usage.cache_read_input_tokens,
        )
        return sum(count * each for count, each in zip(tokens, price, strict=True)) / _MILLION


def usage_of(reported: Any) -> Usage:
    """The tokens that LangChain or a provider reports; what is not there or no number is 0.

    LangChain counts tokens of the provider's prompt cache as input tokens too; Anthropic counts them apart.
    """
    if not isinstance(reported, Mapping):
        return Usage()
    details = reported.get("input_token_details")
    if isinstance(details, Mapping):
        written, read = _tokens(details, "cache_creation"), _tokens(details, "cache_read")
        # A provider that tells how long each part of it is kept tells it in place of the sum.
        written = written or sum(_tokens(details, f"ephemeral_{span}_input_tokens") for span in ("5m", "1h"))
        apart = written + read
    else:
        written, read = _tokens(reported, "cache_creation_input_tokens"), _tokens(reported, "cache_read_input_tokens")
        apart = 0
    given = _tokens(reported, "input_tokens", "prompt_tokens")
    return Usage(max(0, given - apart), _tokens(reported, "output_tokens", "completion_tokens"), written, read)


def _tokens(reported: Mapping[str, Any], *names: str) -> int:
    found = (reported.get(name) for name in names)
    return next((int(value) for value in found if isinstance(value, int | float) and value > 0), 0)


def _four(model: str, given: object) -> tuple[float, ...]:
    numbers = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
    if len(numbers) not in (2, 4) or not all(map(_is_amount, numbers)):
        raise ConfigError(
            f"the price of {model!r} must be dollars for a million tokens of input and output (and of writing to and "
            f"reading from the prompt cache): 2 or 4 numbers, 0 or more, not {given!r}"
        )
    return numbers if len(numbers) == 4 else (*numbers, numbers[0] * _CACHE_WRITE, numbers[0] * _CACHE_READ)


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number:,} {one if number == 1 else several or one + 's'}"
