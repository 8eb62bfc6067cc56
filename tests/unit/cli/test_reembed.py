"""`llmcache reembed`: what it does, what it says, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Request, open_cache
from llmcache_plugins.cli import main
from llmcache_plugins.testing import FakeEmbedder

MODEL = """
from llmcache_plugins.testing import FakeEmbedder

made = FakeEmbedder(name="made")


def small():
    return FakeEmbedder(name="small", dimension=16)
"""


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LLMCACHE_URL", raising=False)
    (tmp_path / "reembed_models.py").write_text(MODEL)
    url = f"disk://{tmp_path}/cache.db"
    with open_cache(url, embedder=FakeEmbedder(name="old"), store_text=True) as cache:
        for number in range(5):
            cache.update(Request(f"question {number}", namespace=("acme", "app")), number)
        cache.update(Request("other", namespace=("other",)), "other")
    return url


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    code = main(["reembed", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_to_an_embedder_of_the_users_own(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--store", url, "--to", "reembed_models:made", "--dry-run")
    assert (code, err) == (0, "")
    assert out.startswith("6 of 6 entries would be moved to made/64/unit, in ")
    code, out, err = run(capsys, "--store", url, "--to", "reembed_models:made", "--batch", 2)
    assert (code, err) == (0, "")
    assert out.startswith("6 of 6 entries moved to made/64/unit, in ")
    report = json.loads(run(capsys, "--store", url, "--to", "reembed_models:made", "--json")[1])
    assert (report["read"], report["moved"], report["current"], report["is_whole"]) == (6, 0, 6, True)


def test_a_namespace_and_a_rate(url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCACHE_URL", url)
    options = ("--to", "reembed_models:small", "--namespace", "acme/app", "--rate", "1000", "--json")
    report = json.loads(run(capsys, *options)[1])
    assert (report["embedder_id"], report["moved"]) == ("small/16/unit", 5)


def test_nothing_is_evicted_by_the_limits_of_the_command(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMCACHE_MAX_ENTRIES", "3")
    assert run(capsys, "--store", url, "--to", "reembed_models:made")[0] == 0
    with open_cache(url, embedder=None, max_entries=100) as cache:
        assert cache.stats().entries == 6


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "reembed_models:made"], "give --store URL, or set LLMCACHE_URL"),
        (["--store", "memory://"], "cache.reembed()"),
        (["--store", "disk:///nowhere/none.db"], "there is no file"),
        (["--store", "URL", "--to", "reembed_models:none"], "--to reembed_models:none"),
        (["--store", "URL", "--to", "no_such_module_x:y"], "there is no module no_such_module_x"),
        (["--store", "URL", "--to", "reembed_models:MODEL_X"], "MODEL_X"),
        (["--store", "URL", "--to", "reembed_models:made", "--rate", "0"], "rate must be"),
        (["--store", "URL", "--batch", "0"], "--batch"),
    ],
)
def test_wrong_arguments(url: str, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    code, out, err = run(capsys, *(url if one == "URL" else one for one in arguments))
    assert (code, out) == (2, "")
    assert said in err


def test_an_embedder_that_fails_is_told(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "reembed_broken.py").write_text(
        "from llmcache_plugins.testing import FakeEmbedder\n"
        "def refuse(texts):\n"
        "    if 'other' in texts: raise RuntimeError('no')\n"
        "broken = FakeEmbedder(name='broken', before=refuse)\n"
    )
    code, out, _ = run(capsys, "--store", url, "--to", "reembed_broken:broken")
    assert code == 1
    assert "1 failed: the embedder gave no vector" in out


def test_a_folder_in_a_home_that_is_not_there(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "--store", url, "--to", "~nobody-at-all/model")
    assert (code, out) == (2, "")
    assert "no path" in err
