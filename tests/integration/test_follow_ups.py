"""Follow-ups through the frameworks, with a cache that knows dialogues and no other code."""

from __future__ import annotations

import gc
import re
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import anthropic
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_anthropic._client_utils import _get_default_async_httpx_client
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import get_llm_cache, set_llm_cache
from langchain_core.language_models import BaseChatModel
from llama_index.core.base.llms.types import ChatMessage
from llama_index.llms.openai import OpenAI

import llmcache_plugins.anthropic
import llmcache_plugins.langchain
from llmcache_plugins import ConfigError, SemanticCache, open_cache
from llmcache_plugins.anthropic import cache_client
from llmcache_plugins.langchain import LLMCache, cached
from llmcache_plugins.llama_index import cached_llm
from llmcache_plugins.testing import FakeAnthropic, FakeOpenAI

MODEL = "claude-haiku-4-5"
ABOUT_OSPF = [("user", "What is OSPF?"), ("assistant", "A routing protocol.")]
GREETING = [("user", "hi"), ("assistant", "Hello! How can I help you?")]
FOLLOW_UP, MEANT = "And who wrote its second version?", "Who wrote the second version of OSPF?"
Talk = list[tuple[str, str]]

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # LangChain's integration closes no client


@pytest.fixture(autouse=True, scope="module")
def clients() -> Iterator[None]:
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        _get_default_async_httpx_client.cache_clear()
        gc.collect()


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as running:
        running.handler = obedient
        yield running


def obedient(body: dict[str, Any]) -> dict[str, Any] | None:
    """A model that rewrites what it is asked to, and answers everything else as always."""
    asked = re.search(r"Reply with one line: (\S+)", system_of(body))
    if asked is None:
        return None
    conversation = body["messages"][-1]["content"]
    text = conversation if isinstance(conversation, str) else conversation[0]["text"]
    knows = "OSPF" in text and FOLLOW_UP in text
    return {"content": [{"type": "text", "text": f"{asked[1]} {MEANT}" if knows else "I would say: OSPF."}]}


def system_of(body: dict[str, Any]) -> str:
    system = body.get("system") or ""
    return system if isinstance(system, str) else "".join(block["text"] for block in system)


def rewrites(server: FakeAnthropic) -> int:
    return sum("Reply with one line" in system_of(request["body"]) for request in server.requests)


def answers(server: FakeAnthropic) -> int:
    return len(server.requests) - rewrites(server)


def claude(server: FakeAnthropic, **settings: Any) -> ChatAnthropic:
    return ChatAnthropic(
        **{"model": MODEL, "api_key": "test", "base_url": server.base_url, "max_retries": 0, "max_tokens": 100}
        | settings
    )


def sdk(server: FakeAnthropic) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="test", base_url=server.base_url, max_retries=0)


def body(*talk: tuple[str, str]) -> dict[str, Any]:
    messages = [{"role": role, "content": text} for role, text in talk]
    return {"model": MODEL, "max_tokens": 100, "messages": messages}


class Heard(BaseCallbackHandler):
    def __init__(self) -> None:
        self.starts = 0

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        self.starts += 1


# ---------------------------------------------------------------- LangChain
@pytest.fixture
def langchain(server: FakeAnthropic) -> Iterator[SemanticCache]:
    resolver = llmcache_plugins.langchain.resolver(claude(server))
    before = get_llm_cache()
    with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        yield cache
    set_llm_cache(before)


def by_global_cache(server: FakeAnthropic, cache: SemanticCache) -> BaseChatModel:
    set_llm_cache(LLMCache(cache))
    return claude(server)


def by_cached_model(server: FakeAnthropic, cache: SemanticCache) -> BaseChatModel:
    return cached(claude(server), cache)


@pytest.mark.parametrize("make", [by_global_cache, by_cached_model])
def test_langchain_answers_a_follow_up_and_what_it_means_with_one_call(
    server: FakeAnthropic, langchain: SemanticCache, make: Any
) -> None:
    model, heard = make(server, langchain), Heard()
    asked: Talk = [*ABOUT_OSPF, ("user", FOLLOW_UP)]
    first = model.invoke(asked, config={"callbacks": [heard]})
    assert (answers(server), rewrites(server)) == (1, 1)
    assert server.requests[-1]["body"]["messages"][-1]["content"] == FOLLOW_UP  # the model got what was sent
    for same in (asked, [("user", MEANT)], [*GREETING, ("user", MEANT)]):
        assert model.invoke(same, config={"callbacks": [heard]}).content == first.content
    assert (answers(server), rewrites(server)) == (1, 1)
    assert heard.starts == 4  # the resolver's call is no part of the caller's run


@pytest.mark.parametrize("make", [by_global_cache, by_cached_model])
async def test_langchain_on_an_event_loop(server: FakeAnthropic, langchain: SemanticCache, make: Any) -> None:
    model = make(server, langchain)
    first = await model.ainvoke([*ABOUT_OSPF, ("user", FOLLOW_UP)])
    assert (await model.ainvoke([("user", MEANT)])).content == first.content
    assert (answers(server), rewrites(server)) == (1, 1)


def test_a_stream_of_langchain_is_recorded_under_what_was_meant(
    server: FakeAnthropic, langchain: SemanticCache
) -> None:
    model = by_cached_model(server, langchain)
    pieces = "".join(str(piece.text) for piece in model.stream([*ABOUT_OSPF, ("user", FOLLOW_UP)]))
    assert model.invoke([("user", MEANT)]).text == pieces
    assert answers(server) == 1


def test_a_resolver_that_is_behind_the_cache_asks_its_model_all_the_same(server: FakeAnthropic) -> None:
    before = get_llm_cache()
    resolver = llmcache_plugins.langchain.resolver(claude(server))
    try:
        with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
            model = by_global_cache(server, cache)  # of the resolver's own model too
            model.invoke([*ABOUT_OSPF, ("user", FOLLOW_UP)])
            assert (answers(server), rewrites(server)) == (1, 1)
            assert cache.stats().entries == 1
            assert cache.stats().resolved == {"resolved": 1}
    finally:
        set_llm_cache(before)


def test_a_reply_of_another_form_resolves_nothing(server: FakeAnthropic, langchain: SemanticCache) -> None:
    model = by_global_cache(server, langchain)
    model.invoke([("user", "What is BGP?"), ("assistant", "A protocol."), ("user", FOLLOW_UP)])
    assert langchain.stats().resolved == {"unresolved": 1}
    model.invoke([("user", MEANT)])
    assert answers(server) == 2


# ---------------------------------------------------------------- Anthropic SDK
def test_the_anthropic_sdk_answers_a_follow_up_and_what_it_means_with_one_call(server: FakeAnthropic) -> None:
    with sdk(server) as resolving, sdk(server) as asking:
        resolver = llmcache_plugins.anthropic.resolver(resolving, MODEL)
        with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
            client = cache_client(asking, cache)
            first = client.messages.create(**body(*ABOUT_OSPF, ("user", FOLLOW_UP)))
            with client.messages.stream(**body(*ABOUT_OSPF, ("user", FOLLOW_UP))) as stream:
                assert stream.get_final_message().content[0].text == first.content[0].text
            assert client.messages.create(**body(*GREETING, ("user", MEANT))).content == first.content
            assert (answers(server), rewrites(server)) == (1, 1)


async def test_an_asynchronous_client_resolves_for_an_asynchronous_one(server: FakeAnthropic) -> None:
    settings: dict[str, Any] = {"api_key": "test", "base_url": server.base_url, "max_retries": 0}
    async with anthropic.AsyncAnthropic(**settings) as client:
        resolver = llmcache_plugins.anthropic.resolver(client)
        with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
            asking = cache_client(client, cache)  # the resolver's own client is behind the cache too
            first = await asking.messages.create(**body(*ABOUT_OSPF, ("user", FOLLOW_UP)))
            assert (await asking.messages.create(**body(("user", MEANT)))).content == first.content
            assert (answers(server), rewrites(server)) == (1, 1)


@pytest.mark.parametrize("reason", ["refusal", "max_tokens"])
def test_what_a_model_did_not_say_whole_resolves_nothing(server: FakeAnthropic, reason: str) -> None:
    server.handler = lambda body: (obedient(body) or {}) | {"stop_reason": reason} if obedient(body) else None
    with sdk(server) as client:
        resolver = llmcache_plugins.anthropic.resolver(client)
        with closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
            cache_client(client, cache).messages.create(**body(*ABOUT_OSPF, ("user", FOLLOW_UP)))
            assert cache.stats().resolved == {"unresolved": 1}


# ---------------------------------------------------------------- LlamaIndex
def test_llama_index_answers_what_stands_alone_and_follow_ups_over_other_histories() -> None:
    def resolver(turns: Any) -> str | None:
        return MEANT if turns[-1]["content"] == FOLLOW_UP and turns[0]["content"] == ABOUT_OSPF[0][1] else None

    def talk(*said: tuple[str, str]) -> list[ChatMessage]:
        return [ChatMessage(role=role, content=text) for role, text in (("system", "Be brief."), *said)]

    with FakeOpenAI() as server, closing(open_cache("memory://", embedder=None, resolver=resolver)) as cache:
        llm = cached_llm(OpenAI(api_key="test", api_base=server.base_url, max_retries=0), cache)
        first = llm.chat(talk(*ABOUT_OSPF, ("user", FOLLOW_UP)))
        assert llm.chat(talk(*GREETING, ("user", MEANT))).message.content == first.message.content
        assert len(server.requests) == 1
        llm.chat(talk(("user", "What is BGP?"), ("assistant", "A protocol."), ("user", FOLLOW_UP)))
        assert len(server.requests) == 2


# ---------------------------------------------------------------- what resolvers refuse
@pytest.mark.parametrize("make", [llmcache_plugins.anthropic.resolver, llmcache_plugins.langchain.resolver])
def test_a_resolver_needs_a_model(make: Any) -> None:
    with pytest.raises(ConfigError, match="is needed, not"):
        make("claude")
    with pytest.raises(ConfigError, match="max_chars"):
        make(
            ChatAnthropic(model=MODEL, api_key="x")
            if "langchain" in make.__module__
            else anthropic.Anthropic(api_key="x"),
            max_chars=0,
        )


def test_a_resolver_says_which_one_it_is(server: FakeAnthropic) -> None:
    one, other = (llmcache_plugins.langchain.resolver(claude(server, model=name)) for name in ("a", "b"))
    assert one.resolver_id != other.resolver_id
    assert MODEL in repr(llmcache_plugins.anthropic.resolver(sdk(server)))
