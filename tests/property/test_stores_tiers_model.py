"""Tiers, eviction, invalidation and leases of a store against a plain model of them, by random steps."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llmcache_plugins.counters import Share
from llmcache_plugins.policies.eviction import CostAware, Fifo, Lfu, Lru, RandomOrder
from llmcache_plugins.protocols import EvictionPolicy, Store
from llmcache_plugins.selection import Invalidation, Lease, Selector
from llmcache_plugins.stores import DiskStore, MemoryStore
from llmcache_plugins.stores.capacity import entry_bytes
from llmcache_plugins.testing.store_contract import make_entry
from llmcache_plugins.types import Entry, Profile, Stored, Usage

MAX_ENTRIES = 6
LAST_TIER = "cold"
TEXTS = st.sampled_from([f"t{number}" for number in range(7)])
TIERS = st.sampled_from(["", "cold", "warm", "hot"])
TAGS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=2, unique=True).map(tuple)
SELECTORS = st.builds(
    Selector,
    scope=st.sampled_from([None, None, "scope"]),
    keys=st.sampled_from([(), (), ("key of t1", "key of t2")]),
    tags=TAGS,
    tier=st.sampled_from([None, None, "warm", "cold"]),
    is_stale=st.sampled_from([None, None, False, True]),
)
NAMES = st.sampled_from(["one lease", "another"])
HOLDERS = st.sampled_from(["me", "you"])


@dataclass
class Kept:
    """What the model knows of an entry."""

    entry: Entry
    order: int
    tier: str
    placed_at: float | None
    priority: float
    weight: float
    access_count: int = 0
    reads: int = 0
    last_access: float | None = None

    @property
    def address(self) -> tuple[str, str]:
        return self.entry.scope, self.entry.key

    @property
    def stored(self) -> Stored:
        return Stored(
            self.entry, self.access_count, self.last_access, tier=self.tier, placed_at=self.placed_at, reads=self.reads
        )


def is_selected(kept: Kept, selector: Selector) -> bool:
    """The fields that `SELECTORS` fills, one by one."""
    entry = kept.entry
    if selector.scope not in (None, entry.scope) or selector.tier not in (None, kept.tier):
        return False
    if selector.keys and entry.key not in selector.keys:
        return False
    if selector.is_stale is not None and selector.is_stale != (entry.stale_at is not None):
        return False
    return all(tag in entry.profile.tags for tag in selector.tags)


class TierModel(RuleBasedStateMachine):
    """The store under test beside a list of its entries that is gone through for every question."""

    policy: ClassVar[EvictionPolicy] = Lru()
    by_tier: ClassVar[dict[str, EvictionPolicy]] = {"warm": Lfu()}

    def make_store(self) -> Store:
        return MemoryStore(
            max_entries=MAX_ENTRIES, eviction=self.policy, eviction_by_tier=self.by_tier, last_tier=LAST_TIER
        )

    def __init__(self) -> None:
        super().__init__()
        self.store = self.make_store()
        self.kept: dict[tuple[str, str], Kept] = {}
        self.log: list[Invalidation] = []
        self.sequence = 0
        self.leases: dict[str, tuple[Lease, bool]] = {}  # the last of each name, and whether it was given back
        self.granted: list[Lease] = []
        self.orders = 0
        self.evictions = 0
        self.now = 1_700_000_000.0

    def tick(self) -> float:
        self.now += 60.0
        self.orders += 1
        return self.now

    def policy_of(self, tier: str) -> EvictionPolicy:
        return self.by_tier.get(tier, self.policy)

    def in_order(self, tier: str) -> list[Kept]:
        mine = [kept for kept in self.kept.values() if kept.tier == tier]
        return sorted(mine, key=lambda kept: (kept.priority, kept.order))

    def may_leave(self, newest: Kept) -> list[tuple[str, str]]:
        """Who may leave next: of each tier that leaves first the lowest; of tiers without an order any."""
        tiers = {kept.tier for kept in self.kept.values() if kept is not newest}
        firsts = tiers & {"", LAST_TIER} or tiers
        found = []
        for tier in firsts:
            lowest = [kept.address for kept in self.in_order(tier) if kept is not newest]
            found += lowest if isinstance(self.policy_of(tier), RandomOrder) else lowest[:1]
        return found

    def refuses(self, kept: Kept, seen: int | None, fence: Lease | None) -> bool:
        if fence is not None and self.leases[fence.name][0].token != fence.token:
            return True
        if seen is None or seen >= self.sequence:
            return False
        later = [noted for noted in self.log if noted.number > seen]
        return len(later) < self.sequence - seen or any(is_selected(kept, noted.selector) for noted in later)

    @rule(text=TEXTS, tier=TIERS, tags=TAGS, tokens=st.sampled_from([10, 1000]), data=st.data())
    def put(self, text: str, tier: str, tags: tuple[str, ...], tokens: int, data: st.DataObject) -> None:
        now = self.tick()
        seen = data.draw(st.none() | st.integers(0, self.sequence))
        fence = data.draw(st.sampled_from([None, None, *self.granted]))
        entry = make_entry(text, created_at=now, profile=Profile(tags=tags), usage=Usage(tokens))
        policy = self.policy_of(tier)
        weight = policy.weight(entry, entry_bytes(entry))
        priority = policy.on_put(weight, now, self.orders)
        kept = Kept(entry, self.orders, tier, now if tier else None, priority, weight)
        is_refused = self.refuses(kept, seen, fence)
        assert self.store.put(entry, tier=tier, seen=seen, fence=fence) is not is_refused
        if is_refused:
            return
        self.kept.pop(kept.address, None)
        self.kept[kept.address] = kept
        if len(self.kept) > MAX_ENTRIES:
            gone = [address for address in self.kept if self.store.get(*address) is None]
            assert len(gone) == 1
            assert gone[0] in self.may_leave(kept)
            del self.kept[gone[0]]
            self.evictions += 1

    @rule(text=TEXTS)
    def touch(self, text: str) -> None:
        now = self.tick()
        self.store.touch("scope", f"key of {text}", now)
        kept = self.kept.get(("scope", f"key of {text}"))
        if kept is not None:
            kept.access_count += 1
            kept.reads += 1
            kept.last_access = now
            kept.priority = self.policy_of(kept.tier).on_read(kept.priority, kept.weight, 1, now, self.orders)

    @rule(texts=st.lists(TEXTS, max_size=3, unique=True), tier=TIERS, is_demotion=st.booleans())
    def place(self, texts: list[str], tier: str, is_demotion: bool) -> None:
        now = self.tick()
        addresses = [("scope", f"key of {text}") for text in texts]
        there = [self.kept[address] for address in addresses if address in self.kept]
        assert self.store.place(addresses, tier, now, is_demotion=is_demotion) == len(there)
        policy = self.policy_of(tier)
        for kept in there:
            self.orders += 1
            kept.tier, kept.placed_at = tier, now
            kept.reads = 0 if is_demotion else kept.reads
            kept.weight = policy.weight(kept.entry, entry_bytes(kept.entry))
            kept.priority = policy.on_put(kept.weight, now, self.orders)

    @rule(texts=st.lists(TEXTS, max_size=2))
    def delete(self, texts: list[str]) -> None:
        there = {("scope", f"key of {text}") for text in texts} & self.kept.keys()
        assert self.store.delete("scope", [f"key of {text}" for text in texts]) == len(there)
        for address in there:
            del self.kept[address]

    @rule(selector=SELECTORS, is_lazy=st.booleans(), limit=st.integers(0, 4))
    def invalidate(self, selector: Selector, is_lazy: bool, limit: int) -> None:
        now = self.tick()
        found = [kept for kept in self.kept.values() if is_selected(kept, selector)]
        if is_lazy:
            found = [kept for kept in found if kept.entry.stale_at is None]
        done = self.store.invalidate(selector, now, is_lazy=is_lazy, reason="r", limit=limit)
        self.sequence += 1
        self.log.append(Invalidation(self.sequence, now, selector, "r", "now", len(found)))
        assert done.number == self.sequence
        assert done.addresses == tuple(kept.address for kept in found[:limit])
        for kept in found[:limit]:
            if is_lazy:
                kept.entry = replace(kept.entry, stale_at=now)
            else:
                del self.kept[kept.address]

    @rule(back=st.integers(0, 600))
    def forget_invalidations(self, back: int) -> None:
        before = self.now - back
        left = [noted for noted in self.log if noted.at >= before]
        assert self.store.forget_invalidations(before=before) == len(self.log) - len(left)
        self.log = left

    @rule(selector=SELECTORS, limit=st.integers(1, 3))
    def select(self, selector: Selector, limit: int) -> None:
        rows: list[Stored] = []
        page = self.store.select(selector, limit=limit)
        rows.extend(page.rows)
        while page.after is not None:
            page = self.store.select(selector, limit=limit, after=page.after)
            assert len(page.rows) <= limit
            rows.extend(page.rows)
        assert rows == [kept.stored for kept in self.kept.values() if is_selected(kept, selector)]

    @rule(tier=TIERS, limit=st.integers(0, 4))
    def lowest(self, tier: str, limit: int) -> None:
        found = [stored.entry.key for stored in self.store.lowest(tier, limit=limit)]
        mine = [kept.entry.key for kept in self.in_order(tier)]
        if isinstance(self.policy_of(tier), RandomOrder):
            assert len(found) == min(limit, len(mine))
            assert set(found) <= set(mine)
        else:
            assert found == mine[:limit]

    @rule(name=NAMES, holder=HOLDERS, seconds=st.sampled_from([30.0, 200.0]))
    def acquire(self, name: str, holder: str, seconds: float) -> None:
        now = self.tick()
        lease = self.store.acquire(name, holder, now, now + seconds)
        last, is_back = self.leases.get(name, (None, True))
        is_held = last is not None and not is_back and last.until > now
        if is_held and last is not None and last.holder != holder:
            assert lease is None
            return
        assert lease is not None
        assert (lease.name, lease.holder, lease.until) == (name, holder, now + seconds)
        if is_held and last is not None:
            assert lease.token == last.token
        else:
            assert all(lease.token > other.token for other in self.granted if other.name == name)
        self.leases[name] = lease, False
        self.granted.append(lease)

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.granted:
            lease = data.draw(st.sampled_from(self.granted))
            self.store.release(lease)
            last, is_back = self.leases[lease.name]
            self.leases[lease.name] = last, is_back or last.token == lease.token

    @invariant()
    def every_entry_is_as_it_should_be(self) -> None:
        for address, kept in self.kept.items():
            assert self.store.get(*address) == kept.stored

    @invariant()
    def the_sums_agree(self) -> None:
        stats = self.store.stats()
        assert (stats.entries, stats.evictions) == (len(self.kept), self.evictions)
        shares: dict[str, list[int]] = {}
        for kept in self.kept.values():
            shares.setdefault(kept.tier, []).append(entry_bytes(kept.entry))
        assert stats.shares == {tier: Share(len(sizes), sum(sizes)) for tier, sizes in shares.items()}
        assert self.store.sequence() == self.sequence
        assert self.store.invalidations(since=0.0) == self.log

    def teardown(self) -> None:
        self.store.close()


class LfuModel(TierModel):
    policy = Lfu()
    by_tier: ClassVar[dict[str, EvictionPolicy]] = {"warm": Fifo()}


class FifoModel(TierModel):
    policy = Fifo()
    by_tier: ClassVar[dict[str, EvictionPolicy]] = {"warm": CostAware()}


class RandomModel(TierModel):
    policy = RandomOrder()
    by_tier: ClassVar[dict[str, EvictionPolicy]] = {"warm": Lru()}


class CostAwareModel(TierModel):
    policy = CostAware()
    by_tier: ClassVar[dict[str, EvictionPolicy]] = {"cold": RandomOrder()}


class DiskTierModel(TierModel):
    by_tier: ClassVar[dict[str, EvictionPolicy]] = {"warm": Fifo(), "cold": RandomOrder()}

    def make_store(self) -> Store:
        self.folder = tempfile.TemporaryDirectory()
        return DiskStore(
            Path(self.folder.name) / "cache.db",
            max_entries=MAX_ENTRIES,
            eviction=self.policy,
            eviction_by_tier=self.by_tier,
            last_tier=LAST_TIER,
        )

    def teardown(self) -> None:
        super().teardown()
        self.folder.cleanup()


def _case(machine: type[RuleBasedStateMachine], examples: int) -> Any:
    case = machine.TestCase
    case.settings = settings(max_examples=examples, stateful_step_count=50, deadline=None)
    return case


TestLru = _case(TierModel, 60)
TestLfu = _case(LfuModel, 40)
TestFifo = _case(FifoModel, 40)
TestRandom = _case(RandomModel, 40)
TestCostAware = _case(CostAwareModel, 40)
TestDisk = pytest.mark.slow(_case(DiskTierModel, 40))
