"""The code of some pages of the docs prints what its comments say; their commands exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins.cli.app import read

ROOT = Path(__file__).parents[3]
PAGES = ("warming", "analysis", "transfer", "upgrading")


def blocks_of(page: str) -> list[tuple[str, str]]:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_prints_what_its_comments_say(
    page: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # for the files that it writes
    for package in ("langchain_core", "apscheduler"):
        pytest.importorskip(package)
    names: dict[str, Any] = {"__name__": page}
    said: list[str] = []
    for language, block in blocks_of(page):
        if language == "python":
            exec(compile(block, f"{page}.md", "exec"), names)
            said += [match[1].strip() for match in re.finditer(r"^ *print\(.*# (.*)$", block, flags=re.MULTILINE)]
    names["cache"].close()
    printed = capsys.readouterr().out.splitlines()
    assert said
    assert [line for line in printed if line in said] == said


@pytest.mark.parametrize("page", [*PAGES, "before-buying"])
def test_its_commands_exist(page: str) -> None:
    commands = [line for language, block in blocks_of(page) if language == "console" for line in block.splitlines()]
    assert commands
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "llmcache"
        read(arguments)
