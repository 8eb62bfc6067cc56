"""How long an answer may be served: by tag, query type and volatility. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.selection import canonical_tag, tag_pattern
from llmcache_plugins.types import Profile

__all__ = ["TTL_BY_VOLATILITY", "Freshness"]

TTL_BY_VOLATILITY: Mapping[str, float] = {
    "static": 7 * 86_400.0,
    "stable": 4 * 3_600.0,
    "dynamic": 300.0,
    "volatile": 30.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """What the settings say of times to live; in seconds, None for ever.

    The first that says something decides: the tags (of several the shortest), the query type, the volatility, the
    default. A class of `TTL_BY_VOLATILITY` that is not in `by_volatility` is no longer than a default the user gave:
    who says "an hour" is not served for a week because a rule found the question timeless.

    Args:
        default: for what nothing else knows.
        is_default_given: the user has set `default`.
        by_volatility: added to `TTL_BY_VOLATILITY`, or in place of what is there.
        by_query_type: by the name of a query type.
        by_tag: by tag or tag pattern (`device:*`).

    Raises:
        ConfigError: a table is none, or a time to live is neither above 0 nor None.
    """

    default: float | None = 86_400.0
    is_default_given: bool = False
    by_volatility: Mapping[str, float | None] = field(default_factory=dict, hash=False)
    by_query_type: Mapping[str, float | None] = field(default_factory=dict, hash=False)
    by_tag: Mapping[str, float | None] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in ("by_volatility", "by_query_type", "by_tag"):
            table = getattr(self, name)
            if not isinstance(table, Mapping):
                raise ConfigError(f"ttl_{name} must map names to seconds, not be {table!r}")
            for key, ttl in table.items():
                if not isinstance(key, str) or not key:
                    raise ConfigError(f"ttl_{name} must map names to seconds; {key!r} is no name")
                if ttl is not None and not _is_duration(ttl):
                    raise ConfigError(f"ttl_{name}[{key!r}] must be a number above 0 or None, not {ttl!r}")

    @property
    def volatilities(self) -> frozenset[str]:
        """The classes that have a time to live."""
        return frozenset(TTL_BY_VOLATILITY) | frozenset(self.by_volatility)

    def ttl_of(self, profile: Profile) -> float | None:
        """Seconds that an answer of this profile may be served; None for ever."""
        if self.by_tag:
            of_tags = [
                math.inf if ttl is None else ttl
                for pattern, ttl in self.by_tag.items()
                if any(tag_pattern(canonical_tag(pattern)).fullmatch(tag) for tag in profile.tags)
            ]
            if of_tags:
                shortest = min(of_tags)
                return None if math.isinf(shortest) else shortest
        if profile.query_type in self.by_query_type:
            return self.by_query_type[profile.query_type]
        if profile.volatility in self.by_volatility:
            return self.by_volatility[profile.volatility]
        usual = TTL_BY_VOLATILITY.get(profile.volatility)
        if usual is None:
            return self.default
        return usual if not self.is_default_given or self.default is None else min(usual, self.default)


def _is_duration(ttl: object) -> bool:
    return isinstance(ttl, int | float) and not isinstance(ttl, bool) and math.isfinite(ttl) and ttl > 0
