"""`llmcache doctor`: what is installed, which embedder was found, what the default cache would be."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from llmcache_plugins.config import CacheConfig
from llmcache_plugins.errors import ConfigError, LLMCacheError, MissingExtraError
from llmcache_plugins.factory import open_cache, parse_url, with_mode

__all__ = ["run_doctor", "say_size"]

_PACKAGES = (  # distribution, extra that brings it
    ("langchain-core", "langchain"),
    ("langchain-anthropic", "demo"),
    ("llama-index-core", "llama-index"),
    ("anthropic", "anthropic"),
    ("redis", "redis"),
    ("cryptography", "encryption"),
    ("onnxruntime", "local"),
    ("tokenizers", "local"),
    ("llmcache-plugins-models", "local"),
    ("sentence-transformers", "sentence-transformers"),
    ("prometheus-client", "prometheus"),
    ("opentelemetry-api", "otel"),
    ("ddsketch", "sketch"),
    ("apscheduler", "schedule"),
    ("rich", "cli"),
    ("matplotlib", "plot"),
)


def run_doctor(say: Callable[[str], None] = print, *, url: str | None = None) -> int:
    """Print it; 1 when the embedder is installed but does not work, the URL is none of a cache,
    LLMCACHE_ENCRYPTION_KEY no key, or LLMCACHE_MODE or LLMCACHE_FRACTION no such thing, else 0.

    Args:
        url: of the cache to look at; by default LLMCACHE_URL.
    """
    say(f"{'Python':24}{platform.python_version()}")
    for name in ("llmcache-plugins", "numpy"):
        say(f"{name:24}{_version(name) or 'not installed as a package'}")
    for name, extra in _PACKAGES:
        say(f"{name:24}{_version(name) or _missing(extra)}")
    embedder, works = _embedder()
    say(f"{'default embedder':24}{embedder}")
    cache, is_valid = _cache(url, "this URL") if url else _cache(os.environ.get("LLMCACHE_URL"), "LLMCACHE_URL")
    say(f"{'the cache' if url else 'default cache':24}{cache}")
    sealing, is_key = _sealing()
    say(f"{'encryption':24}{sealing}")
    mode, is_mode = _mode()
    say(f"{'mode':24}{mode}")
    return 0 if works and is_valid and is_key and is_mode else 1


def say_size(entries: int, *, say: Callable[[str], None] = print, **sizes: Any) -> int:
    """Print what so many entries would take on a server.

    Raises:
        ConfigError: as `size_estimate`.
        MissingExtraError: the client of Redis is not installed.
    """
    from llmcache_plugins.stores.redis import size_estimate

    estimate = size_estimate(entries, **sizes)
    say(f"{'an entry':24}{estimate.entry_bytes:,} bytes")
    say(f"{'all entries':24}{estimate.total_bytes / 2**20:,.0f} MiB, within a third or so")
    say(f"{'advised maxmemory':24}{estimate.advised_bytes / 2**20:,.0f} MiB, with maxmemory-policy noeviction")
    return 0


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _missing(extra: str) -> str:
    return f"missing: pip install 'llmcache-plugins[{extra}]'"


def _embedder() -> tuple[str, bool]:
    """What to say of the default embedder, and False when it is there but broken."""
    if any(_version(name) is None for name, extra in _PACKAGES if extra == "local"):
        return f"none, only exact and normalised matches hit; {_missing('local')}", True
    try:
        from llmcache_plugins.embedders import OnnxEmbedder

        embedder = OnnxEmbedder()
        embedder.embed(["Is this thing on?"])
    except (LLMCacheError, ImportError, OSError) as error:
        return f"does not work: {type(error).__name__}: {error}", False
    return embedder.embedder_id, True


def _cache(url: str | None, given_as: str) -> tuple[str, bool]:
    """What to say of the cache at this URL, and False when it is none."""
    if not url:
        return "memory:// (set LLMCACHE_URL for another)", True
    try:
        kind, path = parse_url(url)
    except ConfigError as error:
        return f"{given_as}: {error}", False
    if kind == "redis":
        return _server(url, given_as)
    return f"{kind}://{path if kind == 'disk' else ''} ({given_as})", True


def _sealing() -> tuple[str, bool]:
    """Whether the default cache is sealed, and False when its key is none."""
    if not os.environ.get("LLMCACHE_ENCRYPTION_KEY"):
        return "none: what is stored is readable (set LLMCACHE_ENCRYPTION_KEY to seal it)", True
    try:
        open_cache("memory://", embedder=None, maintenance="manual", mode="serve", fraction=0.0).close()
    except (ConfigError, MissingExtraError) as error:
        return f"LLMCACHE_ENCRYPTION_KEY: {error}", False
    return "LLMCACHE_ENCRYPTION_KEY", True


def _mode() -> tuple[str, bool]:
    """What the default cache does with its answers, and False when the environment says nothing that can be done."""
    given = [name for name in ("LLMCACHE_MODE", "LLMCACHE_FRACTION") if os.environ.get(name)]
    if not given:
        return "serve (set LLMCACHE_MODE for another)", True
    try:
        config = with_mode(CacheConfig())
    except ConfigError as error:
        return str(error), False
    share = f", a fraction of {config.fraction:g}" if config.mode == "canary" else ""
    return f"{config.mode}{share} ({', '.join(given)})", True


def _server(url: str, given_as: str) -> tuple[str, bool]:
    """What the server says of itself, and what should be changed there. Changes nothing itself."""
    try:
        from llmcache_plugins.stores.redis import RedisStore, redis_settings

        server, settings = redis_settings(url)
        for name in ("maxmemory", "maxmemory_policy"):
            settings.pop(name, None)
        store = RedisStore(server, **settings)
        try:
            found = store.inspect()
        finally:
            store.close()
    except LLMCacheError as error:
        return f"{given_as}: {error}", False
    return "; ".join([str(found), *found.advice]), not found.advice
