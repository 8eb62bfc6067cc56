"""A progress bar on stderr for `progress=True`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.warming.report import WarmProgress

__all__ = ["progress_bar"]


@contextmanager
def progress_bar() -> Iterator[Callable[[WarmProgress], None]]:
    """Shows what it is told; where stderr is no terminal, nothing.

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
        TextColumn("warming"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("warming", total=None, said="")

        def show(at: WarmProgress) -> None:
            said = f"{at.skipped} fresh, {at.calls} calls" + ("" if at.cost is None else f", cost {at.cost:.2f}")
            said += f", {at.failed} failed" if at.failed else ""
            progress.update(task, completed=at.done, total=at.total, said=said)

        yield show
