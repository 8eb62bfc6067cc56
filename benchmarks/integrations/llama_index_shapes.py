"""The ways to call an LLM of LlamaIndex: an OpenAI-compatible one, and Anthropic's where its package is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from benchmarks.integrations.shapes import Seen, Server, Shape
from llmcache_plugins.llama_index import cached_chat_engine, cached_llm, cached_query_engine, install, uninstall

__all__ = ["has_anthropic", "llama_index_shapes"]

QUESTION = "What does BGP stand for, and where is it used?"
TOOL_QUESTION = "Is 'rtr-001' there? Use ping."
Make = Callable[[Any], Callable[[], Any]]  # of the LLM


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


def ping(host: str) -> str:
    """Is the host there?"""
    return f"{host} answers"


def has_anthropic() -> bool:
    return importlib.util.find_spec("llama_index.llms.anthropic") is not None


def _usage(response: ChatResponse | CompletionResponse) -> int | None:
    """What token counters read: `raw["usage"]`; on a hit a mark says that nothing was spent."""
    if "llmcache" in response.additional_kwargs:
        return 0
    raw = response.raw
    usage = raw.get("usage") if isinstance(raw, dict) else getattr(raw, "usage", None)
    if usage is None:
        return None
    names = ("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens")
    found = usage if isinstance(usage, dict) else {name: getattr(usage, name, 0) for name in names}
    return sum(int(found.get(name) or 0) for name in names)


def _chatted(response: ChatResponse, pieces: int | None = None) -> Seen:
    calls = [
        (block.tool_name, block.tool_kwargs) for block in response.message.blocks if block.block_type == "tool_call"
    ]
    return Seen((response.message.content, calls), pieces, _usage(response))


def _chat(llm: Any) -> Callable[[], Any]:
    return lambda: _chatted(llm.chat([ChatMessage(QUESTION)]))


def _achat(llm: Any) -> Callable[[], Any]:
    async def call() -> Seen:
        return _chatted(await llm.achat([ChatMessage(QUESTION)]))

    return call


def _complete(llm: Any) -> Callable[[], Any]:
    def call() -> Seen:
        response = llm.complete(QUESTION)
        return Seen(response.text, None, _usage(response))

    return call


def _acomplete(llm: Any) -> Callable[[], Any]:
    async def call() -> Seen:
        response = await llm.acomplete(QUESTION)
        return Seen(response.text, None, _usage(response))

    return call


def _stream_chat(llm: Any) -> Callable[[], Any]:
    def call() -> Seen:
        *_, last = pieces = list(llm.stream_chat([ChatMessage(QUESTION)]))
        return _chatted(last, len([piece for piece in pieces if piece.delta]))

    return call


def _astream_chat(llm: Any) -> Callable[[], Any]:
    async def call() -> Seen:
        *_, last = pieces = [piece async for piece in await llm.astream_chat([ChatMessage(QUESTION)])]
        return _chatted(last, len([piece for piece in pieces if piece.delta]))

    return call


def _stream_complete(llm: Any) -> Callable[[], Any]:
    def call() -> Seen:
        *_, last = pieces = list(llm.stream_complete(QUESTION))
        return Seen(last.text, len([piece for piece in pieces if piece.delta]), _usage(last))

    return call


def _astream_complete(llm: Any) -> Callable[[], Any]:
    async def call() -> Seen:
        *_, last = pieces = [piece async for piece in await llm.astream_complete(QUESTION)]
        return Seen(last.text, len([piece for piece in pieces if piece.delta]), _usage(last))

    return call


def _predict(llm: Any) -> Callable[[], Any]:
    return lambda: Seen(llm.predict(PromptTemplate("{question}"), question=QUESTION))


def _stream(llm: Any) -> Callable[[], Any]:
    def call() -> Seen:
        pieces = list(llm.stream(PromptTemplate("{question}"), question=QUESTION))
        return Seen("".join(pieces), len([piece for piece in pieces if piece]))

    return call


def _structured(llm: Any) -> Callable[[], Any]:
    prompt = PromptTemplate("How is the weather in 'Bern', 7 degrees?")
    return lambda: Seen(llm.structured_predict(Weather, prompt))


def _astructured(llm: Any) -> Callable[[], Any]:
    prompt = PromptTemplate("How is the weather in 'Bern', 7 degrees?")

    async def call() -> Seen:
        return Seen(await llm.astructured_predict(Weather, prompt))

    return call


def _structured_llm(llm: Any) -> Callable[[], Any]:
    structured = llm.as_structured_llm(Weather)
    return lambda: Seen(structured.chat([ChatMessage("How is the weather in 'Bern', 7 degrees?")]).raw)


def _chat_with_tools(llm: Any) -> Callable[[], Any]:
    tools = [FunctionTool.from_defaults(ping)]
    return lambda: _chatted(llm.chat_with_tools(tools, user_msg=TOOL_QUESTION))


def _predict_and_call(llm: Any) -> Callable[[], Any]:
    tools = [FunctionTool.from_defaults(ping)]
    return lambda: Seen(llm.predict_and_call(tools, user_msg=TOOL_QUESTION).response)


def _index() -> VectorStoreIndex:
    return VectorStoreIndex.from_documents(
        [Document(text="BGP is the Border Gateway Protocol.")], embed_model=MockEmbedding(8)
    )


def _query_engine(llm: Any) -> Callable[[], Any]:
    engine = _index().as_query_engine(llm=llm)
    return lambda: Seen(str(engine.query(QUESTION)))


def _streaming_query_engine(llm: Any) -> Callable[[], Any]:
    engine = _index().as_query_engine(llm=llm, streaming=True)

    def call() -> Seen:
        pieces = list(engine.query(QUESTION).response_gen)
        return Seen("".join(pieces), len([piece for piece in pieces if piece]))

    return call


def _chat_engine(llm: Any) -> Callable[[], Any]:
    index = _index()
    return lambda: Seen(str(index.as_chat_engine(chat_mode="context", llm=llm).chat(QUESTION)))


def _front(llm: Any, cache: Any, **how: Any) -> Any:
    """A query engine that is answered before it retrieves."""
    return cached_query_engine(_index().as_query_engine(llm=llm, **how), cache, name="handbook")


def _front_query(llm: Any, cache: Any) -> Callable[[], Any]:
    engine = _front(llm, cache)

    def call() -> Seen:
        response = engine.query(QUESTION)
        return Seen((str(response), [node.node.text for node in response.source_nodes]))

    return call


def _front_aquery(llm: Any, cache: Any) -> Callable[[], Any]:
    engine = _front(llm, cache)

    async def call() -> Seen:
        return Seen(str(await engine.aquery(QUESTION)))

    return call


def _front_stream(llm: Any, cache: Any) -> Callable[[], Any]:
    engine = _front(llm, cache, streaming=True)

    def call() -> Seen:
        pieces = list(engine.query(QUESTION).response_gen)
        return Seen("".join(pieces), len([piece for piece in pieces if piece]))

    return call


def _front_chat(llm: Any, cache: Any) -> Callable[[], Any]:
    index = _index()

    def call() -> Seen:
        engine = index.as_chat_engine(chat_mode="context", llm=llm)
        return Seen(str(cached_chat_engine(engine, cache, name="handbook").chat(QUESTION)))

    return call


_FRONT: dict[str, tuple[str, Callable[[Any, Any], Callable[[], Any]]]] = {
    "engine.query": ("`cached_query_engine(engine)`", _front_query),
    "await engine.aquery": ("`cached_query_engine(engine)`", _front_aquery),
    "engine.query, streaming": ("`cached_query_engine(engine)`", _front_stream),
    "engine.chat": ("`cached_chat_engine(engine)`", _front_chat),
}


def _agent(llm: Any, streaming: bool) -> Callable[[], Any]:
    async def call() -> Seen:
        agent = FunctionAgent(tools=[FunctionTool.from_defaults(ping)], llm=llm, streaming=streaming)
        return Seen(str(await agent.run(TOOL_QUESTION)))

    return call


def _react_agent(llm: Any) -> Callable[[], Any]:
    async def call() -> Seen:
        agent = ReActAgent(tools=[], llm=llm)
        return Seen(str(await agent.run("Say Answer: ready")))

    return call


_CALLS: dict[str, Make] = {
    "llm.chat": _chat,
    "await llm.achat": _achat,
    "llm.complete": _complete,
    "await llm.acomplete": _acomplete,
    "llm.stream_chat": _stream_chat,
    "await llm.astream_chat": _astream_chat,
    "llm.stream_complete": _stream_complete,
    "await llm.astream_complete": _astream_complete,
    "llm.predict": _predict,
    "llm.stream": _stream,
    "llm.structured_predict": _structured,
    "await llm.astructured_predict": _astructured,
    "llm.as_structured_llm(...).chat": _structured_llm,
    "llm.chat_with_tools": _chat_with_tools,
    "llm.predict_and_call": _predict_and_call,
    "query_engine.query": _query_engine,
    "query_engine.query, streaming": _streaming_query_engine,
    'chat_engine.chat, "context"': _chat_engine,
    "FunctionAgent.run": lambda llm: _agent(llm, streaming=True),
    "FunctionAgent.run, streaming=False": lambda llm: _agent(llm, streaming=False),
    "ReActAgent.run": _react_agent,
}


def _openai(server: Server) -> Any:
    from llama_index.llms.openai_like import OpenAILike

    return OpenAILike(
        model="gpt-4.1-mini",
        api_base=server.base_url,
        api_key="test",
        is_chat_model=True,
        is_function_calling_model=True,
        max_retries=0,
    )


def _anthropic(server: Server) -> Any:
    from llama_index.llms.anthropic import Anthropic

    return Anthropic(model="claude-haiku-4-5", base_url=server.base_url, api_key="test", max_retries=0)


def llama_index_shapes(*, anthropic: bool) -> Iterator[Shape]:
    """On a copy, and `install` once for good measure.

    Args:
        anthropic: with the `Anthropic` class in place of the OpenAI-compatible one.
    """
    make_llm = _anthropic if anthropic else _openai
    for call, make in _CALLS.items():
        yield Shape(
            "`cached_llm(llm)`", call, lambda server, cache, make=make: make(cached_llm(make_llm(server), cache))
        )

    for call, (plugin, front) in _FRONT.items():
        yield Shape(plugin, call, lambda server, cache, front=front: front(make_llm(server), cache))

    def installed(server: Server, cache: Any) -> Callable[[], Any]:
        Settings.llm = make_llm(server)
        Settings.embed_model = MockEmbedding(8)
        engine = _index().as_query_engine()  # before install: it holds the LLM already
        install(cache)
        return lambda: Seen(str(engine.query(QUESTION)))

    def reset() -> None:
        uninstall()
        Settings._llm = None
        Settings._embed_model = None

    yield Shape("`install(cache)`", "query_engine.query, an engine built before", installed, reset)
