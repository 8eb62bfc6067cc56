"""How a cache is let loose on traffic: settings of a staged roll-out, and the shares that requests fall into. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from llmcache_plugins.errors import ConfigError

__all__ = ["DEFAULT_FRACTION", "MODES", "SPLITS", "Group", "Mode", "Rollout", "SplitBy", "share_of"]

Mode: TypeAlias = Literal["serve", "shadow", "canary"]
SplitBy: TypeAlias = Literal["key", "tenant"]
Group: TypeAlias = Literal["", "served", "control"]
"""`served` may be answered by the cache, `control` is always answered by the model; empty without a roll-out."""

MODES: tuple[Mode, ...] = ("serve", "shadow", "canary")
SPLITS: tuple[SplitBy, ...] = ("key", "tenant")
DEFAULT_FRACTION = 0.1
_PERSON = b"llmcache-rollout"  # 16 bytes at most: keeps these shares apart from all other digests


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A roll-out in stages, for `mode="canary"`: the served share goes up as long as the stored answers prove right,
    and back when they prove wrong.

    An error is a would-be hit whose stored answer the fresh one contradicts; rates are errors / requests, as in
    `max_error_rate`, with the 95 % interval of Wilson.

    Args:
        stages: shares of the requests that are served, each in [0, 1] and above the one before; a first one of 0 is a
            time in shadow. Comparisons come from the control group: a last stage of 1.0 leaves nobody to compare with,
            and then only `report_wrong` is heard.
        minimum_seconds: shortest time in a stage, above 0.
        minimum_checks: answers compared in a stage before it may go up, at least 1.
        max_error_rate: the bound, in (0, 0.5]; None for the cache's `max_error_rate`.
        step_back: where it goes when the bound is broken: `"shadow"` serves nothing until the bound was kept for a
            whole stage in shadow, `"stage"` goes back one stage (from the first one to shadow).

    Raises:
        ConfigError: a value is out of its range.
    """

    stages: Sequence[float] = (0.1, 0.5, 1.0)
    minimum_seconds: float = 24 * 3600.0
    minimum_checks: int = 300
    max_error_rate: float | None = None
    step_back: Literal["shadow", "stage"] = "shadow"

    def __post_init__(self) -> None:
        stages = tuple(self.stages) if isinstance(self.stages, list | tuple) else ()
        if not stages or not all(_is_number(share, 0.0, 1.0) for share in stages):
            raise ConfigError(f"stages must be a tuple of numbers from 0 to 1, not {self.stages!r}")
        if any(share <= before for before, share in pairwise(stages)):
            raise ConfigError(f"stages must go up, not be {self.stages!r}")
        object.__setattr__(self, "stages", tuple(map(float, stages)))
        if not _is_number(self.minimum_seconds, 0.0, math.inf) or not 0 < self.minimum_seconds < math.inf:
            raise ConfigError(f"minimum_seconds must be a number above 0, not {self.minimum_seconds!r}")
        checks = self.minimum_checks
        if not isinstance(checks, int) or isinstance(checks, bool) or checks < 1:
            raise ConfigError(f"minimum_checks must be an integer of at least 1, not {checks!r}")
        rate = self.max_error_rate
        if rate is not None and not (_is_number(rate, 0.0, 0.5) and rate > 0):
            raise ConfigError(f"max_error_rate of a Rollout must be above 0 and at most 0.5, or None, not {rate!r}")
        if self.step_back not in ("shadow", "stage"):
            raise ConfigError(f'step_back must be "shadow" or "stage", not {self.step_back!r}')


def share_of(*parts: str, person: bytes = _PERSON) -> float:
    """Where in [0, 1) these texts fall: evenly spread, and the same in every process and for good. A request is served
    while its share is below the fraction, so that a larger fraction only ever adds to the served ones.

    >>> share_of("a") == share_of("a") != share_of("b")
    True
    """
    digest = hashlib.blake2b(digest_size=7, person=person)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    # 53 bits are what a float holds: so no share is rounded up to 1.
    return (int.from_bytes(digest.digest(), "big") >> 3) / 2.0**53


def _is_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
