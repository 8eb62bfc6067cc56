"""The ways to call a model of LangChain, on a `ChatAnthropic`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from pydantic import BaseModel

from benchmarks.integrations.shapes import Seen, Server, Shape, tokens_of
from llmcache_plugins import SemanticCache
from llmcache_plugins.langchain import LLMCache, LLMCacheMiddleware, cached, cached_chain

__all__ = ["langchain_shapes"]

QUESTION = "What does BGP stand for, and where is it used?"
Make = Callable[[Any], Callable[[], Any]]  # of the model that the application has


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


def ping(host: str) -> str:
    """Is the host there?"""
    return f"{host} answers"


def _seen(message: BaseMessage) -> Seen:
    usage = message.usage_metadata if isinstance(message, AIMessage) else None
    calls = [(call["name"], call["args"]) for call in getattr(message, "tool_calls", [])]
    return Seen((message.text, calls), None, tokens_of(dict(usage) if usage else None))


def _joined(chunks: list[Any]) -> Seen:
    whole = sum(chunks[1:], chunks[0])
    said = [chunk for chunk in chunks if chunk.content or chunk.tool_call_chunks]
    one = _seen(whole)
    return Seen(one.result, len(said), one.tokens)


def _invoke(model: Any) -> Callable[[], Any]:
    return lambda: _seen(model.invoke(QUESTION))


def _ainvoke(model: Any) -> Callable[[], Any]:
    async def call() -> Seen:
        return _seen(await model.ainvoke(QUESTION))

    return call


def _batch(model: Any) -> Callable[[], Any]:
    def call() -> Seen:
        first, second = map(_seen, model.batch([QUESTION, "What is OSPF?"]))
        return Seen((first.result, second.result), None, (first.tokens or 0) + (second.tokens or 0))

    return call


def _abatch(model: Any) -> Callable[[], Any]:
    async def call() -> Seen:
        first, second = map(_seen, await model.abatch([QUESTION, "What is OSPF?"]))
        return Seen((first.result, second.result), None, (first.tokens or 0) + (second.tokens or 0))

    return call


def _stream(model: Any) -> Callable[[], Any]:
    return lambda: _joined(list(model.stream(QUESTION)))


def _astream(model: Any) -> Callable[[], Any]:
    async def call() -> Seen:
        return _joined([chunk async for chunk in model.astream(QUESTION)])

    return call


def _events_v2(model: Any) -> Callable[[], Any]:
    async def call() -> Seen:
        events = [event async for event in model.astream_events(QUESTION, version="v2")]
        chunks = [event["data"]["chunk"] for event in events if event["event"] == "on_chat_model_stream"]
        return _joined(chunks)

    return call


def _events_v3(model: Any) -> Callable[[], Any]:
    def call() -> Seen:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # beta
            stream = model.stream_events(QUESTION, version="v3")
            deltas = list(stream.text)
            message = stream.output
        one = _seen(message)
        return Seen(one.result, len([delta for delta in deltas if delta]), one.tokens)

    return call


def _tools(model: Any) -> Callable[[], Any]:
    bound = model.bind_tools([ping])
    return lambda: _seen(bound.invoke("Is 'rtr-001' there?"))


def _tools_streamed(model: Any) -> Callable[[], Any]:
    bound = model.bind_tools([ping])
    return lambda: _joined(list(bound.stream("Is 'rtr-001' there?")))


def _structured(model: Any) -> Callable[[], Any]:
    bound = model.with_structured_output(Weather)
    return lambda: Seen(bound.invoke("How is the weather in 'Bern', 7 degrees?"))


def _chain(model: Any) -> Any:
    return (
        ChatPromptTemplate.from_messages([("system", "Be brief."), ("user", "{question}")]) | model | StrOutputParser()
    )


def _chain_invoke(model: Any) -> Callable[[], Any]:
    chain = _chain(model)
    return lambda: Seen(chain.invoke({"question": QUESTION}))


def _chain_stream(model: Any) -> Callable[[], Any]:
    chain = _chain(model)

    def call() -> Seen:
        pieces = list(chain.stream({"question": QUESTION}))
        return Seen("".join(pieces), len([piece for piece in pieces if piece]))

    return call


def _history(messages: list[BaseMessage]) -> Seen:
    spent = [_seen(message).tokens or 0 for message in messages if isinstance(message, AIMessage)]
    return Seen([(message.type, message.text) for message in messages], None, sum(spent))


ASKED = {"messages": [("user", "Is 'rtr-001' there?")]}


def _agent(model: Any, **how: Any) -> Any:
    return create_agent(model, [ping], **how)


def _agent_invoke(agent: Any) -> Callable[[], Any]:
    return lambda: _history(agent.invoke(ASKED)["messages"])


def _agent_ainvoke(agent: Any) -> Callable[[], Any]:
    async def call() -> Seen:
        return _history((await agent.ainvoke(ASKED))["messages"])

    return call


def _agent_messages(agent: Any) -> Callable[[], Any]:
    def call() -> Seen:
        chunks = [chunk for chunk, _ in agent.stream(ASKED, stream_mode="messages")]
        texts = [chunk.text for chunk in chunks if isinstance(chunk, AIMessageChunk | AIMessage)]
        spent = [_seen(chunk).tokens or 0 for chunk in chunks if isinstance(chunk, AIMessage)]
        return Seen("".join(texts), len([text for text in texts if text]), sum(spent))

    return call


def _rag(model: Any, cache: SemanticCache) -> Any:
    """A retrieval chain, answered before it retrieves."""
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=8))
    store.add_documents([Document("BGP is the Border Gateway Protocol.", id="handbook")])
    prompt = ChatPromptTemplate.from_template("{context} {question}")
    steps = {"context": store.as_retriever(), "question": RunnablePassthrough()}
    return cached_chain(steps | prompt | model | StrOutputParser(), cache, name="handbook")


def _chain_calls(chain: Any) -> dict[str, Callable[[], Any]]:
    def streamed() -> Seen:
        pieces = list(chain.stream(QUESTION))
        return Seen("".join(pieces), len([piece for piece in pieces if piece]))

    async def awaited() -> Seen:
        return Seen(await chain.ainvoke(QUESTION))

    return {
        "chain.invoke": lambda: Seen(chain.invoke(QUESTION)),
        "await chain.ainvoke": awaited,
        "chain.stream": streamed,
        "chain.batch": lambda: Seen(chain.batch([QUESTION, "What is OSPF?"])),
    }


_MODEL: dict[str, Make] = {
    "model.invoke": _invoke,
    "await model.ainvoke": _ainvoke,
    "model.batch": _batch,
    "await model.abatch": _abatch,
    "model.bind_tools(...).invoke": _tools,
    "model.with_structured_output(...).invoke": _structured,
    "(prompt \\| model \\| parser).invoke": _chain_invoke,
}
_STREAMED: dict[str, Make] = {
    "model.stream": _stream,
    "model.astream": _astream,
    "model.astream_events, v2": _events_v2,
    "model.bind_tools(...).stream": _tools_streamed,
    "(prompt \\| model \\| parser).stream": _chain_stream,
}
if hasattr(ChatAnthropic, "stream_events"):  # of late
    _STREAMED["model.stream_events, v3"] = _events_v3
_AGENT: dict[str, Make] = {
    "create_agent(...).invoke": _agent_invoke,
    "await create_agent(...).ainvoke": _agent_ainvoke,
    'create_agent(...).stream, "messages"': _agent_messages,
}


def _model(server: Server) -> ChatAnthropic:
    return ChatAnthropic(
        model="claude-haiku-4-5", max_tokens=200, base_url=server.base_url, api_key="test", max_retries=0
    )


def langchain_shapes() -> Iterator[Shape]:
    """By the three ways to switch the cache on."""

    def off() -> None:
        set_llm_cache(None)

    def globally(make: Make, agent: bool = False) -> Callable[[Server, SemanticCache], Callable[[], Any]]:
        def made(server: Server, cache: SemanticCache) -> Callable[[], Any]:
            set_llm_cache(LLMCache(cache))
            model = _model(server)
            return make(_agent(model) if agent else model)

        return made

    for call, make in _MODEL.items():
        yield Shape("`set_llm_cache`", call, globally(make), off)
    for call, make in _AGENT.items():
        yield Shape("`set_llm_cache`", call, globally(make, agent=True), off)
    for call, make in {**_MODEL, **_STREAMED}.items():
        yield Shape("`cached(model)`", call, lambda server, cache, make=make: make(cached(_model(server), cache)))
    for call, make in _AGENT.items():
        yield Shape(
            "`cached(model)`", call, lambda server, cache, make=make: make(_agent(cached(_model(server), cache)))
        )
        yield Shape(
            "`LLMCacheMiddleware`",
            call,
            lambda server, cache, make=make: make(_agent(_model(server), middleware=[LLMCacheMiddleware(cache)])),
        )
    for call in ("chain.invoke", "await chain.ainvoke", "chain.stream", "chain.batch"):
        yield Shape(
            "`cached_chain(chain)`",
            call,
            lambda server, cache, call=call: _chain_calls(_rag(_model(server), cache))[call],
        )
