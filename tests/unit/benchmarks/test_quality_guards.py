"""Guards by sets, the aim of at most 1 % vetoed paraphrases, and the blind sets, on cases counted by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from benchmarks.quality.blind import BLIND, run_blind
from benchmarks.quality.guard_sets import GUARD_SETS, with_set
from benchmarks.quality.guards import guard_vetoes, has_other_values, is_paraphrase, judged
from benchmarks.quality.pairs import PairRuns, run_pairs
from benchmarks.quality.targets import Target, guard_targets
from llmcache_plugins.evaluation import LabelledPair, PreparedEmbedder, read_file, request_of
from llmcache_plugins.matching.guards import DEFAULT_GUARDS
from llmcache_plugins.testing import FakeEmbedder


def near(rows: list[LabelledPair], similarity: float = 0.97) -> PairRuns:
    """The rows under every method, the two questions of each near one another."""
    groups = {request.text: row.id for row in rows for request in (row.a, row.b)}
    return run_pairs(rows, PreparedEmbedder(FakeEmbedder(groups, similarity=similarity)), None, lambda *step: None)


def pair(number: int, a: str, b: str, label: int, **fields: str) -> LabelledPair:
    return LabelledPair(id=str(number), a=request_of(a), b=request_of(b), label=label, lang="en", **fields)


def test_each_default_guard_is_in_one_set() -> None:
    counts = Counter(guard.name for guards in GUARD_SETS.values() for guard in guards)
    assert counts == Counter(guard.name for guard in DEFAULT_GUARDS)
    assert all(GUARD_SETS.values())


def test_a_set_alone_refuses_what_it_looks_at_and_no_more() -> None:
    runs = near(
        [
            pair(1, "how do I add 4 disks", "how do I add 6 disks", 0),
            pair(2, "how do I enable telnet", "how do I disable telnet", 0),
        ]
    )
    assert runs.hits[with_set("numbers, dates, versions")].tolist() == [False, True]
    assert runs.hits[with_set("negation, opposites, scope")].tolist() == [True, False]
    assert runs.hits["cosine 0.95 and guards"].tolist() == [False, False]


@pytest.mark.parametrize(
    ("fields", "is_counted"),
    [
        ({"source": "qqp", "kind": "paraphrase"}, True),
        ({"source": "qqp", "kind": "paraphrase_numdiff"}, False),
        ({"source": "mqp", "kind": "paraphrase"}, False),
        ({"source": "rqe_amia2016", "kind": "entailed_question"}, False),
        ({"source": "nl2bash", "kind": "same_command"}, False),
    ],
)
def test_pairs_whose_values_may_differ_stand_apart(fields: dict[str, str], is_counted: bool) -> None:
    row = pair(1, "add 4 disks", "add 6 disks", 1, **fields)
    assert is_paraphrase(row) is is_counted
    assert has_other_values(row) is not is_counted
    vetoes = guard_vetoes(judged([row], np.array([0.97]), 0.75, is_paraphrase))
    assert (vetoes["near"]["label 1"], vetoes["guards"]["numbers"]["label 1"]) == (int(is_counted), int(is_counted))


def test_look_alikes_and_ambiguous_pairs_are_no_paraphrases() -> None:
    for row in (pair(1, "a", "b", 0), pair(1, "a", "b", 1, ambiguous="volatile_answer")):
        assert not is_paraphrase(row)
        assert not has_other_values(row)


def test_only_pairs_near_enough_are_judged_and_each_guard_is_counted() -> None:
    rows = [
        pair(1, "how do I add 4 disks", "how do I add 6 disks", 1),
        pair(2, "how do I enable 4 disks", "how do I disable 6 disks", 1),
        pair(3, "how do I add 4 tapes", "how do I add 6 tapes", 0),
        pair(4, "how do I add 4 drums", "how do I add 6 drums", 1),
    ]
    found = guard_vetoes(judged(rows, np.array([0.9, 0.75, 0.8, 0.74]), 0.75))
    assert found["near"] == {"label 0": 1, "label 1": 2}
    assert found["guards"]["numbers"] == {"label 0": 1, "label 1": 2, "alone 0": 1, "alone 1": 1}
    assert found["guards"]["opposites"]["label 1"] == 1
    assert found["guards"]["all"]["label 1"] == 2


def counted(vetoed: dict[str, int], total: int) -> dict[str, Any]:
    """Guards that veto so many of `total` paraphrases."""
    guards = {name: {"label 1": count} for name, count in {**vetoed, "all": sum(vetoed.values())}.items()}
    return {"near": {"label 1": total}, "guards": guards}


def aims(whole: dict[str, Any], report: dict[str, Any]) -> list[Target]:
    return list(guard_targets({"guard aim": {"near": 0.75, "whole": whole, "parts": {"report": report}}}))


def test_guards_over_their_limit_are_named() -> None:
    missed = aims(counted({"numbers": 0}, 1), counted({"numbers": 30, "quotes": 11, "dates": 10}, 1000))[1]
    assert not missed.is_reached
    assert missed.measured == pytest.approx(0.03)
    assert "numbers 3.0 %" in missed.what
    assert "quotes 1.1 %" in missed.what
    assert "dates" not in missed.what


def test_all_paraphrases_and_the_report_part_are_two_aims() -> None:
    whole, report = aims(counted({"numbers": 10, "dates": 2}, 1000), counted({"dates": 2, "numbers": 1}, 100))
    assert "labelled English paraphrases, all three parts" in whole.what
    assert "report part alone" in report.what
    assert (whole.is_reached, report.is_reached) == (True, False)
    assert whole.measured == pytest.approx(0.01)
    assert report.measured == pytest.approx(0.02)


def test_blind_sets_are_fifty_look_alikes_and_fifty_rewordings_of_their_own() -> None:
    rows = [row for path in BLIND.values() for row in read_file(path).pairs]
    assert Counter(row.label for row in rows) == {0: 100, 1: 100}
    assert len({row.id for row in rows}) == len(rows)


def test_the_blind_sets_go_through_the_cache_and_wrong_hits_are_named() -> None:
    rows = {row.id: row for path in BLIND.values() for row in read_file(path).pairs}
    groups = {request.text: name for name, row in rows.items() for request in (row.a, row.b)}
    found = run_blind(FakeEmbedder(groups, similarity=0.97), lambda step: lambda *progress: None)
    assert list(found) == ["first", "second"]
    for one in found.values():
        wrong, total = one["fractions"]["wrong_hit_rate"]
        assert total == 50
        assert wrong == len(one["wrong"])
        assert all((rows[name].a.text, rows[name].b.text, rows[name].label) == (a, b, 0) for name, a, b in one["wrong"])
    # Without a model that tells them apart rewordings hit, and the guards alone refuse most look-alikes.
    assert sum(one["fractions"]["recall"][0] for one in found.values()) > 50
    assert sum(one["fractions"]["wrong_hit_rate"][0] for one in found.values()) < 50
