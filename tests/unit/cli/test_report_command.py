"""`llmcache report`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from llmcache_plugins import Answer, ConfigError, Request, Usage, open_cache
from llmcache_plugins.cli import main
from llmcache_plugins.cli.report_command import ReportOptions, run_report


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A cache that has answered two of three lookups."""
    url = f"disk://{tmp_path / 'cache.db'}"
    with open_cache(url, embedder=None) as cache:
        for _ in range(3):
            answer = Answer("said", usage=Usage(1_000_000, 0))
            cache.get_or_generate(Request("a", model="our-model"), lambda answer=answer: answer)
    return url


def said(options: ReportOptions) -> str:
    lines: list[str] = []
    assert run_report(options, lines.append) == 0
    return "\n".join(lines)


def test_it_says_what_a_cache_has_done(url: str) -> None:
    text = said(ReportOptions(url=url))
    assert "66.67%" in text
    assert "2 of 2 hits count as $0.10 each" in text


def test_the_url_may_come_from_the_environment(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCACHE_URL", url)
    assert said(ReportOptions(markdown=True)).startswith("# Cache report\n")
    monkeypatch.delenv("LLMCACHE_URL")
    with pytest.raises(ConfigError, match="LLMCACHE_URL"):
        run_report(ReportOptions())


def test_prices_and_costs_are_the_users(url: str, tmp_path: Path) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"currency": "EUR", "prices": [{"model": "our-*", "input": 3, "output": 1}]}))
    options = ReportOptions(url=url, json=True, prices=prices, hit_cost=0.5, setup_cost=60.0, monthly_lookups=3)
    money = json.loads(said(options))["money"]
    assert (money["currency"], money["gross"], money["net"], money["estimated_hits"]) == ("EUR", 6.0, 5.0, 0)
    assert money["projection"]["month"] == 5.0
    assert money["payback_days"] == pytest.approx(12 * 365.25 / 12)


def test_an_earlier_report_gives_the_trend(url: str, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier.json"
    earlier.write_text(said(ReportOptions(url=url, json=True)))
    with open_cache(url, embedder=None) as cache:
        cache.lookup(Request("a", model="our-model"))
    trend = json.loads(said(ReportOptions(url=url, json=True, compare=earlier)))["trend"]
    assert (trend["lookups"], trend["hit_rate"]) == (1, 1.0)


@pytest.mark.parametrize("text", ["no json", "[]", "{}"])
def test_a_file_that_is_no_report_is_refused(url: str, tmp_path: Path, text: str) -> None:
    path = tmp_path / "earlier.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="report"):
        run_report(ReportOptions(url=url, compare=path))
    with pytest.raises(ConfigError, match="No such file or directory"):
        run_report(ReportOptions(url=url, compare=tmp_path / "none.json"))


def test_two_forms_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="--json or --markdown"):
        ReportOptions(json=True, markdown=True)


def test_on_a_terminal_names_are_no_markup() -> None:
    pytest.importorskip("rich")
    from rich.console import Console

    from llmcache_plugins.cli.report_table import print_sections
    from llmcache_plugins.report import Section

    shown = io.StringIO()
    rows = [("[red]a[/red]", "1"), ("b", "2")]
    print_sections([Section("Types", rows, ("type", "hits"), ["A [note]."])], Console(file=shown, width=80))
    assert "[red]a[/red]" in shown.getvalue()
    assert "A [note]." in shown.getvalue()


def test_the_command_takes_every_option(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", url, "--json", "--setup-cost", "100", "--hit-cost", "0", "--monthly-lookups", "5000"]) == 0
    assert json.loads(capsys.readouterr().out)["version"] == 1
    assert main(["report", url, "--markdown", "--json"]) == 2
    assert "not both" in capsys.readouterr().err
    assert main(["report", url, "--hit-cost", "-1"]) == 2
