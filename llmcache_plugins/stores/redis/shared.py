"""What the store on a server and its twin for event loops know together."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Hashable, Mapping
from threading import Lock
from typing import get_args

from llmcache_plugins.errors import ConfigError, StoreError, StoreUnavailable
from llmcache_plugins.protocols import Capabilities, EvictionPolicy
from llmcache_plugins.stores.capacity import check_limits
from llmcache_plugins.stores.codec import VectorType
from llmcache_plugins.stores.priorities import Priorities
from llmcache_plugins.stores.redis.buckets import Buckets
from llmcache_plugins.stores.redis.cluster import server_of
from llmcache_plugins.stores.redis.finding import INDEXES, ChosenFinder, IndexChoice
from llmcache_plugins.stores.redis.follower import Follower
from llmcache_plugins.stores.redis.layout import Layout
from llmcache_plugins.stores.redis.memory_limit import MemoryLimit
from llmcache_plugins.stores.redis.raising import Rules
from llmcache_plugins.stores.redis.server import ResponseError
from llmcache_plugins.stores.redis.verbs import Verbs

__all__ = ["CAPABILITIES", "Shared"]

CAPABILITIES = Capabilities(is_blocking=True, is_persistent=True, is_shared=True)

_log = logging.getLogger(__name__)


class Shared:
    """What both twins of one store know: made once, shared by threads and event loops."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        max_entries: int,
        max_bytes: int,
        eviction: EvictionPolicy,
        eviction_by_tier: Mapping[str, EvictionPolicy],
        last_tier: str,
        index: IndexChoice,
        vectors: VectorType,
        compress_above: int | None,
        timeout: float,
        max_connections: int,
        staleness: float,
        buckets: int,
        maxmemory: int | None,
        maxmemory_policy: str | None,
    ) -> None:
        self.memory_limit = MemoryLimit(maxmemory, maxmemory_policy)
        self.is_limit_owed = bool(self.memory_limit)
        check_limits(max_entries, max_bytes)
        if index not in INDEXES:
            raise ConfigError(f"index must be one of {', '.join(INDEXES)}, not {index!r}")
        if vectors not in get_args(VectorType):
            raise ConfigError(f"vectors must be one of {', '.join(get_args(VectorType))}, not {vectors!r}")
        if compress_above is not None and (not isinstance(compress_above, int) or not compress_above >= 0):
            raise ConfigError(f"compress_above must be bytes, an integer from 0 on or None, not {compress_above!r}")
        if not isinstance(staleness, int | float) or not 0.05 <= staleness <= 60:
            raise ConfigError(f"staleness must be seconds from 0.05 to 60, not {staleness!r}")
        self.server = server_of(url, timeout=timeout, max_connections=max_connections)
        is_cluster = self.server.is_cluster
        if not isinstance(buckets, int) or not 1 <= buckets <= 1024:
            raise ConfigError(f"buckets must be an integer from 1 to 1024, not {buckets!r}")
        count = buckets if is_cluster else 1
        self.finders = [ChosenFinder(index) for _ in range(count)]
        made = [
            Verbs(
                Layout(f"{prefix}.{number}" if is_cluster else prefix),
                max_entries=math.ceil(max_entries / count),
                max_bytes=math.ceil(max_bytes / count),
                priorities=Priorities(eviction, eviction_by_tier, last_tier),
                rules=Rules(eviction, eviction_by_tier),
                last_tier=last_tier,
                finder=finder,
                vectors=vectors,
                compress_above=compress_above,
            )
            for number, finder in enumerate(self.finders)
        ]
        self.flows: Verbs | Buckets = Buckets(made) if is_cluster else made[0]
        self.follower = Follower(self.server, made, staleness)
        self.is_closed = False
        self._process = os.getpid()
        self._limit_lock = Lock()

    def check_open(self) -> None:
        """
        Raises:
            StoreUnavailable: the store was closed.
        """
        if self.is_closed:
            raise StoreUnavailable(f"the store at {self.server.where} is closed")

    def take_limit(self) -> bool:
        """True for the first who asks: he sets the server's limit of memory."""
        with self._limit_lock:
            is_owed, self.is_limit_owed = self.is_limit_owed, False
        return is_owed

    def limit_failed(self, error: StoreError) -> None:
        """It could not be set."""
        if isinstance(error, StoreUnavailable) and not isinstance(error.__cause__, ResponseError):
            self.is_limit_owed = True  # it does not answer now: later
            return
        _log.warning(
            "the limit of memory of %s was not set (%s): set maxmemory and maxmemory-policy where the server is "
            "configured, and leave them out here",
            self.server.where,
            error,
        )

    def heard_version(self) -> Hashable | None:
        """What was heard of the server; None when that is too long ago."""
        return self.flows.known_version() if self.follower.is_sure else None

    def close(self) -> None:
        self.is_closed = True
        self.follower.close()

    def after_fork(self) -> bool:
        """True in the child, where everything begins anew."""
        if os.getpid() == self._process:
            return False
        self._process = os.getpid()
        self._limit_lock = Lock()
        self.server.after_fork()
        self.flows.after_fork()
        self.follower.after_fork()
        return True
