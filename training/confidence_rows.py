"""The labelled pairs a calibration is fitted on: from the fit part of the labelled data, and made by program.

Only sources whose licence allows it are fitted on (`SOURCES`, each named in the model card). The Quora pairs are among
them for the reason that they are among the training data of the embedder itself (all-MiniLM-L6-v2, whose weights are
published under Apache-2.0); no text of any source is kept in what is fitted. What else the data hold only measures.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from made_cases import changed_questions, kept_questions
from made_queries import queries
from public_sources import SpiderQuestion

from benchmarks.quality.split import Row
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import FloatArray

__all__ = [
    "SOURCES",
    "LabelledPair",
    "is_fitted_on",
    "made_pairs",
    "made_questions",
    "pairs_of",
    "spider_pairs",
    "stream_pairs",
]

# Weight of one row of a source; found on the choose part. FAQ-like intents (banking77, clinc150, hwu64) are not among
# them: one canned answer for quite different wishes teaches a confidence that is too easily sure.
SOURCES: Mapping[str, float] = {
    "qqp": 1.0, "template:qqp": 1.0, "paws_qqp": 1.0, "paws_x_zh": 0.2, "sts2016_question": 1.0, "nl2bash": 1.0,
    "rqe_amia2016": 1.0, "gptcache_mock": 1.0, "text2sql_advising": 1.0, "checklist_qqp": 1.0, "template": 1.0,
    "condaqa": 0.5, "scone": 0.5, "followbench": 0.5, "arena_hard_edit": 1.0, "gated_semantic_cache": 1.0,
    "cannot_semantoneg": 0.5, "cannot_wikifactcheck": 0.5, "timeqa_human": 0.5, "qald9": 0.5, "xquad": 0.5,
    "stream_qqp_zipf_dev": 1.0, "stream_text2sql_dev": 6.0, "spider_syn": 0.5,
    "made_kept": 0.5, "made_changed": 0.3, "made_query": 0.9,
}  # fmt: skip
_POOL = 2_000  # questions among which the other candidates of a pair are looked for: a cache is not empty for long
_NEIGHBOURS = 3
_CANDIDATES = 8  # what the cache asks a store for
_QUERIES = 8_000
_ANSWERED = 0.9  # cosine at which a right answer is taken to be served, so that the wording is not stored again


@dataclass(frozen=True, slots=True)
class LabelledPair:
    asked: str
    stored: str
    is_right: bool
    similarity: float
    others: Sequence[float]
    source: str

    @property
    def weight(self) -> float:
        return SOURCES.get(self.source, 0.0)


def pairs_of(files: Mapping[str, Sequence[Row]], embedder: Embedder, seed: int) -> list[LabelledPair]:
    """Pairs and minimal pairs. Every second one has other candidates, the nearest of a pool of questions."""
    rows = [
        row
        for name in ("pairs_dev", "adversarial_dev")
        for row in files[name]
        if row["source"] in SOURCES
        and "ambiguous" not in row
        and row["kind"] != "paraphrase_numdiff"
        and embedder.fits(row["a"])
        and embedder.fits(row["b"])
    ]
    chance = random.Random(seed)
    stored = embedder.embed([row["a"] for row in rows])
    asked = embedder.embed([row["b"] for row in rows])
    pool = embedder.embed([row["a"] for row in chance.sample(rows, min(_POOL, len(rows)))])
    similarities = np.einsum("ij,ij->i", stored, asked)
    pairs = []
    for row, vector, similarity in zip(rows, asked, similarities, strict=True):
        others = _crowd(pool @ vector, similarity) if chance.random() < 0.5 else ()
        pairs.append(LabelledPair(row["b"], row["a"], row["label"] == 1, float(similarity), others, row["source"]))
    return pairs


def stream_pairs(files: Mapping[str, Sequence[Row]], embedder: Embedder, floor: float) -> list[LabelledPair]:
    """Each request of a stream with the nearest of what a good cache would hold by then: what lies beside the nearest
    entry is another question more often than another wording of it, and the margin between the two tells something."""
    pairs: list[LabelledPair] = []
    for name, rows in files.items():
        if name.startswith("stream_") and name in SOURCES:
            pairs.extend(_neighbours(name, [row for row in rows if is_fitted_on(name, row)], embedder, floor))
    return pairs


def spider_pairs(questions: Sequence[SpiderQuestion], embedder: Embedder, floor: float) -> list[LabelledPair]:
    """The same for the questions of each database, whose class is the query."""
    rows: dict[str, list[Row]] = {}
    for one in questions:
        rows.setdefault(one.database, []).append({"query": one.text, "class": one.query})
    return [pair for _, own in sorted(rows.items()) for pair in _neighbours("spider_syn", own, embedder, floor)]


def is_fitted_on(name: str, row: Row) -> bool:
    """Whether this request of a stream may be fitted on: of text2sql only Advising has a licence for it."""
    return name in SOURCES and (name != "stream_text2sql_dev" or row["class"].startswith("advising"))


def _neighbours(name: str, rows: Sequence[Row], embedder: Embedder, floor: float) -> Iterator[LabelledPair]:
    first: dict[str, str] = {}
    for row in rows:
        if embedder.fits(row["query"]):
            first.setdefault(row["query"], row["class"])
    texts, classes = list(first), list(first.values())
    vectors: FloatArray = embedder.embed(texts)
    stored: list[int] = []
    for place in range(len(texts)):
        similarities = vectors[stored] @ vectors[place] if stored else np.zeros(0, np.float32)
        ranked = np.argsort(-similarities)[:_CANDIDATES]
        is_answered = False
        for found in ranked[:_NEIGHBOURS]:
            other, similarity = stored[found], float(similarities[found])
            is_right = classes[place] == classes[other]
            is_answered |= is_right and similarity >= _ANSWERED
            if similarity < floor:
                break
            if not is_right and classes[place].startswith("?") and classes[other].startswith("?"):
                continue  # nobody has judged these two
            others = tuple(float(similarities[at]) for at in ranked if at != found)
            yield LabelledPair(texts[place], texts[other], is_right, similarity, others, name)
        if not is_answered:
            stored.append(place)


def made_questions(questions: Sequence[str], seed: int) -> list[tuple[str, str, bool, str]]:
    """(stored, asked, whether the answer is right, source): questions changed by program, and queries made by one."""
    made = [(a, b, True, "made_kept") for a, b, _ in kept_questions(questions, seed)]
    made += [(a, b, False, "made_changed") for a, b, _ in changed_questions(questions, seed + 1)]
    made += [(a, b, is_same, "made_query") for a, b, is_same, _ in queries(_QUERIES, seed + 2)]
    return made


def made_pairs(made: Sequence[tuple[str, str, bool, str]], embedder: Embedder) -> list[LabelledPair]:
    fitting = [case for case in made if embedder.fits(case[0]) and embedder.fits(case[1])]
    stored = embedder.embed([case[0] for case in fitting])
    asked = embedder.embed([case[1] for case in fitting])
    chance = random.Random(len(fitting))
    pool = embedder.embed([case[0] for case in chance.sample(fitting, min(_POOL, len(fitting)))])
    pairs = []
    for (a, b, is_right, source), left, right in zip(fitting, stored, asked, strict=True):
        similarity = float(left @ right)
        others = _crowd(pool @ right, similarity) if chance.random() < 0.5 else ()
        pairs.append(LabelledPair(b, a, is_right, similarity, others, source))
    return pairs


def _crowd(similarities: FloatArray, own: float) -> tuple[float, ...]:
    """The nearest of a pool, without the pair's own partner: it may be in the pool as well."""
    nearest = np.sort(similarities[np.abs(similarities - own) > 1e-6])[-_CANDIDATES + 1 :]
    return tuple(float(similarity) for similarity in nearest)
