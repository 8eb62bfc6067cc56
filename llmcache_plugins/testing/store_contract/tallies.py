"""What is counted is kept by name, and changed all or none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from llmcache_plugins.protocols import Store
from llmcache_plugins.testing.store_contract.base import ContractBase
from llmcache_plugins.testing.store_contract.samples import make_entry

__all__ = ["TallyContract"]


class TallyContract(ContractBase):
    """`tally` and `tallies`."""

    def test_tallies_are_kept_by_name(self, store: Store) -> None:
        assert store.tallies() == {}
        assert store.tally({"node-1": "1", "node \u00fc\ud800": ""}, expected={})
        assert store.tally({"node-1": "2", "unknown": None}, expected={})
        assert store.tallies() == {"node-1": "2", "node \u00fc\ud800": ""}
        assert store.tally({"node-1": None}, expected={})
        assert store.tallies() == {"node \u00fc\ud800": ""}

    def test_a_tally_is_changed_only_where_all_is_as_expected(self, store: Store) -> None:
        assert store.tally({"a": "1"}, expected={"a": None})
        assert not store.tally({"a": "2"}, expected={"a": None})  # as a write that is tried again
        assert not store.tally({"a": "2"}, expected={"a": "0"})
        assert not store.tally({"a": "2", "b": "2"}, expected={"a": "1", "b": "1"})
        assert not store.tally({"a": None, "b": "2"}, expected={"c": ""})
        assert store.tallies() == {"a": "1"}
        assert store.tally({"a": "2", "b": "1"}, expected={"a": "1", "b": None})
        assert store.tally({"c": "3", "a": None, "b": None}, expected={"a": "2", "b": "1", "c": None})
        assert store.tallies() == {"c": "3"}
        assert store.tally({"c": ""}, expected={"c": "3"})
        assert not store.tally({"c": "4"}, expected={"c": None})  # empty is not absent
        assert store.tally({}, expected={"c": ""})

    def test_tallies_are_apart_from_entries_and_notes(self, store: Store) -> None:
        store.note("a", "note")
        before = store.version()
        store.tally({"a": "tally"}, expected={})
        assert store.version() == before  # nobody's copies depend on them
        store.put(make_entry())
        store.clear()
        store.clear(("acme",))
        assert (store.tallies(), store.notes()) == ({"a": "tally"}, {"a": "note"})

    def test_of_threads_that_change_one_tally_one_at_a_time_does(self, store: Store) -> None:
        store.tally({"a": "0"}, expected={})

        def count(_: int) -> int:
            done = 0
            while done < 5:
                text = store.tallies()["a"]
                done += store.tally({"a": f"{int(text) + 1}"}, expected={"a": text})
            return done

        with ThreadPoolExecutor(4) as threads:
            assert sum(threads.map(count, range(4))) == 20
        assert store.tallies() == {"a": "20"}
