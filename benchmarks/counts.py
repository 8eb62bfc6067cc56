"""What the paths that are taken most cost, counted and not timed: `python -m benchmarks.counts`.

The bytecode instructions that Python executes on a path are the same in every run, on every machine, whatever else it
does. They say nothing of what numpy, SQLite or a hash take; that is what the timings are for. `tests/test_counts.py`
holds every path to its limit, so that nobody makes one dearer without noticing.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.workload import ANSWER, Workload, question
from llmcache_plugins import SemanticCache
from llmcache_plugins.keys.fingerprint import key_of, scope_of
from llmcache_plugins.types import Request

__all__ = ["FLOOR", "LIMITS", "counts"]

FLOOR = "hash and dict look-up"
LIMITS = {
    "exact hit, memory": 11.5,
    "exact hit, memory, chat request": 15.0,
    "exact hit, memory, awaited": 37.5,
    "exact hit, disk": 14.5,
    "normalised hit, memory": 56.0,
    "alias hit, memory": 20.0,
    "semantic hit, memory": 200.0,
    "semantic hit, disk": 340.0,
    "miss, memory": 85.0,
    "update, memory": 75.0,
}
"""How many times the instructions of hashing a plain string and looking it up in a dict each path may take; what it
takes with Python 3.11, and a tenth more."""

_SIZE = 200
_CALLS = 4


def counts() -> dict[str, int]:
    """Instructions by path; the floor is `FLOOR`. In a new process: what was read once is remembered."""
    with tempfile.TemporaryDirectory() as folder:
        workload = Workload(Path(folder))
        with workload.filled("memory", _SIZE) as memory, workload.filled("disk", _SIZE) as disk:
            return {name: _counted(call) for name, call in _paths(workload, memory, disk)}


def _paths(
    workload: Workload, memory: SemanticCache, disk: SemanticCache
) -> Iterator[tuple[str, Callable[[], object]]]:
    asked, (chat, *_) = question(3), workload.asked_requests()
    scope = scope_of(Request(""))
    entries = {(scope, key_of(scope, asked)): ANSWER}
    with asyncio.Runner() as runner:
        for cache in (memory, disk):  # what is done once is done, and the entry has moved up as far as it will
            for _ in range(30):
                cache.lookup(asked)
                cache.lookup(chat)
            cache.maintain()
        runner.run(memory.alookup(asked))
        yield FLOOR, lambda: entries[scope, key_of(scope, asked)]
        yield "exact hit, memory", lambda: memory.lookup(asked)
        yield "exact hit, memory, chat request", lambda: memory.lookup(chat)
        yield "exact hit, memory, awaited", lambda: runner.run(memory.alookup(asked))
        yield "exact hit, disk", lambda: disk.lookup(asked)
        yield "normalised hit, memory", lambda: memory.lookup(question(7).upper())
        (known,) = workload.reworded([9])
        memory.lookup(known)
        yield "alias hit, memory", lambda: memory.lookup(known)
        reworded, unknown = iter(workload.reworded(range(20, 40))), iter(workload.unknown(20))
        yield "semantic hit, memory", lambda: memory.lookup(next(reworded))
        yield "semantic hit, disk", lambda: disk.lookup(next(reworded))
        yield "miss, memory", lambda: memory.lookup(next(unknown))
        yield "update, memory", lambda: memory.update(next(unknown), ANSWER)


def _counted(call: Callable[[], object]) -> int:
    """The fewest of some calls: what is done once, or from time to time, is left out."""
    found = []
    for _ in range(_CALLS):
        with _counting() as counter:
            call()
        found.append(next(counter))
    return min(found)


@contextmanager
def _counting() -> Iterator[Iterator[int]]:
    """Counts the instructions of a block; the next number of what it gives is how many there were."""
    counter = itertools.count()
    if sys.version_info >= (3, 12):
        monitoring, events = sys.monitoring, sys.monitoring.events
        monitoring.use_tool_id(monitoring.PROFILER_ID, "benchmarks.counts")
        monitoring.register_callback(monitoring.PROFILER_ID, events.INSTRUCTION, lambda *_: next(counter))
        monitoring.set_events(monitoring.PROFILER_ID, events.INSTRUCTION)
        try:
            yield counter
        finally:
            monitoring.set_events(monitoring.PROFILER_ID, events.NO_EVENTS)
            monitoring.register_callback(monitoring.PROFILER_ID, events.INSTRUCTION, None)
            monitoring.free_tool_id(monitoring.PROFILER_ID)
        return

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            next(counter)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield counter
    finally:
        sys.settrace(before)


def main() -> None:
    """Print the table, with `--json` the numbers alone."""
    found = counts()
    if "--json" in sys.argv[1:]:
        print(json.dumps(found))
        return
    floor = found.pop(FLOOR)
    print(f"{'':35}instructions  times {FLOOR} ({floor})  limit")
    for name, count in found.items():
        print(f"{name:35}{count:12,}{count / floor:27.1f}{LIMITS[name]:13.1f}")


if __name__ == "__main__":
    main()
