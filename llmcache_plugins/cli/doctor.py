"""`llmcache doctor`: what is installed, which embedder was found, what the default cache would be."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from llmcache_plugins.errors import ConfigError, LLMCacheError
from llmcache_plugins.factory import parse_url

__all__ = ["run_doctor"]

_PACKAGES = (  # distribution, extra that brings it
    ("langchain-core", "langchain"),
    ("langchain-anthropic", "demo"),
    ("llama-index-core", "llama-index"),
    ("anthropic", "anthropic"),
    ("redis", "redis"),
    ("onnxruntime", "local"),
    ("tokenizers", "local"),
    ("llmcache-plugins-models", "local"),
    ("sentence-transformers", "sentence-transformers"),
    ("prometheus-client", "prometheus"),
    ("opentelemetry-api", "otel"),
    ("apscheduler", "schedule"),
    ("rich", "cli"),
    ("matplotlib", "plot"),
)


def run_doctor(say: Callable[[str], None] = print) -> int:
    """Print it; 1 when the embedder is installed but does not work, or LLMCACHE_URL is no cache URL, else 0."""
    say(f"{'Python':24}{platform.python_version()}")
    for name in ("llmcache-plugins", "numpy"):
        say(f"{name:24}{_version(name) or 'not installed as a package'}")
    for name, extra in _PACKAGES:
        say(f"{name:24}{_version(name) or _missing(extra)}")
    embedder, works = _embedder()
    say(f"{'default embedder':24}{embedder}")
    url, is_valid = _default_url()
    say(f"{'default cache':24}{url}")
    return 0 if works and is_valid else 1


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


def _default_url() -> tuple[str, bool]:
    """What to say of the default cache, and False when its URL is not one."""
    url = os.environ.get("LLMCACHE_URL")
    if not url:
        return "memory:// (set LLMCACHE_URL for another)", True
    try:
        kind, path = parse_url(url)
    except ConfigError as error:
        return f"LLMCACHE_URL: {error}", False
    return f"{kind}://{path if kind == 'disk' else ''} (LLMCACHE_URL)", True
