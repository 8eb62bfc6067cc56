"""What travels: entries with what only a store knows of them, and what has to be known of where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmcache_plugins.types import Entry, Namespace

__all__ = ["Header", "Record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What is said of the entries before the first one.

    Args:
        exported_at: when the reading began, seconds since the epoch.
        key_version: of the digests that scopes and keys are.
        product: name and version of the program that wrote it.
        namespace: all entries are under this one.
        embedder_id: of the cache that wrote it; None where it had no embedder. Each vector says its own.
        epochs: the epochs that the digests were made in, by namespace.
        about: how many entries there were at the beginning; None when nobody counted them.
    """

    exported_at: float
    key_version: int
    product: str = ""
    namespace: Namespace = ()
    embedder_id: str | None = None
    epochs: Mapping[Namespace, str] = field(default_factory=dict)
    about: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One entry, with its vector where that travels along.

    `tier` is where it was placed. `reads` and `last_read` tell how it was used; a store counts anew.
    """

    entry: Entry
    tier: str = ""
    reads: int = 0
    last_read: float | None = None

    @property
    def address(self) -> tuple[str, str]:
        return self.entry.scope, self.entry.key
