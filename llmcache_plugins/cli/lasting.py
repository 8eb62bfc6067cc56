"""Caches that another process can reach: those in a file, and those on a server."""

from __future__ import annotations

import os

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.factory import parse_url

__all__ = ["check_lasting", "named_or_variable"]


def check_lasting(url: str, why: str, *, must_exist: bool = True) -> None:
    """
    Args:
        why: what is not possible with a cache that lives in a process.
        must_exist: a file has to be there already.

    Raises:
        ConfigError: the URL is of no such cache, or its file is not there.
    """
    kind, path = parse_url(url)
    if kind not in ("disk", "redis"):
        raise ConfigError(f"{why}: disk:///path/of/file.db or redis://host:6379/0")
    if kind == "disk" and must_exist and not path.is_file():
        raise ConfigError(f"there is no file {str(path)!r}")


def named_or_variable(url: str | None, option: str = "the URL of a cache") -> str:
    """The URL that was given, else LLMCACHE_URL.

    Args:
        option: how it would have been given.

    Raises:
        ConfigError: neither is there.
    """
    found = url or os.environ.get("LLMCACHE_URL")
    if not found:
        raise ConfigError(f"give {option}, or set LLMCACHE_URL")
    return found
