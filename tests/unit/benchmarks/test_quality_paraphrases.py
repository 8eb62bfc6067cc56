"""Vetoed paraphrases: counted in every part of the data, and listed for people to read."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quality.command import main
from benchmarks.quality.material import Material, load
from benchmarks.quality.paraphrases import guard_aim, write_vetoed
from benchmarks.quality.report import blocks_of
from benchmarks.quality.split import PARTS, write_rows
from llmcache_plugins.testing import FakeEmbedder

THINGS = tuple(
    f"{start}{end}" for start in ("disk", "tape", "drum", "card", "lamp") for end in ("s", " racks", " lids")
)


def row(thing: str, a: str, b: str, label: int = 1, **fields: str) -> dict[str, Any]:
    texts = {"a": a.format(thing), "b": b.format(thing)}
    return {**texts, "label": label, "lang": "en", "source": "own", "kind": "paraphrase", **fields}


def rows() -> list[dict[str, Any]]:
    """For each thing one paraphrase that guards let through, one that `numbers` vetoes, and what is not counted."""
    found = []
    for thing in THINGS:
        found += [
            row(thing, "how do I add {}", "how can I add {}"),
            row(thing, "how do I add 4 {}", "how do I add 6 {}", id=f"4 {thing}"),
            row(thing, "how do I sort 4 {}", "how do I sort 6 {}", 0),
            row(thing, "how do I pack 4 {}", "how do I pack 6 {}", lang="de"),
            row(thing, "how do I ship 4 {}", "how do I ship 6 {}", kind="paraphrase_numdiff"),
            row(thing, "how do I sell 4 {}", "how do I sell 6 {}", ambiguous="volatile_answer"),
        ]
    return found


class Near(FakeEmbedder):
    """Finds all questions about one thing near each other."""

    def __init__(self) -> None:
        texts = {one[side] for one in rows() for side in ("a", "b")}
        groups = {text: thing for text in texts for thing in THINGS if text.endswith(f" {thing}")}
        super().__init__(groups, similarity=0.97)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_rows(tmp_path / "data" / "pairs_dev.jsonl.gz", rows())
    return tmp_path / "data"


def loaded(data: Path, cache: Path) -> Material:
    return load(data, cache, Near(), lambda *step: None, threads=1)


def test_every_part_is_counted_once_and_the_whole_is_their_sum(data: Path, tmp_path: Path) -> None:
    aim = guard_aim(loaded(data, tmp_path / "cache"))
    parts = aim["parts"]
    assert list(parts) == list(PARTS)
    assert all(parts[part]["near"]["label 1"] for part in PARTS)
    assert sum(parts[part]["near"]["label 1"] for part in PARTS) == 2 * len(THINGS)
    assert aim["whole"]["near"] == {"label 0": 0, "label 1": 2 * len(THINGS)}
    assert sum(parts[part]["guards"]["numbers"]["label 1"] for part in PARTS) == len(THINGS)
    assert aim["whole"]["guards"]["numbers"]["label 1"] == len(THINGS)
    assert aim["whole"]["guards"]["all"]["label 1"] == len(THINGS)


def test_pairs_whose_values_may_differ_are_of_the_report_part(data: Path, tmp_path: Path) -> None:
    material = loaded(data, tmp_path / "cache")
    kinds = Counter(one.kind for one in material.report["pairs"].pairs)
    apart = guard_aim(material)["other values"]
    assert apart["near"]["label 1"] == kinds["paraphrase_numdiff"] > 0


def test_only_english_rewordings_of_the_other_parts_are_read(data: Path, tmp_path: Path) -> None:
    material = loaded(data, tmp_path / "cache")
    assert set(material.rewordings) == {"fit", "choose"}
    assert all(one.label == 1 and one.lang == "en" for part in material.rewordings.values() for one in part)


def test_a_cache_that_knows_the_report_part_alone_gets_the_others(data: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = loaded(data, cache)
    for part in ("fit", "choose"):
        (found,) = (cache / "parts").glob(f"*/{part}")
        shutil.rmtree(found)
    again = loaded(data, cache)
    assert again.rewordings == first.rewordings
    assert again.report == first.report


def test_vetoed_paraphrases_are_listed_with_part_guard_and_reason(data: Path, tmp_path: Path) -> None:
    material, file = loaded(data, tmp_path / "cache"), tmp_path / "new" / "vetoed.jsonl"
    count = write_vetoed(material, file)
    listed = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert count == len(listed) == len(THINGS)
    assert {one["id"] for one in listed} == {f"4 {thing}" for thing in THINGS}
    counts = guard_aim(material)["parts"]
    assert Counter(one["part"] for one in listed) == {
        part: counts[part]["guards"]["numbers"]["label 1"] for part in PARTS
    }
    assert listed[0]["part"] == "report"
    for one in listed:
        thing = one["id"].removeprefix("4 ")
        assert (one["a"], one["b"]) == (f"how do I add 4 {thing}", f"how do I add 6 {thing}")
        assert one["guards"].keys() == {"numbers"}
        assert one["guards"]["numbers"]
        assert one["similarity"] == pytest.approx(0.97, abs=0.01)


def test_the_command_lists_and_measures_nothing(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, output = tmp_path / "vetoed.jsonl", tmp_path / "docs"
    options = ["--data", str(data), "--cache", str(tmp_path / "cache"), "--output", str(output)]
    assert main([*options, "--vetoed", str(file)]) == 0
    assert f"{len(THINGS)} pairs" in capsys.readouterr().out
    assert len(file.read_text(encoding="utf-8").splitlines()) == len(THINGS)
    assert not output.exists()


@pytest.mark.parametrize("options", [["--vetoed", "vetoed.jsonl"], ["--keep-timing"]])
def test_what_needs_data_says_so(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(options)
    assert "need --data" in capsys.readouterr().err


def test_the_table_has_a_column_for_every_part() -> None:
    docs = Path(__file__).parents[3] / "docs" / "quality.json"
    head = blocks_of(json.loads(docs.read_text(encoding="utf-8")))["guard-aim"].splitlines()[0]
    assert all(name in head for name in ("all paraphrases", *(f"{part} part" for part in PARTS), "values may differ"))
