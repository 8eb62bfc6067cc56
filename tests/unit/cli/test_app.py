"""Every command: its help, its example, its defaults; and what is left when typer is not installed."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import CacheConfig
from llmcache_plugins.cli import main
from llmcache_plugins.cli.analyze import AnalyzeOptions
from llmcache_plugins.cli.app import COMMANDS, read
from llmcache_plugins.cli.commands.command import Command
from llmcache_plugins.cli.compare import CompareOptions
from llmcache_plugins.cli.demo import DemoOptions
from llmcache_plugins.cli.eval import EvalOptions
from llmcache_plugins.cli.explain import ExplainOptions
from llmcache_plugins.cli.inspect import InspectOptions
from llmcache_plugins.cli.invalidate import InvalidateOptions
from llmcache_plugins.cli.log_analysis import LogAnalysisOptions
from llmcache_plugins.cli.reembed import ReembedOptions
from llmcache_plugins.cli.replay import ReplayOptions
from llmcache_plugins.cli.report_command import ReportOptions
from llmcache_plugins.cli.stats import StatsOptions
from llmcache_plugins.cli.top import TopOptions
from llmcache_plugins.cli.transfer import ExportOptions, ImportOptions
from llmcache_plugins.cli.tune import TuneOptions
from llmcache_plugins.cli.warm import WarmOptions

BY_NAME = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
URL = "disk:///a.db"


def help_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--help"])
    assert stop.value.code == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)


@BY_NAME
def test_the_help_ends_in_an_example(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    last = help_of(capsys, command.name).strip().splitlines()[-1].strip()
    assert last == f"Example: {command.example}", "on one line, to be copied"


@pytest.mark.parametrize("arguments", [["-h"], ["stats", "-h"]])
def test_the_short_way_to_the_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0
    assert "Usage: llmcache" in capsys.readouterr().out


@BY_NAME
def test_the_example_can_be_read(command: Command) -> None:
    program, name, *_ = words = shlex.split(command.example)
    assert (program, name) == ("llmcache", command.name)
    assert callable(read(words[1:]))


@BY_NAME
def test_each_command_has_json(
    command: Command, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "--json" in help_of(capsys, command.name)


@pytest.mark.parametrize("name", ["invalidate", "import", "stats", "warm"])
def test_what_removes_or_replaces_can_be_tried(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "--dry-run" in help_of(capsys, name)


def test_the_list_names_each_command_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    said = help_of(capsys)
    names = [command.name for command in COMMANDS]
    assert len(set(names)) == len(names)
    for command in COMMANDS:
        assert command.summary in said


@pytest.mark.parametrize(
    ("arguments", "run", "expected"),
    [
        (["demo"], "demo.run_demo", DemoOptions()),
        (["eval", "f"], "eval.run_eval", EvalOptions(files=[Path("f")])),
        (["tune", "f"], "tune.run_tune", TuneOptions(pairs=[Path("f")])),
        (["compare", "a", "b"], "compare.run_compare", CompareOptions(texts=["a", "b"])),
        (["explain", "a"], "explain.run_explain", ExplainOptions(text="a")),
        (["inspect"], "inspect.run_inspect", InspectOptions()),
        (["invalidate", URL], "invalidate.run_invalidate", InvalidateOptions(url=URL, set=[])),
        (["warm", URL], "warm.run_warm", WarmOptions(url=URL)),
        (["analyze", URL], "analyze.run_analyze", AnalyzeOptions(url=URL)),
        (["analyze", "f"], "log_analysis.run_log_analysis", LogAnalysisOptions(log=Path("f"))),
        (["replay", "f"], "replay.run_replay", ReplayOptions(log=Path("f"))),
        (["stats"], "stats.run_stats", StatsOptions()),
        (["top"], "top.run_top", TopOptions()),
        (["report"], "report_command.run_report", ReportOptions()),
        (["export", URL, "f"], "transfer.run_export", ExportOptions(url=URL, file="f")),
        (["import", URL, "f"], "transfer.run_import", ImportOptions(url=URL, file="f")),
        (["reembed", "--store", URL, "--to", "m:n"], "reembed.run_reembed", ReembedOptions(url=URL, to="m:n")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_not_given_is_at_its_default(
    arguments: list[str], run: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(f"llmcache_plugins.cli.{run}", lambda options, **rest: seen.append(options) or 7)
    assert main(arguments) == 7
    assert seen == [expected]


@pytest.mark.parametrize(
    ("command", "run"), [("stats", "stats.run_stats"), ("report", "report_command.run_report"), ("doctor", None)]
)
def test_the_cache_is_named_by_its_place_or_by_store(
    command: str, run: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Any] = []
    if run is None:
        monkeypatch.setattr("llmcache_plugins.cli.doctor.run_doctor", lambda *, url, **rest: seen.append(url) or 0)
    else:
        monkeypatch.setattr(f"llmcache_plugins.cli.{run}", lambda options, **rest: seen.append(options.url) or 0)
    for arguments in ([URL], ["--store", URL], []):
        assert main([command, *arguments]) == 0
    assert seen == [URL, URL, None]
    assert main([command, URL, "--store", URL]) == 2
    assert len(seen) == 3
    assert f"llmcache {command}: give the URL of the cache once" in capsys.readouterr().err


def test_the_budget_that_the_help_names_is_the_caches_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert f"(default: {CacheConfig().max_error_rate:g})" in help_of(capsys, "eval")
    assert TuneOptions(pairs=()).max_error_rate == CacheConfig().max_error_rate


def test_reading_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(options: object) -> int:
        raise AssertionError("it was run")

    monkeypatch.setattr("llmcache_plugins.cli.stats.run_stats", never)
    run = read(["stats", "disk:///a.db"])
    with pytest.raises(AssertionError, match="it was run"):
        run()


@pytest.mark.parametrize(
    "arguments", [["eval"], ["stats", "--no-such"], ["replay", "f", "--sizes", "1,0"], ["nothing"]]
)
def test_wrong_arguments_end_in_one_line_and_leave_stdout_alone(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1].startswith("llmcache")


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_the_help_loads_no_engine_and_no_model() -> None:
    done = run_python(
        "import sys\nfrom llmcache_plugins.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('onnxruntime', 'sqlite3', 'llmcache_plugins.engine', 'llmcache_plugins.factory') "
        "if name in sys.modules])"
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_crash_prints_no_values() -> None:
    done = run_python(
        "import llmcache_plugins.cli.stats as stats\nfrom llmcache_plugins.cli import main\n"
        "def broken(options):\n    question = 's3c' + 'ret'\n    raise RuntimeError('a bug')\n"
        "stats.run_stats = broken\nmain(['stats', 'disk:///a.db'])"
    )
    assert done.returncode == 1
    assert "RuntimeError: a bug" in done.stderr
    assert "s3cret" not in done.stderr


def test_a_shell_completes_the_commands() -> None:
    done = run_python(
        "from llmcache_plugins.cli import main; main([])",
        _LLMCACHE_COMPLETE="complete_bash",
        COMP_WORDS="llmcache inv",
        COMP_CWORD="1",
    )
    assert done.stdout.split() == ["invalidate"], done.stderr


@pytest.fixture
def without_typer(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = ("llmcache_plugins.cli.app", "llmcache_plugins.cli.commands")
    for name in [name for name in sys.modules if name.split(".")[0] == "typer" or name.startswith(hidden)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "typer", None)  # an import of it raises ImportError


@pytest.mark.usefixtures("without_typer")
@pytest.mark.parametrize("arguments", [[], ["stats"], ["--help"], ["doctor", "disk:///a.db"]])
def test_without_typer_the_remedy_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert "pip install 'llmcache-plugins[cli]'" in said.err
    assert said.out == ""


@pytest.mark.usefixtures("without_typer")
def test_without_typer_the_doctor_still_comes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LLMCACHE_URL", raising=False)
    monkeypatch.setattr("llmcache_plugins.cli.doctor._version", lambda name: None)
    assert main(["doctor"]) == 0
    assert f"{'typer':24}missing: pip install 'llmcache-plugins[cli]'" in capsys.readouterr().out


def test_resetting_can_be_tried(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from llmcache_plugins import open_cache

    url = f"disk://{tmp_path}/cache.db"
    with open_cache(url, embedder=None) as cache:
        cache.lookup("What is BGP?")
    assert main(["stats", url, "--reset", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("these counts would be forgotten:\n")
    assert main(["stats", url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"]["lookups"] == 1
    assert main(["stats", url, "--dry-run"]) == 2
    assert "--reset" in capsys.readouterr().err
