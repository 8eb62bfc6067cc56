"""The course of one alert: from a measure that is beyond its threshold to one that is well again. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from llmcache_plugins.telemetry.alerts.measures import MEASURES, Measured
from llmcache_plugins.telemetry.alerts.rules import AlertRule
from llmcache_plugins.types import JsonValue

__all__ = ["Alert", "Course"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What sinks are told when a rule fires or clears.

    Args:
        rule: what fired.
        state: `"firing"` or `"cleared"`.
        value: of the measure, in its unit; None where an alert clears because nothing is known any more.
        sample: how many it rests on; 0 where it rests on no number.
        part: tier or store that it is about; empty for the whole cache.
        since: wall clock, when it began to fire.
        at: wall clock, when this was found.
    """

    rule: AlertRule
    state: Literal["firing", "cleared"]
    value: float | None
    sample: int
    part: str
    since: float
    at: float

    @property
    def name(self) -> str:
        return self.rule.name

    @property
    def level(self) -> str:
        return self.rule.level

    @property
    def text(self) -> str:
        """One line for people."""
        measure = MEASURES[self.rule.measure]
        about = f" of {self.part}" if self.part else ""
        if self.value is None:
            return f"{self.rule.name} cleared: {self.rule.measure} is not known any more"
        numbers = f"{self.rule.measure}{about} is {_written(self.value, measure.unit)}"
        sample = f", {self.sample} {measure.sample}" if measure.sample else ""
        limit = f"fires {self.rule.side} {_written(self.rule.threshold, measure.unit)}"
        verb = "fires" if self.state == "firing" else "cleared"
        return f"{self.rule.name} {verb}: {numbers} ({limit}{sample})"

    def as_json(self) -> dict[str, JsonValue]:
        """For webhooks: names and numbers, nothing of any request. A number that JSON cannot have is null."""
        value = self.value if self.value is not None and abs(self.value) < float("inf") else None
        return {
            "name": self.rule.name,
            "level": self.rule.level,
            "state": self.state,
            "measure": self.rule.measure,
            "unit": MEASURES[self.rule.measure].unit,
            "value": value,
            "threshold": self.rule.threshold,
            "side": self.rule.side,
            "sample": self.sample,
            "part": self.part,
            "since": self.since,
            "at": self.at,
            "text": self.text,
        }


def _written(number: float, unit: str) -> str:
    if unit == "ratio":
        return f"{100 * number:.1f} %"
    return f"{number:g} s" if unit == "seconds" else f"{number:g} {unit}".rstrip()


class Course:
    """Of one rule: not beyond, beyond for a while, firing."""

    def __init__(self, rule: AlertRule) -> None:
        self.rule = rule
        self.firing: Alert | None = None
        self._beyond_since: float | None = None
        self._unknown_since: float | None = None

    def step(self, measured: Measured | None, at: float, now: float) -> Alert | None:
        """What there is to tell, if anything.

        A measure of which nothing is known, or too little, does not fire. One that fires already goes on for one
        window more: traffic that comes and goes must not make an alert come and go.

        Args:
            at: seconds of a clock that only goes forward.
            now: wall clock.
        """
        if measured is None or measured.sample < self.rule.min_sample:
            return self._unknown(at, now)
        self._unknown_since = None
        if self.firing is not None:
            if self.rule.is_clear(measured.value):
                return self._clear(measured, now)
            self.firing = self._alert("firing", measured, self.firing.since, now)
            return None
        if not self.rule.is_beyond(measured.value):
            self._beyond_since = None
            return None
        if self._beyond_since is None:
            self._beyond_since = at
        if at - self._beyond_since < self.rule.for_seconds:
            return None
        self.firing = self._alert("firing", measured, now, now)
        return self.firing

    def _unknown(self, at: float, now: float) -> Alert | None:
        self._beyond_since = None
        if self.firing is None:
            return None
        if self._unknown_since is None:
            self._unknown_since = at
        if at - self._unknown_since < self.rule.window:
            return None
        return self._clear(None, now)

    def _clear(self, measured: Measured | None, now: float) -> Alert:
        assert self.firing is not None
        since, part = self.firing.since, self.firing.part
        self.firing = self._beyond_since = self._unknown_since = None
        cleared = self._alert("cleared", measured, since, now)
        return cleared if cleared.part else replace(cleared, part=part)  # a store that is back has no name any more

    def _alert(self, state: Literal["firing", "cleared"], measured: Measured | None, since: float, now: float) -> Alert:
        value, sample, part = (None, 0, "") if measured is None else (measured.value, measured.sample, measured.part)
        return Alert(rule=self.rule, state=state, value=value, sample=sample, part=part, since=since, at=now)
