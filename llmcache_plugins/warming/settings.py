"""How a warming goes about it, in one checked value."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass

from llmcache_plugins.config import DEFAULT, Default
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.warming.plan import Budget, CostOf
from llmcache_plugins.warming.report import WarmProgress

__all__ = ["WarmSettings"]

_MOST_WORKERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmSettings:
    """The arguments of `cache.warm`, which explains them.

    Raises:
        ConfigError: one is out of its range.
    """

    concurrency: int = 4
    rate: float | None = None
    budget: Budget | int | None = None
    cost_of: CostOf | None = None
    skip_fresh: bool = True
    fresh_for: float = 0.0
    ttl: float | Default | None = DEFAULT
    resume: str | os.PathLike[str] | None = None
    progress: bool | Callable[[WarmProgress], None] = False
    most_failures: int = 10
    dry_run: bool = False

    def __post_init__(self) -> None:
        number = self.concurrency
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _MOST_WORKERS:
            raise ConfigError(f"concurrency must be an integer from 1 to {_MOST_WORKERS}, not {number!r}")
        seconds = self.fresh_for
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < math.inf:
            raise ConfigError(f"fresh_for must be a number of seconds of at least 0, not {seconds!r}")
        for name in ("skip_fresh", "dry_run"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} must be True or False, not {getattr(self, name)!r}")
        if self.fresh_for and not self.skip_fresh:
            raise ConfigError("fresh_for says what is fresh, and skip_fresh=False that it does not matter: give one")
        if self.resume is not None and not (isinstance(self.resume, str | os.PathLike) and os.fspath(self.resume)):
            raise ConfigError(f"resume must be a name, a Path or None, not {self.resume!r}")
        if not isinstance(self.progress, bool) and not callable(self.progress):
            raise ConfigError(f"progress must be True, False or callable, not {self.progress!r}")
