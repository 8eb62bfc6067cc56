"""Flows round reports of wrong matches: read those of a scope; take a new one in."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from llmcache_plugins.engine.ahead import read_normalised
from llmcache_plugins.engine.reports import (
    MOST_REPORTS,
    NO_REPORTS,
    Report,
    Reports,
    key_of_reports,
    report_entry,
    report_of,
    stalest,
    superfluous,
)
from llmcache_plugins.engine.rules import Flow, Rules, Troubles
from llmcache_plugins.engine.steps import Delete, Embed, Put, ReadExact, ReadNormalised, StoreStep
from llmcache_plugins.engine.touching import touch
from llmcache_plugins.errors import ConfigError, EmbedderError, StoreError
from llmcache_plugins.keys.fingerprint import fingerprint
from llmcache_plugins.quality import Regression, Reported
from llmcache_plugins.types import Damaged, FloatArray, Hit, MissReason, Namespace, Stored

__all__ = ["Served", "Wrong", "read_reports", "report_flow"]

_TIDIED = 4 * MOST_REPORTS  # reports that one new report may find in its scope
_REMEMBERED = 1000
_LEAST_KEY = 12  # digits of a key that name an entry
_KEY = 40  # digits of a whole key


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is reported: an entry, and what was asked when it was served, as far as that is known.

    `key` is the entry's, `asked_key` the request's, empty when unknown. With `is_bare` only a key was given: the scope
    is that of plain strings, and the key may be that of another wording of the entry.
    """

    scope: str
    key: str
    asked_key: str = ""
    asked: str | None = field(default=None, repr=False)
    stored: str | None = field(default=None, repr=False)
    similarity: float | None = None
    namespace: Namespace = ()
    is_bare: bool = False

    @classmethod
    def by(cls, hit: Hit) -> Wrong:
        entry = hit.entry
        return cls(
            entry.scope, entry.key, hit.asked_key, hit.asked or None, entry.text, hit.similarity, entry.namespace
        )


class Served:
    """The last matches that were served and not exact, by what was asked: who reports one has seldom kept the hit.

    Args:
        text_scope: the scope of plain questions, as it is now.
    """

    def __init__(self, text_scope: Callable[[], str]) -> None:
        self._text_scope = text_scope
        self._lock = threading.Lock()
        self._wrongs: OrderedDict[str, Wrong] = OrderedDict()

    def after_fork(self) -> None:
        """In a forked child the lock may be held by a thread that does not live there."""
        self._lock = threading.Lock()

    def remember(self, hit: Hit) -> None:
        with self._lock:
            self._wrongs[hit.asked_key] = Wrong.by(hit)  # not the hit: a thousand answers could be large
            self._wrongs.move_to_end(hit.asked_key)
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
            wrong = self._by_reference(hit_or_key) if ":" in hit_or_key else self._by_key(hit_or_key)
        else:
            raise ConfigError("report a Hit, its reference, or its key of at least 12 digits")
        return wrong if asked is None or asked == wrong.asked else replace(wrong, asked=asked, similarity=None)

    def _by_reference(self, reference: str) -> Wrong:
        parts = reference.split(":")
        if len(parts) not in (2, 3) or not all(parts):
            raise ConfigError(
                "this is not the reference of a hit: scope and key, and perhaps the key of what was asked"
            )
        scope, key, *others = parts
        asked_key = others[0] if others else key
        with self._lock:
            known = self._wrongs.get(asked_key)
        if known is not None and (known.scope, known.key) == (scope, key):
            return known
        return Wrong(scope, key, asked_key)

    def _by_key(self, key: str) -> Wrong:
        with self._lock:
            wrongs = list(self._wrongs.values())
        asked = [wrong for wrong in wrongs if wrong.asked_key.startswith(key)]
        if asked:
            return asked[-1]
        served = [wrong for wrong in wrongs if wrong.key.startswith(key)]
        if len(served) == 1:
            return served[0]
        if served:  # to several questions: the key does not tell which of them got a wrong answer
            return replace(served[-1], asked_key="", asked=None, similarity=None)
        if len(key) < _KEY:
            raise ConfigError(
                "short keys are known for the last thousand hits that were not exact; report the reference"
            )
        return Wrong(self._text_scope(), key, key, is_bare=True)


def read_reports(scope: str, rules: Rules, now: float, troubles: Troubles) -> Flow[Reports | None]:
    """The reports of a scope in all tiers, asked for when a match is about to be served. None when they cannot be read
    and no tier has them: the match may be a reported one, so it must not be served."""
    key = key_of_reports(scope)
    found: list[Report] = []
    is_unread = is_read = False
    for tier in range(len(rules.tiers)):
        try:
            kept = yield from read_normalised(tier, scope, key, MOST_REPORTS, rules, troubles)
        except StoreError as error:
            troubles.spare(error)
            is_unread = True
            continue
        if not kept:
            continue
        reports = [report for report in (report_of(stored.entry.answer_json) for stored in kept) if report is not None]
        found += reports
        is_complete = len(reports) == len(kept)
        is_read, is_unread = is_read or is_complete, is_unread or not is_complete
        yield from touch(tier, stalest(kept), now, troubles)  # what is in use is not evicted
    if is_unread and not is_read:
        troubles.note(MissReason.STORE_ERROR)
        return None
    return Reports(tuple(dict.fromkeys(found))) if found else NO_REPORTS


def report_flow(wrong: Wrong, rules: Rules, now: float) -> Flow[tuple[Reported, StoreError | None]]:
    """Remove the entry with its aliases, and remember the pair. What a tier fails at keeps no other from its work; the
    first error comes with the result.

    Raises:
        ConfigError: only a key was given, and nothing has it.
    """
    failures: list[StoreError] = []
    wrong, removed = yield from _removed(wrong, rules, failures)
    if wrong.is_bare and not removed and not failures:
        raise ConfigError("no entry of a plain question has this key: report the hit, or its reference")
    asked, stored = wrong.asked, wrong.stored
    is_remembered, regression = False, None
    # Of two equal texts it was the answer that was wrong, not the match. So it was where not all of the text is stored:
    # such an entry is found by its own text alone.
    if asked is not None and stored is not None and asked.strip() != stored.strip() and rules.kept(asked) != stored:
        kept_asked, kept_stored = rules.kept(asked), rules.kept(stored)
        if kept_asked == asked and kept_stored == stored:
            digest = fingerprint(stored.encode("utf-8", "replace"), asked.encode("utf-8", "replace"))
            regression = Regression(f"wrong-{digest[:12]}", stored, asked)
            report = yield from _report_of(asked, stored, wrong.similarity, rules)
        else:
            report = Report.by_digest(asked, stored, 1.0 if wrong.similarity is None else wrong.similarity)
        is_remembered = yield from _remember(report, wrong, rules, now, failures)
    error = failures[0] if failures else None
    return Reported(removed, is_remembered, regression, has_failed=error is not None), error


def _tried(step: StoreStep, failures: list[StoreError]) -> Flow[Any]:
    """What the step gives; None when the store failed."""
    try:
        return (yield step)
    except StoreError as error:
        failures.append(error)
        return None


def _removed(wrong: Wrong, rules: Rules, failures: list[StoreError]) -> Flow[tuple[Wrong, int]]:
    """Delete the entry in every tier; what it and its aliases say completes the report."""
    removed = 0
    for tier in range(len(rules.tiers)):
        found = yield from _tried(ReadExact(tier, wrong.scope, wrong.key), failures)
        if isinstance(found, Stored):
            if found.alias is not None and not wrong.is_bare:
                continue  # the entry is gone, and its question has matched another one since
            wrong = _with_stored(wrong, found)
        if wrong.asked is None and wrong.asked_key not in ("", wrong.key):
            wrong = _with_asked(wrong, (yield from _tried(ReadExact(tier, wrong.scope, wrong.asked_key), failures)))
        removed = max(removed, (yield from _tried(Delete(tier, wrong.scope, [wrong.key]), failures)) or 0)
    return wrong, removed


def _with_stored(wrong: Wrong, found: Stored) -> Wrong:
    """The report with what the entry says of itself."""
    entry, is_wording = found.entry, found.alias is not None
    wrong = replace(wrong, key=entry.key, stored=entry.text, namespace=entry.namespace)
    return _with_asked(wrong, found) if is_wording and wrong.asked is None else wrong


def _with_asked(wrong: Wrong, found: Stored | Damaged | None) -> Wrong:
    """The report with the question that is stored under the key of what was asked: as a wording of the entry, or by
    now with an answer of its own."""
    if not isinstance(found, Stored):
        return wrong
    if found.alias is None:
        return replace(wrong, asked=found.entry.text)
    is_of_entry = found.alias.target_key == wrong.key
    return replace(wrong, asked=found.alias.text, similarity=found.alias.similarity if is_of_entry else None)


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


def _remember(report: Report, wrong: Wrong, rules: Rules, now: float, failures: list[StoreError]) -> Flow[bool]:
    """Add the report to those of the scope in every tier. Older ones of a tier that failed could hide it."""
    is_remembered, before = False, len(failures)
    for tier in range(len(rules.tiers)):
        try:
            is_remembered |= yield from _remember_in(tier, report, wrong, now)
        except StoreError as error:
            failures.append(error)
    return is_remembered and len(failures) == before


def _remember_in(tier: int, report: Report, wrong: Wrong, now: float) -> Flow[bool]:
    """Add the report to those of one tier, and remove what it makes superfluous."""
    if not (yield Put(tier, report_entry(wrong.scope, wrong.namespace, report, now))):
        return False
    kept = yield ReadNormalised(tier, wrong.scope, key_of_reports(wrong.scope), _TIDIED)
    if surplus := superfluous(kept):
        yield Delete(tier, wrong.scope, surplus)
    return True
