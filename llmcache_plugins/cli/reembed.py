"""`llmcache reembed`: move the vectors of a cache in a file or on a server to another embedder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llmcache_plugins.cli.lasting import check_lasting
from llmcache_plugins.cli.loading import loaded
from llmcache_plugins.cli.sealed import check_key
from llmcache_plugins.embedders import OnnxEmbedder, SentenceTransformerEmbedder
from llmcache_plugins.factory import open_cache
from llmcache_plugins.paths import as_path
from llmcache_plugins.types import Namespace

__all__ = ["ReembedOptions", "run_reembed"]

_NO_LIMIT = 2**50  # entries or bytes: the limits are the application's, and this command does not know them


@dataclass(frozen=True, slots=True, kw_only=True)
class ReembedOptions:
    """What was asked for on the command line; `to` names the embedder, None for the one that is shipped."""

    url: str = field(repr=False)  # it may hold a password
    to: str | None = None
    namespace: Namespace = ()
    batch: int = 64
    rate: float | None = None
    dry_run: bool = False
    as_json: bool = False


def run_reembed(options: ReembedOptions, say: Callable[[str], None] = print) -> int:
    """Run it; 1 when something that could be moved was not.

    Raises:
        ConfigError: the URL is no cache in a file that is there or on a server, there is no such embedder, or what is
            stored is sealed, and the key is not here.
        MissingExtraError: the embedder needs a package that is not installed.
        StoreError: the cache cannot be read or written.
        EmbedderError: the embedder fails at whatever it is given.
    """
    check_lasting(options.url, "a cache in memory is moved by the application, cache.reembed(); this is for one in")
    embedder = _embedder(options.to)
    settings: dict[str, Any] = {"max_entries": _NO_LIMIT, "max_bytes": _NO_LIMIT, "embedding_cache_entries": 0}
    with open_cache(
        options.url, embedder=embedder, verifier=None, fail_open=False, maintenance="manual", **settings
    ) as cache:
        check_key(cache)
        report = cache.reembed(
            namespace=options.namespace,
            batch=options.batch,
            rate=options.rate,
            dry_run=options.dry_run,
            progress=not options.as_json and sys.stderr.isatty(),
        )
    say(json.dumps(report.as_json()) if options.as_json else str(report))
    return 0 if report.is_whole else 1


def _embedder(name: str | None) -> Any:
    if name is None:
        return OnnxEmbedder()
    path = as_path(name)
    if ":" in name and not path.exists():
        found = loaded(name, "--to")
        return found() if callable(found) else found
    return OnnxEmbedder(path) if (path / "manifest.json").is_file() else SentenceTransformerEmbedder(name)
