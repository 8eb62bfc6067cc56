"""Counts of several processes in one store: whatever breaks off, the sum is right."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from llmcache_plugins.counters import LATENCY_BOUNDS, CacheStats, LookupCounts, ModelUse, SharedStats, StoreStats
from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.recorded import (
    ErrorEvent,
    EvictionsEvent,
    InvalidationEvent,
    JudgeEvent,
    LookupEvent,
    PressureEvent,
    ResolutionEvent,
    StoreEvent,
    UpdateEvent,
)
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.telemetry import SharedStatistics, Statistics
from llmcache_plugins.telemetry.counting import OTHERS
from llmcache_plugins.telemetry.tallied import TOTAL, gone
from llmcache_plugins.testing import FakeClock
from llmcache_plugins.testing.faulty_store import FaultyStore
from llmcache_plugins.types import Bypass, Entry, Hit, Miss, MissReason, Profile, UpdateOutcome, Usage

HOUR = 3600.0


class Process:
    """One process that counts updates; `counted` is what it should have counted."""

    def __init__(self, clock: FakeClock, node: str = "node") -> None:
        self.statistics = Statistics()
        self.shared = SharedStatistics(self.statistics, lambda: node, clock.now)
        self.counted = 0

    def count(self, times: int = 1) -> Process:
        for _ in range(times):
            self.statistics(UpdateEvent(UpdateOutcome(True), ()))
            self.counted += 1
        return self


def read(process: Process, store: MemoryStore | FaultyStore) -> SharedStats:
    return process.shared.read(store, {"memory": StoreStats(entries=3)}, {})


def updates(process: Process, store: MemoryStore | FaultyStore) -> int:
    return read(process, store).total.updates


def hit(namespace: tuple[str, ...] = (), query_type: str = "status") -> LookupEvent:
    profile = Profile(query_type)
    entry = Entry(
        "s", "k", "n", (), "q", '"a"', 0.0, None, model="m", usage=Usage(10, 5), generation_seconds=3.0, profile=profile
    )
    return LookupEvent(Hit(entry, "exact", "hot", 1.0, 1.0, 0.0, 1, 0.5), namespace)


def test_what_processes_count_adds_up() -> None:
    clock, store = FakeClock(), MemoryStore()
    first, second = Process(clock, "a"), Process(clock, "b")
    first.count(2).shared.publish(store)
    second.count(3).shared.publish(store)
    second.count(1).shared.publish(store)
    found = read(first, store)
    assert (found.total.updates, found.is_complete, found.since) == (6, True, clock.now())
    assert {node: stats.updates for node, stats in found.nodes.items()} == {"a": 2, "b": 4}
    assert found.total.stores["memory"].entries == 3


def test_every_counter_survives_the_store() -> None:
    """What one process counted is what all have counted."""
    statistics = Statistics(("acme",))
    events = [
        hit(("app", "[odd]")),
        hit(),
        LookupEvent(Miss(MissReason.NO_CANDIDATES, latency=1000.0), ("app",), "status", "m"),
        LookupEvent(Bypass("asked"), ()),
        UpdateEvent(UpdateOutcome(True), (), "m", Usage(20, 10, 3, 4), 2.5),
        UpdateEvent(UpdateOutcome(False, "empty"), (), "[m]"),
        ErrorEvent("hot", "StoreUnavailable"),
        ErrorEvent("hot", "NotDone", is_left_alone=True),
        JudgeEvent("paused", ()),
        ResolutionEvent("paused", ()),
        InvalidationEvent(7, "now", "test"),
        PressureEvent("hot", 0.9, 0.91),
        EvictionsEvent("redis", "server", 1100, 60.0),
    ]
    for event in events:
        statistics(event)
    clock, store = FakeClock(), MemoryStore()
    shared = SharedStatistics(statistics, lambda: "node", clock.now)
    shared.publish(store)
    found, expected = shared.read(store, {}, {}).total, statistics.snapshot({})
    assert found == expected
    assert found.namespaces[("acme", "app")] == LookupCounts(misses=1)
    assert found.namespaces[("acme", "app", "[odd]")] == LookupCounts(hits=1)
    assert found.query_types == {"status": LookupCounts(hits=2, misses=1)}
    assert found.models == {
        "m": ModelUse(hits=2, saved=Usage(20, 10), calls=1, spent=Usage(20, 10, 3, 4)),
        "[m]": ModelUse(calls=1, calls_without_usage=1),
    }
    assert found.tokens_saved == Usage(20, 10)
    assert (found.latency["model"].count, found.latency["model"].seconds) == (1, 2.5)
    assert (found.latency["hit"].count, found.latency["hit"].seconds) == (2, 1.0)
    assert found.latency["hit"].quantile(0.95) == 0.5
    assert found.latency["miss"].quantile(0.5) == float("inf")
    assert found.warnings == {"tier": 1, "server_evictions": 1}
    assert found.errors == {"hot": 2}
    assert found.left_alone == {"hot": 1, "judge": 1, "resolver": 1}
    assert len(set(LATENCY_BOUNDS)) == len(LATENCY_BOUNDS) == len(found.latency["hit"].buckets) - 1


def test_what_stores_lost_adds_up() -> None:
    clock, store = FakeClock(), MemoryStore()
    for node in ("a", "b"):
        process = Process(clock, node)
        process.statistics(StoreEvent("memory", evictions=2, expirations=1, damaged=1))
        process.shared.publish(store)
    stats = read(process, store).total.stores["memory"]
    assert (stats.evictions, stats.expirations, stats.damaged) == (4, 2, 2)


def test_tenants_without_end_are_told_apart_up_to_a_number() -> None:
    statistics = Statistics()
    for number in range(400):
        statistics(hit((f"tenant-{number}",)))
    namespaces = statistics.snapshot({}).namespaces
    assert len(namespaces) == 257
    assert sum(one.hits for one in namespaces.values()) == 400
    assert namespaces[(OTHERS,)].hits == 144


def test_nothing_is_written_when_nothing_was_counted() -> None:
    clock, store = FakeClock(), FaultyStore(MemoryStore())
    process = Process(clock)
    process.shared.publish(store)
    assert not process.shared.has_news
    process.count().shared.publish(store)
    process.shared.publish(store)
    assert store.calls["tally"] == 1
    assert not process.shared.has_news


# ---------------------------------------------------------------- writes that fail


def lose_answers(store: FaultyStore) -> Callable[[], None]:
    """From now on each write is carried out, but its answer does not come; until the returned function is called."""
    inner = store.inner
    write = inner.tally

    def tally(changes: dict[str, str | None], *, expected: dict[str, str | None]) -> bool:
        write(changes, expected=expected)
        raise StoreUnavailable("the answer was lost")

    inner.tally = tally  # type: ignore[method-assign]

    def heal() -> None:
        inner.tally = write  # type: ignore[method-assign]

    return heal


def test_a_write_whose_answer_was_lost_counts_once() -> None:
    clock, store = FakeClock(), FaultyStore(MemoryStore())
    process = Process(clock)
    for _ in range(3):
        heal = lose_answers(store)
        with pytest.raises(StoreUnavailable):
            process.count().shared.publish(store)
        heal()
        process.count().shared.publish(store)
        assert updates(process, store) == process.counted


def test_a_store_that_is_away_gets_the_counts_later() -> None:
    clock, store = FakeClock(), FaultyStore(MemoryStore())
    process = Process(clock).count(2)
    store.fail()
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            process.count().shared.publish(store)
    assert process.shared.has_news
    store.heal()
    process.shared.publish(store)
    assert updates(process, store) == 5


def test_a_store_that_lost_its_data_gets_everything_again() -> None:
    clock, process = FakeClock(), Process(FakeClock())
    process.count(3).shared.publish(MemoryStore())
    store = MemoryStore()
    process.count(1).shared.publish(store)
    assert updates(process, store) == 4
    assert Process(clock).shared.read(store, {}, {}).total.updates == 4


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version":2}', '{"version":1,"counts":{"updates":{"":-1}}}'])
def test_a_record_that_cannot_be_read_costs_its_own_counts_alone(text: str) -> None:
    clock, store = FakeClock(), MemoryStore()
    process, other = Process(clock, "a"), Process(clock, "b")
    process.count(2).shared.publish(store)
    other.count(3).shared.publish(store)
    (name,) = [name for name in store.tallies() if name.startswith("a#")]
    store.tally({name: text}, expected={})
    assert updates(other, store) == 3
    process.count(1).shared.publish(store)  # its own it mends
    assert updates(other, store) == 6
    store.tally({TOTAL: text}, expected={})
    assert updates(other, store) == 6
    clock.advance(2 * HOUR)
    assert other.shared.fold(store) == 0  # a total that nobody can read is not written over
    other.shared.reset(store)  # but by who wants to begin anew


def test_a_store_that_keeps_nothing_knows_this_process_alone() -> None:
    from llmcache_plugins.stores import NullStore

    process = Process(FakeClock()).count(2)
    process.shared.publish(NullStore())
    found = process.shared.read(NullStore(), {}, {})
    assert (found.total.updates, found.is_complete) == (2, False)


# ---------------------------------------------------------------- processes that are gone


def test_those_that_are_gone_become_one_record() -> None:
    clock, store = FakeClock(), MemoryStore()
    for number in range(5):
        Process(clock, f"node-{number}").count(number).shared.publish(store)
    clock.advance(2 * HOUR)
    living = Process(clock, "living").count(10)
    living.shared.publish(store)
    assert living.shared.fold(store) == 4  # one had counted nothing
    assert living.shared.fold(store) == 0
    assert len(store.tallies()) == 2
    found = read(living, store)
    assert found.total.updates == 20
    assert list(found.nodes) == ["living"]
    assert found.since == FakeClock().now()


def test_of_very_many_processes_the_silent_ones_are_folded_soon() -> None:
    clock, store = FakeClock(), MemoryStore()
    for number in range(300):
        Process(clock, f"job-{number}").count().shared.publish(store)
    living = Process(clock).count()
    clock.advance(90.0)
    living.shared.publish(store)
    while living.shared.fold(store):
        pass
    assert len(store.tallies()) == 65  # 64 of processes, and the total
    assert updates(living, store) == 301


def test_a_process_that_was_only_idle_counts_on() -> None:
    clock, store = FakeClock(), MemoryStore()
    idle, other = Process(clock, "idle"), Process(clock, "other")
    idle.count(3).shared.publish(store)
    for _ in range(3):
        clock.advance(2 * HOUR)
        other.shared.fold(store)
        assert updates(other, store) == idle.counted
        idle.count(2).shared.publish(store)
        assert updates(other, store) == idle.counted


def test_a_process_whose_last_answer_was_lost_is_folded_with_that_write() -> None:
    clock, store = FakeClock(), FaultyStore(MemoryStore())
    idle, other = Process(clock, "idle"), Process(clock, "other")
    idle.count(3).shared.publish(store)
    heal = lose_answers(store)
    with pytest.raises(StoreUnavailable):
        idle.count(2).shared.publish(store)
    heal()
    clock.advance(2 * HOUR)
    assert other.shared.fold(store) == 1
    idle.count(1).shared.publish(store)
    assert updates(other, store) == idle.counted == 6


def test_a_process_that_was_folded_very_long_ago_counts_on() -> None:
    """Its name is not remembered any more."""
    clock, store = FakeClock(), MemoryStore()
    idle, other = Process(clock, "idle"), Process(clock, "other")
    idle.count(3).shared.publish(store)
    clock.advance(2 * HOUR)
    other.shared.fold(store)
    for _ in range(1100):
        Process(clock, "job").count().shared.publish(store)
    clock.advance(2 * HOUR)
    while other.shared.fold(store):
        pass
    assert idle.shared._name not in json.loads(store.tallies()[TOTAL])["writes"]
    idle.count(1).shared.publish(store)
    assert updates(other, store) == 1104


def test_a_folding_that_breaks_off_changes_nothing_or_is_done() -> None:
    clock, store = FakeClock(), FaultyStore(MemoryStore())
    Process(clock, "a").count(3).shared.publish(store)
    Process(clock, "b").count(4).shared.publish(store)
    clock.advance(2 * HOUR)
    folder = Process(clock)
    store.fail({"tally"})
    with pytest.raises(StoreUnavailable):
        folder.shared.fold(store)
    store.heal()
    assert (len(store.tallies()), updates(folder, store)) == (2, 7)
    heal = lose_answers(store)
    with pytest.raises(StoreUnavailable):
        folder.shared.fold(store)
    heal()
    assert folder.shared.fold(store) == 0
    assert (len(store.tallies()), updates(folder, store)) == (1, 7)


def test_a_child_counts_for_itself() -> None:
    clock, store = FakeClock(), MemoryStore()
    process = Process(clock).count(3)
    process.shared.publish(store)
    process.shared.after_fork()  # from here on it is the child
    process.shared.publish(store)
    assert updates(process, store) == 3
    process.count(2).shared.publish(store)
    assert (updates(process, store), len(store.tallies())) == (5, 2)


# ---------------------------------------------------------------- from the beginning


def test_after_a_reset_everybody_counts_from_0() -> None:
    clock, store = FakeClock(), MemoryStore()
    first, second = Process(clock, "a").count(3), Process(clock, "b").count(4)
    first.shared.publish(store)
    second.shared.publish(store)
    clock.advance(5.0)
    first.shared.reset(store)
    found = read(first, store)
    assert (found.total.updates, dict(found.nodes), found.since) == (0, {}, clock.now())
    second.count(2).shared.publish(store)
    first.count(1).shared.publish(store)
    assert updates(first, store) == 3
    assert first.statistics.snapshot({}).updates == 4  # its own go on


def test_nothing_counted_yet() -> None:
    found = Process(FakeClock()).shared.read(MemoryStore(), {}, {})
    assert (found.total, found.nodes, found.since, found.is_complete) == (CacheStats(), {}, None, True)


def test_clocks_that_differ_keep_nobody_for_ever() -> None:
    clock, store = FakeClock(), MemoryStore()
    ahead = FakeClock()
    ahead.advance(48 * HOUR)
    Process(ahead).count().shared.publish(store)
    folder = Process(clock)
    assert folder.shared.fold(store) == 1
    assert gone({}, 0.0) == []


# ---------------------------------------------------------------- anything at any time


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_in_whatever_order_the_sum_is_right(seed: int) -> None:
    """Processes count, publish, are folded, forked, killed and lose answers; at the end all that live publish."""
    chance = random.Random(seed)
    clock, store = FakeClock(), FaultyStore(MemoryStore())
    living = [Process(clock, f"node-{number}") for number in range(4)]
    expected = 0  # of those that were killed

    def attempt(work: Callable[[], object]) -> None:
        heal = lose_answers(store) if chance.random() < 0.3 else store.heal
        if chance.random() < 0.2:
            store.fail({chance.choice(["tally", "tallies"])})
        with contextlib.suppress(StoreUnavailable):
            work()
        heal()
        store.heal()

    for _ in range(150):
        process = chance.choice(living)
        act = chance.choice(["count", "count", "publish", "publish", "fold", "wait", "kill"])
        if act == "count":
            process.count(chance.randrange(1, 5))
        elif act == "publish":
            attempt(lambda p=process: p.shared.publish(store))
        elif act == "fold":
            attempt(lambda p=process: p.shared.fold(store))
        elif act == "wait":
            clock.advance(chance.choice([5.0, 0.6 * HOUR, 2 * HOUR]))
        else:
            process.shared.publish(store)
            expected += process.counted
            living.remove(process)
            living.append(Process(clock, "another"))
    for process in living:
        process.shared.publish(store)
        expected += process.counted
    assert updates(living[0], store) == expected


def test_calls_of_warming_and_stale_hits_add_up_between_processes() -> None:
    clock, store = FakeClock(), MemoryStore()
    for node in ("a", "b"):
        process = Process(clock, node)
        process.statistics(UpdateEvent(UpdateOutcome(True), (), "m", Usage(10, 2), is_warming=True))
        process.statistics(UpdateEvent(UpdateOutcome(True), (), "m", Usage(), is_warming=True))
        stale = hit(())
        assert isinstance(stale.outcome, Hit)
        process.statistics(replace(stale, outcome=replace(stale.outcome, is_stale=True)))
        process.shared.publish(store)
    total = read(process, store).total
    use = total.models["m"]
    assert (use.calls, use.warmed, use.warmed_without_usage, use.warmed_spent) == (0, 4, 2, Usage(20, 4))
    assert total.stale_hits == 2
