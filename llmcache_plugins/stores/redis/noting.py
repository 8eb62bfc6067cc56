"""Invalidations, leases and notes on a server, and whether anything has changed there."""

from __future__ import annotations

import json
import sys
from collections.abc import Hashable
from dataclasses import replace

from llmcache_plugins.errors import StoreUnavailable
from llmcache_plugins.selection import Invalidated, Invalidation, Lease, Selector
from llmcache_plugins.stores.redis.commands import Flow, NotDone
from llmcache_plugins.stores.redis.core import pairs_of
from llmcache_plugins.stores.redis.layout import encoded
from llmcache_plugins.stores.redis.tiers import Tiers
from llmcache_plugins.stores.redis.writing import as_invalidation
from llmcache_plugins.types import Stored

__all__ = ["Notes"]

_AT_ONCE = 500
_OVERDUE = 60  # seconds


class Notes(Tiers):
    """The verbs about what is not right any more, and what processes tell each other."""

    def invalidate(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str = "", mode: str = "now", limit: int
    ) -> Flow[Invalidated]:
        """First it is noted: from then on no answer from before is stored. What is there by then is removed after that,
        part by part, and nothing that is newer."""
        yield from self.flush()
        number, last = yield from self.note_invalidation(selector, now, is_lazy=is_lazy, reason=reason, mode=mode)
        found, done = yield from self.carry_out(last, selector, now, is_lazy=is_lazy, limit=limit)
        yield from self.settle_invalidation(number, found)
        return Invalidated(number, done)

    def note_invalidation(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str, mode: str, number: int | None = None
    ) -> Flow[tuple[int, int]]:
        """Its number, and the order of what was stored last.

        Args:
            number: where another bucket has given it.
        """
        content = {"at": now, "selector": selector.to_json(), "reason": reason, "mode": mode}
        given = "" if number is None else number
        what = "mark" if is_lazy else "remove"
        (reply,) = yield [self.call("note_invalidation", json.dumps(content), what, given)]
        noted, last = self._seen(reply)
        self._know_sequence(noted)
        return noted, int(last)

    def finish_invalidations(self, *, begun_before: int = _OVERDUE) -> Flow[int]:
        """Carry out what a process that has died had only begun; how many invalidations.

        Args:
            begun_before: seconds ago; those that are younger are being carried out.
        """
        (overdue,) = yield [self.call("overdue", begun_before)]
        for number, last, what, member in overdue:
            noted = as_invalidation(member)
            found = 0
            if noted is not None:
                found, _ = yield from self.carry_out(
                    int(last), noted.selector, noted.at, is_lazy=what == b"mark", limit=sys.maxsize
                )
            yield from self.settle_invalidation(int(number), found)
        return len(overdue)

    def sweep(self, now: float, *, limit: int) -> Flow[int]:
        if limit > 0:
            yield from self.finish_invalidations()
        return (yield from super().sweep(now, limit=limit))

    def settle_invalidation(self, number: int, count: int) -> Flow[None]:
        """It is carried out; `count` entries it was about."""
        (reply,) = yield [self.call("settle_invalidation", number, count)]
        self._seen(reply)

    def carry_out(
        self, last: int, selector: Selector, now: float, *, is_lazy: bool, limit: int
    ) -> Flow[tuple[int, tuple[tuple[str, str], ...]]]:
        """How many entries the invalidation is about, and the addresses of those that were removed or marked."""
        found = yield from self._matching(selector, last=last)
        if is_lazy:
            found = [row for row in found if row[2].entry.stale_at is None]
        done: list[tuple[str, str]] = []
        chosen = found[: max(limit, 0)]
        for start in range(0, len(chosen), _AT_ONCE):
            part = chosen[start : start + _AT_ONCE]
            pairs = [value for address, order, _ in part for value in (address, order)]
            (reply,) = yield [self.call("remove", repr(now) if is_lazy else "", *pairs)]
            outcomes = self._seen(reply)
            done += [_address_of(row[2]) for row, is_done in zip(part, outcomes, strict=True) if is_done]
            self._changed([address for address, _, _ in part])
        return len(found), tuple(done)

    def invalidations(self, *, since: float) -> Flow[list[Invalidation]]:
        members, counts = yield [
            ("ZRANGE", self.layout.key("log"), 0, -1),
            ("HGETALL", self.layout.key("counts")),
        ]
        known = pairs_of(counts)
        noted = []
        for member in members:
            number = member.partition(b":")[0]
            one = as_invalidation(member, int(known.get(number, 0)))
            if one is not None and one.at >= since:
                noted.append(one)
        return noted

    def forget_invalidations(self, *, before: float) -> Flow[int]:
        noted = yield from self.invalidations(since=float("-inf"))
        old = [one.number for one in noted if one.at < before]
        dropped = 0
        for start in range(0, len(old), _AT_ONCE):
            (done,) = yield [self.call("forget_invalidations", *old[start : start + _AT_ONCE])]
            dropped += done
        return dropped

    def sequence(self) -> Flow[int]:
        (reply,) = yield [("HMGET", self.layout.key("state"), "id", "edits", "sequence")]
        self.saw(reply[0] or b"", reply[1])
        if self._lost(reply[0] or b""):
            yield from self._go_on()
            return (yield from self.sequence())
        number = int(reply[2] or 0)
        self._know_sequence(number)
        return number

    def acquire(self, name: str, holder: str, now: float, until: float) -> Flow[Lease | None]:
        call = self.call("acquire", encoded(name), encoded(holder), repr(now), repr(until))
        try:
            token = yield from self._after_aliases(call)
        except NotDone:
            raise
        except StoreUnavailable:  # it may have been given all the same, to one who goes on without it
            self._owe([Lease(name, holder, 0, until)])
            raise
        # What is neither a number nor empty is no answer: nobody is known to have the lease, so nobody waits.
        return None if token == b"" else Lease(name, holder, int(token), until)

    def is_late(self, fence: Lease) -> Flow[bool]:
        """Was a later lease of this name given?"""
        (late,) = yield [self.call("late", encoded(fence.name), fence.token)]
        return bool(late)

    def release(self, lease: Lease) -> Flow[None]:
        try:
            yield [replace(self._release_call(lease), may_fail=False)]
        except StoreUnavailable:
            self._owe([lease])
            raise

    def note(self, name: str, value: str | None) -> Flow[None]:
        is_kept = value is not None
        (reply,) = yield [self.call("note", encoded(name), "1" if is_kept else "0", encoded(value or ""))]
        with self._lock:  # before the version is another one: who sees that must see this, too
            self._notes_heard += 1
        self._seen(reply)

    def notes(self, prefix: str = "") -> Flow[dict[str, str]]:
        (reply,) = yield [("HGETALL", self.layout.key("notes"))]
        first = encoded(prefix)
        return {
            name.decode("utf-8", "surrogatepass"): value.decode("utf-8", "surrogatepass")
            for name, value in sorted(pairs_of(reply).items())
            if name.startswith(first)
        }

    def version(self) -> Flow[Hashable]:
        (reply,) = yield [("HMGET", self.layout.key("state"), "id", "edits")]
        self.saw(reply[0] or b"", reply[1])
        return self.known_version()


def _address_of(stored: Stored) -> tuple[str, str]:
    return stored.entry.scope, stored.entry.key
