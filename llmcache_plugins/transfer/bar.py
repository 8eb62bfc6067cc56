"""A progress bar on stderr for `progress=True`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.transfer.reembed import ReembedProgress
from llmcache_plugins.transfer.report import TransferProgress

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[TransferProgress | ReembedProgress], None]]:
    """Shows what it is told; where stderr is no terminal, nothing.

    Args:
        what: is done, `"exporting"` for example.

    Raises:
        MissingExtraError: rich is not installed.
    """
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError as error:
        raise MissingExtraError("the progress bar", "cli") from error
    console = Console(stderr=True)
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=None, said="")

        def show(at: TransferProgress | ReembedProgress) -> None:
            said = f"{at.moved} moved" if isinstance(at, ReembedProgress) else f"{at.stored} stored"
            progress.update(task, completed=at.done, total=at.total, said=said)

        yield show
