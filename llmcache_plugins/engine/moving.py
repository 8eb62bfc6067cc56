"""Flows round moves between tiers: promote what is read, demote what is idle or too much.

A move changes the tier's name beside the entry in the last tier's store and nothing else. So it can lose nothing,
whenever it fails or is cut off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from llmcache_plugins.counters import Share
from llmcache_plugins.engine.copying import drop_copies
from llmcache_plugins.engine.rules import Flow, Rules
from llmcache_plugins.engine.steps import Announce, Lowest, Place, Select, StatsOf
from llmcache_plugins.engine.tiering import Tiering
from llmcache_plugins.recorded import MoveEvent
from llmcache_plugins.selection import Selector
from llmcache_plugins.types import Candidate, Stored

__all__ = ["adopt", "balance", "demote_idle", "placed", "promote", "promote_read"]

_PAGE = 500
_LOOKED_AT = 1000  # entries of a tier that one pass looks at for promotion; the next one goes on behind them


def promote(stored: Stored | Candidate, target: str, rules: Rules, tiering: Tiering, now: float) -> Flow[None]:
    """Place an entry that was read often enough in the tier above.

    Raises:
        StoreError: the store failed; the entry stays where it was.
    """
    entry = stored.entry
    if (yield Place(rules.bottom, [(entry.scope, entry.key)], target, now, False)):
        yield Announce(MoveEvent(tiering.placement.name_of(stored.tier), target, 1, "reads"))
        yield from placed(target, rules, now)


def placed(tier: str, rules: Rules, now: float) -> Flow[None]:
    """An entry has come to a tier: once in a while look whether it is too much.

    Raises:
        StoreError: the store failed; nothing is lost by it.
    """
    if rules.tiering is not None and rules.tiering.is_due(tier):
        yield from balance(rules, now)


def balance(rules: Rules, now: float) -> Flow[int]:
    """Demote what is too much for its tier, from the hottest down; how many entries moved. Then tell of tiers that are
    nearly full.

    Raises:
        StoreError: the store failed.
    """
    tiering = rules.tiering
    if tiering is None or not tiering.begin_balance():
        return 0
    try:
        stats = yield StatsOf(rules.bottom)
        shares = tiering.placement.shares(stats.shares)
        moved = 0
        for tier in tiering.placement.tiers[:-1]:
            surplus = tier.surplus(shares[tier.name])
            if surplus:
                lowest = yield Lowest(rules.bottom, tier.name, surplus)
                done = yield from _demote(lowest, tier.name, "capacity", rules, tiering, now)
                _shift(shares, tier.name, tiering.placement.below(tier.name), done)
                moved += done
        for event in tiering.measured(shares, Share(stats.entries, stats.size_bytes)):
            yield Announce(event)
        return moved
    finally:
        tiering.end_balance()


def demote_idle(rules: Rules, now: float) -> Flow[int]:
    """Move down what has not been read for as long as its tier allows; how many entries.

    Raises:
        StoreError: the store failed.
    """
    tiering = rules.tiering
    moved = 0
    if tiering is None:
        return moved
    for tier in reversed(tiering.placement.tiers[:-1]):  # upwards, so that nothing falls by two tiers at once
        after: int | None = 0
        while tier.residency is not None and after is not None:
            idle = Selector(tier=tier.name, idle_since=now - tier.residency)
            page = yield Select(rules.bottom, idle, _PAGE, after)
            moved += yield from _demote(page.rows, tier.name, "idle", rules, tiering, now)
            after = page.after
    return moved


def promote_read(rules: Rules, now: float) -> Flow[int]:
    """Move up what has been read often enough and stayed where it was: the store failed at that moment, the reads were
    counted by several processes, or the settings have changed. How many entries.

    Raises:
        StoreError: the store failed.
    """
    tiering = rules.tiering
    moved = 0
    if tiering is None:
        return moved
    for tier in tiering.placement.tiers[1:]:
        if tier.promote_at is None:
            continue
        page = yield Select(rules.bottom, Selector(tier=tier.name), _LOOKED_AT, tiering.looked_at.get(tier.name, 0))
        tiering.looked_at[tier.name] = page.after or 0
        for stored in page.rows:
            target = tiering.placement.promotion(tier.name, stored.reads)
            if target is not None and not stored.entry.is_expired(now):
                yield from promote(stored, target, rules, tiering, now)
                moved += 1
    return moved


def adopt(rules: Rules, now: float) -> Flow[int]:
    """Place what is in a tier of another name, from other settings, in the last one; how many entries.

    Raises:
        StoreError: the store failed.
    """
    tiering = rules.tiering
    moved = 0
    if tiering is None:
        return moved
    stats = yield StatsOf(rules.bottom)
    for name in stats.shares:
        after: int | None = 0 if name and name not in tiering.placement.names else None
        while after is not None:
            page = yield Select(rules.bottom, Selector(tier=name), _PAGE, after)
            addresses = [(stored.entry.scope, stored.entry.key) for stored in page.rows]
            if addresses:
                moved += yield Place(rules.bottom, addresses, tiering.placement.last.name, now, False)
            after = page.after
    return moved


def _demote(
    rows: Sequence[Stored], source: str, reason: Literal["idle", "capacity"], rules: Rules, tiering: Tiering, now: float
) -> Flow[int]:
    """Place entries in the tier below, and drop their copies."""
    if not rows:
        return 0
    target = tiering.placement.below(source)
    addresses = [(stored.entry.scope, stored.entry.key) for stored in rows]
    moved = int((yield Place(rules.bottom, addresses, target, now, True)))
    if moved:
        yield Announce(MoveEvent(source, target, moved, reason))
    yield from drop_copies(addresses, tiering)
    return moved


def _shift(shares: dict[str, Share], source: str, target: str, count: int) -> None:
    """Account for a move: by entries exactly, by bytes at the tier's average."""
    share, below = shares[source], shares[target]
    size = share.size_bytes * count // max(share.entries, 1)
    shares[source] = Share(share.entries - count, share.size_bytes - size)
    shares[target] = Share(below.entries + count, below.size_bytes + size)
