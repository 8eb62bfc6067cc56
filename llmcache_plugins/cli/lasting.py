"""Caches that another process can reach: those in a file, and those on a server."""

from __future__ import annotations

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.factory import parse_url

__all__ = ["check_lasting"]


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
