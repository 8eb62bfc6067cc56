"""The ways to ask for a message with the Anthropic SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
from pydantic import BaseModel

from benchmarks.integrations.shapes import Seen, Server, Shape
from llmcache_plugins.anthropic import cache_client

__all__ = ["anthropic_shapes"]

ASK: dict[str, Any] = {
    "model": "claude-haiku-4-5",
    "max_tokens": 2000,
    "messages": [{"role": "user", "content": "What does BGP stand for, and where is it used?"}],
}
TOOLS: dict[str, Any] = {
    "tools": [
        {
            "name": "ping",
            "description": "Is it there?",
            "input_schema": {"type": "object", "properties": {"host": {"type": "string"}}},
        }
    ],
    "messages": [{"role": "user", "content": "Is 'rtr-001' there?"}],
}
THINKING: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


class Weather(BaseModel):
    city: str
    degrees: int


def _seen(message: Any, pieces: int | None = None) -> Seen:
    blocks = [block.model_dump(exclude={"id", "citations"}) for block in message.content]
    return Seen((blocks, message.stop_reason), pieces, message.usage.input_tokens + message.usage.output_tokens)


def _pieces(events: list[Any]) -> Seen:
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    said = [
        getattr(delta, "text", "") or getattr(delta, "thinking", "") or getattr(delta, "partial_json", "")
        for delta in deltas
    ]
    spent = sum(event.message.usage.input_tokens for event in events if event.type == "message_start")
    spent += sum(event.usage.output_tokens for event in events if event.type == "message_delta")
    return Seen("".join(said), len([text for text in said if text]), spent)


def _sync(client: Any) -> dict[str, Callable[[], Seen]]:
    messages = client.messages

    def stream(**more: Any) -> Seen:
        with messages.stream(**{**ASK, **more}) as events:
            count = sum(event.type == "content_block_delta" for event in events)
            return _seen(events.get_final_message(), count)

    def streamed_response() -> Seen:
        with messages.with_streaming_response.create(**ASK) as response:
            return _seen(response.parse())

    return {
        "messages.create": lambda: _seen(messages.create(**ASK)),
        "messages.create(tools=...)": lambda: _seen(messages.create(**{**ASK, **TOOLS})),
        "messages.create(stream=True)": lambda: _pieces(list(messages.create(**ASK, stream=True))),
        "messages.stream": stream,
        "messages.stream(tools=..., thinking=...)": lambda: stream(**TOOLS, **THINKING),
        "messages.parse(output_format=...)": lambda: Seen(messages.parse(**ASK, output_format=Weather).parsed_output),
        "messages.with_raw_response.create": lambda: _seen(messages.with_raw_response.create(**ASK).parse()),
        "messages.with_streaming_response.create": streamed_response,
        "beta.messages.create": lambda: _seen(client.beta.messages.create(**ASK)),
    }


def _async(client: Any) -> dict[str, Callable[[], Any]]:
    messages = client.messages

    async def create() -> Seen:
        return _seen(await messages.create(**ASK))

    async def created_stream() -> Seen:
        return _pieces([event async for event in await messages.create(**ASK, stream=True)])

    async def stream() -> Seen:
        async with messages.stream(**ASK) as events:
            count = 0
            async for event in events:
                count += event.type == "content_block_delta"
            return _seen(await events.get_final_message(), count)

    async def parse() -> Seen:
        return Seen((await messages.parse(**ASK, output_format=Weather)).parsed_output)

    return {
        "await messages.create": create,
        "await messages.create(stream=True)": created_stream,
        "messages.stream (async)": stream,
        "await messages.parse(output_format=...)": parse,
    }


def anthropic_shapes() -> Iterator[Shape]:
    """By `cache_client`, sync and async."""
    for kind, shapes in ((anthropic.Anthropic, _sync), (anthropic.AsyncAnthropic, _async)):
        for call in shapes(kind(api_key="test")):

            def make(
                server: Server, cache: Any, kind: Any = kind, shapes: Any = shapes, call: str = call
            ) -> Callable[[], Any]:
                client = cache_client(kind(base_url=server.base_url, api_key="test", max_retries=0), cache)
                made: Callable[[], Any] = shapes(client)[call]
                return made

            yield Shape("`cache_client(client)`", call, make)
