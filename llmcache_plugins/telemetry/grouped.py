"""What is counted of the two groups of a roll-out."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from llmcache_plugins.counters import GroupStats
from llmcache_plugins.recorded import ComparisonEvent, GroupLookupEvent, UpdateEvent
from llmcache_plugins.telemetry.tables import Counts, add, add_time, add_use, latency_in, models_in, number_in
from llmcache_plugins.types import Hit, Miss

__all__ = ["GROUPED", "count_call", "count_comparison", "count_lookup", "groups_in"]

GROUPED = "groups"  # the counter whose labels are a group and what of it
_GROUPS = ("served", "control")


def count_lookup(event: GroupLookupEvent, counts: Counts) -> None:
    """A lookup of one of the groups."""
    outcome, group = event.outcome, event.group
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
    if event.seconds is not None:
        _add_answer(counts, event.group, event.seconds)


def count_comparison(event: ComparisonEvent, counts: Counts) -> None:
    add(counts, GROUPED, ("control", event.outcome))


def groups_in(counts: Mapping[str, Mapping[Hashable, float]]) -> dict[str, GroupStats]:
    """By name, those that had any request."""
    found = {group: _group(counts, group) for group in _GROUPS}
    return {group: stats for group, stats in found.items() if stats.lookups or stats.calls}


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
