"""A stream of events whose numbers are known, for whatever counts, shows or exports them."""

from __future__ import annotations

import pytest

from llmcache_plugins.recorded import Event, LookupEvent, StoreEvent, UpdateEvent
from llmcache_plugins.types import Entry, Hit, Miss, MissReason, Profile, UpdateOutcome

# Query type, hits and seconds of each, misses and seconds of each with the call. An answer took 3 s to make.
GROUPS = (
    ("bgp_queries", 50, 0.025, 10, 3.200),
    ("device_queries", 30, 0.030, 20, 3.150),
    ("troubleshooting", 10, 0.035, 25, 3.300),
    ("config_queries", 40, 0.020, 5, 3.100),
)
CALL = 3.000  # seconds of a call; the rest of a miss is its lookup
EVICTIONS = 8


@pytest.fixture
def example_events() -> list[Event]:
    """190 lookups of four query types: 130 hits and 60 misses, each with its call, and 8 evictions. Nobody knows what
    the calls took in tokens."""
    events: list[Event] = []
    for query_type, hits, hit_seconds, misses, miss_seconds in GROUPS:
        entry = Entry("s", "k", "n", (), "?", '"!"', 0.0, None, profile=Profile(query_type), generation_seconds=CALL)
        hit = Hit(entry, "exact", "warm", 1.0, 1.0, 0.0, 1, hit_seconds)
        miss = Miss(MissReason.NO_CANDIDATES, latency=miss_seconds - CALL)
        events += [LookupEvent(hit, ())] * hits
        events += [LookupEvent(miss, (), query_type), UpdateEvent(UpdateOutcome(True), (), seconds=CALL)] * misses
    return [*events, StoreEvent("memory", evictions=EVICTIONS)]
