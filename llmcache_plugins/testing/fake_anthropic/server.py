"""The loopback server: scripts, tokens and paths around the fake model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmcache_plugins.testing.fake_anthropic.answers import MODELS, default_answer, prompt_of, sse_frames
from llmcache_plugins.testing.fake_anthropic.wire import APIError, Json, new_id, require_max_tokens, validate
from llmcache_plugins.testing.fake_model import count_tokens
from llmcache_plugins.testing.loopback import EventStream, LoopbackAPI, Reply, Script

__all__ = ["FakeAnthropic", "ScriptedAnswer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedAnswer(Script):
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

    content: list[Json] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class FakeAnthropic(LoopbackAPI[ScriptedAnswer]):
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

    main_path = "/v1/messages"

    def __init__(
        self,
        *,
        port: int = 0,
        latency: float = 0.0,
        frame_delay: float = 0.0,
        api_key: str | None = None,
        chunk: int = 12,
    ) -> None:
        super().__init__(port=port, latency=latency, frame_delay=frame_delay, api_key=api_key, chunk=chunk)
        self._prefixes: set[str] = set()

    def enqueue(self, **answer: Any) -> None:
        self.queue.append(ScriptedAnswer(**answer))

    def reset(self) -> None:
        """Forget requests, scripts and cached prefixes."""
        super().reset()
        with self._lock:
            self._prefixes.clear()

    def answer(self, body: Json) -> tuple[Json, ScriptedAnswer]:
        """The message for a request, and the script that it came from.

        Raises:
            APIError: the script says so, or the request is not valid.
        """
        script = self._next_script() or ScriptedAnswer()
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

    def _authenticate(self, headers: Mapping[str, str]) -> None:
        key = headers.get("x-api-key") or headers.get("authorization", "").removeprefix("Bearer ")
        if not key or (self.api_key and key != self.api_key):
            raise APIError(401, "invalid x-api-key")
        if not headers.get("anthropic-version"):
            raise APIError(400, "anthropic-version: header is required")

    def _get(self, path: str) -> Json:
        if path == "/v1/models":
            ids = [model["id"] for model in MODELS]
            return {"data": list(MODELS), "has_more": False, "first_id": ids[0], "last_id": ids[-1]}
        for model in MODELS:
            if path == f"/v1/models/{model['id']}":
                return model
        raise APIError(404, f"Not found: {path}")

    def _post(self, path: str, body: Json) -> Reply | EventStream:
        if path == "/v1/messages/count_tokens":
            validate(body)
            return Reply(body={"input_tokens": count_tokens(prompt_of(body))})
        if path != "/v1/messages":
            raise APIError(404, f"Not found: {path}")
        message, script = self.answer(body)
        if not body.get("stream"):
            return Reply(body=message, headers=script.headers)
        frames = [_frame(event, fields) for event, fields in sse_frames(message, self.chunk)]
        overloaded = {"type": "overloaded_error", "message": "Overloaded"}
        return EventStream.scripted(frames, script, _frame("error", {"type": "error", "error": overloaded}))

    def _response_headers(self) -> Mapping[str, str]:
        return {
            "request-id": new_id("req"),
            "anthropic-organization-id": "org-fake",
            "anthropic-ratelimit-requests-limit": "1000",
            "anthropic-ratelimit-requests-remaining": "999",
        }

    def _bad_request(self, message: str) -> APIError:
        return APIError(400, message)


def _frame(event: str, fields: Json) -> bytes:
    return f"event: {event}\ndata: {json.dumps(fields)}\n\n".encode()
