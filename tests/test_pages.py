"""The Python blocks of all pages of docs/ run, page by page, each page in a process of its own.

Pages that have a test of their own (`OWN`) are run there and not here. A block that cannot run in a test says so in its
first line, where a reader sees it: ```python title="Not run: needs gptcache"
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from llmcache_plugins.testing import FakeAnthropic, FakeOpenAI
from llmcache_plugins.testing.redis_server import RedisServer

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python(?P<mark>[^\n]*)\n(?P<code>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
MARK = re.compile(r' title="Not run: [^"]+"')
NEEDED = ("langchain_core", "llama_index", "anthropic", "redis", "llmcache_plugins_models", "onnxruntime")
SERVER = "redis://localhost:6379/0"
"""Blocks with this address run against a server that the test starts."""

OWN = {  # page: the test that runs its blocks
    "adaptive": "tests/integration/test_adaptive_page.py",
    "alerts": "tests/unit/telemetry/test_alerts_page.py",
    "analysis": "tests/unit/cli/test_pages.py",
    "before-buying": "tests/unit/logs/test_page.py",
    "conversations": "tests/integration/test_conversations_page.py",
    "dashboard": "tests/unit/test_dashboard_page.py",
    "integrations": "tests/integration/test_langchain_docs.py",
    "rag": "tests/integration/test_rag_page.py",
    "recorders": "tests/unit/telemetry/test_recorders_page.py",
    "report": "tests/unit/test_report_page.py",
    "rollout": "tests/unit/test_rollout_page.py",
    "security-at-rest": "tests/unit/test_security_page.py",
    "transfer": "tests/unit/cli/test_pages.py",
    "tuning": "tests/unit/cli/test_tuning_page.py",
    "warming": "tests/unit/cli/test_pages.py",
}

# What a page takes for granted: names of the reader's own program.
GRANTED = {
    "invalidation": """
from types import SimpleNamespace
from llmcache_plugins import EventRule, open_cache
cache = open_cache("memory://", embedder=None)
commands, connection = ["no shutdown"], SimpleNamespace(send_config_set=lambda commands: None)
""",
    "judge": "compare = lambda asked, stored: 0.99",
}
INSTEAD = {  # what stands on a page as an example of a value, and what the test puts there
    "invalidation": {"port=8089": "port=0"},  # any that is free
    "shared-statistics": {
        "shared = ": 'cache.lookup("What is BGP?")\nshared = ',  # a process that has counted something
        '"web-3:17:0a1b2c3d"': "next(iter(shared.nodes))",
    },
}
FILES = {"invalidation": ("toml", "events.toml")}  # a block of this language is this file

PAGES = {path.relative_to(DOCS).with_suffix("").as_posix(): path for path in sorted(DOCS.rglob("*.md"))}


def text_of(page: str) -> str:
    return PAGES[page].read_text(encoding="utf-8")


def blocks_of(page: str) -> list[str]:
    """The blocks of a page that run."""
    return [block["code"] for block in BLOCK.finditer(text_of(page)) if not block["mark"]]


RUN_HERE = [page for page in PAGES if page not in OWN and blocks_of(page)]


def said_by(code: str) -> list[str]:
    """What the comments behind `print(...)` say that it prints."""
    return [match[1].strip() for match in re.finditer(r"^ *print\(.*# (.*)$", code, flags=re.MULTILINE)]


@pytest.fixture(scope="module")
def offline() -> Iterator[dict[str, str]]:
    """The environment of a process whose model providers are on this machine."""
    with FakeAnthropic() as anthropic, FakeOpenAI() as openai:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LLMCACHE_")}
        yield {
            **kept,
            "ANTHROPIC_BASE_URL": anthropic.base_url,
            "ANTHROPIC_API_KEY": "test",
            "OPENAI_API_BASE": openai.base_url,
            "OPENAI_API_KEY": "test",
        }


@pytest.mark.parametrize("page", RUN_HERE)
def test_the_blocks_of_a_page_print_what_their_comments_say(
    page: str, offline: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    for package in NEEDED:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    code = "\n".join([GRANTED.get(page, ""), *blocks_of(page)])
    for example, value in INSTEAD.get(page, {}).items():
        assert example in code
        code = code.replace(example, value)
    if SERVER in code:
        start: Callable[[str], RedisServer] = request.getfixturevalue("redis_server")
        code = re.sub(rf"{re.escape(SERVER)}(\?prefix=\w+)?", f"{start('search').url}?prefix=page-{page}", code)
    if page in FILES:
        language, name = FILES[page]
        (block,) = re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), flags=re.MULTILINE | re.DOTALL)
        (tmp_path / name).write_text(block, encoding="utf-8")
    file = tmp_path / "page.py"
    file.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, file], cwd=tmp_path, env=offline, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    said = said_by(code)
    assert [line for line in done.stdout.splitlines() if line in said] == said, done.stdout


@pytest.mark.parametrize(("page", "test"), OWN.items())
def test_a_page_that_is_not_run_here_is_run_by_its_own_test(page: str, test: str) -> None:
    code = (ROOT / test).read_text(encoding="utf-8")
    assert "exec(" in code
    assert page in code


def test_what_is_not_run_says_so_where_a_reader_sees_it() -> None:
    marks = {(page, block["mark"]) for page in PAGES for block in BLOCK.finditer(text_of(page)) if block["mark"]}
    assert [(page, mark) for page, mark in marks if not MARK.fullmatch(mark)] == []


def test_the_quickstarts_are_short() -> None:
    for code in blocks_of("quickstart"):
        assert len([line for line in code.splitlines() if line.strip()]) <= 10
