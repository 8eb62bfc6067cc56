"""A progress bar on stderr for what reads a log."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.evaluation.vectors import Progress

__all__ = ["log_progress"]


@contextmanager
def log_progress() -> Iterator[Progress]:
    """Shows each stage; nothing where stderr is no terminal or rich is not installed."""
    if sys.stderr.isatty():
        try:
            from llmcache_plugins.cli.eval_report import progress_bar
        except MissingExtraError:
            pass
        else:
            with progress_bar() as progress:
                yield progress
            return
    yield lambda stage, done, total: None
