"""`llmcache tune`: the JSON, the table, the plot, unlabelled rows, proposals from a near-miss log."""

from __future__ import annotations

import gzip
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Answer, Request, open_cache
from llmcache_plugins.cli import main
from llmcache_plugins.cli.tune import TuneOptions, run_tune
from llmcache_plugins.matching.lexical import LexicalMatcher
from llmcache_plugins.testing import FakeEmbedder

TOPICS = [
    "OSPF areas",
    "BGP peers",
    "VLAN trunks",
    "NTP servers",
    "DNS zones",
    "VPN tunnels",
    "MPLS labels",
    "QoS maps",
]
ROWS = [
    row
    for topic in TOPICS
    for row in (
        {"a": f"How do I list all {topic} of a site?", "b": f"how can I list all {topic} of the site", "label": 1},
        {"a": f"How do I list all {topic} of a site?", "b": f"How do I delete all {topic} of a site?", "label": 0},
        {"a": f"How do I list all {topic} of a site?", "b": f"Who invented {topic}?", "label": 0},
    )
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write(tmp_path / "pairs.jsonl", ROWS)


def run_json(*arguments: object, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["tune", *map(str, arguments), "--lexical", "--json"]) == 0
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


def test_json_says_what_each_setting_did_and_which_to_take(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = run_json(pairs, "--cost-per-call", "0.02", capsys=capsys)
    assert (content["rows"], content["unlabelled"], content["ambiguous"]) == (24, 0, 0)
    names = {"setting", "hit_rate", "hit_rate_interval", "error_rate", "precision", "recall", "saving_per_1000"}
    assert all(names <= set(one) for one in content["settings"])
    best = content["recommended"]
    assert best["recall"] == 1.0
    assert best["error_rate"] == 0.0
    assert best["saving_per_1000"] == pytest.approx(1000 * 0.02 / 3)
    assert best["is_sure"] is False
    assert best["pairs_needed"] == 381
    assert best["held_out"]["rows"] == 24


def test_the_line_to_paste_opens_a_cache_that_does_the_same(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_json(pairs, capsys=capsys)["recommended"]["code"]
    names: dict[str, Any] = {"open_cache": open_cache}
    exec(code, names)
    with closing(names["cache"]) as cache:
        for row in ROWS:
            cache.update(Request(row["a"], namespace=(row["b"],)), Answer("x"))
            assert bool(hasattr(cache.lookup(Request(row["b"], namespace=(row["b"],))), "entry")) is bool(row["label"])


def test_the_table_has_every_setting_and_the_advice(pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", str(pairs), "--lexical"]) == 0
    said = capsys.readouterr().out
    for text in (
        "24 pairs",
        "with guards",
        "without guards",
        "budget 1 %",
        "score 0.75",
        "Recommended:",
        "Not sure yet",
    ):
        assert text in said
    assert "cache = open_cache(embedder=LexicalMatcher(), " in said


def test_the_embedder_is_tuned_by_default(pairs: Path) -> None:
    said: list[str] = []
    groups = {text: row["a"] if row["label"] else row["b"] for row in ROWS for text in (row["a"], row["b"])}
    groups |= {row["a"]: row["a"] for row in ROWS}
    make = lambda: FakeEmbedder(groups, similarity=0.965)  # noqa: E731
    assert run_tune(TuneOptions(pairs=[pairs], as_json=True), make_embedder=make, write=said.append) == 0
    content = json.loads(said[0])
    assert content["recommended"]["recall"] == 1.0
    assert "LexicalMatcher" not in content["recommended"]["code"]


def test_nothing_is_recommended_when_every_setting_errs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = [{"a": f"question {n}?", "b": f"question {n}?", "label": n % 2} for n in range(30)]
    path = write(tmp_path / "same.jsonl", same)
    assert run_json(path, capsys=capsys)["recommended"] is None
    assert main(["tune", str(path), "--lexical"]) == 0
    assert "No setting keeps wrong hits within 1 %" in capsys.readouterr().out


def test_several_files_are_one_set_of_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine, more = write(tmp_path / "mine.jsonl", ROWS[:9]), write(tmp_path / "more.jsonl", ROWS[9:])
    together = run_json(mine, more, capsys=capsys)
    assert (together["files"], together["rows"]) == (["mine.jsonl", "more.jsonl"], 24)
    assert together["recommended"] == run_json(write(tmp_path / "all.jsonl", ROWS), capsys=capsys)["recommended"]


def test_rows_without_a_label_are_skipped_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [
        {"a": "x", "b": "y", "label": None},
        *ROWS,
        {"a": "label", "b": "null", "label": None},
    ]
    plain = write(tmp_path / "some.jsonl", rows)
    zipped = tmp_path / "some.jsonl.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, zipped):
        content = run_json(path, capsys=capsys)
        assert (content["rows"], content["unlabelled"]) == (24, 2)
    assert main(["tune", str(plain), "--lexical"]) == 0
    assert "Rows without a label, skipped: 2." in capsys.readouterr().out


BAD: list[tuple[str, list[dict[str, Any]], str]] = [
    ("empty.jsonl", [], "holds no rows"),
    ("todo.jsonl", [{"a": "x", "b": "y", "label": None}] * 3, "none of the 3 rows has a label yet"),
    ("few.jsonl", ROWS[:6], "too few labelled pairs"),
    ("stream.jsonl", [{"query": "x", "class": "y"}], "is a stream"),
    ("wrong.jsonl", [{"a": "x", "b": "y", "label": None}, ROWS[0], {"a": "x", "b": "y", "label": 3}], "line 3"),
]


@pytest.mark.parametrize(("name", "rows", "message"), BAD, ids=[name for name, _, _ in BAD])
def test_a_file_that_cannot_be_used_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, rows: list[dict[str, Any]], message: str
) -> None:
    path = write(tmp_path / name, rows)
    assert main(["tune", str(path), "--lexical"]) == 2
    said = capsys.readouterr().err
    assert message in said
    if message.startswith("line"):
        assert f"{path}, {message}" in said


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["pairs.jsonl", "--from-log", "log.jsonl"],
        ["--from-log", "log.jsonl", "--json"],
        ["--from-log", "log.jsonl", "--plot", "x.png"],
        ["none.jsonl"],
        ["--from-log", "none.jsonl"],
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", *arguments]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("option", "value"), [("--cost-per-call", "-1"), ("--cost-per-call", "nan"), ("--max-error-rate", "2")]
)
def test_numbers_out_of_range_are_refused(
    pairs: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", str(pairs), "--lexical", option, value]) == 2
    assert "must be" in capsys.readouterr().err


def test_a_plot_is_a_picture(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    plot = tmp_path / "tuning.png"
    run_json(pairs, "--plot", plot, capsys=capsys)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert main(["tune", str(pairs), "--lexical", "--json", "--plot", str(tmp_path / "tuning.exe")]) == 2


def test_without_matplotlib_the_line_to_type_is_said(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "llmcache_plugins.cli.tune_plot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["tune", str(pairs), "--lexical", "--plot", str(tmp_path / "x.png")]) == 2
    said = capsys.readouterr()
    assert "pip install 'llmcache-plugins[" in said.err
    assert said.out == ""


def test_proposals_of_a_log_can_be_labelled_and_tuned_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "near.jsonl"
    with closing(open_cache("memory://", embedder=LexicalMatcher(), near_miss_file=log, max_error_rate=0.001)) as cache:
        for row in ROWS:
            space = (row["b"],)
            cache.update(Request(row["a"], namespace=space), Answer("x"))
            cache.lookup(Request(row["b"], namespace=space))
    assert main(["tune", "--from-log", str(log), "--top", "20"]) == 0
    said = capsys.readouterr()
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert len(rows) == 20
    assert "20 of 24 pairs in 24 near misses" in said.err
    truth = {(row["a"], row["b"]): row["label"] for row in ROWS}
    labelled = write(tmp_path / "mine.jsonl", [{**row, "label": truth[row["a"], row["b"]]} for row in rows])
    assert run_json(labelled, capsys=capsys)["rows"] == 20
