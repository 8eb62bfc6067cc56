"""Fit the calibrated confidence of the default embedder and choose its thresholds.

    python training/fit_confidence.py DATA [--cache FOLDER] [--verifier FOLDER]

DATA is the folder of labelled files; only its fit part is fitted on and only its choose part chosen on (see
`benchmarks/quality/split.py`). The second look, with the verifier's score, is fitted on the third of the fit part that
the verifier was not trained on. Writes `llmcache_plugins/matching/calibrations/minilm_l6.json` and, beside it, the
model card `docs/confidence.md`. Needs `pip install -e ".[training]"`. The same data give the same file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from confidence_rows import (
    SOURCES,
    LabelledPair,
    is_fitted_on,
    made_pairs,
    made_questions,
    pairs_of,
    spider_pairs,
    stream_pairs,
)
from confidence_streams import Replayed, Stream, streams_of, texts_of
from fit_verified import JUDGE_FROM, LEAST_LIKELY, choose_verified, fit_verified, grey_from
from public_sources import LICENCES as PUBLIC_LICENCES
from public_sources import SpiderQuestion, spider_questions
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.quality.scored import PreparedVerifier
from benchmarks.quality.split import VERIFIER_PARTS, Row, data_files, data_hash, split
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.evaluation.vectors import PreparedEmbedder, VectorFile
from llmcache_plugins.matching.calibration import Calibration, VerifiedCalibration
from llmcache_plugins.matching.evidence import EVIDENCE, EVIDENCE_VERSION, evidence_of
from llmcache_plugins.matching.guards import GUARDS_VERSION, judge
from llmcache_plugins.verifiers import OnnxVerifier

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "llmcache_plugins" / "matching" / "calibrations" / "minilm_l6.json"
CARD = ROOT / "docs" / "confidence.md"
FLOOR = 0.68  # cosine: hardly any right pair lies below, and judging more candidates costs time
GREY_FROM = 0.35  # below it two of three candidates are wrong; a verifier would have to overturn the evidence
FORGONE = 0.01  # share of the sure pairs that is given up so that farther candidates need not be judged
SEED = 7
DRAWS = 3
LEASTS = [round(0.56 + 0.02 * step, 3) for step in range(13)] + [round(0.81 + 0.01 * step, 3) for step in range(19)]
TIE = 0.005  # hits on the mean of the streams: their standard error is about as large
BUDGETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
RISES = ("similarity",)  # the confidence can only rise with these, and only fall with those
FALLS = ("unmatched_most", "unmatched_share", "repeated")
MODEL = {
    "max_iter": 400, "learning_rate": 0.03, "max_leaf_nodes": 16, "l2_regularization": 5.0, "min_samples_leaf": 30,
    "max_features": 0.5, "random_state": SEED,
    "monotonic_cst": [1 if name in RISES else -1 if name in FALLS else 0 for name in EVIDENCE],
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "llmcache-vectors")
    parser.add_argument("--public", type=Path, help="where public data lie or go; by default the cache")
    parser.add_argument("--verifier", type=Path, help="folder of the verifier; by default the shipped one")
    parser.add_argument("--without-verifier", action="store_true", help="no second look")
    parser.add_argument("--output", type=Path, default=TARGET)
    arguments = parser.parse_args()
    files = data_files(arguments.data)
    if not files:
        parser.error(f"no *.jsonl.gz in {arguments.data}")
    parts = split(files)
    embedder = PreparedEmbedder(OnnxEmbedder(), file=VectorFile(arguments.cache), threads=2)
    pairs = drawn_pairs(parts["fit"], (), embedder)
    model, used, floors = fit(pairs)
    content = export(model, embedder.embedder_id, data_hash(files))
    content["floors"] = floors
    streams = chosen_streams(parts)
    embedder.prepare(texts_of(streams), progress)
    plain = Calibration(content)
    replayed = streams_of(plain, streams, embedder)
    tables, table = choose(replayed)
    content |= tables
    verified_used: Counter[tuple[str, bool]] = Counter()
    verified_table = ""
    if not arguments.without_verifier:
        verifier = PreparedVerifier(OnnxVerifier(arguments.verifier), arguments.cache / "scores", threads=2)
        spider, spider_unseen = spider_questions(arguments.public or arguments.cache)
        finer = split(files, VERIFIER_PARTS)
        seen, _, _ = fit(drawn_pairs(finer["train"], spider, embedder))
        kept = {name: content[name] for name in ("floors", "budgets", "record_budgets")}
        first = Calibration({**export(seen, embedder.embedder_id, ""), **kept})
        unseen = labelled_pairs(finer["calibrate"], spider_unseen, embedder)
        found = second_look(plain, first, unseen, replayed, verifier)
        content["verified"], verified_used, verified_table = found
    content["version"] = hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=6).hexdigest()
    arguments.output.parent.mkdir(exist_ok=True)
    arguments.output.write_text(json.dumps(content) + "\n")
    print(f"wrote {arguments.output.name} ({arguments.output.stat().st_size:,} bytes), version {content['version']}")
    print(f"{table}\n\n{verified_table}")
    if arguments.output == TARGET:
        CARD.write_text(card(content, used, table, verified_used, verified_table))


def second_look(
    plain: Calibration,
    first: Calibration,
    unseen: Sequence[LabelledPair],
    streams: Mapping[str, Stream],
    verifier: PreparedVerifier,
) -> tuple[dict[str, Any], Counter[tuple[str, bool]], str]:
    """The part `verified` of a calibration, what it has seen, and the table of its budgets.

    Args:
        first: fitted without the `unseen` pairs, which the verifier was not trained on either.
    """
    weights, used, both = fit_verified(unseen, first, verifier, progress)
    verified = {
        "verifier_id": verifier.verifier_id,
        "weights": weights,
        "judge_from": JUDGE_FROM,
        "judge_grey_from": grey_from(JUDGE_FROM, both),
        "budgets": [(0.01, 0.5)],
        "grey_from": [(0.01, 0.5)],
        "sure_from": [(0.01, 0.5)],
    }
    chosen, table = choose_verified(plain, VerifiedCalibration(verified), both, streams, verifier, BUDGETS, progress)
    return {**verified, **chosen}, used, table


def drawn_pairs(
    files: dict[str, list[Row]], spider: Sequence[SpiderQuestion], embedder: PreparedEmbedder
) -> list[LabelledPair]:
    """`DRAWS` times what chance has a part in: the made pairs, and what else is stored beside a pair. The confidence
    must not hang on one draw."""
    return [pair for draw in range(DRAWS) for pair in labelled_pairs(files, spider, embedder, SEED + draw)]


def labelled_pairs(
    files: dict[str, list[Row]], spider: Sequence[SpiderQuestion], embedder: PreparedEmbedder, seed: int = SEED
) -> list[LabelledPair]:
    questions = sorted(
        {
            row["a"]
            for row in files["pairs_dev"]
            if row["source"] in ("qqp", "text2sql_advising", "rqe_amia2016") and len(row["a"]) < 200
        }
    )
    made = made_questions(questions, seed)
    texts = [text for row in (*files["pairs_dev"], *files["adversarial_dev"]) for text in (row["a"], row["b"])]
    texts += [*texts_of(files), *(one.text for one in spider), *(text for case in made for text in case[:2])]
    embedder.prepare(texts, progress)
    pairs = pairs_of(files, embedder, seed) + stream_pairs(files, embedder, FLOOR) + made_pairs(made, embedder)
    pairs += spider_pairs(spider, embedder, FLOOR)
    return [pair for pair in pairs if pair.similarity >= FLOOR]


def fit(
    pairs: Sequence[LabelledPair],
) -> tuple[HistGradientBoostingClassifier, Counter[tuple[str, bool]], list[tuple[float, float]]]:
    """The model, how many pairs of which source and label it has seen (those that no guard vetoes), and the least
    cosine at which it was this confident."""
    rows, labels, weights = [], [], []
    used: Counter[tuple[str, bool]] = Counter()
    for pair in pairs:
        verdicts = judge(pair.asked, pair.stored)
        if any(verdict.verdict == "conflict" for verdict in verdicts):
            continue
        rows.append(evidence_of(pair.asked, pair.stored, pair.similarity, pair.others, verdicts))
        labels.append(pair.is_right)
        weights.append(pair.weight / DRAWS)
        used[pair.source, pair.is_right] += 1
    used = Counter({seen: round(count / DRAWS) for seen, count in used.items()})
    model = HistGradientBoostingClassifier(**MODEL)
    model.fit(np.array(rows), np.array(labels), sample_weight=np.array(weights))
    similarities, confidences = np.array(rows)[:, 0], model.predict_proba(np.array(rows))[:, 1]
    floors = [
        (least, max(FLOOR, round(float(np.quantile(similarities[confidences >= least], FORGONE)), 3)))
        for least in np.arange(0.3, 0.97, 0.02).round(2).tolist()
    ]
    return model, used, floors


def export(model: HistGradientBoostingClassifier, embedder_id: str, data: str) -> dict[str, Any]:
    return {
        "format": 1,
        "embedder_ids": [embedder_id],
        "evidence_version": EVIDENCE_VERSION,
        "guards_version": GUARDS_VERSION,
        "data_hash": data,
        "evidence": list(EVIDENCE),
        "floor": FLOOR,
        "grey_from": GREY_FROM,
        **trees_of(model),
        "budgets": [(0.01, 0.5)],
        "record_budgets": [(0.01, 0.5)],
        "floors": [],
        "version": "",
    }


def trees_of(model: HistGradientBoostingClassifier) -> dict[str, Any]:
    """The trees as lists of equal length. `left_leaves` has a bit for each leaf under a node's left branch."""
    trees = [_Tree(predictor[0].nodes) for predictor in model._predictors]
    inner = max(len(tree.inner) for tree in trees)
    leaves = max(len(tree.leaves) for tree in trees)
    return {
        "baseline": float(model._baseline_prediction.ravel()[0]),
        "features": [[node[0] for node in tree.inner] + [0] * (inner - len(tree.inner)) for tree in trees],
        "thresholds": [[node[1] for node in tree.inner] + [1e300] * (inner - len(tree.inner)) for tree in trees],
        "left_leaves": [[node[2] for node in tree.inner] + [0] * (inner - len(tree.inner)) for tree in trees],
        "leaves": [tree.leaves + [0.0] * (leaves - len(tree.leaves)) for tree in trees],
    }


class _Tree:
    """One regression tree, its leaves numbered from left to right."""

    def __init__(self, nodes: Any) -> None:
        self.inner: list[tuple[int, float, int]] = []  # feature, threshold, bits of the leaves to the left
        self.leaves: list[float] = []
        self._nodes = nodes
        self._walk(0)

    def _walk(self, place: int) -> int:
        """The bits of the leaves under this node."""
        node = self._nodes[place]
        if node["is_leaf"]:
            self.leaves.append(round(float(node["value"]), 6))
            return 1 << (len(self.leaves) - 1)
        at = len(self.inner)
        self.inner.append((0, 0.0, 0))
        left = self._walk(int(node["left"]))
        self.inner[at] = (int(node["feature_idx"]), round(float(node["num_threshold"]), 6), left)
        return left | self._walk(int(node["right"]))


def chosen_streams(parts: dict[str, dict[str, list[Row]]]) -> dict[str, list[Row]]:
    """The streams thresholds are chosen on: the choose part, and of streams that nothing was fitted on the fit part as
    well, for a denser stream is a harder one. In the order they came."""
    streams = {}
    for name, rows in parts["choose"].items():
        if name.startswith("stream_") and "conversations" not in name and "querylog" not in name:
            more = [row for row in parts["fit"][name] if not is_fitted_on(name, row)]
            if rows or more:
                streams[name] = sorted([*rows, *more], key=lambda row: int(str(row["id"]).rsplit("-", 1)[-1]))
    return streams


class Chosen(NamedTuple):
    """Of a budget: the least confidence, that of questions for records, and what the streams give with them."""

    budget: float
    least: float
    for_records: float
    results: Mapping[str, Replayed]

    @property
    def mean_error_rate(self) -> float:
        return float(np.mean([result.error_rate for result in self.results.values()]))

    @property
    def mean_hit_rate(self) -> float:
        return sum(one.hit_rate for one in self.results.values()) / len(self.results)


def choose(streams: Mapping[str, Stream]) -> tuple[dict[str, list[tuple[float, float]]], str]:
    """For each budget two least confidences, for stored questions that ask for records and for others, from which on
    every stream stays within it, with the most hits on the mean of the streams; and the table that shows them. Of pairs
    whose hits differ by less than chance decides (`TIE`) the one with the fewest wrong hits is taken. One wrong hit of
    each stream is put down to its labels, of which about 2 in 1,000 are wrong: in a stream of a hundred questions a
    single one would break every budget."""
    chosen = []
    for done, budget in enumerate(BUDGETS, 1):
        found = [best for records in LEASTS if (best := _least_beside(records, streams, budget)) is not None]
        if not found:
            raise SystemExit(f"no confidence keeps the budget of {budget:.1%}; leave it out of BUDGETS")
        most = max(one.mean_hit_rate for one in found)
        near = [one for one in found if one.mean_hit_rate >= most - TIE]
        chosen.append(min(near, key=lambda one: one.mean_error_rate))
        progress("choosing", done, len(BUDGETS))
    lines = [
        "| budget | least confidence | for records | mean hit rate | highest error rate |",
        "|---:|---:|---:|---:|---:|",
    ]
    for one in chosen:
        worst = max(result.error_rate for result in one.results.values())
        lines.append(
            f"| {one.budget:.1%} | {one.least:.3f} | {one.for_records:.3f} | {one.mean_hit_rate:.1%} | {worst:.2%} |"
        )
    tables = {
        "budgets": [(one.budget, one.least) for one in chosen],
        "record_budgets": [(one.budget, one.for_records) for one in chosen],
    }
    return tables, "\n".join(lines)


def _least_beside(records: float, streams: Mapping[str, Stream], budget: float) -> Chosen | None:
    """The least confidence that keeps the budget, step by step down from that of questions for records."""
    found = None
    for least in reversed([one for one in LEASTS if one <= records]):
        results: dict[str, Replayed] = {}
        for name, stream in streams.items():
            results[name] = stream.replay(least, least_for_records=records)
            if results[name].wrong - 1 > budget * results[name].requests:
                return found
        found = Chosen(budget, least, records, results)
    return found


def card(
    content: dict[str, Any],
    used: Counter[tuple[str, bool]],
    table: str,
    verified_used: Counter[tuple[str, bool]],
    verified_table: str,
) -> str:
    sources = sorted({source for source, _ in used})
    rows = "\n".join(
        f"| {source} | {LICENCES.get(source, 'made by program')} | {used[source, True]:,} | {used[source, False]:,} "
        f"| {verified_used[source, True]:,} | {verified_used[source, False]:,} | {SOURCES[source]:g} |"
        for source in sources
    )
    return CARD_TEXT.format(
        version=content["version"],
        embedder=content["embedder_ids"][0],
        trees=len(content["leaves"]),
        evidence=len(EVIDENCE),
        data=content["data_hash"][:16],
        guards=content["guards_version"],
        rows=rows,
        floor=FLOOR,
        table=table,
        likely=LEAST_LIKELY,
        draws=DRAWS,
        second_look=SECOND_LOOK.format(**content["verified"]) if "verified" in content else "",
        verified_table=VERIFIED_TABLE.format(table=verified_table) if verified_table else "",
    )


LICENCES = {
    "qqp": "Quora's terms (see below)", "template:qqp": "as qqp", "paws_qqp": "PAWS, as qqp",
    "stream_qqp_zipf_dev": "as qqp",
    "paws_x_zh": "PAWS-X: free for any purpose", "sts2016_question": "CC BY-SA 3.0", "nl2bash": "MIT",
    "rqe_amia2016": "CC BY 4.0", "gptcache_mock": "MIT", "text2sql_advising": "CC BY 4.0", "checklist_qqp": "MIT",
    "template": "written for the data set", "condaqa": "Apache-2.0", "scone": "CC0", "followbench": "Apache-2.0",
    "arena_hard_edit": "Apache-2.0", "gated_semantic_cache": "MIT", "cannot_semantoneg": "CC BY-SA 4.0",
    "cannot_wikifactcheck": "CC BY-SA 4.0", "timeqa_human": "BSD-3-Clause", "qald9": "MIT", "xquad": "CC BY-SA 4.0",
    "stream_text2sql_dev": "CC BY 4.0 (Advising alone)", **PUBLIC_LICENCES,
}  # fmt: skip
SECOND_LOOK = """Where the verifier `{verifier_id}` is asked, a logistic regression weighs its score with that
confidence, on their logits: {weights[0]:.2f} + {weights[1]:.2f} confidence + {weights[2]:.2f} score. A verifier is too
sure of what it was trained on, and so are the trees: it is fitted on the third of the fit part that neither had seen.

"""
VERIFIED_TABLE = """With the verifier, which is asked between "asked from" and "sure from"; "asked" is its share of the
look-ups that no exact match answered. Of the decisions that a score could still change 2 % are given up at either end.

{table}

"""
CARD_TEXT = """# Model card: the calibrated confidence

Version `{version}`, for vectors of `{embedder}`, fitted behind guards of version {guards}. Made by
`python training/fit_confidence.py DATA`; the labelled data are not part of this repository, their digest with the seed
of the split is `{data}...`.

{trees} regression trees (gradient boosting of scikit-learn, fixed seed) over {evidence} numbers about two questions
(`llmcache_plugins/matching/evidence.py`): the cosine, what other candidates there are, and what words, order and guards
show. The package evaluates them with numpy. The output is the probability that the stored answer is right, given that
no guard objects. How well it is calibrated, and what it gains, is measured in [quality.md](quality.md) on data that
nothing was fitted or chosen on.

{second_look}## Fitted on

Pairs at cosine {floor} or more that no guard vetoes, of the fit part alone; what chance has a part in (made pairs, what
else is stored beside a pair) is drawn {draws} times, and the numbers are means. For the second look: those with a
confidence of {likely} or more.

| source | licence | right | wrong | second look: right | wrong | weight |
|---|---|---:|---:|---:|---:|---:|
{rows}

The Quora pairs are used as the published MiniLM models use them: all-MiniLM-L6-v2 itself was trained on Quora's
duplicate questions and is distributed under Apache-2.0. No text of any source can be read from the numbers. Sources
without a licence that allows it only measure. `fow_cache` is never used for fitting or choosing.

Made by program (`training/made_cases.py`, `training/made_queries.py`): edits that keep the answer (a slip of the
keyboard, politeness, short forms, another opening, the two sides of an "and" exchanged), edits that change it (a word
replaced by one that WordNet does not know as a synonym, two words exchanged, a restriction put in; a quarter of them
worded otherwise besides, or politeness would be a sign of the same question), and exact queries in other words or with
one part changed.

That a question asks for records ("list all ...") is known by the weights of small words (`training/fit_records.py`:
Spider-Syn, Advising and made queries against questions that people ask each other and assistants, of the fit part).
How words that stand in for each other are related ("buy" and "purchase", "school" and "library") is read from WordNet
3.0 (`training/make_lexicon.py`).

## Chosen on

For each error budget (wrong hits / requests) two least confidences are chosen, one for stored questions that ask for
records and one for all others: the smallest at which every stream of the choose part stays within it, with the most
hits on the mean, and of pairs whose hits differ by less than half a point the one with the fewest wrong hits; streams
that nothing was fitted on add their fit part, for a denser stream is a harder one. One wrong hit of each stream is put
down to its labels, of which about 2 in 1,000 are wrong.

{table}

{verified_table}Between the budgets the confidence is interpolated, below the smallest the doubt shrinks in proportion,
above the largest it stays.

## Limits

English questions. Other languages pass through the same numbers, with guards that mostly stay silent: few of them
reach the confidence. Statements and long passages are hardly ever sure enough. A neighbourhood of very similar queries
that differ by one ordinary word is the hardest case; give such traffic a smaller budget, or a namespace of its own with
one (`max_error_rate_by_namespace`).
"""


def progress(stage: str, done: int, total: int) -> None:
    print(f"\r{stage} {done:,} of {total:,}", end="\n" if done == total else "", flush=True)


if __name__ == "__main__":
    main()
