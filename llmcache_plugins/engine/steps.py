"""What a flow can ask for. A step says what is needed; the driver says who does it (a store, or its async twin)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from llmcache_plugins.engine.singleflight import Flight, Landing
from llmcache_plugins.protocols import AsyncStore, Store
from llmcache_plugins.types import Alias, Entry, FloatArray, Request

__all__ = [
    "AskJudge",
    "Asking",
    "CensusOf",
    "Delete",
    "Embed",
    "Enter",
    "Fits",
    "Generate",
    "Land",
    "Put",
    "PutAlias",
    "ReadExact",
    "ReadNormalised",
    "Search",
    "SetVectors",
    "Step",
    "StoreStep",
    "Sweep",
    "Touch",
    "Validate",
    "Verify",
    "Wait",
]

AnyStore: TypeAlias = Store | AsyncStore


@dataclass(slots=True)
class StoreStep:
    """A verb of one tier's store. `call` gives the value for a `Store` and an awaitable of it for an `AsyncStore`;
    `work` names the verb in logs."""

    work: ClassVar[str]
    tier: int

    def call(self, store: AnyStore) -> Any:
        raise NotImplementedError


@dataclass(slots=True)
class ReadExact(StoreStep):
    work = "read"
    scope: str
    key: str

    def call(self, store: AnyStore) -> Any:
        return store.get(self.scope, self.key)


@dataclass(slots=True)
class ReadNormalised(StoreStep):
    work = "read normalised"
    scope: str
    normalised_key: str
    limit: int

    def call(self, store: AnyStore) -> Any:
        return store.get_normalised(self.scope, self.normalised_key, limit=self.limit)


@dataclass(slots=True)
class CensusOf(StoreStep):
    work = "count"
    scope: str
    embedder_id: str
    limit: int

    def call(self, store: AnyStore) -> Any:
        return store.census(self.scope, self.embedder_id, limit=self.limit)


@dataclass(slots=True)
class Search(StoreStep):
    work = "search"
    scope: str
    embedder_id: str
    vector: FloatArray = field(repr=False)
    limit: int
    now: float

    def call(self, store: AnyStore) -> Any:
        return store.search(self.scope, self.embedder_id, self.vector, limit=self.limit, now=self.now)


@dataclass(slots=True)
class SetVectors(StoreStep):
    work = "add vectors"
    scope: str
    embedder_id: str
    vectors: Mapping[str, FloatArray] = field(repr=False)

    def call(self, store: AnyStore) -> Any:
        return store.set_vectors(self.scope, self.embedder_id, self.vectors)


@dataclass(slots=True)
class Touch(StoreStep):
    work = "count accesses"
    scope: str
    key: str
    now: float

    def call(self, store: AnyStore) -> Any:
        return store.touch(self.scope, self.key, self.now)


@dataclass(slots=True)
class Put(StoreStep):
    work = "write"
    entry: Entry

    def call(self, store: AnyStore) -> Any:
        return store.put(self.entry)


@dataclass(slots=True)
class PutAlias(StoreStep):
    work = "write aliases"
    alias: Alias

    def call(self, store: AnyStore) -> Any:
        return store.put_alias(self.alias)


@dataclass(slots=True)
class Delete(StoreStep):
    work = "delete"
    scope: str
    keys: Sequence[str]

    def call(self, store: AnyStore) -> Any:
        return store.delete(self.scope, self.keys)


@dataclass(slots=True)
class Sweep(StoreStep):
    work = "sweep"
    now: float
    limit: int

    def call(self, store: AnyStore) -> Any:
        return store.sweep(self.now, limit=self.limit)


@dataclass(slots=True)
class Fits:
    """Does the embedder read the whole text?"""

    text: str = field(repr=False)


@dataclass(slots=True)
class Embed:
    """Vectors of the texts: float32, shape (len(texts), dim)."""

    texts: Sequence[str] = field(repr=False)


@dataclass(slots=True)
class Verify:
    """Scores of (asked, stored) pairs: a list of floats in [0, 1], or None when the verifier failed."""

    component: ClassVar[str] = "verifier"
    pairs: Sequence[tuple[str, str]] = field(repr=False)


@dataclass(slots=True)
class AskJudge:
    """The judge's probability that the entry answers the request; None when it does not say."""

    component: ClassVar[str] = "judge"
    request: Request
    entry: Entry


@dataclass(slots=True)
class Validate:
    """A `Validation` of the match by all validators. `is_counted` is False when nothing is going to be served."""

    component: ClassVar[str] = "validator"
    request: Request
    entry: Entry
    is_counted: bool = True


@dataclass(slots=True)
class Enter:
    """Lead the flight of this key, follow it or stay alone: a `Role` and a `Flight`; see `FlightTable.enter`."""

    key: str
    is_open: bool


@dataclass(slots=True)
class Wait:
    """Wait until the flight lands; its `Landing`, or None when the deadline came first."""

    flight: Flight


@dataclass(slots=True)
class Land:
    """The flight has ended; frees its followers."""

    flight: Flight
    landing: Landing


@dataclass(slots=True)
class Generate:
    """Call the user's model."""


Asking: TypeAlias = Verify | AskJudge | Validate
Step: TypeAlias = StoreStep | Fits | Embed | Asking | Enter | Wait | Land | Generate
