"""What every store promises, as tests: subclass `StoreContract` or `AsyncStoreContract` and say how to make a store.

class TestMyStore(StoreContract):
    def make_store(self, clock, **settings):
        return MyStore(**settings)
"""

from __future__ import annotations

from typing import Any

from llmcache_plugins.protocols import AsyncStore, Clock, Store
from llmcache_plugins.testing.store_contract.candidates import CandidateContract
from llmcache_plugins.testing.store_contract.capacity import CapacityContract
from llmcache_plugins.testing.store_contract.entries import EntryContract
from llmcache_plugins.testing.store_contract.facade import StoreFacade
from llmcache_plugins.testing.store_contract.invalidations import InvalidationContract
from llmcache_plugins.testing.store_contract.leases import LeaseContract
from llmcache_plugins.testing.store_contract.samples import make_alias, make_entry, make_vector
from llmcache_plugins.testing.store_contract.selecting import SelectContract
from llmcache_plugins.testing.store_contract.tallies import TallyContract
from llmcache_plugins.testing.store_contract.threads import ThreadContract
from llmcache_plugins.testing.store_contract.tiers import TierContract

__all__ = ["AsyncStoreContract", "StoreContract", "StoreFacade", "make_alias", "make_entry", "make_vector"]


class StoreContract(
    EntryContract,
    CandidateContract,
    CapacityContract,
    TierContract,
    SelectContract,
    InvalidationContract,
    LeaseContract,
    TallyContract,
    ThreadContract,
):
    """The rules of `protocols.Store`, one test for each. Not to be overridden, only `xfail`ed with a reason."""


class AsyncStoreContract(StoreContract):
    """The same rules for an `AsyncStore`: every test runs its coroutines on an event loop of its own thread."""

    def make_async_store(self, clock: Clock, **settings: Any) -> AsyncStore:
        """An empty store, as `StoreContract.make_store` makes one."""
        raise NotImplementedError

    def make_store(self, clock: Clock, **settings: Any) -> Store:
        return StoreFacade(lambda: self.make_async_store(clock, **settings))
