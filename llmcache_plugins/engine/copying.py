"""Copies of entries for exact look-ups, in an upper tier's own store.

The last tier's store has the truth. A copy counts only while the version of that store is the one it was read at: any
write there, by whomever, and the copy is held against it before it is served again; unless the store can tell that this
one entry is still the same. So an update, an invalidation, a
report or a clearing, also in another process, needs to know nothing of copies.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from llmcache_plugins.engine.ahead import read_exact
from llmcache_plugins.engine.rules import Flow, Rules, Troubles
from llmcache_plugins.engine.steps import Delete, Put, ReadExact, Select, VersionOf
from llmcache_plugins.engine.tiering import Copy, Tiering
from llmcache_plugins.errors import StoreError
from llmcache_plugins.selection import Selector
from llmcache_plugins.types import Damaged, Identity, Stored

__all__ = ["drop_copies", "drop_outdated_copies", "read_through"]

_PAGE = 500


def read_through(
    identity: Identity, rules: Rules, tiering: Tiering, troubles: Troubles, version: Hashable = None
) -> Flow[Stored | Damaged | None]:
    """What the last tier's store has under this key, by way of a copy where one is good. Of an entry that is placed in
    a tier with copies, one is made on the way.

    Args:
        version: of the last tier's store, when it was asked for since the lookup began; None to ask for it.

    Raises:
        StoreError: the last tier's store failed. What a copy's store fails at is spared.
    """
    address = (identity.scope, identity.key)
    copy = tiering.copy_of(address)
    if copy is None:
        truth = yield from read_exact(rules.bottom, *address, rules, troubles)
        if not _is_copied(truth, tiering):
            return truth
    if version is None or copy is None:
        version = yield VersionOf(rules.bottom)  # before the read: what is written in between makes the copy outdated
    is_current = copy is not None and tiering.is_current(copy, address, version)
    try:
        if copy is not None and copy.is_kept and is_current:
            kept = yield ReadExact(tiering.copies[copy.tier], *address)
            if isinstance(kept, Stored):
                return Stored(kept.entry, copy.access_count, kept.last_access, tier=copy.tier, reads=copy.reads)
    except StoreError as error:
        troubles.spare(error)
    truth = yield from read_exact(rules.bottom, *address, rules, troubles)
    try:
        if (copy is None or copy.is_kept or not is_current) and tiering.begin_copy(address, copy):
            try:
                yield from _renew(copy, truth, version, address, tiering)
            finally:
                tiering.end_copy(address)
    except StoreError as error:
        troubles.spare(error)
    return truth


def _is_copied(truth: Stored | Damaged | None, tiering: Tiering) -> bool:
    return isinstance(truth, Stored) and truth.alias is None and truth.tier in tiering.copies


def _renew(
    copy: Copy | None,
    truth: Stored | Damaged | None,
    version: Hashable,
    address: tuple[str, str],
    tiering: Tiering,
) -> Flow[None]:
    """Bring the copy in line with what was read at this version."""
    if not isinstance(truth, Stored) or not _is_copied(truth, tiering):
        if copy is not None:
            yield from drop_copies([address], tiering)
        return
    fresh = Copy(truth.tier, version, truth.access_count, truth.reads)
    if copy is not None and copy.tier == truth.tier:
        kept = yield ReadExact(tiering.copies[copy.tier], *address)
        if isinstance(kept, Stored) and kept.entry == truth.entry:
            tiering.keep(address, fresh)
            return
    elif copy is not None:
        yield from drop_copies([address], tiering)
    fresh.is_kept = yield Put(tiering.copies[truth.tier], truth.entry, truth.tier)
    tiering.keep(address, fresh)


def drop_copies(addresses: Sequence[tuple[str, str]], tiering: Tiering) -> Flow[None]:
    """Remove what copies there are. Where a store fails they stay as garbage that is never served."""
    by_place: dict[tuple[str, str], list[str]] = {}
    for address in addresses:
        copy = tiering.drop(address)
        if copy is not None:
            by_place.setdefault((copy.tier, address[0]), []).append(address[1])
    for (tier, scope), keys in by_place.items():
        try:
            yield Delete(tiering.copies[tier], scope, keys)
        except StoreError:  # the driver has counted and said it
            continue


def drop_outdated_copies(rules: Rules) -> Flow[int]:
    """Remove the copies that would have to be held against the truth before they are served: what was cleared or
    invalidated shall not stay in memory. Those that are still wanted are made anew by the next read.

    Raises:
        StoreError: a store failed.
    """
    dropped, tiering = 0, rules.tiering
    assert tiering is not None  # asked for only where there are copies
    for tier, place in tiering.copies.items():
        version = yield VersionOf(rules.bottom)
        after: int | None = 0
        while after is not None:
            page = yield Select(place, Selector(), _PAGE, after)
            by_scope: dict[str, list[str]] = {}
            for stored in page.rows:
                address = (stored.entry.scope, stored.entry.key)
                copy = tiering.copy_of(address)
                if copy is None or copy.tier != tier or not tiering.is_current(copy, address, version):
                    tiering.drop(address)
                    by_scope.setdefault(address[0], []).append(address[1])
            for scope, keys in by_scope.items():
                dropped += yield Delete(place, scope, keys)
            after = page.after
    return dropped
