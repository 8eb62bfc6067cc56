"""The seams: what an engine is given. A Protocol of a few atomic verbs each; what differs is declared as data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

from llmcache_plugins.counters import CacheStats, ServerLoad, SharedStats, StoreStats, TierStats
from llmcache_plugins.quality import Judgement, Validation
from llmcache_plugins.recorded import Event
from llmcache_plugins.selection import Invalidated, Invalidation, Lease, Page, Selector
from llmcache_plugins.types import (
    Alias,
    Candidate,
    Census,
    Damaged,
    Entry,
    FloatArray,
    Looked,
    Namespace,
    Profile,
    Request,
    Stored,
    Verdict,
)

__all__ = [
    "SEALED_BY",
    "AnswersAgree",
    "AsyncEmbedder",
    "AsyncStore",
    "AsyncVerifier",
    "Capabilities",
    "Clock",
    "Embedder",
    "EvictionPolicy",
    "Guard",
    "HasAsyncTwin",
    "HasServer",
    "Judge",
    "Log",
    "LooksAhead",
    "Profiler",
    "Recorder",
    "SharedCounts",
    "StatisticsRecorder",
    "Store",
    "TracksChanges",
    "Validator",
    "Verifier",
]

R = TypeVar("R", covariant=True)

SEALED_BY = "sealed by "
"""How the name of a note begins that a store which seals what it keeps leaves underneath, and does not show itself:
whoever sees one looks at what is sealed without a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a store can do, declared once.

    Args:
        is_blocking: a verb may wait for a disk, a lock of another process or a network; the async driver then
            calls it in a worker thread.
        is_persistent: entries outlive the process.
        is_shared: other processes see the same entries.
        native_ttl: the store removes expired entries by itself.
    """

    is_blocking: bool
    is_persistent: bool
    is_shared: bool
    native_ttl: bool = False


class Clock(Protocol):
    """Where an engine reads the time; read once per operation."""

    def now(self) -> float:
        """Wall clock, seconds since the epoch: for what is stored."""
        ...

    def monotonic(self) -> float:
        """Monotonic seconds: for durations."""
        ...


class EvictionPolicy(Protocol):
    """In which order entries leave: the one with the lowest priority first, of equal ones the older.

    A priority is a number that a read can only raise, and that needs no ageing: comparing two of them gives the same
    answer at any later time. So a store keeps it beside the entry, and finds the lowest without looking at all.
    """

    @property
    def name(self) -> str: ...

    def weight(self, entry: Entry, size: int) -> float:
        """What about the entry counts for ever; kept beside its priority.

        Args:
            size: bytes that count towards the limit, at least 1.
        """
        ...

    def on_put(self, weight: float, now: float, order: int) -> float:
        """The priority of an entry that is stored, replaced or placed in another tier.

        Args:
            weight: what `weight` gave.
            now: wall clock, seconds.
            order: grows with every write and read of the store.
        """
        ...

    def on_read(self, priority: float, weight: float, reads: int, now: float, order: int) -> float:
        """The priority after `reads` more served reads, the last of them `now`; never lower than before."""
        ...


class Store(Protocol):
    """Keeps entries, aliases and vectors by scope. Knows no policy but its capacity.

    Every verb is atomic and safe to call from several threads. `scope` and `embedder_id` are part of each
    question, never a filter on its answer: what belongs to another scope or another embedder is not seen at all.
    All raise `StoreError` (or a subclass) when the store cannot do its work, and nothing else.
    """

    @property
    def capabilities(self) -> Capabilities: ...

    def get(self, scope: str, key: str) -> Stored | Damaged | None:
        """The entry under exactly this key, or the entry its alias points to. Expired entries are returned too:
        whether they are usable is a policy. Does not count as an access (see `touch`). The vector may be left out, for
        an exact match has no use for it; `embedder_id` then says that there is one."""
        ...

    def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> list[Stored]:
        """Entries with this normalised key, newest first, at most `limit`. Aliases have none."""
        ...

    def census(self, scope: str, embedder_id: str, *, limit: int) -> Census:
        """How many candidates (entries with `is_candidate`, expired or not) the scope holds, and at most `limit` of
        those without a vector of this embedder, newest first."""
        ...

    def search(self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float) -> list[Candidate]:
        """The at most `limit` live candidates most similar to `vector`, best first, equal ones in insertion order. Of
        these the vectors may be left out: the similarity is known.

        Args:
            vector: float32, shape (dim,), unit length.
            now: wall clock; what is expired by then is left out and does not use up `limit`.
        """
        ...

    def put(self, entry: Entry, *, tier: str = "", seen: int | None = None, fence: Lease | None = None) -> bool:
        """Store or replace the entry; an alias under its key is removed. The access count starts at 0. Evicts entries
        in the order of the eviction policy until the limits hold again, those placed in the last tier first. False when
        it was not kept: it is larger than the whole byte limit (what it was to replace is gone then), or the store
        keeps nothing.

        Args:
            tier: where it is placed.
            seen: what `sequence` gave before the answer was asked for: when an invalidation since then selects the
                entry, the answer may be older than what has changed, and is not kept.
            fence: the lease the answer was computed under: when a later one of that name was given meanwhile, its
                holder's answer counts, and this one is not kept.
        """
        ...

    def put_alias(self, alias: Alias) -> None:
        """Store or replace the alias. Ignored when its target is not there or the key is an entry's own."""
        ...

    def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> None:
        """Give entries of the scope their vectors, by key; keys that are gone are ignored."""
        ...

    def vectors(self, embedder_id: str, addresses: Sequence[tuple[str, str]]) -> dict[tuple[str, str], FloatArray]:
        """What `set_vectors` or `put` gave the candidates at these addresses, (scope, key), as far as it is of this
        embedder; of the others nothing. For who copies entries: a look-up has no use for them."""
        ...

    def touch(self, scope: str, key: str, now: float) -> None:
        """Count one served read of the entry (by its own key, not an alias'). Never changes `expires_at`."""
        ...

    def delete(self, scope: str, keys: Sequence[str]) -> int:
        """Remove entries (with their aliases) and aliases by key; how many were there."""
        ...

    def sweep(self, now: float, *, limit: int) -> int:
        """Remove at most `limit` expired entries; how many there were. They count as expirations."""
        ...

    def clear(self, namespace: Namespace | None = None) -> int:
        """Remove everything, or what is stored under this namespace and those below it; how many entries that was."""
        ...

    def select(self, selector: Selector, *, limit: int, after: int = 0) -> Page:
        """At most `limit` entries that match, oldest stored first, without vectors; expired ones too, notes never.

        Args:
            after: what the page before said; 0 for the first.
        """
        ...

    def place(self, addresses: Sequence[tuple[str, str]], tier: str, now: float, *, is_demotion: bool) -> int:
        """Place entries, by (scope, key), in a tier; how many were there. Their priority is that of the tier's own
        eviction policy from now on; after a demotion `reads` counts from 0."""
        ...

    def lowest(self, tier: str, *, limit: int) -> list[Stored]:
        """The at most `limit` entries of the tier that its eviction policy lets go first, in that order."""
        ...

    def invalidate(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str = "", mode: str = "now", limit: int
    ) -> Invalidated:
        """Note an invalidation in the log and remove what it selects (with its aliases), `limit` entries at most; with
        `is_lazy` mark them stale instead, those that are not yet. From the noting on no `put` with an earlier `seen`
        brings any of them back. What is beyond the limit is found by a `select` that follows."""
        ...

    def invalidations(self, *, since: float) -> list[Invalidation]:
        """What was noted from this instant on, oldest first, whoever did it."""
        ...

    def forget_invalidations(self, *, before: float) -> int:
        """Drop what was noted before this instant; how many. The sequence goes on."""
        ...

    def sequence(self) -> int:
        """The number of the last invalidation; 0 before the first."""
        ...

    def acquire(self, name: str, holder: str, now: float, until: float) -> Lease | None:
        """A lease of this name, unless another holder has one that ends after `now`: None then. Its own is renewed,
        with the same token."""
        ...

    def release(self, lease: Lease) -> None:
        """Give the lease back; does nothing when somebody else has one of that name by now."""
        ...

    def note(self, name: str, value: str | None) -> None:
        """Keep a small text under a name beside the entries; None removes it. `clear` leaves notes alone."""
        ...

    def notes(self, prefix: str = "") -> dict[str, str]:
        """The notes whose name starts so."""
        ...

    def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> bool:
        """Keep small texts under names, apart from the notes; None removes one. All of it or, when one of the texts is
        another than `expected` (None: there is none), nothing: False then. No copy and no version depends on them, and
        `clear` leaves them alone."""
        ...

    def tallies(self) -> dict[str, str]:
        """All of them, as they were at one moment."""
        ...

    def version(self) -> Hashable:
        """Changes when entries or notes may have changed through another store object. Cheap: copies of entries and
        notes that a process keeps are checked with it at each use."""
        ...

    def stats(self) -> StoreStats: ...

    def close(self) -> None:
        """Make durable what is not yet, and release files and connections. A second call does nothing."""
        ...


class AsyncStore(Protocol):
    """The same verbs as coroutines; none of them blocks the event loop."""

    @property
    def capabilities(self) -> Capabilities: ...
    async def get(self, scope: str, key: str) -> Stored | Damaged | None: ...
    async def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> list[Stored]: ...
    async def census(self, scope: str, embedder_id: str, *, limit: int) -> Census: ...
    async def search(
        self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float
    ) -> list[Candidate]: ...
    async def put(
        self, entry: Entry, *, tier: str = "", seen: int | None = None, fence: Lease | None = None
    ) -> bool: ...
    async def put_alias(self, alias: Alias) -> None: ...
    async def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> None: ...
    async def vectors(
        self, embedder_id: str, addresses: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], FloatArray]: ...
    async def touch(self, scope: str, key: str, now: float) -> None: ...
    async def delete(self, scope: str, keys: Sequence[str]) -> int: ...
    async def sweep(self, now: float, *, limit: int) -> int: ...
    async def clear(self, namespace: Namespace | None = None) -> int: ...
    async def select(self, selector: Selector, *, limit: int, after: int = 0) -> Page: ...
    async def place(self, addresses: Sequence[tuple[str, str]], tier: str, now: float, *, is_demotion: bool) -> int: ...
    async def lowest(self, tier: str, *, limit: int) -> list[Stored]: ...
    async def invalidate(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str = "", mode: str = "now", limit: int
    ) -> Invalidated: ...
    async def invalidations(self, *, since: float) -> list[Invalidation]: ...
    async def forget_invalidations(self, *, before: float) -> int: ...
    async def sequence(self) -> int: ...
    async def acquire(self, name: str, holder: str, now: float, until: float) -> Lease | None: ...
    async def release(self, lease: Lease) -> None: ...
    async def note(self, name: str, value: str | None) -> None: ...
    async def notes(self, prefix: str = "") -> dict[str, str]: ...
    async def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> bool: ...
    async def tallies(self) -> dict[str, str]: ...
    async def version(self) -> Hashable: ...
    async def stats(self) -> StoreStats: ...
    async def close(self) -> None: ...


@runtime_checkable
class TracksChanges(Protocol):
    """A store that hears which entries change, so that copies of others stay good while it is written to."""

    def unchanged(self, since: Hashable, scope: str, key: str) -> bool:
        """Is the entry as it was when `version` gave `since`? False when that is not known. Asks nobody."""
        ...

    def notes_version(self) -> Hashable | None:
        """Changes when notes may have changed; None when that is not known. Asks nobody."""
        ...


@runtime_checkable
class HasServer(Protocol):
    """A store on a server that can be full. Asked in the background, once a minute at most."""

    def load(self) -> ServerLoad:
        """How full it is. Raises `StoreError`."""
        ...


@runtime_checkable
class LooksAhead(Protocol):
    """A store that answers in one go what several verbs would ask one after the other: each of them costs a round trip.
    Its async twin has the same verb."""

    def look(
        self, scope: str, key: str, normalised: Mapping[str, int], embedder_id: str, *, limit: int
    ) -> Looked | Awaitable[Looked]:
        """`get`; and when nothing is there `get_normalised` for each of these keys, with its limit, `census` with
        `limit`, and `sequence`."""
        ...


@runtime_checkable
class HasAsyncTwin(Protocol):
    """A store that comes with coroutines of its own; of others the verbs run in worker threads."""

    def asynchronous(self) -> AsyncStore:
        """The same store for event loops. Closing the store itself closes it."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Turns texts into vectors. `embedder_id` names model, dimension and normalisation; it is stored with each
    vector, and vectors of different ids are never compared.

    May block: it has `CacheConfig.embedder_timeout` seconds, in a thread of its own. One that computes in the process
    and cannot hang may have an `is_local` that is True: a plain lookup calls it on its own thread, without a time-out.
    """

    @property
    def embedder_id(self) -> str: ...

    def fits(self, text: str) -> bool:
        """False when the model would not read the whole text: such a text is matched exactly only."""
        ...

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Embed `texts`: float32, shape (len(texts), dim), rows of unit length.

        A text has the same vector alone and in a batch. Raises `EmbedderError`.
        """
        ...


@runtime_checkable
class AsyncEmbedder(Embedder, Protocol):
    """An embedder with a coroutine of its own (a remote service): awaited instead of being run in a thread."""

    async def aembed(self, texts: Sequence[str]) -> FloatArray: ...


class Guard(Protocol):
    """A deterministic rule on two texts, the asked and the stored question. Pure, microseconds, never raises.

    A guard may have a `version`, a str. The name or the version must change with the rule: stored matches (aliases) of
    another one are judged again."""

    @property
    def name(self) -> str: ...

    def __call__(self, asked: str, stored: str) -> Verdict: ...


@runtime_checkable
class Verifier(Protocol):
    """Reads both questions together; asked only about candidates that are neither sure nor hopeless. May block.

    It has `CacheConfig.verifier_timeout` seconds, in a thread of its own. One that computes in the process and cannot
    hang may have an `is_local` that is True: it is called on the thread of a plain lookup, without a time-out."""

    @property
    def verifier_id(self) -> str:
        """Changes with whatever changes its scores: matches of another one are judged again."""
        ...

    def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        """For each pair (asked, stored) the probability that both deserve the same answer: shape (len(pairs),). NaN
        where it cannot say: then the pair is served only if it would be without a verifier."""
        ...


@runtime_checkable
class AsyncVerifier(Verifier, Protocol):
    """A verifier with a coroutine of its own (a remote service): awaited instead of being run in a thread."""

    async def averify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray: ...


Said: TypeAlias = Judgement | bool | float | None
Judge: TypeAlias = Callable[[Request, Entry], Said | Awaitable[Said]]
"""Says of the best candidate that is still undecided whether its answer is right for the request: True, False, a
probability, or None for "cannot say"; as a `Judgement` where it also says what it cost. A function, asked in a thread
of its own, or a coroutine function, which asynchronous lookups alone can ask. What it looks up itself passes the cache.

It may have a `judge_id` (else its qualified name counts) and a `version`, both str: one of them must change with what
it says, for stored matches (aliases) and remembered verdicts of another judge are judged again. It may have an
`ajudge`, a coroutine function that asynchronous lookups await in its place (None for none), and `runs_apart`: True
when nothing of the caller's context (its callbacks, its traces) is meant to hear of its calls."""

AnswersAgree: TypeAlias = Callable[[str, str], bool | None]
"""Says whether two answers, a fresh and a stored one, tell the same: True, False, or None for "cannot say". Called in a
thread of the cache's; equal texts are not asked about."""


Validator: TypeAlias = Callable[[Request, Entry], Validation | bool | Awaitable[Validation | bool]]
"""Has the last word on a semantic match before it is served. A function or a coroutine function, as a `Judge`."""

Profiler: TypeAlias = Callable[[Request], Profile]
"""Says what a question is about before its answer is stored: query type, volatility and tags. Pure and fast, for every
update waits for it. What the request or its surroundings say themselves counts in place of it (tags: besides it)."""

Recorder: TypeAlias = Callable[[Event], None]


class Log(Protocol[R]):
    """A recorder that keeps something of what it hears."""

    def __call__(self, event: Event) -> None: ...
    def snapshot(self) -> tuple[R, ...]:
        """What it keeps, newest last."""
        ...

    def close(self) -> None: ...


class StatisticsRecorder(Protocol):
    """A recorder that can say what it has counted; it is given the sizes of stores and tiers at this moment."""

    def __call__(self, event: Event) -> None: ...
    def snapshot(self, stores: Mapping[str, StoreStats], tiers: Mapping[str, TierStats]) -> CacheStats: ...


class SharedCounts(Protocol):
    """Keeps what this process counts in the store, beside what others count, and adds it up. None of these is called on
    the path of a lookup; all may raise `StoreError`."""

    @property
    def has_news(self) -> bool:
        """Was anything counted since the last time? Asks no store."""
        ...

    def publish(self, store: Store) -> None:
        """Write what was counted since the last time, if anything was."""
        ...

    def fold(self, store: Store) -> int:
        """Add the counts of processes that are gone to one total, so that there are never many; of how many."""
        ...

    def read(self, store: Store, stores: Mapping[str, StoreStats], tiers: Mapping[str, TierStats]) -> SharedStats:
        """Everything added up, with these sizes."""
        ...

    def own(self, stores: Mapping[str, StoreStats], tiers: Mapping[str, TierStats]) -> SharedStats:
        """What this process alone has counted; asks no store."""
        ...

    def reset(self, store: Store) -> None:
        """Begin anew, for all processes."""
        ...

    def after_fork(self) -> None:
        """A forked child counts for itself."""
        ...
