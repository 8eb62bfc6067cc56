"""Contract: leases, notes and the version."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from llmcache_plugins.protocols import Store
from llmcache_plugins.selection import Lease, Selector
from llmcache_plugins.testing.clock import FakeClock
from llmcache_plugins.testing.store_contract.base import ContractBase
from llmcache_plugins.testing.store_contract.samples import make_entry, make_vector, stored_of

__all__ = ["LeaseContract"]


def _acquire(store: Store, holder: str, now: float, *, name: str = "work", seconds: float = 10.0) -> Lease | None:
    return store.acquire(name, holder, now, now + seconds)


def _lease(store: Store, holder: str, now: float, *, name: str = "work", seconds: float = 10.0) -> Lease:
    lease = _acquire(store, holder, now, name=name, seconds=seconds)
    assert lease is not None
    return lease


class LeaseContract(ContractBase):
    """What is kept beside the entries."""

    def test_one_holder_at_a_time(self, store: Store) -> None:
        lease = _lease(store, "me", 0.0)
        assert (lease.name, lease.holder, lease.until) == ("work", "me", 10.0)
        assert _acquire(store, "you", 9.5) is None
        assert _lease(store, "you", 9.5, name="other work").holder == "you"

    def test_a_lease_ends_by_itself(self, store: Store) -> None:
        first = _lease(store, "me", 0.0)
        second = _lease(store, "you", 10.0)
        assert second.token > first.token
        assert _acquire(store, "me", 11.0) is None

    def test_its_holder_can_renew_it(self, store: Store) -> None:
        first = _lease(store, "me", 0.0)
        again = _lease(store, "me", 8.0)
        assert (again.token, again.until) == (first.token, 18.0)
        assert _acquire(store, "you", 17.0) is None

    def test_a_lease_given_back_is_free(self, store: Store) -> None:
        first = _lease(store, "me", 0.0)
        store.release(first)
        store.release(first)
        second = _lease(store, "you", 1.0)
        assert second.token > first.token
        store.release(first)  # too late: it is somebody else's
        assert _acquire(store, "me", 2.0) is None
        store.release(Lease("unknown", "me", 1, 5.0))

    def test_tokens_go_on_when_nobody_holds_it(self, store: Store) -> None:
        tokens = []
        for turn in range(4):
            lease = _lease(store, "me", 100.0 * turn)
            tokens.append(lease.token)
            store.release(lease)
        assert tokens == sorted(set(tokens))

    def test_an_answer_under_an_overtaken_lease_is_not_kept(self, store: Store) -> None:
        first = _lease(store, "me", 0.0)
        assert store.put(make_entry(answer_json='"a"'), fence=first)
        second = _lease(store, "you", 20.0)
        assert not store.put(make_entry(answer_json='"late"'), fence=first)
        assert store.put(make_entry(answer_json='"b"'), fence=second)
        store.release(second)
        assert not store.put(make_entry(answer_json='"late"'), fence=first)
        assert store.put(make_entry("other", answer_json='"c"'), fence=second)  # nobody came after it
        assert stored_of(store.get("scope", "key of hello")).entry.answer == "b"

    def test_an_ended_lease_that_nobody_took_still_counts(self, store: Store) -> None:
        lease = _lease(store, "me", 0.0)
        assert store.put(make_entry(), fence=lease)
        store.release(lease)
        assert store.put(make_entry(), fence=lease)

    def test_leases_and_invalidations_are_both_asked(self, store: Store) -> None:
        lease = _lease(store, "me", 0.0)
        store.invalidate(Selector(), 1.0, is_lazy=False, limit=9)
        assert not store.put(make_entry(), seen=0, fence=lease)
        _lease(store, "you", 20.0)
        assert not store.put(make_entry(), seen=1, fence=lease)

    def test_threads_share_one_lease(self, store: Store) -> None:
        with ThreadPoolExecutor(8) as threads:
            for turn in range(10):
                given = list(threads.map(lambda who, now=turn * 100.0: _acquire(store, f"{who}", now), range(8)))
                assert len([lease for lease in given if lease is not None]) == 1

    # -- notes

    def test_notes_are_kept_by_name(self, store: Store) -> None:
        assert store.notes() == {}
        store.note("epoch:acme/app", "1")
        store.note("epoch:acme/app", "2")
        store.note("epoch:x", "\u00fc \ud800")
        store.note("100%", "")
        store.note("1000", "x")
        assert store.notes("epoch:") == {"epoch:acme/app": "2", "epoch:x": "\u00fc \ud800"}
        assert store.notes("100%") == {"100%": ""}
        assert store.notes("EPOCH") == {}
        store.note("epoch:x", None)
        store.note("unknown", None)
        assert store.notes() == {"epoch:acme/app": "2", "100%": "", "1000": "x"}

    def test_clear_leaves_notes_and_leases_alone(self, store: Store) -> None:
        store.note("a", "1")
        lease = _lease(store, "me", 0.0)
        store.put(make_entry())
        store.clear()
        store.clear(("acme",))
        assert store.notes() == {"a": "1"}
        assert _acquire(store, "you", 1.0) is None
        assert store.stats().entries == 0
        store.release(lease)

    # -- version

    def test_the_version_changes_with_what_copies_would_miss(self, clock: FakeClock) -> None:
        entry = make_entry("a", expires_at=5.0)
        with self.open_store(clock, max_entries=2) as store:
            for text in "abcde":
                store.put(make_entry(text, expires_at=5.0 if text == "e" else None))
            writes: dict[str, Callable[[], object]] = {
                "evict": lambda: store.put(entry),
                "replace": lambda: store.put(entry),
                "mark": lambda: store.invalidate(Selector(), 1.0, is_lazy=True, limit=1),
                "invalidate": lambda: store.invalidate(Selector(), 1.0, is_lazy=False, limit=1),
                "sweep": lambda: store.sweep(9.0, limit=1),
                "note": lambda: store.note("a", "1"),
                "change a note": lambda: store.note("a", "2"),
                "drop a note": lambda: store.note("a", None),
            }
            unchanged = [name for name, write in writes.items() if not _changes(store, write)]
            store.put(entry)
            unchanged += [] if _changes(store, lambda: store.delete("scope", [entry.key])) else ["delete"]
            store.put(entry)
            unchanged += [] if _changes(store, store.clear) else ["clear"]
        assert not unchanged, f"the version is the same after: {', '.join(unchanged)}"

    def test_reading_and_adding_leave_the_version(self, store: Store) -> None:
        """Copies are checked with it at each use: they would be looked up again all the time."""
        store.put(make_entry(vector=make_vector()))
        before = store.version()
        store.put(make_entry("another"))
        store.get("scope", "key of hello")
        store.touch("scope", "key of hello", 5.0)
        store.select(Selector(), limit=5)
        store.notes()
        store.stats()
        assert store.version() == before


def _changes(store: Store, write: Callable[[], object]) -> bool:
    before = store.version()
    write()
    return store.version() != before
