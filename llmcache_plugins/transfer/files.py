"""The file that entries travel in, written and read page by page. Blocking; two threads never use one at a time."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import threading
import zlib
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

from llmcache_plugins.errors import ConfigError, why
from llmcache_plugins.paths import as_path
from llmcache_plugins.selection import Invalidation
from llmcache_plugins.transfer.lines import (
    End,
    Unreadable,
    decode_header,
    decode_line,
    encode_end,
    encode_header,
    encode_invalidation,
    encode_record,
)
from llmcache_plugins.transfer.records import Header, Record
from llmcache_plugins.transfer.report import Tally

__all__ = ["AnyFile", "FileSink", "FileSource", "look_at_header"]

AnyFile: TypeAlias = str | os.PathLike[str] | BinaryIO

_PAGE = 200  # entries in memory at a time
_LONGEST = 64 * 1024 * 1024  # bytes of a line


class FileSink:
    """Where a cache is exported to.

    A path gets the file when it is whole, and only then: an export that fails leaves what was there. It is readable by
    its owner alone, for it holds questions and answers. What is no regular file (a pipe, a device) is written at once,
    and so is a file object, which is not closed.

    Args:
        target: a path, compressed where it ends in `.gz`; or a binary file.
        tally: counts what is written.

    Raises:
        ConfigError: it is neither.
    """

    def __init__(self, target: AnyFile, tally: Tally) -> None:
        self._target = _checked(target, "write")
        self._tally = tally
        self._lock = threading.Lock()  # who is cancelled closes it while a thread may still write a page
        self._digest = blake2b(digest_size=20)
        self._embedders: dict[str, int] = {}
        self._entries = 0
        self._raw: BinaryIO | None = None
        self._out: BinaryIO | None = None
        self._part: Path | None = None

    def begin(self, header: Header) -> None:
        """
        Raises:
            ConfigError: the file cannot be opened.
            OSError: it cannot be written.
        """
        with self._lock:
            self._open()
            self._write(encode_header(header))

    def page(self, records: Sequence[Record]) -> None:
        """
        Raises:
            OSError: the file cannot be written.
        """
        with self._lock:
            for record in records:
                try:
                    line = encode_record(record)
                except (TypeError, ValueError, RecursionError):
                    self._tally.add("refused")
                    continue
                self._write(line)
                self._entries += 1
                self._tally.add("stored")
                entry = record.entry
                if entry.vector is not None and entry.embedder_id is not None:
                    self._tally.add("vectors")
                    self._embedders[entry.embedder_id] = self._embedders.get(entry.embedder_id, 0) + 1

    def end(self, invalidations: Sequence[Invalidation]) -> None:
        """Write the end, and put the file in its place.

        Raises:
            OSError: the file cannot be written.
        """
        with self._lock:
            for invalidation in invalidations:
                self._write(encode_invalidation(invalidation))
            self._tally.add("invalidations", len(invalidations))
            self._write(encode_end(End(self._entries, self._digest.hexdigest(), self._embedders)))
            self._finish()

    def close(self) -> None:
        """Let go of the file; without `end` nothing is left of it."""
        with self._lock:
            part, self._part = self._part, None
            if self._out is not None and self._out is not self._raw:
                _close_quietly(self._out)
            if self._raw is not None and self._raw is not self._target:
                _close_quietly(self._raw)
            self._out = self._raw = None
            if part is not None:
                part.unlink(missing_ok=True)

    def _open(self) -> None:
        if not isinstance(self._target, Path):
            self._raw = self._out = self._target
            return
        try:
            if self._target.exists() and not self._target.is_file():
                self._raw = self._target.open("wb")
            else:
                folder = self._target.parent
                handle, name = tempfile.mkstemp(prefix=f".{self._target.name}.", suffix=".part", dir=folder)
                self._part = Path(name)
                self._raw = os.fdopen(handle, "wb")
        except OSError as error:
            raise ConfigError(f"{self._target} cannot be written: {why(error)}") from error
        self._out = self._raw
        if self._target.suffix == ".gz":
            self._out = cast(BinaryIO, gzip.GzipFile("", "wb", fileobj=self._raw, mtime=0))

    def _write(self, line: bytes) -> None:
        if self._out is None:
            raise ValueError("the export was closed")
        self._out.write(line)
        self._digest.update(line)

    def _finish(self) -> None:
        out, raw = self._out, self._raw
        assert out is not None
        assert raw is not None
        if out is not raw:
            out.close()
            self._out = raw
        raw.flush()
        if self._part is not None and isinstance(self._target, Path):
            os.fsync(raw.fileno())
            raw.close()
            self._part.replace(self._target)
            self._part = None


class FileSource:
    """Where entries are imported from.

    Args:
        source: a path, decompressed where it ends in `.gz`; or a binary file, which is not closed.
        tally: counts what is read and what is damaged.
        is_strict: the first damaged line ends it.

    Raises:
        ConfigError: it is neither.
    """

    def __init__(self, source: AnyFile, tally: Tally, *, is_strict: bool) -> None:
        self._source = _checked(source, "read")
        self._tally = tally
        self._is_strict = is_strict
        self._lock = threading.Lock()
        self._digest = blake2b(digest_size=20)
        self._file: BinaryIO | None = None
        self._number = 0
        self._entries = 0
        self._is_over = False
        self._dimensions: dict[str, int] = {}
        self._invalidations: list[Invalidation] = []

    @property
    def where(self) -> str:
        return str(self._source) if isinstance(self._source, Path) else "what is read"

    def begin(self) -> Header:
        """
        Raises:
            ConfigError: the file cannot be read, or is no export that is known here.
        """
        with self._lock:
            try:
                self._file = _opened(self._source)
                line = self._line()
            except OSError as error:
                raise ConfigError(f"{self.where} cannot be read: {why(error)}") from error
            header = decode_header(line or b"", self.where)
            self._digest.update(line or b"")
            self._tally.about = header.about
            return header

    def page(self) -> list[Record] | None:
        """The next entries, in the order of the file; None behind the last.

        Raises:
            OSError: the file cannot be read any more.
        """
        records: list[Record] = []
        with self._lock:
            while len(records) < _PAGE and not self._is_over:
                line = self._line()
                if line is None:
                    self._is_over = True
                    break
                self._take(line, records)
        return records if records or not self._is_over else None

    def end(self) -> list[Invalidation]:
        """The invalidations that came while the entries were exported."""
        return self._invalidations

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._file is not None and self._file is not self._source:
                _close_quietly(self._file)
            self._file = None

    def _take(self, line: bytes, records: list[Record]) -> None:
        before = self._digest.copy()
        self._digest.update(line)
        if not line.strip():
            return
        try:
            said = decode_line(line)
            if isinstance(said, Record):
                self._check_dimension(said)
                records.append(said)
                self._entries += 1
                self._tally.add("read")
            elif isinstance(said, Invalidation):
                self._invalidations.append(said)
            else:
                self._is_over = self._tally.is_complete = True
                self._compare(said, before.hexdigest())
        except Unreadable as error:
            self._damaged(str(error))

    def _check_dimension(self, record: Record) -> None:
        vector, embedder_id = record.entry.vector, record.entry.embedder_id
        if vector is None or embedder_id is None:
            return
        if self._dimensions.setdefault(embedder_id, vector.size) != vector.size:
            raise Unreadable("its vector has another dimension than those of the same embedder before it")

    def _compare(self, end: End, digest: str) -> None:
        """What the last line says, and what was found."""
        if end.digest is not None and end.digest != digest and not self._tally.counts["damaged"]:
            self._damaged("the digest of the file is another one: something in it was changed")
        elif end.entries != self._entries and not self._tally.counts["damaged"]:
            self._damaged(f"it says {end.entries} entries, and {self._entries} came before it")

    def _damaged(self, reason: str) -> None:
        self._tally.add_damage(self._number, reason)
        if self._is_strict:
            self._tally.stopped = f"damaged line {self._number} ({reason})"
            self._is_over = True

    def _line(self) -> bytes | None:
        """The next line, None behind the last one. Of one that is too long, its beginning."""
        if self._file is None:
            raise ValueError("the import was closed")
        self._number += 1
        try:
            line = self._file.readline(_LONGEST)
            rest = line
            while len(rest) == _LONGEST and not rest.endswith(b"\n"):
                rest = self._file.readline(_LONGEST)
                line = line[:1]
        except (EOFError, zlib.error, gzip.BadGzipFile):  # cut off, or damaged in the middle: nothing follows
            self._damaged("the compressed data ends or breaks here")
            return None
        return line or None


def look_at_header(source: AnyFile) -> tuple[Header, AnyFile]:
    """The header of an export, before a store is opened for what follows, and what to import from then: the same path,
    or a file that has all that the given one had.

    Args:
        source: a path of a regular file, or a binary file.

    Raises:
        ConfigError: it is neither, cannot be read, or is no export that is known here.
    """
    given = _checked(source, "read")
    if isinstance(given, Path):
        return _header_of(given), given
    try:
        kept = given.readline(_LONGEST)
    except OSError as error:
        raise ConfigError(f"what is read cannot be read: {why(error)}") from error
    return _header_of(io.BytesIO(kept)), cast(BinaryIO, io.BufferedReader(_Resumed(kept, given)))


def _header_of(source: AnyFile) -> Header:
    looked = FileSource(source, Tally(), is_strict=False)
    try:
        return looked.begin()
    finally:
        looked.close()


class _Resumed(io.RawIOBase):
    """What was read of a file, and then the rest of it; a pipe cannot go back. The file is not closed."""

    def __init__(self, kept: bytes, rest: BinaryIO) -> None:
        self._kept = kept
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        read = self._kept[: len(into)] or self._rest.read(len(into))
        self._kept = self._kept[len(into) :]
        into[: len(read)] = read
        return len(read)


def _checked(file: object, verb: str) -> Path | BinaryIO:
    if isinstance(file, str | os.PathLike):
        if not os.fspath(file):
            raise ConfigError("the name of a file must not be empty")
        return as_path(file)
    if isinstance(file, io.TextIOBase) or not callable(getattr(file, verb, None)):
        raise ConfigError(f"give a path, or a file that was opened in binary mode, not {type(file).__name__}")
    return cast(BinaryIO, file)


def _opened(source: Path | BinaryIO) -> BinaryIO:
    if not isinstance(source, Path):
        return source
    return cast(BinaryIO, gzip.open(source, "rb")) if source.suffix == ".gz" else source.open("rb")


def _close_quietly(file: BinaryIO) -> None:
    """Of an export that was given up, and of a pipe whose reader went away."""
    try:
        file.close()
    except OSError:
        return
