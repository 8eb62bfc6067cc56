"""The tables of a report that are about money."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from llmcache_plugins.money import Savings
from llmcache_plugins.report import words

__all__ = ["money_sections"]

Parts: TypeAlias = tuple[str, Sequence[Sequence[str]], Sequence[str], Sequence[str]]
"""Title, rows, head and notes."""

_MOST_MODELS = 20
_COSTS = {
    "hits": "less hits",
    "embedding": "less embedding, at most",
    "verifier": "less verifier, at most",
    "judge": "less judge",
    "warming": "less warming",
    "running": "less what it runs on",
    "false_hits": "less wrong answers",
}


def money_sections(money: Savings) -> Iterator[Parts]:
    """What was saved, by which models, and what that comes to in a month."""
    yield _saved(money)
    yield _models(money)
    yield _projection(money)


def _saved(money: Savings) -> Parts:
    def said(amount: float) -> str:
        return words.money(amount, money.currency)

    rows = [("calls spared by hits", said(money.gross))]
    rows += [(_COSTS.get(name, name), said(-cost)) for name, cost in money.costs.items() if cost]
    rows += [
        ("saved, net", said(money.net)),
        ("cost of the calls made", said(money.spent)),
        ("all of it without a cache", said(money.without_cache)),
        ("all of it with the cache", said(money.with_cache)),
    ]
    hits = sum(model.hits for model in money.models.values())
    notes = []
    if money.estimated_hits:
        notes.append(
            f"{money.estimated_hits:,} of {hits:,} hits count as {said(money.call_cost)} each: their tokens are not "
            "known, or their model has no price."
        )
    if money.unpriced:
        shown = ", ".join(words.name(name) or "(no name)" for name in money.unpriced[:_MOST_MODELS])
        notes.append(f"Without a price: {shown}{', ...' if len(money.unpriced) > _MOST_MODELS else ''}.")
    if money.hit_cost:
        notes.append(f"A hit costs {said(money.hit_cost)}.")
    if money.prices_read:
        notes.append(f"The oldest price was read on {money.prices_read}.")
    return "Money", rows, (), notes


def _models(money: Savings) -> Parts:
    chosen = sorted(money.models.items(), key=lambda item: (-item[1].saved, -item[1].spent, item[0]))
    rows = [
        (
            words.name(name) or "(no name)",
            f"{model.hits:,}",
            words.money(model.saved, money.currency),
            f"{model.calls:,}",
            words.money(model.spent, money.currency),
            model.price or "none",
        )
        for name, model in chosen[:_MOST_MODELS]
    ]
    notes = [f"And {len(chosen) - _MOST_MODELS:,} more."] if len(chosen) > _MOST_MODELS else []
    return "Models", rows, ("model", "hits", "saved", "calls", "spent", "price"), notes


def _projection(money: Savings) -> Parts:
    title, found = "Projection", money.projection
    if found is None:
        return title, (), (), ()

    def said(amount: float) -> str:
        return words.money(amount, money.currency)

    rows = [
        ("lookups in a month", f"{found.lookups:,.0f}"),
        ("without a cache", said(found.without_cache)),
        ("with the cache", said(found.with_cache)),
        ("saved in a month", said(found.month)),
        ("saved in a year", said(found.year)),
    ]
    if money.setup_cost:
        rows.append(("setting it up", said(money.setup_cost)))
        back = "never" if money.payback_days is None else f"after {money.payback_days:,.1f} days"
        rows.append(("paid back", back))
    if money.first_year_return is not None:
        rows.append(("return of the first year", f"{money.first_year_return:,.0%}"))
    return title, rows, (), ()
