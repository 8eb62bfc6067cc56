"""A fake OpenAI API, and a client for it that knows no SDK."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmcache_plugins.testing import FakeOpenAI

Send = Callable[..., tuple[int, Any]]


@pytest.fixture
def openai_server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture
def send(openai_server: FakeOpenAI) -> Send:
    """`send(path, body)` gives the status and the JSON of the answer, or the text of a stream; GET without a body."""

    def send(path: str, body: Any = None, *, key: str | None = "test") -> tuple[int, Any]:
        headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(openai_server.base_url + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                raw = response.read().decode()
                is_stream = response.headers["content-type"].startswith("text/event-stream")
                return response.status, raw if is_stream else json.loads(raw)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    return send


@pytest.fixture
def ask(send: Send) -> Callable[..., Any]:
    """`ask("question", **params)` gives the completion of one user turn."""

    def ask(content: Any = "hello", **params: Any) -> Any:
        body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": content}], **params}
        status, answer = send("/chat/completions", body)
        assert status == 200, answer
        return answer

    return ask
