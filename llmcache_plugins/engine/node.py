"""Which process this is, for those that share a store."""

from __future__ import annotations

import os
import socket
import uuid

__all__ = ["Node"]

_made: tuple[int, str] = (-1, "")


def _of_process() -> str:
    """Host, process and eight digits: a number of a process is given again, and containers have the same ones."""
    global _made
    process = os.getpid()
    if _made[0] != process:  # also in a forked child
        _made = (process, f"{socket.gethostname()}:{process}:{uuid.uuid4().hex[:8]}")
    return _made[1]


class Node:
    """The node id of a cache; the caches of a process have the same one unless they were given others.

    Args:
        given: by the user; None for host name, process number and some random digits.
    """

    def __init__(self, given: str | None = None) -> None:
        self._given = given

    def __call__(self) -> str:
        return self._given or _of_process()
