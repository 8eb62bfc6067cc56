"""Samples over time in bounded memory: from the first one on, the older the coarser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from llmcache_plugins.errors import ConfigError

__all__ = ["History", "Sample"]

Sample: TypeAlias = Mapping[str, Any]
"""What `data.sample_of` gives; of it only `at` is read here."""


class History:
    """At most `limit` samples from the first to the latest. When they become too many every second one goes, and from
    then on they are kept half as often: the span grows, the number does not.

    Args:
        limit: how many are kept, at least 4.

    Raises:
        ConfigError: `limit` is out of range.
    """

    def __init__(self, limit: int = 400) -> None:
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 4:
            raise ConfigError(f"limit must be a whole number from 4 on, not {limit!r}")
        self._limit = limit
        self._gap = 0.0  # seconds between two samples that are kept
        self._samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Keep the newest sample; it takes the place of the one before where that came a moment ago. A sample from
        before the last one (a clock was set back) begins anew."""
        if self._samples and sample["at"] < self._samples[-1]["at"]:
            self._samples, self._gap = [], 0.0
        if len(self._samples) > 1 and self._samples[-1]["at"] - self._samples[-2]["at"] < self._gap:
            self._samples[-1] = sample
        else:
            self._samples.append(sample)
        if len(self._samples) > self._limit:
            self._samples = self._samples[::-2][::-1]
            span = self._samples[-1]["at"] - self._samples[0]["at"]
            # A little less than the mean gap, so that a sample that comes early by a hair is kept all the same.
            self._gap = 0.9 * span / (len(self._samples) - 1)

    def samples(self) -> tuple[Sample, ...]:
        """Oldest first."""
        return tuple(self._samples)
