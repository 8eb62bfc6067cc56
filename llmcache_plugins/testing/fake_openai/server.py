"""The loopback server: scripts and paths around the fake model."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmcache_plugins.testing.fake_openai.answers import (
    MODELS,
    default_answer,
    stream_chunks,
    usage_of,
    wire_tool_calls,
)
from llmcache_plugins.testing.fake_openai.embeddings import embeddings
from llmcache_plugins.testing.fake_openai.wire import APIError, Json, new_id, validate
from llmcache_plugins.testing.loopback import EventStream, LoopbackAPI, Reply, Script

__all__ = ["FakeOpenAI", "ScriptedAnswer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedAnswer(Script):
    """One answer to be given next, instead of the default one; said as it is, whatever `stop` and `max_tokens` are.

    Args:
        text: the text of every choice.
        tool_calls: the tool calls, in the API's form or as `{"name": ..., "arguments": {...}}`.
        refusal: the model's refusal, in place of `text`.
        finish_reason: why the model stopped; `tool_calls` or `stop` when not given.
        usage: the tokens to report; counted when not given.
        status: from 400 on, an HTTP error with `message`.
        message: text of the error.
        code: the error's code, `insufficient_quota` for example; the usual one of the status when not given.
        headers: further response headers.
        cut_after: break the connection of a stream after this many frames.
        error_after: send an error after this many frames of a stream.
    """

    tool_calls: list[Json] | None = None
    refusal: str | None = None
    finish_reason: str | None = None
    code: str | None = None


class FakeOpenAI(LoopbackAPI[ScriptedAnswer]):
    """OpenAI's API on a free port of 127.0.0.1: chat completions (JSON and SSE), embeddings, models.

    It checks what a replaying cache can get wrong (tool calls and tool messages that do not pair up, empty lists, ...)
    and counts what a test wants to know. Attributes may be changed while it runs.

    Args:
        port: 0 for a free one.
        latency: seconds before each answer.
        frame_delay: seconds between the frames of a stream.
        api_key: the only key that is accepted; any key when None.
        chunk: characters in one piece of a stream.

    Attributes:
        base_url: what the clients take; it ends in `/v1`.
        requests: every request so far: `method`, `path`, `query`, `headers` (lower case), `body`, `at` (monotonic).
        handler: called with the body; its dict (`content`, `tool_calls`, `refusal`, `finish_reason`, `usage`) replaces
            the default answer, and None leaves it.
        max_inflight: the most requests that were served at one time.
    """

    root = "/v1"
    main_path = "/v1/chat/completions"

    def enqueue(self, **answer: Any) -> None:
        self.queue.append(ScriptedAnswer(**answer))

    def answer(self, body: Json) -> tuple[Json, ScriptedAnswer]:
        """The completion for a request, and the script that it came from.

        Raises:
            APIError: the script says so, or the request is not valid.
        """
        script = self._next_script() or ScriptedAnswer()
        if script.status >= 400:
            raise APIError(script.status, script.message, script.headers, code=script.code)
        validate(body)
        given = self._scripted(script) or (self.handler(body) if self.handler else None)
        answers = [given or default_answer(body, index) for index in range(body.get("n") or 1)]
        choices = [_choice(index, answer, script) for index, answer in enumerate(answers)]
        completion = {
            "id": new_id("chatcmpl-", 29),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
            "choices": choices,
            "usage": script.usage or answers[0].get("usage") or usage_of(body, choices),
            "service_tier": "default",
            "system_fingerprint": "fp_fake",
        }
        return completion, script

    @staticmethod
    def _scripted(script: ScriptedAnswer) -> Json | None:
        if script.text is None and script.tool_calls is None and script.refusal is None:
            return None
        return {"content": script.text, "tool_calls": script.tool_calls, "refusal": script.refusal}

    def _authenticate(self, headers: Mapping[str, str]) -> None:
        key = headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not key:
            raise APIError(401, "You didn't provide an API key.")
        if self.api_key and key != self.api_key:
            raise APIError(401, "Incorrect API key provided.")

    def _get(self, path: str) -> Json:
        if path == "/v1/models":
            return {"object": "list", "data": list(MODELS)}
        name = path.removeprefix("/v1/models/")
        if name == path:
            raise APIError(404, f"Invalid URL (GET {path})")
        for model in MODELS:
            if model["id"] == name:
                return model
        raise APIError(404, f"The model '{name}' does not exist", param="model", code="model_not_found")

    def _post(self, path: str, body: Json) -> Reply | EventStream:
        if path == "/v1/embeddings":
            return Reply(body=embeddings(body))
        if path != self.main_path:
            raise APIError(404, f"Invalid URL (POST {path})")
        completion, script = self.answer(body)
        if not body.get("stream"):
            return Reply(body=completion, headers=script.headers)
        include_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        chunks = stream_chunks(completion, chunk=self.chunk, include_usage=include_usage)
        frames = [*(_frame(json.dumps(chunk)) for chunk in chunks), _frame("[DONE]")]
        error = APIError(500, "The server had an error while processing your request.")
        return EventStream.scripted(frames, script, _frame(json.dumps(error.envelope)))

    def _response_headers(self) -> Mapping[str, str]:
        return {
            "x-request-id": new_id("req_"),
            "openai-organization": "org-fake",
            "openai-version": "2020-10-01",
            "x-ratelimit-limit-requests": "1000",
            "x-ratelimit-remaining-requests": "999",
        }

    def _bad_request(self, message: str) -> APIError:
        return APIError(400, message)


def _choice(index: int, answer: Json, script: ScriptedAnswer) -> Json:
    calls = wire_tool_calls(answer.get("tool_calls") or [])
    reason = script.finish_reason or answer.get("finish_reason") or ("tool_calls" if calls else "stop")
    message = {
        "role": "assistant",
        "content": answer.get("content"),
        "refusal": answer.get("refusal"),
        "annotations": [],
        **({"tool_calls": calls} if calls else {}),  # the API leaves it out rather than sending an empty list
    }
    return {"index": index, "message": message, "logprobs": None, "finish_reason": reason}


def _frame(payload: str) -> bytes:
    return f"data: {payload}\n\n".encode()
