"""`llmcache dashboard`: the page of a cache that other processes use."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmcache_plugins.cli.lasting import check_lasting, named_or_variable
from llmcache_plugins.cli.sealed import check_key
from llmcache_plugins.dashboard import Dashboard, serve_dashboard
from llmcache_plugins.dashboard.access import is_loopback
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.factory import open_cache
from llmcache_plugins.telemetry.alerts import Alerts
from llmcache_plugins.types import Namespace

__all__ = ["DashboardOptions", "run_dashboard"]

_TOKEN = "LLMCACHE_DASHBOARD_TOKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardOptions:
    """What is to be shown, and where.

    Args:
        store: URL of the cache; None for LLMCACHE_URL.
        host: where to listen. Anything but a loopback address needs a token.
        port: 0 for any.
        token: None for LLMCACHE_DASHBOARD_TOKEN, which other users of the machine do not see in the list of processes;
            where one is needed and that is not set either, one is made and printed.
        open: also open the page in a browser.
        labels: append labels to this file, for `llmcache tune`.
        near_misses: the file that the application's `near_miss_file=` writes.
        namespace: what is stored below it alone.
        max_error_rate, similarity_threshold, lexical: as the application has them: the line of decision and what
            Explain says go by them.
        as_json: say where the page is as one JSON object.
    """

    store: str | None = None
    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = field(default=None, repr=False)
    open: bool = False
    labels: Path | None = None
    near_misses: Path | None = None
    namespace: Namespace = ()
    max_error_rate: float | None = None
    similarity_threshold: float | None = None
    lexical: bool = False
    as_json: bool = False


def run_dashboard(
    options: DashboardOptions,
    say: Callable[[str], None] = print,
    *,
    wait: Callable[[Dashboard], object] | None = None,
) -> int:
    """Serve the page until somebody interrupts.

    Args:
        wait: returns when the page is to end; None to wait for Ctrl-C.

    Raises:
        ConfigError: there is no URL, it is of no cache in a file that is there or on a server, or nobody can listen
            there.
        StoreError: the store cannot be opened.
    """
    url = named_or_variable(options.store, "the URL of a cache (--store)")
    check_lasting(url, "the dashboard of another process is of a cache in a file or on a server")
    token = os.environ.get(_TOKEN) if options.token is None else options.token
    if token == "":  # a variable of a script that was not set must not open the page to everybody
        raise ConfigError(f"the token is empty: leave --token and {_TOKEN} out where none is wanted")
    if token is None and not is_loopback(options.host):
        token = secrets.token_urlsafe(24)
    with open_cache(url, fail_open=False, maintenance="manual", **_settings(options)) as cache:
        check_key(cache)  # a sealed cache without its key would look empty
        with (
            Alerts(cache, sinks=(), shared=True) as alerts,
            serve_dashboard(
                cache,
                options.host,
                options.port,
                token,
                labels=options.labels,
                near_misses=options.near_misses,
                alerts=alerts,
                shared=True,
            ) as page,
        ):
            if options.as_json:
                say(json.dumps({"url": page.url, "port": page.port}))
            else:
                say(f"The dashboard is at {page.url}")
                say("Ctrl-C ends it. The line of decision and Explain go by the settings given here.")
            if options.open:
                webbrowser.open(page.url)
            with contextlib.suppress(KeyboardInterrupt):
                (wait or _until_interrupted)(page)
    return 0


def _settings(options: DashboardOptions) -> dict[str, Any]:
    chosen = {"max_error_rate": options.max_error_rate, "similarity_threshold": options.similarity_threshold}
    settings: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
    if options.lexical:
        from llmcache_plugins.matching.lexical import LexicalMatcher

        settings["embedder"] = LexicalMatcher()
    return {**settings, "namespace": options.namespace}


def _until_interrupted(page: Dashboard) -> None:
    threading.Event().wait()
