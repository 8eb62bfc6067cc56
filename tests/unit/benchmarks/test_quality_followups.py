"""A tiny run of the benchmark of follow-ups."""

from __future__ import annotations

from typing import Any

from benchmarks.quality.followups import SETTINGS, blocks_of, followups, rewrites
from llmcache_plugins.evaluation import LabelledPair, LabelledRequest, PreparedEmbedder, request_of
from llmcache_plugins.testing import FakeEmbedder

ABOUT = ["Who was Nikola Tesla?", "An inventor."]
GREETING = ["hi", "Hello!"]
LEANS, WHOLE = "Where was he born?", "Where was Nikola Tesla born?"


def side(*said: str) -> Any:
    roles = ("user", "assistant")
    return request_of({"messages": [{"role": roles[at % 2], "content": text} for at, text in enumerate(said)]})


def pair(number: int, kind: str, label: int, a: Any, b: Any) -> LabelledPair:
    return LabelledPair(id=str(number), a=a, b=b, label=label, source="own", kind=kind)


PAIRS = [
    pair(0, "standalone_rewrite", 1, side(*ABOUT, LEANS), side(WHOLE)),
    pair(1, "greeting_prefix", 1, side(*GREETING, WHOLE), side(WHOLE)),
    pair(2, "missing_history", 0, side(*ABOUT, LEANS), side(LEANS)),
    pair(3, "context_swap", 0, side(*ABOUT, LEANS), side("Who was Marie Curie?", "A chemist.", LEANS)),
]
STREAM = [
    LabelledRequest(id="0", request=side(*ABOUT, LEANS), label="born", seen="new"),
    LabelledRequest(id="1", request=side(*GREETING, WHOLE), label="born", seen="variant"),
]


def measured() -> dict[str, Any]:
    embedder = PreparedEmbedder(FakeEmbedder())
    return followups(PAIRS, {"whole": STREAM}, embedder, lambda step: lambda *done: None)


def test_what_each_setting_serves() -> None:
    results = measured()
    counts = {name: results["conversations"][name]["counts"] for name in SETTINGS}
    assert counts["default"] == {"right": 0, "missed": 2, "wrong": 0, "refused": 2}
    assert counts["standalone_turns"] == {"right": 1, "missed": 1, "wrong": 0, "refused": 2}
    assert counts["resolver"] == {"right": 2, "missed": 0, "wrong": 0, "refused": 2}
    assert results["streams"]["whole"]["resolver"]["fractions"]["hit_rate"] == [1, 2]
    assert results["streams"]["whole"]["standalone_turns"]["fractions"]["hit_rate"] == [0, 2]


def test_what_the_test_on_a_turn_says_is_counted_by_kind() -> None:
    results = measured()
    assert results["turns"]["whole"] == {"greeting_prefix, own": [1, 1], "standalone_rewrite, own": [1, 1]}
    assert results["turns"]["leaning"] == {"context_swap, own": [0, 1], "missing_history, own": [0, 1]}
    assert results["histories"]["greeting_prefix, own"] == [1, 1]
    assert results["histories"]["context_swap, own"] == [0, 1]


def test_the_script_knows_the_rewrites_of_these_very_turns() -> None:
    assert rewrites(PAIRS) == {(*ABOUT, LEANS): WHOLE}


def test_every_table_has_rows() -> None:
    assert all(block.count("\n") > 2 for block in blocks_of(measured()).values())
