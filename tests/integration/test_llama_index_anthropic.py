"""LlamaIndex's own Anthropic class on the loopback server: P30, P31, P36, P37, P39, and entries shared with whoever
sends the same body.

Needs llama-index-llms-anthropic, which works with anthropic below 1 only (`make test-b`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import (
    ChatMessage,
    CitationBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from llmcache_plugins import Hit, SemanticCache, open_cache
from llmcache_plugins.anthropic import cache_client
from llmcache_plugins.canonical.answer import ChatAnswer, answer_from, stored_answers
from llmcache_plugins.canonical.anthropic import answer_of_message, request_of_body
from llmcache_plugins.llama_index import cached_llm
from llmcache_plugins.testing import FakeAnthropic

if "llama-index-llms-anthropic" in os.environ.get("LLMCACHE_REQUIRE_EXTRAS", ""):
    import llama_index.llms.anthropic as integration  # fails where a skip is not allowed
else:
    integration = pytest.importorskip("llama_index.llms.anthropic")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MODEL = "claude-sonnet-4-5"
QUESTION = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content="What is BGP?")]
PROMPT = PromptTemplate("Make a sum of {thing}.")
CITATION = {
    "type": "search_result_location",
    "cited_text": "BGP is a protocol.",
    "source": "rfc4271",
    "title": "BGP-4",
    "start_block_index": 0,
    "end_block_index": 1,
    "search_result_index": 0,
}


class Sum(BaseModel):
    """A structured answer."""

    name: str
    count: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TOOL = FunctionTool.from_defaults(add)


@pytest.fixture(scope="module", autouse=True)
def loop() -> Iterator[None]:
    """One for all tests: clients keep their connections open, and a closed loop would fail those."""
    global _runner
    with asyncio.Runner() as _runner:
        yield


_runner = asyncio.Runner()


def run(coroutine: Any) -> Any:
    return _runner.run(coroutine)


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as server:
        yield server


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with open_cache(embedder=None) as cache:
        yield cache


@pytest.fixture
def make(server: FakeAnthropic) -> Iterator[Callable[..., Any]]:
    made = []

    def make(**settings: Any) -> Any:
        given = {"model": MODEL, "base_url": server.base_url, "api_key": "sk-test", "max_retries": 0, **settings}
        made.append(integration.Anthropic(**given))
        return made[-1]

    yield make
    for llm in made:
        llm._client.close()
        run(llm._aclient.close())


def calls(server: FakeAnthropic) -> int:
    return server.count("/v1/messages")


async def _astream(llm: Any, name: str, *args: Any, **kwargs: Any) -> list[Any]:
    return [piece async for piece in await getattr(llm, name)(*args, **kwargs)]


SHAPES: dict[str, Callable[[Any], Any]] = {
    "chat": lambda llm: llm.chat(QUESTION).message.content,
    "complete": lambda llm: llm.complete("hello").text,
    "stream_chat": lambda llm: "".join(piece.delta for piece in llm.stream_chat(QUESTION)),
    "stream_complete": lambda llm: "".join(piece.delta for piece in llm.stream_complete("hello")),
    "achat": lambda llm: run(llm.achat(QUESTION)).message.content,
    "acomplete": lambda llm: run(llm.acomplete("hello")).text,
    "astream_chat": lambda llm: "".join(p.delta for p in run(_astream(llm, "astream_chat", QUESTION))),
    "astream_complete": lambda llm: "".join(p.delta for p in run(_astream(llm, "astream_complete", "hello"))),
    "structured_predict": lambda llm: llm.structured_predict(Sum, PROMPT, thing="it"),
    "astructured_predict": lambda llm: run(llm.astructured_predict(Sum, PROMPT, thing="it")),
    "stream_structured_predict": lambda llm: list(llm.stream_structured_predict(Sum, PROMPT, thing="it")),
    "astream_structured_predict": lambda llm: run(_astream(llm, "astream_structured_predict", Sum, PROMPT)),
    "as_structured_llm": lambda llm: llm.as_structured_llm(Sum).chat([ChatMessage("a sum")]).raw,
    "predict": lambda llm: llm.predict(PROMPT, thing="it"),
    "chat_with_tools": lambda llm: [
        block.tool_kwargs
        for block in llm.chat_with_tools([TOOL], user_msg="add 1 2").message.blocks
        if isinstance(block, ToolCallBlock)
    ],
    "predict_and_call": lambda llm: str(llm.predict_and_call([TOOL], user_msg="add 1 2")),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_p30_p36_every_method_reaches_the_server_once(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any], shape: str
) -> None:
    plain = SHAPES[shape](make())
    llm, counts, said = cached_llm(make(), cache), [], []
    for _ in range(3):
        server.reset()
        said.append(SHAPES[shape](llm))
        counts.append(calls(server))
    assert counts == [1, 0, 0]
    assert said == [plain] * 3


@pytest.mark.parametrize("model", ["claude-3-haiku-20240307", MODEL])
def test_p36_structured_answers_of_both_kinds_of_models_hit(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any], model: str
) -> None:
    llm = cached_llm(make(model=model), cache)
    first = llm.structured_predict(Sum, PROMPT, thing="it")
    assert llm.structured_predict(Sum, PROMPT, thing="it") == first
    assert calls(server) == 1
    llm.structured_predict(Sum, PROMPT, thing="another")
    assert calls(server) == 2

    class Other(BaseModel):
        """Another form of the same question."""

        name: str

    llm.structured_predict(Other, PROMPT, thing="it")
    assert calls(server) == 3


@pytest.mark.parametrize("streaming", [True, False])
def test_p31_an_agent_runs_again_without_a_call(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any], streaming: bool
) -> None:
    llm = cached_llm(make(), cache)

    async def ask() -> str:
        return str(await FunctionAgent(tools=[TOOL], llm=llm, streaming=streaming).run("add 1 2"))

    first, made = run(ask()), calls(server)
    assert run(ask()) == first == "tool said: 3"
    assert (made, calls(server)) == (2, 2)


@pytest.mark.parametrize("order", [("chat", "stream_chat"), ("astream_chat", "achat"), ("complete", "stream_complete")])
def test_p39_a_stream_and_a_plain_call_share_an_answer(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any], order: tuple[str, str]
) -> None:
    llm = cached_llm(make(), cache)
    assert len({SHAPES[name](llm) for name in order}) == 1
    assert calls(server) == 1


def test_p37_class_thinking_citations_and_raw_come_back(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any]
) -> None:
    llm = cached_llm(make(thinking_dict={"type": "enabled", "budget_tokens": 1024}), cache)
    text = {"type": "text", "text": "A protocol.", "citations": [CITATION]}
    server.enqueue(content=[{"type": "thinking", "thinking": "Hm.", "signature": "sig1"}, text])
    cold, warm = llm.chat(QUESTION), llm.chat(QUESTION)
    assert type(warm) is type(cold)
    assert type(warm).__name__ == "AnthropicChatResponse"
    assert warm.message == cold.message
    assert {type(block) for block in warm.message.blocks} == {ThinkingBlock, TextBlock, CitationBlock}
    assert [citation["cited_text"] for citation in warm.citations] == [one["cited_text"] for one in cold.citations]
    assert warm.raw["model"] == cold.raw["model"] == MODEL
    assert warm.raw["usage"].input_tokens == warm.raw["usage"]["output_tokens"] == 0
    assert warm.raw.stop_reason == "end_turn"
    assert warm.additional_kwargs["llmcache"]["saved_usage"]["input_tokens"] == cold.raw["usage"].input_tokens
    streamed = list(llm.stream_chat(QUESTION))
    assert streamed[-1].message.blocks == cold.message.blocks
    assert streamed[0].message.additional_kwargs["thinking_delta"] == "Hm."
    assert streamed[-1].message.additional_kwargs["stop_reason"] == "end_turn"
    assert calls(server) == 1


def test_a_completion_never_stands_for_an_answer_with_thoughts(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any]
) -> None:
    llm = cached_llm(make(thinking_dict={"type": "enabled", "budget_tokens": 1024}), cache)
    list(llm.stream_complete("What is BGP?"))
    answer = llm.chat([ChatMessage("What is BGP?")])
    assert any(isinstance(block, ThinkingBlock) for block in answer.message.blocks)
    assert calls(server) == 2
    assert llm.complete("What is BGP?").text
    assert calls(server) == 2


# ---------------------------------------------------------------- shared with others
BODY = {
    "model": MODEL,
    "max_tokens": 512,
    "temperature": 0.1,
    "system": "Be brief.",
    "messages": [{"role": "user", "content": "What is BGP?"}],
}


def test_what_others_wrote_for_the_same_body_is_served(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any]
) -> None:
    message = {
        "id": "msg_1",
        "content": [
            {"type": "text", "text": "I will add."},
            {"type": "tool_use", "id": "toolu_01", "name": "add", "input": {"a": 1, "b": 2}},
        ],
        "stop_reason": "tool_use",
        "model": MODEL,
        "usage": {"input_tokens": 5, "output_tokens": 6},
    }
    cache.update(request_of_body(BODY, base_url=server.base_url), answer_from([answer_of_message(message)]))
    llm = cached_llm(make(), cache)
    for answer in (llm.chat(QUESTION), run(llm.achat(QUESTION)), list(llm.stream_chat(QUESTION))[-1]):
        text, call = answer.message.blocks
        assert (text.text, call.tool_name, call.tool_kwargs) == ("I will add.", "add", {"a": 1, "b": 2})
        assert call.tool_call_id.startswith("toolu_")
        assert call.tool_call_id != "toolu_01"
        assert answer.raw.stop_reason == "tool_use"
    assert calls(server) == 0


@pytest.mark.parametrize("shape", ["chat", "astream_chat"])
def test_what_it_writes_is_found_under_the_body(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any], shape: str
) -> None:
    SHAPES[shape](cached_llm(make(), cache))
    assert server.requests[-1]["body"]["system"] == "Be brief."
    found = cache.lookup(request_of_body(BODY, base_url=server.base_url))
    assert isinstance(found, Hit)
    answer = stored_answers(found.answer)[0]
    assert isinstance(answer, ChatAnswer)
    assert (answer.text, answer.stop_reason, answer.model) == ("echo: What is BGP?", "end_turn", MODEL)
    assert answer.usage.output_tokens > 0


def test_the_sdk_and_llama_index_serve_each_other(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any]
) -> None:
    client = cache_client(make()._client, cache)
    llm = cached_llm(make(), cache)
    first = llm.chat(QUESTION)
    message = client.messages.create(**BODY)
    assert [block.text for block in message.content] == [first.message.content]
    assert message.usage.output_tokens == 0
    other = client.messages.create(**{**BODY, "system": "Be long."})
    again = llm.chat([ChatMessage(role="system", content="Be long."), QUESTION[1]])
    assert again.message.content == other.content[0].text
    assert calls(server) == 2
    client.messages.create(**{**BODY, "temperature": 1.0})  # the SDK's default, and not LlamaIndex's
    assert calls(server) == 3


CITED = {"type": "text", "text": "A protocol.", "citations": [CITATION]}
PAGE = {**CITATION, "type": "char_location", "document_index": 0, "start_char_index": 0, "end_char_index": 9}


@pytest.mark.parametrize(
    "content",
    [
        [CITED],
        [{**CITED, "citations": [PAGE]}],
        [{"type": "redacted_thinking", "data": "hidden"}, {"type": "text", "text": "A protocol."}],
    ],
)
@pytest.mark.parametrize("shape", ["stream_chat", "astream_chat"])
def test_a_stream_that_tells_only_a_part_of_an_answer_is_not_stored_for_the_whole(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any], shape: str, content: list[dict[str, Any]]
) -> None:
    llm, client = cached_llm(make(), cache), cache_client(make()._client, cache)
    for _ in range(2):
        server.enqueue(content=content)
    assert SHAPES[shape](llm) == "A protocol."
    message = client.messages.create(**BODY)
    assert calls(server) == 2
    assert len(message.content) == len(content)
    assert bool(message.content[0].to_dict().get("citations")) == ("citations" in content[0])


def test_the_stop_sequence_that_a_stream_met_comes_back(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any]
) -> None:
    llm, client = cached_llm(make(), cache), cache_client(make()._client, cache)
    server.enqueue(text="A protocol", stop_reason="stop_sequence", stop_sequence=".")
    list(llm.stream_chat(QUESTION, stop_sequences=["."]))
    message = client.messages.create(**BODY, stop_sequences=["."])
    assert (message.stop_reason, message.stop_sequence, calls(server)) == ("stop_sequence", ".", 1)


@pytest.mark.parametrize("shape", SHAPES)
def test_p15_p62_of_two_layers_only_the_outer_one_counts(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any], shape: str
) -> None:
    below = make()
    below._client = cache_client(below._client, cache)
    below._aclient = cache_client(below._aclient, cache)
    first = SHAPES[shape](below)
    assert SHAPES[shape](below) == first  # the middleware alone
    assert calls(server) == 1
    cache.clear()
    before = cache.stats()
    both = cached_llm(below, cache)
    assert [SHAPES[shape](both), SHAPES[shape](both)] == [first, first]
    now = cache.stats()
    assert now.updates - before.updates == 1
    assert sum(now.misses.values()) - sum(before.misses.values()) == 1
    assert calls(server) == 2


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({"temperature": 0.2}, {}),
        ({"max_tokens": 100}, {}),
        ({"model": "claude-opus-4-1"}, {}),
        ({"additional_kwargs": {"top_k": 5}}, {}),
        ({"default_headers": {"anthropic-beta": "a-beta"}}, {}),
        ({"default_headers": {"x-of-my-own": "1"}}, {}),
        ({}, {"temperature": 0.9}),
        ({}, {"stop_sequences": ["x"]}),
        ({}, {"extra_body": {"top_p": 0.5}}),
        ({}, {"extra_headers": {"anthropic-beta": "a-beta"}}),
        ({}, {"extra_query": {"of-my-own": "1"}}),
    ],
)
def test_another_body_misses(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any], settings: Any, arguments: Any
) -> None:
    cached_llm(make(), cache).chat(QUESTION)
    other = cached_llm(make(**settings), cache)
    other.chat(QUESTION, **arguments)
    assert calls(server) == 2
    other.chat(QUESTION, **arguments)
    assert calls(server) == 2


@pytest.mark.parametrize("ask", ["chat", "structured_predict"])
def test_what_only_the_client_knows_keeps_answers_apart(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any], ask: str
) -> None:
    for value in ("1", "2", "2"):
        SHAPES[ask](cached_llm(make(default_headers={"x-of-my-own": value}), cache))
    assert calls(server) == 2
    SHAPES[ask](cached_llm(make(default_headers={"x-of-my-own": "2", "authorization": "Bearer x"}), cache))
    assert calls(server) == 2
    with FakeAnthropic() as other:
        SHAPES[ask](cached_llm(make(default_headers={"x-of-my-own": "2"}, base_url=other.base_url), cache))
        assert calls(other) == 1


def test_what_depends_on_a_state_at_the_provider_is_let_pass(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any]
) -> None:
    llm = cached_llm(make(), cache)
    for _ in range(2):
        llm.chat(QUESTION, extra_body={"container": "container_1"})
    assert (calls(server), cache.stats().bypasses) == (2, 2)


def test_marks_for_the_providers_cache_change_nothing(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any]
) -> None:
    cached_llm(make(cache_idx=-1), cache).chat([message.model_copy(deep=True) for message in QUESTION])
    asked = [message.model_copy(deep=True) for message in QUESTION]
    assert cached_llm(make(timeout=3.0), cache).chat(asked).additional_kwargs["llmcache"]["hit"]
    assert asked == QUESTION  # the look-up has marked nothing


def test_a_subclass_with_a_method_of_its_own_does_not_share(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any]
) -> None:
    class Loud(integration.Anthropic):  # type: ignore[misc, name-defined]
        def chat(self, messages: Any, **kwargs: Any) -> Any:
            response = super().chat(messages, **kwargs)
            response.message.blocks[0].text = response.message.blocks[0].text.upper()
            return response

    quiet = cached_llm(make(), cache).chat(QUESTION)
    loud = cached_llm(Loud(model=MODEL, base_url=server.base_url, api_key="sk-test", max_retries=0), cache)
    assert loud.chat(QUESTION).message.content == (quiet.message.content or "").upper()
    assert loud.chat(QUESTION).message.content == (quiet.message.content or "").upper()
    assert calls(server) == 2


def test_an_image_is_compared_by_what_it_shows(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any], tmp_path: Any
) -> None:
    llm = cached_llm(make(), cache)
    png = b"\x89PNG\r\n\x1a\n" + bytes(40)

    def ask(picture: bytes) -> Any:
        blocks = [ImageBlock(image=picture, image_mimetype="image/png"), TextBlock(text="What is it?")]
        return llm.chat([ChatMessage(role="user", blocks=blocks)])

    ask(png)
    assert "llmcache" in ask(png).additional_kwargs
    assert "llmcache" not in ask(png + b"x").additional_kwargs


# ---------------------------------------------------------------- what is not stored
@pytest.mark.parametrize("reason", ["max_tokens", "refusal", "pause_turn"])
@pytest.mark.parametrize("shape", ["chat", "stream_chat", "astream_chat", "complete", "stream_complete"])
def test_an_answer_that_ended_badly_is_not_stored(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any], reason: str, shape: str
) -> None:
    llm = cached_llm(make(), cache)
    server.enqueue(text="It is", stop_reason=reason)
    SHAPES[shape](llm)
    SHAPES[shape](llm)
    assert calls(server) == 2


@pytest.mark.parametrize("script", [{"cut_after": 4}, {"error_after": 4}])
@pytest.mark.parametrize("shape", ["stream_chat", "astream_chat", "stream_complete"])
def test_a_broken_stream_is_not_stored(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any], script: dict[str, int], shape: str
) -> None:
    llm = cached_llm(make(), cache)
    server.enqueue(text="a long answer that is cut in the middle", **script)
    with pytest.raises(Exception):  # noqa: B017, PT011 (httpx's or the SDK's, by version)
        SHAPES[shape](llm)
    assert cache.stats().updates == 0
    assert SHAPES[shape](llm).startswith("echo: ")
    assert cache.stats().updates == 1


@pytest.mark.parametrize("shape", ["chat", "stream_chat"])
def test_what_a_tool_of_the_providers_found_is_not_stored(
    server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any], shape: str
) -> None:
    llm = cached_llm(make(tools=[{"type": "web_search_20250305", "name": "web_search"}]), cache)
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "BGP"}}
    for _ in range(2):
        server.enqueue(content=[search, {"type": "text", "text": "As of today ..."}])
        SHAPES[shape](llm)
    assert calls(server) == 2


def test_a_hit_needs_no_server(server: FakeAnthropic, cache: SemanticCache, make: Callable[..., Any]) -> None:
    llm = cached_llm(make(), cache)
    first = llm.chat(QUESTION).message
    server.stop()
    assert llm.chat(QUESTION).message == first
    with pytest.raises(Exception, match="onnect"):
        llm.chat([ChatMessage("another question")])
