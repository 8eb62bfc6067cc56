"""Labelled files: what is read, and what a malformed one is told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import ConfigError
from llmcache_plugins.evaluation import read_file

PAIR = {"a": "What is BGP?", "b": "Explain BGP", "label": 1}
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is BGP?"}]


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def test_pairs_are_read_with_all_they_say(file: Path) -> None:
    told = {"id": "7", "source": "s", "kind": "k", "lang": "en", "family": "f", "ambiguous": "language_policy"}
    read = read_file(write(file, {**PAIR, **told}))
    assert (read.name, read.kind, len(read)) == ("rows.jsonl", "pairs", 1)
    row = read.pairs[0]
    assert (row.a.text, row.b.text, row.label) == ("What is BGP?", "Explain BGP", 1)
    assert {name: getattr(row, name) for name in told} == told


def test_regression_case_is_a_pair(file: Path) -> None:
    case = {"a": "enable ospf", "b": "disable ospf", "label": 0, "source": "report_wrong", "kind": "reported"}
    assert read_file(write(file, case)).pairs[0].source == "report_wrong"


def test_gzipped_file_is_read_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "pairs.data"
    path.write_bytes(gzip.compress(json.dumps(PAIR).encode()))
    assert len(read_file(path)) == 1


def test_line_separator_inside_a_text_ends_no_row(file: Path) -> None:
    text = "one\u2028two\u0085three"
    file.write_text(json.dumps({**PAIR, "a": text}, ensure_ascii=False), "utf-8")
    assert read_file(file).pairs[0].a.text == text


def test_conversation_matches_its_last_turn_by_meaning_and_the_rest_exactly(file: Path) -> None:
    other = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Explain BGP"}]
    third = [{"role": "user", "content": "Explain BGP"}]
    rows = read_file(
        write(
            file,
            {"a": {"messages": CHAT}, "b": {"messages": other}, "label": 1},
            {"a": {"messages": CHAT}, "b": {"messages": third}, "label": 0},
        )
    ).pairs
    assert rows[0].a.text == "What is BGP?"
    assert rows[0].a.context == rows[0].b.context
    assert rows[1].a.context != rows[1].b.context


def test_conversation_that_ends_with_the_assistant_is_exact_only(file: Path) -> None:
    ended = [*CHAT, {"role": "assistant", "content": "A protocol."}]
    row = read_file(write(file, {"a": {"messages": ended}, "b": {"messages": ended}, "label": 1})).pairs[0]
    assert row.a.exact_only is not None


def test_streams_of_texts_and_of_messages(file: Path) -> None:
    read = read_file(
        write(
            file, {"query": "hi", "class": "greeting"}, {"query": "x", "messages": CHAT, "class": "?b", "seen": "new"}
        )
    )
    assert read.kind == "stream"
    assert [row.request.text for row in read.stream] == ["hi", "What is BGP?"]
    assert [row.label for row in read.stream] == ["greeting", "?b"]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", "not JSON"),
        ("[1]", "a row is a JSON object, not a list"),
        ({"a": "x", "label": 1}, '"a", "b" and "label"'),
        ({"query": "x"}, '"query" and "class"'),
        ({"a": "x", "b": 1, "label": 1}, '"b" must be a string'),
        ({"a": "x", "b": {"messages": CHAT}, "label": 1}, "two strings or two conversations"),
        ({"a": "x", "b": " ", "label": 1}, "the text is empty"),
        ({"a": "x", "b": "y"}, '"label" is missing'),
        ({"a": "x", "b": "y", "label": None}, '"label" is missing'),
        ({"a": "x", "b": "y", "label": 2}, "must be 0 or 1, not 2"),
        ({"a": "x", "b": "y", "label": "1"}, "must be 0 or 1"),
        ({"a": "x", "b": "y", "label": True}, "must be 0 or 1"),
        ({"a": {"messages": []}, "b": {"messages": []}, "label": 1}, "at least one message"),
        ({"a": {"messages": [{"role": "user"}]}, "b": {"messages": CHAT}, "label": 1}, '"role"'),
        ({"query": "x", "class": ""}, "non-empty string"),
        ({"class": "c"}, '"query" or "messages"'),
    ],
)
def test_malformed_row_names_file_line_and_fault(file: Path, bad: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_file(write(file, "", bad))
    assert f"{file}, line 2: " in str(caught.value)
    assert said in str(caught.value)


def test_two_kinds_in_one_file_are_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match="line 2: a row of stream in a file of pairs"):
        read_file(write(file, PAIR, {"query": "x", "class": "c"}))


def test_missing_empty_binary_and_torn_files_are_refused(tmp_path: Path) -> None:
    empty, binary, torn = tmp_path / "empty", tmp_path / "binary", tmp_path / "torn"
    empty.write_text("\n \n")
    binary.write_bytes(b"\xff\xfe\x00")
    torn.write_bytes(gzip.compress(json.dumps(PAIR).encode() * 50)[:-20])
    for path, said in ((tmp_path / "no", "no such file"), (empty, "no rows"), (binary, "UTF-8"), (torn, "cannot be")):
        with pytest.raises(ConfigError, match=said):
            read_file(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_file(tmp_path)
