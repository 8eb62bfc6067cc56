"""Flows round reports of wrong matches: read those of a scope; take a new one in."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from llmcache_plugins.engine.reports import (
    NO_REPORTS,
    Report,
    Reports,
    key_of_reports,
    reports_entry,
    reports_of,
)
from llmcache_plugins.engine.rules import Flow, Rules, Troubles
from llmcache_plugins.engine.steps import Delete, Embed, Put, ReadExact, Touch
from llmcache_plugins.errors import ConfigError, EmbedderError, StoreError
from llmcache_plugins.keys.fingerprint import fingerprint
from llmcache_plugins.quality import Regression, Reported
from llmcache_plugins.types import FloatArray, Hit, Namespace, Stored

__all__ = ["Served", "Wrong", "read_reports", "report_flow"]

_ATTEMPTS = 3  # another process may report in the same scope at the same moment
_REMEMBERED = 1000
_LEAST_KEY = 12  # digits of a key that name an entry


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is reported: an entry, and what was asked when it was served, as far as that is known."""

    scope: str
    key: str
    asked: str | None = field(default=None, repr=False)
    stored: str | None = field(default=None, repr=False)
    similarity: float | None = None
    namespace: Namespace = ()

    @classmethod
    def by(cls, hit: Hit) -> Wrong:
        entry = hit.entry
        return cls(entry.scope, entry.key, hit.asked or None, entry.text, hit.similarity, entry.namespace)


class Served:
    """The last matches by meaning that were served, by key: who reports one has seldom kept the hit itself."""

    def __init__(self, text_scope: str) -> None:
        self._text_scope = text_scope
        self._lock = threading.Lock()
        self._wrongs: OrderedDict[str, Wrong] = OrderedDict()

    def after_fork(self) -> None:
        """In a forked child the lock may be held by a thread that does not live there."""
        self._lock = threading.Lock()

    def remember(self, hit: Hit) -> None:
        key = hit.entry.key[:_LEAST_KEY]
        with self._lock:
            self._wrongs[key] = Wrong.by(hit)  # not the hit: a thousand answers could be large
            self._wrongs.move_to_end(key)
            if len(self._wrongs) > _REMEMBERED:
                self._wrongs.popitem(last=False)

    def wrong_of(self, hit_or_key: Hit | str, asked: str | None) -> Wrong:
        """What a hit, its `reference` or a key of at least 12 digits names.

        Raises:
            ConfigError: it is none of these.
        """
        if isinstance(hit_or_key, Hit):
            wrong = Wrong.by(hit_or_key)
        elif isinstance(hit_or_key, str) and len(hit_or_key) >= _LEAST_KEY:
            wrong = self._by_key(hit_or_key)
        else:
            raise ConfigError("report a Hit, its reference, or its key of at least 12 digits")
        return wrong if asked is None or asked == wrong.asked else replace(wrong, asked=asked, similarity=None)

    def _by_key(self, key: str) -> Wrong:
        scope, colon, own = key.partition(":")
        if not colon:
            scope, own = self._text_scope, key
        with self._lock:
            known = self._wrongs.get(own[:_LEAST_KEY])
        if known is not None and known.key.startswith(own) and (not colon or known.scope == scope):
            return known
        return Wrong(scope, own)


def read_reports(scope: str, rules: Rules, now: float, troubles: Troubles) -> Flow[Reports]:
    """The reports of a scope. Asked when a match is about to be served, not before."""
    key = key_of_reports(scope)
    for tier in range(len(rules.tiers)):
        try:
            stored = yield ReadExact(tier, scope, key)
            if isinstance(stored, Stored):
                yield Touch(tier, scope, key, now)  # what is in use is not evicted
                return reports_of(stored.entry.answer_json)
        except StoreError as error:
            troubles.spare(error)
    return NO_REPORTS


def report_flow(wrong: Wrong, rules: Rules, now: float) -> Flow[Reported]:
    """Remove the entry with its aliases, and remember the pair."""
    wrong, removed = yield from _removed(wrong, rules)
    asked, stored = wrong.asked, wrong.stored
    if asked is None or stored is None or asked.strip() == stored.strip():
        return Reported(removed)  # of two equal texts it was the answer that was wrong, not the match
    report = yield from _report_of(asked, stored, wrong.similarity, rules)
    is_remembered = yield from _remember(report, wrong, rules, now)
    digest = fingerprint(stored.encode("utf-8", "replace"), asked.encode("utf-8", "replace"))
    return Reported(removed, is_remembered, Regression(f"wrong-{digest[:12]}", stored, asked))


def _removed(wrong: Wrong, rules: Rules) -> Flow[tuple[Wrong, int]]:
    """Delete the entry in every tier; what it says of itself completes the report."""
    removed = 0
    for tier in range(len(rules.tiers)):
        found = yield ReadExact(tier, wrong.scope, wrong.key)
        if isinstance(found, Stored):
            entry, alias = found.entry, found.alias
            wrong = replace(wrong, key=entry.key, stored=entry.text, namespace=entry.namespace)
            if wrong.asked is None and alias is not None:  # the key was that of a wording
                wrong = replace(wrong, asked=alias.text, similarity=alias.similarity)
        removed = max(removed, (yield Delete(tier, wrong.scope, [wrong.key])))
    return wrong, removed


def _report_of(asked: str, stored: str, similarity: float | None, rules: Rules) -> Flow[Report]:
    vectors: FloatArray | None = None
    if rules.embedder_id is not None:
        try:
            vectors = yield Embed((asked, stored))
        except EmbedderError:  # the pair itself is forbidden all the same
            vectors = None
    if similarity is None:
        similarity = 1.0 if vectors is None else float(vectors[0] @ vectors[1])
    return Report.of(asked, stored, similarity, rules.embedder_id, vectors)


def _remember(report: Report, wrong: Wrong, rules: Rules, now: float) -> Flow[bool]:
    """Add the report to those of the scope in every tier. Read again afterwards: of two processes that do this at once
    one may overwrite the other."""
    is_remembered = False
    for tier in range(len(rules.tiers)):
        for _ in range(_ATTEMPTS):
            stored = yield ReadExact(tier, wrong.scope, key_of_reports(wrong.scope))
            known = reports_of(stored.entry.answer_json) if isinstance(stored, Stored) else NO_REPORTS
            if any(other == report for other in known.reports):
                is_remembered = True
                break
            yield Put(tier, reports_entry(wrong.scope, wrong.namespace, known.with_one(report), now))
    return is_remembered
