"""docs/dashboard.md: its code prints what its comments say, its command's options exist, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins.cli.dashboard import DashboardOptions

PATH = Path(__file__).parents[2] / "docs" / "dashboard.md"
PAGE = PATH.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_code_prints_what_its_comments_say(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # for the file of labels
    said: list[str] = []
    for code in (code for language, code in BLOCKS if language == "python"):
        names: dict[str, Any] = {"__name__": "dashboard"}
        exec(compile(code, "dashboard.md", "exec"), names)
        names["cache"].close()
        said += [match[1].strip() for match in re.finditer(r"^print\(.*# (.*)$", code, flags=re.MULTILINE)]
    assert said
    assert capsys.readouterr().out.splitlines() == said


def test_the_options_of_its_command_exist() -> None:
    (command,) = [code for language, code in BLOCKS if language == "console"]
    program, name, *arguments = shlex.split(command)
    assert (program, name) == ("llmcache", "dashboard")
    options = {word.removeprefix("--").replace("-", "_") for word in arguments if word.startswith("--")}
    assert options
    assert options <= set(DashboardOptions.__dataclass_fields__)


def test_its_links_lead_somewhere_and_its_pictures_are_small() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", PAGE)
    assert links
    assert [link for link in links if not (PATH.parent / link).exists()] == []
    pictures = [PATH.parent / link for link in links if link.endswith(".png")]
    assert len(pictures) == 4
    for picture in pictures:
        assert picture.stat().st_size < 150_000
