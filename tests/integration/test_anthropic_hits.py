"""What a hit of the Anthropic SDK plugin looks like, and that it is as good as an answer of the server's."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import anthropic
import pytest

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.anthropic import LLMCacheMiddleware, cache_client
from llmcache_plugins.testing import FakeAnthropic

MODEL = "claude-haiku-4-5"
PING = {
    "name": "ping",
    "description": "Is a device reachable?",
    "input_schema": {"type": "object", "properties": {"host": {"type": "string"}}, "required": ["host"]},
}


def plain(**further: Any) -> dict[str, Any]:
    question = {"role": "user", "content": "What does a route reflector do?"}
    return {"model": MODEL, "max_tokens": 2000, "messages": [question], **further}


TOOLS = plain(tools=[PING])


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


# What was said, without what is new in every answer: ids and tokens.
def said(message: Any) -> Any:
    blocks = [block.model_dump(exclude={"id"}, exclude_none=True, warnings=False) for block in message.content]
    return blocks, message.stop_reason, message.stop_sequence, message.model, message.role


def from_stream(client: anthropic.Anthropic, body: dict[str, Any]) -> Any:
    with client.messages.stream(**body) as stream:
        return said(stream.get_final_message())


def test_p57_a_hit_needs_no_server_and_a_miss_says_that_there_is_none(
    server: FakeAnthropic, client: anthropic.Anthropic
) -> None:
    cold = said(client.messages.create(**plain()))
    server.stop()
    assert said(client.messages.create(**plain())) == cold
    assert from_stream(client, plain()) == cold
    with pytest.raises(anthropic.APIConnectionError):
        client.messages.create(**TOOLS)
    with pytest.raises(anthropic.APIConnectionError):
        client.messages.create(**TOOLS, stream=True)


def test_p58_a_hit_reports_no_tokens_and_what_it_saved(client: anthropic.Anthropic) -> None:
    marked = plain(system=[{"type": "text", "text": "Be short.", "cache_control": {"type": "ephemeral"}}])
    cold = client.messages.create(**marked).usage.model_dump(exclude_none=True)
    assert cold["cache_creation_input_tokens"] > 0
    with client.messages.stream(**marked) as stream:
        from_stream = stream.get_final_message().usage
    for usage in (client.messages.create(**marked).usage, from_stream):
        told = usage.model_dump(exclude_none=True)
        mark = told.pop("llmcache")
        assert told.keys() == {name for name in cold if name.endswith("_tokens")}
        assert set(told.values()) == {0}
        assert mark["saved"] == cold
        assert (mark["hit"], mark["kind"]) == (True, "exact")


def test_usage_original_reports_the_stored_tokens_again(
    client: anthropic.Anthropic, cache: SemanticCache, server: FakeAnthropic
) -> None:
    again = cache_client(client, cache, usage="original")
    cold = client.messages.create(**plain()).usage
    assert again.messages.create(**plain()).usage == cold
    with again.messages.stream(**plain()) as stream:
        assert stream.get_final_message().usage == cold
    assert server.count() == 1


def test_a_hit_has_ids_of_its_own_and_says_so_in_its_headers(client: anthropic.Anthropic) -> None:
    client.messages.create(**TOOLS)
    first, second = client.messages.create(**TOOLS), client.messages.create(**TOOLS)
    assert first.id != second.id
    assert first.id.startswith("msg_llmcache_")
    assert str(first._request_id).startswith("req_llmcache_")
    raw = client.messages.with_raw_response.create(**TOOLS)
    assert (raw.headers["x-llmcache"], raw.status_code) == ("hit", 200)
    assert raw.headers["request-id"].startswith("req_llmcache_")
    assert raw.elapsed.total_seconds() >= 0


async def test_a_hit_can_be_relayed_as_raw_bytes(
    client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    def relayed() -> bytes:
        with client.messages.with_streaming_response.create(**plain(), stream=True) as response:
            return b"".join(response.http_response.iter_raw())

    for _ in range(2):
        assert relayed().count(b"event: message_stop") == 1
    async with anthropic.AsyncAnthropic(api_key="test", base_url=server.base_url) as made:
        cached = cache_client(made, cache)
        async with cached.messages.with_streaming_response.create(**plain(), stream=True) as response:
            pieces = [piece async for piece in response.http_response.aiter_raw()]
    assert b"".join(pieces).count(b"event: message_stop") == 1
    assert server.count() == 1


def three_turns(client: anthropic.Anthropic) -> list[str]:
    """The ids of the tool calls of a conversation."""
    thread, ids = list(plain()["messages"]), []
    for turn in range(3):
        answer = client.messages.create(**{**TOOLS, "messages": thread})
        (call,) = [block for block in answer.content if block.type == "tool_use"]
        result = {"type": "tool_result", "tool_use_id": call.id, "content": f"up {turn}"}
        thread.append({"role": "assistant", "content": answer.content})
        thread.append({"role": "user", "content": [result, {"type": "text", "text": "Is rtr-001 up?"}]})
        ids.append(call.id)
    client.messages.create(**{**TOOLS, "messages": thread})  # refused, if an id was there twice
    return ids


def test_p59_a_replayed_tool_conversation_is_accepted(client: anthropic.Anthropic, server: FakeAnthropic) -> None:
    call = {"type": "tool_use", "name": "ping", "input": {"host": "rtr-001"}}
    server.handler = lambda body: {"content": [{**call, "id": f"toolu_{server.count()}"}], "stop_reason": "tool_use"}
    cold = three_turns(client)
    assert server.count() == 4
    replayed = three_turns(client)
    assert server.count() == 4
    assert len({*cold, *replayed}) == 6


def test_p59_a_hit_within_a_conversation_has_an_id_of_its_own(
    client: anthropic.Anthropic, server: FakeAnthropic
) -> None:
    """The same call answered twice in one thread, the second time by the cache."""
    server.handler = lambda body: {
        "content": [{"type": "tool_use", "id": "toolu_1", "name": "ping", "input": {"host": "rtr-001"}}],
        "stop_reason": "tool_use",
    }
    thread: list[Any] = []
    for _ in range(2):
        answer = client.messages.create(**TOOLS)
        (call,) = answer.content
        assert call.type == "tool_use"
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "up"}
        thread += [*TOOLS["messages"], {"role": "assistant", "content": answer.content}]
        thread += [{"role": "user", "content": [result]}]
    server.handler = None
    assert client.messages.create(**{**TOOLS, "messages": thread}).stop_reason == "end_turn"
    assert server.count() == 2


def test_p60_copies_of_a_client_still_cache_and_it_is_installed_once(
    client: anthropic.Anthropic, cache: SemanticCache, server: FakeAnthropic
) -> None:
    client.messages.create(**plain())
    client.with_options(timeout=3).messages.create(**plain())
    twice = cache_client(cache_client(client, cache), cache)
    twice.messages.create(**plain())
    assert server.count() == 1
    assert cache_client(client, cache) is client
    assert sum(isinstance(one, LLMCacheMiddleware) for one in twice.middleware) == 1
    assert cache.stats().lookups == 3


def test_p63_generators_and_blocks_of_the_sdk_hit(client: anthropic.Anthropic, server: FakeAnthropic) -> None:
    first = client.messages.create(**plain())
    thread = [*plain()["messages"], {"role": "assistant", "content": first.content}, plain()["messages"][0]]
    text = [{"type": "text", "text": first.content[0].text}]  # type: ignore[union-attr]
    cold = said(client.messages.create(**plain(messages=thread)))
    as_json = [thread[0], {"role": "assistant", "content": text}, thread[2]]
    assert said(client.messages.create(**plain(messages=as_json))) == cold
    assert said(client.messages.create(**{**plain(), "messages": (turn for turn in thread)})) == cold
    assert server.count() == 2


def test_a_tool_runner_runs_again_without_a_call(client: anthropic.Anthropic, server: FakeAnthropic) -> None:
    ran: list[str] = []

    @anthropic.beta_tool
    def ping(host: str) -> str:
        """Is a device reachable?

        Args:
            host: its name.
        """
        ran.append(host)
        return f"{host} is up"

    takes_thread = "thread" in inspect.signature(client.beta.messages.tool_runner).parameters
    whole_history: dict[str, Any] = {"thread": False} if takes_thread else {}

    def run() -> str:
        last = client.beta.messages.tool_runner(**plain(), tools=[ping], **whole_history).until_done()
        return str(last.content[-1].to_dict()["text"])

    cold = run()
    assert (server.count(), len(ran)) == (2, 1)
    assert run() == cold
    assert (server.count(), len(ran)) == (2, 2)  # the tool itself runs each time
