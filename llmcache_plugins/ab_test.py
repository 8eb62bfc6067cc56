"""Two policies on the same traffic: which decides about a request. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.rollout import share_of
from llmcache_plugins.types import Request

__all__ = ["ABTest", "Arm", "ArmName"]

ArmName: TypeAlias = Literal["", "a", "b"]
_PERSON = b"llmcache-ab-test"  # other shares than those of a roll-out: each arm has its part of both groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One of two policies, in place of the cache's own setting of that name.

    Args:
        max_error_rate: an error budget, in (0, 0.5]; or
        similarity_threshold: a plain cosine, in (0, 1].

    Raises:
        ConfigError: not one of the two, or out of range.
    """

    max_error_rate: float | None = None
    similarity_threshold: float | None = None

    def __post_init__(self) -> None:
        given = {"max_error_rate": (self.max_error_rate, 0.5), "similarity_threshold": (self.similarity_threshold, 1.0)}
        if sum(value is not None for value, _ in given.values()) != 1:
            raise ConfigError("an Arm has either max_error_rate or similarity_threshold; give one of them")
        for name, (value, most) in given.items():
            if value is not None and not (_is_number(value) and 0 < value <= most):
                raise ConfigError(f"{name} of an Arm must be above 0 and at most {most:g}, not {value!r}")


@dataclass(frozen=True, slots=True)
class ABTest:
    """A policy of two: each question is decided by one of them, always by the same one.

    Args:
        a: decides about the others.
        b: decides about this share of them.
        fraction: in (0, 1).

    Raises:
        ConfigError: an arm is none, or both are the same; or the fraction is out of range.
    """

    a: Arm
    b: Arm
    fraction: float = 0.5

    def __post_init__(self) -> None:
        for name in ("a", "b"):
            if not isinstance(getattr(self, name), Arm):
                raise ConfigError(f"{name} of an ABTest must be an Arm, not {type(getattr(self, name)).__name__}")
        if self.a == self.b:
            raise ConfigError("the arms of an ABTest are the same: there is nothing to compare")
        if not _is_number(self.fraction) or not 0 < self.fraction < 1:
            raise ConfigError(f"fraction of an ABTest must be above 0 and below 1, not {self.fraction!r}")

    def arm_of(self, request: Request) -> ArmName:
        """By the question and its namespace: the same in every process, and whatever stands before the question."""
        return "b" if share_of(request.text, *request.namespace, person=_PERSON) < self.fraction else "a"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
