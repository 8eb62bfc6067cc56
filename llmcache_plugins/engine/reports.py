"""Matches that users reported as wrong, by scope: what they forbid, what they make harder. Pure.

Each report is an entry of its scope, under a key that no question has and no other report; a normalised key that no
question has finds all of them at once. So reports made at the same moment, by whatever process, never overwrite each
other; they survive restarts, are seen by every process that shares the store, and go with `clear`. The newest 64 of a
scope count.

Like any entry a report can be evicted when a store is full; then its pair may match again, as it may when the bytes of
its entry are damaged. Each time the reports of a scope are read, the one that waited longest is counted as read, so
that those in use stay young.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from llmcache_plugins.keys.fingerprint import fingerprint, normalise_text
from llmcache_plugins.types import Entry, FloatArray, Namespace, Stored

__all__ = [
    "MOST_REPORTS",
    "NO_REPORTS",
    "Report",
    "Reports",
    "key_of_reports",
    "report_entry",
    "report_of",
    "stalest",
    "superfluous",
]

MOST_REPORTS = 64  # of one scope; a scope that needs more has another problem than single pairs
_KIND = "llmcache/report/"
_FORM = f"{_KIND}1"


@dataclass(frozen=True, slots=True)
class Report:
    """One wrong match. The texts are normalised, or digests of that where they must not be stored; `vectors` are those
    of asked and stored, shape (2, dim), or None."""

    asked: str = field(repr=False)
    stored: str = field(repr=False)
    similarity: float
    embedder_id: str | None = None
    vectors: FloatArray | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls, asked: str, stored: str, similarity: float, embedder_id: str | None, vectors: FloatArray | None
    ) -> Report:
        return cls(normalise_text(asked), normalise_text(stored), similarity, embedder_id, vectors)

    @classmethod
    def by_digest(cls, asked: str, stored: str, similarity: float) -> Report:
        """A report of which no text is kept, and no vector: it forbids the pair, and touches nothing near it."""
        return cls(_digest_of(asked), _digest_of(stored), similarity)

    @property
    def pair(self) -> frozenset[str]:
        return frozenset((self.asked, self.stored))

    def to_json(self) -> str:
        content = {
            "form": _FORM,
            "asked": self.asked,
            "stored": self.stored,
            "similarity": self.similarity,
            "embedder_id": self.embedder_id,
            "vectors": _packed(self.vectors),
        }
        return json.dumps(content, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Reports:
    """All reports of one scope, newest first."""

    reports: tuple[Report, ...] = ()

    def forbid(self, asked: str, stored: str) -> bool:
        """Was this pair reported? In either direction, whatever its case and spaces."""
        if not self.reports:
            return False
        pairs = (
            frozenset((normalise_text(asked), normalise_text(stored))),
            frozenset((_digest_of(asked), _digest_of(stored))),
        )
        return any(report.pair in pairs for report in self.reports)

    def are_near(self, asked: str, stored: str, vector: FloatArray, embedder_id: str) -> bool:
        """Does this match touch a reported one? One of its texts is a reported one, or what is asked is at least as
        near to a reported text as the texts of the wrong match were to each other."""
        if not self.reports:
            return False
        texts = {normalise_text(asked), normalise_text(stored), _digest_of(asked), _digest_of(stored)}
        return any(
            not texts.isdisjoint(report.pair)
            or (
                report.vectors is not None
                and report.embedder_id == embedder_id
                and float((report.vectors @ vector).max()) >= report.similarity
            )
            for report in self.reports
        )


NO_REPORTS = Reports()


def _digest_of(text: str) -> str:
    """In place of a text that must not be stored; no normalised text has a capital letter."""
    return "D" + fingerprint(b"reported", normalise_text(text).encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=1024)
def report_of(answer_json: str) -> Report | None:
    """The report in a stored answer; None when it cannot be read."""
    try:
        content = json.loads(answer_json)
        if content["form"] != _FORM:
            return None
        return Report(
            str(content["asked"]),
            str(content["stored"]),
            float(content["similarity"]),
            content["embedder_id"],
            _unpacked(content["vectors"]),
        )
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None


def _is_of_later_version(answer_json: str) -> bool:
    try:
        form = json.loads(answer_json)["form"]
    except (ValueError, KeyError, TypeError):
        return False
    return isinstance(form, str) and form.startswith(_KIND) and form != _FORM


def _packed(vectors: FloatArray | None) -> list[str] | None:
    """Two vectors as text; half precision is enough to tell a neighbourhood."""
    if vectors is None:
        return None
    return [base64.b64encode(vector.astype("<f2").tobytes()).decode("ascii") for vector in vectors]


def _unpacked(packed: Sequence[str] | None) -> FloatArray | None:
    if packed is None:
        return None
    return np.stack([np.frombuffer(base64.b64decode(row), dtype="<f2").astype(np.float32) for row in packed])


def key_of_reports(scope: str) -> str:
    """The normalised key of all reports of a scope: one that no question has."""
    return fingerprint(b"reports", scope.encode("ascii"))


def report_entry(scope: str, namespace: Namespace, report: Report, now: float) -> Entry:
    """The entry that holds a report made at this time: never expires, never matches anything.

    The time is part of the key. So a pair that is reported again has an entry of its own, and who removes an old one
    never removes the new one.
    """
    normalised_key = key_of_reports(scope)
    texts = (text.encode("utf-8", "replace") for text in (report.asked, report.stored))
    return Entry(
        scope=scope,
        key=fingerprint(b"report", normalised_key.encode("ascii"), *texts, repr(now).encode("ascii")),
        normalised_key=normalised_key,
        namespace=namespace,
        text="",
        answer_json=report.to_json(),
        created_at=now,
        expires_at=None,
        is_candidate=False,
    )


def superfluous(kept: Sequence[Stored]) -> list[str]:
    """Keys of those that may go: of a pair all but its newest report, what cannot be read, and all beyond the limit.
    What a later version has written is left alone.

    Args:
        kept: the entries of a scope's reports, newest first.
    """
    pairs: set[frozenset[str]] = set()
    keys = []
    for stored in kept:
        report = report_of(stored.entry.answer_json)
        if report is None and _is_of_later_version(stored.entry.answer_json):
            continue
        if report is None or report.pair in pairs or len(pairs) == MOST_REPORTS:
            keys.append(stored.entry.key)
        else:
            pairs.add(report.pair)
    return keys


def stalest(kept: Sequence[Stored]) -> Entry:
    """Of these reports the one that was counted as read, or made, longest ago."""

    def age(stored: Stored) -> tuple[float, int]:
        read = stored.last_access
        return (stored.entry.created_at if read is None else read), stored.access_count

    return min(kept, key=age).entry
