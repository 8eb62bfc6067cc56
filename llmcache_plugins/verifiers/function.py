"""A plain function as a verifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.types import FloatArray

__all__ = ["FunctionVerifier"]


class FunctionVerifier:
    """A verifier out of a function of pairs, (asked, stored), that gives a probability for each.

    Args:
        function: its qualified name, with its `version` (a str) if it has one, is the verifier's id: one of them must
            change with what it says.

    Raises:
        ConfigError: the version is no str.
    """

    def __init__(self, function: Callable[[Sequence[tuple[str, str]]], Any]) -> None:
        self._function = function
        named: Any = function
        while isinstance(named, partial):
            named = named.func
        named = named if hasattr(named, "__qualname__") else type(named)
        version = getattr(function, "version", "")
        if not isinstance(version, str):
            raise ConfigError(f"the version of a verifier must be a str, not {type(version).__name__}")
        self._id = f"{named.__module__}.{named.__qualname__} {version}".strip()

    @property
    def verifier_id(self) -> str:
        return self._id

    def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        scores: FloatArray = self._function(pairs)
        return scores

    def __repr__(self) -> str:
        return f"FunctionVerifier({self._id!r})"
