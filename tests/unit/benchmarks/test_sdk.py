"""The numbers of the Anthropic SDK come from the calls that they name."""

from __future__ import annotations

import pytest

from benchmarks.sdk import main, through_sdk


def test_each_way_has_a_floor_a_miss_and_a_hit() -> None:
    groups = list(through_sdk(rounds=1))
    assert [group.title for group in groups] == ["`messages.create`", "`messages.stream`"]
    for group in groups:
        assert [timing.name for timing in group.timings] == ["no cache", "miss", "hit"]
        assert group.floor.ratio == 1.0


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds", "1"]) == 0
    said = capsys.readouterr().out
    assert said.count("| hit |") == 2
    assert "SDK: anthropic" in said
