"""A tiny run of the tiers benchmark, from a stream to tables and a picture. No figure is asserted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks.tiers import command
from benchmarks.tiers.replay import SHAPES, STREAMS
from llmcache_plugins.testing import FakeEmbedder


@pytest.mark.slow
def test_a_run_fills_every_table_of_the_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"query": f"question {number % 7}", "class": "c", "t": 3600.0 * number} for number in range(30)]
    for name in STREAMS:
        with gzip.open(tmp_path / f"stream_{name}_dev.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    groups = command.measure_costs(size=20, rounds=1, calls=10)
    replayed = command.measure_replays(tmp_path, FakeEmbedder(), (5,))
    assert {one.shape for one in replayed} == set(SHAPES)
    assert all(one.requests == 30 and one.too_old == 0 for one in replayed)
    command.write(tmp_path / "out", groups, replayed)
    document = (tmp_path / "out" / "tiers.md").read_text()
    for shape in SHAPES:
        assert document.count(f"| {shape} |") == len(STREAMS)
    assert (document.count("| memory, "), document.count("| disk, ")) == (4, 4)
    assert (tmp_path / "out" / "tiers.png").read_bytes().startswith(b"\x89PNG")
    assert "hit rate" in capsys.readouterr().err
