"""From the near-miss log of a running cache: the pairs whose label would say most about its settings.

Two kinds of near misses are worth a look: those that were almost sure enough, for a label moves the threshold, and
those that one guard alone vetoed although the questions are alike, for a label says whether that guard was right.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from llmcache_plugins.errors import ConfigError, why
from llmcache_plugins.matching.features import features_of
from llmcache_plugins.types import JsonValue

__all__ = ["LoggedMiss", "NearMissLog", "propose", "read_log"]

_THRESHOLD = "threshold"
_MOST_COMPARED = 2_000  # a proposal is compared with those before it: of a longer list only the best are


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedMiss:
    """A stored question that was not served for an asked one. `count` is how often the log has the two."""

    asked: str = field(repr=False)
    stored: str = field(repr=False)
    similarity: float
    confidence: float
    vetoed_by: tuple[str, ...] = ()
    count: int = 1

    @property
    def group(self) -> str:
        """What a label would judge: the one guard that stood in the way, several guards, or the threshold."""
        if not self.vetoed_by:
            return _THRESHOLD
        return f"veto: {self.vetoed_by[0]}" if len(self.vetoed_by) == 1 else "veto: several guards"

    @property
    def value(self) -> float:
        """How much a label would say: more, the nearer it came to being served, the fewer guards were against it and
        the more often it was met."""
        unvetoed = self.confidence or self.similarity / 2  # without a confidence it was not near enough for one
        nearness = self.similarity / len(self.vetoed_by) if self.vetoed_by else unvetoed
        return nearness * (1 + math.log10(self.count))

    def as_row(self) -> dict[str, JsonValue]:
        """A row of a labelled file whose label is still to be written."""
        return {
            "a": self.stored,
            "b": self.asked,
            "label": None,
            "source": "near_miss_log",
            "kind": self.group,
            "similarity": round(self.similarity, 4),
            "confidence": round(self.confidence, 4),
            "count": self.count,
        }


@dataclass(frozen=True, slots=True)
class NearMissLog:
    """Each pair of questions once, in the order of the log; `lines` counts records, `unreadable` those that are none
    (the last line of a log that is being written, a similarity out of range)."""

    misses: Sequence[LoggedMiss]
    lines: int
    unreadable: int


def read_log(path: Path) -> NearMissLog:
    """Read a log written by `near_miss_file=`.

    Raises:
        ConfigError: it cannot be read, or holds no near miss.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise ConfigError(f"no such file: {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {why(error)}") from error
    misses: dict[tuple[str, str], LoggedMiss] = {}
    count = unreadable = 0
    for line in lines:
        if not line.strip():
            continue
        count += 1
        miss = _miss_of(line)
        if miss is None:
            unreadable += 1
            continue
        first, second = sorted((_plain(miss.asked), _plain(miss.stored)))
        known = misses.get((first, second))
        misses[first, second] = miss if known is None else replace(miss, count=known.count + 1)
    if not misses:
        raise ConfigError(f"{path} holds no near misses; a cache writes them with open_cache(near_miss_file=...)")
    return NearMissLog(list(misses.values()), count, unreadable)


def _miss_of(line: str) -> LoggedMiss | None:
    try:
        record: Any = json.loads(line)
        guards = record.get("vetoed_by") or ()
        miss = LoggedMiss(
            asked=record["asked"],
            stored=record["stored"],
            similarity=float(record["similarity"]),
            confidence=float(record.get("confidence") or 0.0),
            vetoed_by=(guards,) if isinstance(guards, str) else tuple(guards),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
    texts = (miss.asked, miss.stored)
    is_whole = all(isinstance(text, str) and text.strip() for text in (*texts, *miss.vetoed_by))
    # Float32 cosines pass 1 by a little. What is out of range, an infinity for example, would come before all others.
    is_in_range = abs(miss.similarity) <= 1.001 and 0.0 <= miss.confidence <= 1.001
    return miss if is_whole and is_in_range else None


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip("?!. ")


def propose(misses: Sequence[LoggedMiss], top: int) -> list[LoggedMiss]:
    """The `top` pairs most worth a label, best first.

    The groups take turns (the threshold every second turn, for it decides most lookups), and a pair that says much the
    same as one before it waits until those that do not are through.
    """
    queues: dict[str, list[LoggedMiss]] = {}
    for miss in sorted(misses, key=lambda one: -one.value)[:_MOST_COMPARED]:
        queues.setdefault(miss.group, []).append(miss)
    for group, queue in queues.items():
        queues[group] = _varied(queue)
    ranked: list[LoggedMiss] = []
    turns = [group for group in queues if group != _THRESHOLD]
    turns = [turn for group in turns for turn in (_THRESHOLD, group)] or [_THRESHOLD]
    while len(ranked) < top and any(queues.values()):
        for group in turns:
            if queues.get(group):
                ranked.append(queues[group].pop(0))
    return ranked[:top]


def _varied(queue: Sequence[LoggedMiss]) -> list[LoggedMiss]:
    """Best first, but what is like one before it behind all that is not."""
    fresh: list[LoggedMiss] = []
    alike: list[LoggedMiss] = []
    chosen: list[frozenset[str]] = []
    stored: set[str] = set()
    for miss in queue:
        words = frozenset(features_of(f"{miss.asked} {miss.stored}").words)
        is_new = _plain(miss.stored) not in stored and all(_overlap(words, other) < 0.6 for other in chosen)
        (fresh if is_new else alike).append(miss)
        if is_new:
            chosen.append(words)
            stored.add(_plain(miss.stored))
    return fresh + alike


def _overlap(left: frozenset[str], right: frozenset[str]) -> float:
    return len(left & right) / max(1, len(left | right))
