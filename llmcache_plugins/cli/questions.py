"""Labelled questions: JSON lines, as `examples/data/README.md` of the repository describes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmcache_plugins.errors import ConfigError, why

__all__ = ["KINDS", "Question", "find_data", "read_questions"]

KINDS = ("first", "repeat", "reworded", "look_alike")
_DATA = Path("examples", "data", "questions.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question of the stream.

    Args:
        label: the class; two questions have the same one exactly when the same answer is right for both.
        kind: one of `KINDS`: what the question is to those before it.
        differs_in: what sets a look-alike's class apart from those it resembles (`"number"`, `"negation"`, ...).
    """

    id: str
    query: str
    label: str
    kind: str
    source: str = ""
    differs_in: str = ""

    @property
    def family(self) -> str:
        """The class without its last part: the same question about something else."""
        return self.label.rpartition(":")[0]


def find_data(given: Path | None) -> Path:
    """The file of questions: the given one, else that of the repository this package lies in, or of the current folder.

    Raises:
        ConfigError: there is none; the message names `--data`.
    """
    places = [given] if given else [Path(__file__).parents[2] / _DATA, Path.cwd() / _DATA]
    for place in places:
        if place.is_file():
            return place
    if given:
        raise ConfigError(f"no such file: {given} (--data FILE)")
    raise ConfigError(
        f"{_DATA.as_posix()} is not here; run this in the repository's folder, or name a file: --data FILE"
    )


def read_questions(path: Path, limit: int | None = None) -> list[Question]:
    """The first `limit` questions of a file, in order of arrival.

    Raises:
        ConfigError: the file cannot be read, a line is not a question, or one text has two classes.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {why(error)}") from error
    questions = [_question(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()][:limit]
    if not questions:
        raise ConfigError(f"{path} holds no questions")
    _check_labels(path, questions)
    return questions


def _question(path: Path, number: int, line: str) -> Question:
    try:
        row: Any = json.loads(line)
        question = Question(
            id=str(row["id"]),
            query=row["query"],
            label=row["class"],
            kind=row["kind"],
            source=row.get("source", ""),
            differs_in=row.get("differs_in", ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f'{path}, line {number}: must be {{"id", "query", "class", "kind", ...}}') from error
    if question.kind not in KINDS:
        raise ConfigError(f"{path}, line {number}: kind must be one of {', '.join(KINDS)}, not {question.kind!r}")
    if not isinstance(question.query, str) or not question.query.strip() or not isinstance(question.label, str):
        raise ConfigError(f"{path}, line {number}: query and class must be non-empty strings")
    return question


def _check_labels(path: Path, questions: Sequence[Question]) -> None:
    labels: dict[str, str] = {}
    for question in questions:
        if labels.setdefault(question.query, question.label) != question.label:
            raise ConfigError(f"{path}: the question {question.id} has another class than the same text before")
