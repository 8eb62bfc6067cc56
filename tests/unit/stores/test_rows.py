from __future__ import annotations

from typing import Any

import pytest

from llmcache_plugins.stores import rows
from llmcache_plugins.stores.codec import encode_entry, encode_vector
from llmcache_plugins.stores.rows import RowReader
from llmcache_plugins.stores.touches import TouchBuffer
from llmcache_plugins.testing.store_contract import make_entry, make_vector
from llmcache_plugins.types import Damaged, Entry, Stored

EMBEDDER = "fake/8/unit"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The bodies that were decoded."""
    seen: list[object] = []
    decode = rows.decode_entry

    def counting(body: object, vector: object = None, embedder_id: object = None) -> Entry | Damaged:
        seen.append(body)
        return decode(body, vector, embedder_id)

    monkeypatch.setattr(rows, "decode_entry", counting)
    return seen


def row(text: str, *, answer: str = '"answer"', vector: float | None = None) -> list[Any]:
    body = encode_entry(make_entry(text, answer_json=answer))
    return [0, None, 0, "", None, None, body, EMBEDDER, None if vector is None else encode_vector(make_vector(vector))]


def entry_in(stored: Stored | Damaged) -> Entry:
    assert isinstance(stored, Stored)
    return stored.entry


def test_the_same_bytes_are_decoded_once(decoded: list[object]) -> None:
    reader = RowReader(TouchBuffer())
    first = entry_in(reader.stored(row("a"), "scope", "key of a"))
    assert entry_in(reader.stored(row("a"), "scope", "key of a")) is first
    assert len(decoded) == 1


def test_other_bytes_are_decoded_anew(decoded: list[object]) -> None:
    reader = RowReader(TouchBuffer())
    entry_in(reader.stored(row("a"), "scope", "key of a"))
    assert entry_in(reader.stored(row("a", answer='"new"'), "scope", "key of a")).answer == "new"
    assert isinstance(reader.stored(row("a", answer="["), "scope", "key of a"), Damaged)
    assert isinstance(reader.stored([*row("a")[:7], b"\xff", None], "scope", "key of a"), Damaged)
    assert len(decoded) == 4
    assert reader.damaged == 2


def test_a_vector_is_part_of_what_was_read(decoded: list[object]) -> None:
    reader = RowReader(TouchBuffer())
    for _ in range(2):
        assert entry_in(reader.stored(row("a"), "scope", "key of a")).vector is None
        found = entry_in(reader.stored(row("a", vector=0.3), "scope", "key of a"))
        assert found.vector is not None
        assert found.vector.tolist() == make_vector(0.3).tolist()
    assert len(decoded) == 2
    assert entry_in(reader.stored(row("a", vector=0.4), "scope", "key of a")).vector is not found.vector


def test_a_row_of_another_key_is_damaged_however_often_it_is_read() -> None:
    reader = RowReader(TouchBuffer())
    entry_in(reader.stored(row("a"), "scope", "key of a"))
    for _ in range(2):
        assert reader.stored(row("a"), "scope", "key of b") == Damaged("bad_bytes")
        assert reader.stored(row("a"), "another", "key of a") == Damaged("bad_bytes")


def test_memory_is_bounded(decoded: list[object]) -> None:
    reader = RowReader(TouchBuffer(), known_bytes=100_000)
    texts = [f"{number}" for number in range(200)]
    for text in texts:
        entry_in(reader.stored(row(text), "scope", f"key of {text}"))
    entry_in(reader.stored(row("199"), "scope", "key of 199"))
    assert len(decoded) == 200
    known = reader._known
    assert 50 < len(known) < 100
    entry_in(reader.stored(row("0"), "scope", "key of 0"))  # forgotten: read again
    assert len(decoded) == 201
    entry_in(reader.stored(row("big", answer='"' + "x" * 50_000 + '"'), "scope", "key of big"))
    assert ("scope", "key of 199", False) in known


def test_reads_that_are_not_written_yet_count() -> None:
    touches = TouchBuffer()
    reader = RowReader(touches)
    touches.add("scope", "key of a", 7.0)
    stored = reader.stored(row("a"), "scope", "key of a")
    assert isinstance(stored, Stored)
    assert (stored.access_count, stored.last_access) == (1, 7.0)
