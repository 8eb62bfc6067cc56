"""The benchmarks run, measure what they say, and write tables of the right shape. No seconds are asserted."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import chain, exact, misses, report, semantic, timing, workload
from benchmarks.command import write
from benchmarks.report import blocks_of, table, with_blocks
from benchmarks.results import Aim, Results, aims_of
from benchmarks.run import STEPS, perform
from benchmarks.timing import Case, Group, Timing, measure
from benchmarks.workload import DIMENSION, Plan, Workload
from llmcache_plugins.testing.embedder import FakeEmbedder

TINY = Plan(sizes=(30, 60), scanned=90, rounds=2, calls=4, slow_calls=2, embed_calls=1, embed_seconds=0.02)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """One tiny run of everything that needs neither the model nor another package's cache."""
    results = Results({"processor": "a test"})
    # Every text is near every other one, as the real model finds questions that differ in a number.
    embedder = FakeEmbedder(dimension=DIMENSION)
    embedder.groups = _OneGroup()
    caches = Workload(tmp_path_factory.mktemp("caches"))
    assert tuple(perform(results, caches, TINY, embedder, with_sqlite_cache=False)) == STEPS
    return results


class _OneGroup(dict[str, str]):
    def __contains__(self, text: object) -> bool:
        return True

    def get(self, text: str, default: str | None = None) -> str:  # type: ignore[override]  # never the default
        return "all"


@pytest.mark.parametrize(
    ("section", "count", "floor"),
    [
        (exact.SECTION, 4, "floor: hash and dict look-up"),
        (semantic.SECTION, 2, "floor: one read (np.sum)"),
        (semantic.SCAN, 3, "floor: one read (np.sum)"),
        (semantic.EMBEDDED, 1, "floor: the embedder alone"),
        (misses.SECTION, 3, "floor: hash the request"),
        (chain.HIT, 4, "floor: InMemoryCache"),
        (chain.MISS, 1, "no cache"),
    ],
)
def test_every_section_has_its_groups_and_floor(results: Results, section: str, count: int, floor: str) -> None:
    groups = results.of(section)
    assert len(groups) == count
    assert groups[0].floor.name == floor
    for one in (one for group in groups for one in group.timings):
        assert 0 < one.low <= one.seconds <= one.high
        assert one.rounds == TINY.rounds
        assert one.ratio > 0
    assert all(group.floor.ratio == 1.0 for group in groups)


def test_every_store_is_in_every_section(results: Results) -> None:
    for section in (exact.SECTION, semantic.SECTION, semantic.EMBEDDED, misses.SECTION, chain.HIT, chain.MISS):
        for group in results.of(section):
            names = " ".join(timing.name for timing in group.timings)
            assert "memory" in names, group.title
            assert "disk" in names, group.title


def test_a_crowd_makes_one_call(results: Results) -> None:
    assert [(crowd.callers, crowd.calls) for crowd in results.crowds] == [(20, 1), (20, 1)]
    assert [stall.name for stall in results.stalls] == ["floor: an idle loop", "memory, alookup", "disk, alookup"]


def test_tables_have_equal_rows_and_a_row_for_each_timing(results: Results, tmp_path: Path) -> None:
    write(results, tmp_path)
    document = (tmp_path / "performance.md").read_text(encoding="utf-8")
    tables = re.findall(r"(?:^\|.*\|\n)+", document, flags=re.MULTILINE)
    assert len(tables) == 1 + len(results.groups) + 2  # the aims, the groups, the event loop's two
    for lines in (found.splitlines() for found in tables):
        assert len({line.count("|") for line in lines}) == 1, lines[0]
    timed = [found for found in tables if "times the floor" in found]
    assert sum(len(found.splitlines()) - 2 for found in timed) == sum(len(group.timings) for group in results.groups)


def test_every_aim_is_judged(results: Results) -> None:
    aims = aims_of(results)
    assert len(aims) == 4 + 1 + 8 + 2 + 2
    verdicts = re.findall(r"\| \*{0,2}(met|missed)", blocks_of(results)["aims"])
    assert verdicts == ["met" if aim.is_met else "missed" for aim in aims]


def test_results_are_json(results: Results) -> None:
    read = json.loads(json.dumps(results.as_json()))
    assert len(read["groups"]) == len(results.groups)
    assert set(read["aims"][0]) >= {"what", "limit", "measured", "is_met"}


def test_an_aim_says_by_how_much_it_was_missed() -> None:
    assert Aim("a", 2.0, 2.0, "x").verdict == "met"
    assert Aim("a", 2.0, 2.01, "x").verdict == "missed by 0.5%"
    assert Aim("a", 2.0, 5.0, "x").verdict == "missed: 2.5 times the limit"


def test_a_worse_size_decides_an_aim() -> None:
    def group(title: str, ratio: float) -> Group:
        names = (("floor", 1.0), ("memory, lookup", ratio), ("disk, lookup", ratio))
        return Group(exact.SECTION, title, tuple(Timing(name, 1e-6, 1e-6, 1e-6, r, 1) for name, r in names))

    results = Results({}, [group("plain string, 1 entries", 2.0), group("plain string, 2 entries", 4.0)])
    assert [aim.measured for aim in aims_of(results)] == [4.0, 4.0]


def test_prose_between_the_tables_stays() -> None:
    document = "before\n<!-- begin a -->\nold\n<!-- end a -->\nafter\n"
    assert with_blocks(document, {"a": "new"}) == "before\n<!-- begin a -->\nnew\n<!-- end a -->\nafter\n"
    assert with_blocks(with_blocks(document, {"a": "new"}), {"a": "old"}) == document


def test_a_block_without_a_place_is_an_error() -> None:
    with pytest.raises(ValueError, match="the document marks"):
        with_blocks("no markers", {"a": "new"})


@pytest.mark.parametrize("module", [report, timing, workload], ids=lambda module: module.__name__)
def test_examples_in_docstrings(module: ModuleType) -> None:
    tried = doctest.testmod(module)
    assert tried.attempted
    assert not tried.failed


def test_table_aligns_numbers() -> None:
    assert table(("a", "b"), [("c", "1")]).splitlines() == ["| a | b |", "| --- | ---: |", "| c | 1 |"]


def test_rounds_change_the_order_and_use_fresh_inputs() -> None:
    calls: list[tuple[str, int]] = []
    made = iter(range(100))
    cases = [
        Case(name, lambda number, name=name: calls.append((name, number)), lambda: [next(made)])  # type: ignore[misc]  # bound now
        for name in "ab"
    ]
    measure("section", "title", cases, rounds=2)
    assert calls == [("a", 0), ("b", 1), ("a", 2), ("b", 3), ("b", 4), ("a", 5)]


def test_what_does_not_measure_its_claim_is_an_error() -> None:
    case = Case("a hit", lambda number: "a miss", lambda: [1], lambda result: result == "a hit")
    with pytest.raises(RuntimeError, match="a hit does not measure"):
        measure("section", "title", [case], rounds=1)
