"""`llmcache top`: counts, rates since the last look, and how it ends."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest

from llmcache_plugins import CacheStats, ConfigError, open_cache
from llmcache_plugins.cli import main
from llmcache_plugins.cli.rates import rates_between
from llmcache_plugins.cli.top import TopOptions, run_top
from llmcache_plugins.counters import LATENCY_BOUNDS, Latency
from llmcache_plugins.report import Section


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"disk://{tmp_path}/cache.db"
    with open_cache(url, embedder=None) as cache:
        cache.update("What is BGP?", "a protocol")
        cache.lookup("What is BGP?")
        cache.lookup("What is OSPF?")
    return url


def test_once_shows_the_counts_and_ends(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--store", url, "--once"]) == 0
    said = capsys.readouterr().out
    assert "2, hit rate 50.0%" in said
    assert "from the second look on" in said
    assert "1 entries" in said
    assert "BGP" not in said


def test_as_json_it_looks_once(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--store", url, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["nodes"], told["lookups"], told["hits"]) == (1, 2, {"exact": 1})


def test_each_look_shows_what_has_been_done_since_the_last_until_it_is_stopped(url: str) -> None:
    said: list[str] = []
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            raise KeyboardInterrupt
        if len(waited) == 1:
            with open_cache(url, embedder=None) as cache:
                for _ in range(10):
                    cache.lookup("What is BGP?")

    instants = iter([0.0, 5.0, 10.0])
    assert run_top(TopOptions(store=url, interval=5.0), said.append, wait=wait, now=lambda: next(instants)) == 0
    assert waited == [5.0, 5.0, 5.0]
    first, busy, idle = said
    assert "from the second look on" in first
    assert "2.0 / s" in busy
    assert "100.0%" in busy
    assert "2.0 / s" not in idle


def test_ctrl_c_is_no_failure(url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llmcache_plugins.cli.top.time.sleep", stop)
    assert run_top(TopOptions(store=url), wait=stop) == 0
    assert "lookups" in capsys.readouterr().out


def test_rates_are_of_what_has_grown() -> None:
    before = CacheStats(hits={"exact": 10}, misses={"expired": 5}, updates=1)
    after = CacheStats(hits={"exact": 40}, misses={"expired": 15}, updates=11, errors={"disk: StoreError": 20})
    rates = rates_between(before, after, 10.0)
    assert (rates.lookups, rates.hits, rates.misses, rates.updates, rates.errors) == (4.0, 3.0, 1.0, 1.0, 2.0)
    assert rates.hit_rate == 0.75
    assert rates.hit_latency is None


def test_counts_that_began_anew_give_no_negative_rate() -> None:
    rates = rates_between(CacheStats(hits={"exact": 1000}), CacheStats(hits={"exact": 10}), 10.0)
    assert (rates.hits, rates.hit_rate) == (1.0, 1.0)
    assert rates_between(CacheStats(), CacheStats(), 1.0).hit_rate is None


def test_the_latency_is_that_of_the_hits_since_the_last_look() -> None:
    fast = Latency(100, 0.1, (100,) + (0,) * len(LATENCY_BOUNDS))
    then_slow = Latency(110, 1000.1, (100,) + (0,) * (len(LATENCY_BOUNDS) - 1) + (10,))
    rates = rates_between(CacheStats(latency={"hit": fast}), CacheStats(latency={"hit": then_slow}), 1.0)
    assert rates.hit_latency == math.inf


@pytest.mark.parametrize("interval", [0.0, -1.0, 3601.0, math.nan])
def test_an_interval_out_of_range_is_refused(interval: float) -> None:
    with pytest.raises(ConfigError, match="--interval must be from"):
        TopOptions(interval=interval)


def test_on_a_terminal_one_picture_takes_the_place_of_the_other() -> None:
    from rich.console import Console

    from llmcache_plugins.cli.top_screen import live

    out = io.StringIO()
    with live(Console(file=out, force_terminal=True, width=60)) as draw:
        draw([Section("Now", [("[red]acme[/red]", "1")])])
        draw([Section("Now", [("[red]acme[/red]", "2")])])
    assert "[red]acme[/red]" in out.getvalue(), "a name is no markup"
    assert "\x1b[1A" in out.getvalue(), "the second goes up to where the first began"
