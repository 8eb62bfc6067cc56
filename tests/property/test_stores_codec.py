"""The stored form: whatever is written comes back, and whatever bytes are read, nothing is raised."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from llmcache_plugins.stores.codec import (
    decode_alias,
    decode_entry,
    decode_vector,
    encode_alias,
    encode_entry,
    encode_vector,
)
from llmcache_plugins.types import Alias, Damaged, Entry, Profile, Usage

texts = st.text(st.characters(codec=None), max_size=30)  # lone surrogates, too
instants = st.floats(-1e12, 1e12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
entries = st.builds(
    Entry,
    scope=texts,
    key=texts,
    normalised_key=texts,
    namespace=st.lists(texts, max_size=3).map(tuple),
    text=texts,
    answer_json=json_values.map(json.dumps),
    created_at=instants,
    expires_at=st.none() | instants,
    is_candidate=st.booleans(),
    model=texts,
    usage=st.builds(Usage, *[st.integers(0, 2**40)] * 4),
    generation_seconds=st.none() | st.floats(0, 1e6),
    node_id=texts,
    profile=st.builds(Profile, texts, texts, st.lists(texts, max_size=3).map(tuple)),
    label=texts,
    stale_at=st.none() | instants,
    tolerant=st.dictionaries(texts, st.none() | st.integers(-9, 9) | st.floats(0, 2) | texts, max_size=3),
    finish_reason=st.none() | texts,
    is_note=st.booleans(),
)
aliases = st.builds(
    Alias,
    scope=texts,
    key=texts,
    target_key=texts,
    text=texts,
    similarity=st.floats(-1, 1),
    confidence=st.floats(0, 1),
    policy_id=texts,
    created_at=instants,
)
vectors = arrays(np.float32, st.integers(1, 20), elements=st.floats(-1, 1, width=32))
PLAIN = Entry("s", "k", "n", ("a",), "text", '"answer"', 1.0, None)
FULL = replace(
    PLAIN,
    profile=Profile("status", "volatile", ("t",)),
    label="l",
    stale_at=2.0,
    tolerant={"n": 1},
    finish_reason="end",
    is_note=True,
)
FIELDS = sorted(json.loads(encode_entry(FULL)))


@given(entries, vectors)
def test_an_entry_comes_back(entry: Entry, vector: Any) -> None:
    assert decode_entry(encode_entry(entry)) == entry
    read = decode_entry(encode_entry(entry), encode_vector(vector), "embedder")
    assert isinstance(read, Entry)
    assert read.embedder_id == "embedder"
    np.testing.assert_array_equal(read.vector, vector)


@given(entries, st.integers(0, 400), st.text("abcdef", max_size=30))
def test_a_compressed_entry_comes_back_and_is_never_longer(entry: Entry, above: int, repeated: str) -> None:
    entry = replace(entry, text=entry.text + repeated * 20)
    packed, plain = encode_entry(entry, compress_above=above), encode_entry(entry)
    assert decode_entry(packed) == entry
    assert len(packed) <= len(plain)
    assert len(plain) > above or packed == plain


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_compressed_entry_is_known_as_damaged(place: int, value: int) -> None:
    body = bytearray(encode_entry(replace(PLAIN, text="again and " * 50), compress_above=0))
    place %= len(body)
    assert decode_entry(bytes(body[:place])) == Damaged("bad_bytes")
    body[place] = value  # perhaps what it was, or another way to say the same in the two bytes that zlib begins with
    assert decode_entry(bytes(body)) in (replace(PLAIN, text="again and " * 50), Damaged("bad_bytes"))


def test_what_would_become_too_large_is_not_unpacked() -> None:
    bomb = zlib.compress(b" " * (64 * 1024 * 1024 + 1))
    assert decode_entry(bomb) == Damaged("bad_bytes")


@given(aliases)
def test_an_alias_comes_back(alias: Alias) -> None:
    assert decode_alias(encode_alias(alias)) == alias


@given(st.binary(max_size=60), st.binary(max_size=60) | st.none() | st.text(), st.text() | st.none() | st.integers())
def test_random_bytes_are_damaged(body: bytes, vector: object, embedder_id: object) -> None:
    assert isinstance(decode_entry(body, vector, embedder_id), Damaged)
    assert isinstance(decode_alias(body), Damaged)


@given(st.none() | st.integers() | st.text() | st.floats())
def test_other_types_are_damaged(body: object) -> None:
    assert decode_entry(body) == Damaged("bad_bytes")
    assert decode_alias(body) == Damaged("bad_bytes")


@given(st.sampled_from(FIELDS), json_values)
def test_any_value_in_any_field_is_read_or_damaged(name: str, value: Any) -> None:
    fields = json.loads(encode_entry(PLAIN)) | {name: value}
    read = decode_entry(json.dumps(fields).encode())
    assert isinstance(read, Damaged) or isinstance(read.answer, object)
    assert isinstance(decode_alias(json.dumps(fields).encode()), Damaged)


@given(entries, st.data())
def test_a_flipped_bit_gives_the_entry_or_damage_and_never_another_one(entry: Entry, data: st.DataObject) -> None:
    body = bytearray(encode_entry(entry))
    body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    found = decode_entry(bytes(body))
    assert found == decode_entry(encode_entry(entry)) or isinstance(found, Damaged)


@given(entries)
def test_what_was_written_before_there_were_sums_is_read(entry: Entry) -> None:
    fields = json.loads(encode_entry(entry))
    assert fields.pop("sum")
    assert decode_entry(json.dumps(fields).encode()) == decode_entry(encode_entry(entry))


@given(entries, st.data())
def test_a_flipped_byte_never_raises(entry: Entry, data: st.DataObject) -> None:
    body = bytearray(encode_entry(entry))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    read = decode_entry(bytes(body))
    assert isinstance(read, Entry | Damaged)
    assert isinstance(read, Damaged) or isinstance(read.answer, object)


@given(entries, st.integers(0, 400))
def test_a_cut_envelope_is_damaged(entry: Entry, left: int) -> None:
    body = encode_entry(entry)
    assert decode_entry(body[: min(left, len(body) - 1)]) == Damaged("bad_bytes")


@given(vectors)
def test_half_precision_changes_a_number_by_a_thousandth_at_most(vector: Any) -> None:
    read = decode_vector(encode_vector(vector, "float16"), "float16")
    assert read is not None
    np.testing.assert_allclose(read, vector, rtol=1e-3, atol=1e-7)


@given(st.binary(max_size=40))
def test_vector_bytes_are_finite_numbers_or_none(stored: bytes) -> None:
    vector = decode_vector(stored)
    assert vector is None or (vector.size == len(stored) // 4 and np.isfinite(vector).all())
