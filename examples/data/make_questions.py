"""Build `questions.jsonl`: `python make_questions.py STREAM [--output FILE] [--held-out FILE]`.

STREAM holds JSON lines (gzipped or not) in order of arrival: `{"query": ..., "class": "advising:<form>:<values>"}`,
where `form` numbers the logical form of a question of the Advising data set and `values` stands for what is filled in.
Lines of other sources are skipped. `network_operations.txt` beside this script is mixed in. The same input gives the
same file, byte for byte.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SEED = 20260211
ADVISING_ROWS = 380  # with the questions of network engineers about five hundred
NETWORK_REPEATS = 30
# Logical forms whose questions name a teacher or a student: real persons do not belong in a demonstration.
FORMS_WITH_PERSONS = frozenset({"25", "43", "70", "80", "118", "140", "176", "184"})
_WITH_DIGIT = re.compile(r"[^\s,?.]*\d[^\s,?]*")


@dataclass(frozen=True)
class Question:
    query: str
    label: str  # the class: `source:family:value`
    differs_in: str = ""  # what sets the class apart from its family, when that was written down

    @property
    def source(self) -> str:
        return self.label.split(":")[0]

    @property
    def family(self) -> str:
        return self.label.rpartition(":")[0]


def read_advising(path: Path) -> list[Question]:
    stored = path.read_bytes()
    text = (gzip.decompress(stored) if path.suffix == ".gz" else stored).decode("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    questions = [Question(row["query"].strip(), row["class"]) for row in rows if row["class"].startswith("advising:")]
    return [question for question in questions if question.family.split(":")[1] not in FORMS_WITH_PERSONS]


def split_families(
    questions: Sequence[Question], wanted: int, rng: random.Random
) -> tuple[list[Question], list[Question]]:
    """Whole families at random up to `wanted` questions, and the rest; both keep their order."""
    families = sorted({question.family for question in questions})
    rng.shuffle(families)
    taken: set[str] = set()
    count = 0
    for family in families:
        size = sum(question.family == family for question in questions)
        if count + size <= wanted:
            taken.add(family)
            count += size
    inside = [question for question in questions if question.family in taken]
    return inside, [question for question in questions if question.family not in taken]


def read_network(path: Path) -> list[Question]:
    questions: list[Question] = []
    label = differs_in = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if head := re.fullmatch(r"= (\S+) : (\S+)(?: \[(\w+)\])?", line):
            family, value, word = head.groups()
            label, differs_in = f"network:{family}:{value}", word or ""
        elif line and not line.startswith("#"):
            questions.append(Question(line, label, differs_in))
    return questions


def interleave(groups: Iterable[Sequence[Question]], rng: random.Random) -> list[Question]:
    """All groups in one row, at random, the order inside each group kept."""
    groups = list(groups)
    turns = [index for index, group in enumerate(groups) for _ in group]
    rng.shuffle(turns)
    queues = [iter(group) for group in groups]
    return [next(queues[turn]) for turn in turns]


def with_repeats(questions: Sequence[Question], count: int, rng: random.Random) -> list[Question]:
    """Let `count` of the questions be asked again, word for word, at some later time."""
    stream = list(questions)
    for _ in range(count):
        position = rng.randrange(len(stream))
        stream.insert(rng.randint(position + 1, len(stream)), stream[position])
    return stream


def label_rows(stream: Sequence[Question]) -> list[dict[str, str]]:
    """Say of each question what it is to those before it."""
    rows: list[dict[str, str]] = []
    queries: set[str] = set()
    firsts: dict[str, Question] = {}
    differences: dict[str, str] = {}
    for number, question in enumerate(stream, start=1):
        siblings = [first for first in firsts.values() if first.family == question.family]
        if question.query in queries:
            kind = "repeat"
        elif question.label in firsts:
            kind = "reworded"
        else:
            kind = "look_alike" if siblings else "first"
            firsts[question.label] = question
            differences[question.label] = _difference(question, siblings) if siblings else ""
        queries.add(question.query)
        row = {"id": f"q{number:04d}", "query": question.query, "class": question.label, "kind": kind}
        row["source"] = question.source
        if differences[question.label]:
            row["differs_in"] = differences[question.label]
        rows.append(row)
    return rows


def _difference(question: Question, siblings: Sequence[Question]) -> str:
    """What sets a look-alike apart: as written down, else `number` when the most similar sibling has other words with
    digits (course numbers, credits, years), else `name`."""
    if question.differs_in:
        return question.differs_in
    words = set(question.query.lower().split())
    nearest = max(siblings, key=lambda sibling: len(words & set(sibling.query.lower().split())))
    return "name" if _digits(question.query) == _digits(nearest.query) else "number"


def _digits(text: str) -> list[str]:
    return sorted(_WITH_DIGIT.findall(text.lower()))


def write(path: Path, questions: Sequence[Question]) -> None:
    rows = label_rows(questions)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    print(f"{path.name}: {len(rows)} questions, {len({row['class'] for row in rows})} classes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stream", type=Path)
    parser.add_argument("--output", type=Path, default=HERE / "questions.jsonl")
    parser.add_argument("--held-out", type=Path, help="write the Advising questions that were not taken, for tuning")
    options = parser.parse_args()
    rng = random.Random(SEED)
    advising, rest = split_families(read_advising(options.stream), ADVISING_ROWS, rng)
    network = read_network(HERE / "network_operations.txt")
    by_family = {name: [q for q in network if q.family == name] for name in sorted({q.family for q in network})}
    network = with_repeats(interleave(by_family.values(), rng), NETWORK_REPEATS, rng)
    write(options.output, interleave([advising, network], rng))
    if options.held_out:
        write(options.held_out, rest)


if __name__ == "__main__":
    main()
