"""A process is killed in the middle of moves between tiers: no answer is lost, and each is in one tier."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from llmcache_plugins import Hit, TierConfig, open_cache

ANSWERS = 60
TIERS = [
    TierConfig("top", max_entries=5, residency=10.0, store="memory://"),
    TierConfig("middle", max_entries=20, residency=10.0, promote_at=2),
    TierConfig("bottom", promote_at=1),
]
MOVER = f"""
import sys
from llmcache_plugins import TierConfig, open_cache
from llmcache_plugins.testing import FakeClock
tiers = [
    TierConfig("top", max_entries=5, residency=10.0, store="memory://"),
    TierConfig("middle", max_entries=20, residency=10.0, promote_at=2),
    TierConfig("bottom", promote_at=1),
]
clock = FakeClock()
cache = open_cache("disk://" + sys.argv[1], tiers=tiers, embedder=None, clock=clock, ttl=None, maintenance="manual")
for number in range({ANSWERS}):
    assert cache.update(f"q{{number}}", number).stored
print("stored", flush=True)
while True:
    for number in range({ANSWERS}):
        cache.lookup(f"q{{number}}")
        cache.lookup(f"q{{number}}")
    print("up", flush=True)
    clock.advance(11)
    cache.maintain()
    print("down", flush=True)
"""


@pytest.mark.slow
def test_killed_in_the_middle_of_moves(tmp_path: Path) -> None:
    for round_ in range(4):
        path = tmp_path / f"cache{round_}.db"
        command = [sys.executable, "-c", MOVER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                for _ in range(1 + round_):  # one kill among promotions, the next among demotions
                    assert process.stdout.readline()
            finally:
                os.kill(process.pid, signal.SIGKILL)
        with open_cache(f"disk://{path}", tiers=TIERS, embedder=None, ttl=None, maintenance="manual") as cache:
            stats = cache.stats()
            assert sum(tier.entries for tier in stats.tiers.values()) == stats.entries == ANSWERS
            for number in range(ANSWERS):
                hit = cache.lookup(f"q{number}")
                assert isinstance(hit, Hit), (round_, number)
                assert hit.answer == number
            assert cache.maintain().failed == ()
            tiers = cache.stats().tiers
            assert (tiers["top"].entries <= 5, tiers["middle"].entries <= 20) == (True, True)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
