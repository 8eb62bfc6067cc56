"""`llmcache doctor`: what is installed, which embedder was found, what the cache would be, and what to do about it."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from llmcache_plugins.cli.checks import Check
from llmcache_plugins.cli.sealed import sealed_without_key
from llmcache_plugins.cli.store_checks import store_checks
from llmcache_plugins.config import CacheConfig
from llmcache_plugins.errors import ConfigError, LLMCacheError, MissingExtraError
from llmcache_plugins.factory import open_cache, open_store, parse_url, with_mode

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
    ("typer", "cli"),
    ("matplotlib", "plot"),
)
_LEAST = re.compile(r"([\w.-]+)(?:\[[^]]*\])?[^;]*>=\s*([\d.]+)")  # of a requirement: name and lower bound


def run_doctor(say: Callable[[str], None] = print, *, url: str | None = None, as_json: bool = False) -> int:
    """Print it; 1 when something that is there does not work (the embedder, the store and its permissions, the clock,
    the URL, LLMCACHE_ENCRYPTION_KEY, LLMCACHE_MODE, LLMCACHE_FRACTION), else 0.

    Args:
        url: of the cache to look at; by default LLMCACHE_URL.
        as_json: print one JSON object and nothing else.
    """
    checks: list[Check] = []
    for check in _checks(url):
        checks.append(check)
        if not as_json:
            say(str(check))  # one by one: a server that does not answer takes its time
    is_ok = all(check.is_ok for check in checks)
    if as_json:
        say(json.dumps({"ok": is_ok, "checks": [check.as_json() for check in checks]}))
    return 0 if is_ok else 1


def _checks(url: str | None) -> Iterator[Check]:
    least = _lower_bounds()
    yield Check("Python", platform.python_version())
    for name in ("llmcache-plugins", "numpy"):
        yield _package(name, "", least)
    for name, extra in _PACKAGES:
        yield _package(name, extra, least)
    yield _embedder()
    given = ("this URL", "the cache") if url else ("LLMCACHE_URL", "default cache")
    url = url or os.environ.get("LLMCACHE_URL")
    yield from store_checks(url, *given)
    yield _sealing(url)
    yield _mode()


def say_size(entries: int, *, say: Callable[[str], None] = print, as_json: bool = False, **sizes: Any) -> int:
    """Print what so many entries would take on a server.

    Raises:
        ConfigError: as `size_estimate`.
        MissingExtraError: the client of Redis is not installed.
    """
    from llmcache_plugins.stores.redis import size_estimate

    estimate = size_estimate(entries, **sizes)
    if as_json:
        names = ("entry_bytes", "total_bytes", "advised_bytes")
        say(json.dumps({"entries": entries, **{name: getattr(estimate, name) for name in names}}))
        return 0
    say(f"{'an entry':24}{estimate.entry_bytes:,} bytes")
    say(f"{'all entries':24}{estimate.total_bytes / 2**20:,.0f} MiB, within a third or so")
    say(f"{'advised maxmemory':24}{estimate.advised_bytes / 2**20:,.0f} MiB, with maxmemory-policy noeviction")
    return 0


# ---------------------------------------------------------------- versions
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _lower_bounds() -> Mapping[str, str]:
    """The lowest versions that our own package asks for, by distribution; empty where it is not installed as one."""
    try:
        lines = requires("llmcache-plugins") or ()
    except PackageNotFoundError:
        return {}
    return {match[1]: match[2] for match in map(_LEAST.match, lines) if match}


def _package(name: str, extra: str, least: Mapping[str, str]) -> Check:
    found = _version(name)
    if found is None:
        return Check(name, "missing", _pip(extra)) if extra else Check(name, "not installed as a package")
    wanted = least.get(name)
    if wanted is not None and _numbers(found) < _numbers(wanted):
        return Check(name, f"{found} is older than what is tested", f"pip install '{name}>={wanted}'")
    return Check(name, found)


def _numbers(text: str) -> tuple[int, ...]:
    """`1.20.3` as numbers that compare; `1.20` is as old as `1.20.0`."""
    found = [int(number) for number in re.findall(r"\d+", text)[:3]]
    return tuple(found + [0] * (3 - len(found)))


def _pip(extra: str) -> str:
    return f"pip install 'llmcache-plugins[{extra}]'"


# ---------------------------------------------------------------- parts
def _embedder() -> Check:
    """The default embedder; one that is there but broken is a failure."""
    name = "default embedder"
    if any(_version(package) is None for package, extra in _PACKAGES if extra == "local"):
        return Check(name, "none, only exact and normalised matches hit; missing", _pip("local"))
    try:
        from llmcache_plugins.embedders import OnnxEmbedder

        embedder = OnnxEmbedder()
        embedder.embed(["Is this thing on?"])
    except (LLMCacheError, ImportError, OSError) as error:
        remedy = "pip install --force-reinstall 'llmcache-plugins[local]'"
        return Check(name, f"does not work ({type(error).__name__}: {error})", remedy, is_ok=False)
    return Check(name, embedder.embedder_id)


def _sealing(url: str | None) -> Check:
    """Whether what is stored is sealed; a key that is none, or does not open what is there already, is a failure."""
    if not os.environ.get("LLMCACHE_ENCRYPTION_KEY"):
        if (found := _cannot_open(url)) is not None:
            return found
        return Check("encryption", "none: what is stored is readable (set LLMCACHE_ENCRYPTION_KEY to seal it)")
    try:
        open_cache("memory://", embedder=None, maintenance="manual", mode="serve", fraction=0.0).close()
    except (ConfigError, MissingExtraError) as error:
        return Check("encryption", f"LLMCACHE_ENCRYPTION_KEY: {error}", is_ok=False)
    return _cannot_open(url) or Check("encryption", "LLMCACHE_ENCRYPTION_KEY")


def _cannot_open(url: str | None) -> Check | None:
    """What is wrong with the key here for what is stored already; None where nothing is wrong or nothing is stored."""
    try:
        kind, path = parse_url(url or "memory://")
        is_there = kind == "redis" or (kind == "disk" and path.is_file() and path.stat().st_size > 0)
    except (ConfigError, OSError):
        return None  # said above
    if url is None or not is_there:
        return None  # to look would make the file
    try:
        stack = open_store(url)
        try:
            said = sealed_without_key(stack.bottom.store)
        finally:
            stack.close()
    except LLMCacheError as error:
        return Check("encryption", f"cannot be looked at ({type(error).__name__}: {error})", is_ok=False)
    return None if said is None else Check("encryption", said, is_ok=False)


def _mode() -> Check:
    """What the default cache does with its answers; what the environment says and nobody can do is a failure."""
    given = [name for name in ("LLMCACHE_MODE", "LLMCACHE_FRACTION") if os.environ.get(name)]
    if not given:
        return Check("mode", "serve (set LLMCACHE_MODE for another)")
    try:
        config = with_mode(CacheConfig())
    except ConfigError as error:
        return Check("mode", str(error), is_ok=False)
    share = f", a fraction of {config.fraction:g}" if config.mode == "canary" else ""
    return Check("mode", f"{config.mode}{share} ({', '.join(given)})")
