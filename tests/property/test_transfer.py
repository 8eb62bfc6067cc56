"""Entries travel from store to store and come back as they were, whatever is in them."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.protocols import Store
from llmcache_plugins.selection import Selector
from llmcache_plugins.testing import FakeClock
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.transfer import Record
from llmcache_plugins.transfer.lines import Unreadable, decode_line, encode_record
from llmcache_plugins.types import Entry, FloatArray, Profile, Usage

CLOCK = FakeClock()
NUMBERS = itertools.count()
texts = st.text(st.characters(codec=None), max_size=30)  # lone surrogates, too
digests = st.text("0123456789abcdef", min_size=1, max_size=40)
past = st.floats(0, CLOCK.now())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def unit(numbers: list[float]) -> FloatArray:
    vector = np.array([1.0, *numbers], np.float32)
    return vector / np.float32(np.linalg.norm(vector))


entries = st.builds(
    Entry,
    scope=digests,
    key=digests,
    normalised_key=digests,
    namespace=st.lists(texts, max_size=3).map(tuple),
    text=texts,
    answer_json=json_values.map(json.dumps) | st.just('{"spaced":  1.50}'),
    created_at=past,
    expires_at=st.none() | st.floats(CLOCK.now() + 1, 1e12),
    is_candidate=st.booleans(),
    model=texts,
    usage=st.builds(Usage, *[st.integers(0, 2**40)] * 4),
    generation_seconds=st.none() | st.floats(0, 1e6),
    node_id=texts,
    profile=st.builds(Profile, texts, texts, st.lists(texts, max_size=3).map(tuple)),
    label=texts,
    stale_at=st.none() | past,
    tolerant=st.dictionaries(texts, st.none() | st.integers(-9, 9) | st.floats(0, 2) | texts, max_size=3),
    finish_reason=st.none() | texts,
)
unit_vectors = st.lists(st.floats(-1, 1, width=32), min_size=7, max_size=7).map(unit)
tiers = st.sampled_from(["", "hot", "warm", "cold", "elsewhere"])
rows = st.lists(
    st.tuples(entries, st.none() | unit_vectors, tiers), max_size=6, unique_by=lambda row: (row[0].scope, row[0].key)
)


FIELDS = (
    *("scope", "key", "namespace", "answer_json", "created_at", "expires_at", "is_candidate", "usage", "tags"),
    *("tolerant", "tier", "reads", "vector", "kind"),
)


@given(entries, tiers, st.integers(0, 2**40), st.none() | past)
def test_a_line_says_all_of_a_record(entry: Entry, tier: str, reads: int, last_read: float | None) -> None:
    record = Record(entry, tier, reads, last_read)
    line = encode_record(record)
    assert line.endswith(b"\n")
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert decode_line(line) == record


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
@example(b'{"kind":"entry"}')
@example(b'{"kind":"end","entries":0,"digest":5}')
def test_whatever_a_line_is_nothing_else_is_raised(line: bytes) -> None:
    with pytest.raises(Unreadable):
        decode_line(line)


@given(entries, st.dictionaries(st.sampled_from(FIELDS), json_values, min_size=1))
def test_whatever_a_field_is_nothing_else_is_raised(entry: Entry, changed: dict[str, Any]) -> None:
    fields = json.loads(encode_record(Record(entry))) | changed
    with contextlib.suppress(Unreadable):
        decode_line(json.dumps(fields).encode())


@pytest.fixture
def server(redis_server: Callable[[str], RedisServer]) -> RedisServer:
    return redis_server("search")


def everything(cache: SemanticCache) -> tuple[list[tuple[Entry, str]], dict[tuple[str, str], FloatArray]]:
    """The entries with their tiers, oldest stored first, and the vectors by address."""
    store: Store = cache._parts.tiers[0].store
    found, vectors = [], {}
    for stored in store.select(Selector(), limit=999).rows:
        entry = stored.entry
        address = (entry.scope, entry.key)
        if entry.embedder_id is not None:
            vectors |= store.vectors(entry.embedder_id, [address])
        found.append((entry, stored.tier))
    return found, vectors


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows)
def test_round_the_stores_and_back(
    server: RedisServer, tmp_path: Path, given_rows: list[tuple[Entry, FloatArray | None, str]]
) -> None:
    """memory -> file -> disk -> compressed file -> Redis -> memory: entry by entry the same, and in the same order."""
    number = next(NUMBERS)
    urls = ("memory://", f"disk://{tmp_path}/{number}.db", f"{server.url}?prefix=transfer-{number}", "memory://")
    caches = [open_cache(url, embedder=None, clock=CLOCK, maintenance="manual") for url in urls]
    try:
        first, disk, redis, last = caches
        for entry, vector, tier in given_rows:
            if entry.is_candidate and vector is not None:
                entry = with_vector(entry, vector)
            assert first._parts.tiers[0].store.put(entry, tier=tier)
        stream = io.BytesIO()
        assert first.export_to(stream).is_whole
        stream.seek(0)
        assert disk.import_from(stream).is_whole
        assert disk.export_to(tmp_path / "export.jsonl.gz").is_whole
        assert redis.import_from(tmp_path / "export.jsonl.gz").is_whole
        assert redis.copy_to(last).is_whole
        expected, embedded = everything(first)
        assert len(expected) == len(given_rows)
        for cache in (disk, redis, last):
            found, vectors = everything(cache)
            assert found == expected
            assert set(vectors) == set(embedded)
            for address, vector in vectors.items():  # a store may keep them in half precision
                np.testing.assert_allclose(vector, embedded[address], atol=1e-3)
    finally:
        caches[2].clear()
        for cache in caches:
            cache.close()


def with_vector(entry: Entry, vector: FloatArray) -> Entry:
    return replace(entry, vector=vector, embedder_id="fake/8/unit")
