"""What an alert rule says, and the rules that one begins with. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.telemetry.alerts.measures import MEASURES

__all__ = ["DEFAULT_RULES", "AlertRule", "Level", "checked_rules"]

Level = Literal["warning", "urgent"]
Side = Literal["above", "below"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRule:
    """When an alert fires, and when it clears.

    It fires when the measure has been beyond the threshold for `for_seconds`, and clears when it has come back to
    `clear`. In between nothing changes: so a measure that wavers about the threshold is told once.

    Args:
        name: letters, digits and underscores, such as `"LowHitRate"`; of all rules at most one has it.
        level: `"warning"`, or `"urgent"` where somebody has to act now.
        measure: one of `MEASURES`, which says its unit.
        side: `"above"` or `"below"`: on which side of the threshold it fires. The threshold itself does not fire.
        threshold: in the unit of the measure.
        clear: at this value, or on its good side, the alert clears; None for the threshold itself.
        window: seconds that the measure looks back, above 0, seven days at most.
        for_seconds: seconds that it has to be beyond the threshold without a break; 0 for at once.
        min_sample: of fewer (lookups, hits, validations: see the measure) nothing is said, at least 0.

    Raises:
        ConfigError: a value is out of range.
    """

    name: str
    measure: str
    side: Side
    threshold: float
    level: Level = "warning"
    clear: float | None = None
    window: float = 900.0
    for_seconds: float = 0.0
    min_sample: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ConfigError(f"name of an alert rule must be letters, digits and underscores, not {self.name!r}")
        rule = f"of alert rule {self.name}"
        if self.measure not in MEASURES:
            raise ConfigError(f"measure {rule} must be one of {', '.join(MEASURES)}; not {self.measure!r}")
        if self.side not in get_args(Side):
            raise ConfigError(f'side {rule} must be "above" or "below", not {self.side!r}')
        if self.level not in get_args(Level):
            raise ConfigError(f'level {rule} must be "warning" or "urgent", not {self.level!r}')
        for name in ("threshold", "clear", "window", "for_seconds"):
            number = getattr(self, name)
            if number is None and name == "clear":
                continue
            if not isinstance(number, int | float) or isinstance(number, bool) or not math.isfinite(number):
                raise ConfigError(f"{name} {rule} must be a number, not {number!r}")
        if self.clear is not None and self.is_beyond(self.clear):
            raise ConfigError(
                f"clear {rule} must be on the good side of the threshold, {self.threshold!r}: it fires "
                f"{self.side} that, so {self.clear!r} would clear what fires"
            )
        if not 0 < self.window <= _LONGEST:
            raise ConfigError(f"window {rule} must be seconds above 0, {_LONGEST:g} at most, not {self.window!r}")
        if not 0 <= self.for_seconds <= _LONGEST:
            raise ConfigError(f"for_seconds {rule} must be seconds from 0 to {_LONGEST:g}, not {self.for_seconds!r}")
        if not isinstance(self.min_sample, int) or isinstance(self.min_sample, bool) or self.min_sample < 0:
            raise ConfigError(f"min_sample {rule} must be an integer of at least 0, not {self.min_sample!r}")

    def is_beyond(self, value: float) -> bool:
        """Does it fire at this value?

        >>> AlertRule(name="Slow", measure="hit_latency_p95", side="above", threshold=0.1).is_beyond(0.1)
        False
        """
        return value > self.threshold if self.side == "above" else value < self.threshold

    def is_clear(self, value: float) -> bool:
        """Does it clear at this value?"""
        clear = self.threshold if self.clear is None else self.clear
        return value <= clear if self.side == "above" else value >= clear


def checked_rules(rules: Iterable[AlertRule]) -> tuple[AlertRule, ...]:
    """The rules, each name once.

    Raises:
        ConfigError: something else than rules, none, or a name twice.
    """
    known = tuple(rules) if isinstance(rules, Iterable) else ()
    if not known or not all(isinstance(rule, AlertRule) for rule in known):
        raise ConfigError("rules must be at least one AlertRule; DEFAULT_RULES has the usual ones")
    names = [rule.name for rule in known]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"rules must have different names; {', '.join(twice)} is there more than once")
    return known


_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0

DEFAULT_RULES: tuple[AlertRule, ...] = (
    AlertRule(
        name="LowHitRate",
        measure="hit_rate",
        side="below",
        threshold=0.70,
        clear=0.72,
        window=15 * _MINUTE,
        for_seconds=5 * _MINUTE,
        min_sample=100,
    ),
    AlertRule(
        name="HitRateFell",
        measure="hit_rate_fall",
        side="above",
        threshold=0.05,
        clear=0.02,
        window=_HOUR,
        for_seconds=5 * _MINUTE,
        min_sample=200,
    ),
    AlertRule(
        name="FalseHits",
        measure="false_hit_rate",
        side="above",
        threshold=0.05,
        clear=0.04,
        level="urgent",
        window=_DAY,
        min_sample=200,  # of fewer the interval is so wide that no good cache could clear it: 0 of 73 has 5 %
    ),
    AlertRule(
        name="HitQualityDrift",
        measure="false_hit_rise",
        side="above",
        threshold=0.01,
        clear=0.0,
        window=_DAY,
        min_sample=200,
    ),
    AlertRule(
        name="SlowHits",
        measure="hit_latency_p95",
        side="above",
        threshold=0.1,
        window=5 * _MINUTE,
        for_seconds=2 * _MINUTE,
        min_sample=100,
    ),
    AlertRule(name="Evictions", measure="evictions_per_hour", side="above", threshold=100, clear=80, window=_HOUR),
    AlertRule(
        name="ManyEvictions",
        measure="evictions_per_hour",
        side="above",
        threshold=1000,
        clear=800,
        level="urgent",
        window=_HOUR,
    ),
    AlertRule(
        name="MemoryHigh",
        measure="memory",
        side="above",
        threshold=0.85,
        clear=0.80,
        window=_MINUTE,
        for_seconds=_MINUTE,
    ),
    AlertRule(
        name="MemoryFull",
        measure="memory",
        side="above",
        threshold=0.90,
        clear=0.85,
        level="urgent",
        window=_MINUTE,
        for_seconds=_MINUTE,
    ),
    AlertRule(name="ServerMemory", measure="server_warnings", side="above", threshold=0, window=15 * _MINUTE),
    AlertRule(
        name="StoreDown",
        measure="store_down",
        side="above",
        threshold=0,
        level="urgent",
        window=2 * _MINUTE,
        for_seconds=30.0,
    ),
    AlertRule(name="CircuitOpen", measure="circuit_open", side="above", threshold=0, window=2 * _MINUTE),
)
"""The thresholds of the project's design; windows, samples and clear levels are of this module.

A memory that is full is the normal state of a cache whose limits are meant to be reached: leave `MemoryHigh` and
`MemoryFull` out then, and go by evictions.
"""
