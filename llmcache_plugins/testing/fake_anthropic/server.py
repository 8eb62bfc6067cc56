"""The loopback server: scripts, counters and HTTP around the fake model."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from llmcache_plugins.testing.fake_anthropic.answers import MODELS, count_tokens, default_answer, prompt_of, sse_frames
from llmcache_plugins.testing.fake_anthropic.wire import APIError, Json, new_id, require_max_tokens, validate

__all__ = ["FakeAnthropic", "ScriptedAnswer"]

_HOST = "127.0.0.1"  # never another interface: it believes any API key
_STOP_SECONDS = 2.0  # how long `stop` waits for open connections to notice


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedAnswer:
    """One answer to be given next, instead of the default one.

    Args:
        text: the answer's only text block.
        content: the answer's content blocks, in place of `text`.
        stop_reason: why the model stopped; `end_turn` when not given.
        stop_sequence: the stop sequence that was met.
        usage: the tokens to report; counted when not given.
        status: from 400 on, an HTTP error with `message`.
        message: text of the error.
        headers: further response headers.
        cut_after: break the connection of a stream after this many frames.
        error_after: send an `error` event after this many frames of a stream.
    """

    text: str | None = None
    content: list[Json] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: Json | None = None
    status: int = 200
    message: str = "scripted error"
    headers: Mapping[str, str] | None = None
    cut_after: int | None = None
    error_after: int | None = None


class FakeAnthropic:
    """The Messages API on a free port of 127.0.0.1: messages (JSON and SSE), token counts, models.

    It checks what a replaying cache can get wrong (tool calls and results that do not pair up, empty messages, ...) and
    counts what a test wants to know. Attributes may be changed while it runs.

    Args:
        port: 0 for a free one.
        latency: seconds before each answer.
        frame_delay: seconds between the frames of a stream.
        api_key: the only key that is accepted; any key when None.
        chunk: characters in one delta of a stream.

    Attributes:
        base_url: what the clients take.
        requests: every request so far: `method`, `path`, `query`, `headers` (lower case), `body`, `at` (monotonic).
        handler: called with the body; its dict (`content`, `stop_reason`, ...) replaces the default answer, and None
            leaves it.
        max_inflight: the most requests that were served at one time.
    """

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
        self.queue: deque[ScriptedAnswer] = deque()
        self.handler: Callable[[Json], Json | None] | None = None
        self.max_inflight = 0
        self._inflight = 0
        self._prefixes: set[str] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server = _Server((_HOST, port), self)
        self.base_url = f"http://{_HOST}:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True, name="fake-anthropic"
        )

    def start(self) -> FakeAnthropic:
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

    def enqueue(self, **answer: Any) -> None:
        """Answer the next request that has no script yet with `ScriptedAnswer(**answer)`; used once."""
        self.queue.append(ScriptedAnswer(**answer))

    def count(self, path: str = "/v1/messages") -> int:
        """How many requests came for `path`, failed ones included."""
        with self._lock:
            return sum(request["path"] == path for request in self.requests)

    def reset(self) -> None:
        """Forget requests, scripts and cached prefixes."""
        with self._lock:
            self.requests.clear()
            self.queue.clear()
            self._prefixes.clear()
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

    def answer(self, body: Json) -> tuple[Json, ScriptedAnswer]:
        """The message for a request, and the script that it came from.

        Raises:
            APIError: the script says so, or the request is not valid.
        """
        with self._lock:
            script = self.queue.popleft() if self.queue else ScriptedAnswer()
        if script.status >= 400:
            raise APIError(script.status, script.message, script.headers)
        validate(body)
        require_max_tokens(body)
        answer = self._scripted(script) or (self.handler(body) if self.handler else None) or default_answer(body)
        message = {
            "id": new_id("msg"),
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": answer["content"],
            "stop_reason": script.stop_reason or answer.get("stop_reason", "end_turn"),
            "stop_sequence": script.stop_sequence or answer.get("stop_sequence"),
            "usage": script.usage or answer.get("usage") or self._usage(body, answer["content"]),
        }
        return message, script

    @staticmethod
    def _scripted(script: ScriptedAnswer) -> Json | None:
        if script.content is not None:
            return {"content": script.content}
        if script.text is not None:
            return {"content": [{"type": "text", "text": script.text}]}
        return None

    def _usage(self, body: Json, content: list[Json]) -> Json:
        prompt_tokens = count_tokens(prompt_of(body))
        created = read = 0
        if body.get("cache_control") or '"cache_control"' in json.dumps(prompt_of(body)):
            cached = max(1, prompt_tokens - 5)  # all but a short tail: the mark stands near the end
            created, read = (0, cached) if self._is_prefix_known(body) else (cached, 0)
        return {
            "input_tokens": prompt_tokens - created - read,
            "output_tokens": count_tokens(content),
            "cache_creation_input_tokens": created,
            "cache_read_input_tokens": read,
            "cache_creation": {"ephemeral_5m_input_tokens": created, "ephemeral_1h_input_tokens": 0},
            "service_tier": "standard",
        }

    def _is_prefix_known(self, body: Json) -> bool:
        """Whether the marked prefix was sent before; it is known from now on."""
        prefix = [body.get("model"), body.get("tools"), body.get("system"), body["messages"][:1]]
        digest = hashlib.sha256(json.dumps(prefix, sort_keys=True).encode()).hexdigest()
        with self._lock:
            is_known = digest in self._prefixes
            self._prefixes.add(digest)
        return is_known


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], fake: FakeAnthropic) -> None:
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
            self._authenticate()
            self._send_json(200, self._models(path))
        except APIError as error:
            self._send_error(error)

    def do_POST(self) -> None:
        path = urlsplit(self.path).path
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            self._send_error(APIError(400, "The request body is not valid JSON"))
            return
        self._record(path, body)
        with self.server.fake.in_flight():
            try:
                self._authenticate()
                self.server.fake.pause(self.server.fake.latency)
                self._respond(path, body)
            except APIError as error:
                self._send_error(error)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    def _respond(self, path: str, body: Json) -> None:
        if path == "/v1/messages/count_tokens":
            validate(body)
            self._send_json(200, {"input_tokens": count_tokens(prompt_of(body))})
            return
        if path != "/v1/messages":
            raise APIError(404, f"Not found: {path}")
        message, script = self.server.fake.answer(body)
        if body.get("stream"):
            self._stream(message, script)
        else:
            self._send_json(200, message, script.headers)

    def _models(self, path: str) -> Json:
        if path == "/v1/models":
            ids = [model["id"] for model in MODELS]
            return {"data": list(MODELS), "has_more": False, "first_id": ids[0], "last_id": ids[-1]}
        for model in MODELS:
            if path == f"/v1/models/{model['id']}":
                return model
        raise APIError(404, f"Not found: {path}")

    def _record(self, path: str, body: Json | None) -> None:
        self.server.fake.record(
            {
                "method": self.command,
                "path": path,
                "query": parse_qs(urlsplit(self.path).query),
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": body,
                "at": time.monotonic(),
            }
        )

    def _authenticate(self) -> None:
        key = self.headers.get("x-api-key") or (self.headers.get("authorization") or "").removeprefix("Bearer ")
        wanted = self.server.fake.api_key
        if not key or (wanted and key != wanted):
            raise APIError(401, "invalid x-api-key")
        if not self.headers.get("anthropic-version"):
            raise APIError(400, "anthropic-version: header is required")

    def _send_head(self, status: int, content_type: str, further: Mapping[str, str]) -> None:
        self.send_response(status)
        headers = {
            "content-type": content_type,
            "request-id": new_id("req"),
            "anthropic-organization-id": "org-fake",
            "anthropic-ratelimit-requests-limit": "1000",
            "anthropic-ratelimit-requests-remaining": "999",
            **further,
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send_json(self, status: int, value: Json, headers: Mapping[str, str] | None = None) -> None:
        payload = json.dumps(value).encode()
        self._send_head(status, "application/json", {"content-length": str(len(payload)), **(headers or {})})
        self.wfile.write(payload)

    def _send_error(self, error: APIError) -> None:
        self._send_json(error.status, error.envelope, error.headers)

    def _stream(self, message: Json, script: ScriptedAnswer) -> None:
        fake = self.server.fake
        headers = {"transfer-encoding": "chunked", "cache-control": "no-cache", **(script.headers or {})}
        self._send_head(200, "text/event-stream; charset=utf-8", headers)
        for index, (event, fields) in enumerate(sse_frames(message, fake.chunk)):
            if script.cut_after is not None and index >= script.cut_after:
                self.close_connection = True  # no closing chunk: the client sees a broken body
                return
            if script.error_after is not None and index >= script.error_after:
                overloaded = {"type": "overloaded_error", "message": "Overloaded"}
                self._send_frame("error", {"type": "error", "error": overloaded})
                break
            self._send_frame(event, fields)
            fake.pause(fake.frame_delay)
        self.wfile.write(b"0\r\n\r\n")

    def _send_frame(self, event: str, fields: Json) -> None:
        frame = f"event: {event}\ndata: {json.dumps(fields)}\n\n".encode()
        self.wfile.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
        self.wfile.flush()
