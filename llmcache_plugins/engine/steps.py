"""What a flow can ask for. A step says what is needed; the driver says who does it (a store, or its async twin)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, cast

from llmcache_plugins.engine.flight_steps import FlightStep, Pause, Wait
from llmcache_plugins.matching import Judged
from llmcache_plugins.protocols import AsyncStore, LooksAhead, Store
from llmcache_plugins.recorded import Event
from llmcache_plugins.selection import Lease, Selector
from llmcache_plugins.types import Alias, Entry, FloatArray, Request

__all__ = [
    "Acquire",
    "Announce",
    "AskJudge",
    "Asking",
    "CensusOf",
    "Delete",
    "Embed",
    "Fits",
    "ForgetInvalidations",
    "Generate",
    "Invalidate",
    "Invalidations",
    "LookAhead",
    "Lowest",
    "Place",
    "Put",
    "PutAlias",
    "ReadExact",
    "ReadNormalised",
    "ReadNotes",
    "Search",
    "Select",
    "SequenceOf",
    "SetVectors",
    "StatsOf",
    "Step",
    "StoreStep",
    "Sweep",
    "Touch",
    "Validate",
    "Vectors",
    "Verify",
    "VersionOf",
    "Watch",
    "Weigh",
    "WriteNote",
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
class LookAhead(StoreStep):
    """`normalised` are keys with their limits; only for stores that are `LooksAhead`."""

    work = "look"
    scope: str
    key: str
    normalised: Mapping[str, int]
    embedder_id: str
    limit: int

    def call(self, store: AnyStore) -> Any:
        return cast(LooksAhead, store).look(self.scope, self.key, self.normalised, self.embedder_id, limit=self.limit)


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
class Vectors(StoreStep):
    work = "read vectors"
    embedder_id: str
    addresses: Sequence[tuple[str, str]]

    def call(self, store: AnyStore) -> Any:
        return store.vectors(self.embedder_id, self.addresses)


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
    """`place` is the name of the tier the entry is placed in; `seen` and `fence` are those of `Store.put`."""

    work = "write"
    entry: Entry
    place: str = ""
    seen: int | None = None
    fence: Lease | None = None

    def call(self, store: AnyStore) -> Any:
        return store.put(self.entry, tier=self.place, seen=self.seen, fence=self.fence)


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
class Select(StoreStep):
    work = "select"
    selector: Selector
    limit: int
    after: int = 0

    def call(self, store: AnyStore) -> Any:
        return store.select(self.selector, limit=self.limit, after=self.after)


@dataclass(slots=True)
class Place(StoreStep):
    work = "place"
    addresses: Sequence[tuple[str, str]]
    place: str
    now: float
    is_demotion: bool

    def call(self, store: AnyStore) -> Any:
        return store.place(self.addresses, self.place, self.now, is_demotion=self.is_demotion)


@dataclass(slots=True)
class Lowest(StoreStep):
    work = "find the lowest"
    place: str
    limit: int

    def call(self, store: AnyStore) -> Any:
        return store.lowest(self.place, limit=self.limit)


@dataclass(slots=True)
class Invalidate(StoreStep):
    work = "invalidate"
    selector: Selector
    now: float
    is_lazy: bool
    limit: int
    reason: str = ""
    mode: str = "now"

    def call(self, store: AnyStore) -> Any:
        return store.invalidate(
            self.selector, self.now, is_lazy=self.is_lazy, reason=self.reason, mode=self.mode, limit=self.limit
        )


@dataclass(slots=True)
class Invalidations(StoreStep):
    work = "read invalidations"
    since: float

    def call(self, store: AnyStore) -> Any:
        return store.invalidations(since=self.since)


@dataclass(slots=True)
class ForgetInvalidations(StoreStep):
    work = "forget invalidations"
    before: float

    def call(self, store: AnyStore) -> Any:
        return store.forget_invalidations(before=self.before)


@dataclass(slots=True)
class SequenceOf(StoreStep):
    work = "read the sequence"

    def call(self, store: AnyStore) -> Any:
        return store.sequence()


@dataclass(slots=True)
class Acquire(StoreStep):
    work = "lease"
    name: str
    holder: str
    now: float
    until: float

    def call(self, store: AnyStore) -> Any:
        return store.acquire(self.name, self.holder, self.now, self.until)


@dataclass(slots=True)
class WriteNote(StoreStep):
    work = "write notes"
    name: str
    value: str | None

    def call(self, store: AnyStore) -> Any:
        return store.note(self.name, self.value)


@dataclass(slots=True)
class ReadNotes(StoreStep):
    work = "read notes"
    prefix: str = ""

    def call(self, store: AnyStore) -> Any:
        return store.notes(self.prefix)


@dataclass(slots=True)
class VersionOf(StoreStep):
    work = "read the version"

    def call(self, store: AnyStore) -> Any:
        return store.version()


@dataclass(slots=True)
class StatsOf(StoreStep):
    work = "count entries"

    def call(self, store: AnyStore) -> Any:
        return store.stats()


@dataclass(slots=True)
class Announce:
    """Tell the recorders."""

    event: Event


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
class Weigh:
    """The `Fate` of a match that would be served (adaptive policy). `is_counted` is False when nothing is going to be
    served."""

    request: Request
    key: str
    match: Judged
    is_counted: bool = True


@dataclass(slots=True)
class Watch:
    """A candidate was not sure enough to be served; the model's answer will tell whether it was right (adaptive
    policy)."""

    request: Request
    key: str
    candidate: Judged


@dataclass(slots=True)
class Generate:
    """Call the user's model."""


Asking: TypeAlias = Verify | AskJudge | Validate
Step: TypeAlias = StoreStep | Announce | Fits | Embed | Asking | Weigh | Watch | FlightStep | Wait | Pause | Generate
