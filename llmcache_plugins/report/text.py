"""The tables of a report as plain text, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmcache_plugins.report.sections import Section

__all__ = ["markdown_of", "text_of"]

_MARKED = re.compile(r"([\\|<>*`\[\]])")


def text_of(sections: Iterable[Section]) -> str:
    """One table under the other."""
    return "\n\n".join("\n".join(_text(section)) for section in sections)


def markdown_of(sections: Iterable[Section]) -> str:
    """One heading and table under the other; ends with a line feed."""
    first, *others = (_markdown(section, "##" if number else "#") for number, section in enumerate(sections))
    return "\n\n".join("\n".join(block) for block in (first, *others)) + "\n"


def _text(section: Section) -> Iterable[str]:
    yield section.title
    rows = [list(section.head), *map(list, section.rows)] if section.head else [list(row) for row in section.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        # Names to the left, numbers to the right; what is said in one column beside a name is a sentence.
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) if section.head else cell for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield ("  " + "  ".join(cells)).rstrip()
    for note in section.notes:
        yield f"  {note}"


def _markdown(section: Section, mark: str) -> list[str]:
    lines = [f"{mark} {_escaped(section.title)}", ""]
    if section.rows:
        columns = len(section.rows[0])
        head: Sequence[str] = section.head or ("",) * columns
        lines.append(_row(head))
        lines.append(_row([":--"] + (["--:"] if section.head else [":--"]) * (columns - 1)))
        lines += [_row([_escaped(cell) for cell in row]) for row in section.rows]
        lines += [""] if section.notes else []
    lines += [f"- {_escaped(note)}" for note in section.notes]
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return _MARKED.sub(r"\\\1", text)
