"""What a release says of itself is true: one version, every borrowed file named, forms that ask for nothing private."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

import llmcache_plugins

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "llmcache_plugins"
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"))


def test_the_version_is_the_one_that_the_changelog_tells_of() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (newest, *_) = re.findall(r"^## (\S+)", changelog, re.MULTILINE)
    assert llmcache_plugins.__version__ == newest == version("llmcache-plugins")


def test_every_file_that_others_had_a_part_in_is_named() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    fitted = [*PACKAGE.glob("matching/calibrations/*.json"), *PACKAGE.rglob("*.npz")]
    assert len(fitted) >= 3
    licences = [path.parent for path in PACKAGE.rglob("*LICENSE*")]
    for path in (*fitted, *licences):
        assert str(path.relative_to(ROOT)) in notice, path


def test_every_source_that_the_confidence_was_fitted_on_is_named() -> None:
    card = (ROOT / "docs" / "confidence.md").read_text(encoding="utf-8")
    table = card.partition("## Fitted on")[2].partition("\n\n## ")[0].partition("\n\nThe Quora")[0]
    rows = re.findall(r"^\| (\w[\w:]*) \| ([^|]+?) \|", table, re.MULTILINE)[1:]
    own = {"made by program", "written for the data set", "as qqp", "PAWS, as qqp"}
    others = [(source, licence) for source, licence in rows if licence not in own]
    assert len(others) > 10
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for source, licence in others:
        assert f"- {source}: {licence.removesuffix(' (see below)')}" in notice, source


@pytest.mark.parametrize("form", FORMS, ids=[form.stem for form in FORMS])
def test_forms_ask_for_nothing_that_is_private(form: Path) -> None:
    text = form.read_text(encoding="utf-8")
    assert text.startswith("---\nname: ")
    if form.stem != "feature":
        assert "Leave out questions, answers" in text


def test_forms_exist() -> None:
    assert {form.stem for form in FORMS} == {"wrong-hit", "bug", "feature"}


def test_contributors_find_what_they_are_told_of() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    goals = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for named in re.findall(r"`make ([a-z -]+)", text):
        assert set(named.split()) <= goals, named
    for path in re.findall(r"`((?:llmcache_plugins|tests|models|training|benchmarks|docs)/[\w/.]*)`", text):
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\(([\w/.-]+)\)", text):
        assert (ROOT / link).exists(), link
