"""What the commands print: any text on any terminal, and a full disk said in one line."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins.cli import main

LONE = "\ud800"


def run(*arguments: object, encoding: str = "utf-8", stdout: Any = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "llmcache_plugins.cli", *map(str, arguments)],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    row = {"a": "Where is Zürich?", "b": "where is Zürich", "label": 1, "family": f"Zürich {LONE}", "source": LONE}
    return write(tmp_path / "pairs.jsonl", row)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
@pytest.mark.parametrize("options", [["--json"], []])
def test_eval_prints_names_that_the_terminal_cannot_show(pairs: Path, encoding: str, options: list[str]) -> None:
    done = run("eval", pairs, "--exact-only", *options, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    if options:
        assert set(json.loads(done.stdout)["files"][pairs.name]["by_source"]) == {LONE}


def test_proposals_are_printed_on_a_terminal_of_ascii(tmp_path: Path) -> None:
    near = {"asked": "Où est Zürich?", "stored": f"Where is {LONE}?", "similarity": 0.9, "confidence": 0.5}
    done = run("tune", "--from-log", write(tmp_path / "near.jsonl", near), encoding="ascii")
    assert done.returncode == 0
    row = json.loads(done.stdout)
    assert (row["b"], row["a"]) == (near["asked"], near["stored"])


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a device of Linux")
def test_a_full_disk_is_said_in_one_line(pairs: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = run("eval", pairs, "--exact-only", "--json", stdout=full)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "No space left on device" in done.stderr


def closed(redirection: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run with a standard stream that the shell has closed, or opened in vain."""
    command = shlex.join([sys.executable, "-m", "llmcache_plugins.cli", *map(str, arguments)])
    return subprocess.run(["/bin/sh", "-c", f"{command} {redirection}"], capture_output=True, text=True, check=False)


@pytest.mark.skipif(os.name != "posix", reason="the redirections are of a POSIX shell")
@pytest.mark.parametrize("arguments", [["compare", "show BGP state", "display BGP state", "--lexical"], ["--help"]])
def test_without_a_standard_output_a_command_ends_well(arguments: list[str]) -> None:
    done = closed(">&-", *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(os.name != "posix", reason="the redirections are of a POSIX shell")
@pytest.mark.parametrize("redirection", ["2>&-", "2</dev/null", ">&- 2>&-"])
@pytest.mark.parametrize("arguments", [["stats", "bogus"], ["stats", "--bogus"], ["analyze", "LOG", "--exact-only"]])
def test_without_a_standard_error_the_exit_code_is_the_same_and_nothing_is_mixed_into_the_output(
    redirection: str, arguments: list[str], tmp_path: Path
) -> None:
    log = write(tmp_path / "log.jsonl", {"no": "question"})
    done = closed(redirection, *(log if argument == "LOG" else argument for argument in arguments))
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize("cost", ["inf", "nan", "-1", "much"])
def test_a_cost_that_is_no_sum_of_money_is_a_wrong_argument(
    pairs: Path, cost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", str(pairs), "--lexical", "--cost-per-call", cost]) == 2
    assert "--cost-per-call" in capsys.readouterr().err
