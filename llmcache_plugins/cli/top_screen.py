"""The live picture of `llmcache top`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from llmcache_plugins.cli.report_table import drawn
from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.report import Section

try:
    from rich.console import Console
    from rich.live import Live
except ImportError as error:
    raise MissingExtraError("the live table of llmcache top", "cli") from error

__all__ = ["live"]


@contextmanager
def live(console: Console | None = None) -> Iterator[Callable[[Sequence[Section]], None]]:
    """Draws in the same place each time; the last picture stays when it ends."""
    with Live(console=console, auto_refresh=False) as picture:
        yield lambda sections: picture.update(drawn(sections), refresh=True)
