"""One warming under way: its questions, its accounts, and what is remembered for the next run."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from llmcache_plugins.errors import ConfigError, why
from llmcache_plugins.types import Request
from llmcache_plugins.warming.models import WarmModel
from llmcache_plugins.warming.plan import Plan
from llmcache_plugins.warming.report import WarmProgress, WarmReport
from llmcache_plugins.warming.resume import read_done, write_done
from llmcache_plugins.warming.settings import WarmSettings

__all__ = ["Course", "Done", "in_file"]

_log = logging.getLogger(__name__)
_EVERY = 25  # questions; what a killed run did since then is skipped as fresh, or asked once more
_PART = 50  # of a long run, only after another fiftieth: each time all of it is written


class Done:
    """Digests of the questions that a run has done, kept from run to run until one comes to its end.

    Args:
        load: the text kept last, or None.
        save: keeps a text; None forgets it. Neither raises.
    """

    def __init__(self, load: Callable[[], str | None], save: Callable[[str | None], None]) -> None:
        self._save = save
        self._lock = threading.Lock()
        self.digests = read_done(load())
        self._unsaved = 0

    def add(self, digest: str) -> None:
        with self._lock:
            self.digests.add(digest)
            self._unsaved += 1
            if self._unsaved >= max(_EVERY, len(self.digests) // _PART):
                self._save_all()

    def end(self, *, is_complete: bool) -> None:
        """The run has ended: forget it when nothing is left to do."""
        with self._lock:
            if is_complete:
                self._save(None)
            elif self._unsaved:
                self._save_all()

    def _save_all(self) -> None:
        self._unsaved = 0
        self._save(write_done(self.digests))


def in_file(path: Path) -> Done:
    """Kept in a file of its own, which is replaced whole."""

    def load() -> str | None:
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None

    def save(text: str | None) -> None:
        try:
            if text is None:
                path.unlink(missing_ok=True)
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            half = path.with_name(f"{path.name}.{os.getpid()}.part")
            half.write_text(text, encoding="utf-8")
            half.replace(path)
        except OSError as error:
            _log.warning("the warming cannot be gone on with later: %s cannot be written (%s)", path, why(error))

    if path.is_dir():
        raise ConfigError(f"resume must be a file, and {path} is a folder")
    return Done(load, save)


class Course:
    """The questions of one warming by digest, with what all of its threads or tasks share."""

    def __init__(
        self,
        questions: dict[str, Request | str],
        model: WarmModel,
        settings: WarmSettings,
        plan: Plan[str],
        done: Done | None,
        progress: Callable[[WarmProgress], None] | None,
    ) -> None:
        self.questions = questions
        self.model = model
        self.settings = settings
        self.plan = plan
        self._done = done
        self._progress = progress

    def note(self, digest: str, *, is_done: bool) -> None:
        """A question has had its turn."""
        if is_done:
            self.remember(digest)
        self.tell()

    @property
    def remembers(self) -> bool:
        """Is what is done kept for the next run?"""
        return self._done is not None

    def remember(self, digest: str) -> None:
        """Keep that a question is done. May write."""
        if self._done is not None:
            self._done.add(digest)

    def tell(self) -> None:
        """Say how far it is."""
        if self._progress is not None:
            self._progress(self.plan.progress())

    def end(self) -> WarmReport:
        """What came of it; what is not done is remembered, if it is to be."""
        report = self.plan.report()
        if self._done is not None:
            self._done.end(is_complete=not report.remaining and not report.failed)
        return report
