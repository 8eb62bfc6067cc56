"""Whatever a scope, an embedder, a key or a tag is made of, it widens no query and finds nothing of others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmcache_plugins.selection import Selector, canonical_tag
from llmcache_plugins.stores import RedisStore
from llmcache_plugins.stores.redis.layout import Address, Layout
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_entry, make_vector
from llmcache_plugins.types import Profile

_PREFIXES = itertools.count()
# What means something in a query of the search module, in a pattern, in a key or in Lua, and what is hard to encode.
SIGNS = list("*}{|-\\\"'():%~?\x00\ud800\u00e9")
PARTS = [
    "]]",
    "--",
    "{a|b}",
    "a b",
    "a,b",
    "@within:{*}",
    "=>[KNN 5 @v8 $vector]",
    "[inf +inf]",
    "1:a",
    "$vector",
    "a\nb",
    "[*]",
]
ODD = st.sampled_from(SIGNS + PARTS)
TEXTS = st.one_of(ODD, st.text(min_size=1, max_size=12), st.lists(ODD, min_size=1, max_size=3).map("".join))


@pytest.fixture(scope="module", params=["search", "vectorset", "valkey"])
def url(request: pytest.FixtureRequest, redis_server: Callable[[str], RedisServer]) -> str:
    return redis_server(request.param).url


@pytest.fixture(scope="module")
def store(url: str) -> Iterator[RedisStore]:
    store = RedisStore(url, prefix=f"isolation-{next(_PREFIXES)}")
    yield store
    store.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scopes=st.lists(TEXTS, min_size=2, max_size=5, unique=True), embedders=st.lists(TEXTS, min_size=1, max_size=2))
def test_a_search_finds_its_own_scope_and_embedder_alone(
    store: RedisStore, scopes: list[str], embedders: list[str]
) -> None:
    store.clear()
    for scope in scopes:
        for embedder in set(embedders):
            entry = make_entry(scope=scope, key=f"key of {embedder!a}", vector=make_vector(), embedder_id=embedder)
            store.put(entry)
    for scope in scopes:
        for embedder in set(embedders):
            found = store.search(scope, embedder, make_vector(), limit=50, now=0.0)
            assert [(c.entry.scope, c.entry.embedder_id) for c in found] == [(scope, embedder)]
            assert store.census(scope, embedder, limit=9).candidates == len(set(embedders))
    assert store.search("another", embedders[0], make_vector(), limit=50, now=0.0) == []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tags=st.lists(TEXTS, min_size=2, max_size=5, unique_by=canonical_tag))
def test_a_tag_selects_the_entries_that_have_it(store: RedisStore, tags: list[str]) -> None:
    store.clear()
    for place, tag in enumerate(tags):
        store.put(make_entry(f"{place}", profile=Profile(tags=(canonical_tag(tag),))))
    for place, tag in enumerate(tags):
        found = store.select(Selector(tags=(tag,)), limit=50).rows
        assert [stored.entry.text for stored in found] == [f"{place}"]
    store.invalidate(Selector(tags=(tags[0],)), 5.0, is_lazy=False, limit=50)
    assert len(store.select(Selector(), limit=50).rows) == len(tags) - 1


@given(scope=st.text(), key=st.text(), other=st.tuples(st.text(), st.text()))
def test_no_two_addresses_are_the_same(scope: str, key: str, other: tuple[str, str]) -> None:
    address = Layout.address(scope, key)
    assert Layout.parsed(address) == Address(scope, key)
    assert (address == Layout.address(*other)) == ((scope, key) == other)


@given(garbage=st.binary(max_size=40))
def test_what_is_no_address_is_none(garbage: bytes) -> None:
    parsed = Layout.parsed(garbage)
    assert parsed is None or Layout.address(*parsed) == garbage or garbage[:1] == b"0"
