"""`llmcache export` and `llmcache import`: what they do, what they say, and their exit codes."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Entry, Hit, Request, open_cache
from llmcache_plugins.cli import main

TEXTS = [f"question {number}" for number in range(5)]


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"disk://{tmp_path}/cache.db"
    with open_cache(url, embedder=None) as cache:
        for text in TEXTS:
            cache.update(Request(text, namespace=("acme", "app"), tags=("t",)), f"the answer to {text}")
        cache.update(Request("other", namespace=("other",)), "other")
    return url


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"disk://{tmp_path}/target.db"


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def found(url: str) -> int:
    with open_cache(url, embedder=None) as cache:
        return sum(isinstance(cache.lookup(Request(text, namespace=("acme", "app"))), Hit) for text in TEXTS)


def test_out_of_one_cache_and_into_another(
    url: str, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "export", url, tmp_path / "x.jsonl.gz")
    assert (code, err) == (0, "")
    assert out.startswith("6 of 6 entries stored, 0 of them with their vector, in ")
    assert b"the answer to question 3" in gzip.decompress((tmp_path / "x.jsonl.gz").read_bytes())
    code, out, err = run(capsys, "import", target, tmp_path / "x.jsonl.gz", "--json")
    assert (code, err) == (0, "")
    report = json.loads(out)
    assert (report["read"], report["stored"], report["is_whole"]) == (6, 6, True)
    assert found(target) == 5


def test_through_a_pipe(
    url: str, target: str, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["export", url, "-"]) == 0
    said = capsysbinary.readouterr()
    assert said.out.startswith(b'{"kind":"header"')
    assert said.err.startswith(b"6 of 6 entries stored"), "what is said does not get into the export"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said.out)))
    assert main(["import", target, "-"]) == 0
    assert found(target) == 5


def test_a_namespace_on_both_sides(url: str, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.jsonl"
    run(capsys, "export", url, path)
    report = json.loads(run(capsys, "import", target, path, "--namespace", "acme/app", "--json")[1])
    assert (report["stored"], report["elsewhere"]) == (5, 1)
    report = json.loads(run(capsys, "export", url, path, "--namespace", "other", "--json")[1])
    assert report["stored"] == 1


def test_what_is_there_already(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.jsonl"
    run(capsys, "export", url, path)
    for option, told in ((None, "kept"), ("--keep", "kept"), ("--replace", "replaced")):
        arguments = ["import", url, path, "--json", "--dry-run", *([option] if option else [])]
        assert json.loads(run(capsys, *arguments)[1])[told] == 6
    code, _, err = run(capsys, "import", url, path, "--keep", "--replace")
    assert code == 2
    assert "not both" in err


def test_a_backup_is_restored(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.jsonl"
    run(capsys, "export", url, path)
    run(capsys, "invalidate", url, "--tag", "t")
    assert json.loads(run(capsys, "import", url, path, "--json")[1])["invalidated"] == 5
    assert found(url) == 0
    code, out, _ = run(capsys, "import", url, path, "--bring-back")
    assert code == 0
    assert out.startswith("5 of 6 entries stored")
    assert found(url) == 5


@pytest.mark.slow
def test_nothing_is_evicted_unless_a_limit_is_given(
    url: str, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The limits of the application are not known here, and another one's would throw its entries out."""
    path = tmp_path / "x.jsonl"
    with open_cache(url, embedder=None, max_entries=20_000) as cache:
        for number in range(10_050):  # more than a cache keeps by default
            cache._parts.tiers[0].store.put(cache_entry(number))
    run(capsys, "export", url, path)
    report = json.loads(run(capsys, "import", target, path, "--json")[1])
    assert (report["stored"], report["evicted"]) == (10_056, 0)
    code, out, _ = run(capsys, "import", target, path, "--replace", "--max-entries", 100, "--json")
    report = json.loads(out)
    assert (code, report["stored"]) == (0, 10_056)
    assert report["evicted"] >= 9_956
    with open_cache(target, embedder=None) as cache:
        assert cache.stats().entries == 100


def cache_entry(number: int) -> Entry:
    return Entry("scope", f"key {number}", "n", ("many",), f"text {number}", '"a"', 1_700_000_000.0, None)


def test_a_damaged_file_ends_with_another_code(
    url: str, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    run(capsys, "export", url, path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"what\n", *lines[4:]]))
    code, out, _ = run(capsys, "import", target, path, "--strict")
    assert code == 1
    assert "stopped by: damaged line 4 (it is no JSON)" in out
    code, out, _ = run(capsys, "import", target, path)
    assert code == 1
    assert "1 damaged\n  line 4: it is no JSON" in out
    path.write_bytes(b"".join(lines[:4]))
    code, out, _ = run(capsys, "import", target, path)
    assert code == 1
    assert "the file ends before its end" in out
    path.write_bytes(b"".join(lines))
    assert run(capsys, "import", target, path)[0] == 0
    assert found(target) == 5


def test_no_answer_is_quoted_in_what_is_said(
    url: str, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.jsonl"
    said = [*run(capsys, "export", url, path)[1:]]
    path.write_bytes(path.read_bytes().replace(b'"created_at":', b'"created_at":"x",":":'))
    said += run(capsys, "import", target, path)[1:]
    assert "answer" not in "".join(said)
    assert "question" not in "".join(said)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((b'"version":1', b'"version":2'), "is of version 2 of the format"),
        ((b'"key_version":1', b'"key_version":7'), "keys of version 7"),
        ((b"llmcache-export", b"another"), "does not begin with the header of an export"),
    ],
)
def test_a_file_that_cannot_be_imported_is_said_in_one_line(
    url: str,
    target: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: tuple[bytes, bytes],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "x.jsonl"
    run(capsys, "export", url, path)
    path.write_bytes(path.read_bytes().replace(*change))
    code, out, err = run(capsys, "import", target, path)
    assert (code, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "target.db").exists()
    with path.open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        code, out, err = run(capsys, "import", target, "-")
    assert (code, out) == (2, "")
    assert says in err
    assert not (tmp_path / "target.db").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_a_named_pipe_is_read_once(url: str, target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=main, args=(["export", url, str(pipe), "--json"],))
    writer.start()
    assert main(["import", target, str(pipe), "--json"]) == 0
    writer.join()
    assert found(target) == 5


def test_what_cannot_be_opened_is_said_in_one_line(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ["export", "memory://", "x"],
        ["export", f"disk://{tmp_path}/none.db", "x"],
        ["export", url, tmp_path / "none" / "x"],
        ["import", "null://", "x"],
        ["import", url, tmp_path / "none"],
        ["import", f"disk://{tmp_path}/none.db", tmp_path / "none"],
        ["import", f"disk://{tmp_path}/none.db", tmp_path],
        ["import", f"disk://{tmp_path}/none.db", ""],
        ["import", f"disk://{tmp_path}/none.db", "x", "--dry-run"],
    ):
        code, out, err = run(capsys, *arguments)
        assert (code, out) == (2, ""), arguments
        assert err.count("\n") == 1, err
    assert not (tmp_path / "none.db").exists()


def test_a_trial_needs_no_cache_and_leaves_none(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_cache(url, embedder=None) as cache:
        cache.update("a question", "its answer")
    path = tmp_path / "x.jsonl"
    assert run(capsys, "export", url, path)[0] == 0
    code, out, _ = run(capsys, "import", f"disk://{tmp_path}/none.db", path, "--dry-run", "--json")
    assert (code, json.loads(out)["stored"]) == (0, 7)
    assert not (tmp_path / "none.db").exists()


def test_the_application_goes_on_meanwhile(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.jsonl"
    with open_cache(url, embedder=None) as cache:
        request = Request(TEXTS[0], namespace=("acme", "app"))
        for _ in range(12):  # it is copied upwards
            cache.lookup(request)
        run(capsys, "export", url, path)
        path.write_bytes(
            path.read_bytes().replace(b'"created_at":1', b'"created_at":2').replace(b"the answer", b"a newer answer")
        )
        code, out, _ = run(capsys, "import", url, path, "--json")
        assert (code, json.loads(out)["replaced"]) == (1, 6), "the digest tells that it was changed"
        hit = cache.lookup(request)
        assert isinstance(hit, Hit)
        assert hit.answer == "a newer answer to question 0"


@pytest.mark.parametrize("command", ["export", "import"])
def test_the_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"llmcache {command} " in " ".join(capsys.readouterr().out.split())
