"""A file that a disk has damaged: what is served from it is right, and the application sees no exception."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.reliability.trial import Outcome
from llmcache_plugins import Hit, open_cache
from llmcache_plugins.errors import LLMCacheError

__all__ = ["cut_off", "flipped", "overwritten"]

_ANSWERS = {f"What does error {number} mean?": f"Error {number} means that " + "x y z " * 60 for number in range(40)}


def flipped(times: int, folder: Path) -> Iterator[Outcome]:
    """One bit is not what it was."""

    def damage(content: bytearray, chosen: random.Random) -> bytearray:
        content[chosen.randrange(len(content))] ^= 1 << chosen.randrange(8)
        return content

    yield from _damaged(times, folder, damage)


def overwritten(times: int, folder: Path) -> Iterator[Outcome]:
    """A block of 512 bytes holds something else."""

    def damage(content: bytearray, chosen: random.Random) -> bytearray:
        start = chosen.randrange(len(content) // 512) * 512
        content[start : start + 512] = chosen.randbytes(512)
        return content

    yield from _damaged(times, folder, damage)


def cut_off(times: int, folder: Path) -> Iterator[Outcome]:
    """The end of the file is missing."""
    yield from _damaged(times, folder, lambda content, chosen: content[: chosen.randrange(len(content))])


def _damaged(times: int, folder: Path, damage: Callable[[bytearray, random.Random], bytearray]) -> Iterator[Outcome]:
    outcome = Outcome()
    chosen = random.Random(17)
    whole = folder / "whole.db"
    with open_cache(f"disk://{whole}", embedder=None, ttl=None) as cache:
        for text, answer in _ANSWERS.items():
            cache.update(text, answer)
    for number in range(times):
        path = folder / f"{number}.db"
        shutil.copy(whole, path)
        path.write_bytes(damage(bytearray(path.read_bytes()), chosen))
        outcome.tried += 1
        _ask(path, outcome)
        yield outcome


def _ask(path: Path, outcome: Outcome) -> None:
    try:
        cache = open_cache(f"disk://{path}", embedder=None, ttl=None)
    except LLMCacheError:
        outcome.tell("refused when opened, with a message")
        return
    if any(path.parent.glob(f"{path.name}.damaged-*")):
        outcome.tell("put aside, and begun anew")
    with cache:
        for text, answer in _ANSWERS.items():
            try:
                found = cache.get_or_generate(text, partial(str, answer))
            except Exception:
                outcome.raised += 1
                return
            outcome.wrong += found != answer
        misses = cache.stats().misses
        outcome.tell("answered whole from the file" if not misses else "asked the model for some")
        found = cache.lookup("What does error 3 mean?")
        outcome.tell("stores again" if isinstance(found, Hit) else "stores nothing more")
