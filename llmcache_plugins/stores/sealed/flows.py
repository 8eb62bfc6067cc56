"""The verbs of an encrypted store, as generators of the calls to the store underneath: one for both twins."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from llmcache_plugins.counters import StoreStats
from llmcache_plugins.errors import StoreError
from llmcache_plugins.protocols import SEALED_BY
from llmcache_plugins.selection import Invalidated, Invalidation, Lease, Page, Selector
from llmcache_plugins.stores.sealed.translating import Translation
from llmcache_plugins.types import Alias, Candidate, Census, Damaged, Entry, FloatArray, Looked, Namespace, Stored

__all__ = ["Call", "Flow", "Flows"]

_log = logging.getLogger(__name__)
_NOTE = "sealed note "
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """A verb of the store underneath."""

    verb: str
    args: tuple[Any, ...]
    named: Mapping[str, Any]


Flow: TypeAlias = Generator[Call, Any, T]


def call(verb: str, *args: Any, **named: Any) -> Call:
    return Call(verb, args, named)


class Flows:
    """What each verb asks, and what it makes of the answer. One call each, but for tag patterns."""

    def __init__(self, to: Translation) -> None:
        self._to = to
        self._is_marked: bool | None = None  # None: nobody has looked

    # ---------------------------------------------------------------- lookups
    def get(self, scope: str, key: str) -> Flow[Stored | Damaged | None]:
        return self._opened((yield call("get", self._to.scope(scope), self._to.key(key))))

    def _opened(self, found: Stored | Damaged | None) -> Stored | Damaged | None:
        return self._to.opened(found) if isinstance(found, Stored) else found

    def get_normalised(self, scope: str, normalised_key: str, *, limit: int) -> Flow[list[Stored]]:
        sealed = self._to.normalised_key(scope, normalised_key)
        return self._to.rows((yield call("get_normalised", self._to.scope(scope), sealed, limit=limit)))

    def look(
        self, scope: str, key: str, normalised: Mapping[str, int], embedder_id: str, *, limit: int
    ) -> Flow[Looked]:
        to = self._to
        sealed = {to.normalised_key(scope, name): name for name in normalised}
        asked = {stored: normalised[name] for stored, name in sealed.items()}
        looked: Looked = yield call("look", to.scope(scope), to.key(key), asked, embedder_id, limit=limit)
        return Looked(
            self._opened(looked.exact),
            looked.sequence,
            {sealed[stored]: to.rows(rows) for stored, rows in looked.normalised.items()},
            None if looked.census is None else to.census(scope, looked.census),
        )

    def census(self, scope: str, embedder_id: str, *, limit: int) -> Flow[Census]:
        if not self._to.has_vectors:
            return Census(0)
        return self._to.census(scope, (yield call("census", self._to.scope(scope), embedder_id, limit=limit)))

    def search(
        self, scope: str, embedder_id: str, vector: FloatArray, *, limit: int, now: float
    ) -> Flow[list[Candidate]]:
        if not self._to.has_vectors:
            return []
        masked = self._to.vector(scope, embedder_id, vector)
        found = yield call("search", self._to.scope(scope), embedder_id, masked, limit=limit, now=now)
        return self._to.candidates(found)

    # ---------------------------------------------------------------- updates
    def put(self, entry: Entry, *, tier: str = "", seen: int | None = None, fence: Lease | None = None) -> Flow[bool]:
        is_kept: bool = yield call("put", self._to.entry(entry), tier=tier, seen=seen, fence=self._to.lease(fence))
        if is_kept and self._is_marked is False:
            yield from self._leave_mark()
        return is_kept

    def put_alias(self, alias: Alias) -> Flow[None]:
        yield call("put_alias", self._to.alias(alias))

    def vectors(
        self, embedder_id: str, addresses: Sequence[tuple[str, str]]
    ) -> Flow[dict[tuple[str, str], FloatArray]]:
        wanted = {(self._to.scope(scope), self._to.key(key)): (scope, key) for scope, key in addresses}
        found = yield call("vectors", embedder_id, list(wanted))
        return {
            wanted[stored]: self._to.unmasked(wanted[stored][0], embedder_id, vector)
            for stored, vector in found.items()
        }

    def set_vectors(self, scope: str, embedder_id: str, vectors: Mapping[str, FloatArray]) -> Flow[None]:
        if self._to.has_vectors:
            masked = {self._to.key(key): self._to.vector(scope, embedder_id, one) for key, one in vectors.items()}
            yield call("set_vectors", self._to.scope(scope), embedder_id, masked)

    def touch(self, scope: str, key: str, now: float) -> Flow[None]:
        yield call("touch", self._to.scope(scope), self._to.key(key), now)

    def delete(self, scope: str, keys: Sequence[str]) -> Flow[int]:
        return (yield call("delete", self._to.scope(scope), [self._to.key(key) for key in keys]))  # type: ignore[no-any-return]

    def clear(self, namespace: Namespace | None = None) -> Flow[int]:
        below = None if namespace is None else self._to.namespace(namespace)
        return (yield call("clear", below))  # type: ignore[no-any-return]

    def place(self, addresses: Sequence[tuple[str, str]], tier: str, now: float, *, is_demotion: bool) -> Flow[int]:
        sealed = [(self._to.scope(scope), self._to.key(key)) for scope, key in addresses]
        return (yield call("place", sealed, tier, now, is_demotion=is_demotion))  # type: ignore[no-any-return]

    def lowest(self, tier: str, *, limit: int) -> Flow[list[Stored]]:
        return self._to.rows((yield call("lowest", tier, limit=limit)))

    # ---------------------------------------------------------------- selectors
    def select(self, selector: Selector, *, limit: int, after: int = 0) -> Flow[Page]:
        """What a tag pattern selects is found by opening all that the rest of the selector does."""
        sealed, rows, start = self._to.selector(selector), list[Stored](), after
        while True:
            # As many as are still wanted: where a page of the store underneath ends, one of ours can end.
            page: Page = yield call("select", sealed, limit=limit - len(rows), after=start)
            rows += [row for row in self._to.rows(page.rows) if _fits(selector, row)]
            if page.after is None or len(rows) >= limit:
                return Page(tuple(rows), page.after)
            start = page.after

    def invalidate(
        self, selector: Selector, now: float, *, is_lazy: bool, reason: str = "", mode: str = "now", limit: int
    ) -> Flow[Invalidated]:
        """With tag patterns in two steps: first it is noted that all the rest of the selector selects is not stored any
        more when it was asked for before (more than need be, which costs a model call), then what fits is removed."""
        sealed, noted = self._to.selector(selector), self._noted(selector, reason)
        if not selector.tag_patterns:
            done = yield call("invalidate", sealed, now, is_lazy=is_lazy, reason=noted, mode=mode, limit=limit)
            return Invalidated(done.number, tuple(map(self._to.address, done.addresses)))
        head = yield call("invalidate", sealed, now, is_lazy=is_lazy, reason=noted, mode=mode, limit=0)
        wanted = replace(selector, is_stale=False) if is_lazy and selector.is_stale is None else selector
        page = (yield from self.select(wanted, limit=limit)) if limit > 0 else Page()
        if not page.rows:
            return Invalidated(head.number)
        part = replace(sealed, keys=tuple(self._to.key(row.entry.key) for row in page.rows))
        why = self._noted(selector, reason, part_of=head.number)
        done = yield call("invalidate", part, now, is_lazy=is_lazy, reason=why, mode=mode, limit=len(page.rows))
        return Invalidated(head.number, tuple(map(self._to.address, done.addresses)))

    def invalidations(self, *, since: float) -> Flow[list[Invalidation]]:
        parts: dict[int, int] = {}
        found = []
        for noted in (yield call("invalidations", since=since)):
            said = self._said(noted.reason)
            if said is None:  # of another key: its selector says nothing here, but its number counts
                found.append(replace(noted, reason=""))
            elif said.part_of is not None:
                parts[said.part_of] = parts.get(said.part_of, 0) + noted.count
            else:
                count = 0 if said.selector.tag_patterns else noted.count
                found.append(replace(noted, selector=said.selector, reason=said.reason, count=count))
        return [replace(one, count=one.count + parts.get(one.number, 0)) for one in found]

    def _noted(self, selector: Selector, reason: str, *, part_of: int | None = None) -> str:
        """The reason as the log of the store underneath keeps it: with what was really selected."""
        content = {"selector": selector.to_json(), "reason": reason, "part_of": part_of}
        return self._to.sealed_text(json.dumps(content), "invalidation")

    def _said(self, reason: str) -> _Noted | None:
        text = self._to.text(reason, "invalidation")
        try:
            content = None if text is None else json.loads(text)
            return (
                None
                if content is None
                else _Noted(Selector.from_json(content["selector"]), content["reason"], content["part_of"])
            )
        except (ValueError, KeyError, TypeError):  # a ConfigError is a ValueError; written by a later version
            return None

    # ---------------------------------------------------------------- leases and notes
    def acquire(self, name: str, holder: str, now: float, until: float) -> Flow[Lease | None]:
        lease: Lease | None = yield call("acquire", self._to.lease_name(name), holder, now, until)
        return None if lease is None else replace(lease, name=name)

    def release(self, lease: Lease) -> Flow[None]:
        yield call("release", self._to.lease(lease))

    def note(self, name: str, value: str | None) -> Flow[None]:
        stored = _NOTE + self._to.note(name)
        yield call("note", stored, None if value is None else self._to.sealed_text(value, stored))

    def notes(self, prefix: str = "") -> Flow[dict[str, str]]:
        kept: dict[str, str] = yield call("notes", "sealed ")
        self._look_for_mark(kept)
        found = {}
        for stored, sealed in kept.items():
            name = self._to.named("note", stored.removeprefix(_NOTE))
            if not stored.startswith(_NOTE) or name == stored.removeprefix(_NOTE) or not name.startswith(prefix):
                continue
            value = self._to.text(sealed, stored)
            if value is not None:
                found[name] = value
        return dict(sorted(found.items()))

    def tally(self, changes: Mapping[str, str | None], *, expected: Mapping[str, str | None]) -> Flow[bool]:
        return (yield call("tally", self._tallies(changes), expected=self._tallies(expected)))  # type: ignore[no-any-return]

    def _tallies(self, texts: Mapping[str, str | None]) -> dict[str, str | None]:
        return {self._to.tally(name): self._to.tally_text(name, text) for name, text in texts.items()}

    def tallies(self) -> Flow[dict[str, str]]:
        opened = [self._to.tallied(stored, sealed) for stored, sealed in (yield call("tallies")).items()]
        return dict(sorted(one for one in opened if one is not None))

    def _look_for_mark(self, kept: Mapping[str, str]) -> None:
        """Whose entries are these? With another key none of them would ever be found, and nothing would say why."""
        marks = {name.removeprefix(SEALED_BY) for name in kept if name.startswith(SEALED_BY)}
        if self._is_marked is None and marks and self._to.mark not in marks:
            self._to.warn_of_other_key()
        self._is_marked = self._to.mark in marks

    def is_sealed_by_others(self) -> Flow[bool]:
        """Has somebody sealed what is stored, and nobody with this key?"""
        marks: dict[str, str] = yield call("notes", SEALED_BY)
        return bool(marks) and SEALED_BY + self._to.mark not in marks

    def _leave_mark(self) -> Flow[None]:
        try:
            yield call("note", SEALED_BY + self._to.mark, "")
            self._is_marked = True
        except StoreError:
            _log.debug("no mark could be left; the next update tries again")

    # ---------------------------------------------------------------- the rest
    def stats(self) -> Flow[StoreStats]:
        stats: StoreStats = yield call("stats")
        return replace(stats, damaged=stats.damaged + self._to.damaged)


@dataclass(frozen=True, slots=True)
class _Noted:
    """What was sealed of an invalidation; `part_of` is the number of the one that it carries out."""

    selector: Selector
    reason: str
    part_of: int | None


def _fits(selector: Selector, row: Stored) -> bool:
    return not selector.tag_patterns or selector.matches_stored(row)
