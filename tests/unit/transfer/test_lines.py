"""The lines of an export: what they say, and what is said of lines that are not what the format says."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llmcache_plugins import ConfigError, Selector
from llmcache_plugins.selection import Invalidation
from llmcache_plugins.transfer import FORMAT_VERSION, Header, Record
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
from llmcache_plugins.types import Entry

PLAIN = Entry("scope", "key", "normalised", ("acme",), "What is BGP?", '"A protocol."', 1.5, None)
VECTOR = base64.b64encode(np.array([0.6, 0.8], "<f4").tobytes()).decode()


def line_of(**changed: Any) -> bytes:
    """The line of a plain entry, with other fields; None takes one away."""
    fields = json.loads(encode_record(Record(PLAIN))) | changed
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def test_a_plain_entry_says_no_more_than_it_has() -> None:
    assert json.loads(encode_record(Record(PLAIN))) == {
        "kind": "entry",
        "scope": "scope",
        "key": "key",
        "normalised_key": "normalised",
        "namespace": ["acme"],
        "text": "What is BGP?",
        "answer_json": '"A protocol."',
        "created_at": 1.5,
        "expires_at": None,
    }
    assert decode_line(encode_record(Record(PLAIN))) == Record(PLAIN)


def test_fields_that_are_not_known_are_passed_over() -> None:
    assert decode_line(line_of(later="field")) == Record(PLAIN)


def test_a_vector_comes_back_and_is_read_only() -> None:
    read = decode_line(line_of(vector={"embedder_id": "e/2", "float32": VECTOR}))
    assert isinstance(read, Record)
    assert read.entry.embedder_id == "e/2"
    assert read.entry.vector is not None
    assert read.entry.vector.tolist() == np.array([0.6, 0.8], np.float32).tolist()
    with pytest.raises(ValueError, match="read-only"):
        read.entry.vector[0] = 0.0
    assert json.loads(encode_record(read))["vector"] == {"embedder_id": "e/2", "float32": VECTOR}


def test_a_vector_that_is_not_of_unit_length_stays_behind() -> None:
    entry = replace(PLAIN, vector=np.array([3.0, 4.0], np.float32), embedder_id="e/2")
    assert "vector" not in json.loads(encode_record(Record(entry)))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b'{"kind": "entry"', "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "neither entry nor invalidation nor end"),
        (b'{"kind": "header"}', "neither entry nor invalidation nor end"),
        (b'{"kind": ["entry"]}', "neither entry nor invalidation nor end"),
        (line_of(scope=...), "scope is missing"),
        (line_of(scope=5), "scope is no string"),
        (line_of(scope=""), "scope is empty"),
        (line_of(key=""), "key is empty"),
        (line_of(text=None), "text is no string"),
        (line_of(answer_json="{"), "answer_json is no JSON"),
        (line_of(answer_json={"a": 1}), "answer_json is no string"),
        (line_of(namespace="acme"), "namespace is no list"),
        (line_of(namespace=[1]), "namespace is no list"),
        (line_of(created_at=...), "created_at is missing"),
        (line_of(created_at="now"), "created_at is no number"),
        (line_of(created_at=True), "created_at is no number"),
        (line_of(created_at=10**400), "created_at is no number"),
        (line_of(created_at=1e300), "created_at is no number"),
        (line_of(expires_at="never"), "expires_at is no number"),
        (line_of(stale_at=[]), "stale_at is no number"),
        (line_of(is_candidate="yes"), "is_candidate is neither"),
        (line_of(usage=[1, 2]), "usage is no object"),
        (line_of(usage={"input_tokens": -1}), "input_tokens is no integer"),
        (line_of(usage={"input_tokens": 2**63}), "input_tokens is no integer"),
        (line_of(tags=["a", 1]), "tags is no list"),
        (line_of(tolerant=[]), "tolerant is no object"),
        (line_of().replace(b"1.5", b"NaN"), "no JSON"),
        (line_of(tolerant={"t": 1.5}).replace(b'"t": 1.5', b'"t": Infinity'), "no JSON"),
        (line_of(reads=-1), "reads is no integer"),
        (line_of(vector=VECTOR), "vector is no object"),
        (line_of(vector={"float32": VECTOR}), "embedder_id is missing"),
        (line_of(vector={"embedder_id": "e", "float32": "?"}), "no base64"),
        (line_of(vector={"embedder_id": "e", "float32": "\u00e9"}), "no base64"),
        (line_of(vector={"embedder_id": "e", "float32": "AAAA"}), "not made of float32"),
        (line_of(vector={"embedder_id": "e", "float32": ""}), "not made of float32"),
        (line_of(vector={"embedder_id": "e", "float32": "AAAAAA=="}), "not of unit length"),
        (line_of(vector={"embedder_id": "e", "float32": "AADAfw=="}), "not of unit length"),  # NaN
        (b'{"kind": "end", "entries": -1}', "entries is no integer"),
        (b'{"kind": "end", "entries": 1, "embedders": {"e": "many"}}', "e is no integer"),
        (b'{"kind": "invalidation", "at": 1.0, "selector": {"colour": "red"}}', "selector is not"),
        (b'{"kind": "invalidation", "at": 1.0, "selector": {"tags": [5]}}', "selector is not"),
        (b'{"kind": "invalidation", "selector": {}}', "at is missing"),
    ],
)
def test_a_line_that_is_wrong_says_what_is(line: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode_line(line)


def test_no_reason_quotes_the_line() -> None:
    with pytest.raises(Unreadable) as caught:
        decode_line(line_of(text="the secret question", answer_json="the secret answer"))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__, "a traceback would show what json says of the line"


def test_the_other_lines_come_back() -> None:
    noted = Invalidation(7, 2.5, Selector(tags=("a",), namespace=("acme",)), "CHG-1", "lazy", 3)
    read = decode_line(encode_invalidation(noted))
    assert isinstance(read, Invalidation)
    assert (read.at, read.selector, read.reason, read.mode) == (2.5, noted.selector, "CHG-1", "lazy")
    end = End(3, "abc", {"e/2": 3})
    assert decode_line(encode_end(end)) == end


def header_of(**changed: Any) -> bytes:
    return json.dumps(json.loads(encode_header(HEADER)) | changed).encode()


HEADER = Header(
    exported_at=5.0,
    key_version=1,
    product="llmcache-plugins 1",
    namespace=("acme",),
    embedder_id="e/2",
    epochs={(): "1.0 ab", ("acme", "x"): "2.0 cd"},
    about=10,
)


def test_the_header_comes_back() -> None:
    assert decode_header(encode_header(HEADER), "f") == HEADER
    plain = Header(exported_at=5.0, key_version=1)
    assert decode_header(encode_header(plain), "f") == plain


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"", "f does not begin with the header of an export: it is no JSON"),
        (b"SQLite format 3\x00", "it is no JSON"),
        (b'{"question": "What is BGP?"}', "another format"),
        (header_of(format="other"), "another format"),
        (header_of(version=0), "its version is no version"),
        (header_of(version="1"), "version is no integer"),
        (header_of(key_version=None), "key_version is no integer"),
        (header_of(epochs=["a"]), "epochs is no list of objects"),
        (
            header_of(version=FORMAT_VERSION + 1),
            f"f is of version {FORMAT_VERSION + 1} of the format, and this llmcache-plugins reads up to version "
            f"{FORMAT_VERSION}: install a later one",
        ),
    ],
)
def test_what_is_no_header_is_refused(line: bytes, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        decode_header(line, "f")


def test_a_later_version_may_change_all_other_fields() -> None:
    line = json.dumps({"kind": "header", "format": "llmcache-export", "version": 2, "exported_at": {}}).encode()
    with pytest.raises(ConfigError, match="install a later one"):
        decode_header(line, "f")
