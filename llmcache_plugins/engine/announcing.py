"""Tells everybody who listens what happened."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from llmcache_plugins.errors import StoreError
from llmcache_plugins.protocols import Recorder
from llmcache_plugins.recorded import ErrorEvent, Event

__all__ = ["Announcer"]

_log = logging.getLogger(__name__)


class Announcer:
    """Passes events to recorders; one that raises is logged once and dropped."""

    def __init__(self, recorders: Iterable[Recorder]) -> None:
        self._recorders = list(recorders)

    def __call__(self, event: Event) -> None:
        for recorder in self._recorders:
            try:
                recorder(event)
            except Exception as error:
                self._recorders = [r for r in self._recorders if r is not recorder]
                _log.warning("a recorder failed (%s) and is dropped", type(error).__name__)

    def add(self, recorder: Recorder) -> None:
        """Tell this one too, from now on. A new list: another thread may be telling those of the old one."""
        self._recorders = [*self._recorders, recorder]

    def remove(self, recorder: Recorder) -> None:
        """Tell this one no more; it may be gone already."""
        self._recorders = [r for r in self._recorders if r is not recorder]

    def error(self, component: str, error: BaseException) -> None:
        """A part failed and the caller was spared."""
        is_left_alone = isinstance(error, StoreError) and error.is_left_alone
        self(ErrorEvent(component, type(error).__name__, is_left_alone))
