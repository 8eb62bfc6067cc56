"""A selector as a condition of SQL, exactly: what it finds in a cache file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from llmcache_plugins.selection import Selector, tag_pattern
from llmcache_plugins.stores.rows import namespace_path, storable

__all__ = ["Selection", "selection_of", "tag_fits"]

_SPELT = re.compile(r"\\ud[89a-f][0-9a-f]{2}")
_LITERAL = re.compile(r"[^*?\[]*")
_LAST_SIGN, _BEFORE_SURROGATES, _AFTER_SURROGATES = 0x10FFFF, 0xD7FF, 0xE000
_HAS_TAG = "EXISTS (SELECT 1 FROM entry_tags o WHERE o.tag = ? AND o.entry = e.id)"
_HAS_FITTING_TAG = "EXISTS (SELECT 1 FROM entry_tags o WHERE o.entry = e.id AND tag_fits(?, o.tag))"
_IN = "IN (SELECT value FROM json_each(?))"  # there may be more keys than a statement takes values
_LAST_SEEN = "max(ifnull(e.last_access, 0), ifnull(e.placed_at, 0), e.created_at)"


@dataclass(slots=True)
class Selection:
    """FROM and WHERE of a query about `entries e`. With `is_narrow` only what matches is read, in any order."""

    source: str = "entries e"
    is_narrow: bool = False
    conditions: list[str] = field(default_factory=lambda: ["NOT e.is_note"])
    _of_source: list[object] = field(default_factory=list)
    _of_conditions: list[object] = field(default_factory=list)

    def ordered(self, columns: str, more: str = "", values: Sequence[object] = ()) -> tuple[str, list[object]]:
        """The query, oldest stored first, and its values; `more` is a further condition, with a limit behind it."""
        # Without the "+" SQLite would go through all entries in this order rather than sort the few that match.
        order = "+e.inserted" if self.is_narrow else "e.inserted"
        where = " AND ".join([*self.conditions, more.format(order=order)] if more else self.conditions)
        query = f"SELECT {columns} FROM {self.source} WHERE {where} ORDER BY {order}"
        return query, [*self._of_source, *self._of_conditions, *values]

    def start_from(self, source: str, *values: object) -> None:
        self.source = f"{source} CROSS JOIN entries e"  # CROSS: in this order, whatever SQLite guesses about sizes
        self.is_narrow = True
        self._of_source.extend(values)
        self.conditions.append("e.id = t.entry")

    def narrow(self, condition: str, *values: object) -> None:
        self.is_narrow = True
        self.add(condition, *values)

    def add(self, condition: str, *values: object) -> None:
        self.conditions.append(condition)
        self._of_conditions.extend(values)


def selection_of(selector: Selector) -> Selection:
    """What finds the entries of this selector."""
    selection = Selection()
    _add_addresses(selection, selector)
    _add_tags(selection, selector)
    for column, texts in (
        ("query_type", selector.query_types),
        ("model", selector.models),
        ("level", selector.levels),
    ):
        if texts:
            selection.add(f"e.{column} IN ({','.join('?' * len(texts))})", *map(storable, texts))
    if selector.namespace:
        path = namespace_path(selector.namespace)
        selection.add("substr(e.namespace, 1, ?) = ?", len(path), path)
    if selector.stored_before is not None:
        selection.add("e.created_at < ?", selector.stored_before)
    if selector.tier is not None:
        selection.add("e.tier = ?", selector.tier)
    if selector.idle_since is not None:
        selection.add(f"{_LAST_SEEN} < ?", selector.idle_since)
    if selector.is_stale is not None:
        selection.add("e.stale_at IS NOT NULL" if selector.is_stale else "e.stale_at IS NULL")
    return selection


def _add_addresses(selection: Selection, selector: Selector) -> None:
    if selector.scope is not None:
        selection.narrow("e.scope = ?", selector.scope)
    if not selector.keys:
        return
    keys = json.dumps(selector.keys)
    if selector.scope is not None:
        selection.add(f"e.key {_IN}", keys)
    else:  # reads the keys of all entries in their index, but no entry that does not match
        selection.start_from(f"(SELECT id AS entry FROM entries WHERE key {_IN}) t", keys)


def _add_tags(selection: Selection, selector: Selector) -> None:
    tags = [storable(tag) for tag in selector.tags]
    patterns = [storable(pattern) for pattern in selector.tag_patterns]
    if not selection.is_narrow and tags:
        selection.start_from("(SELECT entry FROM entry_tags WHERE tag = ?) t", tags.pop())
    elif not selection.is_narrow and patterns:
        pattern = patterns.pop()
        first, beyond = _range_of(pattern)
        below = "" if beyond is None else "AND tag < ?"
        fitting = f"SELECT DISTINCT entry FROM entry_tags WHERE tag >= ? {below} AND tag_fits(?, tag)"
        values = [first, pattern] if beyond is None else [first, beyond, pattern]
        selection.start_from(f"({fitting}) t", *values)
    for tag in tags:
        selection.add(_HAS_TAG, tag)
    for pattern in patterns:
        selection.add(_HAS_FITTING_TAG, pattern)


def tag_fits(pattern: str, tag: object) -> bool:
    """For use in a statement; `tag` is what the row holds, which may be damaged."""
    return isinstance(tag, str) and tag_pattern(_unspelt(pattern)).fullmatch(_unspelt(tag)) is not None


def _unspelt(text: str) -> str:
    """What `storable` was given: a lone surrogate is one sign to a pattern, not the six it is spelt with."""
    return _SPELT.sub(lambda found: chr(int(found.group()[2:], 16)), text) if "\\ud" in text else text


def _range_of(pattern: str) -> tuple[str, str | None]:
    """The texts that begin as the pattern does are from the first of these on, and before the second.

    >>> _range_of("device:*")
    ('device:', 'device;')
    """
    found = _LITERAL.match(pattern)
    literal = found.group() if found else ""
    beyond = literal
    while beyond and ord(beyond[-1]) == _LAST_SIGN:
        beyond = beyond[:-1]
    if not beyond:
        return literal, None
    last = ord(beyond[-1])
    return literal, beyond[:-1] + chr(_AFTER_SURROGATES if last == _BEFORE_SURROGATES else last + 1)
