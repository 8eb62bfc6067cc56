"""An invalidation whose process dies between noting it and carrying it out."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import RedisStore
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.testing.store_contract import make_entry
from llmcache_plugins.types import Profile

_PREFIXES = itertools.count()
TAGGED = Selector(tags=("t",))


@pytest.fixture
def stores(redis_server: Callable[[str], RedisServer]) -> tuple[RedisStore, RedisStore]:
    url, prefix = redis_server("plain").url, f"unfinished-{next(_PREFIXES)}"
    return RedisStore(url, prefix=prefix), RedisStore(url, prefix=prefix)


def begin(store: RedisStore, *, is_lazy: bool) -> None:
    """Note an invalidation, and no more."""
    flow = store._flows.invalidate(TAGGED, 9.0, is_lazy=is_lazy, limit=100)
    batch = next(flow)
    while not any(getattr(one, "verb", "") == "note_invalidation" for one in batch):
        batch = flow.send(store._connection._send(batch))
    store._connection._send(batch)


@pytest.mark.parametrize("is_lazy", [False, True])
def test_another_process_finishes_it(stores: tuple[RedisStore, RedisStore], is_lazy: bool) -> None:
    dying, other = stores
    for text in "ab":
        other.put(make_entry(text, profile=Profile(tags=("t",))))
    other.put(make_entry("c"))
    begin(dying, is_lazy=is_lazy)
    other.put(make_entry("later", profile=Profile(tags=("t",))), seen=other.sequence())
    assert other._run(other._flows.finish_invalidations()) == 0  # it may still be under way
    assert other._run(other._flows.finish_invalidations(begun_before=0)) == 1
    assert other._run(other._flows.finish_invalidations(begun_before=0)) == 0
    left = other.select(Selector(), limit=9).rows
    stale = [stored.entry.text for stored in left if stored.entry.stale_at == 9.0]
    assert stale == (["a", "b"] if is_lazy else [])
    assert [s.entry.text for s in left if s.entry.stale_at is None] == ["c", "later"]
    assert [(one.number, one.count) for one in other.invalidations(since=0.0)] == [(1, 2)]


def test_one_that_ended_is_not_done_again(stores: tuple[RedisStore, RedisStore]) -> None:
    store, other = stores
    store.put(make_entry("a", profile=Profile(tags=("t",))))
    store.invalidate(TAGGED, 9.0, is_lazy=False, limit=100)
    assert other._run(other._flows.finish_invalidations(begun_before=0)) == 0


def test_what_cannot_be_read_any_more_is_given_up(stores: tuple[RedisStore, RedisStore]) -> None:
    store, _ = stores
    begin(store, is_lazy=False)
    store.forget_invalidations(before=10.0)
    assert store._run(store._flows.finish_invalidations(begun_before=0)) == 0
