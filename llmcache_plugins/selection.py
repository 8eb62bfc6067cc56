"""Which entries: one selector for invalidation, warming and analysis. Pure, and storable as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.types import Entry, JsonValue, Namespace, Stored

__all__ = ["Invalidated", "Invalidation", "Lease", "Page", "Selector", "canonical_tag", "last_seen", "tag_pattern"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Entries for which all that is given holds; without anything given, every entry.

    Args:
        scope: digest of a scope.
        keys: keys of entries, any of them.
        tags: the entry has all of these tags.
        tag_patterns: for each of these patterns the entry has a tag that fits; `*` stands for any text, `?` for one
            sign, `[a1-9]` for one of these and `[!a1-9]` for any other; `[*]` is a star itself.
        query_types: the entry is of one of these types.
        models: the answer is of one of these models.
        namespace: the entry is stored under this namespace or below it.
        levels: the entry's label is of one of these levels (`"device"`, `"site"`, `"global"`).
        stored_before: the answer was stored before this instant.
        tier: the entry is placed in this tier.
        idle_since: the entry has not been read, stored or placed since this instant.
        is_stale: the entry was marked stale, or not.

    Raises:
        ConfigError: a field is of another type than said here, or empty where that would mean "everything".
    """

    scope: str | None = None
    keys: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    tag_patterns: tuple[str, ...] = ()
    query_types: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    namespace: Namespace = ()
    levels: tuple[str, ...] = ()
    stored_before: float | None = None
    tier: str | None = None
    idle_since: float | None = None
    is_stale: bool | None = None
    _keys: frozenset[str] = field(init=False, repr=False, compare=False, default=frozenset())

    def __post_init__(self) -> None:
        for name in ("keys", "tags", "tag_patterns", "query_types", "models", "namespace", "levels"):
            object.__setattr__(self, name, _texts(name, getattr(self, name)))
        for name in ("tags", "tag_patterns"):
            object.__setattr__(self, name, tuple(map(canonical_tag, getattr(self, name))))
        object.__setattr__(self, "_keys", frozenset(self.keys))  # there may be thousands
        for name in ("scope", "tier"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and value):
                raise ConfigError(f"{name} must be a non-empty string or None, not {value!r}")
        for name in ("stored_before", "idle_since"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                raise ConfigError(f"{name} must be seconds since the epoch or None, not {value!r}")
        for pattern in self.tag_patterns:
            tag_pattern(pattern)

    @property
    def is_empty(self) -> bool:
        """True when nothing is given: it selects every entry."""
        return not self.to_json()

    def matches(self, entry: Entry) -> bool:
        """Does all hold that the entry itself can tell? (Not: `tier` and `idle_since`.)"""
        profile = entry.profile
        return (
            not entry.is_note
            and (self.scope is None or entry.scope == self.scope)
            and (not self.keys or entry.key in self._keys)
            and (not self.tags or set(self.tags).issubset(profile.tags))
            and all(any(tag_pattern(p).fullmatch(tag) for tag in profile.tags) for p in self.tag_patterns)
            and (not self.query_types or profile.query_type in self.query_types)
            and (not self.models or entry.model in self.models)
            and entry.namespace[: len(self.namespace)] == self.namespace
            and (not self.levels or _level_of(entry.label) in self.levels)
            and (self.stored_before is None or entry.created_at < self.stored_before)
            and (self.is_stale is None or (entry.stale_at is not None) is self.is_stale)
        )

    def matches_stored(self, stored: Stored) -> bool:
        """Does all hold, also what only the store knows?"""
        return (
            (self.tier is None or stored.tier == self.tier)
            and (self.idle_since is None or last_seen(stored) < self.idle_since)
            and self.matches(stored.entry)
        )

    def to_json(self) -> dict[str, JsonValue]:
        """What is given, as JSON."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if f.init}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if value is not None and value != ()
        }

    @classmethod
    def from_json(cls, content: Mapping[str, JsonValue]) -> Selector:
        """
        Raises:
            ConfigError: it is not what `to_json` gives; names the field.
        """
        known = {f.name for f in fields(cls) if f.init}
        for name in content:
            if name not in known:
                raise ConfigError(f"a selector has no field {name!r}; it has {', '.join(sorted(known))}")
        given: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in content.items()}
        return cls(**given)


@dataclass(frozen=True, slots=True)
class Invalidation:
    """One invalidation as the store's log keeps it. `number` grows with each; `count` entries were there to be removed
    or marked when it was noted, those beyond the limit of that call included."""

    number: int
    at: float
    selector: Selector
    reason: str = ""
    mode: str = "now"
    count: int = 0

    def undoes(self, entry: Entry, tier: str = "") -> bool:
        """Does it select this answer, which was asked for before it and is only now to be stored in `tier`?

        Such an answer is as old as its question: a bound in time that reaches up to the invalidation includes it.
        """
        if self.selector.stored_before is not None or self.selector.idle_since is not None:
            entry = replace(entry, created_at=min(entry.created_at, math.nextafter(self.at, -math.inf)))
        return self.selector.matches_stored(Stored(entry, tier=tier))


@dataclass(frozen=True, slots=True)
class Invalidated:
    """What came of one: its number in the log, and (scope, key) of the entries that were removed or marked."""

    number: int
    addresses: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the entries in the order they were stored; `after` starts the next one, None when there is none. With
    `has_failed` the store could not be asked, and nothing is known."""

    rows: tuple[Stored, ...] = ()
    after: int | None = None
    has_failed: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do one thing until a deadline. A later lease of the same name has a larger `token`."""

    name: str
    holder: str
    token: int
    until: float


def canonical_tag(tag: str) -> str:
    """The tag as it is stored: names of devices, sites and interfaces are in lower case, for a monitor writes `RTR-001`
    where a user asks about `rtr-001`.

    >>> canonical_tag("device:RTR-001"), canonical_tag("ticket:INC42")
    ('device:rtr-001', 'ticket:INC42')
    """
    return tag.lower() if tag.startswith(("device:", "site:", "interface:")) else tag


def last_seen(stored: Stored) -> float:
    """When the entry was last read, placed or stored."""
    return max(stored.last_access or 0.0, stored.placed_at or 0.0, stored.entry.created_at)


@lru_cache(maxsize=512)
def tag_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern as a regular expression; only `*`, `?` and `[...]` mean anything, and case counts.

    >>> bool(tag_pattern("device:rtr-001:*").fullmatch("device:rtr-001:config"))
    True
    >>> bool(tag_pattern("a.b").fullmatch("axb"))
    False
    """
    parts: list[str] = []
    place = 0
    while place < len(pattern):
        sign = pattern[place]
        closing = pattern.find("]", place + 2) if sign == "[" else -1
        if closing > 0:
            inside = pattern[place + 1 : closing]
            negated = inside.startswith("!") and len(inside) > 1
            parts.append("[" + ("^" if negated else "") + _in_class(inside[negated:]) + "]")
            place = closing
        elif sign == "*":
            if not parts or parts[-1] != ".*":
                parts.append(".*")
        else:
            parts.append("." if sign == "?" else re.escape(sign))
        place += 1
    return re.compile("".join(parts), re.DOTALL)


def _in_class(text: str) -> str:
    parts = []
    place = 0
    while place < len(text):
        last = place + 2 if text[place + 1 : place + 2] == "-" and place + 2 < len(text) else place
        low, high = sorted((text[place], text[last]))
        parts.append(f"{_escaped(low)}-{_escaped(high)}" if last > place else _escaped(low))
        place = last + 1
    return "".join(parts)


def _escaped(sign: str) -> str:
    return "\\" + sign if sign in "\\]^[&~|-" else sign


def _level_of(label: str) -> str:
    """`v1:device:...` -> `device`."""
    parts = label.split(":", 2)
    return parts[1] if len(parts) > 2 else ""


def _texts(name: str, value: str | Sequence[str]) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple | set) else (None,)
    if not all(isinstance(text, str) and text for text in texts):
        raise ConfigError(f"{name} must be a non-empty string or several of them, not {value!r}")
    return tuple(text for text in texts if text is not None)
