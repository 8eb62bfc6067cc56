"""Matches that users reported as wrong, by scope: what they forbid, what they make harder. Pure.

The reports of a scope are one entry of that scope, under a key that no question has. So they survive restarts, are seen
by every process that shares the store, and go with `clear`. Like any entry they can be evicted when a store is full;
each read keeps them young.
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
from llmcache_plugins.types import Entry, FloatArray, Namespace

__all__ = ["NO_REPORTS", "Report", "Reports", "key_of_reports", "reports_entry", "reports_of"]

_FORM = "llmcache/reports/1"
_MOST = 64  # reports of one scope; a scope that needs more has another problem than single pairs


@dataclass(frozen=True, slots=True)
class Report:
    """One wrong match. The texts are normalised; `vectors` are those of asked and stored, shape (2, dim), or None."""

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

    @property
    def pair(self) -> frozenset[str]:
        return frozenset((self.asked, self.stored))


@dataclass(frozen=True, slots=True)
class Reports:
    """All reports of one scope, oldest first."""

    reports: tuple[Report, ...] = ()

    def forbid(self, asked: str, stored: str) -> bool:
        """Was this pair reported? In either direction, whatever its case and spaces."""
        if not self.reports:
            return False
        pair = frozenset((normalise_text(asked), normalise_text(stored)))
        return any(report.pair == pair for report in self.reports)

    def are_near(self, asked: str, stored: str, vector: FloatArray, embedder_id: str) -> bool:
        """Does this match touch a reported one? One of its texts is a reported one, or what is asked is at least as
        near to a reported text as the texts of the wrong match were to each other."""
        if not self.reports:
            return False
        texts = {normalise_text(asked), normalise_text(stored)}
        return any(
            not texts.isdisjoint(report.pair)
            or (
                report.vectors is not None
                and report.embedder_id == embedder_id
                and float((report.vectors @ vector).max()) >= report.similarity
            )
            for report in self.reports
        )

    def with_one(self, report: Report) -> Reports:
        """These and one more; it replaces an older one of the same pair, and the oldest go beyond the limit."""
        others = tuple(other for other in self.reports if other.pair != report.pair)
        return Reports((*others, report)[-_MOST:])

    def to_json(self) -> str:
        rows = [
            {
                "asked": report.asked,
                "stored": report.stored,
                "similarity": report.similarity,
                "embedder_id": report.embedder_id,
                "vectors": _packed(report.vectors),
            }
            for report in self.reports
        ]
        return json.dumps({"form": _FORM, "reports": rows}, separators=(",", ":"))


NO_REPORTS = Reports()


@lru_cache(maxsize=64)
def reports_of(answer_json: str) -> Reports | None:
    """The reports in a stored answer; None when it cannot be read."""
    try:
        content = json.loads(answer_json)
        if content["form"] != _FORM:
            return None
        return Reports(
            tuple(
                Report(
                    str(row["asked"]),
                    str(row["stored"]),
                    float(row["similarity"]),
                    row["embedder_id"],
                    _unpacked(row["vectors"]),
                )
                for row in content["reports"]
            )
        )
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None


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
    """Where the reports of a scope are: a key that no question has."""
    return fingerprint(b"reports", scope.encode("ascii"))


def reports_entry(scope: str, namespace: Namespace, reports: Reports, now: float) -> Entry:
    """The entry that holds them: never expires, never matches anything."""
    key = key_of_reports(scope)
    return Entry(
        scope=scope,
        key=key,
        normalised_key=fingerprint(b"no question", key.encode("ascii")),
        namespace=namespace,
        text="",
        answer_json=reports.to_json(),
        created_at=now,
        expires_at=None,
        is_candidate=False,
    )
