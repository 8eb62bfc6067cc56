"""The file that entries travel in: whole or not there, and read as far as it can be."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llmcache_plugins import ConfigError
from llmcache_plugins.transfer import Header, Record
from llmcache_plugins.transfer import files as files_module
from llmcache_plugins.transfer.files import FileSink, FileSource, look_at_header
from llmcache_plugins.transfer.report import Damage, Tally
from llmcache_plugins.types import Entry

HEADER = Header(exported_at=5.0, key_version=1, about=450)
RECORDS = [Record(Entry("s", f"k{n}", "n", (), f"question {n}", '"answer"', float(n), None)) for n in range(450)]


def written(path: Path | io.BytesIO, records: list[Record] = RECORDS) -> Tally:
    tally = Tally()
    sink = FileSink(path, tally)
    sink.begin(HEADER)
    sink.page(records)
    sink.end([])
    sink.close()
    return tally


def read(path: Path | io.BytesIO, *, is_strict: bool = False) -> tuple[list[Record], Tally]:
    tally = Tally()
    source = FileSource(path, tally, is_strict=is_strict)
    records: list[Record] = []
    try:
        assert source.begin() == HEADER
        while (page := source.page()) is not None:
            assert len(page) <= 200
            records += page
    finally:
        source.close()
    return records, tally


@pytest.fixture(params=["x.jsonl", "x.jsonl.gz"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / request.param


def lines_of(path: Path) -> list[bytes]:
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines(keepends=True)


def write_lines(path: Path, lines: list[bytes]) -> None:
    content = b"".join(lines)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def test_what_is_written_is_read(path: Path) -> None:
    assert written(path).counts == {"stored": 450, "invalidations": 0}
    assert path.read_bytes().startswith(b"\x1f\x8b") is (path.suffix == ".gz")
    records, tally = read(path)
    assert records == RECORDS
    assert (tally.is_complete, tally.counts["damaged"], tally.about) == (True, 0, 450)


def test_an_empty_cache_makes_a_whole_file(path: Path) -> None:
    written(path, [])
    assert read(path)[1].is_complete


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are those of POSIX")
def test_only_its_owner_may_read_it(path: Path) -> None:
    written(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_same_entries_make_the_same_bytes(path: Path) -> None:
    written(path)
    before = path.read_bytes()
    written(path)
    assert path.read_bytes() == before


def test_an_export_that_fails_leaves_what_was_there(path: Path) -> None:
    path.write_bytes(b"before")
    sink = FileSink(path, Tally())
    sink.begin(HEADER)
    sink.page(RECORDS)
    assert path.read_bytes() == b"before"
    sink.close()
    assert path.read_bytes() == b"before"
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(ValueError, match="closed"):
        sink.page(RECORDS)


def test_what_is_no_json_is_refused_alone(path: Path) -> None:
    bad = Record(Entry("s", "k", "n", (), "text", '"answer"', 1.0, None, tolerant={"t": float("nan")}))
    assert written(path, [bad, RECORDS[0]]).counts == {"stored": 1, "refused": 1, "invalidations": 0}
    assert read(path)[0] == [RECORDS[0]]


def test_a_file_object_is_not_closed() -> None:
    stream = io.BytesIO()
    written(stream)
    stream.seek(0)
    assert read(stream)[0] == RECORDS
    assert not stream.closed


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_written_into_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        written(pipe, RECORDS[:3])
        content = os.read(reader, 65536)
    finally:
        os.close(reader)
    assert len(content.splitlines()) == 5
    assert pipe.is_fifo()


@pytest.mark.parametrize("file", [None, 5, io.StringIO(), ""])
def test_what_is_no_file_is_refused(file: object) -> None:
    with pytest.raises(ConfigError):
        FileSink(file, Tally())  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        FileSource(file, Tally(), is_strict=False)  # type: ignore[arg-type]


def test_a_place_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none/x\.jsonl cannot be written: No such file or directory"):
        FileSink(tmp_path / "none" / "x.jsonl", Tally()).begin(HEADER)
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        FileSource(tmp_path / "none", Tally(), is_strict=False).begin()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        FileSource(tmp_path, Tally(), is_strict=False).begin()


@pytest.mark.parametrize("name", ["x", "x.gz"])
@pytest.mark.parametrize("content", [b"", b"SQLite format 3\x00" + bytes(100), b"\x1f\x8b", b'{"a": 1}\n'])
def test_other_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with closing(FileSource(tmp_path / name, Tally(), is_strict=False)) as source, pytest.raises(ConfigError):
        source.begin()


def test_a_damaged_line_is_passed_over_and_told(path: Path) -> None:
    written(path)
    lines = lines_of(path)
    lines[3] = lines[3].replace(b'"created_at":2.0', b'"created_at":"?"')
    lines[7] = b"\n"
    lines.insert(10, b"what is this\n")
    write_lines(path, lines)
    records, tally = read(path)
    assert len(records) == 448
    assert tally.damage == [Damage(4, "created_at is no number of seconds"), Damage(11, "it is no JSON")]
    assert tally.is_complete


def test_strict_stops_at_it(path: Path) -> None:
    written(path)
    lines = lines_of(path)
    lines[300] = b"what is this\n"
    write_lines(path, lines)
    records, tally = read(path, is_strict=True)
    assert records == RECORDS[:299]
    assert (tally.stopped, tally.is_complete) == ("damaged line 301 (it is no JSON)", False)


@pytest.mark.parametrize("kept", [1, 2, 300, 451])
def test_a_file_without_its_end_is_noticed(path: Path, kept: int) -> None:
    written(path)
    write_lines(path, lines_of(path)[:kept])
    records, tally = read(path)
    assert len(records) == kept - 1
    assert (tally.is_complete, tally.counts["damaged"]) == (False, 0)


@pytest.mark.parametrize("share", [0.4, 0.9, 0.98])
def test_a_file_that_is_cut_off_is_noticed(path: Path, share: float) -> None:
    written(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    records, tally = read(path)
    assert records == RECORDS[: len(records)]
    assert not tally.is_complete
    assert tally.counts["damaged"] == 1


def test_damage_in_the_middle_of_compressed_data_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    written(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    records, tally = read(path)
    assert not tally.is_complete or tally.counts["damaged"]
    assert len(records) <= len(RECORDS)


def test_a_change_that_can_be_read_is_noticed_by_the_digest(path: Path) -> None:
    written(path)
    lines = lines_of(path)
    write_lines(path, [line.replace(b"question 7", b"question x") for line in lines])
    assert "digest" in read(path)[1].damage[0].reason


def test_a_line_that_is_missing_is_noticed_without_a_digest(path: Path) -> None:
    written(path)
    lines = lines_of(path)
    lines[-1] = json.dumps(json.loads(lines[-1]) | {"digest": None}).encode()
    write_lines(path, lines)
    assert not read(path)[1].damage
    del lines[5]
    write_lines(path, lines)
    assert read(path)[1].damage == [Damage(451, "it says 450 entries, and 449 came before it")]


def test_only_the_first_damaged_lines_are_told(path: Path) -> None:
    written(path)
    lines = lines_of(path)
    write_lines(path, [lines[0], *[b"?\n"] * 450, lines[-1]])
    _, tally = read(path)
    assert (len(tally.damage), tally.counts["damaged"]) == (20, 450)


def test_a_line_without_end_does_not_fill_the_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "_LONGEST", 1000)
    written(path, RECORDS[:2])
    lines = lines_of(path)
    lines.insert(2, b'{"kind": "entry", "text": "' + b"x" * 5500 + b'"}\n')
    write_lines(path, lines)
    records, tally = read(path)
    assert records == RECORDS[:2]
    assert tally.damage == [Damage(3, "it is no JSON")]
    assert tally.is_complete


def test_vectors_of_one_embedder_have_one_dimension(path: Path) -> None:
    def with_vector(record: Record, size: int) -> Record:
        vector = np.eye(1, size, dtype=np.float32)[0]
        return Record(replace(record.entry, vector=vector, embedder_id="e"))

    written(path, [with_vector(RECORDS[0], 4), with_vector(RECORDS[1], 8), with_vector(RECORDS[2], 4)])
    records, tally = read(path)
    assert [record.entry.key for record in records] == ["k0", "k2"]
    assert "dimension" in tally.damage[0].reason


def test_a_stream_whose_header_was_looked_at_still_has_all_of_it(path: Path) -> None:
    written(path)
    content = b"".join(lines_of(path))
    header, rest = look_at_header(io.BytesIO(content))
    assert header.about == 450
    assert [rest.read(7), *rest] == [content[:7], *io.BytesIO(content[7:])]
    assert look_at_header(path) == (header, path)
