"""Single flight between real processes on one file: one call, also when its leader is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LIMIT = 60.0  # seconds after which a test counts as hung

ASK = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from llmcache_plugins import open_cache

folder, name, threads, takes, timeout = Path(sys.argv[1]), *sys.argv[2:3], *map(float, sys.argv[3:])

def generate():
    with open(folder / "calls", "a") as calls:
        calls.write(name + "\\n")
    time.sleep(takes)  # the model's own time
    return "answer of " + name

with open_cache(f"disk://{folder}/c.db", embedder=None, single_flight_timeout=timeout) as cache:
    cache.lookup("warm up")
    (folder / f"ready {name}").touch()
    while not (folder / "go").exists():
        time.sleep(0.002)
    with ThreadPoolExecutor(int(threads)) as pool:
        asked = [pool.submit(cache.get_or_generate, "q", generate) for _ in range(int(threads))]
        print(" ".join(sorted({future.result().replace(" ", "_") for future in asked})))
"""


def start(folder: Path, name: str, *, threads: int, takes: float, timeout: float) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", ASK, str(folder), name, str(threads), str(takes), str(timeout)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.002)


def calls(folder: Path) -> list[str]:
    path = folder / "calls"
    return path.read_text().split() if path.exists() else []


def test_processes_with_threads_make_one_call(tmp_path: Path) -> None:
    asked = [start(tmp_path, f"p{n}", threads=8, takes=0.3, timeout=LIMIT) for n in range(3)]
    try:
        until(lambda: all((tmp_path / f"ready p{n}").exists() for n in range(3)))
        (tmp_path / "go").touch()
        outputs = [one.communicate(timeout=LIMIT) for one in asked]
    finally:
        for one in asked:
            one.kill()
    assert [errors for _, errors in outputs] == [""] * 3
    [caller] = calls(tmp_path)
    assert [answers.strip() for answers, _ in outputs] == [f"answer_of_{caller}"] * 3


def test_the_next_leads_when_the_lease_of_a_killed_leader_ends(tmp_path: Path) -> None:
    first = start(tmp_path, "dies", threads=1, takes=LIMIT, timeout=1.0)
    second = start(tmp_path, "lives", threads=4, takes=0.0, timeout=LIMIT)
    try:
        until(lambda: (tmp_path / "ready lives").exists())
        until(lambda: (tmp_path / "ready dies").exists())
        # Both may go; whoever holds the lease first is the one that hangs, so the other starts behind it.
        os.kill(second.pid, signal.SIGSTOP)
        (tmp_path / "go").touch()
        until(lambda: calls(tmp_path) == ["dies"])
        first.kill()
        os.kill(second.pid, signal.SIGCONT)
        answers, errors = second.communicate(timeout=LIMIT)
    finally:
        first.kill()
        second.kill()
        first.communicate()
    assert (answers.strip(), errors) == ("answer_of_lives", "")
    assert calls(tmp_path) == ["dies", "lives"]
