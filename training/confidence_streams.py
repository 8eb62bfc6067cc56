"""Streams replayed at many confidence thresholds, to find the least one that keeps an error budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.quality.split import Row
from llmcache_plugins.evaluation.vectors import PreparedEmbedder
from llmcache_plugins.matching.calibration import Calibration, VerifiedCalibration
from llmcache_plugins.matching.evidence import EVIDENCE, asks_for_records, crowding_of, evidence_of
from llmcache_plugins.matching.guards import judge

__all__ = ["Replayed", "Stream", "Zone", "streams_of", "texts_of"]

_CANDIDATES = 8  # the cache's default
_EARLIER = 32  # of all earlier texts: what is stored among them differs with the threshold
assert EVIDENCE[:3] == ("similarity", "margin", "crowd"), "the replay puts these three in itself"


@dataclass(frozen=True, slots=True)
class Zone:
    """Where the verifier is asked: from `grey_from` up to `sure_from`, and what is enough there.

    Args:
        score: of the verifier for (asked, stored); None where it cannot say.
    """

    verified: VerifiedCalibration
    score: Callable[[str, str], float | None]
    grey_from: float
    sure_from: float
    silent_from: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """`searched` are the requests that no exact match answered, while something was stored; `asked` those of them that
    the verifier was asked about."""

    requests: int
    hits: int
    wrong: int
    searched: int = 0
    asked: int = 0

    @property
    def hit_rate(self) -> float:
        return self.hits / self.requests

    @property
    def error_rate(self) -> float:
        return self.wrong / self.requests


def texts_of(files: Mapping[str, Sequence[Row]]) -> list[str]:
    """The texts of all streams among the files."""
    return [row["query"] for rows in files.values() for row in rows if "query" in row]


def streams_of(
    calibration: Calibration, streams: Mapping[str, Sequence[Row]], embedder: PreparedEmbedder
) -> dict[str, Stream]:
    return {name: Stream(rows, embedder, calibration) for name, rows in streams.items()}


class Stream:
    """One stream, its texts compared once."""

    def __init__(self, rows: Sequence[Row], embedder: PreparedEmbedder, calibration: Calibration) -> None:
        self._rows = rows
        self._calibration = calibration
        self._texts = list(dict.fromkeys(str(row["query"]) for row in rows))
        self._place = {text: place for place, text in enumerate(self._texts)}
        self._earlier: list[list[tuple[int, float]]] = [[] for _ in self._texts]
        fitting = [place for place, text in enumerate(self._texts) if embedder.fits(text)]
        vectors = embedder.embed([self._texts[place] for place in fitting])
        for at in range(1, len(fitting)):
            similarities = vectors[:at] @ vectors[at]
            for other in np.argsort(-similarities)[:_EARLIER]:
                self._earlier[fitting[at]].append((fitting[other], float(similarities[other])))
        self._evidence: dict[tuple[int, int], list[float] | None] = {}
        self._confidence: dict[tuple[float, ...], float] = {}
        self._is_for_records = [asks_for_records(text) for text in self._texts]
        self._for_records = 0.0

    def likely_pairs(self, least: float) -> Iterator[tuple[str, str]]:
        """(asked, stored) that are at least this confident with nothing else stored: a verifier may be asked."""
        for place, earlier in enumerate(self._earlier):
            for other, similarity in earlier:
                if similarity >= self._calibration.floor and self._confidence_of(place, other, similarity, ()) >= least:
                    yield self._texts[place], self._texts[other]

    def replay(self, least: float, zone: Zone | None = None, *, least_for_records: float = 0.0) -> Replayed:
        """What comes of it when `least` is enough: without a verifier, or with one in its zone.

        Args:
            least_for_records: where the stored question asks for records, if that is more.
        """
        self._for_records = max(least, least_for_records)
        stored: dict[int, str] = {}  # text -> class of the answer; a wording that hit becomes an alias
        aliases: dict[int, str] = {}
        hits = wrong = searched = asked = 0
        for row in self._rows:
            place, own = self._place[str(row["query"])], str(row["class"])
            served = stored.get(place) or aliases.get(place)
            if served is None and stored:
                searched += 1
                found, has_asked = self._match(place, stored, least, zone)
                asked += has_asked
                if found is not None:
                    served = aliases[place] = stored[found]
            if served is None:
                stored[place] = own
                continue
            hits += 1
            wrong += served != own and not (served.startswith("?") and own.startswith("?"))
        return Replayed(len(self._rows), hits, wrong, searched, asked)

    def _match(self, place: int, stored: Mapping[int, str], least: float, zone: Zone | None) -> tuple[int | None, bool]:
        """The text whose answer is served, and whether the verifier was asked."""
        candidates = [(other, similarity) for other, similarity in self._earlier[place] if other in stored]
        candidates = candidates[:_CANDIDATES]
        enough = least if zone is None else zone.sure_from
        more = self._for_records if zone is None else enough
        grey: list[tuple[float, int]] = []
        for rank, (other, similarity) in enumerate(candidates):
            if similarity < self._calibration.floor:
                break
            others = [near for at, (_, near) in enumerate(candidates) if at != rank]
            confidence = self._confidence_of(place, other, similarity, others)
            if confidence >= (more if self._is_for_records[other] else enough):
                return other, False
            if zone is not None and confidence >= zone.grey_from:
                grey.append((confidence, other))
        if zone is None or not grey:
            return None, False
        best = max((self._second_look(place, one, least, zone), one[1]) for one in grey)
        return (best[1] if best[0] >= 0.0 else None), True

    def _second_look(self, place: int, one: tuple[float, int], least: float, zone: Zone) -> float:
        """The confidence; a negative one where it is not enough."""
        confidence, other = one
        score = zone.score(self._texts[place], self._texts[other])
        if score is None:
            return confidence if confidence >= zone.silent_from else -1.0
        found = zone.verified.probability(confidence, score)
        return found if found >= least else -1.0

    def _confidence_of(self, place: int, other: int, similarity: float, others: Sequence[float]) -> float:
        pair = (place, other)
        if pair not in self._evidence:
            asked, text = self._texts[place], self._texts[other]
            verdicts = judge(asked, text)
            vetoed = any(verdict.verdict == "conflict" for verdict in verdicts)
            self._evidence[pair] = None if vetoed else evidence_of(asked, text, similarity, (), verdicts)
        evidence = self._evidence[pair]
        if evidence is None:
            return 0.0
        crowding = crowding_of(similarity, others)
        crowding = (round(crowding[0], 3), crowding[1])
        known = self._confidence.get((*pair, *crowding))
        if known is None:
            known = self._calibration.probability([evidence[0], *crowding, *evidence[3:]])
            self._confidence[*pair, *crowding] = known
        return known
