"""`llmcache analyze`: what the entries of a cache in a file say about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llmcache_plugins.cli.lasting import check_lasting
from llmcache_plugins.cli.sealed import check_key
from llmcache_plugins.factory import open_cache
from llmcache_plugins.types import Namespace

__all__ = ["AnalyzeOptions", "run_analyze"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzeOptions:
    """What was asked for on the command line; `top` is how many hotspots, of which `with_text` shows the questions."""

    url: str = field(repr=False)  # it may hold a password
    namespace: Namespace = ()
    top: int = 10
    with_text: bool = False
    as_json: bool = False


def run_analyze(options: AnalyzeOptions, say: Callable[[str], None] = print) -> int:
    """Run it.

    Raises:
        ConfigError: the URL is no cache in a file that is there, or what is stored is sealed, and the key is not here.
        StoreError: the file cannot be read.
    """
    check_lasting(options.url, "only a cache in a file or on a server can be read from outside")
    settings: dict[str, Any] = {"namespace": options.namespace} if options.namespace else {}
    with open_cache(options.url, embedder=None, fail_open=False, maintenance="manual", **settings) as cache:
        check_key(cache)
        analysis = cache.analyze(top=options.top, with_text=options.with_text)
    say(json.dumps(analysis.as_json()) if options.as_json else str(analysis))
    return 0
