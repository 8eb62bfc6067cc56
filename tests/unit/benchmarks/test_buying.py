"""A tiny run of the benchmark of forecasts, from a stream to tables. No figure is asserted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmarks.buying import command
from benchmarks.buying.forecasts import compared, streams_in
from benchmarks.buying.large import COMMANDS, measured, write_log
from llmcache_plugins.testing import FakeEmbedder


@pytest.mark.slow
def test_a_run_fills_every_table_of_the_document(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "stream_tiny_dev.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"query": f"question {number % 7}", "class": "c"}) + "\n" for number in range(60))
    (path,) = streams_in(tmp_path)
    found = list(compared(path, FakeEmbedder(), (0.5, 0.25), least=20))
    assert [(one.stream, one.calls, one.part) for one in found] == [("tiny", 60, 0.5)]
    assert found[0].real == 1 - 7 / 60
    log = tmp_path / "log.jsonl"
    write_log(log, 300)
    large = [measured(name, log, 300) for name in COMMANDS]
    assert all(one.peak > 2**20 and one.seconds > 0 for one in large)
    command.write(tmp_path / "out", found, large)
    document = (tmp_path / "out" / "before-buying.md").read_text(encoding="utf-8")
    assert document.count("| tiny, 50% of 60 |") == 1
    for name in COMMANDS:
        assert document.count(f"| {name}, 300 |") == 1
