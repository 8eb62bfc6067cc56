"""What the page asks and what its buttons do: JSON in, JSON out, over the public verbs of the cache."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmcache_plugins.dashboard.data import (
    BINS,
    alerts_of,
    boundary_of,
    distribution_of,
    entry_of,
    explanation_of,
    hit_id,
    hits_of,
    latencies_of,
    near_id,
    pairs_of,
    sample_of,
)
from llmcache_plugins.dashboard.history import History
from llmcache_plugins.dashboard.labels import Given, Labels
from llmcache_plugins.dashboard.seen import SeenHit, SeenHits
from llmcache_plugins.engine import SemanticCache
from llmcache_plugins.money import MoneySettings
from llmcache_plugins.quality import NearMissRecord, PairLabel
from llmcache_plugins.report import Notice
from llmcache_plugins.selection import Page, Selector
from llmcache_plugins.types import JsonValue, Request, Stored

__all__ = ["Api", "Refused", "Sources"]

_SCANNED = 5000  # entries that one search reads at most
_PAGE = 500
_FOUND = 50
_LONGEST = 20_000  # characters of a question
_SHOWN = 20_000  # characters of an answer


class Refused(Exception):
    """What was asked for cannot be had; the text is for the person in front of the page."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the page has its numbers from.

    Args:
        near_misses: newest last.
        seen: hits by meaning; None where nobody hears of them, for they happen in other processes.
        alerts: going through it gives what is firing now.
        money: prices and costs; None for those that come with the package.
        is_shared: count all processes that use the store.
    """

    near_misses: Callable[[], Sequence[NearMissRecord]]
    seen: SeenHits | None
    alerts: Iterable[Notice]
    money: MoneySettings | None
    is_shared: bool


class Api:
    """The verbs of one page. Called from many threads.

    Args:
        cache: what the page is of.
        sources: where the numbers come from.
        labels: keeps what people say.
        history: keeps what was, over time.
    """

    def __init__(self, cache: SemanticCache, sources: Sources, labels: Labels, history: History) -> None:
        self._cache = cache
        self._sources = sources
        self._labels = labels
        self._history = history
        self._adding = threading.Lock()
        self.verbs: Mapping[str, Callable[[Mapping[str, Any]], JsonValue]] = {
            "/api/label": self.label,
            "/api/wrong": self.report_wrong,
            "/api/invalidate": self.invalidate,
            "/api/explain": self.explain,
            "/api/entries": self.entries,
            "/api/answer": self.answer,
        }

    # ---------------------------------------------------------------- what is read
    def state(self) -> dict[str, Any]:
        """All numbers at this moment, with one more sample in the history."""
        self._check_open()
        sources = self._sources
        stats = self._cache.shared_stats().total if sources.is_shared else self._cache.stats()
        report = self._cache.report(money=sources.money, shared=sources.is_shared)
        near_misses, hits = sources.near_misses(), self._hits()
        with self._adding:
            self._history.add(sample_of(report))
            samples = self._history.samples()
        return {
            "report": report.as_json(),
            "latency": latencies_of(stats.latency),
            "bins": BINS,
            "distribution": distribution_of(near_misses, hits),
            "boundary": boundary_of(self._cache.policy()),
            "hears_hits": sources.seen is not None,
            "alerts": alerts_of(sources.alerts),
            "pairs": self._version(near_misses, hits),
            "samples": samples,
        }

    def pairs(self) -> JsonValue:
        """Near misses to label, and hits by meaning to report."""
        given = self._labels.given()
        near_misses, hits = self._sources.near_misses(), self._hits()
        return {
            "version": self._version(near_misses, hits),
            "has_labels_file": self._labels.has_file,
            "mode": self._cache.config.mode,
            "near_misses": pairs_of(near_misses, given, self._labels.kept()),
            "hits": hits_of(hits, given),
        }

    def _hits(self) -> tuple[SeenHit, ...]:
        return () if self._sources.seen is None else self._sources.seen.snapshot()

    def _version(self, near_misses: Sequence[NearMissRecord], hits: Sequence[SeenHit]) -> str:
        """Another text when the lists have changed, so that the page need not fetch them again and again."""
        latest = [near_misses[-1].at] if near_misses else []
        latest += [hits[-1].at] if hits else []
        return f"{len(near_misses)} {len(hits)} {latest} {len(self._labels.given())}"

    # ---------------------------------------------------------------- what the buttons do
    def label(self, given: Mapping[str, Any]) -> JsonValue:
        """A person says of a near miss whether the stored answer is right for what was asked."""
        name, said = _text(given, "id"), _text(given, "label")
        if said not in ("right", "wrong"):
            raise Refused(400, "label must be right or wrong")
        for near in reversed(self._sources.near_misses()):
            if near_id(near) == name:
                labelled = self._cache.label(near, is_right=said == "right")
                is_kept = self._labels.add(name, Given(said, labelled.outcome), labelled.pair)
                return {"outcome": labelled.outcome, "is_kept": is_kept}
        raise Refused(404, "this near miss is not remembered any more")

    def report_wrong(self, given: Mapping[str, Any]) -> JsonValue:
        """A person says of a hit that its answer was wrong."""
        name = _text(given, "id")
        for hit in reversed(self._hits()):
            if hit_id(hit) == name:
                reported = self._cache.report_wrong(hit.reference, asked=hit.asked)
                pair = reported.regression
                row = None if pair is None else PairLabel(pair.id, pair.stored, pair.asked, 0)
                outcome = "failed" if reported.has_failed else "reported"
                self._labels.add(name, Given("wrong", outcome), row)
                return {"outcome": outcome, "removed": reported.removed, "is_remembered": reported.is_remembered}
        raise Refused(404, "this hit is not remembered any more")

    def invalidate(self, given: Mapping[str, Any]) -> JsonValue:
        """Remove one entry."""
        self._check_open()
        report = self._cache.invalidate(key=_address(given), reason="dashboard")
        return {"count": report.count, "has_failed": report.has_failed}

    def explain(self, given: Mapping[str, Any]) -> JsonValue:
        """What a lookup of a question would do: asked in the scope of an entry, else as plain text."""
        question = _text(given, "question").strip()
        namespace = tuple(part for part in _text(given, "namespace", default="").split("/") if part)
        if not question:
            raise Refused(400, "the question is empty")
        if given.get("entry") is None:
            asked = Request(question, namespace=namespace) if namespace else question
            return explanation_of(self._cache.explain(asked), self._cache.config.mode)
        entry = self._entry(given).entry
        below = entry.namespace[len(self._cache.config.namespace) :]  # budgets go by it
        found = self._cache.explain(Request(question, namespace=below), scope=entry.scope)
        return explanation_of(found, self._cache.config.mode)

    def entries(self, given: Mapping[str, Any]) -> JsonValue:
        """Entries whose question has this text in it, oldest first; `after` starts the next part."""
        wanted = _text(given, "text", default="").casefold().strip()
        query_type = _text(given, "query_type", default="")
        after = given.get("after", 0)
        if not isinstance(after, int) or isinstance(after, bool) or not 0 <= after < 2**63:
            raise Refused(400, "after must be what the last answer said")
        selector = Selector(query_types=(query_type,)) if query_type else Selector()
        now, found, scanned = self._cache.now(), list[JsonValue](), 0
        start: int | None = after
        while start is not None and scanned < _SCANNED and len(found) < _FOUND:
            # As many as may still be shown, where each one is: the next part goes on behind the last that was read.
            page = self._page(selector, limit=_PAGE if wanted else _FOUND - len(found), after=start)
            scanned, start = scanned + len(page.rows), page.after
            found += [entry_of(one, now) for one in page.rows if wanted in one.entry.text.casefold()]
        return {"entries": found, "after": start, "scanned": scanned}

    def answer(self, given: Mapping[str, Any]) -> JsonValue:
        """The stored answer of one entry, for who has to say whether it is right."""
        stored = self._entry(given)
        return {**entry_of(stored, self._cache.now()), "answer": stored.entry.answer_json[:_SHOWN]}

    def _entry(self, given: Mapping[str, Any]) -> Stored:
        scope, key = _address(given).split(":")
        page = self._page(Selector(scope=scope, keys=(key,)), limit=1)
        if not page.rows:
            raise Refused(404, "this entry is not there any more")
        return page.rows[0]

    def _page(self, selector: Selector, *, limit: int, after: int = 0) -> Page:
        """An empty page is not shown for a store that does not answer, nor for a cache that is closed."""
        self._check_open()
        page = self._cache.entries(selector, limit=limit, after=after)
        if page.has_failed:
            raise Refused(503, "the store does not answer")
        return page

    def _check_open(self) -> None:
        if self._cache.is_closed:
            raise Refused(503, "the cache was closed")


def _text(given: Mapping[str, Any], name: str, *, default: str | None = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise Refused(400, f"{name} must be a text of at most {_LONGEST} characters")
    return value


def _address(given: Mapping[str, Any]) -> str:
    """Scope and key of an entry."""
    address = _text(given, "entry")
    parts = address.split(":")
    if len(parts) != 2 or not all(part and part.isalnum() and len(part) <= 64 for part in parts):
        raise Refused(400, "entry must be the scope and the key of one")
    return address
