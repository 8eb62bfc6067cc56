"""The server's own limit of memory, where a cache is asked to set it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llmcache_plugins.errors import ConfigError

__all__ = ["MemoryLimit", "bytes_of"]

_POLICIES = (
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
)
_LEAST = 1024 * 1024  # an empty server takes about as much
_SIZE = re.compile(r"(\d+)\s*([kmgt]?)(b?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """What is set.

    Args:
        max_bytes: `maxmemory`; of a cluster, of all its primaries together. None to leave it as it is.
        policy: `maxmemory-policy`, or None.

    Raises:
        ConfigError: a limit below 1 MiB, or no such policy.
    """

    max_bytes: int | None = None
    policy: str | None = None

    def __post_init__(self) -> None:
        size = self.max_bytes
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or not _LEAST <= size < 2**63):
            raise ConfigError(f"maxmemory must be bytes, at least {_LEAST}, or None, not {size!r}")
        if self.policy is not None and self.policy not in _POLICIES:
            raise ConfigError(f"maxmemory_policy must be one of {', '.join(_POLICIES)}, or None, not {self.policy!r}")

    def __bool__(self) -> bool:
        return self.max_bytes is not None or self.policy is not None


def bytes_of(text: str) -> int:
    """A size as Redis writes it.

    Raises:
        ValueError: it is none.

    >>> [bytes_of(text) for text in ("1000", "2gb", "3K")]
    [1000, 2147483648, 3000]
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    number, unit, is_binary = found.groups()
    step = 1024 if is_binary else 1000
    return int(number) * int(step ** " kmgt".index(unit.lower() or " "))
