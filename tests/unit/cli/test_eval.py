"""`llmcache eval`: names in the JSON, exit codes, what is said of bad files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins.cli import main
from llmcache_plugins.cli.eval import EvalOptions, run_eval
from llmcache_plugins.testing import FakeEmbedder

GROUPS = {"hi there": "greeting", "hello there": "greeting", "enable it": "switch", "disable it": "switch"}
PAIRS = [
    {"a": "hi there", "b": "hello there", "label": 1, "source": "mine", "kind": "paraphrase", "family": "control"},
    {
        "a": "enable it",
        "b": "disable it",
        "label": 0,
        "source": "report_wrong",
        "kind": "reported",
        "family": "polarity",
    },
    {"a": "hi there", "b": "enable it", "label": 0, "source": "mine", "ambiguous": "side_effect"},
]
STREAM = [
    {"query": "hi there", "class": "greeting", "seen": "new"},
    {"query": "hello there", "class": "greeting", "seen": "variant"},
]
TALK = [
    {
        "a": {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi there"}]},
        "b": {"messages": [{"role": "system", "content": system}, {"role": "user", "content": "hello there"}]},
        "label": label,
    }
    for system, label in (("Be brief.", 1), ("Be rude.", 0))
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [
        write(tmp_path / name, rows)
        for name, rows in (("pairs.jsonl", PAIRS), ("stream.jsonl", STREAM), ("talk.jsonl", TALK))
    ]


def evaluated(files: list[Path], **options: Any) -> dict[str, Any]:
    said: list[str] = []
    run = EvalOptions(files=files, as_json=True, **options)
    assert run_eval(run, make_embedder=lambda: FakeEmbedder(GROUPS), write=said.append) == 0
    assert len(said) == 1
    content: dict[str, Any] = json.loads(said[0])
    return content


def test_json_has_the_agreed_names(files: list[Path]) -> None:
    content = evaluated(files)
    assert set(content) == {"files", "config"}
    pairs, stream, talk = (content["files"][name] for name in ("pairs.jsonl", "stream.jsonl", "talk.jsonl"))
    assert [one["kind"] for one in (pairs, stream, talk)] == ["pairs", "stream", "conversations"]
    for one in (pairs, talk):
        assert {"rows", "recall", "wrong_hit_rate", "error_rate", "precision", "intervals", "counts"} <= set(one)
    names = {"rows", "hit_rate", "error_rate", "unjudged_rate", "precision", "variant_hit_rate", "intervals"}
    assert names <= set(stream)
    assert {"by_source", "by_family", "by_kind", "ambiguous", "mean_wrong_hit_rate"} <= set(pairs)


def test_scores_are_those_of_the_public_look_ups(files: list[Path]) -> None:
    content = evaluated(files)["files"]
    assert (content["pairs.jsonl"]["recall"], content["pairs.jsonl"]["wrong_hit_rate"]) == (1.0, 0.0)
    assert content["stream.jsonl"]["variant_hit_rate"] == 1.0
    assert (content["talk.jsonl"]["recall"], content["talk.jsonl"]["wrong_hit_rate"]) == (1.0, 0.0)


def test_options_change_what_hits(files: list[Path]) -> None:
    assert evaluated(files, use_guards=False)["files"]["pairs.jsonl"]["wrong_hit_rate"] == 1.0
    assert evaluated(files, similarity_threshold=0.999)["files"]["pairs.jsonl"]["recall"] == 0.0
    exact = evaluated(files, exact_only=True)
    assert exact["files"]["stream.jsonl"]["hit_rate"] == 0.0
    assert exact["config"]["embedder_id"] is None


def test_lexical_matcher_needs_no_model(files: list[Path]) -> None:
    rows = [{"a": "How do I enable SNMP?", "b": "How can I enable SNMP?", "label": 1}]
    write(files[0], rows)
    content = evaluated(files[:1], embedder="lexical")
    assert content["files"]["pairs.jsonl"]["recall"] == 1.0
    assert content["config"]["embedder_id"].startswith("lexical")


def test_config_says_what_decided(files: list[Path]) -> None:
    config = evaluated(files, similarity_threshold=0.9)["config"]
    assert config["embedder_id"] == FakeEmbedder().embedder_id
    assert (config["similarity_threshold"], config["max_error_rate"], config["use_guards"]) == (0.9, None, True)
    assert "0.9" in config["policy"]


def test_two_files_of_one_name_go_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    files = [write(tmp_path / "s.jsonl", STREAM), write(tmp_path / "x" / "s.jsonl", STREAM)]
    assert set(evaluated(files)["files"]) == {str(path) for path in files}


def test_tables_show_rates_with_intervals(
    files: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert run_eval(EvalOptions(files=files), make_embedder=lambda: FakeEmbedder(GROUPS)) == 0
    output = capsys.readouterr().out
    for said in ("pairs.jsonl", "stream.jsonl", "100.0%", "95 % interval", "polarity", "left out", "mean over"):
        assert said in output


@pytest.mark.parametrize(
    ("content", "said"), [(None, "no such file"), ("", "no rows"), ('{"a": "x"}', "line 1"), ("{", "not JSON")]
)
def test_bad_file_is_named_and_nothing_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, said: str
) -> None:
    path = tmp_path / "rows.jsonl"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert main(["eval", str(path), "--json", "--exact-only"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert str(path) in output.err
    assert said in output.err


@pytest.mark.parametrize(
    "arguments", [["eval"], ["eval", "x", "--max-error-rate", "much"], ["eval", "x", "--no-such-option"]]
)
def test_wrong_arguments_fail(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "Usage: llmcache" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--max-error-rate", "0"], ["--similarity-threshold", "1.5"]])
def test_value_out_of_range_fails_before_any_work(
    files: list[Path], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(["eval", str(files[0]), *arguments]) == 2
    assert arguments[0].removeprefix("--").replace("-", "_") in capsys.readouterr().err


def test_command_prints_one_json_object(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", *map(str, files), "--json", "--exact-only"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["files"]["stream.jsonl"]["rows"] == 2
    assert output.err == ""
