"""What people have said on the page, in memory and in a file that `llmcache tune` reads."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcache_plugins.errors import ConfigError, why
from llmcache_plugins.quality import PairLabel
from llmcache_plugins.telemetry import LineFile

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
            It holds questions in clear, and is never rotated. What is there already is known.

    Raises:
        ConfigError: it cannot be written.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = None if file is None else LineFile(file, None)
        self._lock = threading.Lock()
        self._given: OrderedDict[str, Given] = OrderedDict()
        self._kept = {} if file is None else _read(file)

    @property
    def has_file(self) -> bool:
        """Do labels outlive the page?"""
        return self._file is not None

    def add(self, name: str, given: Given, pair: PairLabel | None) -> bool:
        """Remember one; the same label once more is no second line.

        Args:
            name: of the pair.
            pair: for the file; None where the texts may not be kept.

        Returns:
            Is it in the file?
        """
        with self._lock:
            self._given[name] = given
            self._given.move_to_end(name)
            if len(self._given) > _REMEMBERED:
                self._given.popitem(last=False)
            if self._file is None or pair is None:
                return False
            is_new = self._kept.get((pair.stored, pair.asked)) != given.label
            self._kept[pair.stored, pair.asked] = given.label
        if is_new:
            self._file.add(pair.row())
        return self._file.write()

    def given(self) -> dict[str, Given]:
        """By pair, since the page is served."""
        with self._lock:
            return dict(self._given)

    def kept(self) -> dict[tuple[str, str], str]:
        """What the file says of a stored and an asked question."""
        with self._lock:
            return dict(self._kept)

    def close(self) -> None:
        """Write what could not be written before."""
        if self._file is not None:
            self._file.write()


def _read(path: Path) -> dict[tuple[str, str], str]:
    """The labels of a file by stored and asked question. Lines that are none are passed over."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)  # other users read no prompts
        with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
            rows = [row for line in file if (row := _row(line)) is not None]
    except OSError as error:
        raise ConfigError(f"labels cannot be written to {str(path)!r}: {why(error)}") from error
    return {(row["a"], row["b"]): "right" if row["label"] else "wrong" for row in rows}


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_pair = isinstance(row, dict) and isinstance(row.get("a"), str) and isinstance(row.get("b"), str)
    return row if is_pair and row.get("label") in (0, 1) else None
