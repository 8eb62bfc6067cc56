"""A log line by line: plain, gzipped, JSON lines or CSV. What cannot be read is counted, and never ends the reading."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from os import PathLike
from typing import IO, Any, TypeAlias

from llmcache_plugins.errors import ConfigError, why
from llmcache_plugins.logs.rows import LoggedCall
from llmcache_plugins.logs.shapes import NotACall, call_of
from llmcache_plugins.paths import as_path
from llmcache_plugins.types import Request

__all__ = ["LogFile", "Progress"]

Progress: TypeAlias = Callable[[int, int], None]
"""Hears how many bytes of the file have been read, and of how many; every thousand lines and at the end."""
_LONGEST = 4 * 2**20  # bytes of a line: one more is left out, so that one bad line cannot fill the memory
_NO_LINES = ("[", "[{", "{")  # what a file that is all one piece of JSON begins with; its lines are no questions
_HEAD = 64 * 2**10  # bytes by which it is told whether a file is text
_MOST_BROKEN = 0.3  # of the characters there: random bytes have half of them broken, Latin-1 a tenth
_WIDE = {  # signs at the beginning of a file: those of UTF-32 begin with those of UTF-16, and come first
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_EVERY = 1000  # lines between two steps of progress


class LogFile:
    """The calls of a log, in its order; iterate over it as often as needed, each time from the start.

    A line is a question, or a JSON object; a CSV has a line of names first. What is recognised is said in
    docs/before-buying.md. A gzipped file is recognised by its first bytes.

    Args:
        path: the file.
        limit: stop after so many calls; None for all.
        progress: told how far the reading is.

    Raises:
        ConfigError: there is no such file, or `limit` is below 1.
    """

    def __init__(
        self, path: str | PathLike[str], *, limit: int | None = None, progress: Progress | None = None
    ) -> None:
        self.path = as_path(path)
        if not self.path.is_file():
            raise ConfigError(f"there is no file {str(self.path)!r}")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise ConfigError(f"limit must be an integer of at least 1 or None, not {limit!r}")
        self._limit = limit
        self._progress = progress
        self.lines = 0
        """Read so far in the last iteration, empty ones left out."""
        self.calls = 0
        self.left_out: Counter[str] = Counter()
        """Lines that are no calls, by what is wrong with them."""
        self.shapes: Counter[str] = Counter()

    def __iter__(self) -> Iterator[LoggedCall]:
        """The calls.

        Raises:
            ConfigError: the file cannot be opened, is no UTF-8 text, or is one piece of JSON and not lines.
        """
        self.lines = self.calls = 0
        self.left_out, self.shapes = Counter(), Counter()
        total = self.path.stat().st_size
        try:
            with self.path.open("rb") as raw:
                for call in self._calls(raw, total):
                    self.calls += 1
                    self.shapes[call.shape] += 1
                    yield call
                    if self.calls == self._limit:
                        break
        except OSError as error:
            raise ConfigError(f"{self.path} cannot be read: {why(error)}") from error
        if self._progress is not None:
            self._progress(total, total)

    def _calls(self, raw: IO[bytes], total: int) -> Iterator[LoggedCall]:
        is_packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        opened: IO[bytes] = gzip.GzipFile(fileobj=raw) if is_packed else raw  # type: ignore[assignment]  # reads as IO
        self._check_text(opened)
        name = self.path.name.lower().removesuffix(".gz")
        read = _csv_rows if name.endswith(".csv") else _line_rows
        rows = read(self._told(_lines(opened, self.left_out), raw, total), self.left_out)
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except (EOFError, zlib.error, gzip.BadGzipFile):
                self.left_out["the packed file ends early or is damaged"] += 1
                return
            try:
                call = _call_of(row)
                call.key()  # who cannot be identified is left out here, and fails nowhere later
            except NotACall as error:
                self.left_out[str(error)] += 1
            except (TypeError, ValueError, RecursionError):
                self.left_out["nested too deeply, or of an unknown form"] += 1
            else:
                yield call

    def _check_text(self, file: IO[bytes]) -> None:
        """Each line of a picture or of a data base would be a question. A few broken characters are no reason."""
        head = b""
        with suppress(EOFError, zlib.error, gzip.BadGzipFile):  # counted where it is read
            head = file.read1(_HEAD)  # type: ignore[attr-defined]  # both kinds of file have it
        file.seek(0)
        for mark, name in _WIDE.items():
            if head.startswith(mark):
                raise ConfigError(f"{self.path} is {name}, not UTF-8; write it anew: iconv -f {name} -t UTF-8 FILE")
        if _broken(head) > _MOST_BROKEN:
            raise ConfigError(f"{self.path} is not UTF-8 text: a log is JSON lines, CSV, or a question a line")

    def _told(self, lines: Iterator[str], raw: IO[bytes], total: int) -> Iterator[str]:
        for line in lines:
            if line.strip():
                self.lines += 1
                if self.lines == 1 and line.strip()[:2] in _NO_LINES:
                    raise ConfigError(f"{self.path} is one piece of JSON; write an object a line: jq -c '.[]' FILE")
                if self._progress is not None and self.lines % _EVERY == 0:
                    self._progress(min(raw.tell(), total), total)
            yield line


def _broken(head: bytes) -> float:
    """The share of characters that are no UTF-8, or control characters that no text has."""
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(head)  # may end within a character
    bad = sum(sign == "\ufffd" or (sign < " " and not sign.isspace()) for sign in text)
    return bad / max(1, len(text))


def _call_of(row: str | Mapping[str, Any]) -> LoggedCall:
    return LoggedCall(request=Request(row), shape="text") if isinstance(row, str) else call_of(row)


def _lines(file: IO[bytes], left_out: Counter[str]) -> Iterator[str]:
    is_first = True
    while line := file.readline(_LONGEST):
        if len(line) == _LONGEST and not line.endswith(b"\n"):
            while (rest := file.readline(_LONGEST)) and not rest.endswith(b"\n"):
                pass
            left_out["a line of more than 4 MiB"] += 1
            continue
        text = line.decode("utf-8", "replace")
        yield text.removeprefix("\ufeff") if is_first else text
        is_first = False


def _line_rows(lines: Iterator[str], left_out: Counter[str]) -> Iterator[str | Mapping[str, Any]]:
    for line in lines:
        text = line.strip()
        if not text.startswith("{"):
            if text:
                yield text
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            left_out["not JSON"] += 1
            continue
        yield row


def _csv_rows(lines: Iterator[str], left_out: Counter[str]) -> Iterator[Mapping[str, Any]]:
    names: list[str] | None = None
    rows = csv.reader(lines)
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error:
            left_out["not CSV"] += 1
            continue
        if not row:
            continue
        if names is None:
            names = [name.strip().lower() for name in row]
        elif len(row) != len(names):
            left_out["another number of cells than names"] += 1
        else:
            yield dict(zip(names, row, strict=True))
