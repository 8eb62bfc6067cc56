"""Alerts as HTTP requests: sent by a thread of its own, tried again when that may help."""

from __future__ import annotations

import base64
import json
import logging
import os
import random
import re
import threading
from collections import deque
from collections.abc import Callable, Mapping
from email.message import Message
from http.client import HTTPException
from typing import IO
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.telemetry.alerts.course import Alert

__all__ = ["WebhookSink"]

_log = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds
_MOST_WAITING = 256
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})  # what may go well the next time
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2


class WebhookSink:
    """POSTs each alert as a JSON object (`Alert.as_json`), in the order in which they came.

    The caller never waits: a thread sends, and of more than 256 waiting alerts the oldest go (`dropped`). A failed
    connection and the statuses 408, 425, 429, 500, 502, 503 and 504 are tried again after a pause that doubles from
    1 s to 60 s; whatever else is not 2xx is given up at once (`failed`). No redirect is followed: it would take
    headers and alerts to somebody who was not named. Neither path nor query of the URL is ever logged, for services
    put their secrets there.

    Args:
        url: `http://` or `https://`. A user and password in it become an `Authorization` header.
        headers: more of them; `Content-Type` is `application/json`.
        timeout: seconds that one try may take to connect, and to answer; above 0, 60 at most.
        retries: how often an alert is tried again, 0 to 20.
        jitter: a number in [0, 1) each time; a pause is shortened by up to half of it.

    Raises:
        ConfigError: a value is wrong.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = 5.0,
        retries: int = 5,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._url, self._where, user = _checked_url(url)
        self._headers = {"Content-Type": "application/json", **user, **_checked_headers(headers)}
        if not isinstance(timeout, int | float) or isinstance(timeout, bool) or not 0 < timeout <= 60:
            raise ConfigError(f"timeout must be seconds above 0, 60 at most, not {timeout!r}")
        if not isinstance(retries, int) or isinstance(retries, bool) or not 0 <= retries <= 20:
            raise ConfigError(f"retries must be an integer from 0 to 20, not {retries!r}")
        self._timeout = timeout
        self._retries = retries
        self._jitter = jitter
        self._opener = build_opener(_NoRedirects)
        self._is_closed = False
        self.sent = self.failed = self.dropped = 0
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()  # held for moments alone
        self._waiting: deque[Alert] = deque()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def __call__(self, alert: Alert) -> None:
        if self._pid != os.getpid():  # a forked child: its parent sends what waited, and may have held the lock
            self._begin()
        with self._lock:
            if self._is_closed or len(self._waiting) >= _MOST_WAITING:
                self.dropped += 1
            if self._is_closed:
                return
            if len(self._waiting) >= _MOST_WAITING:
                self._waiting.popleft()
            self._waiting.append(alert)
            if self._thread is not None:
                return
            self._thread = threading.Thread(target=self._work, name="llmcache-webhook", daemon=True)
            thread = self._thread
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is ending: the next alert tries again
            self._thread = None

    def close(self, timeout: float = 5.0) -> None:
        """Send what waits, each alert tried once more at most, within `timeout` seconds; what is left then is dropped.
        A second call does nothing."""
        if self._pid != os.getpid():  # what waits is the parent's, and so may be the lock
            self._begin()
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            thread = self._thread
        self._closing.set()  # ends a pause between two tries
        if thread is not None:
            thread.join(timeout)
        with self._lock:
            self.dropped += len(self._waiting)
            self._waiting.clear()

    def __repr__(self) -> str:
        return f"WebhookSink({self._where!r})"

    # ---------------------------------------------------------------- in the thread
    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                alert = self._waiting.popleft()
            if self._deliver(json.dumps(alert.as_json()).encode()):
                self.sent += 1
            else:
                self.failed += 1

    def _deliver(self, body: bytes) -> bool:
        for tried in range(self._retries + 1):
            trouble, is_passing = self._post(body)
            if not trouble:
                return True
            if not is_passing or tried == self._retries or self._closing.is_set():
                break
            pause = min(_FIRST_PAUSE * 2.0**tried, _LONGEST_PAUSE)
            self._closing.wait(pause * (1.0 - self._jitter() / 2.0))
        _log.warning("an alert was not delivered to %s (%s)", self._where, trouble)
        return False

    def _post(self, body: bytes) -> tuple[str, bool]:
        """What went wrong, empty for nothing; and whether it may go well the next time."""
        request = Request(self._url, data=body, headers=self._headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout):
                return "", False
        except HTTPError as error:
            error.close()
            return f"status {error.code}", error.code in _LATER
        except (OSError, HTTPException) as error:
            return type(error).__name__, True
        except Exception as error:  # this thread must outlive what a proxy setting may be
            return type(error).__name__, False


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        return None  # then it is an HTTPError of that status


def _checked_url(url: str) -> tuple[str, str, dict[str, str]]:
    """The URL without user and password, what may be said of it, and the header that has both."""
    if not isinstance(url, str):
        raise ConfigError(f"url of a webhook must be a str such as https://host/path, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # a port that is none raises
    except ValueError:
        raise ConfigError("url of a webhook cannot be read: host or port is wrong") from None
    if parts.scheme not in ("http", "https"):
        kind = f"{parts.scheme}://" if parts.scheme else "without a scheme"
        raise ConfigError(f"url of a webhook must begin with http:// or https://, not {kind}")
    if not host:
        raise ConfigError("url of a webhook must name a host, as in https://host/path")
    if not url.isascii() or any(mark.isspace() or not mark.isprintable() for mark in url):
        raise ConfigError("url of a webhook must be ASCII without spaces; percent-encode what is not")
    place = parts.netloc.rpartition("@")[2]
    user = {}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        user["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return urlunsplit(parts._replace(netloc=place, fragment="")), f"{parts.scheme}://{place}", user


def _checked_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Values are not in any message: they are tokens, more often than not."""
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise ConfigError(f"headers must be a mapping of str to str, not {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ConfigError(f"{name!r} in headers is no name of a header: letters, digits and hyphens")
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            raise ConfigError(f"the value of {name} in headers must be a str of printable ASCII on one line")
    return dict(headers)
