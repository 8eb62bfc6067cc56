"""A tiny run of the quality benchmark from labelled files to tables and pictures. No figure is asserted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quality.command import kept_timing, write
from benchmarks.quality.curves import curve_of
from benchmarks.quality.material import Material, load
from benchmarks.quality.measure import FOW, MINIMAL, NATURAL, about, measure
from benchmarks.quality.pairs import CHAIN, run_pairs
from benchmarks.quality.report import blocks_of
from benchmarks.quality.split import write_rows
from benchmarks.quality.targets import Target, targets_of
from llmcache_plugins.evaluation import LabelledPair, PreparedEmbedder, request_of
from llmcache_plugins.testing import FakeEmbedder

WORDS = ("router", "switch", "tunnel", "server", "bridge", "beacon", "filter", "packet", "socket", "mirror")


class Lookalike(FakeEmbedder):
    """Finds every two texts with the same last word near each other."""

    def __init__(self) -> None:
        texts = [f"{start} {word}" for word in WORDS for start in ("show the", "display the", "hide the")]
        super().__init__({text: text.split()[-1] for text in texts}, similarity=0.97)


def pair(a: str, b: str, label: int, **fields: str) -> dict[str, Any]:
    return {"a": a, "b": b, "label": label, "lang": "en", "source": "own", **fields}


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    folder = tmp_path_factory.mktemp("data")
    same = [pair(f"show the {word}", f"display the {word}", 1, kind="paraphrase") for word in WORDS]
    other = [pair(f"show the {word}", f"hide the {word}", 0, kind="near_miss") for word in WORDS]
    minimal = [{**row, "family": "polarity" if row["label"] == 0 else "control"} for row in same + other]
    fow = [{**row, "source": "fow_cache"} for row in minimal[:2] + minimal[-2:]]

    def chat(text: str) -> dict[str, Any]:
        return {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]}

    talks = [{**row, "a": chat(row["a"]), "b": chat(row["b"])} for row in same + other]
    stream = [{"query": row[side], "class": row["b"], "seen": "new"} for row in same for side in ("a", "b")]
    files = {
        "pairs": same + other,
        "adversarial": minimal + fow,
        "conversations": talks,
        "stream_qqp_zipf": stream,
        "stream_hint3_curekart": stream,
    }
    for name, rows in files.items():
        write_rows(folder / f"{name}_dev.jsonl.gz", rows)
    return load(folder, folder / "cache", Lookalike(), lambda *step: None, threads=1)


@pytest.fixture(scope="module")
def results(material: Material) -> dict[str, Any]:
    measured = measure(material, Lookalike(), lambda step: lambda *progress: None)
    assert isinstance(measured, dict)
    return measured


def test_only_the_report_part_is_measured(material: Material) -> None:
    assert 0 < len(material.report["pairs"]) < 2 * len(WORDS)
    assert len(material.whole["stream_qqp_zipf"]) == 2 * len(WORDS)
    assert {row.source for row in material.report["adversarial"].pairs} >= {"fow_cache"}


def test_document_has_a_place_for_every_table(results: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    write(results, tmp_path)
    document = (tmp_path / "quality.md").read_text(encoding="utf-8")
    assert all(block.strip() for block in blocks_of(results).values())
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "adaptive.png",
        "quality-curves.png",
        "quality-streams.png",
        "quality-families.png",
        "quality-reliability.png",
    }
    again = json.loads((tmp_path / "quality.json").read_text(encoding="utf-8"))
    assert all(block in document for block in blocks_of(again).values())


def test_times_that_are_kept_are_told_as_those_of_an_earlier_run(results: dict[str, Any], material: Material) -> None:
    assert "earlier run" not in blocks_of(results)["timing"]
    kept = {**kept_timing(results, about(material)), "mean": 0.0125}
    again = measure(material, Lookalike(), lambda step: lambda *progress: None, timed=kept)
    assert again["timing"] == kept
    assert "earlier run" in blocks_of(again)["timing"]
    assert "12.500 ms" in blocks_of(again)["timing"]


@pytest.mark.parametrize("changed", ["guards_version", "calibration", "data_hash"])
def test_times_of_other_guards_or_data_are_not_kept(results: dict[str, Any], changed: str) -> None:
    with pytest.raises(SystemExit, match=changed):
        kept_timing(results, {**results["about"], changed: "another"})


def test_targets_cover_pairs_conversations_every_stream_and_time(results: dict[str, Any]) -> None:
    said = " ".join(target.what for target in targets_of(results))
    for name in (
        NATURAL,
        MINIMAL,
        FOW,
        "conversations",
        "2 streams, whole",
        "mean hit rate",
        "look-up",
        "all three parts",
        "report part alone",
    ):
        assert name in said


@pytest.mark.parametrize(("is_most", "is_reached"), [(True, True), (False, False)])
def test_target_is_reached_on_the_right_side_of_its_limit(is_most: bool, is_reached: bool) -> None:
    assert Target("x", 0.01, 0.02, is_most).is_reached is is_reached
    assert Target("x", 0.02, 0.02, is_most).is_reached


def test_the_curve_of_the_chain_is_that_of_the_public_look_ups(material: Material, results: dict[str, Any]) -> None:
    assert results["about"]["disagreements"] == 0


def test_context_decides_for_us_and_not_for_a_rule_that_reads_the_last_turn_alone() -> None:
    def chat(system: str) -> Any:
        return request_of(
            {"messages": [{"role": "system", "content": system}, {"role": "user", "content": "show the router"}]}
        )

    row = LabelledPair(id="", a=chat("one"), b=chat("two"), label=0)
    runs = run_pairs([row], PreparedEmbedder(Lookalike()), None, lambda *step: None)
    assert not runs.hits[CHAIN][0]
    assert not runs.hits["redisvl (distance 0.1)"][0]
    assert runs.hits["GPTCache (cosine 0.60)"][0]
    assert curve_of(runs.scores[CHAIN], runs.labels).wrong.tolist() == []


def test_repository_document_is_made_of_its_numbers() -> None:
    docs = Path(__file__).parents[3] / "docs"
    document = (docs / "quality.md").read_text(encoding="utf-8")
    results = json.loads((docs / "quality.json").read_text(encoding="utf-8"))
    for name, block in blocks_of(results).items():
        assert block in document, name
