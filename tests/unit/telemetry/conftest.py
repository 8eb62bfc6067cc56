"""Traffic whose sums are known."""

from __future__ import annotations

import pytest

from llmcache_plugins.recorded import Event, LookupEvent, StoreEvent
from llmcache_plugins.types import Entry, Hit, Miss, MissReason, Usage

# Type of question: hits and their milliseconds, misses and theirs. A call of the model takes 3 s.
DAY = {
    "bgp": (50, 25, 10, 3200),
    "device": (30, 30, 20, 3150),
    "troubleshooting": (10, 35, 25, 3300),
    "config": (40, 20, 5, 3100),
}


@pytest.fixture
def day() -> list[Event]:
    """190 lookups: 130 hits, which spare 386.7 s, and 60 misses; 8 evictions."""
    entry = Entry(
        "s",
        "k",
        "n",
        (),
        "secret question",
        '"secret answer"',
        0.0,
        None,
        model="small",
        usage=Usage(10, 5),
        generation_seconds=3.0,
    )
    events: list[Event] = [StoreEvent("memory", evictions=8)]
    for query_type, (hits, hit_ms, misses, miss_ms) in DAY.items():
        hit = Hit(entry, "exact", "hot", 1.0, 1.0, 0.0, 1, hit_ms / 1000, asked="secret question")
        miss = Miss(MissReason.NO_CANDIDATES, latency=miss_ms / 1000, asked="secret question")
        events += [LookupEvent(hit, ("acme",), query_type, "small")] * hits
        events += [LookupEvent(miss, ("acme",), query_type, "small")] * misses
    return events
