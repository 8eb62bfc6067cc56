"""Vector sets (Redis 8): one for each scope and embedder, kept by the same scripts that write the entries."""

from __future__ import annotations

import numpy as np

from llmcache_plugins.stores.codec import VectorType, decode_vector, encode_vector
from llmcache_plugins.stores.redis.commands import Flow, Reply
from llmcache_plugins.stores.redis.core import Core
from llmcache_plugins.stores.redis.layout import digest_of, vector_field
from llmcache_plugins.stores.redis.nearest import Neighbour, best_of, neighbours_of
from llmcache_plugins.types import Candidate, FloatArray

__all__ = ["VectorSets"]

_AT_ONCE = 100  # a millisecond or two each, in which nobody else is served


class VectorSets:
    """Finds the nearest candidates with the server's vector sets."""

    def __init__(self) -> None:
        self.forget()

    def wished(self, kind: VectorType) -> VectorType:
        return "float32"  # what the server's sets are given; others are converted, in a tenth of a millisecond each

    def forget(self) -> None:
        self._is_begun = False

    def changed(self, address: bytes) -> None:
        """Nothing is kept here."""

    def prepare(self, core: Core, dimension: int) -> Flow[None]:
        """Say that vectors are kept in sets, and put in what is there already: it was stored by a process that did not
        know of sets, or on a server without them."""
        if self._is_begun:
            return
        (flag,) = yield [("HGET", core.layout.key("state"), "sets")]
        after = b"0" if flag is None else b""
        while after:
            (after,) = yield [core.call("fill_sets", after, _AT_ONCE)]
        self._is_begun = True

    def find(
        self, core: Core, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float
    ) -> Flow[list[Candidate]]:
        yield from self.prepare(core, vector.size)
        return (yield from best_of(lambda wanted: self._nearest(core, scope, embedder_id, vector, wanted, now), limit))

    def _nearest(
        self, core: Core, scope: str, embedder_id: str, vector: FloatArray, wanted: int, now: float
    ) -> Flow[tuple[list[Neighbour], int]]:
        kind = yield from core.vector_type()
        asked = (vector_field(vector.size, kind), encode_vector(vector), wanted, repr(now))
        (rows,) = yield [core.call("near", digest_of(scope), digest_of(embedder_id), *asked)]
        # The set knows vectors in 8 bits: what is compared with a threshold is computed from the whole ones.
        given = [(address, row, _cosine(stored, vector, kind)) for address, row, stored in rows]
        return neighbours_of(core, given, scope, embedder_id, now), len(rows)


def _cosine(stored: Reply, vector: FloatArray, kind: VectorType) -> float:
    """Below every other when the stored vector cannot be read."""
    decoded = decode_vector(stored, kind)
    return -1.0 if decoded is None or decoded.size != vector.size else float(np.add.reduce(decoded * vector))
