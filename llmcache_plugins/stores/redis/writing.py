"""Writing entries and aliases: each verb is one script, so that it is atomic and one round trip."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from llmcache_plugins.errors import CodecError, ConfigError, StoreError, StoreUnavailable
from llmcache_plugins.selection import Invalidation, Lease, Selector
from llmcache_plugins.stores.capacity import alias_bytes, entry_bytes
from llmcache_plugins.stores.codec import VectorType, encode_alias, encode_entry, encode_vector
from llmcache_plugins.stores.matrix import as_vector
from llmcache_plugins.stores.redis.commands import Argument, Call, Flow, Reply
from llmcache_plugins.stores.redis.core import Core
from llmcache_plugins.stores.redis.layout import EXACT_ONLY, NO_VECTOR, Layout, digest_of, encoded, vector_field
from llmcache_plugins.stores.redis.waiting import WaitingAlias
from llmcache_plugins.stores.touches import Touches
from llmcache_plugins.types import Alias, Entry, FloatArray, Namespace

__all__ = ["Writes", "as_invalidation"]

_ATTEMPTS = 8  # an invalidation between two of them means another look at the log
_AT_ONCE = 500  # entries that one script removes: a millisecond or two in which nobody else is served


class Writes(Core):
    """The verbs that change what is stored."""

    def put(self, entry: Entry, *, tier: str = "", seen: int | None = None, fence: Lease | None = None) -> Flow[bool]:
        stored = _Stored(entry, self._compress_above)
        checked = None if entry.is_note else seen
        if stored.dimension:
            yield from self._finder.prepare(self, stored.dimension)
        if self._is_lost and checked is not None:
            yield from self._go_on(checked)
        for _ in range(_ATTEMPTS):
            if stored.array is not None:
                stored.keep_as((yield from self.vector_type()))
            reply = yield from self._put(stored, tier, checked, fence)
            if reply[0] == b"vectors":
                self.mistook_vectors()
                continue
            if reply[0] == b"kept":
                evicted, _ = self._seen(reply[1:])
                self._vectors = stored.kind or self._vectors
                self._count("evictions", evicted)
                self._changed([stored.address])
                return True
            if reply[0] == b"refused":  # larger than the whole limit: what it was to replace is out of date
                self._seen(reply[1:])
                return False
            if reply[0] == b"late":
                return False
            if seen is None:
                raise StoreError("the server compares a sequence that nobody gave")
            if reply[0] == b"lost":
                yield from self._go_on(seen)
            last, is_admitted = yield from self._admits(entry, tier, seen)
            if not is_admitted:
                return False
            checked = last
        raise StoreUnavailable("too many invalidations at the same moment")

    def _put(self, stored: _Stored, tier: str, checked: int | None, fence: Lease | None) -> Flow[list[Reply]]:
        """One try. What was read meanwhile is written on the way, so that eviction knows it."""
        touched = self._touches.take()
        try:
            if touched and self._rules.has_own:
                yield from self._raise_by_own(touched)
            reply = yield from self._after_aliases(self._put_call(stored, tier, checked, fence, touched))
        except BaseException:
            self._touches.give_back(touched)
            raise
        if reply[0] not in (b"kept", b"refused"):
            self._touches.give_back(touched)
        return list(reply)

    def _put_call(self, stored: _Stored, tier: str, checked: int | None, fence: Lease | None, touched: Touches) -> Call:
        entry, size = stored.entry, stored.size
        is_kept = size <= self._max_bytes
        priority, weight = self._priority(entry, size, tier, entry.created_at)
        tags = [encoded(tag) for tag in dict.fromkeys(entry.profile.tags)]
        return self.call(
            "put",
            stored.address,
            "" if checked is None else checked,
            self._id,
            max(self._sequence, checked or 0),
            stored.kind,
            b"" if fence is None else encoded(fence.name),
            0 if fence is None else fence.token,
            size,
            *self._limits,
            *self._touched(touched),
            encoded(tier),
            priority,
            weight,
            "1" if is_kept else "0",
            stored.scope,
            stored.group,
            digest_of(entry.normalised_key),
            encoded(entry.key),
            "" if entry.expires_at is None else repr(entry.expires_at),
            stored.field,
            stored.vector,
            len(tags),
            *tags,
            *stored.fields,
            *(("placed", repr(entry.created_at)) if tier else ()),
        )

    def _priority(self, entry: Entry, size: int, tier: str, now: float) -> tuple[str, str]:
        """Priority and weight as the scripts take them; an empty one is the order of the write, which the server
        gives."""
        weight = self._priorities.weight(tier, entry, size)
        if self._rules.is_by_order(self._priorities.of(tier)):
            return "", repr(weight)
        return repr(self._priorities.on_put(tier, weight, now, self._next_tick())), repr(weight)

    def _admits(self, entry: Entry, tier: str, seen: int) -> Flow[tuple[int, bool]]:
        """The number of the last invalidation, and whether none after number `seen` is about the entry; False too when
        that cannot be told any more."""
        sequence, noted = yield [
            ("HGET", self.layout.key("state"), "sequence"),
            ("ZRANGEBYSCORE", self.layout.key("log"), f"({seen}", "+inf"),
        ]
        last = int(sequence or 0)
        if seen >= last:
            return last, True
        found = [as_invalidation(member) for member in noted]
        if len(found) < last - seen:  # some are forgotten
            return last, False
        return last, all(one is not None and not one.undoes(entry, tier) for one in found)

    def put_alias(self, alias: Alias) -> Flow[None]:
        try:
            body = encode_alias(alias)
        except CodecError as error:
            raise StoreError(f"alias {alias.key[:12]} cannot be stored: {error}") from error
        address = self._address(alias.scope, alias.key)
        target = self._address(alias.scope, alias.target_key)
        if self._aliases.add(WaitingAlias(address, target, alias_bytes(alias), body)):
            yield from self.flush()

    def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> Flow[None]:
        by_dimension: dict[int, list[tuple[bytes, FloatArray]]] = {}
        for key, vector in vectors.items():
            array = as_vector(vector)
            by_dimension.setdefault(array.size, []).append((self._address(scope, key), array))
        for dimension, given in by_dimension.items():
            yield from self._finder.prepare(self, dimension)
            reply = yield from self._set_vectors(embedder_id, dimension, given)
            (evicted,) = self._seen(reply)
            self._count("evictions", evicted)
            self._changed([address for address, _ in given])

    def _set_vectors(self, embedder_id: str, dimension: int, given: list[tuple[bytes, FloatArray]]) -> Flow[Reply]:
        for _ in range(_ATTEMPTS):
            kind = yield from self.vector_type()
            flat = [part for address, array in given for part in (address, encode_vector(array, kind))]
            group, field = digest_of(embedder_id), vector_field(dimension, kind)
            (reply,) = yield [self.call("vectors", *self._limits, kind, group, encoded(embedder_id), field, *flat)]
            if reply[0] != b"vectors":
                return reply
            self.mistook_vectors()
        raise StoreUnavailable("the way in which vectors are kept changes all the time")

    def touch(self, scope: str, key: str, now: float) -> Flow[None]:
        if self._touches.add(scope, key, now):
            yield from self.flush()

    def delete(self, scope: str, keys: Sequence[str]) -> Flow[int]:
        removed = 0
        addresses = [self._address(scope, key) for key in dict.fromkeys(keys)]
        for start in range(0, len(addresses), _AT_ONCE):
            reply = yield from self._after_aliases(self.call("delete", *addresses[start : start + _AT_ONCE]))
            (done,) = self._seen(reply)
            removed += done
        self._changed(addresses)
        return removed

    def sweep(self, now: float, *, limit: int) -> Flow[int]:
        removed = 0
        while limit > 0:
            at_once = min(limit, _AT_ONCE)
            reply = yield from self._after_aliases(self.call("sweep", repr(now), at_once))
            done, looked_at = self._seen(reply)
            removed += done
            limit -= looked_at
            if looked_at < at_once:
                break
        self._count("expirations", removed)
        return removed

    def clear(self, namespace: Namespace | None = None) -> Flow[int]:
        yield from self.flush()
        removed: int = 0
        last: Reply = ""
        while not namespace:
            reply = yield from self._after_aliases(self.call("clear", last, _AT_ONCE))
            last, done, looked_at = self._seen(reply)
            self._changed_all()
            removed += done
            if looked_at < _AT_ONCE:
                return removed
        below = yield from self._below(namespace)
        for start in range(0, len(below), _AT_ONCE):
            part = below[start : start + _AT_ONCE]
            (reply,) = yield [self.call("remove", "", *(value for pair in part for value in pair))]
            removed += sum(self._seen(reply))
            self._changed([address for address, _ in part])
        return removed

    def _below(self, namespace: Namespace) -> Flow[list[tuple[bytes, int]]]:
        """Address and order of what is stored under a namespace, notes of the cache's own included."""
        found: list[tuple[bytes, int]] = []
        after = 0
        while True:
            chunk = ("ZRANGEBYSCORE", self.layout.key("all"), f"({after}", "+inf", "WITHSCORES", "LIMIT", 0, _AT_ONCE)
            (members,) = yield [chunk]
            pairs = as_pairs(members)
            if not pairs:
                return found
            (rows,) = yield [self.call("load", *(address for address, _ in pairs))]
            for address, order, stored in self._paired(rows):
                if stored.entry.namespace[: len(namespace)] == namespace:
                    found.append((address, order))
            after = pairs[-1][1]


class _Stored:
    """An entry as the fields of a document."""

    def __init__(self, entry: Entry, compress_above: int | None) -> None:
        try:
            # Staleness has a field of its own, so that marking an entry does not write its body anew.
            fresh = entry if entry.stale_at is None else replace(entry, stale_at=None)
            body = encode_entry(fresh, compress_above=compress_above)
        except CodecError as error:
            raise StoreError(f"entry {entry.key[:12]} cannot be stored: {error}") from error
        self.entry = entry
        self.size = entry_bytes(entry)
        self.scope = digest_of(entry.scope)
        self.address = Layout.address(entry.scope, entry.key)
        self.group = NO_VECTOR if entry.is_candidate else EXACT_ONLY
        self.fields: list[Argument] = [
            "body",
            body,
            "expires",
            "inf" if entry.expires_at is None else repr(entry.expires_at),
        ]
        if entry.stale_at is not None:
            self.fields += ["stale", repr(entry.stale_at)]
        self.dimension = 0
        self.kind: VectorType | Literal[""] = ""
        self.field, self.vector = "", b""
        self.array: FloatArray | None = None
        if entry.vector is not None and entry.embedder_id is not None:
            self.array = as_vector(entry.vector)
            if entry.is_candidate:
                self.group = digest_of(entry.embedder_id)
                self.dimension = self.array.size
            self.fields += ["embedder", encoded(entry.embedder_id)]

    def keep_as(self, kind: VectorType) -> None:
        """Its vector is to be stored so."""
        if self.array is not None and kind != self.kind:
            self.kind = kind
            self.field, self.vector = vector_field(self.array.size, kind), encode_vector(self.array, kind)


def as_pairs(members: Reply) -> list[tuple[bytes, int]]:
    """Members with their scores, which are orders: as pairs, or flat."""
    if members and isinstance(members[0], tuple | list):
        return [(member, int(float(score))) for member, score in members]
    return [(member, int(float(score))) for member, score in zip(members[::2], members[1::2], strict=True)]


def as_invalidation(member: bytes, count: int = 0) -> Invalidation | None:
    """What the log keeps, or None when it cannot be read."""
    number, _, text = member.partition(b":")
    try:
        content = json.loads(text)
        return Invalidation(
            int(number),
            float(content["at"]),
            Selector.from_json(content["selector"]),
            str(content["reason"]),
            str(content["mode"]),
            count,
        )
    except (ValueError, KeyError, TypeError, RecursionError, ConfigError):
        return None
