"""Models and chains of LangChain are warmed where LangChain's own look-ups find the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel, FakeListLLM
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda

from llmcache_plugins import ConfigError, Request, SemanticCache, open_cache
from llmcache_plugins.langchain import LLMCache, Warmer
from llmcache_plugins.testing import FakeClock
from llmcache_plugins.warming import WarmReport

PROMPT = ChatPromptTemplate.from_messages([("system", "Be brief."), ("human", "{question}")])
CALLS: list[str] = []


class Echo(BaseChatModel):
    """Says what it was asked last, and reports tokens."""

    temperature: float = 0.0

    @property
    def _llm_type(self) -> str:
        return "echo"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"temperature": self.temperature}

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        CALLS.append(str(messages[-1].content))
        usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
        message = AIMessage(f"you said {messages[-1].content}", usage_metadata=usage)
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.fixture(autouse=True)
def no_calls() -> Iterator[None]:
    CALLS.clear()
    yield
    set_llm_cache(None)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(clock: FakeClock) -> Iterator[SemanticCache]:
    with open_cache("memory://", embedder=None, clock=clock) as cache:
        yield cache


@pytest.fixture(params=["sync", "async"])
def warm(request: pytest.FixtureRequest, cache: SemanticCache) -> Callable[..., WarmReport]:
    if request.param == "sync":
        return cache.warm
    return lambda *args, **settings: asyncio.run(cache.awarm(*args, **settings))


@pytest.mark.parametrize(
    "chain",
    [Echo(), PROMPT | Echo(), PROMPT | Echo() | StrOutputParser(), PROMPT | Echo().bind(stop=["END"])],
    ids=["model", "chain", "chain with a parser", "bound model"],
)
def test_a_warmed_question_costs_no_call(chain: Any, cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    report = warm(["Show vlans", "Show users"], chain)
    assert (report.warmed, report.usage.input_tokens, report.usage.output_tokens) == (2, 6, 8)
    set_llm_cache(LLMCache(cache))
    answer = chain.invoke("Show vlans")
    assert "you said Show vlans" in getattr(answer, "content", answer)
    assert len(CALLS) == 2
    assert warm(["Show vlans"], chain).skipped == 1


def test_another_temperature_is_another_question(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    warm(["Show vlans"], Echo(temperature=0.0))
    assert warm(["Show vlans"], Echo(temperature=0.9)).warmed == 1


def test_a_plain_llm_is_warmed_too(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    warm(["Show vlans"], FakeListLLM(responses=["first", "second"]))
    set_llm_cache(LLMCache(cache))
    assert FakeListLLM(responses=["first", "second"]).invoke("Show vlans") == "first"


def test_input_of_another_shape_is_made_of_the_question(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    prompt = ChatPromptTemplate.from_messages([("system", "Speak {language}."), ("human", "{question}")])
    chain = prompt | Echo()
    warm(["Show vlans"], Warmer(chain, make_input=lambda question: {"question": question, "language": "Dutch"}))
    set_llm_cache(LLMCache(cache))
    chain.invoke({"question": "Show vlans", "language": "Dutch"})
    assert len(CALLS) == 1


def test_the_prompt_that_is_stored_is_the_one_that_was_asked(
    cache: SemanticCache, warm: Callable[..., WarmReport]
) -> None:
    """A chain that retrieves something else each time: its answer must not be stored under another document."""
    documents = iter(["one", "two", "three", "four"])
    chain = RunnableLambda(lambda question: f"document {next(documents)}: {question}") | Echo()
    warm(["Show vlans"], chain)
    assert CALLS == ["document one: Show vlans"]
    set_llm_cache(LLMCache(cache))
    Echo().invoke("document one: Show vlans")
    assert len(CALLS) == 1


def test_a_question_whose_prompt_cannot_be_made_fails_alone(
    cache: SemanticCache, warm: Callable[..., WarmReport]
) -> None:
    def retrieve(question: str) -> str:
        if "vlans" in question:
            raise LookupError("no document")
        return question

    report = warm(["Show vlans", "Show users"], RunnableLambda(retrieve) | Echo())
    assert (report.warmed, dict(report.failures), report.calls) == (1, {"LookupError": 1}, 1)


def test_the_tags_of_a_question_reach_its_answer(cache: SemanticCache, warm: Callable[..., WarmReport]) -> None:
    warm([Request("Show vlans", tags=("device:r1",))], PROMPT | Echo())
    assert cache.invalidate(tags=("device:r1",)).count == 1


def test_what_expires_is_found_for_the_chain_that_asked_it(cache: SemanticCache, clock: FakeClock) -> None:
    chain = PROMPT | Echo()
    set_llm_cache(LLMCache(cache))
    chain.invoke("Show vlans")
    chain.invoke("Show vlans")
    Echo().invoke("Show users")
    found = cache.expiring(2 * 86400, chain, least_reads=0)
    assert [one.text for one in found.questions] == ["Show vlans"]
    assert found.not_refreshable == 1  # asked without the system prompt
    clock.advance(100)
    assert cache.warm(found.questions, chain, fresh_for=2 * 86400).warmed == 1
    assert CALLS == ["Show vlans", "Show users", "Show vlans"]


def test_looking_at_a_prompt_calls_nobody_back(cache: SemanticCache) -> None:
    class Listener(BaseCallbackHandler):
        started = 0

        def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
            Listener.started += 1

    cache.warm(["Show vlans"], Echo(callbacks=[Listener()]))
    assert Listener.started == 1  # the call itself


@pytest.mark.parametrize(
    "chain", [PROMPT | StrOutputParser(), PROMPT, Echo(cache=False)], ids=["no model", "prompt", "uncached"]
)
def test_what_cannot_be_warmed_is_refused(chain: Any, cache: SemanticCache) -> None:
    with pytest.raises(ConfigError):
        cache.warm(["Show vlans"], chain)


def test_without_the_plugin_the_import_is_named(cache: SemanticCache, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmcache_plugins.warming import models

    monkeypatch.setattr(models, "_BRIDGES", [])
    with pytest.raises(ConfigError, match=r"import llmcache_plugins\.langchain"):
        cache.warm(["Show vlans"], Echo())
