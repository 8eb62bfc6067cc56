"""The command line: arguments, exit codes, and what is said about missing parts."""

from __future__ import annotations

import base64
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llmcache_plugins import __version__, open_cache
from llmcache_plugins.cli import main
from llmcache_plugins.cli.checks import Check
from llmcache_plugins.cli.demo import DemoOptions, Listener, decided_by, default_url, serve
from llmcache_plugins.cli.doctor import _lower_bounds, run_doctor
from llmcache_plugins.cli.questions import Question
from llmcache_plugins.cli.store_checks import store_checks
from llmcache_plugins.cli.summary import summarise
from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.matching import ConfidencePolicy, SimilarityPolicy
from llmcache_plugins.recorded import ErrorEvent, LookupEvent
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.types import Miss, MissReason, Usage

ROW = {"id": "q1", "query": "What is BGP?", "class": "s:f:v", "kind": "first", "source": "s"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "questions.jsonl"
    path.write_text(json.dumps(ROW) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no-such-command"],
        ["demo", "--no-such-option"],
        ["demo", "--limit", "0"],
        ["demo", "--limit", "many"],
        ["demo", "--latency-ms", "-1"],
        ["demo", "--latency-ms", "nan"],
        ["demo", "--port", "70000"],
        ["doctor", "one", "two"],
    ],
)
def test_wrong_arguments_show_the_help_and_fail(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert "Usage: llmcache" in output.err
    assert output.out == ""


def test_the_version_is_the_packages_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert __version__ in capsys.readouterr().out


def test_a_missing_data_file_names_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--data", str(tmp_path / "none.jsonl")]) == 2
    assert "--data" in capsys.readouterr().err


def test_live_without_a_key_is_refused_before_anything_is_asked(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert main(["demo", "--live", "--data", str(data)]) == 2
    assert "ANTHROPIC_API_KEY" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "hidden", "extra"),
    [
        ("llmcache_plugins.cli.report", "rich", "cli"),
        ("llmcache_plugins.cli.application", "langchain_anthropic", "demo"),
    ],
)
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    module: str,
    hidden: str,
    extra: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in sys.modules if name == hidden or name.startswith(f"{hidden}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, hidden, None)  # an import of it raises ImportError
    monkeypatch.delitem(sys.modules, module, raising=False)
    assert main(["demo", "--data", str(data), "--url", f"disk://{tmp_path}/cache.db", "--port", "0"]) == 2
    assert f"pip install 'llmcache-plugins[{extra}]'" in capsys.readouterr().err


def test_the_default_cache_lies_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a cache"))
    assert default_url() == f"disk://{tmp_path}/a%20cache/llmcache/demo.db"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_url() == f"disk://{tmp_path}/.cache/llmcache/demo.db"


def test_a_failing_question_does_not_end_the_run() -> None:
    listener = Listener()
    questions = [Question(id=name, query=name, label=f"s:f:{name}", kind="first") for name in ("a", "b", "c")]

    def ask(question: str) -> tuple[str, Usage]:
        if question == "b":
            raise TimeoutError("too slow")
        listener(LookupEvent(Miss(MissReason.NO_CANDIDATES), ()))
        return "answer", Usage(1, 2)

    times = iter([0.0, 1.0, 10.0, 12.0, 20.0, 23.0])
    served = list(serve(questions, ask, listener, clock=lambda: next(times)))
    assert [one.error for one in served] == [None, "TimeoutError", None]
    assert [one.seconds for one in served] == [1.0, 2.0, 3.0]
    assert [one.outcome is None for one in served] == [False, True, False], "an outcome of an earlier question is kept"
    assert served[2].usage == Usage(1, 2)


def test_errors_of_the_cache_are_heard() -> None:
    listener = Listener()
    listener(ErrorEvent("warm", "StoreUnavailable"))
    listener(ErrorEvent("warm", "StoreUnavailable"))
    assert listener.errors == {"warm: StoreUnavailable": 2}


def test_the_report_survives_what_users_type() -> None:
    from rich.console import Console

    from llmcache_plugins.cli.report import print_report

    out = io.StringIO()
    failed = summarise([], [], cache_errors={"[red]warm[/red]: [/]": 1})
    print_report(failed, {"data": "questions.jsonl", "similarity_threshold": 0.9}, Console(file=out, width=120))
    assert "[red]warm[/red]: [/]: 1" in out.getvalue()
    assert "wrong hits by the labels" in out.getvalue()


class Sure:
    """A calibration that is sure of everything."""

    version = "test-1"

    def confidence(self, *evidence: object) -> float:
        return 1.0

    def min_confidence(self, max_error_rate: float) -> float:
        return 1.0 - max_error_rate

    def min_confidence_for_records(self, max_error_rate: float) -> float:
        return 1.0 - max_error_rate

    def grey_from(self, max_error_rate: float) -> float:
        return 0.5

    def floor_at(self, confidence: float) -> float:
        return 0.7


@pytest.mark.parametrize(
    ("policy", "max_error_rate", "threshold", "words"),
    [
        (ConfidencePolicy(Sure(), 0.005), 0.005, None, "error budget 0.5 % (calibrated confidence)"),
        (SimilarityPolicy(0.95), None, 0.95, "similarity threshold 0.95 (cosine)"),
    ],
)
def test_the_demo_says_what_decides(
    policy: ConfidencePolicy | SimilarityPolicy, max_error_rate: float | None, threshold: float | None, words: str
) -> None:
    from rich.console import Console

    from llmcache_plugins.cli.report import print_report

    settings = decided_by(policy)
    assert settings == {
        "policy": policy.policy_id,
        "max_error_rate": max_error_rate,
        "similarity_threshold": threshold,
    }
    out = io.StringIO()
    print_report(summarise([], []), {"data": "questions.jsonl", **settings}, Console(file=out, width=120))
    assert f"questions.jsonl, {words}" in out.getvalue()


def test_the_demo_leaves_the_choice_to_the_defaults_unless_told() -> None:
    assert DemoOptions().config.similarity_threshold is None
    assert DemoOptions(max_error_rate=0.02).config.max_error_rate == 0.02
    assert DemoOptions(threshold=0.9).config.similarity_threshold == 0.9
    assert DemoOptions().config.namespace != DemoOptions(live=True).config.namespace


@pytest.mark.parametrize("arguments", [["--threshold", "1.5"], ["--max-error-rate", "0"]])
def test_the_demo_refuses_a_setting_out_of_range(
    arguments: list[str], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--data", str(data), *arguments]) == 2
    assert "must be a number above 0" in capsys.readouterr().err


def doctor_says(monkeypatch: pytest.MonkeyPatch, installed: Callable[[str], bool]) -> tuple[int, str]:
    monkeypatch.setattr("llmcache_plugins.cli.doctor._version", lambda name: "1.0" if installed(name) else None)
    lines: list[str] = []
    code = run_doctor(lines.append)
    return code, "\n".join(lines)


def test_the_doctor_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMCACHE_URL", raising=False)
    code, said = doctor_says(monkeypatch, lambda name: name in ("numpy", "rich", "typer"))
    assert code == 0
    for extra in ("langchain", "redis", "local", "demo"):
        assert f"pip install 'llmcache-plugins[{extra}]'" in said
    assert "llmcache-plugins[cli]" not in said
    assert "memory://" in said


def test_the_doctor_refuses_what_open_cache_refuses_and_hides_passwords(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LLMCACHE_URL", "mongodb://user:s3cret@cache.example")
    code, said = doctor_says(monkeypatch, lambda name: False)
    assert code == 1
    assert "mongodb://; use memory://" in said
    assert "s3cret" not in said
    monkeypatch.setenv("LLMCACHE_URL", f"disk://{tmp_path}/answers.db")
    code, said = doctor_says(monkeypatch, lambda name: False)
    assert code == 0
    assert f"disk://{tmp_path}/answers.db (LLMCACHE_URL)" in said


def test_the_doctor_says_who_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCACHE_MODE", "canary")
    monkeypatch.setenv("LLMCACHE_FRACTION", "0.2")
    code, said = doctor_says(monkeypatch, lambda name: False)
    assert code == 0
    assert "canary, a fraction of 0.2 (LLMCACHE_MODE, LLMCACHE_FRACTION)" in said
    monkeypatch.setenv("LLMCACHE_MODE", "canaries")
    code, said = doctor_says(monkeypatch, lambda name: False)
    assert code == 1
    assert "LLMCACHE_MODE must be" in said


def test_the_doctor_says_whether_the_default_cache_is_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography")
    for given, code, line in (
        ("", 0, "none: what is stored is readable"),
        (base64.b64encode(bytes(32)).decode(), 0, "LLMCACHE_ENCRYPTION_KEY"),
        ("s3cret", 1, "LLMCACHE_ENCRYPTION_KEY: encryption key"),
    ):
        monkeypatch.setenv("LLMCACHE_ENCRYPTION_KEY", given)
        found, said = doctor_says(monkeypatch, lambda name: False)
        assert found == code
        assert f"{'encryption':24}{line}" in said
        assert "s3cret" not in said


def test_a_broken_embedder_is_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise MissingExtraError("the default embedder", "local")

    monkeypatch.setattr("llmcache_plugins.embedders.OnnxEmbedder", broken)
    code, said = doctor_says(monkeypatch, lambda name: True)
    assert code == 1
    assert "does not work" in said
    assert "pip install --force-reinstall" in said


def test_the_doctor_names_what_is_older_than_what_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmcache_plugins.cli.doctor._lower_bounds", lambda: {"rich": "1.0.1", "numpy": "1.0.0"})
    code, said = doctor_says(monkeypatch, lambda name: name in ("numpy", "rich"))
    assert code == 0
    assert "pip install 'rich>=1.0.1'" in said
    assert "numpy>=" not in said


def test_the_bounds_are_those_of_our_own_package(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "numpy>=2.0",
        "redis[hiredis]>=5.0.8; extra == 'redis'",
        "a==1.4.1; python_version >= '3.14'",
        "m<0.2,>=0.1",
    ]
    monkeypatch.setattr("llmcache_plugins.cli.doctor.requires", lambda name: lines)
    assert _lower_bounds() == {"numpy": "2.0", "redis": "5.0.8", "m": "0.1"}


def test_the_doctor_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("llmcache_plugins.cli.doctor._version", lambda name: None)
    assert main(["doctor", f"disk://{tmp_path}/none/a.db", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    (failed,) = [check for check in told["checks"] if not check["is_ok"]]
    assert (failed["name"], failed["remedy"]) == ("permissions", f"mkdir -p {tmp_path}/none")


def test_the_doctor_looks_at_the_file_of_a_cache(tmp_path: Path) -> None:
    def permissions() -> Check:
        return list(store_checks(f"disk://{tmp_path}/a.db", "this URL", "the cache"))[-1]

    assert permissions().is_ok
    assert "not there yet" in permissions().says
    with open_cache(f"disk://{tmp_path}/a.db", embedder=None):
        pass
    assert permissions() == Check("permissions", "file and folder can be read and written")
    (tmp_path / "a.db").write_text("Dear diary, this is no data base.")
    assert not permissions().is_ok
    assert "no cache" in permissions().says


def test_the_doctor_says_what_this_user_may_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)  # the tests may be run by root
    found = list(store_checks(f"disk://{tmp_path}/a.db", "this URL", "the cache"))[-1]
    assert not found.is_ok
    assert "cannot be written" in found.says
    assert found.remedy


def test_the_doctor_compares_the_clocks(redis_server: Callable[[str], RedisServer]) -> None:
    pytest.importorskip("redis")
    url = redis_server("plain").url
    ours, behind = (
        list(store_checks(url, "this URL", "the cache", now=lambda shift=shift: time.time() + shift))[-1]
        for shift in (0.0, 100.0)
    )
    assert (ours.name, ours.is_ok) == ("clock", True)
    assert (behind.name, behind.is_ok) == ("clock", False)
    assert "behind this machine" in behind.says
    assert "NTP" in behind.remedy
