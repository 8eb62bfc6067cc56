"""Paths as users write them."""

from __future__ import annotations

import os
from pathlib import Path

from llmcache_plugins.errors import ConfigError

__all__ = ["as_path"]


def as_path(given: str | os.PathLike[str]) -> Path:
    """The path, with the home folder in place of `~` or `~user`.

    Raises:
        ConfigError: it holds a null byte, there is no such user, or nobody knows where his home is.
    """
    try:
        return Path(given).expanduser()
    except (RuntimeError, ValueError):
        raise ConfigError(
            "this is no path: it holds a null byte, or begins with ~ and a name that is no user's here"
        ) from None
