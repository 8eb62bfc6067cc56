"""Train the verifier: a cross-encoder that says whether two questions deserve the same answer.

    python training/train_verifier.py DATA --source FOLDER --teacher FOLDER --work FOLDER [--rounds 4] [--resume]

DATA is the folder of labelled files; only two thirds of its fit part are learnt from, and its choose part shows how far
it is (see `benchmarks/quality/split.py`). FOLDER of `--source` holds `model.safetensors` and `tokenizer.json` of
all-MiniLM-L6-v2, that of `--teacher` all-mpnet-base-v2.
Two CPU cores are enough: the embeddings and the lower layers stay as they are, the pairs are short, and with `--resume`
a run goes on where it was stopped. `export_verifier.py` makes the shipped file of the result. Needs torch and
transformers; see `training/README.md`.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from export_embedder import TOKENIZER_SHA256, WEIGHTS_SHA256, checked
from public_sources import spider_questions
from sklearn.metrics import roc_auc_score
from teacher import Teacher
from torch.nn.functional import binary_cross_entropy_with_logits
from verifier_data import LAST_SOURCES, Example, Material, material_of, round_of
from verifier_model import CrossEncoder, Reader, batches_of, padded

from benchmarks.quality.split import VERIFIER_PARTS, data_files, data_hash, split
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.evaluation.vectors import PreparedEmbedder, VectorFile

SEED = 11
RATE = 1e-4
HEAD_RATE = 5e-4
WARM_STEPS = 300
DECAY = 0.4  # of all steps: the learning rate falls to nothing in the last ones
PAIRS = 64  # in a batch
LONGEST = 128  # tokens of both questions together
MINED_LONGEST = 600  # characters
SMOOTHING = 0.02
TAUGHT = 0.4  # of the target of a labelled pair that the teacher can judge; the rest is the label
MADE = 16_000  # made pairs in a round: where they are most, the few that people worded are forgotten
UNLABELLED = 24_000  # pairs in a round that the teacher alone judges
# One more round behind the others, mostly of questions that people worded: they are what a cache meets, and the others
# outnumber them. At half the rate, falling to nothing.
LAST_MADE, LAST_UNLABELLED, LAST_RATE = 4_000, 6_000, 0.5
NATURAL = ("qqp", "mqp", "osschat", "paraphrasing_squad", "rqe_amia2016", "sts2016_question")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True, help="folder of all-mpnet-base-v2")
    parser.add_argument("--work", type=Path, required=True, help="checkpoints and learning curve")
    parser.add_argument("--public", type=Path, help="where public data lie or go; by default beside --work")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--made", type=int, default=MADE, help="made pairs in a round")
    parser.add_argument("--unlabelled", type=int, default=UNLABELLED, help="pairs in a round without a label")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    checked(arguments.source / "model.safetensors", WEIGHTS_SHA256)
    checked(arguments.source / "tokenizer.json", TOKENIZER_SHA256)
    arguments.work.mkdir(parents=True, exist_ok=True)
    files = data_files(arguments.data)
    parts = split(files, VERIFIER_PARTS)
    spider, _ = spider_questions(arguments.public or arguments.work.parent)
    embedder = PreparedEmbedder(OnnxEmbedder(), file=VectorFile(arguments.work / "vectors"), threads=arguments.threads)
    embedder.prepare([*texts_of(parts["train"]), *(one.text for one in spider)], progress)
    material = material_of(parts["train"], spider, embedder.embed, SEED)
    targets = Targets(material, Teacher(arguments.teacher, arguments.work, is_bfloat16=_is_bfloat16_fast()))
    run = Training(arguments.source, arguments.work, arguments.rounds, targets)
    if arguments.resume:
        run.resume()
    facts = {
        "data_hash": data_hash(files),
        "seed": SEED,
        "rounds": arguments.rounds,
        "made": arguments.made,
        "unlabelled": arguments.unlabelled,
        "unlabelled_of": len(material.unlabelled),
        "taught": TAUGHT,
        "labelled": material.counts(),
    }
    (arguments.work / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")
    held = held_out(parts["choose"])

    def round_at(at: int) -> list[Example]:
        if at == arguments.rounds:
            return round_of(material, SEED * 1000 + at, LAST_MADE, LAST_UNLABELLED, LAST_SOURCES)
        return round_of(material, SEED * 1000 + at, arguments.made, arguments.unlabelled)

    run.train(round_at, held)


def texts_of(files: Mapping[str, Sequence[dict[str, Any]]]) -> list[str]:
    """What neighbours are mined among."""
    rows = [row for name, rows in files.items() if "conversations" not in name for row in rows]
    texts = [row[side] for row in rows for side in ("a", "b", "query") if side in row]
    return [text for text in texts if len(text) < MINED_LONGEST]


def progress(stage: str, done: int, total: int) -> None:
    print(f"\r{stage} {done:,} of {total:,}", end="\n" if done == total else "", flush=True)


class Targets:
    """What the score of a pair should be: the label, softened by the teacher's judgement where it has one."""

    def __init__(self, material: Material, teacher: Teacher) -> None:
        taught = material.taught()
        pairs = [(one.first, one.second) for one in taught]
        teacher.prepare(text for pair in pairs for text in pair)
        people = [one for one in taught if one.source == "qqp"]
        judgement = teacher.judgement(
            [(one.first, one.second) for one in people], [bool(one.is_same) for one in people]
        )
        likely = judgement.predict_proba(teacher.similarities(pairs)[:, None])[:, 1]
        self._likely = {frozenset(pair): float(value) for pair, value in zip(pairs, likely, strict=True)}

    def of(self, example: Example) -> float:
        likely = self._likely.get(frozenset((example.first, example.second))) if example.is_natural else None
        if example.is_same is None:
            if likely is None:
                raise ValueError(f"a pair of {example.source} has neither a label nor a teacher's judgement")
            return likely
        if likely is None:
            return example.is_same * (1.0 - 2 * SMOOTHING) + SMOOTHING
        return (1.0 - TAUGHT) * example.is_same + TAUGHT * likely


def held_out(files: Mapping[str, Sequence[dict[str, Any]]]) -> dict[str, list[Example]]:
    """English pairs of the choose part: those that people worded, and minimal pairs."""
    groups: dict[str, list[Example]] = {"natural": [], "minimal": []}
    for name, group in (("pairs_dev", "natural"), ("adversarial_dev", "minimal")):
        for row in files[name]:
            is_wanted = row["lang"] == "en" and "ambiguous" not in row
            is_short = max(len(row["a"]), len(row["b"])) < 250
            if is_wanted and is_short and (group == "minimal" or row["source"] in NATURAL):
                groups[group].append(Example(row["a"], row["b"], row["label"] == 1, row["source"]))
    return groups


class Training:
    """One run: its weights, optimiser and place, all of which a checkpoint keeps."""

    def __init__(self, source: Path, work: Path, rounds: int, targets: Targets) -> None:
        torch.manual_seed(SEED)
        self.model = CrossEncoder(source)
        self.read = Reader(source / "tokenizer.json")
        self._work = work
        self._rounds = rounds
        self._targets = targets
        self._round = 0
        self._step = 0
        body = [value for value in self.model.encoder.parameters() if value.requires_grad]
        head = [value for name, value in self.model.named_parameters() if not name.startswith("encoder.")]
        self._optimiser = torch.optim.AdamW(
            [{"params": body, "lr": RATE}, {"params": head, "lr": HEAD_RATE}], weight_decay=0.01, fused=True
        )
        self._rates = [group["lr"] for group in self._optimiser.param_groups]
        self._steps_of_round = 0
        self._steps_before = 0

    def train(self, round_at: Callable[[int], list[Example]], held: Mapping[str, Sequence[Example]]) -> None:
        while self._round <= self._rounds:
            examples = round_at(self._round)
            loss, seconds = self._one_round(examples)
            self._round += 1
            line = {
                "round": self._round,
                "pairs": len(examples),
                "loss": loss,
                "seconds": seconds,
                **self.measure(held),
            }
            print("\n" + json.dumps(line), flush=True)
            with (self._work / "curve.jsonl").open("a") as curve:
                curve.write(json.dumps(line) + "\n")
            self._save()

    def _one_round(self, examples: Sequence[Example]) -> tuple[float, float]:
        began = time.monotonic()
        self.model.train()
        read = self.read([(one.first, one.second) for one in examples], LONGEST)
        kept = [(pair, self._targets.of(one)) for pair, one in zip(read, examples, strict=True) if pair is not None]
        pairs = [pair for pair, _ in kept]
        batches = batches_of(pairs, range(len(kept)), PAIRS)
        random.Random(self._round).shuffle(batches)
        self._steps_of_round = len(batches)
        self._steps_before = self._step
        total = 0.0
        for done, batch in enumerate(batches, 1):
            targets = torch.tensor([kept[at][1] for at in batch])
            total += self._one_step(padded([pairs[at] for at in batch]), targets)
            if done % 50 == 0:
                pace = done / (time.monotonic() - began)
                print(
                    f"\rround {self._round + 1} of {self._rounds + 1}: {done:,} of {len(batches):,} batches, "
                    f"loss {total / done:.4f}, {(len(batches) - done) / pace / 60:.0f} min left ",
                    end="",
                    flush=True,
                )
        return total / len(batches), round(time.monotonic() - began, 1)

    def _one_step(self, pairs: tuple[torch.Tensor, ...], targets: torch.Tensor) -> float:
        self._step += 1
        rate = self._rate()
        for group, full in zip(self._optimiser.param_groups, self._rates, strict=True):
            group["lr"] = full * rate
        with torch.autocast("cpu", torch.bfloat16, enabled=_is_bfloat16_fast()):
            logits = self.model(*pairs)
        loss = binary_cross_entropy_with_logits(logits.float(), targets)
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimiser.step()
        return float(loss.detach())

    def _rate(self) -> float:
        """The share of the full learning rate: it rises over the first steps and falls over the last; once more in the
        last round."""
        if self._round == self._rounds:
            return max(0.01, LAST_RATE * (1.0 - (self._step - self._steps_before) / self._steps_of_round))
        all_steps = self._steps_of_round * self._rounds
        falling = (all_steps - self._step) / (DECAY * all_steps)
        return max(0.01, min(1.0, self._step / WARM_STEPS, falling))

    def measure(self, held: Mapping[str, Sequence[Example]]) -> dict[str, float]:
        found: dict[str, float] = {}
        for group, examples in held.items():
            scores = self.scores([(one.first, one.second) for one in examples])
            is_same = np.array([one.is_same for one in examples])
            known = ~np.isnan(scores)
            right, wrong = scores[known & is_same], scores[known & ~is_same]
            found[f"{group}_auc"] = round(float(roc_auc_score(is_same[known], scores[known])), 4)
            for share in (0.01, 0.05):
                found[f"{group}_hits_at_{share:g}"] = round(float((right > np.quantile(wrong, 1 - share)).mean()), 4)
        return found

    def scores(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Logits; NaN for pairs that are too long."""
        self.model.eval()
        read = self.read(pairs, 2 * LONGEST)
        scores = np.full(len(pairs), math.nan)
        kept = [at for at, pair in enumerate(read) if pair is not None]
        rows = [pair for pair in read if pair is not None]
        with torch.no_grad():
            for batch in batches_of(rows, range(len(rows)), PAIRS):
                with torch.autocast("cpu", torch.bfloat16, enabled=_is_bfloat16_fast()):
                    found = self.model(*padded([rows[at] for at in batch]))
                scores[[kept[at] for at in batch]] = found.float().numpy()
        return scores

    def _save(self) -> None:
        state = {
            "model": {name: value for name, value in self.model.state_dict().items() if "word_embeddings" not in name},
            "optimiser": self._optimiser.state_dict(),
            "round": self._round,
            "step": self._step,
            "random": torch.get_rng_state(),
        }
        part = self._work / "checkpoint.part"
        torch.save(state, part)
        part.replace(self._work / "checkpoint.pt")

    def resume(self) -> None:
        path = self._work / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"], strict=False)
        self._optimiser.load_state_dict(state["optimiser"])
        self._round, self._step = state["round"], state["step"]
        torch.set_rng_state(state["random"])
        print(f"going on after round {self._round}")


def _is_bfloat16_fast() -> bool:
    """Whether the processor multiplies bfloat16 itself; elsewhere it would be slower than float32."""
    try:
        return bool(torch.cpu._is_avx512_bf16_supported())  # type: ignore[attr-defined]
    except AttributeError:
        return False


if __name__ == "__main__":
    main()
