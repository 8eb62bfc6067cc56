"""The table of the README, from one run of the demo: `python -m benchmarks.readme`.

Runs `llmcache demo --fresh --json` with a cache file of its own and writes what came of it between the markers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.report import table, with_blocks
from llmcache_plugins.evaluation.intervals import Interval

__all__ = ["numbers_table"]

_README = Path(__file__).parent.parent / "README.md"


def numbers_table(summary: dict[str, Any]) -> str:
    """The README's table for one summary of `llmcache demo --json`."""
    requests, rewordings, look_alikes = (summary[name] for name in ("requests", "rewordings", "look_alikes"))
    hits = sum(summary["hits"].values())
    hit, miss = summary["hit_latency"], summary["miss_latency"]
    rows = [
        ["hit rate", _share(hits, requests)],
        ["rewordings answered", _share(summary["rewordings_hit"], rewordings)],
        ["**wrong hits / requests**, by the labels", _share(summary["wrong_hits"], requests)],
        [
            "of them the guards' kinds (number, address, identifier, negation, ...)",
            str(summary["wrong_hits_of_guard_kinds"]),
        ],
        ["look-alikes answered wrongly", _share(summary["look_alikes_hit"], look_alikes)],
        ["latency of a hit, p50 / p95", f"{hit['p50_ms']:.1f} / {hit['p95_ms']:.1f} ms"],
        ["latency of a miss, p50 (the stand-in answers after 150 ms)", f"{miss['p50_ms']:.0f} ms"],
    ]
    policy = _policy(summary["settings"])
    return table([f"`make demo`: {requests} labelled questions, {policy} and guards", "measured"], rows)


def _policy(settings: dict[str, Any]) -> str:
    """What decided, in words: a calibrated confidence within its error budget, or a cosine."""
    budget, threshold = settings.get("max_error_rate"), settings.get("similarity_threshold")
    if budget is not None:
        return f"error budget {100 * budget:g} %"
    return f"cosine {threshold:g}"


def _share(count: int, total: int) -> str:
    interval = Interval.wilson(count, total)
    return f"{count} of {total} = {count / total:.1%} ({interval.low:.1%} - {interval.high:.1%})"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "llmcache_plugins.cli", "demo", "--fresh", "--json"]
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        done = subprocess.run(command, env=environment, cwd=_README.parent, stdout=subprocess.PIPE, check=True)
    document = with_blocks(_README.read_text(encoding="utf-8"), {"numbers": numbers_table(json.loads(done.stdout))})
    _README.write_text(document, encoding="utf-8")
    print(f"written: {_README.name}")


if __name__ == "__main__":
    main()
