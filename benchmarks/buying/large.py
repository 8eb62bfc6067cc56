"""What long logs take: time and memory of the two commands, each in a process of its own."""

from __future__ import annotations

import json
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
# Not ru_maxrss: that of a child begins with what its parent held when it was started.
_TELL = "; status = Path('/proc/self/status').read_text(); print(1024 * int(status.partition('VmHWM:')[2].split()[0]))"
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
        RuntimeError: it failed, as it does where there is no /proc (Linux only).
    """
    start = time.perf_counter()
    command = [sys.executable, "-c", COMMANDS[name] + _TELL, str(path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} ended with {done.returncode}")
    peak = int(done.stdout.splitlines()[-1])
    return Measured(name, lines, time.perf_counter() - start, peak)
