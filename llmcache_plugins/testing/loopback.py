"""What the fake APIs share: an HTTP server on the loopback interface, its counters, scripts and event streams."""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Generic, Protocol, Self, TypeAlias, TypeVar
from urllib.parse import parse_qs, urlsplit

__all__ = ["EventStream", "Json", "LoopbackAPI", "LoopbackError", "Reply", "Script", "serve_by_hand"]

Json: TypeAlias = dict[str, Any]

_HOST = "127.0.0.1"  # never another interface: it believes any API key
_STOP_SECONDS = 2.0  # how long `stop` waits for open connections to notice


class LoopbackError(Exception):
    """An HTTP error of a fake API; each API has its own envelope."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})

    @property
    def envelope(self) -> Json:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What an answer given on demand can say in every API: what happens to it on its way."""

    text: str | None = None
    usage: Json | None = None
    status: int = 200
    message: str = "scripted error"
    headers: Mapping[str, str] | None = None
    cut_after: int | None = None
    error_after: int | None = None


ScriptT = TypeVar("ScriptT", bound=Script)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A JSON answer with status 200."""

    body: Json
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStream:
    """An answer in server-sent events; the connection breaks after `cut_after` of them."""

    frames: Sequence[bytes]
    headers: Mapping[str, str] | None = None
    cut_after: int | None = None

    @classmethod
    def scripted(cls, frames: Sequence[bytes], script: Script, error_frame: bytes) -> EventStream:
        """The stream of `frames`, broken or ended by `error_frame` where the script wants it."""
        if script.error_after is not None and script.error_after < len(frames):
            frames = [*frames[: script.error_after], error_frame]
        return cls(frames=frames, headers=script.headers, cut_after=script.cut_after)


class LoopbackAPI(ABC, Generic[ScriptT]):
    """A fake API on a free port of 127.0.0.1, with what a test wants to script and to know.

    An API says what it answers in the methods that are abstract here. See `FakeAnthropic` and `FakeOpenAI` for the
    arguments and attributes.
    """

    root: ClassVar[str] = ""  # what a base address has behind the port
    main_path: ClassVar[str]  # what `count` counts when it is not told

    def __init__(
        self,
        *,
        port: int = 0,
        latency: float = 0.0,
        frame_delay: float = 0.0,
        api_key: str | None = None,
        chunk: int = 12,
    ) -> None:
        self.latency = latency
        self.frame_delay = frame_delay
        self.api_key = api_key
        self.chunk = chunk
        self.requests: list[Json] = []
        self.queue: deque[ScriptT] = deque()
        self.handler: Callable[[Json], Json | None] | None = None
        self.max_inflight = 0
        self._inflight = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = _Server((_HOST, port), self)
        self.base_url = f"http://{_HOST}:{self._server.server_address[1]}{self.root}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True, name=type(self).__name__
        )

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port and every connection; answers that wait for `latency` are not given any more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.drop_connections(_STOP_SECONDS)

    __enter__ = start

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @abstractmethod
    def enqueue(self, **answer: Any) -> None:
        """Answer the next request that has no script yet with `ScriptedAnswer(**answer)`; used once."""

    def count(self, path: str | None = None) -> int:
        """How many requests came for `path` (else for the path that answers questions), failed ones included."""
        wanted = path or self.main_path
        with self._lock:
            return sum(request["path"] == wanted for request in self.requests)

    def reset(self) -> None:
        """Forget requests and scripts."""
        with self._lock:
            self.requests.clear()
            self.queue.clear()
            self.max_inflight = 0

    def record(self, request: Json) -> None:
        with self._lock:
            self.requests.append(request)

    @contextlib.contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count one request as being served while the block runs."""
        with self._lock:
            self._inflight += 1
            self.max_inflight = max(self.max_inflight, self._inflight)
        try:
            yield
        finally:
            with self._lock:
                self._inflight -= 1

    def pause(self, seconds: float) -> None:
        """Sleep, but not past `stop`.

        Raises:
            ConnectionResetError: the server was stopped meanwhile, so nobody is to be answered.
        """
        if seconds and self._stopping.wait(seconds):
            raise ConnectionResetError("the server was stopped")

    def _next_script(self) -> ScriptT | None:
        with self._lock:
            return self.queue.popleft() if self.queue else None

    @abstractmethod
    def _authenticate(self, headers: Mapping[str, str]) -> None:
        """Refuse what the API refuses before it reads the request; names of `headers` are in lower case."""

    @abstractmethod
    def _get(self, path: str) -> Json:
        """The answer to a GET request."""

    @abstractmethod
    def _post(self, path: str, body: Json) -> Reply | EventStream:
        """The answer to a POST request."""

    @abstractmethod
    def _response_headers(self) -> Mapping[str, str]:
        """What every response carries."""

    @abstractmethod
    def _bad_request(self, message: str) -> LoopbackError:
        """The API's error for a request that it cannot read."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], fake: LoopbackAPI[Any]) -> None:
        self.fake = fake
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def drop_connections(self, timeout: float) -> None:
        """Close what outlives `serve_forever` (kept-alive connections), and wait until their threads have let go."""
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, timeout)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes; with delayed ACKs an answer would take 40 ms
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """The tests' output stays their own."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self._record(path, None)
        try:
            self.server.fake._authenticate(self._lower_headers())
            self._send_json(200, self.server.fake._get(path))
        except LoopbackError as error:
            self._send_error(error)

    def do_POST(self) -> None:
        fake = self.server.fake
        path = urlsplit(self.path).path
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self._send_error(fake._bad_request("The request body is not valid JSON"))
            return
        self._record(path, body)
        with fake.in_flight():
            try:
                fake._authenticate(self._lower_headers())
                fake.pause(fake.latency)
                reply = fake._post(path, body)
                if isinstance(reply, Reply):
                    self._send_json(200, reply.body, reply.headers)
                else:
                    self._stream(reply)
            except LoopbackError as error:
                self._send_error(error)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    def _lower_headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}

    def _record(self, path: str, body: Json | None) -> None:
        self.server.fake.record(
            {
                "method": self.command,
                "path": path,
                "query": parse_qs(urlsplit(self.path).query),
                "headers": self._lower_headers(),
                "body": body,
                "at": time.monotonic(),
            }
        )

    def _send_head(self, status: int, content_type: str, further: Mapping[str, str]) -> None:
        self.send_response(status)
        headers = {"content-type": content_type, **self.server.fake._response_headers(), **further}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_json(self, status: int, value: Json, headers: Mapping[str, str] | None = None) -> None:
        payload = json.dumps(value).encode()
        self._send_head(status, "application/json", {"content-length": str(len(payload)), **(headers or {})})
        self.wfile.write(payload)

    def _send_error(self, error: LoopbackError) -> None:
        self._send_json(error.status, error.envelope, error.headers)

    def _stream(self, stream: EventStream) -> None:
        headers = {"transfer-encoding": "chunked", "cache-control": "no-cache", **(stream.headers or {})}
        self._send_head(200, "text/event-stream; charset=utf-8", headers)
        for index, frame in enumerate(stream.frames):
            if stream.cut_after is not None and index >= stream.cut_after:
                self.close_connection = True  # no closing chunk: the client sees a broken body
                return
            self.wfile.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
            self.wfile.flush()
            self.server.fake.pause(self.server.fake.frame_delay)
        self.wfile.write(b"0\r\n\r\n")


class _MakeFake(Protocol):
    def __call__(self, *, port: int, latency: float, frame_delay: float) -> LoopbackAPI[Any]: ...


def serve_by_hand(make_fake: _MakeFake, api: str, variable: str, *, port: int) -> None:
    """The command line of a fake: serve it until Ctrl-C.

    Args:
        api: what it is a fake of, in words.
        variable: the environment variable that tells clients its address.
        port: the one that is used when none is given.
    """
    parser = argparse.ArgumentParser(description=f"A fake of {api} on {_HOST}.")
    parser.add_argument("--port", type=int, default=port)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--frame-delay", type=float, default=0.0, help="seconds between the frames of a stream")
    options = parser.parse_args()
    with make_fake(port=options.port, latency=options.latency, frame_delay=options.frame_delay) as server:
        sys.stdout.write(f"fake of {api} on {server.base_url} (set {variable} to it); Ctrl-C stops it\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
