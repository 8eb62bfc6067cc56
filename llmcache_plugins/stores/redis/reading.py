"""Looking entries up: exact, normalised, and by meaning with whatever finds the nearest here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmcache_plugins.stores.codec import decode_entry, decode_vector
from llmcache_plugins.stores.matrix import as_vector
from llmcache_plugins.stores.redis.commands import Call, Command, Flow, Reply
from llmcache_plugins.stores.redis.core import BODY, FIELDS, TARGET, Core, Row
from llmcache_plugins.stores.redis.layout import Address, digest_of
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Looked, Pending, Stored

__all__ = ["Reads"]

_AT_ONCE = 200  # vectors that are read together


class Reads(Core):
    """The verbs that look entries up."""

    def get(self, scope: str, key: str) -> Flow[Stored | Damaged | None]:
        """As the protocol says, in one round trip; an alias costs a second one. The entry comes without its vector, of
        which an exact hit has no use."""
        wanted = self.layout.address(scope, key)
        row = yield from self._after_aliases_of(wanted, ("HMGET", self.layout.doc(wanted), *FIELDS))
        target_row = None
        if row[BODY] is None:
            if row[TARGET] is None:
                return None
            (target_row,) = yield [("HMGET", self.layout.doc(row[TARGET]), *FIELDS)]
        return self._exact(row, Address(scope, key), target_row)

    def look(
        self, scope: str, key: str, normalised: Mapping[str, int], embedder_id: str, *, limit: int
    ) -> Flow[Looked]:
        """What `LooksAhead` says, in one round trip."""
        keys = [part for name, most in normalised.items() for part in (digest_of(name), most)]
        address = self.layout.address(scope, key)
        look = self.call("look", address, digest_of(scope), digest_of(embedder_id), limit, *keys)
        reply = yield from self._after_aliases_of(address, look)
        (sequence,) = self._seen(reply[0])
        if self._lost(reply[0][0]):
            yield from self._go_on()
            return (yield from self.look(scope, key, normalised, embedder_id, limit=limit))
        number = int(sequence)
        self._know_sequence(number)
        row = reply[1]
        if row[BODY] is not None or row[TARGET] is not None:
            return Looked(self._exact(row, Address(scope, key), reply[2] if len(reply) > 2 else None), number)
        found = {
            name: [stored for _, _, stored in self._paired(rows) if stored.entry.normalised_key == name]
            for name, rows in zip(normalised, reply[4], strict=True)
        }
        return Looked(None, number, found, self._census(reply[3]))

    def _after_aliases_of(self, address: bytes, last: Call | Command) -> Flow[Reply]:
        """The reply to this. An alias of this address that waits to be written, and leases that are owed, go before."""
        if address in self._aliases or self._owed:
            return (yield from self._after_aliases(last))
        (reply,) = yield [last]
        return reply

    def _exact(self, row: Row, address: Address, target_row: Row | None) -> Stored | Damaged | None:
        """The entry in this row, or the one in `target_row` that it is an alias of."""
        if row[BODY] is not None:
            return self._stored(row, address)
        alias = self._alias(row, address)
        target = self.layout.parsed(row[TARGET])
        if not isinstance(alias, Alias) or target != Address(alias.scope, alias.target_key):
            self._count("damaged", 1)
            return alias if isinstance(alias, Damaged) else Damaged("bad_bytes")
        if target_row is None or target_row[BODY] is None:
            return None
        return self._stored(target_row, target, alias)

    def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> Flow[list[Stored]]:
        if limit < 1:
            return []
        (rows,) = yield [self.call("normalised", digest_of(scope), digest_of(normalised_key), limit)]
        return [stored for _, _, stored in self._paired(rows) if stored.entry.normalised_key == normalised_key]

    def census(self, scope: str, embedder_id: str, *, limit: int) -> Flow[Census]:
        (reply,) = yield [self.call("census", digest_of(scope), digest_of(embedder_id), max(limit, 0))]
        return self._census(reply)

    @staticmethod
    def _census(reply: Reply) -> Census:
        pending = []
        for body, embedder in zip(reply[2::3], reply[3::3], strict=True):
            entry = decode_entry(body)
            if isinstance(entry, Entry):
                pending.append(Pending(entry.key, entry.text, embedder.decode("utf-8", "surrogatepass") or None))
        return Census(reply[0], tuple(pending))

    def vectors(
        self, embedder_id: str, addresses: Sequence[tuple[str, str]]
    ) -> Flow[dict[tuple[str, str], FloatArray]]:
        found = {}
        kind = yield from self.vector_type()
        for start in range(0, len(addresses), _AT_ONCE):
            part = addresses[start : start + _AT_ONCE]
            (rows,) = yield [self.call("vectors_of", digest_of(embedder_id), *(self._address(*one) for one in part))]
            for (scope, key), stored in zip(part, rows, strict=True):
                vector = decode_vector(stored, kind)
                if vector is not None:
                    found[scope, key] = vector
        return found

    def search(
        self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float
    ) -> Flow[list[Candidate]]:
        if limit < 1:
            return []
        return (yield from self._finder.find(self, scope, embedder_id, as_vector(vector), limit=limit, now=now))
