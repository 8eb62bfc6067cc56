"""A bar for long runs that is drawn only when something is said: its thread would be timed, too."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

__all__ = ["Say", "progress"]

Say: TypeAlias = Callable[[str, int, int], None]
"""What is done now, how much of it is done, and of how much."""


@contextmanager
def progress() -> Iterator[Say]:
    """Shows what the block says; where there is no terminal, one line for each thing that is begun."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console, said = Console(file=sys.stderr), ""
    with Progress(*columns, console=console, auto_refresh=False) as bar:
        task = bar.add_task("starting", total=1)

        def say(what: str, done: int, total: int) -> None:
            nonlocal said
            if not console.is_terminal and what != said:
                console.print(f"{what}, {done} of {total}")
            said = what
            bar.update(task, description=what, completed=done, total=total, refresh=True)

        yield say
