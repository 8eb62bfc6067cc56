"""`serve_dashboard`: the page of one cache, and the handle that ends it."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from llmcache_plugins.dashboard.access import Access
from llmcache_plugins.dashboard.api import Api, Sources
from llmcache_plugins.dashboard.history import History
from llmcache_plugins.dashboard.labels import Labels
from llmcache_plugins.dashboard.near_miss_file import NearMissFile
from llmcache_plugins.dashboard.seen import SeenHits
from llmcache_plugins.dashboard.server import Server
from llmcache_plugins.dashboard.watch import Watch
from llmcache_plugins.engine import SemanticCache
from llmcache_plugins.errors import ConfigError, why
from llmcache_plugins.money import MoneySettings
from llmcache_plugins.paths import as_path
from llmcache_plugins.report import Notice
from llmcache_plugins.stores.forking import follow_forks

__all__ = ["Dashboard", "serve_dashboard"]

_POLL = 0.05  # seconds between looks at whether to stop


class Dashboard:
    """A page that is being served. Made by `serve_dashboard`; `with` closes it, and so does the end of the process."""

    def __init__(self, server: Server, watch: Watch, labels: Labels, stop: Any, token: str | None) -> None:
        self._server = server
        self._watch = watch
        self._labels = labels
        self._stop = stop
        self._token = token
        self._is_closed = False
        self._pid = os.getpid()
        self._thread = threading.Thread(
            target=server.serve_forever, args=(_POLL,), name="llmcache-dashboard", daemon=True
        )
        watch.start()
        self._thread.start()
        follow_forks(self)

    def before_fork(self) -> None:
        """Nothing here has to be at rest."""

    def after_fork(self) -> None:
        """A child's copy of the socket would keep the port, and take connections that nobody answers."""
        if self._pid != os.getpid():
            self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """What to open in a browser on this machine; with the token, where there is one, so keep it to yourself."""
        host = self._server.server_name
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.port}/" + ("" if self._token is None else f"?token={quote(self._token)}")

    def refresh(self) -> None:
        """Read the numbers now, in this thread, and show them; else they are read every `interval` seconds."""
        self._watch.refresh()

    def close(self) -> None:
        """Stop serving. A second call does nothing. The cache stays open."""
        if self._is_closed:
            return
        self._is_closed = True
        self._stop()
        if self._pid != os.getpid():  # a forked child has the socket, and no thread that would hear of an end
            self._server.server_close()
            return
        self._server.shutdown()
        self._server.server_close()
        self._watch.close()
        self._server.hang_up()
        self._thread.join(10.0)
        self._labels.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        """Without the token."""
        return f"Dashboard(port={self.port}, {'closed' if self._is_closed else 'open'})"


def serve_dashboard(
    cache: SemanticCache,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    *,
    labels: str | os.PathLike[str] | None = None,
    near_misses: str | os.PathLike[str] | None = None,
    alerts: Iterable[Notice] | None = None,
    money: MoneySettings | None = None,
    shared: bool = False,
    interval: float = 2.0,
) -> Dashboard:
    """Serve a page over this cache, in threads of its own. Nothing in it slows a lookup; it shows questions and answers
    in clear, and its buttons change the cache: it is for those who run it.

    Args:
        cache: may be in use, and is not closed with the page.
        host: where to listen. Anything but a loopback address needs a `token`. It is plain HTTP: for other machines
            put a proxy with TLS before it, or reach it through a tunnel.
        port: 0 for any; see `Dashboard.port`.
        token: at least 16 printable ASCII characters. `Dashboard.url` has it; a browser that has opened that keeps a
            cookie in its place until it is closed. Programs send it as `X-LLMCache-Token`.
        labels: append what people say of near misses and hits to this file, as labelled pairs that `llmcache tune`
            reads. It holds questions in clear; what it says already is shown. None to keep it no longer than the page.
        near_misses: a file that `near_miss_file=` writes, for near misses of other processes; None for those of this
            cache.
        alerts: going through it gives what fires: the `Alerts` that watch this cache. None to show none.
        money: prices and costs; None for those that come with the package.
        shared: count all processes that use the store, not this cache alone.
        interval: seconds between two readings of the numbers, from 0.1 to 3,600.

    Raises:
        ConfigError: an argument is wrong, a token is missing, or nobody can listen there.
    """
    if not isinstance(cache, SemanticCache):
        raise ConfigError(f"cache must be a SemanticCache, not {type(cache).__name__}; open_cache() makes one")
    if not isinstance(host, str) or not host:
        raise ConfigError(f"host must be a name or an address, not {host!r}")
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
        raise ConfigError(f"port must be a whole number from 0 to 65535, not {port!r}")
    if alerts is not None and (not isinstance(alerts, Iterable) or isinstance(alerts, Iterator)):
        raise ConfigError(
            f"alerts must be Alerts(cache) of llmcache_plugins.telemetry.alerts, not {type(alerts).__name__}"
        )
    if money is not None and not isinstance(money, MoneySettings):
        raise ConfigError(f"money must be MoneySettings, not {type(money).__name__}")
    is_number = isinstance(interval, int | float) and not isinstance(interval, bool) and math.isfinite(interval)
    if not is_number or not 0.1 <= interval <= 3600.0:
        raise ConfigError(f"interval must be seconds from 0.1 to 3600, not {interval!r}")
    access = Access(host, token)
    file = _path("near_misses", near_misses)
    seen = SeenHits(cache.now, cache.config.namespace)
    kept = Labels(_path("labels", labels))
    sources = Sources(
        near_misses=cache.near_misses if file is None else NearMissFile(file, cache.config.namespace).records,
        seen=None if shared and file is not None else seen,
        alerts=() if alerts is None else alerts,
        money=money,
        is_shared=bool(shared),
    )
    api = Api(cache, sources, kept, History())
    watch = Watch(api.state, float(interval))
    try:
        server = Server(host, port, access, api, watch)
    except (OSError, UnicodeError, TypeError) as error:  # not an OSError: a host that is no name
        raise ConfigError(f"cannot listen on {host!r}, port {port}: {why(error)}") from error
    return Dashboard(server, watch, kept, cache.listen(seen), token)


def _path(name: str, given: Any) -> Path | None:
    if given is None:
        return None
    if not isinstance(given, str | os.PathLike) or not os.fspath(given):
        raise ConfigError(f"{name} must be the path of a file or None, not {given!r}")
    return as_path(os.fsdecode(given))
