"""Guards by what they look at, to be measured one set at a time."""

from __future__ import annotations

from collections.abc import Mapping

from llmcache_plugins.matching.guards import DEFAULT_GUARDS
from llmcache_plugins.protocols import Guard

__all__ = ["GUARD_SETS", "with_set"]

_NAMES_OF: Mapping[str, tuple[str, ...]] = {
    "numbers, dates, versions": ("numbers", "dates", "versions"),
    "identifiers, addresses, quotes, names": (
        *("identifiers", "ip_addresses", "quotes", "names", "named", "exact_case", "case", "accents", "signs"),
    ),
    "negation, opposites, scope": ("negation", "opposites", "foreign_polarity", "scope"),
    "question, form, language": ("question", "asks", "small_words", "form", "language"),
    "entities, order, direction": ("entities", "order", "direction", "edits"),
}
GUARD_SETS: Mapping[str, tuple[Guard, ...]] = {
    title: tuple(guard for guard in DEFAULT_GUARDS if guard.name in names) for title, names in _NAMES_OF.items()
}
"""Title -> guards. Each default guard is in one set."""


def with_set(title: str) -> str:
    """The method that has a cosine of 0.95 and this set of guards, by name."""
    return f"cosine 0.95 and {title}"
