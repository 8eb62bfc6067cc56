"""`llmcache analyze LOG` and `llmcache replay LOG`: what they print, as text, JSON and pictures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import ConfigError, MissingExtraError
from llmcache_plugins.cli.log_analysis import LogAnalysisOptions, is_log, run_log_analysis
from llmcache_plugins.cli.replay import ReplayOptions, run_replay
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.testing import FakeEmbedder

QUESTIONS = ["Show BGP neighbors", "Display BGP neighbors", "What is OSPF?", "List VLAN trunks"]


def make_embedder() -> Embedder:
    return FakeEmbedder({"Show BGP neighbors": "bgp", "Display BGP neighbors": "bgp"})


def not_installed() -> Embedder:
    raise MissingExtraError("the default embedder", "local")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "calls.jsonl"
    rows = [{"question": QUESTIONS[number % 4], "timestamp": 600.0 * number} for number in range(200)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n{broken\n", encoding="utf-8")
    return path


def analyzed(log: Path, **options: Any) -> dict[str, Any]:
    said: list[str] = []
    assert (
        run_log_analysis(LogAnalysisOptions(log=log, as_json=True, **options), said.append, make_embedder=make_embedder)
        == 0
    )
    (line,) = said
    content: dict[str, Any] = json.loads(line)
    return content


def test_meaning_answers_what_exact_repeats_do_not(log: Path) -> None:
    with_meaning = analyzed(log)
    exact = analyzed(log, exact_only=True)
    assert exact["hit_rate"]["value"] == pytest.approx(196 / 200)
    assert exact["hits"].keys() == {"exact"}
    assert with_meaning["hit_rate"]["value"] == pytest.approx(197 / 200)
    assert with_meaning["clusters"] == [100, 50, 50]
    assert (exact["lines"], exact["calls"], exact["left_out"]) == (201, 200, {"not JSON": 1})
    assert (exact["embedder_id"], with_meaning["embedder_id"]) == (None, make_embedder().embedder_id)


def test_the_text_says_what_was_left_out_and_shows_no_question_unless_asked(log: Path) -> None:
    said: list[str] = []
    run_log_analysis(LogAnalysisOptions(log=log), said.append, make_embedder=make_embedder)
    text = "\n".join(said)
    assert "201 lines, 200 as fields; left out: 1 (not JSON)" in text
    assert "expected hit rate: 9" in text
    assert "saving in a month" in text
    assert "BGP" not in text
    said.clear()
    run_log_analysis(LogAnalysisOptions(log=log, with_text=True, top=1), said.append, make_embedder=make_embedder)
    assert said[-1].endswith("BGP neighbors")


def test_without_an_embedder_exact_repeats_are_counted_and_it_is_said(log: Path) -> None:
    said: list[str] = []
    assert run_log_analysis(LogAnalysisOptions(log=log), said.append, make_embedder=not_installed) == 0
    assert "pip install 'llmcache-plugins[local]'" in said[-1]


def test_the_prices_given_are_those_reckoned_with(log: Path) -> None:
    saving = analyzed(log, calls_per_month=1000.0, call_cost=2.0, hit_cost=1.0, exact_only=True)["saving_per_month"]
    assert saving["value"] == pytest.approx(980.0)
    assert saving["spent"] == pytest.approx(2000.0)


def test_a_log_without_calls_is_refused_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": 1}\n')
    with pytest.raises(ConfigError, match=r"holds no model calls; left out: 1 \(no question\)"):
        run_log_analysis(LogAnalysisOptions(log=path, exact_only=True))
    with pytest.raises(ConfigError, match="holds no model calls"):
        run_replay(ReplayOptions(log=path))


def test_a_replay_compares_configurations_with_the_optimum_first(log: Path) -> None:
    said: list[str] = []
    assert run_replay(ReplayOptions(log=log, sizes=(2, 4), ttls=(None, 3600.0), as_json=True), said.append) == 0
    content = json.loads(said[0])
    assert (content["calls"], content["distinct"]) == (200, 4)
    assert len(content["rows"]) == 2 * 2 * 6
    by_name = {(one["name"], one["entries"], one["ttl"]): one["hit_rate"] for one in content["rows"]}
    assert by_name["lru", 2, None] == 0.0  # four questions in turn through two places: each leaves just too early
    assert by_name["lru", 4, None] == 196 / 200
    assert by_name["optimum (knows the future)", 2, None] > 0.3
    for size in (2, 4):
        for ttl in (None, 3600.0):
            rates = {name: rate for (name, entries, lives), rate in by_name.items() if (entries, lives) == (size, ttl)}
            assert max(rates.values()) == rates["optimum (knows the future)"]


def test_a_replay_by_meaning_has_one_key_for_what_one_answer_does_for(log: Path) -> None:
    said: list[str] = []
    options = ReplayOptions(log=log, sizes=(4,), by_meaning=True, as_json=True)
    run_replay(options, said.append, make_embedder=make_embedder)
    assert json.loads(said[0])["distinct"] == len(analyzed(log)["clusters"])


def test_a_replay_prints_a_table(log: Path) -> None:
    said: list[str] = []
    run_replay(ReplayOptions(log=log), said.append)
    assert "200 calls, 4 different" in said[0]
    assert "three tiers" in said[0]
    assert "optimum" in said[0]


def test_wrong_options_are_refused_before_anything_is_read(log: Path) -> None:
    with pytest.raises(ConfigError, match="--sample must be an integer of at least 1"):
        LogAnalysisOptions(log=log, sample=0)
    with pytest.raises(ConfigError, match="a size must be an integer of at least 1"):
        run_replay(ReplayOptions(log=log, sizes=(0,)))
    with pytest.raises(ConfigError, match="there is no file"):
        run_replay(ReplayOptions(log=log.with_name("none")))


def test_both_draw_a_picture(log: Path) -> None:
    pytest.importorskip("matplotlib")
    pictures = [log.with_name("a.png"), log.with_name("b.png")]
    analyzed(log, plot=pictures[0])
    run_replay(ReplayOptions(log=log, plot=pictures[1]), lambda line: None)
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match="the plot cannot be written"):
        analyzed(log, plot=log.with_name("a.nonsense"))


@pytest.mark.parametrize(
    ("argument", "expected"),
    [("calls.jsonl", True), ("/var/log/calls.csv.gz", True), ("disk:///a.db", False), ("redis://h:1/0", False)],
)
def test_a_cache_url_is_no_log(argument: str, expected: bool) -> None:
    assert is_log(argument) is expected


def test_a_terminal_sees_how_far_the_reading_is(
    log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    analyzed(log)
    assert "replaying" in capsys.readouterr().err
