"""A new epoch of a namespace: nothing stored before it is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Hit, Miss, Request, SemanticCache, StoreError, open_cache
from llmcache_plugins.engine import Tier
from llmcache_plugins.engine.drivers import run
from llmcache_plugins.engine.epochs import Epochs
from llmcache_plugins.stores import AsyncStoreAdapter, DiskStore, MemoryStore
from llmcache_plugins.testing import FakeClock, FaultyStore


def bump(cache: SemanticCache, *namespace: str) -> None:
    run(cache._epochs.bump_flow(namespace, cache._clock.now()), cache._perform)


def opened(url: str = "memory://", **settings: Any) -> closing[SemanticCache]:
    return closing(open_cache(url, embedder=None, clock=FakeClock(), **settings))


def is_hit(cache: SemanticCache, request: Request | str) -> bool:
    return isinstance(cache.lookup(request), Hit)


def test_nothing_stored_before_an_epoch_is_found_in_it() -> None:
    with opened() as cache:
        cache.update("sing it", "old")
        bump(cache)
        assert not is_hit(cache, "sing it")
        assert not is_hit(cache, "Sing  it?")
        cache.update("sing it", "new")
        hit = cache.lookup("sing it")
        assert isinstance(hit, Hit)
        assert hit.answer == "new"
        assert is_hit(cache, "Sing  it?")
        bump(cache)
        assert not is_hit(cache, "sing it")


def test_an_epoch_is_that_of_its_namespace_and_those_below() -> None:
    asked = [Request("q", namespace=part) for part in ((), ("a",), ("a", "b"), ("c",))]
    with opened(namespace="root") as cache:
        for request in asked:
            cache.update(request, "x")
        bump(cache, "root", "a")
        assert [is_hit(cache, request) for request in asked] == [True, False, False, True]
        bump(cache, "elsewhere")
        assert [is_hit(cache, request) for request in asked] == [True, False, False, True]
        bump(cache)
        assert not any(is_hit(cache, request) for request in asked)


def test_a_kept_identity_follows_the_epochs() -> None:
    asked = Request("q", model="m")
    with opened() as cache:
        kept = [cache.identify(asked)]
        cache.update(asked, "old", identity=kept[0])
        bump(cache)
        kept.append(cache.identify(asked))
        assert kept[0] != kept[1]
        for identity in kept:
            assert isinstance(cache.lookup(asked, identity=identity), Miss)
        cache.update(asked, "new", identity=kept[0])
        for identity in kept:
            hit = cache.lookup(asked, identity=identity)
            assert isinstance(hit, Hit)
            assert (hit.entry.scope, hit.entry.key) == (kept[1].scope, kept[1].key)


def test_epochs_reach_other_caches_of_the_store_and_outlive_them(tmp_path: Path) -> None:
    url = f"disk://{tmp_path}/cache.db"
    with opened(url) as one, opened(url) as other:
        one.update("q", "old")
        assert is_hit(other, "q")
        bump(one)
        assert not is_hit(other, "q")
        other.update("q", "new")
        assert is_hit(one, "q")
    with opened(url) as later:
        hit = later.lookup("q")
        assert isinstance(hit, Hit)
        assert hit.answer == "new"


def test_epochs_reach_async_lookups(tmp_path: Path) -> None:
    async def scene(one: SemanticCache, other: SemanticCache) -> None:
        await one.aupdate("q", "old")
        assert isinstance(await other.alookup("q"), Hit)
        bump(one)
        assert isinstance(await other.alookup("q"), Miss)

    for url in ("memory://", f"disk://{tmp_path}/cache.db"):
        with opened(url) as one, opened(url) as other:
            asyncio.run(scene(one, one if url == "memory://" else other))


def test_two_epochs_begun_at_the_same_moment_are_two() -> None:
    with opened() as cache:
        bump(cache)
        cache.update("q", "between")
        bump(cache)  # the clock stands still
        assert not is_hit(cache, "q")


def test_when_an_epoch_began_is_told_for_those_who_tidy_up() -> None:
    with opened() as cache:
        bump(cache, "a", "b")
        cache.lookup("q")
        assert cache._epochs.begun() == {("a", "b"): cache._clock.now()}


def faulty(clock: FakeClock) -> tuple[FaultyStore, Tier]:
    store = FaultyStore(MemoryStore())
    return store, Tier("memory", store, AsyncStoreAdapter(store))


def test_while_epochs_cannot_be_read_nothing_old_is_found() -> None:
    errors: list[Exception] = []
    store, tier = faulty(FakeClock())
    epochs = Epochs(tier, 0, errors.append)
    epochs.refresh()
    assert epochs.of(("a",)) == ""
    store.fail({"notes", "version"})
    epochs.refresh()
    unknown = epochs.of(("a",))
    assert unknown
    epochs.refresh()
    assert epochs.of(("a",)) == unknown  # what is stored meanwhile may be found meanwhile
    assert epochs.begun() == {}
    assert all(isinstance(error, StoreError) for error in errors)
    assert len(errors) == 2
    store.heal()
    epochs.refresh()
    assert epochs.of(("a",)) == ""


def test_broken_epochs_cost_a_call_and_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: DiskStore) -> object:
        raise StoreError("no version")

    with opened(f"disk://{tmp_path}/cache.db") as cache:
        cache.update("q", "old")
        monkeypatch.setattr(DiskStore, "version", broken)
        assert isinstance(cache.lookup("q"), Miss)
        assert sum(cache.stats().errors.values()) >= 1
        monkeypatch.undo()
        assert is_hit(cache, "q")


def test_a_bare_key_of_a_plain_question_names_it_in_this_epoch() -> None:
    with opened() as cache:
        bump(cache)
        cache.update("sing it", "wrong")
        reported = cache.report_wrong(cache.identify("sing it").key)
        assert reported.removed == 1
        assert not is_hit(cache, "sing it")


def test_identifying_waits_for_a_file_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Request("sing it", model="m")
    with opened(f"disk://{tmp_path}/cache.db") as cache:
        bump(cache)
        cache.update(asked, "x")
    with opened(f"disk://{tmp_path}/cache.db") as cache:
        kept = cache.identify(asked)
        calls: list[int] = []
        monkeypatch.setattr(DiskStore, "version", lambda self: calls.append(1))
        assert cache.identify(asked) == kept
        assert not calls
        monkeypatch.undo()
        hit = cache.lookup(asked, identity=kept)
        assert isinstance(hit, Hit)
        assert hit.entry.key == kept.key


def test_a_slow_reader_does_not_bring_an_earlier_epoch_back() -> None:
    """One thread has read version and notes, and is late: what another one knows by now counts."""

    class Slow(MemoryStore):
        meanwhile: Callable[[], None] | None = None

        def notes(self, prefix: str = "") -> dict[str, str]:
            read, meanwhile, self.meanwhile = super().notes(prefix), self.meanwhile, None
            if meanwhile is not None:
                meanwhile()
            return read

    store = Slow()
    failures: list[Exception] = []
    epochs = Epochs(Tier("memory", store, AsyncStoreAdapter(store)), 0, failures.append)
    known: list[object] = []

    def begin_another() -> None:
        store.note('epoch:["a"]', "1.0 later")
        epochs.refresh()
        known.extend((epochs.version, epochs.of(("a",))))

    store.note('epoch:["b"]', "1.0 earlier")
    store.meanwhile = begin_another
    epochs.refresh()
    assert "later" in str(known[1])
    assert [epochs.version, epochs.of(("a",))] == known
    assert failures == []
