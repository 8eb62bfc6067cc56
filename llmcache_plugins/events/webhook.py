"""Receives events over HTTP, from a network monitor for example, and hands them to a cache.

For a trusted network: it speaks plain HTTP. Behind a proxy it can have TLS.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import json
import logging
import socket
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol, Self

from llmcache_plugins.errors import ConfigError, LLMCacheError

__all__ = ["EventReceiver"]

_log = logging.getLogger(__name__)
_SECONDS = 10.0  # a client may take for its request
_POLL = 0.05  # seconds between looks at whether to stop
_MOST_AT_ONCE = 16
_FIELDS = frozenset({"event", "attributes", "namespace", "mode", "reason"})


class _Report(Protocol):
    @property
    def count(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def has_failed(self) -> bool: ...


class _Cache(Protocol):
    def handle_event(self, event: str, attributes: Mapping[str, Any] | None = None, /, **given: Any) -> _Report: ...


class EventReceiver:
    """A server in a thread of its own. `POST /events` with the JSON
    `{"event": "config_change", "attributes": {"device": "rtr-001"}}`; `namespace`, `mode` and `reason` may stand beside
    them. The answer is `{"count": 3, "number": 17}`, or `{"error": "..."}` with a status of 400 or more.

    Args:
        cache: whose `handle_event` is called.
        host: where to listen. Anything but a loopback address needs a `secret`.
        port: 0 for any; see `port`.
        secret: what the header `X-LLMCache-Secret` must hold.
        max_bytes: of the body.

    Raises:
        ConfigError: no secret where one is needed, or nobody can listen there.
    """

    def __init__(
        self,
        cache: _Cache,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        secret: str | None = None,
        max_bytes: int = 64 * 1024,
    ) -> None:
        if secret is not None and not (isinstance(secret, str) and len(secret) >= 16 and secret.isascii()):
            raise ConfigError("secret must be at least 16 ASCII characters")
        if secret is None and not _is_loopback(host):
            raise ConfigError(f"to listen on {host!r} a secret is needed; 127.0.0.1 needs none")
        try:
            self._server = _Server((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"cannot listen on {host}:{port}: {error}") from error
        self._server.cache = cache
        self._server.secret = None if secret is None else secret.encode("ascii")
        self._server.max_bytes = max_bytes
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL,), name="llmcache-events", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where to post to, from this machine."""
        host = str(self._server.server_address[0])
        return f"http://{host}:{self.port}/events"

    def close(self) -> None:
        """Stop. A second call does nothing. The cache stays open."""
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        self._thread.join(_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    cache: _Cache
    secret: bytes | None
    max_bytes: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._places = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self.silent: set[Any] = set()  # connections whose request has not come whole
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        self.silent.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.silent.discard(request)
            self._places.release()

    def hang_up(self) -> None:
        """Let nobody wait for clients that say nothing. Whose event has come gets an answer."""
        for request in list(self.silent):
            with contextlib.suppress(OSError):  # it went away meanwhile
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        level = logging.DEBUG if isinstance(error, OSError) else logging.ERROR  # an OSError: the client went away
        _log.log(level, "the event receiver could not answer (%s)", type(error).__name__)


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _SECONDS
    server_version = "llmcache"
    sys_version = ""

    def do_POST(self) -> None:
        try:
            event, given = self._read()
            self.server.silent.discard(self.request)
            report = self.server.cache.handle_event(event, given.pop("attributes", None), **given)
            _log.info("event %.64r: %d entries", event, report.count)
            status = HTTPStatus.SERVICE_UNAVAILABLE if report.has_failed else HTTPStatus.OK
            answer: dict[str, Any] = {"count": report.count, "number": report.number}
            if report.has_failed:
                answer["error"] = "the cache's store failed; send it again"
        except _Refused as error:
            status, answer = error.status, {"error": str(error)}
        except ConfigError as error:
            status, answer = HTTPStatus.BAD_REQUEST, {"error": str(error)}
        except LLMCacheError as error:
            status, answer = HTTPStatus.SERVICE_UNAVAILABLE, {"error": type(error).__name__}
        except TimeoutError:
            status, answer = HTTPStatus.REQUEST_TIMEOUT, {"error": "the body did not come in time"}
        except Exception as error:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": type(error).__name__})
            raise
        self._answer(status, answer)

    def do_GET(self) -> None:
        self._answer(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "events are posted"})

    do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = do_GET

    def _read(self) -> tuple[str, dict[str, Any]]:
        """The event and what stands beside it."""
        self._check_sender()
        if self.path.partition("?")[0] != "/events":
            raise _Refused(HTTPStatus.NOT_FOUND, "events are posted to /events")
        # A page in a browser can post forms and plain text anywhere, but not JSON.
        if self.headers.get_content_type() != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
        if len(length) > 10 or int(length) > self.server.max_bytes:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {self.server.max_bytes} bytes")
        try:
            content = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, "the body is no JSON") from error
        return _checked(content)

    def _check_sender(self) -> None:
        secret = self.server.secret
        if secret is not None:
            given = self.headers.get("X-LLMCache-Secret", "").encode("utf-8", "replace")
            if not hmac.compare_digest(given, secret):
                raise _Refused(HTTPStatus.UNAUTHORIZED, "X-LLMCache-Secret is wrong")
            return
        # Without a secret only this machine is let in, and by its own name: a page whose name was bound to the
        # loopback address speaks to it under that name.
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if not _is_loopback(host.strip("[]")):
            raise _Refused(HTTPStatus.FORBIDDEN, "this receiver listens to its own machine alone")

    def _answer(self, status: HTTPStatus, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer).encode("ascii")
        self.close_connection = True  # what is left of a refused body is not read
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Not to stderr, and no paths or attributes: what came of an event is logged where it is handled."""


def _checked(content: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(content, dict) or not isinstance(content.get("event"), str):
        raise _Refused(HTTPStatus.BAD_REQUEST, 'the body must be {"event": "...", "attributes": {...}}')
    unknown = sorted(set(content) - _FIELDS)
    if unknown:
        raise _Refused(HTTPStatus.BAD_REQUEST, f"unknown fields; known are {', '.join(sorted(_FIELDS))}")
    given = {name: value for name, value in content.items() if name != "event" and value is not None}
    if "namespace" in given and isinstance(given["namespace"], list):
        given["namespace"] = tuple(given["namespace"])
    if not isinstance(given.get("reason", ""), str):
        raise _Refused(HTTPStatus.BAD_REQUEST, "reason must be a string")
    return content["event"], given
