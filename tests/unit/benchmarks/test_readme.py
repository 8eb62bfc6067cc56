"""The README's table: the arithmetic, and that it is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.readme import numbers_table

README = Path(__file__).parent.parent.parent.parent / "README.md"


SUMMARY = {
    "requests": 100,
    "hits": {"exact": 10, "semantic": 15},
    "rewordings": 20,
    "rewordings_hit": 10,
    "wrong_hits": 1,
    "wrong_hits_of_guard_kinds": 0,
    "look_alikes": 10,
    "look_alikes_hit": 1,
    "hit_latency": {"p50_ms": 1.0, "p95_ms": 20.0},
    "miss_latency": {"p50_ms": 160.2, "p95_ms": 180.0},
    "settings": {"similarity_threshold": 0.95},
}


def test_table_says_shares_with_their_intervals() -> None:
    text = numbers_table(SUMMARY)
    assert "25 of 100 = 25.0% (17.5% - 34.3%)" in text
    assert "| 1.0 / 20.0 ms |" in text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"similarity_threshold": 0.95, "max_error_rate": None}, "cosine 0.95 and guards"),
        ({"similarity_threshold": None, "max_error_rate": 0.01}, "error budget 1 % and guards"),
    ],
)
def test_table_says_what_decided(settings: dict[str, float | None], words: str) -> None:
    assert f"`make demo`: 100 labelled questions, {words}" in numbers_table({**SUMMARY, "settings": settings})


def test_readme_holds_measured_numbers() -> None:
    block = (
        README.read_text(encoding="utf-8").partition("<!-- begin numbers -->")[2].partition("<!-- end numbers -->")[0]
    )
    assert "wrong hits / requests" in block
