"""Every trial, and the tables of docs/reliability.md: `python -m benchmarks.reliability`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.reliability import crowding, damaged, embedding, history, killed
from benchmarks.reliability.trial import Outcome, Trial
from benchmarks.report import table, with_blocks

__all__ = ["TRIALS", "main"]

_DOCS = Path(__file__).parents[2] / "docs"

TRIALS = {
    "Killed": (
        Trial("update, file", "SIGKILL at every step of an update", 900, killed.update_on_disk),
        Trial("invalidation, file", "SIGKILL at every step of an invalidation", 700, killed.invalidation_on_disk),
        Trial("update, server", "SIGKILL of a client, at steps of an update", 400, killed.update_on_server),
    ),
    "Damaged": (
        Trial("one bit", "a bit of the file is turned around", 2000, damaged.flipped),
        Trial("a block", "512 bytes of the file hold something else", 1000, damaged.overwritten),
        Trial("cut off", "the end of the file is missing", 300, damaged.cut_off),
        Trial("full disk", "writing fails from some byte on", 120, crowding.full_disk),
    ),
    "Broken": (
        Trial("embedder", "it raises, hangs, gives NaN, zeros, or the wrong shape", 2000, embedding.broken_embedder),
        Trial("store", "up to three of its verbs fail", 5000, embedding.broken_store),
        Trial("clock", "it jumps by up to a day, either way", 5000, embedding.clock_set_back),
    ),
    "Crowded": (
        Trial("10,000 at once", "tasks and threads ask 100 questions of an empty cache", 5, crowding.crowd),
        Trial("forked workers", "a process at work forks four", 50, crowding.forked),
    ),
    "Shared": (
        Trial("memory, threads", "8 threads read, write and remove 3 entries", 100, history.in_memory),
        Trial("file, processes", "3 processes of 3 threads do", 60, history.on_disk),
        Trial("server, processes", "3 processes of 3 threads do, without copies", 60, history.on_server),
        Trial("server, with copies", "the same, with copies", 60, history.on_server_with_copies),
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Try, and write the page. 1 where something was lost, wrong, or raised."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("--times", type=int, metavar="N", help="at most so often each; by default as often as it says")
    parser.add_argument("--only", choices=list(TRIALS), help="one section; the others stay as they were found before")
    parser.add_argument("--out", type=Path, default=_DOCS, metavar="FOLDER", help="where to write (docs)")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # a warning for each failure, as there should be
    warnings.simplefilter("ignore", DeprecationWarning)  # forks of processes with threads: meant
    kept = _kept(options.out) if options.only else {}
    results: dict[str, dict[str, Any]] = {}
    for section, trials in TRIALS.items():
        for trial in trials:
            name = f"{section}: {trial.name}"
            if options.only in (None, section) or name not in kept:
                outcome, seconds = _tried(trial, min(trial.times, options.times or trial.times))
                results[name] = outcome.as_json() | {"seconds": round(seconds, 1)}
            else:
                results[name] = kept[name]
    _write(options.out, results)
    return 0 if all(_outcome(found).is_clean for found in results.values()) else 1


def _kept(folder: Path) -> dict[str, dict[str, Any]]:
    """What a run before this one found."""
    file = folder / "reliability.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))["trials"]) if file.exists() else {}


def _outcome(found: dict[str, Any]) -> Outcome:
    return Outcome(**{name: value for name, value in found.items() if name != "seconds"})


def _tried(trial: Trial, times: int) -> tuple[Outcome, float]:
    outcome, began = Outcome(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for outcome in trial.run(times, Path(folder)):
            if sys.stderr.isatty():
                print(f"\r{trial.name}: {outcome.tried:,} of {times:,}", end="\033[K", file=sys.stderr)
    seconds = time.monotonic() - began
    if sys.stderr.isatty():
        print("\r", end="\033[K", file=sys.stderr)
    sign = "ok" if outcome.is_clean else f"lost {outcome.lost}, wrong {outcome.wrong}, raised {outcome.raised}"
    print(f"{trial.name:22} {outcome.tried:6,} times  {seconds:6.1f} s  {sign}", flush=True)
    return outcome, seconds


def _row(trial: Trial, outcome: Outcome) -> list[str]:
    counts = [
        str(number) if not number else f"**{number:,}**" for number in (outcome.lost, outcome.wrong, outcome.raised)
    ]
    besides = ", ".join(f"{name}: {number:,}" for name, number in outcome.told.items())
    return [trial.name, trial.what, f"{outcome.tried:,}", *counts, besides]


def _write(folder: Path, results: dict[str, dict[str, Any]]) -> None:
    head = ("", "what is done", "times", "lost", "wrong", "raised", "besides")
    blocks = {
        section.lower(): table(head, [_row(trial, _outcome(results[f"{section}: {trial.name}"])) for trial in trials])
        for section, trials in TRIALS.items()
    }
    machine = describe()
    blocks["machine"] = "\n".join(f"- {name}: {machine[name]}" for name in ("processor", "Python", "date"))
    document = (_DOCS / "reliability.md").read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reliability.md").write_text(with_blocks(document, blocks), encoding="utf-8")
    kept = json.dumps({"machine": machine, "trials": results}, indent=1) + "\n"
    (folder / "reliability.json").write_text(kept, encoding="utf-8")
    print(f"written: {folder / 'reliability.md'}, {folder / 'reliability.json'}")


if __name__ == "__main__":
    sys.exit(main())
