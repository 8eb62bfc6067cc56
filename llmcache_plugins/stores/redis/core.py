"""What all verbs of the store on a server rest on: the keys, what this process knows, and the reading of rows."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from llmcache_plugins.counters import Share, StoreStats
from llmcache_plugins.selection import Lease
from llmcache_plugins.stores.codec import VectorType, decode_alias
from llmcache_plugins.stores.priorities import Priorities
from llmcache_plugins.stores.redis.commands import Argument, Call, Command, Flow, Reply
from llmcache_plugins.stores.redis.hearing import Hearing, as_int
from llmcache_plugins.stores.redis.layout import Address, Layout, encoded
from llmcache_plugins.stores.redis.raising import Rules
from llmcache_plugins.stores.redis.waiting import WaitingAlias, WaitingAliases
from llmcache_plugins.stores.rows import RowReader
from llmcache_plugins.stores.touches import TouchBuffer, Touches
from llmcache_plugins.types import Alias, Candidate, Damaged, FloatArray, Stored

__all__ = ["BODY", "FIELDS", "TARGET", "Core", "Finder", "Limits", "Row", "as_int"]

FIELDS = (
    "reads",
    "last",
    "before",
    "tier",
    "placed",
    "stale",
    "body",
    "embedder",
    "target",
    "alias",
    "order",
)
"""What lookups read of a document; READ in `reading.lua` is the same list."""
_TYPES: dict[object, VectorType] = {b"float16": "float16", b"float32": "float32"}
_MOST_OWED = 256
BODY, TARGET, _ALIAS, _ORDER = 6, 8, 9, 10

Row = Sequence[Reply]


class Finder(Protocol):
    """How the nearest candidates of a scope are found: by the server, or in this process."""

    def find(
        self, core: Core, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float
    ) -> Flow[list[Candidate]]: ...

    def prepare(self, core: Core, dimension: int) -> Flow[None]:
        """Before the first vector of so many numbers is stored."""
        ...

    def wished(self, kind: VectorType) -> VectorType:
        """How a new database is to keep vectors, where this is what was asked for."""
        ...

    def changed(self, address: bytes) -> None:
        """Something about this entry or alias may have changed."""
        ...

    def forget(self) -> None:
        """Nothing that is known is certain any more."""
        ...


class Limits(tuple[Argument, ...]):
    """Most entries, most bytes, and the tier that leaves first, as the scripts take them."""


class Core(Hearing[Finder]):
    """State and small flows that the verbs share. Threads may share it; no lock is held while the server is asked."""

    def __init__(
        self,
        layout: Layout,
        *,
        max_entries: int,
        max_bytes: int,
        priorities: Priorities,
        rules: Rules,
        last_tier: str,
        finder: Finder,
        vectors: VectorType = "float16",
        compress_above: int | None = None,
    ) -> None:
        self._wished = vectors
        self._compress_above = compress_above
        self._max_bytes = max_bytes
        self._limits = Limits((max_entries, max_bytes, last_tier))
        self._priorities = priorities
        self._rules = rules
        self._counts: Counter[str] = Counter()
        self._ticks = itertools.count(time.time_ns() // 1000)
        self._touches = TouchBuffer()
        self._rows = RowReader(self._touches)
        super().__init__(layout, finder)

    def after_fork(self) -> None:
        """In a forked child locks may be held by threads that do not live there."""
        super().after_fork()
        self._rows.touches = self._touches = TouchBuffer()
        self._aliases = WaitingAliases()
        self._owed: list[Lease] = []

    # ---------------------------------------------------------------- a database that was lost

    def _seen(self, reply: Reply) -> list[Reply]:
        """What a script answers begins with the database and its edits."""
        self.saw(reply[0], reply[1])
        return list(reply[2:])

    def _lost(self, identity: bytes) -> bool:
        """Is the database another one than this process knew, or gone?"""
        return self._is_lost or bool(self._id and not identity)

    def _go_on(self, seen: int = 0) -> Flow[None]:
        """The database was lost or went back, and with it what was noted: nothing that was asked for before is stored
        any more.

        Args:
            seen: a number that somebody knew.
        """
        (reply,) = yield [self.call("go_on", max(self._sequence, seen) + 1)]
        self._seen(reply)
        self._is_lost = False  # only now: what it has just seen is the new one

    def _next_tick(self) -> int:
        """For policies that want the order of writes in a number of their own: microseconds, never twice the same in a
        process."""
        return next(self._ticks)

    # ---------------------------------------------------------------- vectors

    def vector_type(self) -> Flow[VectorType]:
        """How the database keeps the numbers of vectors: the first that was stored decided it, for all processes."""
        if self._vectors is None:
            (said,) = yield [("HGET", self.layout.key("state"), "vectors")]
            kept = _TYPES.get(said)
            if kept is None:  # the script says so when another process was faster
                return self._finder.wished(self._wished)
            self._vectors = kept
        return self._vectors

    def mistook_vectors(self) -> None:
        """The script that stores them says that they are kept in another way."""
        self._vectors = None

    # ---------------------------------------------------------------- calls

    def call(self, verb: str, *args: Argument) -> Call:
        return Call(self.layout.base, verb, args)

    def _address(self, scope: str, key: str) -> bytes:
        return self.layout.address(scope, key)

    # ---------------------------------------------------------------- reads that wait

    def _touched(self, touched: Touches) -> tuple[Argument, ...]:
        """The arguments that stand for touches."""
        flat: list[Argument] = [*self._rules.arguments, len(touched)]
        for (scope, key), (count, now) in touched.items():
            flat += (self._address(scope, key), count, repr(now))
        return tuple(flat)

    def _alias_calls(self, waiting: Sequence[WaitingAlias]) -> list[Call]:
        return [
            replace(self.call("alias", one.address, one.target, one.size, *self._limits, one.body), may_fail=True)
            for one in waiting
        ]

    def _after_aliases(self, last: Call | Command) -> Flow[Reply]:
        """The reply to this, which is sent behind what waits to be written, in the same round trip: aliases, and leases
        that could not be given back. A server that refuses these may answer this all the same."""
        waiting, owed = self._aliases.take(), self._take_owed()
        try:
            replies = yield [*self._alias_calls(waiting), *map(self._release_call, owed), last]
        except BaseException:
            self._aliases.give_back(waiting)
            self._owe(owed)
            raise
        for reply in replies[: len(waiting)]:
            if not isinstance(reply, Exception):  # else the wording is matched once more
                self._seen(reply)
        self._owe([one for one, reply in zip(owed, replies[len(waiting) :], strict=False) if _is_error(reply)])
        return replies[-1]

    def _release_call(self, lease: Lease) -> Call:
        return replace(self.call("release", encoded(lease.name), encoded(lease.holder), lease.token), may_fail=True)

    def _owe(self, leases: Sequence[Lease]) -> None:
        """Giving these back failed. Until they end, others wait for an answer that nobody is computing."""
        if leases:
            with self._lock:
                self._owed = [*leases, *self._owed][-_MOST_OWED:]

    def _take_owed(self) -> list[Lease]:
        if not self._owed:
            return []
        with self._lock:
            owed, self._owed = self._owed, []
        return owed

    def flush(self) -> Flow[None]:
        """Write the touches and the aliases that wait. When that fails they wait for the next write, for a read was
        served all the same."""
        if not self._touches:
            if self._aliases or self._owed:
                yield from self._after_aliases(("HGET", self.layout.key("state"), "id"))
            return
        touched = self._touches.take()
        try:
            if self._rules.has_own:
                yield from self._raise_by_own(touched)
            reply = yield from self._after_aliases(self.call("touch", *self._touched(touched)))
        except BaseException:
            self._touches.give_back(touched)
            raise
        self._seen(reply)

    def _raise_by_own(self, touched: Touches) -> Flow[None]:
        """The priorities of tiers whose policy only this process can ask."""
        addresses = [self._address(scope, key) for scope, key in touched]
        replies = yield [
            ("HMGET", self.layout.doc(address), "tier", "priority", "weight", "order") for address in addresses
        ]
        raised: list[Argument] = []
        for address, (count, now), reply in zip(addresses, touched.values(), replies, strict=True):
            tier, priority, weight, order = reply
            if order is None or not self._rules.is_own(name := _text(tier)):
                continue
            policy = self._priorities
            number = policy.on_read(name, _float(priority), _float(weight), count, now, self._next_tick())
            raised += (address, order, repr(number))
        if raised:
            (reply,) = yield [self.call("raise", *raised)]
            self._seen(reply)

    # ---------------------------------------------------------------- rows

    def _stored(self, row: Row, address: Address, alias: Alias | None = None) -> Stored | Damaged:
        """The entry in this row of `FIELDS`."""
        try:
            reads, last, before, tier, placed, stale, body, embedder = row[:8]
            columns = (
                0 if reads is None else int(reads),
                None if last is None else float(last),
                0 if before is None else int(before),
                "" if tier is None else tier.decode(),
                None if placed is None else float(placed),
                None if stale is None else float(stale),
                body,
                None if embedder is None else embedder.decode("utf-8", "surrogatepass"),
                None,
            )
        except (ValueError, TypeError):
            self._counts["damaged"] += 1
            return Damaged("bad_bytes")
        with self._lock:
            return self._rows.stored(columns, address.scope, address.key, alias)

    def candidate(self, row: Row, address: Address, similarity: float) -> Candidate | None:
        """What a finder found, if it can be read."""
        stored = self._stored(row, address)
        if not isinstance(stored, Stored):
            return None
        return Candidate(stored.entry, similarity, stored.access_count, stored.tier, stored.reads)

    def _alias(self, row: Row, address: Address) -> Alias | Damaged:
        alias = decode_alias(row[_ALIAS])
        if isinstance(alias, Alias) and (alias.scope, alias.key) != (address.scope, address.key):
            return Damaged("bad_bytes")
        return alias

    def _paired(self, reply: Reply) -> list[tuple[bytes, int, Stored]]:
        """What scripts answer as address, row, address, row: those that can be read, with their orders."""
        found = []
        for place in range(0, len(reply), 2):
            address, row = reply[place], reply[place + 1]
            parsed = self.layout.parsed(address)
            if parsed is None or row[BODY] is None:
                continue
            stored = self._stored(row, parsed)
            if isinstance(stored, Stored):
                found.append((address, as_int(row[_ORDER]), stored))
        return found

    # ---------------------------------------------------------------- statistics

    def stats(self) -> Flow[StoreStats]:
        yield from self.flush()
        entries, aliases, size, shares = yield [
            ("ZCARD", self.layout.key("all")),
            ("ZCARD", self.layout.key("aliases")),
            ("HGET", self.layout.key("state"), "bytes"),
            ("HGETALL", self.layout.key("shares")),
        ]
        held = pairs_of(shares)
        with self._lock:
            damaged = self._rows.damaged + self._counts["damaged"]
            evictions, expirations = self._counts["evictions"], self._counts["expirations"]
        return StoreStats(
            entries=as_int(entries),
            aliases=as_int(aliases),
            size_bytes=as_int(size),
            evictions=evictions,
            expirations=expirations,
            damaged=damaged,
            shares={
                _text(name[1:]): Share(as_int(number), as_int(held.get(b"b" + name[1:])))
                for name, number in held.items()
                if name[:1] == b"n"
            },
        )

    def _count(self, what: str, number: int) -> None:
        if number:
            with self._lock:
                self._counts[what] += number


def _is_error(reply: Reply) -> bool:
    return isinstance(reply, Exception)


def pairs_of(reply: Reply) -> dict[bytes, bytes]:
    """A hash as the driver gives it: a dict, or a flat list."""
    if isinstance(reply, dict):
        return reply
    flat: Iterable[bytes] = reply or ()
    return dict(zip(*[iter(flat)] * 2, strict=True))


def _float(value: Reply) -> float:
    try:
        number = float(value or 0.0)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _text(value: Reply) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
