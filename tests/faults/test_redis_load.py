"""Two processes with eight threads each and one with an event loop on one server, which is killed and started again in
the middle.

Twelve seconds here; `LLMCACHE_LOAD_SECONDS=60` is what `make test-load` runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins.testing.redis_server import RedisServer

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("LLMCACHE_LOAD_SECONDS", "12"))
WORKER = Path(__file__).with_name("redis_load.py")
PROCESSES = (("a", 8, "no"), ("b", 8, "no"), ("loop", 8, "yes"))
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
AROUND = 6.0  # seconds after the restart in which nobody can keep others from asking the model, too


@pytest.mark.timeout(900)
@pytest.mark.parametrize("flavour", ["search", "valkey"])
def test_no_answer_is_wrong_or_lost_while_the_server_is_killed(
    redis_flavour: Callable[[str], str], flavour: str
) -> None:
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    # In memory where that can be: a process dies here, not a disk, and a disk that others keep busy answers late.
    with (
        tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder,
        RedisServer(redis_flavour("valkey")) as truth,
        RedisServer(redis_flavour(flavour), *durable, folder=folder) as server,
    ):
        url = f"{server.url}?prefix=load&timeout=0.5"
        workers = [start(url, truth.url, *one) for one in PROCESSES]
        try:
            time.sleep(SECONDS / 2)
            down_at = time.time()
            server.kill()
            time.sleep(0.7)
            server.start()
            outputs = [worker.communicate(timeout=SECONDS + 60) for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
    assert [errors for _, errors in outputs] == [""] * len(workers)
    found = [json.loads(said) for said, _ in outputs]
    counts: Counter[str] = sum((Counter(one["counts"]) for one in found), Counter())
    samples = [sample for one in found for sample in one["samples"]]
    assert counts["asked"] > 50 * SECONDS, counts
    assert sum(one["hits"] for one in found) > counts["asked"] / 4, counts
    assert counts["changed"] > counts["change failed"], (counts, samples)
    assert counts["wrong"] == 0, samples
    assert moments(found, "error") == [], samples
    assert moments(found, "late") == [], samples
    # Whom the server did not answer in time asks the model by himself: on a machine with too much to do, too.
    alone = [down_at, *moments(found, "unanswered")]
    twice = [one for one in moments(found, "twice") if not any(-1 <= one - start <= AROUND for start in alone)]
    assert twice == [], samples
    # Most of the time it did answer, or nothing was tried: by seconds, since an open circuit fails thousands in one.
    away = {int(one - down_at) for one in moments(found, "unanswered")}
    assert len(away - set(range(-1, int(AROUND)))) < SECONDS / 4, (sorted(away), counts)


def start(url: str, truth_url: str, name: str, threads: int, awaits: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, str(WORKER), url, truth_url, str(SECONDS), name, str(threads), awaits, "60"]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def moments(found: list[Any], what: str) -> list[float]:
    return [moment for one in found for moment in one["at"][what]]
