"""Caches whose counts are asked for by an exporter: without keeping one alive, and without ever raising."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping
from typing import Protocol

from llmcache_plugins.counters import CacheStats, SharedStats
from llmcache_plugins.errors import ConfigError

__all__ = ["CountedCache", "Watched"]

_log = logging.getLogger(__name__)


class CountedCache(Protocol):
    """What is asked of a cache: a `SemanticCache` has both."""

    def stats(self) -> CacheStats: ...
    def shared_stats(self) -> SharedStats: ...


class Watched:
    """One cache, or several by name.

    Args:
        shared: ask what all processes that use the store have counted (which asks the store), not this one alone.

    Raises:
        ConfigError: something else than a cache, or none.
    """

    def __init__(self, cache: CountedCache | Mapping[str, CountedCache], *, shared: bool) -> None:
        self.is_named = isinstance(cache, Mapping)
        named = dict(cache) if isinstance(cache, Mapping) else {"": cache}
        if not named:
            raise ConfigError("cache is an empty mapping; give a cache, or at least one by name")
        for one in named.values():
            if not all(callable(getattr(one, verb, None)) for verb in ("stats", "shared_stats")):
                raise ConfigError(f"cache must be a SemanticCache, not {type(one).__name__}; open_cache() makes one")
        self._caches = {str(name): weakref.ref(one) for name, one in named.items()}
        self._shared = shared
        self._failed: set[str] = set()

    def read(self) -> dict[str, CacheStats]:
        """The counts by name, without a cache that is gone or cannot be read; the latter is logged once."""
        found: dict[str, CacheStats] = {}
        for name, reference in self._caches.items():
            cache = reference()
            if cache is None:
                continue
            try:
                found[name] = cache.shared_stats().total if self._shared else cache.stats()
                self._failed.discard(name)
            except Exception as error:  # one cache must not take all else out of what is exported
                if name not in self._failed:
                    self._failed.add(name)
                    _log.warning("the counts of a cache cannot be read (%s)", type(error).__name__)
        return found
