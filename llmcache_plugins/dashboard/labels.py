"""What people have said on the page, in memory and in a file that `llmcache tune` reads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llmcache_plugins.telemetry import LineFile
from llmcache_plugins.types import JsonValue

__all__ = ["Given", "Labels"]

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Given:
    """A label, `right` or `wrong`, and what became of it."""

    label: str
    outcome: str


class Labels:
    """The labels of one page.

    Args:
        file: append them here, as labelled pairs, one JSON object a line; None to keep none beyond the page's life.
            It holds questions in clear, and is never rotated.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = None if file is None else LineFile(file, None)
        self._lock = threading.Lock()
        self._given: OrderedDict[str, Given] = OrderedDict()

    @property
    def has_file(self) -> bool:
        """Do labels outlive the page?"""
        return self._file is not None

    def add(self, name: str, given: Given, row: Mapping[str, JsonValue] | None) -> None:
        """Keep one; the same label once more is no second line.

        Args:
            name: of the pair.
            row: for the file; None where the texts may not be kept.
        """
        with self._lock:
            before = self._given.get(name)
            self._given[name] = given
            self._given.move_to_end(name)
            if len(self._given) > _REMEMBERED:
                self._given.popitem(last=False)
        is_new = before is None or before.label != given.label
        if self._file is not None and row is not None and is_new:
            self._file.add(row)
            self._file.write()

    def given(self) -> dict[str, Given]:
        """By pair."""
        with self._lock:
            return dict(self._given)

    def close(self) -> None:
        """Write what could not be written before."""
        if self._file is not None:
            self._file.write()
