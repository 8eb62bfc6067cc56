"""Small tables for people: with colours where somebody looks, plain where a program or a file reads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.report import Section
from llmcache_plugins.report.text import text_of

__all__ = ["in_words", "is_terminal", "one_line", "show"]

_STEPS = ((86_400.0, "d"), (3600.0, "h"), (60.0, "min"))


def show(sections: Sequence[Section], say: Callable[[str], None] = print) -> None:
    """Drawn when `say` is `print`, stdout is a terminal and rich is installed; else as text."""
    if say is print and is_terminal(sys.stdout):
        try:
            from llmcache_plugins.cli.report_table import print_sections
        except MissingExtraError:
            pass
        else:
            return print_sections(sections)
    say(text_of(sections))
    return None


def is_terminal(stream: TextIO | None) -> bool:
    """Does somebody look at it? None is a standard stream that was closed (`>&-`)."""
    return stream is not None and stream.isatty()


def one_line(text: str, longest: int = 60) -> str:
    """What somebody stored, fit for a terminal: white space as one blank, signs that would steer the terminal as `?`,
    and no more than `longest` characters.

    >>> one_line("Show\\n BGP\\x1b[2J", 12)
    'Show BGP?[2J'
    >>> one_line("Show the routes", 8)
    'Show th…'
    """
    cleaned = "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))
    return cleaned if len(cleaned) <= longest else cleaned[: longest - 1] + "…"


def in_words(seconds: float) -> str:
    """
    >>> in_words(42), in_words(5400), in_words(200000)
    ('42 s', '1.5 h', '2.3 d')
    """
    for length, unit in _STEPS:
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"
