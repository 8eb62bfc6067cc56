"""The tables of a report that are about a roll-out and an A/B test."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llmcache_plugins.report import words
from llmcache_plugins.report.money_sections import Parts

if TYPE_CHECKING:
    from llmcache_plugins.report.ab_test import ABReport, Difference
    from llmcache_plugins.report.rollout import RolloutReport, Share, Side

__all__ = ["ab_section", "rollout_section"]


def rollout_section(rollout: RolloutReport | None) -> Parts:
    """Both groups beside each other, and what that says."""
    if rollout is None:
        return "Roll-out", (), (), ()

    def row(name: str, said: Callable[[Side], str]) -> tuple[str, str, str]:
        return name, said(rollout.served), said(rollout.control)

    def cost(side: Side) -> str:
        return "-" if side.spent_each is None else words.money(side.spent_each, rollout.currency)

    rows = [
        row("requests", lambda side: f"{side.lookups:,}"),
        row("answered, or would have been", lambda side: _share(side.hits)),
        row("calls of models", lambda side: f"{side.calls:,}"),
        row("answer, mean", lambda side: "-" if side.seconds is None else words.milliseconds(side.seconds)),
        row("answer, p50", lambda side: words.at_most(side.p50) if side.timed else "-"),
        row("answer, p95", lambda side: words.at_most(side.p95) if side.timed else "-"),
        row("cost of a request", cost),
    ]
    return "Roll-out", rows, ("", "served", "control"), _notes(rollout)


def ab_section(test: ABReport | None) -> Parts:
    """Both policies beside each other, and by how much they differ."""
    if test is None:
        return "A/B test", (), (), ()
    a, b = test.a, test.b
    rows = [
        ("questions", f"{a.answered.total:,}", f"{b.answered.total:,}", ""),
        ("answered, or would have been", _share(a.answered), _share(b.answered), ""),
        ("by meaning", _share(a.by_meaning), _share(b.by_meaning), _difference(test.by_meaning)),
        ("wrong of those compared", _of(a.wrong), _of(b.wrong), _difference(test.wrong)),
        ("reported as wrong", f"{a.reported:,}", f"{b.reported:,}", ""),
    ]
    is_compared = a.wrong.total + b.wrong.total > 0
    notes = [] if is_compared else ["Nothing has been compared: that takes a control group (canary, shadow)."]
    return "A/B test", rows, ("", "a", "b", "b less a, 95 % interval"), notes


def _notes(rollout: RolloutReport) -> list[str]:
    notes = []
    if rollout.fraction is not None:
        notes.append(f"{rollout.fraction:.0%} of the requests are served now.")
    compared = rollout.wrong_hits
    said = f"{compared.total:,} would-be hits compared: {rollout.different:,} wrong, {rollout.unclear:,} unclear."
    if compared.total:
        said += f" Wrong of these: {_interval(compared)}; of all requests: {_interval(rollout.error_rate)}."
    notes.append(said)
    if rollout.reported:
        notes.append(f"Users have reported {rollout.reported:,} wrong answers.")
    low, high = rollout.seconds_saved_low, rollout.seconds_saved_high
    if rollout.seconds_saved is not None and low is not None and high is not None:
        is_later = rollout.seconds_saved < 0
        least, most = (-high, -low) if is_later else (low, high)
        notes.append(
            f"A served request is answered {abs(rollout.seconds_saved):,.3f} s {'later' if is_later else 'sooner'} in "
            f"the mean (95 % interval {least:,.3f} to {most:,.3f})."
        )
    if rollout.cost_saved is not None:
        amount = words.money(abs(rollout.cost_saved), rollout.currency)
        notes.append(f"It costs {amount} {'more' if rollout.cost_saved < 0 else 'less'}.")
    if rollout.steps:
        steps = ", ".join(f"{name} {count:,}" for name, count in sorted(rollout.steps.items()))
        notes.append(f"Steps: {steps}.")
    return notes


def _share(share: Share) -> str:
    return f"{share.count:,} ({share.value:.1%})"


def _of(share: Share) -> str:
    return f"{share.count:,} of {share.total:,} ({share.value:.1%})" if share.total else "-"


def _difference(found: Difference) -> str:
    return f"{found.value:+.2%} ({found.low:+.2%} to {found.high:+.2%})"


def _interval(share: Share) -> str:
    return f"{share.value:.2%} (95 % interval {share.low:.2%} to {share.high:.2%})"
