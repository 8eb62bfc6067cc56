"""Leases in memory: the right to do one thing until a deadline, and who came later."""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict

from llmcache_plugins.selection import Lease

__all__ = ["LeaseTable"]

_REMEMBERED = 10_000


class LeaseTable:
    """Not thread-safe.

    An ended lease is remembered, so that an answer computed under an earlier one is known to be late. Of very many
    names the oldest ended ones are forgotten: what was fenced by a lease older than those counts as late, too.
    """

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._tokens = itertools.count(1)
        self._leases: OrderedDict[str, Lease] = OrderedDict()  # longest not renewed first
        self._forgotten = 0

    def acquire(self, name: str, holder: str, now: float, until: float) -> Lease | None:
        current = self._leases.get(name)
        if current is None or current.until <= now:
            token = next(self._tokens)
        elif current.holder == holder:
            token = current.token
        else:
            return None
        lease = self._leases[name] = Lease(name, holder, token, until)
        self._leases.move_to_end(name)
        self._forget(now)
        return lease

    def release(self, lease: Lease) -> None:
        current = self._leases.get(lease.name)
        if current is not None and (current.token, current.holder) == (lease.token, lease.holder):
            self._leases[lease.name] = Lease(lease.name, lease.holder, lease.token, -math.inf)

    def is_late(self, fence: Lease) -> bool:
        """Was a later lease of this name given?"""
        current = self._leases.get(fence.name)
        return (self._forgotten if current is None else current.token) > fence.token

    def _forget(self, now: float) -> None:
        while len(self._leases) > self._remembered:
            oldest = next(iter(self._leases.values()))
            if oldest.until > now:
                return
            del self._leases[oldest.name]
            self._forgotten = max(self._forgotten, oldest.token)
