"""Where the pictures of `analyze`, `replay` and `tune` go: a wrong place is said before the work, and what is found
out when the place turns wrong meanwhile is printed all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmcache_plugins import ConfigError
from llmcache_plugins.cli import main
from llmcache_plugins.cli.plot_file import check_plot

pytest.importorskip("matplotlib")

COMMANDS = {
    "analyze": ["analyze", "LOG", "--exact-only", "--json"],
    "replay": ["replay", "LOG", "--json"],
    "tune": ["tune", "PAIRS", "--lexical", "--json"],
}
WORK = {
    "analyze": "llmcache_plugins.cli.log_analysis.profile_of",
    "replay": "llmcache_plugins.cli.replay.trace_of",
    "tune": "llmcache_plugins.cli.tune.tune",
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    log, pairs = tmp_path / "log.jsonl", tmp_path / "pairs.jsonl"
    log.write_text("".join(json.dumps({"question": f"question {n % 3}"}) + "\n" for n in range(30)), encoding="utf-8")
    rows = [
        {"a": f"How do I list all {topic} of a site?", "b": other.format(topic), "label": label}
        for topic in ("trunks", "neighbors", "zones", "tunnels", "maps", "labels", "ports", "hosts", "routes", "areas")
        for other, label in (("how can I list all {} of the site", 1), ("Who invented {}?", 0))
    ]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {"LOG": str(log), "PAIRS": str(pairs)}


def arguments(command: str, files: dict[str, str], plot: Path) -> list[str]:
    return [*(files.get(argument, argument) for argument in COMMANDS[command]), "--plot", str(plot)]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", ["none/plot.png", "plot.nonsense"])
def test_a_wrong_place_is_said_before_the_work(
    command: str,
    place: str,
    files: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def work(*given: object, **named: object) -> None:
        raise AssertionError("the work was begun")

    monkeypatch.setattr(WORK[command], work)
    assert main(arguments(command, files, tmp_path / place)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"llmcache {command}: the plot cannot be written to {tmp_path / place}: " in said.err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_result_is_printed_before_it_is_drawn(
    command: str,
    files: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*given: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    assert main(arguments(command, files, tmp_path / "plot.png")) == 2
    said = capsys.readouterr()
    assert json.loads(said.out), said.err
    assert "No space left on device" in said.err


def test_places_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("plot.png", "plot.SVG", "without_an_ending"):
        check_plot(tmp_path / place)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ConfigError, match="it is a folder"):
        check_plot(tmp_path / "folder.png")
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)  # the tests may be run by root
    with pytest.raises(ConfigError, match="this user cannot write there"):
        check_plot(tmp_path / "plot.png")
    (tmp_path / "plot.png").touch()
    check_plot(tmp_path / "plot.png")
