"""`llmcache warm` and `llmcache analyze`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Hit, open_cache
from llmcache_plugins.cli import main

MODULE = """
from llmcache_plugins import Answer, Usage

CALLS = []

def generate(question):
    CALLS.append(question if isinstance(question, str) else question.text)
    return Answer(f"answer to {CALLS[-1]}", usage=Usage(1000, 500))

async def later(question):
    return "an answer"

def broken(question):
    raise TimeoutError

class Deep:
    ask = staticmethod(generate)

three = 3
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"disk://{tmp_path}/cache.db"


@pytest.fixture(autouse=True)
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's module lies in the current folder."""
    (tmp_path / "my_application.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import sys

    monkeypatch.delitem(sys.modules, "my_application", raising=False)


@pytest.fixture
def questions(tmp_path: Path) -> str:
    path = tmp_path / "questions.txt"
    path.write_text("What is BGP?\nWhat is OSPF?\nwhat is bgp\n", encoding="utf-8")
    return str(path)


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    code = main([*arguments, "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else said.err


def warm(url: str, *arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    return run("warm", url, "--generate", "my_application:generate", *arguments, capsys=capsys)


def answers_of(url: str, *texts: str) -> list[bool]:
    with open_cache(url, embedder=None) as cache:
        return [isinstance(cache.lookup(text), Hit) for text in texts]


def test_a_file_of_questions_is_warmed(url: str, questions: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = warm(url, "--questions", questions, capsys=capsys)
    assert (code, report["warmed"], report["total"]) == (0, 2, 2)
    assert answers_of(url, "What is BGP?", "what is ospf") == [True, True]
    code, report = warm(url, "--questions", questions, capsys=capsys)
    assert (code, report["skipped"], report["calls"]) == (0, 2, 0)
    code, report = warm(url, "--questions", questions, "--ask-fresh", capsys=capsys)
    assert report["warmed"] == 2


def test_the_most_frequent_of_a_log_and_every_device_of_an_inventory(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.jsonl").write_text(
        '{"question": "What is BGP?", "count": 3}\n{"question": "What is OSPF?"}\n', encoding="utf-8"
    )
    (tmp_path / "templates").write_text("show interfaces on {device}\n", encoding="utf-8")
    (tmp_path / "inventory.csv").write_text("device,site\nrtr-001,ams\nrtr-002,ams\n", encoding="utf-8")
    code, report = warm(
        url, "--log", "log.jsonl", "--top", "1", "--templates", "templates", "--entities", "inventory.csv",
        capsys=capsys,
    )  # fmt: skip
    assert (code, report["warmed"]) == (0, 3)
    assert answers_of(url, "What is BGP?", "What is OSPF?", "show interfaces on rtr-002") == [True, False, True]


def test_an_inventory_in_json(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "templates").write_text("show interfaces on {device}\n", encoding="utf-8")
    (tmp_path / "names.json").write_text('{"device": ["rtr-001"]}', encoding="utf-8")
    assert warm(url, "--templates", "templates", "--entities", "names.json", capsys=capsys)[1]["warmed"] == 1
    (tmp_path / "names.json").write_text('{"device": "rtr-001"}', encoding="utf-8")
    code, said = warm(url, "--templates", "templates", "--entities", "names.json", capsys=capsys)
    assert code == 2
    assert "must hold" in said


def test_limits_end_it_with_another_code_and_a_name_goes_on(
    url: str, questions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report = warm(url, "--questions", questions, "--budget", "1", "--resume", "nightly", capsys=capsys)
    assert (code, report["warmed"], report["stopped"]) == (1, 1, "calls")
    code, report = warm(url, "--questions", questions, "--ask-fresh", "--resume", "nightly", capsys=capsys)
    assert (code, report["skipped"], report["warmed"]) == (0, 1, 1)


def test_money_is_counted_at_the_given_prices(url: str, questions: str, capsys: pytest.CaptureFixture[str]) -> None:
    prices = ("--price-in", "1", "--price-out", "4")
    code, report = warm(url, "--questions", questions, *prices, "--budget-money", "0.003", capsys=capsys)
    assert (code, report["warmed"], report["stopped"]) == (1, 1, "money")
    assert report["cost"] == pytest.approx(0.003)


def test_coroutine_functions_and_attributes_are_asked(
    url: str, questions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("later", "Deep.ask"):
        arguments = ("warm", url, "--generate", f"my_application:{name}", "--questions", questions, "--ask-fresh")
        assert run(*arguments, capsys=capsys)[1]["warmed"] == 2


def test_what_expires_and_was_read_is_renewed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with open_cache(url, embedder=None) as cache:
        for text in ("What is BGP?", "What is OSPF?"):
            cache.update(text, "old", ttl=3600)
        cache.lookup("What is BGP?")
    code, report = warm(url, "--expiring", "2h", capsys=capsys)
    assert (code, report["warmed"]) == (0, 1)
    with open_cache(url, embedder=None) as cache:
        outcome = cache.lookup("What is BGP?")
        assert isinstance(outcome, Hit)
        assert outcome.answer == "answer to What is BGP?"


def test_a_failure_is_told_and_is_another_code(url: str, questions: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warm", url, "--generate", "my_application:broken", "--questions", questions]) == 1
    assert "failed: TimeoutError: 2" in capsys.readouterr().out


def test_a_dry_run_lists_and_asks_nobody(url: str, questions: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warm", url, "--questions", questions, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "2 questions, 0 of them fresh: 2 would be asked" in said
    assert "What is OSPF?" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["memory://", "--questions", "questions.txt", "--generate", "my_application:generate"], "outlives"),
        (["URL", "--generate", "my_application:generate"], "say what to ask"),
        (["URL", "--questions", "questions.txt"], "say who is asked"),
        (["URL", "--questions", "none.txt", "--generate", "my_application:generate"], "cannot be read"),
        (["URL", "--questions", "questions.txt", "--generate", "my_application"], "module:name"),
        (["URL", "--questions", "questions.txt", "--generate", "no_such_module:x"], "no module no_such_module"),
        (["URL", "--questions", "questions.txt", "--generate", "my_application:nothing"], "nothing"),
        (["URL", "--questions", "questions.txt", "--generate", "my_application:three"], "callable"),
        (["URL", "--templates", "questions.txt", "--generate", "my_application:generate"], "go together"),
        (["URL", "--expiring", "1d", "--generate", "my_application:generate"], "no file"),
        (["URL", "--questions", "questions.txt", "--generate", "a:b", "--budget-money", "1"], "--price-in"),
        (["URL", "--questions", "questions.txt", "--model", "nobody:nothing"], "nobody"),
        (["URL", "--questions", "questions.txt", "--generate", "a:b", "--expiring", "soon"], "12h"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(
    arguments: list[str], says: str, url: str, questions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["warm", *[url if word == "URL" else word for word in arguments]]) == 2
    assert says in capsys.readouterr().err.splitlines()[-1]


# ---------------------------------------------------------------- analyze
def test_the_entries_of_a_file_are_analysed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with open_cache(url, embedder=None) as cache:
        for number in range(60):
            cache.update(f"show interfaces on rtr-{number:03}", "x")
            cache.lookup(f"show interfaces on rtr-{number:03}")
    code, found = run("analyze", url, "--top", "2", capsys=capsys)
    assert (code, found["entries"], found["reads"]) == (0, 60, 60)
    assert (found["efficiency"]["basis"], found["efficiency"]["verdict"]) == ("reads", "fair")
    assert len(found["hotspots"]) == 2
    assert main(["analyze", url]) == 0
    assert "rtr-0" not in capsys.readouterr().out
    assert main(["analyze", url, "--with-text"]) == 0
    assert "rtr-0" in capsys.readouterr().out


@pytest.mark.parametrize("where", ["memory://", "disk:///no/such/file.db"])
def test_a_cache_that_is_not_there_is_not_analysed(where: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", where]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
