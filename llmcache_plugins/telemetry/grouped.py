"""What is counted of the two groups of a roll-out, and of the two arms of an A/B test."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from llmcache_plugins.counters import ArmStats, GroupStats
from llmcache_plugins.recorded import ComparisonEvent, GroupLookupEvent, ReportEvent, UpdateEvent
from llmcache_plugins.telemetry.tables import Counts, add, add_time, add_use, latency_in, models_in, number_in
from llmcache_plugins.types import Hit, Miss

__all__ = [
    "ARMS",
    "GROUPED",
    "arms_in",
    "count_call",
    "count_comparison",
    "count_lookup",
    "count_report",
    "groups_in",
]

GROUPED = "groups"  # the counter whose labels are a group and what of it
ARMS = "arms"  # the same with an arm
_GROUPS = ("served", "control")
_OF_ARMS = ("lookups", "answered", "by_meaning", "same", "different", "unclear", "reported")
_BY_MEANING = ("semantic", "alias")


def count_lookup(event: GroupLookupEvent, counts: Counts) -> None:
    """A lookup of one of the groups or arms."""
    outcome, group = event.outcome, event.group
    if event.arm:
        _count_arm(event, counts)
    if not group:
        return
    if isinstance(outcome, Hit):
        add(counts, GROUPED, (group, "hits"))
        add_use(counts, f"{group}_saved", outcome.entry.model, outcome.entry.usage)
        _add_answer(counts, group, outcome.latency)
    elif isinstance(outcome, Miss):
        add(counts, GROUPED, (group, "misses"))
        if event.withheld is not None:
            entry = event.withheld.entry
            add(counts, GROUPED, (group, "withheld"))
            add_use(counts, f"{group}_saved", entry.model, entry.usage)


def count_call(event: UpdateEvent, counts: Counts) -> None:
    """An answer of the model, for one of the groups."""
    add(counts, GROUPED, (event.group, "calls"))
    add_use(counts, f"{event.group}_spent", event.model, event.usage)
    if event.seconds is not None and not event.is_renewal:
        _add_answer(counts, event.group, event.seconds)


def count_comparison(event: ComparisonEvent, counts: Counts) -> None:
    add(counts, GROUPED, ("control", event.outcome))
    if event.arm and event.kind in _BY_MEANING:
        add(counts, ARMS, (event.arm, event.outcome))


def count_report(event: ReportEvent, counts: Counts) -> None:
    if event.arm:
        add(counts, ARMS, (event.arm, "reported"))


def _count_arm(event: GroupLookupEvent, counts: Counts) -> None:
    add(counts, ARMS, (event.arm, "lookups"))
    hit = event.outcome if isinstance(event.outcome, Hit) else event.withheld
    if hit is not None:
        add(counts, ARMS, (event.arm, "answered"))
        add(counts, ARMS, (event.arm, "by_meaning"), hit.kind in _BY_MEANING)


def groups_in(counts: Mapping[str, Mapping[Hashable, float]]) -> dict[str, GroupStats]:
    """By name, those that had any request."""
    found = {group: _group(counts, group) for group in _GROUPS}
    return {group: stats for group, stats in found.items() if stats.lookups or stats.calls}


def arms_in(counts: Mapping[str, Mapping[Hashable, float]]) -> dict[str, ArmStats]:
    """By name, those that had any request."""
    found = {arm: ArmStats(**{name: number_in(counts, ARMS, (arm, name)) for name in _OF_ARMS}) for arm in ("a", "b")}
    return {arm: stats for arm, stats in found.items() if stats.lookups}


def _add_answer(counts: Counts, group: str, seconds: float) -> None:
    add_time(counts, group, seconds)
    add(counts, "seconds_squared", group, seconds * seconds)


def _group(counts: Mapping[str, Mapping[Hashable, float]], group: str) -> GroupStats:
    def number(name: str) -> int:
        return number_in(counts, GROUPED, (group, name))

    return GroupStats(
        hits=number("hits"),
        misses=number("misses"),
        withheld=number("withheld"),
        same=number("same"),
        different=number("different"),
        unclear=number("unclear"),
        calls=number("calls"),
        answers=latency_in(counts, group),
        seconds_squared=float(counts.get("seconds_squared", {}).get(group, 0.0)),
        models=models_in(counts, f"{group}_saved", f"{group}_spent", ""),
    )
