"""No path that is taken often becomes dearer unnoticed: counted in instructions, which no load changes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.counts import FLOOR, LIMITS


def counts() -> dict[str, int]:
    command = [sys.executable, "-m", "benchmarks.counts", "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def counted() -> dict[str, int]:
    return counts()


@pytest.mark.parametrize("path", LIMITS)
def test_a_path_is_within_its_limit(counted: dict[str, int], path: str) -> None:
    times, limit = counted[path] / counted[FLOOR], LIMITS[path]
    assert times <= limit, f"{path}: {times:.1f} times the floor; see `python -m benchmarks.counts`"
    assert times > limit / 2, f"{path} takes less than half of its limit by now: lower that"


def test_counts_do_not_depend_on_the_moment(counted: dict[str, int]) -> None:
    again = counts()
    in_memory = [name for name in again if "disk" not in name]  # a file is written to when it is time
    assert {name: again[name] for name in in_memory} == {name: counted[name] for name in in_memory}
