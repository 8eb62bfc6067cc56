"""What the log is told of a server in trouble: one line when it begins, one when it is over. Pure but for a lock, the
clock given, and the log.

A trouble is of one kind: no connection, no memory, no rights. While it lasts, whatever else fails of it is no news; the
cache counts each failure.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from threading import Lock

__all__ = ["NO_WORK", "Outages"]

_log = logging.getLogger(__name__)
_QUIET = 60.0
_IN_A_ROW = 3
NO_WORK: frozenset[str] = frozenset()
"""Of a trouble that is over with whatever the server says; of a server that has said something and done nothing."""


@dataclass(slots=True)
class _Part:
    """A part of the server that is in trouble: of its works, those that were tried in vain."""

    works: set[str]
    failed_at: float


@dataclass(slots=True)
class _Outage:
    since: float
    end: str
    failures: int = 0
    is_told: bool = False
    parts: dict[bytes, _Part] = field(default_factory=dict)


class Outages:
    """The troubles of one server. Threads may share it.

    Args:
        where: names the server in the log.
        quiet: seconds. What comes back sooner after it was told is told when it fails three times in a row, so that a
            server that is slow now and then does not fill the log. And a part that was not asked for so long does not
            keep a trouble from being over.
        monotonic: the clock.
    """

    def __init__(self, where: str, *, quiet: float = _QUIET, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._where = where
        self._quiet = quiet
        self._monotonic = monotonic
        self.after_fork()

    def after_fork(self) -> None:
        self._lock = Lock()
        self._open: dict[str, _Outage] = {}
        self._told_at: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def failed(self, kind: str, part: bytes, works: Set[str], begin: str, end: str) -> None:
        """
        Args:
            kind: of trouble.
            part: of the server.
            works: what was tried in vain; `NO_WORK` where any reply says that the trouble is over.
            begin: of what the log says after the server's name.
            end: the same when it is over.
        """
        with self._lock:
            now = self._monotonic()
            outage = self._open.setdefault(kind, _Outage(now, end))
            known = outage.parts.setdefault(part, _Part(set(works), now))
            known.works |= works
            known.failed_at = now
            outage.failures += 1
            is_news = outage.failures >= _IN_A_ROW or now - self._told_at.get(kind, -self._quiet) >= self._quiet
            if outage.is_told or not is_news:
                return
            outage.is_told = True
            self._told_at[kind] = now
        _log.warning("the server at %s %s; the cache goes on without it", self._where, begin)

    def succeeded(self, part: bytes, works: Set[str], *, but: str = "") -> None:
        """This part has answered, and done these works.

        Args:
            but: a kind of trouble of which the answer tells.
        """
        over = []
        with self._lock:
            now = self._monotonic()
            for kind, outage in list(self._open.items()):
                known = None if kind == but else outage.parts.get(part)
                if known is not None and (not known.works or known.works & works):
                    del outage.parts[part]
                    outage.failures = 0
                if kind != but and all(now - one.failed_at >= self._quiet for one in outage.parts.values()):
                    del self._open[kind]
                    over += [outage] if outage.is_told else []
        for outage in over:
            _log.info("the server at %s %s, after %.1f s", self._where, outage.end, now - outage.since)
