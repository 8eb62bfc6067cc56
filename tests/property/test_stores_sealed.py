"""Sealing: whatever is stored comes back, and no bytes of somebody else make it raise."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import EncryptedStore, MemoryStore
from llmcache_plugins.types import Alias, Damaged, Entry, Profile, Stored, Usage

pytest.importorskip("cryptography")

from llmcache_plugins.stores.sealed.addresses import Addresses  # needs the extra
from llmcache_plugins.stores.sealed.keys import Keys
from llmcache_plugins.stores.sealed.sealing import Sealer

KEY, OTHER = bytes(range(32)), bytes(32)
texts = st.text(st.characters(codec=None), max_size=30)  # lone surrogates, too
instants = st.floats(-1e12, 1e12)
entries = st.builds(
    Entry,
    scope=texts,
    key=texts,
    normalised_key=texts,
    namespace=st.lists(texts, max_size=3).map(tuple),
    text=texts,
    answer_json=texts.map(json.dumps),
    created_at=instants,
    expires_at=st.none() | instants,
    is_candidate=st.booleans(),
    model=texts,
    usage=st.builds(Usage, *[st.integers(0, 2**40)] * 4),
    generation_seconds=st.none() | st.floats(0, 1e6),
    node_id=texts,
    profile=st.builds(Profile, texts, texts, st.lists(texts, max_size=3).map(tuple)),
    label=texts | st.just("v1:device:status:x:y"),
    stale_at=st.none() | instants,
    tolerant=st.dictionaries(texts, st.none() | st.integers(-9, 9) | st.floats(0, 2) | texts, max_size=3),
    finish_reason=st.none() | texts,
    is_note=st.booleans(),
)
SEALER, ADDRESSES = Sealer(Keys([KEY, OTHER])), Addresses(Keys(KEY))


@given(entry=entries, other=texts, similarity=st.floats(-1, 1))
def test_an_entry_and_its_alias_come_back_as_they_were(entry: Entry, other: str, similarity: float) -> None:
    store = EncryptedStore(MemoryStore(), KEY)
    store.put(entry)
    assert store.get(entry.scope, entry.key) == Stored(entry)
    (found,) = store.get_normalised(entry.scope, entry.normalised_key, limit=9)
    assert found.entry == entry
    if other != entry.key:
        alias = Alias(entry.scope, other, entry.key, other, similarity, 1.0, other, 0.0)
        store.put_alias(alias)
        stored = store.get(entry.scope, other)
        assert isinstance(stored, Stored)
        assert (stored.entry, stored.alias) == (entry, alias)


@given(entry=entries)
def test_every_selector_of_what_an_entry_is_finds_it(entry: Entry) -> None:
    store = EncryptedStore(MemoryStore(), KEY)
    store.put(replace(entry, is_note=False))
    selector = Selector(
        scope=entry.scope or None,
        keys=tuple(filter(None, (entry.key,))),
        tags=(),
        query_types=tuple(filter(None, (entry.profile.query_type,))),
        models=tuple(filter(None, (entry.model,))),
        namespace=entry.namespace if all(entry.namespace) else (),
    )
    assert [row.entry.key for row in store.select(selector, limit=9).rows] == [entry.key]


@given(content=st.binary(max_size=200), place=st.lists(texts, max_size=3), elsewhere=st.lists(texts, max_size=3))
def test_a_text_opens_where_it_was_sealed_and_nowhere_else(
    content: bytes, place: list[str], elsewhere: list[str]
) -> None:
    sealed = SEALER.seal(content, *place)
    assert SEALER.open(sealed, *place) == content
    assert Sealer(Keys([OTHER, KEY])).open(sealed, *place) == content
    assert Sealer(Keys(OTHER)).open(sealed, *place) == Damaged("unknown_key")
    if elsewhere != place:
        assert SEALER.open(sealed, *elsewhere) == Damaged("bad_bytes")


@given(content=st.binary(max_size=200), place=st.integers(0), change=st.integers(1, 255))
def test_no_changed_byte_opens(content: bytes, place: int, change: int) -> None:
    raw = bytearray(base64.b64decode(SEALER.seal(content, "place")))
    raw[place % len(raw)] ^= change
    assert isinstance(SEALER.open(base64.b64encode(raw).decode(), "place"), Damaged)


@given(text=texts | st.binary(max_size=80).map(lambda raw: base64.b64encode(raw).decode()))
def test_whatever_is_opened_nothing_is_raised(text: str) -> None:
    assert isinstance(SEALER.open(text, "place"), Damaged)
    assert ADDRESSES.named("key", text) is None


@given(name=texts | st.binary(max_size=30).map(bytes.hex), kind=texts, within=texts)
def test_a_name_comes_back(name: str, kind: str, within: str) -> None:
    stored = ADDRESSES.of(kind, name, within)
    assert ADDRESSES.named(kind, stored, within) == name
    assert Addresses(Keys(OTHER)).named(kind, stored, within) is None
