"""The environments that the tests run in: what they pin, and that CI runs them all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
ELSEWHERE = {
    "sentence-transformers",
    "bench",
    "bench-peers",
    "bench-redis",
    "training",
    "docs",
}  # an environment of its own, or no tests
NOT_RUN = {"mypy", "ruff", "hatchling"}  # in the other environments: one format, one set of types, one build
COMPANIONS = {"aiohttp", "langgraph-prebuilt"}


def lower_bounds() -> dict[str, Version]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra, named in project["optional-dependencies"].items():
        lines += [] if extra in ELSEWHERE else named
    bounds: dict[str, Version] = {}
    for requirement in map(Requirement, lines):
        name = canonicalize_name(requirement.name)
        if name == "llmcache-plugins" or name in NOT_RUN:
            continue
        # A pin is its own lower bound.
        lowest = [Version(bound.version) for bound in requirement.specifier if bound.operator in (">=", "==")]
        assert len(lowest) == 1, f"{requirement} needs exactly one lower bound"
        assert bounds.setdefault(name, lowest[0]) == lowest[0], f"{name} has two lower bounds"
    return bounds


def pinned() -> dict[str, Version]:
    pins = {}
    for line in (ROOT / "tests" / "environments" / "lowest.txt").read_text(encoding="utf-8").splitlines():
        if stated := line.split("#")[0].strip():
            name, version = stated.split("==")
            pins[canonicalize_name(name)] = Version(version)
    return pins


def test_the_lowest_environment_is_what_pyproject_declares():
    assert {name: pin for name, pin in pinned().items() if name not in COMPANIONS} == lower_bounds()


def test_p64_ci_runs_the_newest_versions_and_every_other_environment():
    goals = set(re.findall(r"^run \d+ (\S+)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    matrix = re.search(r"^test-matrix: (.+)$", makefile, re.MULTILINE)
    assert matrix is not None
    assert set(matrix[1].split()) == {"test-b", "test-lowest", "test-sdks", "test-notebooks"}
    assert {"test", *matrix[1].split()} <= goals
    sdks = re.search(r"^SDKS := (.+)$", makefile, re.MULTILINE)
    assert sdks is not None
    oldest, *between, newest = sdks[1].split()
    assert Version(oldest) == lower_bounds()["anthropic"]
    assert newest == "newest"
    assert {Version(version).major for version in between} >= {0, 1}


def run(required: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LLMCACHE_REQUIRE_EXTRAS": required}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/test_environments.py",
    ]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("required", ["no-such-package", "numpy<1", "anthropic no-such-package>=2"])
def test_what_has_to_be_there_and_is_not_fails_instead_of_being_skipped(required):
    done = run(required)
    assert done.returncode == 4
    assert required.split()[-1] in done.stderr
    assert "here: " in done.stderr


def test_what_is_there_passes():
    done = run("anthropic numpy>=2")
    assert done.returncode == 0, done.stderr
