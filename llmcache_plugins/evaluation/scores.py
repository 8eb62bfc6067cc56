"""What a replay came to: recall, wrong hits, error rate and precision, each with its count and interval.

- hit rate: requests answered from the cache / all requests
- error rate: wrong hits / all requests
- precision: right hits / (right + wrong hits)

Of pairs, `recall` is the hit rate on label 1 and `wrong_hit_rate` the hit rate on label 0. Rows tagged `ambiguous`
depend on a policy: they are left out of the headline and given apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from llmcache_plugins.evaluation.intervals import Rate
from llmcache_plugins.evaluation.rows import LabelledPair, LabelledRequest
from llmcache_plugins.types import JsonValue

__all__ = ["PairCounts", "PairScores", "StreamScores", "score_pairs", "score_stream"]

_NUMDIFF = "paraphrase_numdiff"  # labelled the same although the numbers differ: a guard of numbers may well refuse it
_UNKNOWN = "?"  # classes that begin so are known by their text only


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Of label 1: `right` hits and `missed` ones; of label 0: `wrong` hits and `refused` ones."""

    right: int = 0
    missed: int = 0
    wrong: int = 0
    refused: int = 0

    @property
    def rows(self) -> int:
        return self.right + self.missed + self.wrong + self.refused

    @property
    def rates(self) -> Mapping[str, Rate]:
        return {
            "recall": Rate(self.right, self.right + self.missed),
            "wrong_hit_rate": Rate(self.wrong, self.wrong + self.refused),
            "error_rate": Rate(self.wrong, self.rows),
            "precision": Rate(self.right, self.right + self.wrong),
        }

    def as_json(self) -> dict[str, JsonValue]:
        counts = {"right": self.right, "missed": self.missed, "wrong": self.wrong, "refused": self.refused}
        return {"rows": self.rows, **_rates_json(self.rates), "counts": counts}


@dataclass(frozen=True, slots=True)
class PairScores:
    """The scores of pairs or conversations: all rows but the ambiguous ones, and the same by what the rows say.

    Args:
        by: `by_source`, `by_kind`, ... -> value -> counts.
        mean_wrong_hit_rate: plain mean of the wrong-hit rates of the families that have rows of label 0; None
            without families.
        ambiguous: counts of the rows left out, by why they are ambiguous.
    """

    all: PairCounts
    by: Mapping[str, Mapping[str, PairCounts]] = field(default_factory=dict)
    mean_wrong_hit_rate: float | None = None
    ambiguous: Mapping[str, PairCounts] = field(default_factory=dict)
    without_numdiff: PairCounts | None = None
    numdiff: PairCounts | None = None

    def as_json(self) -> dict[str, JsonValue]:
        scores: dict[str, JsonValue] = self.all.as_json()
        if self.mean_wrong_hit_rate is not None:
            scores["mean_wrong_hit_rate"] = self.mean_wrong_hit_rate
        if self.numdiff is not None and self.without_numdiff is not None:
            scores[_NUMDIFF] = self.numdiff.as_json()
            scores[f"without_{_NUMDIFF}"] = self.without_numdiff.as_json()
        for name, groups in {**self.by, "ambiguous": self.ambiguous}.items():
            if groups:
                scores[name] = {value: counts.as_json() for value, counts in groups.items()}
        return scores


def score_pairs(rows: Sequence[LabelledPair], hits: Sequence[bool]) -> PairScores:
    """Score a replay of pairs; `hits[i]` says whether `rows[i].b` was answered with what was stored for `a`."""
    counted = [(row, hit) for row, hit in zip(rows, hits, strict=True) if not row.ambiguous]
    aside = [(row, hit) for row, hit in zip(rows, hits, strict=True) if row.ambiguous]
    by = {
        "by_source": _grouped(counted, lambda row: row.source),
        "by_kind": _grouped(counted, lambda row: row.kind),
        "by_family": _grouped(counted, lambda row: row.family),
        "by_lang": _grouped(counted, lambda row: row.lang),
    }
    numdiff = [(row, hit) for row, hit in counted if row.kind == _NUMDIFF]
    rest = [(row, hit) for row, hit in counted if row.kind != _NUMDIFF]
    return PairScores(
        _counts(counted),
        {name: groups for name, groups in by.items() if groups},
        _mean_wrong(by["by_family"].values()),
        _grouped(aside, lambda row: row.ambiguous),
        _counts(rest) if numdiff else None,
        _counts(numdiff) if numdiff else None,
    )


def _mean_wrong(families: Iterable[PairCounts]) -> float | None:
    rates = [counts.rates["wrong_hit_rate"] for counts in families]
    judged = [rate.value for rate in rates if rate.total]
    return sum(judged) / len(judged) if judged else None


def _grouped(
    scored: Sequence[tuple[LabelledPair, bool]], name_of: Callable[[LabelledPair], str]
) -> dict[str, PairCounts]:
    groups: dict[str, list[tuple[LabelledPair, bool]]] = {}
    for row, hit in scored:
        if name := name_of(row):
            groups.setdefault(name, []).append((row, hit))
    return {name: _counts(groups[name]) for name in sorted(groups)}


def _counts(scored: Iterable[tuple[LabelledPair, bool]]) -> PairCounts:
    n = Counter((row.label, bool(hit)) for row, hit in scored)
    return PairCounts(n[1, True], n[1, False], n[0, True], n[0, False])


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamScores:
    """The scores of a stream.

    Args:
        unjudged: hits between two different classes that are known by their text only; they count neither way.
        variants: requests that say the same as an earlier one in other words (by the file's `seen`).
        variants_hit: those of them that were answered from the cache, rightly or not.
    """

    requests: int
    right: int
    wrong: int
    unjudged: int
    variants: int
    variants_hit: int
    variants_right: int

    @property
    def hits(self) -> int:
        return self.right + self.wrong + self.unjudged

    @property
    def rates(self) -> Mapping[str, Rate]:
        return {
            "hit_rate": Rate(self.hits, self.requests),
            "error_rate": Rate(self.wrong, self.requests),
            "unjudged_rate": Rate(self.unjudged, self.requests),
            "precision": Rate(self.right, self.right + self.wrong),
            "variant_hit_rate": Rate(self.variants_hit, self.variants),
        }

    def as_json(self) -> dict[str, JsonValue]:
        counts = {
            "right": self.right,
            "wrong": self.wrong,
            "unjudged": self.unjudged,
            "missed": self.requests - self.hits,
            "variants": self.variants,
            "variants_hit": self.variants_hit,
            "variants_right": self.variants_right,
        }
        return {"rows": self.requests, **_rates_json(self.rates), "counts": counts}


def score_stream(rows: Sequence[LabelledRequest], served: Sequence[int | None]) -> StreamScores:
    """Score a replay of a stream; `served[i]` is the row whose answer row `i` was given, None for a miss."""
    fates = [None if at is None else _fate(row.label, rows[at].label) for row, at in zip(rows, served, strict=True)]
    n = Counter(fates)
    variants = Counter(fate for row, fate in zip(rows, fates, strict=True) if row.seen == "variant")
    return StreamScores(
        requests=len(rows),
        right=n["right"],
        wrong=n["wrong"],
        unjudged=n["unjudged"],
        variants=variants.total(),
        variants_hit=variants.total() - variants[None],
        variants_right=variants["right"],
    )


def _fate(asked: str, served: str) -> str:
    if asked == served:
        return "right"
    return "unjudged" if asked.startswith(_UNKNOWN) and served.startswith(_UNKNOWN) else "wrong"


def _rates_json(rates: Mapping[str, Rate]) -> dict[str, JsonValue]:
    intervals = {name: [rate.interval.low, rate.interval.high] for name, rate in rates.items()}
    fractions = {name: [rate.count, rate.total] for name, rate in rates.items()}
    return {**{name: rate.value for name, rate in rates.items()}, "intervals": intervals, "fractions": fractions}
