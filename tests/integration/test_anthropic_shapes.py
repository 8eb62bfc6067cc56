"""The call shapes of the Anthropic SDK, sync and async: asked once of the server, then answered by the cache."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.anthropic import cache_client
from llmcache_plugins.testing import FakeAnthropic

MODEL = "claude-haiku-4-5"
PING = {
    "name": "ping",
    "description": "Is a device reachable?",
    "input_schema": {"type": "object", "properties": {"host": {"type": "string"}}, "required": ["host"]},
}


class Device(BaseModel):
    name: str
    port: int


def plain(**further: Any) -> dict[str, Any]:
    question = {"role": "user", "content": "What does a route reflector do?"}
    return {"model": MODEL, "max_tokens": 2000, "messages": [question], **further}


TOOLS = plain(tools=[PING])
THINKING = plain(tools=[PING], thinking={"type": "enabled", "budget_tokens": 1024})


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=None)) as opened:
        yield opened


@pytest.fixture
def client(server: FakeAnthropic, cache: SemanticCache) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="test", base_url=server.base_url, max_retries=0) as made:
        yield cache_client(made, cache)


@pytest.fixture
async def aclient(server: FakeAnthropic, cache: SemanticCache) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(api_key="test", base_url=server.base_url, max_retries=0) as made:
        yield cache_client(made, cache)


# What was said, without what is new in every answer: ids and tokens.
def said(message: Any) -> Any:
    blocks = [block.model_dump(exclude={"id"}, exclude_none=True, warnings=False) for block in message.content]
    return blocks, message.stop_reason, message.stop_sequence, message.model, message.role


class Told:
    """What a raw stream says, put together by hand."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.blocks: dict[int, str] = {}
        self.end: Any = None

    def hear(self, event: Any) -> None:
        if event.type not in self.kinds:
            self.kinds.append(event.type)
        if event.type == "content_block_delta":
            told = event.delta.to_dict()
            piece = next(told[name] for name in ("text", "thinking", "partial_json", "signature") if name in told)
            self.blocks[event.index] = self.blocks.get(event.index, "") + piece
        if event.type == "message_delta":
            self.end = event.delta.stop_reason

    @property
    def all(self) -> Any:
        return self.kinds, self.blocks, self.end


def iterated(events: Any) -> Any:
    told = Told()
    for event in events:
        told.hear(event)
    return told.all


async def aiterated(events: Any) -> Any:
    told = Told()
    async for event in events:
        told.hear(event)
    return told.all


def streamed(messages: Any, body: Mapping[str, Any]) -> Any:
    with messages.stream(**body) as stream:
        pieces = list(stream.text_stream)
        assert len(pieces) > 1 or not "".join(pieces)  # in pieces
        return "".join(pieces), said(stream.get_final_message())


async def astreamed(messages: Any, body: Mapping[str, Any]) -> Any:
    async with messages.stream(**body) as stream:
        pieces = [piece async for piece in stream.text_stream]
        return "".join(pieces), said(await stream.get_final_message())


def parsed(messages: Any) -> Any:
    message = messages.parse(**plain(), output_format=Device)
    assert isinstance(message.parsed_output, Device)
    return message.parsed_output, said(message)


async def aparsed(messages: Any) -> Any:
    message = await messages.parse(**plain(), output_format=Device)
    assert isinstance(message.parsed_output, Device)
    return message.parsed_output, said(message)


def read_while_streaming(client: anthropic.Anthropic) -> Any:
    with client.messages.with_streaming_response.create(**plain()) as response:
        return said(response.parse())


async def aread_while_streaming(client: anthropic.AsyncAnthropic) -> Any:
    async with client.messages.with_streaming_response.create(**plain()) as response:
        return said(await response.parse())


SHAPES: dict[str, Callable[[anthropic.Anthropic], Any]] = {
    "create": lambda client: said(client.messages.create(**plain())),
    "create(tools)": lambda client: said(client.messages.create(**TOOLS)),
    "create(stream=True)": lambda client: iterated(client.messages.create(**plain(), stream=True)),
    "create(stream=True, tools, thinking)": lambda client: iterated(client.messages.create(**THINKING, stream=True)),
    "stream": lambda client: streamed(client.messages, plain()),
    "stream(tools, thinking)": lambda client: streamed(client.messages, THINKING),
    "parse": lambda client: parsed(client.messages),
    "beta.create": lambda client: said(client.beta.messages.create(**plain(), betas=["a-beta"])),
    "beta.create(stream=True)": lambda client: iterated(client.beta.messages.create(**plain(), stream=True)),
    "beta.stream": lambda client: streamed(client.beta.messages, plain()),
    "beta.parse": lambda client: parsed(client.beta.messages),
    "with_raw_response": lambda client: said(client.messages.with_raw_response.create(**plain()).parse()),
    "with_raw_response(stream=True)": lambda client: iterated(
        client.messages.with_raw_response.create(**plain(), stream=True).parse()
    ),
    "with_streaming_response": read_while_streaming,
}


async def araw(client: anthropic.AsyncAnthropic) -> Any:
    return said(await parsed_of(await client.messages.with_raw_response.create(**plain())))


async def araw_stream(client: anthropic.AsyncAnthropic) -> Any:
    return await aiterated(await parsed_of(await client.messages.with_raw_response.create(**plain(), stream=True)))


async def parsed_of(response: Any) -> Any:
    """Awaited from 1.0 on."""
    found = response.parse()
    return await found if inspect.isawaitable(found) else found


async def acreated(messages: Any, body: Mapping[str, Any]) -> Any:
    return said(await messages.create(**body))


async def acreated_stream(messages: Any, body: Mapping[str, Any]) -> Any:
    return await aiterated(await messages.create(**body, stream=True))


ASHAPES: dict[str, Callable[[anthropic.AsyncAnthropic], Any]] = {
    "create": lambda client: acreated(client.messages, plain()),
    "create(tools)": lambda client: acreated(client.messages, TOOLS),
    "create(stream=True)": lambda client: acreated_stream(client.messages, plain()),
    "create(stream=True, tools, thinking)": lambda client: acreated_stream(client.messages, THINKING),
    "stream": lambda client: astreamed(client.messages, plain()),
    "stream(tools, thinking)": lambda client: astreamed(client.messages, THINKING),
    "parse": lambda client: aparsed(client.messages),
    "beta.create": lambda client: acreated(client.beta.messages, plain(betas=["a-beta"])),
    "beta.create(stream=True)": lambda client: acreated_stream(client.beta.messages, plain()),
    "beta.stream": lambda client: astreamed(client.beta.messages, plain()),
    "beta.parse": lambda client: aparsed(client.beta.messages),
    "with_raw_response": araw,
    "with_raw_response(stream=True)": araw_stream,
    "with_streaming_response": aread_while_streaming,
}


# ------------------------------------------------------------------ P50
def test_the_table_is_the_same_for_both_clients() -> None:
    assert SHAPES.keys() == ASHAPES.keys()


# `beta.parse` of 0.x warns of its argument, which has taken the other's place again since.
@pytest.mark.filterwarnings("ignore:The 'output_format' parameter is deprecated:DeprecationWarning")
@pytest.mark.parametrize("shape", SHAPES)
def test_p50_each_shape_is_asked_of_the_server_once(
    shape: str, client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    cold = SHAPES[shape](client)
    assert server.count() == 1
    for _ in range(2):
        assert SHAPES[shape](client) == cold
    assert server.count() == 1
    stats = cache.stats()
    assert (dict(stats.hits), stats.updates, dict(stats.errors)) == ({"exact": 2}, 1, {})


@pytest.mark.filterwarnings("ignore:The 'output_format' parameter is deprecated:DeprecationWarning")
@pytest.mark.parametrize("shape", ASHAPES)
async def test_p50_each_async_shape_is_asked_of_the_server_once(
    shape: str, aclient: anthropic.AsyncAnthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    cold = await ASHAPES[shape](aclient)
    assert server.count() == 1
    for _ in range(2):
        assert await ASHAPES[shape](aclient) == cold
    assert server.count() == 1
    stats = await cache.astats()
    assert (dict(stats.hits), stats.updates, dict(stats.errors)) == ({"exact": 2}, 1, {})


async def test_both_clients_share_their_entries(
    client: anthropic.Anthropic, aclient: anthropic.AsyncAnthropic, server: FakeAnthropic
) -> None:
    assert said(client.messages.create(**plain())) == said(await aclient.messages.create(**plain()))
    assert server.count() == 1


# ------------------------------------------------------------------ P51
def test_p51_other_calls_always_reach_the_server(client: anthropic.Anthropic, server: FakeAnthropic) -> None:
    question = {"model": MODEL, "messages": plain()["messages"]}
    for _ in range(2):
        assert client.messages.count_tokens(**question).input_tokens > 0
        assert client.models.list().data
    assert (server.count("/v1/messages/count_tokens"), server.count("/v1/models")) == (2, 2)
    for _ in range(2):  # paths that the fake server does not know
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.create(requests=[{"custom_id": "a", "params": plain()}])
    assert server.count("/v1/messages/batches") == 2


async def test_p51_other_async_calls_always_reach_the_server(
    aclient: anthropic.AsyncAnthropic, server: FakeAnthropic
) -> None:
    for _ in range(2):
        await aclient.messages.count_tokens(model=MODEL, messages=plain()["messages"])
    assert server.count("/v1/messages/count_tokens") == 2


# ------------------------------------------------------------------ P54
@pytest.mark.parametrize("body", [plain(), TOOLS, THINKING], ids=["text", "tools", "thinking"])
def test_p54_a_stream_serves_create_and_the_reverse(
    body: dict[str, Any], client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    _, cold = streamed(client.messages, body)
    assert said(client.messages.create(**body)) == cold
    cache.clear()
    created = said(client.messages.create(**body))
    assert streamed(client.messages, body)[1] == created == cold
    assert server.count() == 2


async def test_p54_an_async_stream_serves_create_and_the_reverse(
    aclient: anthropic.AsyncAnthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    _, cold = await astreamed(aclient.messages, THINKING)
    assert said(await aclient.messages.create(**THINKING)) == cold
    await cache.aclear()
    created = said(await aclient.messages.create(**THINKING))
    assert (await astreamed(aclient.messages, THINKING))[1] == created == cold
    assert server.count() == 2


def test_citations_come_back_from_a_replayed_stream(client: anthropic.Anthropic, server: FakeAnthropic) -> None:
    citation = {"type": "char_location", "cited_text": "so", "document_index": 0, "document_title": None,
                "start_char_index": 0, "end_char_index": 2}  # fmt: skip
    server.enqueue(content=[{"type": "text", "text": "It is so, says the manual.", "citations": [citation]}])
    cold = said(client.messages.create(**plain()))
    assert streamed(client.messages, plain())[1] == cold
    assert cold[0][0]["citations"][0]["cited_text"] == "so"
    assert server.count() == 1
