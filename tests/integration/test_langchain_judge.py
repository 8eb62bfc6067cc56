"""Models of LangChain as judges: asked past every cache, unheard by the caller's callbacks."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel, FakeListChatModel, FakeListLLM
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, MessagesState, StateGraph
from pydantic import PrivateAttr

from llmcache_plugins import ConfigError, Entry, Hit, Judgement, Miss, Request, SemanticCache, open_cache
from llmcache_plugins.langchain import LangChainJudge, LLMCache, cached, get_llmcache_callback
from llmcache_plugins.testing import FakeAnthropic, FakeEmbedder

ASKED, STORED = "Which states does BGP have?", "What are the BGP states?"
OTHERS = [f"{ASKED} {word}" for word in ("now", "here", "there", "then")]


class Obliging(BaseChatModel):
    """Says the word that it is told to say, with the mark of the sheet."""

    word: str = "YES"
    tokens: int = 0
    temperature: float | None = None
    _asked: list[tuple[list[BaseMessage], dict[str, Any]]] = PrivateAttr(default_factory=list)
    _threads: list[int] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "obliging"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        self._asked.append((messages, kwargs))
        self._threads.append(threading.get_ident())
        said = re.search(rf"{self.word}-\w+", str(messages[0].content))
        message = AIMessage(said[0] if said else self.word)
        if self.tokens:
            message.usage_metadata = {"input_tokens": self.tokens, "output_tokens": 8, "total_tokens": self.tokens + 8}
        return ChatResult(generations=[ChatGeneration(message=message)])


class Awaiting(Obliging):
    """One with asynchronous calls of its own."""

    async def _agenerate(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return self._generate(*args, **kwargs)


def opened(judge: Any, **settings: Any) -> SemanticCache:
    groups = dict.fromkeys((ASKED, STORED, *OTHERS), "bgp")
    cache = open_cache("memory://", embedder=FakeEmbedder(groups, similarity=0.9), judge=judge, **settings)
    cache.update(STORED, "Six.")
    return cache


@pytest.fixture
def no_global_cache() -> Iterator[None]:
    yield
    set_llm_cache(None)


@pytest.mark.parametrize(("word", "kind"), [("YES", Hit), ("NO", Miss), ("PERHAPS", Miss)])
@pytest.mark.parametrize("model", [Obliging, Awaiting])
async def test_the_model_decides(model: type[Obliging], word: str, kind: type) -> None:
    with opened(model(word=word)) as cache:
        assert isinstance(cache.lookup(OTHERS[0]), kind)
        assert isinstance(await cache.alookup(OTHERS[1]), kind)
        assert cache.stats().judged == {word.lower() if word in ("YES", "NO") else "none": 2}


async def test_a_model_that_can_be_awaited_is_awaited_on_the_loop_and_others_run_in_a_thread() -> None:
    awaiting, blocking = Awaiting(), Obliging()
    for model in (awaiting, blocking):
        with opened(LangChainJudge(model)) as cache:
            assert isinstance(await cache.alookup(ASKED), Hit)
    assert awaiting._threads == [threading.get_ident()]
    assert threading.get_ident() not in blocking._threads


def test_the_questions_are_in_the_users_turn_and_braces_are_left_alone() -> None:
    model = Obliging()
    entry = Entry("s", "k", "n", (), text="Explain {x}!", answer_json='"A."', created_at=0.0, expires_at=None)
    assert LangChainJudge(model)(Request("What is {x}?"), entry) == Judgement(True)
    ((messages, _),) = model._asked
    assert [message.type for message in messages] == ["system", "human"]
    assert "\nWhat is {x}?\n" in str(messages[1].content)
    assert "{x}" not in str(messages[0].content)


@pytest.mark.parametrize(("options", "given"), [(None, {"temperature": 0.0}), ({}, {}), ({"top_k": 1}, {"top_k": 1})])
def test_the_temperature_is_0_where_the_model_has_one(options: Any, given: dict[str, Any]) -> None:
    model = Obliging()
    with opened(LangChainJudge(model, options=options)) as cache:
        cache.lookup(ASKED)
    assert model._asked[0][1] == given


@pytest.mark.parametrize("shape", ["bound", "retry", "fallbacks", "cached"])
def test_models_in_wrappers_are_judges_too(shape: str) -> None:
    model = Obliging()
    other = open_cache("memory://", embedder=None)
    wrapped: dict[str, Any] = {
        "bound": model.bind(top_k=1),
        "retry": model.with_retry(),
        "fallbacks": model.with_fallbacks([Obliging()]),
        "cached": cached(model, other),
    }
    with opened(wrapped[shape]) as cache, other:
        assert isinstance(cache.lookup(ASKED), Hit)
        assert other.stats().lookups == 0


def test_a_completion_model_is_a_judge() -> None:
    with opened(FakeListLLM(responses=["YES"])) as cache:
        assert isinstance(cache.lookup(ASKED), Miss)  # it named no mark
        assert cache.stats().judged == {"none": 1}


@pytest.mark.parametrize("kind", [FakeListChatModel, RunnableLambda])
def test_what_is_no_model_is_refused(kind: type) -> None:
    wrong: Any = kind if kind is FakeListChatModel else object()
    with pytest.raises(ConfigError, match="a model of LangChain is needed"):
        LangChainJudge(wrong)
    with pytest.raises(ConfigError, match="judge must be callable"):
        opened(kind if kind is FakeListChatModel else RunnableLambda(len))


def test_tokens_are_money_and_the_budget_is_kept() -> None:
    cost = (400 * 1.0 + 8 * 5.0) / 1e6
    judge = LangChainJudge(Obliging(word="NO", tokens=400), price=(1.0, 5.0))
    with opened(judge, judge_budget=2.5 * cost) as cache:
        for question in OTHERS:
            cache.lookup(question)
        assert cache.stats().judged == {"no": 2, "budget": 2}
        assert cache.stats().judge_cost == pytest.approx(2 * cost)


def test_a_model_that_reports_no_tokens_costs_the_flat_price() -> None:
    with opened(LangChainJudge(Obliging(), price=(1.0, 5.0)), judge_cost=0.25) as cache:
        cache.lookup(ASKED)
        assert cache.stats().judge_cost == 0.25


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_judge_behind_the_global_cache_is_asked_past_it(kind: str, no_global_cache: None) -> None:
    """The application's model and the judge are of one kind, and LangChain's cache stands before both."""
    model, application = Obliging(), FakeListChatModel(responses=["fresh", "more"])
    groups = dict.fromkeys((ASKED, STORED), "bgp")
    cache = open_cache("memory://", embedder=FakeEmbedder(groups, similarity=0.9), judge=model, judge_timeout=5.0)
    set_llm_cache(LLMCache(cache))

    async def ask(question: str) -> Any:
        reply = await application.ainvoke(question) if kind == "async" else application.invoke(question)
        return reply.content

    with cache:
        assert await ask(STORED) == "fresh"
        assert await ask(ASKED) == "fresh"
        stats = cache.stats()
        assert (stats.judged, stats.lookups, stats.updates) == ({"yes": 1}, 2, 1)
        assert len(model._asked) == 1


class Heard(BaseCallbackHandler):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.texts += [str(message.content) for batch in messages for message in batch]


@pytest.mark.parametrize("model", [Obliging, Awaiting])
async def test_the_callers_callbacks_do_not_hear_the_judge(model: type[Obliging]) -> None:
    judge, heard = model(), Heard()
    cache = opened(LangChainJudge(judge))
    plain = RunnableLambda(lambda question: cache.lookup(question), afunc=cache.alookup)
    with cache, get_llmcache_callback() as counted:
        assert isinstance(plain.invoke(OTHERS[0], {"callbacks": [heard]}), Hit)
        assert isinstance(await plain.ainvoke(OTHERS[1], {"callbacks": [heard]}), Hit)
    assert len(judge._asked) == 2
    assert heard.texts == []
    assert counted.total.calls == 0


async def test_a_graph_streams_no_token_of_the_judge() -> None:
    cache = opened(FakeListChatModel(responses=["from the judge"]))

    async def node(state: MessagesState) -> dict[str, Any]:
        await cache.alookup(ASKED)
        return {"messages": [AIMessage("from the node")]}

    builder = StateGraph(MessagesState)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    graph = builder.compile()
    with cache:
        pieces = [piece async for piece in graph.astream({"messages": []}, stream_mode="messages")]
        assert cache.stats().judge_calls == 1
    assert {piece.content for piece, _ in pieces} == {"from the node"}


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_claude_through_langchain(kind: str) -> None:
    with FakeAnthropic() as server:

        def obliging(body: dict[str, Any]) -> dict[str, Any]:
            said = re.search(r"YES-\w+", str(body["system"]))
            assert said is not None
            return {"content": [{"type": "text", "text": said[0]}]}

        server.handler = obliging
        model: Any = ChatAnthropic(model="claude-haiku-4-5", api_key="test", base_url=server.base_url)  # type: ignore[call-arg,arg-type]
        with opened(LangChainJudge(model, price=(1.0, 5.0))) as cache:
            outcome = cache.lookup(ASKED) if kind == "sync" else await cache.alookup(ASKED)
            assert isinstance(outcome, Hit)
            assert cache.stats().judge_cost > 0.0
        body = server.requests[0]["body"]
        assert (body["temperature"], body["max_tokens"]) == (0.0, 24)


def test_judges_of_other_models_are_told_apart_and_cached_ones_are_not() -> None:
    with open_cache("memory://", embedder=None) as other:
        model, awaiting = Obliging(), Awaiting()
        assert LangChainJudge(model).judge_id == LangChainJudge(cached(model, other)).judge_id
        assert LangChainJudge(model).judge_id != LangChainJudge(awaiting).judge_id
        assert LangChainJudge(model).version != LangChainJudge(model, shows_answer=True).version
        assert LangChainJudge(model, judge_id="mine").judge_id == "mine"
