"""Write the verifier's model card, docs/verifier.md, and its learning curve, from what a training run left.

    python training/verifier_card.py --work FOLDER

Facts come from the run's `facts.json` and `curve.jsonl` and from the shipped manifest; the prose is here.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CARD = ROOT / "docs" / "verifier.md"
CURVE = ROOT / "docs" / "verifier_curve.png"
MANIFEST = ROOT / "models" / "llmcache_plugins_models" / "verifier" / "manifest.json"
FIGURES = ("natural_auc", "natural_hits_at_0.01", "natural_hits_at_0.05", "minimal_auc", "minimal_hits_at_0.05")
TEXT = """# Model card: the verifier

`{verifier}`: a cross-encoder of 6 layers and 22.9 million parameters that says whether a right answer to one question
would be a right answer to another. It starts from
[all-MiniLM-L6-v2](https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2) (Apache-2.0). Its word embeddings and
the lower three layers stay as they are and read each question alone, as in the embedder; the upper three read both
together, and a small head adds to what the cosine says. (A plain cross-encoder from the same weights, which reads both
together from the first layer on, forgot what the embedder knows: after 65,000 pairs it told natural questions of the
choose part apart less well than their cosine.) It ships in `llmcache-plugins-models` ({size:.1f} MB, int8 weights,
float32 activations) and runs on onnxruntime.

The cache asks it in the grey zone alone, where its score can change the decision (`verifier="grey"`, the default with
the extra `local`); `verifier="always"` asks it about sure matches too, `verifier="off"` never. Its score is no
probability: the calibrated confidence weighs it with all other evidence ([confidence.md](confidence.md)). What it adds
is measured in [quality.md](quality.md).

## Trained on

Two thirds of the fit part of the labelled data (digest `{data}...`, seed {seed}), and what is made of it. The other
third is kept to calibrate the scores on. Nothing of the choose or report part was seen, nor any other copy of a source
that the data measure with.

The larger embedder all-mpnet-base-v2 (Apache-2.0, sha256 of its weights in `training/teacher.py`) is its teacher:
{unlabelled:,} of {unlabelled_of:,} pairs of near questions in each round have no label but how alike that model finds
them, and of a labelled pair that people worded {taught:.0%} of the target is the teacher's word, for some labels are
slips.

| source | licence | same | other |
|---|---|---:|---:|
{rows}

The Quora questions are used as the published MiniLM models use them: all-MiniLM-L6-v2 itself was trained on Quora's
duplicate questions and is distributed under Apache-2.0. No text of any source can be read from the weights. Sources
without a licence that allows it only measure. `mined_qqp` are near questions of different clusters.

In each round about {made:,} pairs are made anew by program, out of real questions (`training/rewordings.py`,
`training/made_cases.py`, `training/made_queries.py`): rewordings that keep the answer, up to four in a row, and on top
of them small changes that do not: numbers, units, dates, names, places and identifiers exchanged, negation, opposites,
order of arguments, scope, format, another aspect. All word lists were written for this.

## Learning curve

{pairs:,} pairs in {rounds} rounds, {hours:.1f} hours on two cores (without the teacher's minutes), bfloat16 where the
processor has it. Measured after each round on English pairs of the choose part, by the score alone, of short pairs that
people worded (natural) and of minimal pairs. Natural labels are noisy: at 1 % wrong, most of what counts as wrong asks
the same.

| round | loss | {heads} |
|---:|---:|{rule}
{curve}

![learning curve](verifier_curve.png)

## Limits

English. Questions and short requests; passages and code were hardly seen. Two questions of more than 256 word pieces
together get no score. It knows nothing of the world but what the weights it started from know: that two cities are one
under two names, it may not.

## Made by

    make verifier DATA=folder

trains ({rounds} rounds), exports and calibrates; a stopped run goes on where it was. The figures above are those of the
run that made the shipped file. bfloat16 products and the order of sums make another run's weights differ in their last
digits.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, nargs="+", help="folders of the runs, in order")
    options = parser.parse_args()
    facts = json.loads((options.work[-1] / "facts.json").read_text())
    lines = [json.loads(line) for work in options.work for line in (work / "curve.jsonl").read_text().splitlines()]
    CARD.write_text(card(facts, lines, json.loads(MANIFEST.read_text())))
    plot(lines)
    print(f"wrote {CARD.relative_to(ROOT)} and {CURVE.relative_to(ROOT)}")


def card(facts: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]) -> str:
    from verifier_data import LICENCES  # needs what training needs

    rows = [
        f"| {source} | {LICENCES.get(source, 'as qqp' if 'qqp' in source else '')} | {same:,} | {other:,} |"
        for source, (same, other) in facts["labelled"].items()
    ]
    curve = [
        f"| {at} | {line['loss']:.3f} | " + " | ".join(f"{line[name]:.3f}" for name in FIGURES) + " |"
        for at, line in enumerate(lines, 1)
    ]
    return TEXT.format(
        verifier=manifest["verifier_id"],
        size=sum(file["bytes"] for file in manifest["files"].values()) / 1e6,
        data=facts["data_hash"][:16],
        seed=facts["seed"],
        made=facts["made"],
        unlabelled=facts["unlabelled"],
        unlabelled_of=facts["unlabelled_of"],
        taught=facts["taught"],
        rows="\n".join(rows),
        pairs=sum(line["pairs"] for line in lines),
        rounds=len(lines),
        hours=sum(line["seconds"] for line in lines) / 3600,
        heads=" | ".join(name.replace("_", " ").replace("hits at", "hits, share wrong") for name in FIGURES),
        rule="---:|" * len(FIGURES),
        curve="\n".join(curve),
    )


def plot(lines: Sequence[Mapping[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rounds = range(1, len(lines) + 1)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    left.plot(rounds, [line["loss"] for line in lines], marker="o")
    left.set(title="loss of the round", xlabel="round", ylim=(0, None))
    for name in FIGURES:
        right.plot(rounds, [line[name] for line in lines], marker="o", label=name.replace("_", " "))
    right.set(title="choose part, score alone", xlabel="round", ylim=(0, 1))
    right.legend(fontsize=7)
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(CURVE, dpi=110)


if __name__ == "__main__":
    main()
