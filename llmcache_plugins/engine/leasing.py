"""Leading a flight against other processes too: a lease of the store's, or waiting until its holder has an answer."""

from __future__ import annotations

import itertools
import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from llmcache_plugins.engine.flight_steps import Pause
from llmcache_plugins.engine.rules import Flow, Found, NotFound
from llmcache_plugins.engine.singleflight import Flight
from llmcache_plugins.engine.steps import Acquire
from llmcache_plugins.errors import StoreError
from llmcache_plugins.protocols import Clock

__all__ = ["Holders", "Leasing", "lease_flow"]

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25


class Holders:
    """Names for the holders of leases: no two flights have the same one, be they of other caches, processes or hosts.

    One for each flight: when a leader is late and another one of this cache takes over, they are two to the store.
    """

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        """A forked child is somebody else."""
        self._node = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._numbers = itertools.count(1)

    def __call__(self) -> str:
        return f"{self._node}:{next(self._numbers)}"


@dataclass(frozen=True, slots=True)
class Leasing:
    """How the flights of a cache are shared with other processes.

    Args:
        tier: place of the store that all share.
        timeout: seconds after which a holder that has not landed is out, and the longest wait for one.
        holder: gives a name for each flight.
        clock: the time; leases end by the wall clock, which processes share.
    """

    tier: int
    timeout: float
    holder: Callable[[], str]
    clock: Clock
    fail_open: bool = True


def lease_flow(
    flight: Flight, look_exact: Callable[[], Flow[Found | NotFound]], leasing: Leasing, *, may_wait: bool
) -> Flow[Found | NotFound | None]:
    """Get the lease of this flight, and look whether the answer is there by now; while another process has the lease,
    wait for either. A leader who must not wait, or has waited too long, goes without a lease.

    Returns:
        The last look; None when another process is at it and `may_wait` is False.
    """
    holder, waited, pause = leasing.holder(), 0.0, _FIRST_PAUSE
    while True:
        if (yield from _acquire(flight, holder, leasing)):
            return (yield from look_exact())
        if not may_wait:
            return None
        if waited >= leasing.timeout or not (yield Pause(flight, pause)):
            return (yield from look_exact())
        waited, pause = waited + pause, min(2 * pause, _LONGEST_PAUSE)
        found = yield from look_exact()
        if isinstance(found, Found):
            return found


def _acquire(flight: Flight, holder: str, leasing: Leasing) -> Flow[bool]:
    """False when somebody else has the lease. A store that cannot tell is no reason to wait."""
    now = leasing.clock.now()
    try:
        lease = yield Acquire(leasing.tier, f"flight:{flight.key}", holder, now, now + leasing.timeout)
    except StoreError:
        if not leasing.fail_open:
            raise
        return True
    flight.lease = lease
    return lease is not None
