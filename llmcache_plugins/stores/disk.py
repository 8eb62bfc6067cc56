"""The store in one SQLite file: several threads and processes, nothing lost when one of them is killed.

Entries are read from the file; vectors are kept in memory for the search, too, and follow a log of changes in the
file, so that what another process writes is found at the next look-up.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.policies.eviction import Lru
from llmcache_plugins.protocols import EvictionPolicy
from llmcache_plugins.stores.capacity import check_limits
from llmcache_plugins.stores.disk_invalidations import DiskInvalidations
from llmcache_plugins.stores.disk_leases import DiskLeases
from llmcache_plugins.stores.disk_reading import DiskReads
from llmcache_plugins.stores.disk_tallies import DiskTallies
from llmcache_plugins.stores.disk_tiers import DiskTiers
from llmcache_plugins.stores.disk_writing import DiskWrites
from llmcache_plugins.stores.priorities import Priorities

__all__ = ["DiskStore"]

_LRU = Lru()
_LONGEST_WAIT = 3600.0


class DiskStore(DiskReads, DiskWrites, DiskTiers, DiskInvalidations, DiskLeases, DiskTallies):
    """Keeps everything in an SQLite file (WAL mode). Which entries leave first does not depend on who wrote them.

    A write is durable when the verb returns, whatever happens to the process; when the machine loses power the last
    ones may be missing, and the file is still whole. The file keeps the size it once had.

    Args:
        path: of the file; made, with its folder, when it is not there (readable by its owner only). A file of an
            earlier version is brought up to date, and cannot be used by that version any more.
        max_entries: capacity in entries; as many aliases are kept besides, the oldest leave first.
        max_bytes: capacity in bytes of texts, answers and vectors (see `stores.capacity`).
        eviction: who leaves first when the store is full; by default the least recently used.
        eviction_by_tier: other policies for entries placed in these tiers.
        last_tier: what is placed there, or in no tier, leaves before everything else.
        busy_timeout: seconds to wait for another process' lock.

    Raises:
        ConfigError: a limit is below 1, or `path` names no file.
        StoreCorrupt: the file is damaged, of another program or of a later version; it is left as it is.
        StoreUnavailable: the file cannot be opened or is locked.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        max_entries: int = 10_000,
        max_bytes: int = 256 * 1024 * 1024,
        eviction: EvictionPolicy = _LRU,
        eviction_by_tier: Mapping[str, EvictionPolicy] = MappingProxyType({}),
        last_tier: str = "",
        busy_timeout: float = 5.0,
    ) -> None:
        check_limits(max_entries, max_bytes)
        if os.fspath(path) in ("", ":memory:"):
            raise ConfigError(
                f"path must name a file, not {os.fspath(path)!r}; use MemoryStore to keep nothing on disk"
            )
        if not 0 <= busy_timeout <= _LONGEST_WAIT:
            raise ConfigError(f"busy_timeout must be a number from 0 to {_LONGEST_WAIT:g}, not {busy_timeout!r}")
        super().__init__(
            Path(path),
            max_entries=max_entries,
            max_bytes=max_bytes,
            priorities=Priorities(eviction, eviction_by_tier, last_tier),
            busy_timeout=busy_timeout,
        )
