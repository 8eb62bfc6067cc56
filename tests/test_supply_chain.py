"""The checks behind `make audit` and `make sbom` find what they are for."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PATH = Path(__file__).with_name("supply_chain.py")


@pytest.fixture(scope="module")
def checks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("supply_chain", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("expression", "text", "classes"),
    [
        ("Apache-2.0 AND (MIT OR MPL-2.0)", "", []),
        ("", "MPL-2.0 AND MIT", []),
        ("", "MIT License\n\nCopyright ...", []),
        ("", "a long text", ["Mozilla Public License 2.0 (MPL 2.0)"]),
        ("", "", ["ISC License (ISCL)", "Academic Free License (AFL)"]),
    ],
)
def test_permissive_licences_pass(checks: ModuleType, expression: str, text: str, classes: list[str]) -> None:
    assert checks.refused(expression, text, classes) is None


@pytest.mark.parametrize(
    ("expression", "text", "classes"),
    [
        ("AGPL-3.0-only", "", []),
        ("MIT AND GPL-3.0-or-later", "", []),
        ("", "GPLv3", []),
        ("", "", ["MIT License", "GNU General Public License v3 (GPLv3)"]),
        ("", "", []),
    ],
)
def test_others_and_none_do_not(checks: ModuleType, expression: str, text: str, classes: list[str]) -> None:
    assert checks.refused(expression, text, classes) is not None


def test_a_vulnerability_is_found_and_what_nobody_knows_is_no_pass(checks: ModuleType) -> None:
    safe = {"name": "b", "version": "1", "vulns": []}
    bad = {"name": "a", "version": "1", "vulns": [{"id": "CVE-1"}]}
    unknown = {"name": "c", "skip_reason": "not found"}
    ours = {"name": "llmcache-plugins", "skip_reason": "not found"}
    assert checks.judged([safe, ours]) == ([], None)
    assert checks.judged([bad, safe, ours]) == (["a 1: CVE-1"], None)
    assert checks.judged([safe, unknown]) == (["c: not audited"], None)
    assert checks.judged([unknown, ours])[1] is not None


def test_what_all_extras_ask_for_is_known(checks: ModuleType) -> None:
    assert {"numpy", "langchain-core", "redis", "onnxruntime", "typer", "cryptography"} <= checks.declared()
    assert "pytest" not in checks.declared()
