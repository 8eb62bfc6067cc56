"""The file of questions: read strictly, and well-formed as it is shipped."""

from __future__ import annotations

import json
import re
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins.cli.questions import find_data, read_questions
from llmcache_plugins.cli.summary import GUARD_KINDS
from llmcache_plugins.errors import ConfigError

ROOT = Path(__file__).parents[3]
DATA = ROOT / "examples" / "data"
ROW = {"id": "q1", "query": "a", "class": "s:f:v", "kind": "first", "source": "s"}


def shipped() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / "questions.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_shipped_file_is_found_and_large_enough() -> None:
    path = find_data(None)
    questions = read_questions(path)
    assert path == DATA / "questions.jsonl"
    assert 400 <= len(questions) <= 600
    kinds = Counter(question.kind for question in questions)
    assert min(kinds["repeat"], kinds["reworded"], kinds["look_alike"]) >= 100
    assert read_questions(path, limit=7) == questions[:7]


def test_ids_are_unique_and_in_order() -> None:
    ids = [row["id"] for row in shipped()]
    assert ids == sorted(set(ids))


def test_every_kind_says_what_a_question_is_to_those_before_it() -> None:
    queries: set[str] = set()
    labels: set[str] = set()
    families: set[str] = set()
    for row in shipped():
        label, family = row["class"], row["class"].rpartition(":")[0]
        is_repeat, is_known, has_family = row["query"] in queries, label in labels, family in families
        expected = "repeat" if is_repeat else "reworded" if is_known else "look_alike" if has_family else "first"
        assert row["kind"] == expected, row
        assert not is_repeat or is_known, f"the same text in two classes: {row}"
        assert (row["kind"] != "look_alike") or row["differs_in"] in GUARD_KINDS | {"name", "topic"}, row
        queries.add(row["query"])
        labels.add(label)
        families.add(family)


def test_every_row_names_its_source_and_the_readme_credits_it() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for row in shipped():
        assert row["class"].startswith(f"{row['source']}:")
    assert {row["source"] for row in shipped()} == {"advising", "network"}
    assert "creativecommons.org/licenses/by/4.0" in readme
    assert "Finegan-Dollak" in readme
    assert str(len(shipped())) in readme


def test_questions_of_one_class_name_the_same_device_and_address() -> None:
    """What engineers call by name decides the answer, so all wordings of a hand-made class carry the same names."""
    names = re.compile(r"rtr-\d+|Gi[\d/]+|\d+\.\d+\.\d+(?:\.\d+)?(?:/\d+)?|VLAN \d+|\d{4}-\d\d-\d\d", re.IGNORECASE)
    by_label: dict[str, set[tuple[str, ...]]] = {}
    for row in shipped():
        if row["source"] == "network":
            found = tuple(sorted(name.lower() for name in names.findall(row["query"])))
            by_label.setdefault(row["class"], set()).add(found)
    assert {label: found for label, found in by_label.items() if len(found) > 1} == {}


def test_the_script_labels_a_stream_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = tmp_path / "stream.jsonl"
    rows = [
        {"query": "Is there a lab in 525?", "class": "advising:162:aa"},
        {"query": "Does 353 have a lab?", "class": "advising:162:bb"},
        {"query": "Does 525 have a lab?", "class": "advising:162:aa"},
        {"query": "Has Jane Doe taught 141?", "class": "advising:140:cc"},
        {"query": "flights to boston", "class": "atis:1:dd"},
    ]
    stream.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    outputs = []
    for name in ("one.jsonl", "two.jsonl"):
        monkeypatch.setattr("sys.argv", ["make_questions.py", str(stream), "--output", str(tmp_path / name)])
        runpy.run_path(str(DATA / "make_questions.py"), run_name="__main__")
        outputs.append((tmp_path / name).read_text(encoding="utf-8"))
    assert outputs[0] == outputs[1]
    advising = [row for row in map(json.loads, outputs[0].splitlines()) if row["source"] == "advising"]
    assert [(row["query"], row["kind"]) for row in advising] == [
        ("Is there a lab in 525?", "first"),
        ("Does 353 have a lab?", "look_alike"),
        ("Does 525 have a lab?", "reworded"),
    ]
    assert advising[1]["differs_in"] == "number"


@pytest.mark.parametrize(
    ("change", "wording"),
    [
        ({"kind": "odd"}, "kind must be one of"),
        ({"query": " "}, "non-empty"),
        ({"query": None}, "non-empty"),
        ({"class": 3}, "non-empty"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, change: dict[str, Any], wording: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, **change}) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"line 2: .*{wording}"):
        read_questions(path)


@pytest.mark.parametrize("content", ["{}\n", "[]\n", "no json\n", "", "\n"])
def test_a_file_without_questions_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(path.name)):
        read_questions(path)


def test_one_text_with_two_classes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps({**ROW, "id": "q2", "class": "s:f:w"}), encoding="utf-8")
    with pytest.raises(ConfigError, match="q2"):
        read_questions(path)


def test_a_missing_file_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--data"):
        find_data(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_questions(tmp_path)
