"""Where those who are asked report to: the cache that asks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from llmcache_plugins.protocols import Clock
from llmcache_plugins.recorded import Event

__all__ = ["Listener"]


def _silent(*heard: Any) -> None:
    """Where nobody listens."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where events and failures go, and what is to hold around a call: that of the cache that asks.

    Args:
        bypassed: a context in which the cache neither answers nor stores.
    """

    clock: Clock
    emit: Callable[[Event], None] = _silent
    failed: Callable[[str, BaseException], None] = _silent
    succeeded: Callable[[str], None] = _silent
    bypassed: Callable[[], AbstractContextManager[None]] = nullcontext
