"""Which entries there are, and the tier of each: an attribute, so that a move loses nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from llmcache_plugins.selection import Page, Selector, tag_pattern
from llmcache_plugins.stores.codec import decode_entry
from llmcache_plugins.stores.redis.commands import Argument, Batch, Command, Flow
from llmcache_plugins.stores.redis.layout import EXACT_ONLY, digest_of, encoded
from llmcache_plugins.stores.redis.writing import Writes, as_pairs
from llmcache_plugins.types import Entry, Stored

__all__ = ["Tiers"]

_AT_ONCE = 200  # entries that are read together
_LITERAL = re.compile(r"[^*?\[]*")


class Tiers(Writes):
    """The verbs about many entries."""

    def select(self, selector: Selector, *, limit: int, after: int = 0) -> Flow[Page]:
        if limit < 1:
            return Page()
        if selector.idle_since is not None:
            yield from self.flush()  # a read that is not written yet counts, too
        found = yield from self._matching(selector, limit=limit + 1, after=after)
        rows = tuple(stored for _, _, stored in found[:limit])
        return Page(rows, found[limit - 1][1] if len(found) > limit else None)

    def _matching(
        self, selector: Selector, *, limit: int | None = None, after: int = 0, last: int | None = None
    ) -> Flow[list[tuple[bytes, int, Stored]]]:
        """Address, order and entry of what matches, in the order of storing.

        Args:
            limit: as many are enough; None for all.
            after: only later orders.
            last: only orders up to this one.
        """
        narrowed = yield from self._narrowed(selector)
        found: list[tuple[bytes, int, Stored]] = []
        while limit is None or len(found) < limit:
            if narrowed is None:
                members = yield [
                    (
                        "ZRANGEBYSCORE",
                        self.layout.key("all"),
                        f"({after}",
                        "+inf" if last is None else last,
                        "WITHSCORES",
                        "LIMIT",
                        0,
                        _AT_ONCE,
                    )
                ]
                pairs = as_pairs(members[0])
            else:
                pairs = [pair for pair in narrowed if pair[1] > after and (last is None or pair[1] <= last)][:_AT_ONCE]
            if not pairs:
                break
            (rows,) = yield [self.call("load", *(address for address, _ in pairs))]
            for address, order, stored in self._paired(rows):
                if order <= pairs[-1][1] and selector.matches_stored(stored):  # a later order: it was replaced
                    found.append((address, order, stored))
            after = pairs[-1][1]
        return found if limit is None else found[:limit]

    def _narrowed(self, selector: Selector) -> Flow[list[tuple[bytes, int]] | None]:
        """Address and order of the fewest entries among which all are that the selector finds, in the order of storing;
        None when nothing narrows them down."""
        addresses: set[bytes] | None = None
        if selector.keys and selector.scope is not None:
            addresses = {self._address(selector.scope, key) for key in selector.keys}
        elif selector.keys:
            addresses = yield from self._by_keys(selector.keys)
        elif selector.tags:
            sets = yield [("SMEMBERS", self.layout.tagged(tag)) for tag in selector.tags]
            addresses = set.intersection(*map(set, sets))
        elif selector.tag_patterns:
            addresses = yield from self._by_pattern(selector.tag_patterns[0])
        elif selector.scope is not None:
            addresses = yield from self._by_scope(selector.scope)
        if addresses is None:
            return None
        listed = list(addresses)
        orders: list[tuple[bytes, int]] = []
        for start in range(0, len(listed), _AT_ONCE):
            part = listed[start : start + _AT_ONCE]
            (scores,) = yield [("ZMSCORE", self.layout.key("all"), *part)]
            orders += [(a, int(float(s))) for a, s in zip(part, scores, strict=True) if s is not None]
        return sorted(orders, key=lambda pair: pair[1])

    def _by_keys(self, keys: Iterable[str]) -> Flow[set[bytes]]:
        wanted = [encoded(key) for key in dict.fromkeys(keys)]
        found: set[bytes] = set()
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            ranges: list[Command] = [
                ("ZRANGEBYLEX", self.layout.key("keys"), b"[%b\x00" % key, b"(%b\x01" % key) for key in part
            ]
            replies = yield ranges
            for key, members in zip(part, replies, strict=True):
                found.update(member[len(key) + 1 :] for member in members)
        return found

    def _by_pattern(self, pattern: str) -> Flow[set[bytes]]:
        literal = _LITERAL.match(pattern)
        first = encoded(literal.group() if literal else "")
        fits = tag_pattern(pattern)
        (tags,) = yield [("ZRANGEBYLEX", self.layout.key("tags"), b"[" + first, b"(" + first + b"\xff")]
        fitting = [tag for tag in tags if fits.fullmatch(tag.decode("utf-8", "surrogatepass"))]
        found: set[bytes] = set()
        for start in range(0, len(fitting), _AT_ONCE):
            batch: Batch = [("SMEMBERS", self.layout.base + b":t:" + tag) for tag in fitting[start : start + _AT_ONCE]]
            for members in (yield batch):
                found.update(members)
        return found

    def _by_scope(self, scope: str) -> Flow[set[bytes]]:
        digest = digest_of(scope)
        (groups,) = yield [("SMEMBERS", self.layout.base + b":g:" + digest)]
        if not groups:
            return set()
        batch: Batch = [
            ("ZRANGE", self.layout.base + b":c:" + digest + b":" + group, 0, -1) for group in {*groups, EXACT_ONLY}
        ]
        replies = yield batch
        return {address for members in replies for address in members}

    def lowest(self, tier: str, *, limit: int) -> Flow[list[Stored]]:
        if limit < 1:
            return []
        yield from self.flush()
        (rows,) = yield [self.call("lowest", encoded(tier), limit)]
        return [stored for _, _, stored in self._paired(rows)]

    def place(self, addresses: Sequence[tuple[str, str]], tier: str, now: float, *, is_demotion: bool) -> Flow[int]:
        yield from self.flush()  # reads so far are those before the move
        placed = 0
        wanted = [self._address(scope, key) for scope, key in addresses]
        for start in range(0, len(wanted), _AT_ONCE):
            part = wanted[start : start + _AT_ONCE]
            rows = yield [("HMGET", self.layout.doc(address), "body", "size") for address in part]
            given: list[Argument] = []
            for address, (body, size) in zip(part, rows, strict=True):
                entry = decode_entry(body)
                if isinstance(entry, Entry):
                    given += (address, *self._priority(entry, int(size or 1), tier, now))
            if given:
                flag = "1" if is_demotion else "0"
                (reply,) = yield [self.call("place", encoded(tier), repr(now), flag, *given)]
                (done,) = self._seen(reply)
                placed += done
        return placed
