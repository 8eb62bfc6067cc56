"""Every code block of the README and every example runs, offline; every command in the README exists."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.globals import set_llm_cache

from llmcache_plugins import set_default_cache
from llmcache_plugins.cli.app import read
from llmcache_plugins.matching.query_types import QUERY_TYPES
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

# LlamaIndex imports LangChain's sunset package of integrations where it is installed.
pytestmark = pytest.mark.filterwarnings("ignore:.*langchain-community.*:DeprecationWarning")
ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in BLOCKS if language == "python"]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
COMMANDS = [line for language, code in BLOCKS if language == "console" for line in code.splitlines() if line.strip()]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAnthropic]:
    """The loopback server in place of the real API, and no cache left behind."""
    monkeypatch.delenv("LLMCACHE_URL", raising=False)
    with FakeAnthropic() as server:
        for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_URL"):
            monkeypatch.setenv(name, server.base_url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
        set_default_cache(None)
        try:
            yield server
        finally:
            set_llm_cache(None)
            set_default_cache(None)


def test_the_readme_has_code_and_no_other_kind_of_block() -> None:
    assert {language for language, _ in BLOCKS} == {"python", "console"}
    assert len(PYTHON) >= 2


def run(code: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run it: the lines that begin with `print` print what their comments say, in this order."""
    exec(compile(code, name, "exec"), {"__name__": name})
    printed = capsys.readouterr().out.splitlines()
    said = [line.rpartition("# ")[2].strip() for line in code.splitlines() if re.match(r"print\(.*# ", line)]
    said = [comment for comment in said if not comment.startswith("a miss")]
    assert [line for line in printed if line in said] == said, printed


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.splitlines()[0])
def test_python_block_prints_what_its_comments_say(
    code: str, offline: FakeAnthropic, capsys: pytest.CaptureFixture[str]
) -> None:
    run(code, "readme", capsys)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example_prints_what_its_comments_say(
    path: Path, offline: FakeAnthropic, capsys: pytest.CaptureFixture[str]
) -> None:
    code = path.read_text(encoding="utf-8")
    assert len(code.splitlines()) <= 60
    run(code, "example", capsys)


def test_langchain_block_makes_one_provider_call(offline: FakeAnthropic) -> None:
    code = next(code for code in PYTHON if "set_llm_cache" in code)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert offline.count("/v1/messages") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_command_exists(command: str) -> None:
    words = shlex.split(command)
    if words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    elif words[0] == "llmcache":
        read(words[1:])
    else:
        assert words[:3] == ["pip", "install", "./models"]
        extras = re.fullmatch(r"\.\[([\w,-]+)\]", words[3])
        assert extras is not None
        declared = re.findall(
            r"^([\w-]+) = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), flags=re.MULTILINE
        )
        assert set(extras[1].split(",")) <= set(declared)


def test_the_readme_names_every_query_type() -> None:
    assert all(f"`{query_type}`" in README for query_type in QUERY_TYPES)


def test_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
