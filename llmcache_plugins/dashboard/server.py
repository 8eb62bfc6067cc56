"""The HTTP of the page: a small server in threads of its own, for one person or a few."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from llmcache_plugins.dashboard.access import Access
from llmcache_plugins.dashboard.api import Api, Refused
from llmcache_plugins.dashboard.assets import assets
from llmcache_plugins.dashboard.watch import Watch
from llmcache_plugins.errors import ConfigError, LLMCacheError

__all__ = ["Server"]

_log = logging.getLogger(__name__)
_SECONDS = 10.0  # a client may take for its whole request, and for each write of an answer
_MOST_AT_ONCE = 32  # connections
_MOST_STREAMS = 8  # of them, those that stay open
_MOST_BYTES = 64 * 1024  # of a body
_QUIET = 15.0  # seconds after which a stream says that it is still there
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Server(ThreadingHTTPServer):
    """Listens from the moment it is made; `serve_forever` answers."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, access: Access, api: Api, watch: Watch) -> None:
        self.access, self.api, self.watch = access, api, watch
        self.files = assets()
        self.streams = threading.BoundedSemaphore(_MOST_STREAMS)
        self._places = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._open: set[Any] = set()
        self._deadlines: dict[Any, float] = {}  # of connections whose request is still coming
        self._idle = threading.Condition()
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Without asking a name server who we are, as the class above does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        with self._idle:
            self._open.add(request)
            self._deadlines[request] = time.monotonic() + _SECONDS
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads
            self._done(request)
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._done(request)

    def has_read(self, request: Any) -> None:
        """The whole request is there: its answer may take longer, and a live page stays."""
        with self._idle:
            self._deadlines.pop(request, None)

    def service_actions(self) -> None:
        """Between two connections: who sends a byte now and then must not keep a place."""
        with self._idle:
            now = time.monotonic()
            late = [request for request, deadline in self._deadlines.items() if deadline < now]
            for request in late:
                del self._deadlines[request]
                with contextlib.suppress(OSError):  # it went away meanwhile
                    request.shutdown(socket.SHUT_RDWR)

    def _done(self, request: Any) -> None:
        with self._idle:
            self._open.discard(request)
            self._deadlines.pop(request, None)
            self._idle.notify_all()
        self._places.release()

    def hang_up(self) -> None:
        """End all connections, and wait until their threads are through."""
        with self._idle:
            for request in list(self._open):
                with contextlib.suppress(OSError):  # it went away meanwhile
                    request.shutdown(socket.SHUT_RDWR)
            self._idle.wait_for(lambda: not self._open, _SECONDS)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        level = logging.DEBUG if isinstance(error, OSError) else logging.ERROR  # an OSError: the client went away
        _log.log(level, "the dashboard could not answer (%s)", type(error).__name__)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = _SECONDS
    server_version = "llmcache"
    sys_version = ""

    def do_GET(self) -> None:
        self.server.has_read(self.request)
        self._guarded(self._get)

    def do_POST(self) -> None:
        self._guarded(self._post)

    def do_HEAD(self) -> None:
        self._answer_json(HTTPStatus.METHOD_NOT_ALLOWED, {"error": "GET and POST alone"})

    do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD

    def _guarded(self, work: Any) -> None:
        try:
            work()
        except Refused as error:
            self._answer_json(error.status, {"error": str(error)})
        except ConfigError as error:
            self._answer_json(HTTPStatus.BAD_REQUEST, {"error": str(error)[:500]})
        except LLMCacheError as error:
            self._answer_json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": type(error).__name__})
        except OSError:
            raise  # the client is gone, or too slow: nobody is there to be told
        except Exception as error:
            self._answer_json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": type(error).__name__})
            raise

    # ---------------------------------------------------------------- reading
    def _get(self) -> None:
        path, query = self._target()
        new_cookie = self._let_in(path, query)
        asset = self.server.files.get(path)
        if asset is not None:
            return self._answer(HTTPStatus.OK, asset.content, asset.kind, new_cookie)
        self._check_site()
        if path == "/api/state":
            return self._answer(HTTPStatus.OK, self.server.watch.refresh().encode(), "application/json")
        if path == "/api/pairs":
            return self._answer_json(HTTPStatus.OK, self.server.api.pairs())
        if path == "/api/live":
            return self._stream()
        raise Refused(404, "there is no such page")

    def _stream(self) -> None:
        """Server-sent events, https://html.spec.whatwg.org/multipage/server-sent-events.html, until somebody leaves."""
        if not self.server.streams.acquire(blocking=False):
            raise Refused(503, f"there are {_MOST_STREAMS} live pages already")
        try:
            self._begin(HTTPStatus.OK, "text/event-stream")
            number = 0
            while not self.server.watch.is_closed:
                number, text = self.server.watch.next_after(number, _QUIET)
                self.wfile.write(b": quiet\n\n" if text is None else f"event: state\ndata: {text}\n\n".encode())
        finally:
            self.server.streams.release()

    # ---------------------------------------------------------------- changing
    def _post(self) -> None:
        path, _ = self._target()
        self._let_in(path, "")
        self._check_site()
        if not self.server.access.is_own_page(self.headers):  # type: ignore[arg-type]  # it reads with `get` alone
            raise Refused(403, "only the page itself may ask this")
        verb = self.server.api.verbs.get(path)
        if verb is None:
            raise Refused(404, "there is no such button")
        answer = verb(self._body())
        self._answer_json(HTTPStatus.OK, answer)
        self.server.watch.refresh()

    def _body(self) -> Mapping[str, Any]:
        if self.headers.get_content_type() != "application/json":
            raise Refused(415, "the body must be application/json")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise Refused(411, "Content-Length is missing")
        if len(length) > 10 or int(length) > _MOST_BYTES:
            raise Refused(413, f"at most {_MOST_BYTES} bytes")
        try:
            body = self.rfile.read(int(length))
            self.server.has_read(self.request)
            content = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, "the body is no JSON") from error
        if not isinstance(content, dict):
            raise Refused(400, "the body must be a JSON object")
        return content

    # ---------------------------------------------------------------- who asks
    def _target(self) -> tuple[str, str]:
        try:
            parts = urlsplit(self.path)
        except ValueError as error:
            raise Refused(400, "this is no path") from error
        return parts.path, parts.query

    def _let_in(self, path: str, query: str) -> str | None:
        """The cookie to set, where a token was shown in the address; None where there is nothing to set."""
        access = self.server.access
        if not access.knows_host(self.headers.get("Host", "")):
            raise Refused(403, "this page has another address")
        name = f"llmcache-{self.server.server_port}"
        if access.lets_in(self.headers, name):  # type: ignore[arg-type]  # it reads with `get` alone
            return None
        token = parse_qs(query, max_num_fields=10).get("token", [""])[0] if path == "/" and len(query) < 2000 else ""
        if token and access.is_token(token):
            return access.cookie(name)
        raise Refused(401, "open the address that ends in ?token=...")

    def _check_site(self) -> None:
        """Browsers say who asks; another site's page gets nothing, not even to load it and throw it away."""
        if self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise Refused(403, "only the page itself may ask this")

    # ---------------------------------------------------------------- answering
    def _answer_json(self, status: int, content: Any) -> None:
        self._answer(status, json.dumps(content, allow_nan=False).encode(), "application/json")

    def _answer(self, status: int, body: bytes, kind: str, cookie: str | None = None) -> None:
        self._begin(status, kind, length=len(body), cookie=cookie)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _begin(self, status: int, kind: str, *, length: int | None = None, cookie: str | None = None) -> None:
        self.close_connection = True  # what is left of a refused body is not read
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if cookie is not None:
            self.send_header("Set-Cookie", cookie)
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Not to stderr, and no addresses: a token may be in one."""
