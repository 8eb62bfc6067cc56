"""What long logs take: time and memory of the two commands, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["COMMANDS", "Measured", "measured", "write_log"]

_ANALYZE = (
    "import sys; from pathlib import Path; from llmcache_plugins.cli.log_analysis import LogAnalysisOptions as O, "
    "run_log_analysis as run; run(O(log=Path(sys.argv[1]), as_json=True))"
)
_REPLAY = (
    "import sys; from pathlib import Path; from llmcache_plugins.cli.replay import ReplayOptions as O, "
    "run_replay as run; run(O(log=Path(sys.argv[1]), as_json=True, sizes=(10_000,)))"
)
COMMANDS = {"analyze": _ANALYZE, "replay, 5 configurations": _REPLAY}
_QUESTIONS = 400_000  # different ones that might be asked
_SKEW = 1.1  # of the Zipf distribution of what is asked
_ASKED = ("How do I configure {} on {}?", "What is the status of {} at {}?", "Why did {} fail on {}?")


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: `seconds` of wall clock, `peak` of resident memory in bytes."""

    command: str
    lines: int
    seconds: float
    peak: int


def write_log(path: Path, lines: int, seed: int = 5) -> None:
    """A log of invented questions, popular ones more often, a call every two seconds or so."""
    random = np.random.default_rng(seed)
    at = 1_750_000_000.0
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, lines, 10_000):
            count = min(10_000, lines - start)
            ranks, gaps = random.zipf(_SKEW, size=count) % _QUESTIONS, random.exponential(2.0, size=count)
            for rank, gap in zip(ranks.tolist(), gaps.tolist(), strict=True):
                at += gap
                asked = _ASKED[rank % 3].format(f"feature {rank // 3}", f"device {rank % 997}")
                row = {"question": asked, "model": "m", "timestamp": round(at, 1)}
                row |= {"input_tokens": 40 + rank % 200, "output_tokens": 20 + rank % 300}
                file.write(json.dumps(row) + "\n")


def measured(name: str, path: Path, lines: int) -> Measured:
    """Run one command on a log.

    Raises:
        RuntimeError: it failed.
    """
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", COMMANDS[name], str(path)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)  # its own peak; that of all children would be of the largest so far
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{name} ended with {process.returncode}")
    return Measured(name, lines, time.perf_counter() - start, usage.ru_maxrss * 1024)  # Linux counts in KiB
