"""What a command is to the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Command", "Run"]

Run = Callable[[], int]
"""A command whose arguments have been read: runs it and returns the exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command.

    Args:
        name: as it is typed.
        read: its parameters are the arguments, as typer understands them; it returns what is to be run. It imports the
            run in its body: `--help` of all commands must not cost the imports of all.
        summary: a few words in the list of commands.
        example: a whole command line, at most 68 characters: it stands in the help on one line of a narrow terminal.
        description: the help of the command; by default the summary.
    """

    name: str
    read: Callable[..., Run]
    summary: str
    example: str
    description: str = ""
