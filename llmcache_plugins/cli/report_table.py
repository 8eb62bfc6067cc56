"""Tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.report import Section

try:
    from rich import box
    from rich.console import Console, Group, RenderableType
    from rich.table import Table
    from rich.text import Text
except ImportError as error:
    raise MissingExtraError("the tables of llmcache", "cli") from error

__all__ = ["drawn", "print_sections"]


def print_sections(sections: Iterable[Section], console: Console | None = None) -> None:
    """One table under the other, to stdout."""
    (console or Console()).print(drawn(sections))


def drawn(sections: Iterable[Section]) -> Group:
    """One table under the other, for whatever shows it."""
    parts: list[RenderableType] = []
    for section in sections:
        parts.append(Text(section.title, style="bold"))
        if section.rows:
            parts.append(_table(section))
        parts += [Text(f"  {note}", style="dim") for note in section.notes]
        parts.append(Text())
    return Group(*parts)


def _table(section: Section) -> Table:
    # Cells are Text: names that users gave must not be read as markup.
    table = Table(box=box.SIMPLE_HEAD if section.head else None, show_header=bool(section.head), padding=(0, 1))
    for number in range(len(section.rows[0])):
        title = section.head[number] if section.head else ""
        table.add_column(Text(title), justify="right" if number and section.head else "left")
    for row in section.rows:
        table.add_row(*map(Text, row))
    return table
