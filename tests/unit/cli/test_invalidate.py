"""`llmcache invalidate`: what it removes, what it says, and what it refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmcache_plugins import Request, open_cache
from llmcache_plugins.cli import main


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"disk://{tmp_path}/cache.db"
    with open_cache(url, embedder=None, namespace=()) as cache:
        cache.update(Request("Show config for rtr-001", tags=("a", "b")), "1")
        cache.update(Request("Is Gi0/0 of rtr-001 up?", tags=("a",)), "2")
        cache.update(Request("What is OSPF?", model="m1", namespace=("t", "x")), "3")
    return url


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["invalidate", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["--tag", "a"], 2),
        (["--tag", "a", "--tag", "b"], 1),
        (["--tag-pattern", "device:rtr-*"], 2),
        (["--query-type", "status", "--query-type", "configuration"], 2),
        (["--model", "m1"], 1),
        (["--namespace", "t/x"], 1),
        (["--older-than", "1h"], 0),
        (["--everything"], 3),
        (["--everything", "--namespace", "t"], 1),
        (["--event", "device_reboot", "--set", "device=RTR-001"], 2),
        (["--event", "config_change", "--set", "device=rtr-001", "--set", "device=rtr-002"], 1),
        (["--tag", "a", "--mode", "lazy"], 2),
    ],
)
def test_counts_first_and_then_does_it(
    url: str, capsys: pytest.CaptureFixture[str], arguments: list[str], count: int
) -> None:
    code, out, err = run(capsys, url, *arguments, "--dry-run")
    assert (code, err) == (0, "")
    assert out.startswith(f"{count} answer")
    assert "would be" in out
    assert "OSPF" not in out, "no question is printed"
    code, out, err = run(capsys, url, *arguments, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["count"] == count
    code, out, err = run(capsys, url, *arguments)
    assert out.startswith("0 answers")


def test_rules_of_a_file(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nevent = "mine"\ntags = "{letter}"\n', encoding="utf-8")
    assert run(capsys, url, "--event", "mine", "--set", "letter=B", "--rules", str(rules))[1].startswith("1 answer ")


def test_the_log(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, url, "--tag", "b", "--reason", "CHG-17")
    code, out, _ = run(capsys, url, "--log")
    assert code == 0
    assert "CHG-17" in out
    assert "1 answer " in out
    (row,) = json.loads(run(capsys, url, "--log", "--json")[1])["invalidations"]
    assert (row["reason"], row["count"], row["selector"]) == ("CHG-17", 1, {"tags": ["b"]})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing is selected: give --key, --tag, --tag-pattern, --query-type, --model, --level, --older-than, "),
        ([], "--event for what happened; or --everything\n"),
        (["--everything", "--tag", "a", "--model", "m"], "alone; leave out --tag, --model"),
        (["--older-than", "0", "--event", "config_change"], "leave out --older-than"),
        (["--similarity", "0.9"], "goes with --meaning"),
        (["--set", "a=b"], "go with --event"),
        (["--event", "config_change", "--tag", "a"], "leave out --tag"),
        (["--event", "nothing"], "no rule for event"),
        (["--event", "config_change"], "says nothing without device"),
        (["--key", "short"], "whole key"),
        (["--event", "e", "--rules", "/nowhere.toml"], "No such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    url: str, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    code, out, err = run(capsys, url, *arguments)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["--older-than", "soon"], ["--set", "device"], ["--namespace", "a//b"]])
def test_wrong_values_show_the_help(url: str, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    code, _, err = run(capsys, url, *arguments)
    assert code == 2
    assert arguments[0] in err


def test_only_a_file_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for url in ("memory://", f"disk://{tmp_path}/none.db"):
        code, _, err = run(capsys, url, "--everything")
        assert code == 2
        assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_who_has_the_cache_open_sees_it_at_once(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with open_cache(url, embedder=None) as cache:
        request = Request("Show config for rtr-001", tags=("a", "b"))
        for _ in range(12):
            cache.lookup(request)
        assert cache.stats().hit_count == 12
        run(capsys, url, "--tag", "b")
        cache.lookup(request)
        assert cache.stats().hit_count == 12
