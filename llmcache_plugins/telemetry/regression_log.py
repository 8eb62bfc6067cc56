"""The pairs that users reported as wrongly matched: cases to test the next settings with."""

from __future__ import annotations

from collections import deque

from llmcache_plugins.quality import Regression
from llmcache_plugins.recorded import Event, ReportEvent
from llmcache_plugins.telemetry.line_file import LineFile

__all__ = ["RegressionLog"]

_LIMIT = 1000


class RegressionLog:
    """A recorder of reported pairs.

    Args:
        file: also append them here, as labelled pairs that `llmcache eval` reads. It is never rotated: each is
            a case to test with for good.
    """

    def __init__(self, file: LineFile | None = None) -> None:
        self._regressions: deque[Regression] = deque(maxlen=_LIMIT)
        self._file = None if file is None else file.never_rotated()

    def __call__(self, event: Event) -> None:
        if not isinstance(event, ReportEvent) or event.reported.regression is None:
            return
        self._regressions.append(event.reported.regression)
        if self._file is not None:
            self._file.add(event.reported.regression.row())
            self._file.write()

    def snapshot(self) -> tuple[Regression, ...]:
        """Those of this process, newest last."""
        return tuple(self._regressions.copy())

    def close(self) -> None:
        """Write what could not be written before."""
        if self._file is not None:
            self._file.write()
