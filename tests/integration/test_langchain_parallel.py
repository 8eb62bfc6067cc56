"""Whatever runs equal prompts side by side for LangChain, they make one call, and nothing hangs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.llms import LLM
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult, Generation
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.runnables.config import ContextThreadPoolExecutor
from pydantic import BaseModel

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.langchain import LLMCache
from llmcache_plugins.testing.embedder import FakeEmbedder
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

PATIENCE = 10.0  # seconds until a hanging test fails; the flight's deadline is far behind it
QUESTION = "What is BGP?"


class Provider:
    """Counts calls and answers none before every caller of the test has come as far as it can."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.go_on = threading.Event()

    def answer(self, prompt: str) -> str:
        self.calls.append(prompt)
        assert self.go_on.wait(PATIENCE)
        return f"re: {prompt}"


class Plugin(LLMCache):
    """Says how many look-ups have begun."""

    def __init__(self, cache: SemanticCache) -> None:
        super().__init__(cache)
        self.begun = threading.Semaphore(0)

    def lookup(self, prompt: str, llm_string: str) -> Sequence[Generation] | None:
        self.begun.release()
        return super().lookup(prompt, llm_string)


class Chat(BaseChatModel):
    provider: Any

    @property
    def _llm_type(self) -> str:
        return "parallel"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text = self.provider.answer(str(messages[-1].content))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        for _ in range(20):  # let all others come as far as they can
            await asyncio.sleep(0)
        return self._generate(messages)


class Completion(LLM):
    provider: Any

    @property
    def _llm_type(self) -> str:
        return "parallel-llm"

    def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        return str(self.provider.answer(prompt))


@pytest.fixture
def engine() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder())) as cache:
        yield cache


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def chat(engine: SemanticCache, provider: Provider) -> Chat:
    return Chat(provider=provider, cache=Plugin(engine))


@pytest.fixture
def completion(engine: SemanticCache, provider: Provider) -> Completion:
    return Completion(provider=provider, cache=LLMCache(engine))


def side_by_side(chat: Chat, callers: int, call: Callable[[], Any]) -> Any:
    """Run `call` in a thread, and let the provider answer when this many look-ups have begun."""
    assert isinstance(chat.cache, Plugin)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(call)
        for _ in range(callers):
            assert chat.cache.begun.acquire(timeout=PATIENCE)
        chat.provider.go_on.set()
        return running.result(PATIENCE)


def test_batch_of_a_chat_model(chat: Chat, provider: Provider) -> None:
    answers = side_by_side(chat, 4, lambda: chat.batch([QUESTION] * 4))
    assert {answer.content for answer in answers} == {f"re: {QUESTION}"}
    assert len({answer.id for answer in answers}) == 4
    assert provider.calls == [QUESTION]


def test_batch_with_different_and_equal_prompts(chat: Chat, provider: Provider) -> None:
    prompts = ["a", "b", "a", "b", "c"]
    answers = side_by_side(chat, 2, lambda: chat.batch(prompts, {"max_concurrency": 2}))
    assert [answer.content for answer in answers] == [f"re: {prompt}" for prompt in prompts]
    assert sorted(provider.calls) == ["a", "b", "c"]


def test_batch_as_completed(chat: Chat, provider: Provider) -> None:
    answers = side_by_side(chat, 4, lambda: list(chat.batch_as_completed([QUESTION] * 4)))
    assert sorted(index for index, _ in answers) == [0, 1, 2, 3]
    assert provider.calls == [QUESTION]


async def test_abatch_of_a_chat_model(chat: Chat, provider: Provider) -> None:
    provider.go_on.set()
    answers = await asyncio.wait_for(chat.abatch([QUESTION] * 8), PATIENCE)
    assert {answer.content for answer in answers} == {f"re: {QUESTION}"}
    assert provider.calls == [QUESTION]


@pytest.mark.parametrize("is_async", [False, True])
async def test_batch_of_a_completion_model_hangs_nobody(
    completion: Completion, provider: Provider, is_async: bool
) -> None:
    """LangChain looks all prompts of such a batch up before it computes any, so that equal ones are not joined."""
    provider.go_on.set()
    if is_async:
        answers = await asyncio.wait_for(completion.abatch(["a", "b", "a"]), PATIENCE)
    else:
        answers = await asyncio.wait_for(asyncio.to_thread(completion.batch, ["a", "b", "a"]), PATIENCE)
    assert answers == ["re: a", "re: b", "re: a"]
    assert provider.calls == ["a", "b", "a"]
    assert completion.batch(["b", "a"]) == ["re: b", "re: a"]
    assert len(provider.calls) == 3


def test_runnable_parallel(chat: Chat, provider: Provider) -> None:
    both = RunnableParallel(one=chat, other=chat, third=RunnableLambda(lambda text: text) | chat)
    answers = side_by_side(chat, 3, lambda: both.invoke(QUESTION))
    assert {answer.content for answer in answers.values()} == {f"re: {QUESTION}"}
    assert provider.calls == [QUESTION]


async def test_async_runnable_parallel(chat: Chat, provider: Provider) -> None:
    provider.go_on.set()
    both = RunnableParallel(one=chat, other=chat, third=RunnableLambda(lambda text: text) | chat)
    answers = await asyncio.wait_for(both.ainvoke(QUESTION), PATIENCE)
    assert {answer.content for answer in answers.values()} == {f"re: {QUESTION}"}
    assert provider.calls == [QUESTION]


def test_threads_with_the_context_of_a_caller_that_has_asked_before(chat: Chat, provider: Provider) -> None:
    """Such a context carries what the caller leads; the threads must not take each other for themselves."""

    def ask() -> list[Any]:
        provider.go_on.set()
        chat.invoke("before")
        provider.go_on.clear()
        with ContextThreadPoolExecutor(6) as pool:
            return list(pool.map(lambda _: chat.invoke(QUESTION), range(6)))

    answers = side_by_side(chat, 1 + 6, ask)
    assert {answer.content for answer in answers} == {f"re: {QUESTION}"}
    assert provider.calls == ["before", QUESTION]


def test_a_call_inside_a_call_asks_the_same_question_in_threads(engine: SemanticCache, provider: Provider) -> None:
    """The inner calls cannot wait for the outer one, which waits for them."""
    provider.go_on.set()
    plugin = LLMCache(engine)
    inner = Chat(provider=provider, cache=plugin)

    class Outer(Chat):
        def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
            answers = inner.batch([messages, messages])
            return ChatResult(generations=[ChatGeneration(message=AIMessage(str(answers[0].content)))])

    outer = Outer(provider=provider, cache=plugin)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(outer.invoke, QUESTION).result(PATIENCE).content == f"re: {QUESTION}"


class Sum(BaseModel):
    """Add two integers."""

    a: int
    b: int


async def test_structured_output_side_by_side_makes_one_call(engine: SemanticCache) -> None:
    with FakeAnthropic() as server:
        model = ChatAnthropic(
            model="claude-haiku-4-5", api_key="test", base_url=server.base_url, max_retries=0, cache=LLMCache(engine)
        )
        structured = model.with_structured_output(Sum)
        answers = await asyncio.wait_for(structured.abatch(["add 19 and 23"] * 6), PATIENCE)
        with ThreadPoolExecutor(1) as pool:
            answers += pool.submit(structured.batch, ["add 19 and 23"] * 6).result(PATIENCE)
        assert answers == [Sum(a=19, b=23)] * 12
        assert server.count() == 1
        assert model.invoke("add 19 and 23").content  # without the schema it is another question
        assert server.count() == 2
