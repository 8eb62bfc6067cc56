"""A copy never outlives what it copies, and its store may break."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Hit, Miss, SemanticCache, StoreUnavailable, TierConfig, open_cache
from llmcache_plugins.engine.copying import read_through
from llmcache_plugins.engine.rules import Flow, Troubles
from llmcache_plugins.engine.steps import Put
from llmcache_plugins.protocols import Store
from llmcache_plugins.selection import Selector
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.testing import FakeClock, FakeEmbedder, FaultyStore

ASKED, OTHER = "What are the BGP states?", "Which states does BGP have?"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


class Watched:
    """A cache over a file with copies of what is hot; `copies` counts and fails."""

    def __init__(self, path: Path, clock: FakeClock, **settings: Any) -> None:
        self.url = f"disk://{path}"
        self.clock = clock
        self.copies = FaultyStore(MemoryStore())
        self.cache = self.open(self.copies, **settings)

    def open(self, copies: Store | None, **settings: Any) -> SemanticCache:
        tiers = [TierConfig("hot", store=copies, residency=300.0), TierConfig("cold", promote_at=1)]
        given: dict[str, Any] = {"embedder": None, "maintenance": "manual", "ttl": None, **settings}
        return open_cache(self.url, tiers=tiers, clock=self.clock, **given)

    def make_hot(self, question: str = ASKED, answer: str = "six") -> None:
        """Store an answer and read it until there is a copy that is good."""
        self.cache.update(question, answer)
        for _ in range(3):
            assert self.ask(question) == answer
        assert self.is_copied(question)

    def ask(self, question: str = ASKED) -> Any:
        outcome = self.cache.lookup(question)
        return outcome.answer if isinstance(outcome, Hit) else None

    def is_copied(self, question: str = ASKED) -> bool:
        identity = self.cache.identify(question)
        return self.copies.inner.get(identity.scope, identity.key) is not None

    def copies_read(self, ask: Callable[[], object]) -> int:
        before = self.copies.calls["get"]
        ask()
        return self.copies.calls["get"] - before


@pytest.fixture
def watched(tmp_path: Path, clock: FakeClock) -> Any:
    watched = Watched(tmp_path / "cache.db", clock)
    with watched.cache:
        yield watched


def test_hot_entries_are_served_from_their_copy(watched: Watched) -> None:
    watched.make_hot()
    hit = watched.cache.lookup(ASKED)
    assert isinstance(hit, Hit)
    assert (hit.tier, hit.kind, hit.access_count) == ("hot", "exact", 4)
    assert watched.copies_read(watched.ask) == 1


def test_cold_entries_cost_the_copies_nothing(watched: Watched) -> None:
    watched.cache.update("cold", "a")
    assert watched.copies_read(lambda: watched.ask("cold")) == 0
    assert watched.copies_read(lambda: watched.ask("unknown")) == 0


def test_reads_of_a_copy_are_counted_where_the_entry_is(watched: Watched) -> None:
    watched.make_hot()
    for _ in range(5):
        watched.ask()
    with watched.open(None) as other:
        watched.cache.close()
        hit = other.lookup(ASKED)
        assert isinstance(hit, Hit)
        assert hit.access_count == 9


# ------------------------------------------------------------------------------------------------- copies that are old
def test_a_new_answer_replaces_the_copied_one(watched: Watched) -> None:
    watched.make_hot()
    watched.cache.update(ASKED, "seven")
    assert watched.ask() == "seven"
    assert not watched.is_copied()


def test_an_invalidated_answer_is_not_served_from_its_copy(watched: Watched) -> None:
    watched.make_hot()
    watched.cache.invalidate(key=watched.cache.identify(ASKED).key)
    assert watched.ask() is None


def test_of_two_readers_the_one_who_read_earlier_leaves_no_copy_that_counts(watched: Watched) -> None:
    """Both have read the truth, one before it was marked, one after; they come to the copy's store in any order."""
    cache = watched.cache
    cache.update(ASKED, "six")
    assert watched.ask() == "six"  # hot from now on, without a copy yet
    identity, tiering = cache.identify(ASKED), cache._rules.tiering
    assert tiering is not None

    def to_put() -> tuple[Flow[Any], Any]:
        flow = read_through(identity, cache._rules, tiering, Troubles(False))
        return flow, advance(flow, None)

    def advance(flow: Flow[Any], value: Any) -> Any:
        """Go on until the copy is to be put; None at the end."""
        with contextlib.suppress(StopIteration):
            while not isinstance(step := flow.send(value), Put):
                value = cache._perform(step)
            return step
        return None

    earlier, put_earlier = to_put()
    assert put_earlier is not None
    cache.invalidate(key=identity.key, mode="lazy")
    later, put_later = to_put()
    is_kept = put_later is not None and cache._perform(put_later)
    assert advance(earlier, cache._perform(put_earlier)) is None
    if put_later is not None:
        assert advance(later, is_kept) is None
    for _ in range(3):
        assert isinstance(cache.lookup(ASKED), Miss)


def test_an_answer_that_was_marked_stale_is_not_served_as_fresh(watched: Watched) -> None:
    watched.make_hot()
    watched.cache.invalidate(key=watched.cache.identify(ASKED).key, mode="lazy")
    outcome = watched.cache.lookup(ASKED)
    assert isinstance(outcome, Miss)
    assert outcome.reason == "stale"


def test_a_reported_answer_is_not_served_from_its_copy(watched: Watched) -> None:
    watched.make_hot()
    hit = watched.cache.lookup(ASKED)
    assert isinstance(hit, Hit)
    assert watched.cache.report_wrong(hit).removed == 1
    assert watched.ask() is None


def test_clear_takes_the_copies_too(watched: Watched) -> None:
    watched.make_hot()
    assert watched.cache.clear() == 1
    assert watched.ask() is None
    assert not watched.is_copied()


def test_an_expired_answer_is_not_served_from_its_copy(tmp_path: Path, clock: FakeClock) -> None:
    watched = Watched(tmp_path / "cache.db", clock, ttl=60)
    with watched.cache:
        watched.make_hot()
        clock.advance(60)
        outcome = watched.cache.lookup(ASKED)
        assert isinstance(outcome, Miss)
        assert outcome.reason == "expired"


def test_what_another_process_writes_counts_at_once(watched: Watched) -> None:
    watched.make_hot()
    with watched.open(None) as other:  # a connection of its own, as another process has one
        other.update(ASKED, "seven")
        assert watched.ask() == "seven"
        other.clear()
        assert watched.ask() is None


def test_an_entry_that_moved_down_is_not_copied_any_longer(watched: Watched, clock: FakeClock) -> None:
    watched.make_hot()
    clock.advance(301)
    watched.cache.maintain()
    assert not watched.is_copied()
    hit = watched.cache.lookup(ASKED)
    assert isinstance(hit, Hit)
    assert hit.tier == "cold"


def test_a_copy_that_is_still_right_is_good_again_after_a_look(watched: Watched) -> None:
    watched.make_hot()
    watched.cache.update("something else", "a")
    puts = watched.copies.calls["put"]
    assert watched.ask() == "six"
    assert watched.ask() == "six"
    assert watched.copies.calls["put"] == puts


def test_maintenance_drops_copies_whose_entry_is_gone(watched: Watched) -> None:
    watched.make_hot()
    watched.make_hot("kept", "a")
    with watched.open(None) as other:
        other.clear()
    assert watched.cache.maintain().done["copies"] == 2
    assert not watched.is_copied()
    assert len(watched.copies.inner.select(Selector(), limit=10).rows) == 0


def test_answer_written_while_it_is_copied_is_not_served_old(tmp_path: Path, clock: FakeClock) -> None:
    """The copy is made of what was read before; the write between the read and the copy must not be lost."""
    watched = Watched(tmp_path / "cache.db", clock)
    with watched.cache:
        watched.cache.update(ASKED, "six")
        watched.ask()
        written: list[bool] = []

        def write_once() -> None:
            if not written:
                written.append(True)
                watched.cache.update(ASKED, "seven")

        watched.copies.before({"put"}, write_once)
        watched.ask()
        assert written
        assert watched.ask() == "seven"


# --------------------------------------------------------------------------------------------------- what may go wrong
def test_a_broken_store_of_copies_costs_nothing_but_time(watched: Watched) -> None:
    watched.make_hot()
    watched.copies.fail()
    assert watched.ask() == "six"
    watched.cache.update(ASKED, "seven")
    assert [watched.ask() for _ in range(3)] == ["seven"] * 3
    assert watched.cache.stats().errors["hot copies"] >= 2
    watched.copies.heal()
    assert [watched.ask() for _ in range(3)] == ["seven"] * 3


def test_a_copy_is_not_served_when_the_truth_cannot_be_asked(clock: FakeClock) -> None:
    bottom, copies = FaultyStore(MemoryStore()), FaultyStore(MemoryStore())
    tiers = [TierConfig("hot", store=copies), TierConfig("cold", store=bottom, promote_at=1)]
    with open_cache(tiers=tiers, embedder=None, clock=clock, maintenance="manual") as cache:
        cache.update("q", "a")
        for _ in range(3):
            assert isinstance(cache.lookup("q"), Hit)
        bottom.fail({"version", "get"})
        outcome = cache.lookup("q")
        assert isinstance(outcome, Miss)
        assert outcome.reason == "store_error"


def test_users_may_want_to_hear_of_a_broken_store_of_copies(tmp_path: Path, clock: FakeClock) -> None:
    watched = Watched(tmp_path / "cache.db", clock, fail_open=False)
    with watched.cache:
        watched.make_hot()
        watched.copies.fail({"get"})
        with pytest.raises(StoreUnavailable):
            watched.ask()


def test_a_copy_too_large_for_its_store_is_tried_once(tmp_path: Path, clock: FakeClock) -> None:
    watched = Watched(tmp_path / "cache.db", clock)
    watched.copies.inner = MemoryStore(max_bytes=2000)
    with watched.cache:
        watched.cache.update(ASKED, "x" * 5000)
        for _ in range(6):
            assert watched.ask() == "x" * 5000
        assert watched.copies.calls["put"] == 1


def test_matches_by_meaning_never_come_from_a_copy(tmp_path: Path, clock: FakeClock) -> None:
    embedder = FakeEmbedder({ASKED: "bgp", OTHER: "bgp"})
    watched = Watched(tmp_path / "cache.db", clock, embedder=embedder)
    with watched.cache:
        watched.make_hot()
        hit = watched.cache.lookup(OTHER)
        assert isinstance(hit, Hit)
        assert (hit.kind, hit.tier) == ("semantic", "hot")
        assert watched.copies.calls["search"] == watched.copies.calls["census"] == 0
        watched.cache.clear()
        assert isinstance(watched.cache.lookup(OTHER), Miss)


async def test_copies_on_an_event_loop(watched: Watched) -> None:
    await watched.cache.aupdate(ASKED, "six")
    for _ in range(4):
        assert isinstance(await watched.cache.alookup(ASKED), Hit)
    assert watched.is_copied()
    await watched.cache.aclear()
    assert isinstance(await watched.cache.alookup(ASKED), Miss)


def test_a_file_has_copies_in_memory_by_default(tmp_path: Path, clock: FakeClock) -> None:
    with open_cache(f"disk://{tmp_path}/c.db", embedder=None, clock=clock, maintenance="manual") as cache:
        cache.update("q", "a")
        for _ in range(12):
            cache.lookup("q")
        stores = cache.stats().stores
        assert list(stores) == ["disk", "hot copies"]
        assert (stores["disk"].entries, stores["hot copies"].entries, cache.stats().entries) == (1, 1, 1)
