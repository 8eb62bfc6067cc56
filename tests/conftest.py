"""What must be installed, so that no test is skipped where it has to run.

Tests skip what needs an optional package that is absent. `LLMCACHE_REQUIRE_EXTRAS` says what may not be absent: names
of extras and requirements, separated by spaces, for example `dev anthropic<1`. Nothing runs when one is not met.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import metadata

import pytest
from packaging.requirements import Requirement

OURS = "llmcache-plugins"
FRAMEWORKS = ("anthropic", "langchain-core", "langchain", "langchain-anthropic", "llama-index-core", "numpy")


def requirements_of(extra: str) -> Iterator[Requirement]:
    """What the extra asks for, with what the extras that it names ask for."""
    for line in metadata.requires(OURS) or []:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        if requirement.name == OURS:
            for inner in requirement.extras:
                yield from requirements_of(inner)
        else:
            yield requirement


def unmet(words: list[str]) -> list[str]:
    """The requirements that are not met here; each word is the name of one of our extras, or a requirement."""
    extras = metadata.metadata(OURS).get_all("Provides-Extra") or []
    found = []
    for word in words:
        for requirement in requirements_of(word) if word in extras else [Requirement(word)]:
            version = installed(requirement.name)
            if version is None or not requirement.specifier.contains(version, prereleases=True):
                found.append(f"{requirement} (here: {version or 'not installed'})")
    return found


def installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def pytest_configure(config: pytest.Config) -> None:
    words = os.environ.get("LLMCACHE_REQUIRE_EXTRAS", "").split()
    if words and (missing := unmet(words)):
        raise pytest.UsageError("LLMCACHE_REQUIRE_EXTRAS is not met: " + "; ".join(missing))


def pytest_report_header(config: pytest.Config) -> str:
    return ", ".join(f"{name} {installed(name) or '-'}" for name in FRAMEWORKS)
