"""What one entry and one alias count towards a store's byte limit: the same in every store."""

from __future__ import annotations

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.types import Alias, Entry

__all__ = ["ALIAS_OVERHEAD", "ENTRY_OVERHEAD", "alias_bytes", "check_limits", "entry_bytes"]

ENTRY_OVERHEAD = 1536
"""Digests, numbers and index rows beside an entry's text, answer and vector: by tracemalloc 1.5 KB in memory
in a scope of many and 1.9 KB in a scope of its own."""
ALIAS_OVERHEAD = 512


def entry_bytes(entry: Entry) -> int:
    """Bytes of text and answer in UTF-8 and of the vector, and a fixed overhead."""
    vector = 0 if entry.vector is None else entry.vector.size * 4
    return _utf8(entry.text) + _utf8(entry.answer_json) + vector + ENTRY_OVERHEAD


def alias_bytes(alias: Alias) -> int:
    return _utf8(alias.text) + ALIAS_OVERHEAD


def check_limits(max_entries: int, max_bytes: int) -> None:
    """
    Raises:
        ConfigError: a limit is not an integer of at least 1.
    """
    for name, value in (("max_entries", max_entries), ("max_bytes", max_bytes)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name} must be an integer of at least 1, not {value!r}")


def _utf8(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
