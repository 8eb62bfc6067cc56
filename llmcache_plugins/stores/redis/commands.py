"""What a verb asks of the server, and how it is told the answer. Pure: who carries it out is a driver's affair."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files
from typing import Any, TypeAlias, TypeVar

from llmcache_plugins.errors import StoreUnavailable

__all__ = [
    "Argument",
    "Batch",
    "Call",
    "Command",
    "Flow",
    "NotDone",
    "OnAll",
    "Reply",
    "Script",
    "script_of",
    "works_of",
]

T = TypeVar("T")
Argument: TypeAlias = bytes | str | int | float
Command: TypeAlias = tuple[Argument, ...]
"""A command as the server takes it."""
Reply: TypeAlias = Any
"""What the server says: bytes, int, None, or a list of these."""


@dataclass(frozen=True, slots=True)
class Call:
    """A verb of the scripts (`*.lua`), on the bucket with this base."""

    base: bytes
    verb: str
    args: tuple[Argument, ...] = ()
    may_fail: bool = False  # what it says then is an exception in place of a reply; the others count all the same


class OnAll(tuple[Argument, ...]):
    """A command that each node of a cluster is given; its reply is that of each, by node. Alone in its batch."""

    __slots__ = ()


class NotDone(StoreUnavailable):
    """The server was not asked, or has refused: nothing has happened there."""


Batch: TypeAlias = Sequence[Command | Call]
"""Sent together, answered in order. Only one of them may be a call that writes."""
Flow: TypeAlias = Generator[Batch, list[Reply], T]
"""A verb: yields batches, is sent their replies, returns its result."""


def works_of(batch: Batch) -> frozenset[str]:
    """What is asked for, by the verbs of scripts and the names of commands."""
    return frozenset(one.verb if isinstance(one, Call) else str(one[0]) for one in batch)


@dataclass(frozen=True, slots=True)
class Script:
    """Lua, and the digest by which a server knows it."""

    source: str
    sha: str


_READING = frozenset(
    (
        *("look", "normalised", "census", "lowest", "group", "near", "search", "indexes", "load", "fetch"),
        "vectors_of",
    )
)
_LEASES = frozenset(("acquire", "release", "late", "overdue", "tally"))


def script_of(verb: str) -> Script:
    """The script that has this verb."""
    return _script("reading" if verb in _READING else "leases" if verb in _LEASES else "writing")


@cache
def _script(name: str) -> Script:
    folder = files(__package__)
    source = "\n".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in ("common", name))
    return Script(source, sha1(source.encode("utf-8"), usedforsecurity=False).hexdigest())
