"""What no cache can surpass: the hit rate of one that knows the future."""

from __future__ import annotations

import heapq
from array import array

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.logs.trace import Trace

__all__ = ["best_possible"]


def best_possible(trace: Trace, entries: int, ttl: float | None = None) -> float:
    """An upper bound of the hit rate, share of all calls.

    Without a time to live it is reached: of what it could hold the cache keeps what is asked again soonest (L. Belady,
    IBM Systems Journal 5(2), 1966), and what is asked later than all else it does not store. With one, the bound is
    the lower of that and of what a cache of any size could answer.

    Args:
        trace: the calls.
        entries: capacity, at least 1.
        ttl: seconds; None for ever.

    Raises:
        ConfigError: `entries` is below 1, or there is a time to live and the trace has no times.
    """
    if isinstance(entries, bool) or not isinstance(entries, int) or entries < 1:
        raise ConfigError(f"entries must be an integer of at least 1, not {entries!r}")
    if ttl is not None and not trace.is_timed:
        raise ConfigError("a ttl can be simulated only for a log whose calls have times")
    if not len(trace):
        return 0.0
    hits = _clairvoyant_hits(trace, entries)
    return min(hits, _unlimited_hits(trace, ttl)) / len(trace) if ttl is not None else hits / len(trace)


def _clairvoyant_hits(trace: Trace, entries: int) -> int:
    never = len(trace)
    following = array("q", [never]) * never  # when each call's key is asked next
    last: dict[int, int] = {}
    for place in range(never - 1, -1, -1):
        key = trace.keys[place]
        following[place] = last.get(key, never)
        last[key] = place
    held: dict[int, int] = {}  # key -> when it is asked next
    latest: list[tuple[int, int]] = []  # the furthest first; who was asked since is found out at the top
    hits = 0
    for place, key in enumerate(trace.keys):
        hits += key in held
        if following[place] == never:
            held.pop(key, None)
            continue
        held[key] = following[place]
        heapq.heappush(latest, (-following[place], key))
        while len(held) > entries:
            at, out = heapq.heappop(latest)
            if held.get(out) == -at:
                del held[out]
    return hits


def _unlimited_hits(trace: Trace, ttl: float) -> int:
    stored: dict[int, float] = {}
    hits = 0
    for key, at in trace:
        if at - stored.get(key, float("-inf")) < ttl:
            hits += 1
        else:
            stored[key] = at
    return hits
