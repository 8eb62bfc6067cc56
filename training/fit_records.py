"""Fit the signs by which a question for records is known (`llmcache_plugins/matching/records.py`).

    python training/fit_records.py DATA [--public FOLDER]

For: the questions of Spider-Syn and those of Advising in the fit part, and made queries. Against: what people ask of
each other and of assistants, in the fit part. Only signs count that many databases or many questions have, so that no
subject is learnt. To be run before `fit_confidence.py`. The same data give the same file.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from confidence_rows import is_fitted_on
from made_queries import queries
from public_sources import spider_questions
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from benchmarks.quality.split import Row, data_files, split
from llmcache_plugins.matching.evidence import stems_of
from llmcache_plugins.matching.records import signs_of

TARGET = Path(__file__).resolve().parent.parent / "llmcache_plugins" / "matching" / "calibrations" / "records.json"
SEED = 13
MADE = 1_000
DATABASES, QUESTIONS = 25, 80  # a sign is in as many databases, or in as many of the other questions
STRENGTH = 0.1  # of the data against the penalty (L1), which leaves most signs without a weight
PEOPLE = ("qqp", "rqe_amia2016", "sts2016_question")
ASSISTANTS = ("stream_banking77_dev", "stream_clinc150_dev", "stream_hwu64_dev")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--public", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    fit = split(data_files(arguments.data))["fit"]
    spider, spider_unseen = spider_questions(arguments.public)
    records = [(one.text, one.database) for one in (*spider, *spider_unseen)]
    name = "stream_text2sql_dev"
    records += [(row["query"], "advising") for row in fit[name] if is_fitted_on(name, row)]
    records += [(text, "made") for a, b, _, _ in queries(MADE, SEED) for text in (a, b)]
    others = sorted(set(_others(fit)))
    content = fitted(records, others)
    TARGET.write_text(json.dumps(content, indent=1) + "\n")
    print(f"{len(records):,} for records, {len(others):,} others: {len(content['weights'])} signs in {TARGET.name}")


def _others(fit: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    for row in fit["pairs_dev"]:
        if row["source"] in PEOPLE:
            yield from (row["a"], row["b"])
    for name in ASSISTANTS:
        yield from (row["query"] for row in fit[name])


def fitted(records: Sequence[tuple[str, str]], others: Sequence[str]) -> dict[str, Any]:
    """The content of the file: a logistic regression over signs, both sides with equal weight."""
    signs = [signs_of(stems_of(text)) for text in (*(text for text, _ in records), *others)]
    databases: dict[str, set[str]] = defaultdict(set)
    for found, (_, database) in zip(signs, records, strict=False):
        for sign in found:
            databases[sign].add(database)
    asked = Counter(sign for found in signs[len(records) :] for sign in found)
    known = sorted(
        {sign for sign, names in databases.items() if len(names) >= DATABASES}
        | {sign for sign, count in asked.items() if count >= QUESTIONS}
    )
    places = {sign: at for at, sign in enumerate(known)}
    cells = [(row, places[sign]) for row, found in enumerate(signs) for sign in sorted(found) if sign in places]
    rows, columns = zip(*cells, strict=True)
    matrix = csr_matrix((np.ones(len(cells)), (rows, columns)), shape=(len(signs), len(known)))
    labels = np.arange(len(signs)) < len(records)
    weights = np.where(labels, len(others) / len(records), 1.0)
    model = LogisticRegression(l1_ratio=1.0, C=STRENGTH, solver="liblinear", random_state=SEED)
    model.fit(matrix, labels, sample_weight=weights)
    pairs = zip(known, model.coef_[0], strict=True)
    return {
        "bias": round(float(model.intercept_[0]), 3),
        "weights": {sign: round(float(weight), 3) for sign, weight in pairs if abs(weight) >= 0.0005},
    }


if __name__ == "__main__":
    main()
