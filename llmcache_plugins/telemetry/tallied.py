"""The texts that processes keep in a store for their counts, and how those of processes that are gone become one. Pure.

Each process writes all it has counted under its own name, so that a write that is tried again counts nothing twice.
`TOTAL` has the counts of those that were folded into it, and for a while the number of the write that was: a process
that was taken for gone and was not finds out by it what of its own is in the total already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from llmcache_plugins.telemetry.counting import Counts, as_json, from_json, plus

__all__ = ["TOTAL", "Tally", "Total", "decoded", "emptied", "folded", "gone", "total_in"]

TOTAL = "total"
GONE_AFTER = 3600.0  # seconds without a write: idle or gone, which makes no difference
_MANY = 64  # records; beyond them the silent ones leave sooner
_SILENT = 60.0
_AT_ONCE = 200
_REMEMBERED = 1024  # names of folded processes
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Tally:
    """What one process has counted, as it wrote it.

    Args:
        number: of the write, from 1 on.
        at: wall clock of the write.
        since: wall clock when the process began to count.
    """

    node: str
    number: int
    at: float
    since: float
    counts: Counts = field(repr=False)

    def encoded(self) -> str:
        return json.dumps(
            {
                "version": _VERSION,
                "node": self.node,
                "number": self.number,
                "at": self.at,
                "since": self.since,
                "counts": as_json(self.counts),
            },
            separators=(",", ":"),
        )


@dataclass(frozen=True, slots=True)
class Total:
    """What those that are gone had counted.

    Args:
        since: wall clock, from when on; None before the first.
        writes: number and wall clock of the last write of each that was folded, by name, latest last.
        forgotten: wall clock of the latest write that is not in `writes` any more.
    """

    since: float | None = None
    counts: Counts = field(default_factory=dict, repr=False)
    writes: Mapping[str, tuple[int, float]] = field(default_factory=dict, repr=False)
    forgotten: float = 0.0

    def encoded(self) -> str:
        return json.dumps(
            {
                "version": _VERSION,
                "since": self.since,
                "counts": as_json(self.counts),
                "writes": {name: list(write) for name, write in self.writes.items()},
                "forgotten": self.forgotten,
            },
            separators=(",", ":"),
        )


def decoded(records: Mapping[str, str]) -> dict[str, Tally]:
    """The tallies among the records of a store; what cannot be read is left out."""
    found: dict[str, Tally] = {}
    for name, text in records.items():
        content, counts = _content(text)
        if name == TOTAL or counts is None:
            continue
        try:
            found[name] = Tally(
                str(content["node"]),
                int(content["number"]),
                float(content["at"]),
                float(content["since"]),
                counts,
            )
        except (KeyError, TypeError, ValueError):
            continue
    return found


def total_in(records: Mapping[str, str]) -> Total | None:
    """The total among the records; an empty one when there is none, None when it cannot be read."""
    if TOTAL not in records:
        return Total()
    content, counts = _content(records[TOTAL])
    if counts is None:
        return None
    try:
        writes = {str(name): (int(number), float(at)) for name, (number, at) in content["writes"].items()}
        since = None if content["since"] is None else float(content["since"])
        return Total(since, counts, writes, float(content["forgotten"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _content(text: str) -> tuple[dict[str, Any], Counts | None]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}, None
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        return {}, None
    return content, from_json(content.get("counts"))


def gone(tallies: Mapping[str, Tally], now: float) -> list[str]:
    """Whose counts should be folded, those that are silent for longest first."""
    by_age = sorted(tallies, key=lambda name: tallies[name].at)
    too_many = max(0, len(by_age) - _MANY)
    found = [
        name
        for place, name in enumerate(by_age)
        if abs(now - tallies[name].at) > (_SILENT if place < too_many else GONE_AFTER)
    ]
    return found[:_AT_ONCE]


def folded(total: Total, tallies: Mapping[str, Tally]) -> Total:
    """The total with the counts of these."""
    counts, since = total.counts, total.since
    for tally in tallies.values():
        counts = plus(counts, tally.counts)
        since = tally.since if since is None else min(since, tally.since)
    return replace(_remembering(total, tallies), since=since, counts=counts)


def emptied(total: Total, tallies: Mapping[str, Tally], now: float) -> Total:
    """A total of nothing: what these have counted by now is in it no more."""
    return replace(_remembering(total, tallies), since=now, counts={})


def _remembering(total: Total, tallies: Mapping[str, Tally]) -> Total:
    writes = {**total.writes, **{name: (tally.number, tally.at) for name, tally in tallies.items()}}
    dropped = list(writes)[: max(0, len(writes) - _REMEMBERED)]
    forgotten = max([total.forgotten, *(writes.pop(name)[1] for name in dropped)])
    return replace(total, writes=writes, forgotten=forgotten)
