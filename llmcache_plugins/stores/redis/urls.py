"""Settings of the store that stand in a URL, behind the `?`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.stores.redis.memory_limit import bytes_of

__all__ = ["redis_settings"]

_OURS: dict[str, Callable[[str], Any]] = {
    "prefix": str,
    "index": str,
    "vectors": str,
    "compress_above": int,
    "timeout": float,
    "max_connections": int,
    "staleness": float,
    "buckets": int,
    "maxmemory": bytes_of,
    "maxmemory_policy": str,
}


def redis_settings(url: str) -> tuple[str, dict[str, Any]]:
    """The URL without our own settings, and these; what else stands behind the `?` is the client's.

    Raises:
        ConfigError: one of ours is no number where it should be.

    >>> redis_settings("redis://localhost/0?prefix=support&timeout=0.2&ssl_ca_certs=ca.pem")
    ('redis://localhost/0?ssl_ca_certs=ca.pem', {'prefix': 'support', 'timeout': 0.2})
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # its text quotes the URL
        raise ConfigError("this Redis URL cannot be read: brackets belong to an IPv6 address only") from None
    settings: dict[str, Any] = {}
    others = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _OURS:
            others.append((name, value))
            continue
        try:
            settings[name] = _OURS[name](value)
        except ValueError:
            kind = "a size such as 2gb" if name == "maxmemory" else "a number"
            raise ConfigError(f"{name} in a Redis URL must be {kind}, not {value!r}") from None
    try:
        return urlunsplit(parts._replace(query=urlencode(others))), settings
    except UnicodeEncodeError:  # its text quotes the URL
        raise ConfigError("this Redis URL cannot be read: it is no UTF-8") from None
