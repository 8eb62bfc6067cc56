"""A question that is worth an answer before anybody asks it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.types import Request

__all__ = ["Wanted", "as_wanted"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One question for `cache.warm`.

    Args:
        request: the question, or the whole request where the scope matters (model, context, tags, ...).
        priority: the larger, the sooner; what it counts is the source's affair (requests in a log, reads, ...).
        source: where it comes from, for people.
    """

    request: Request | str = field(repr=False)
    priority: float = 1.0
    source: str = ""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ConfigError("a question to warm must not be empty")
        if isinstance(self.priority, bool) or not isinstance(self.priority, int | float) or math.isnan(self.priority):
            raise ConfigError(f"priority must be a number, not {self.priority!r}")

    @property
    def text(self) -> str:
        """The question itself."""
        if isinstance(self.request, str):
            return self.request
        if not isinstance(self.request, Request):
            raise ConfigError(f"a question to warm is a str, a Request or Wanted, not {type(self.request).__name__}")
        return self.request.text


def as_wanted(questions: Iterable[Wanted | Request | str]) -> list[Wanted]:
    """The questions as `Wanted`, those of the highest priority first, of equal ones in the order given.

    Raises:
        ConfigError: one of them is no question.
    """
    if isinstance(questions, str | Request | Wanted) or not isinstance(questions, Iterable):
        raise ConfigError("questions must be several: give a list, be it of one")
    wanted = [one if isinstance(one, Wanted) else Wanted(one) for one in questions]
    return sorted(wanted, key=lambda one: -one.priority)
