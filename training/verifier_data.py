"""The pairs the verifier learns from: the fit part of the labelled data, mined neighbours, cases made by program, and
unlabelled questions that a teacher judges.

Only sources whose licence allows it are learnt from (`SOURCES`); the others only measure. The Quora questions are among
them for the reason that they are among the training data of the weights it starts from: all-MiniLM-L6-v2 was trained on
Quora's duplicate questions and is published under Apache-2.0. Nothing of the choose or report part is read, and no
upstream copy of a source that the data measure with: its rows may be among those that nobody has tuned on.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from made_cases import changed_questions, kept_questions
from made_queries import queries
from network_questions import network_questions
from public_sources import LICENCES as PUBLIC_LICENCES
from public_sources import SpiderQuestion
from rewordings import reworded_pairs, swapped_pairs

__all__ = ["LAST_SOURCES", "LICENCES", "SOURCES", "Example", "Material", "material_of", "round_of"]

Row = dict[str, Any]

# How often a labelled row of a source is seen in one round; a fraction is a chance.
SOURCES: Mapping[str, float] = {
    "qqp": 1.5, "template:qqp": 1.0, "paws_qqp": 2.0, "sts2016_question": 1.0, "nl2bash": 1.0, "rqe_amia2016": 1.0,
    "gptcache_mock": 0.5, "text2sql_advising": 3.0, "checklist_qqp": 0.7, "template": 1.0, "condaqa": 0.3,
    "scone": 0.3, "followbench": 0.5, "arena_hard_edit": 0.5, "gated_semantic_cache": 2.0, "cannot_semantoneg": 1.0,
    "cannot_wikifactcheck": 0.5, "timeqa_human": 0.5, "stream_qqp_zipf_dev": 1.5, "stream_text2sql_dev": 4.0,
    "spider_syn": 0.3,
}  # fmt: skip
# In the last round: what people word for each other, and little else.
LAST_SOURCES: Mapping[str, float] = {**SOURCES, "qqp": 2.0, "stream_qqp_zipf_dev": 2.0, "spider_syn": 0.0}
LICENCES: Mapping[str, str] = {
    "qqp": "Quora's terms (as all-MiniLM-L6-v2)", "template:qqp": "as qqp", "paws_qqp": "PAWS: free, credit Google",
    "sts2016_question": "CC BY-SA 3.0", "nl2bash": "MIT", "rqe_amia2016": "CC BY 4.0", "gptcache_mock": "MIT",
    "text2sql_advising": "CC BY 4.0", "checklist_qqp": "MIT", "template": "written for the data set",
    "condaqa": "Apache-2.0", "scone": "CC0", "followbench": "Apache-2.0", "arena_hard_edit": "Apache-2.0",
    "gated_semantic_cache": "MIT", "cannot_semantoneg": "CC BY-SA 4.0", "cannot_wikifactcheck": "CC BY-SA 4.0",
    "timeqa_human": "BSD-3-Clause", **PUBLIC_LICENCES, "stream_qqp_zipf_dev": "as qqp",
    "stream_text2sql_dev": "CC BY 4.0 (Advising alone)", "stream_banking77_dev": "CC BY 4.0 (questions alone)",
    "stream_clinc150_dev": "CC BY 3.0 (questions alone)", "stream_hwu64_dev": "CC BY 4.0 (questions alone)",
}  # fmt: skip
_NATURAL = frozenset(
    {"qqp", "mined_qqp", "stream_qqp_zipf_dev", "sts2016_question", "rqe_amia2016", "nl2bash", "gptcache_mock",
     "text2sql_advising", "stream_text2sql_dev", "unlabelled"}
)  # fmt: skip
# Intents are too coarse to say which questions deserve the same answer; their texts are good to make cases of.
_QUESTIONS_ALONE = ("stream_banking77_dev", "stream_clinc150_dev", "stream_hwu64_dev")
_LONGEST = 300  # characters: longer ones are passages, and cost more than they teach
_MINED = (0.60, 0.88)  # cosine: below it is easy, above it many pairs are unlabelled duplicates
_MINED_EACH = 2
_NETWORK = 1_500  # questions of network engineers among those that cases are made of
_NEAR = (6, 40)  # unlabelled partners of a question: some of the nearest, and some of those behind
_NEAR_EACH = (3, 2)
_LEAST_NEAR = 0.45  # cosine: below it nobody doubts
_MOST_OF_A_CLASS = 12  # pairs of one class or cluster: a large one must not drown the others


@dataclass(frozen=True, slots=True)
class Example:
    """Two questions and whether a right answer to one is right for the other; None where only a teacher can say."""

    first: str
    second: str
    is_same: bool | None
    source: str

    @property
    def is_natural(self) -> bool:
        """Whether people worded it for people: a teacher that knows how people write can judge it."""
        return self.source in _NATURAL


@dataclass(frozen=True, slots=True)
class Material:
    """What one round is drawn from."""

    labelled: Sequence[Example]
    mined: Sequence[Example]
    unlabelled: Sequence[Example]
    questions: Sequence[str]

    def taught(self) -> list[Example]:
        """Those that a teacher judges, alone or beside a label."""
        return [one for one in (*self.labelled, *self.mined, *self.unlabelled) if one.is_natural]

    def counts(self) -> dict[str, tuple[int, int]]:
        """Source -> rows with label 1, with label 0."""
        found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for example in (*self.labelled, *self.mined):
            found[example.source][not example.is_same] += 1
        return {source: (same, other) for source, (same, other) in sorted(found.items())}


def material_of(
    files: Mapping[str, Sequence[Row]], spider: Sequence[SpiderQuestion], embed: Any, seed: int
) -> Material:
    """From the fit part, and from public questions.

    Args:
        embed: texts -> vectors of unit length, to mine neighbours with.
    """
    chance = random.Random(seed)
    same = [*_rows(files), *_classes(files, chance), *_clusters(files, chance), *_of_one_query(spider, chance)]
    labelled = list(dict.fromkeys(same))
    questions = sorted({*_questions(files), *network_questions(_NETWORK, seed)})
    known = {frozenset((example.first, example.second)) for example in labelled}
    mined = [*_mined(files, embed, known, chance), *_of_one_database(spider, embed, known, chance)]
    return Material(labelled, mined, list(_unlabelled(questions, embed, chance)), questions)


def _rows(files: Mapping[str, Sequence[Row]]) -> Iterator[Example]:
    for name in ("pairs_dev", "adversarial_dev"):
        for row in files[name]:
            is_known = row["source"] in SOURCES and row["lang"] == "en" and "ambiguous" not in row
            # Labelled the same although the numbers differ: as often as not a slip of those who labelled.
            is_doubtful = row["kind"] == "paraphrase_numdiff"
            if is_known and not is_doubtful and max(len(row["a"]), len(row["b"])) <= 2 * _LONGEST:
                yield Example(row["a"], row["b"], row["label"] == 1, row["source"])


def _classes(files: Mapping[str, Sequence[Row]], chance: random.Random) -> Iterator[Example]:
    """Wordings of one class of a stream."""
    for name in ("stream_qqp_zipf_dev", "stream_text2sql_dev"):
        wordings: dict[str, list[str]] = defaultdict(list)
        for row in files[name]:
            if _is_allowed(name, row) and not row["class"].startswith("?"):
                wordings[row["class"]].append(row["query"])
        yield from _together(wordings.values(), name, chance)


def _clusters(files: Mapping[str, Sequence[Row]], chance: random.Random) -> Iterator[Example]:
    """Questions that a third one connects: a and b the same, b and c the same, so a and c."""
    rows = [row for row in files["pairs_dev"] if row["source"] in ("qqp", "text2sql_advising", "nl2bash")]
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        while parent.setdefault(text, text) != text:
            text = parent[text]
        return text

    for row in rows:
        if row["label"] == 1 and row["kind"] != "paraphrase_numdiff":
            parent[root(row["a"])] = root(row["b"])
    groups: dict[str, list[str]] = defaultdict(list)
    for text in list(parent):
        groups[root(text)].append(text)
    refused = {frozenset((row["a"], row["b"])) for row in rows if row["label"] == 0}
    sound = [
        group
        for group in groups.values()
        if 2 < len(group) < 20 and not any(frozenset(pair) in refused for pair in combinations(group, 2))
    ]
    yield from _together(sound, "qqp", chance)


def _together(groups: Iterable[Sequence[str]], source: str, chance: random.Random) -> Iterator[Example]:
    for group in groups:
        pairs = list(combinations(sorted(set(group)), 2))
        for first, second in chance.sample(pairs, min(len(pairs), _MOST_OF_A_CLASS)):
            yield Example(first, second, True, source)


def _of_one_query(spider: Sequence[SpiderQuestion], chance: random.Random) -> Iterator[Example]:
    wordings: dict[tuple[str, str], list[str]] = defaultdict(list)
    for question in spider:
        wordings[question.database, question.query].append(question.text)
    yield from _together(wordings.values(), "spider_syn", chance)


def _of_one_database(
    spider: Sequence[SpiderQuestion], embed: Any, known: set[frozenset[str]], chance: random.Random
) -> Iterator[Example]:
    databases: dict[str, dict[str, str]] = defaultdict(dict)
    for question in spider:
        databases[question.database][question.text] = question.query
    for _, queries_of in sorted(databases.items()):
        yield from _neighbours(sorted(queries_of), queries_of, embed, (0.6, 1.01), known, "spider_syn", chance)


def _is_allowed(name: str, row: Row) -> bool:
    return name != "stream_text2sql_dev" or str(row["class"]).startswith("advising")


def _questions(files: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """Real questions to make cases of."""
    for row in files["pairs_dev"]:
        if row["source"] in ("qqp", "text2sql_advising", "rqe_amia2016", "nl2bash", "sts2016_question"):
            yield from (text for text in (row["a"], row["b"]) if 12 <= len(text) < 160)
    for name in ("stream_qqp_zipf_dev", "stream_text2sql_dev", *_QUESTIONS_ALONE):
        for row in files[name]:
            if _is_allowed(name, row) and 12 <= len(row["query"]) < 160:
                yield row["query"]


def _mined(
    files: Mapping[str, Sequence[Row]], embed: Any, known: set[frozenset[str]], chance: random.Random
) -> list[Example]:
    """For each question its neighbours of other clusters: near, and as good as never the same. In text2sql, where the
    class is the logical form, also the nearest ones of another class."""
    found: list[Example] = []
    texts = sorted({row[side] for row in files["pairs_dev"] if row["source"] == "qqp" for side in "ab"})
    found += _neighbours(texts, None, embed, _MINED, known, "mined_qqp", chance)
    rows = [row for row in files["stream_text2sql_dev"] if _is_allowed("stream_text2sql_dev", row)]
    classes = {row["query"]: row["class"] for row in rows}
    found += _neighbours(sorted(classes), classes, embed, (0.6, 1.01), known, "stream_text2sql_dev", chance)
    zipf = {row["query"]: row["class"] for row in files["stream_qqp_zipf_dev"]}
    found += _neighbours(sorted(zipf), zipf, embed, (0.6, 0.95), known, "stream_qqp_zipf_dev", chance)
    return found


def _neighbours(
    texts: Sequence[str],
    classes: Mapping[str, str] | None,
    embed: Any,
    between: tuple[float, float],
    known: set[frozenset[str]],
    source: str,
    chance: random.Random,
) -> Iterator[Example]:
    vectors = embed(texts)
    least, most = between
    for place, text in enumerate(texts):
        similarities = vectors @ vectors[place]
        similarities[place] = -1.0
        near = [int(at) for at in np.argsort(-similarities)[:12] if least <= similarities[at] < most]
        chance.shuffle(near)
        taken = 0
        for at in near:
            other = texts[at]
            is_other = classes is None or classes[text] != classes[other]
            if is_other and frozenset((text, other)) not in known and taken < _MINED_EACH:
                taken += 1
                yield Example(text, other, False, source)


def _unlabelled(questions: Sequence[str], embed: Any, chance: random.Random) -> Iterator[Example]:
    """Each question beside some of its neighbours."""
    vectors = embed(questions)
    near, far = _NEAR
    seen: set[tuple[int, int]] = set()
    for place in range(len(questions)):
        similarities = vectors @ vectors[place]
        similarities[place] = -1.0
        ranked = np.argsort(-similarities)[:far].tolist()
        for at in (*chance.sample(ranked[:near], _NEAR_EACH[0]), *chance.sample(ranked[near:], _NEAR_EACH[1])):
            pair = min(place, at), max(place, at)
            if similarities[at] >= _LEAST_NEAR and pair not in seen:
                seen.add(pair)
                yield Example(questions[place], questions[at], None, "unlabelled")


def round_of(
    material: Material, seed: int, made: int, unlabelled: int, often: Mapping[str, float] = SOURCES
) -> list[Example]:
    """One round: every labelled row about as often as its source says, mined ones, about `unlabelled` unlabelled ones,
    and about `made` made ones, which are new in each round. In random order, each pair in a random direction."""
    chance = random.Random(seed)
    examples = [
        example
        for example in (*material.labelled, *material.mined)
        for _ in range(_times(often.get(example.source, 0.5), chance))
    ]
    examples += chance.sample(material.unlabelled, min(unlabelled, len(material.unlabelled)))
    examples += _made(material, chance, made)
    chance.shuffle(examples)
    return [
        Example(one.second, one.first, one.is_same, one.source) if chance.random() < 0.5 else one for one in examples
    ]


def _times(often: float, chance: random.Random) -> int:
    return int(often) + (chance.random() < often % 1.0)


def _made(material: Material, chance: random.Random, count: int) -> list[Example]:
    questions = list(material.questions)
    chance.shuffle(questions)
    seed = chance.randrange(1 << 30)
    examples = [
        Example(a, b, bool(label), "made_reworded")
        for _, (a, b, label, _) in zip(range(int(count * 0.55)), reworded_pairs(questions, seed), strict=False)
    ]
    positives = [(one.first, one.second) for one in material.labelled if one.is_same and len(one.first) < _LONGEST]
    chance.shuffle(positives)
    examples += [
        Example(a, b, bool(label), "made_swapped")
        for _, (a, b, label, _) in zip(range(int(count * 0.15)), swapped_pairs(positives, seed + 1), strict=False)
    ]
    few = questions[: int(count * 0.1)]
    examples += [Example(a, b, True, "made_kept") for a, b, _ in kept_questions(few, seed + 2)]
    examples += [Example(a, b, False, "made_changed") for a, b, _ in changed_questions(few, seed + 3)]
    examples += [Example(a, b, is_same, "made_query") for a, b, is_same, _ in queries(int(count * 0.12), seed + 4)]
    return examples
