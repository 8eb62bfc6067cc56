"""Concurrent identical misses make one call; a call that fails or is cancelled leaves nobody waiting."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import Context
from typing import Any

import pytest
from langchain_core.callbacks import (
    AsyncCallbackHandler,
    AsyncCallbackManager,
    AsyncCallbackManagerForLLMRun,
    BaseCallbackHandler,
    CallbackManager,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.llms import LLM
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult, Generation
from langchain_core.runnables import RunnableConfig

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.langchain import LLMCache
from llmcache_plugins.langchain.release import AsyncLeadReleaser, LeadReleaser
from llmcache_plugins.testing.embedder import FakeEmbedder

LONG = 30.0  # seconds; a flight's deadline, so that only a release can free a follower within a test
PATIENCE = 10.0  # seconds until a hanging test fails


class Provider:
    """Counts calls and holds the first ones back until enough callers are under way."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.failures = 0
        self._lock = threading.Lock()

    def begin(self, prompt: str) -> bool:
        """Note a call; True when it has to fail."""
        with self._lock:
            self.calls.append(prompt)
            fails = self.failures > 0
            self.failures -= fails
        self.started.set()
        return fails


class Chat(BaseChatModel):
    provider: Any

    @property
    def _llm_type(self) -> str:
        return "single-flight"

    def _result(self, messages: list[BaseMessage]) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage(f"re: {messages[-1].content}"))])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        fails = self.provider.begin(str(messages[-1].content))
        assert self.provider.go_on.wait(PATIENCE)
        if fails:
            raise ConnectionError("the provider is down")
        return self._result(messages)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        fails = self.provider.begin(str(messages[-1].content))
        while not self.provider.go_on.is_set():
            await asyncio.sleep(0.001)
        if fails:
            raise ConnectionError("the provider is down")
        return self._result(messages)


class Completion(LLM):
    provider: Any

    @property
    def _llm_type(self) -> str:
        return "single-flight-llm"

    def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        if self.provider.begin(prompt):
            raise ConnectionError("the provider is down")
        return f"re: {prompt}"


@pytest.fixture
def engine() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder(), single_flight_timeout=LONG)) as cache:
        yield cache


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def chat(engine: SemanticCache, provider: Provider) -> Chat:
    return Chat(provider=provider, cache=LLMCache(engine))


@pytest.fixture
def completion(engine: SemanticCache, provider: Provider) -> Completion:
    return Completion(provider=provider, cache=LLMCache(engine))


def in_threads(calls: list[Callable[[], Any]], then: Callable[[], None] = lambda: None) -> list[Any]:
    """Run each call in a thread of its own; results or exceptions in order."""
    with ThreadPoolExecutor(len(calls)) as pool:
        running = [pool.submit(call) for call in calls]
        then()
        return [future.exception(PATIENCE) or future.result() for future in running]


async def elsewhere(call: Coroutine[Any, Any, Any]) -> Any:
    """Run in a task that inherits nothing: a child of the leader's task would not wait for it."""
    return await asyncio.wait_for(asyncio.create_task(call, context=Context()), PATIENCE)


async def turns(count: int = 50) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_p26_20_identical_concurrent_ainvoke_make_one_call(chat: Chat, provider: Provider) -> None:
    asked = [asyncio.create_task(chat.ainvoke("What is BGP?")) for _ in range(20)]
    await turns()
    provider.go_on.set()
    answers = await asyncio.wait_for(asyncio.gather(*asked), PATIENCE)
    assert {answer.content for answer in answers} == {"re: What is BGP?"}
    assert len({answer.id for answer in answers}) == 20
    assert len(provider.calls) == 1


def test_p26_eight_identical_concurrent_invoke_make_one_call(chat: Chat, provider: Provider) -> None:
    def open_the_gate() -> None:
        assert provider.started.wait(PATIENCE)
        provider.go_on.set()

    answers = in_threads([lambda: chat.invoke("What is BGP?")] * 8, open_the_gate)
    assert {answer.content for answer in answers} == {"re: What is BGP?"}
    assert len(provider.calls) == 1


async def test_p26_async_followers_of_a_failing_leader_go_on_at_once(chat: Chat, provider: Provider) -> None:
    provider.failures = 1
    asked = [asyncio.create_task(chat.ainvoke("What is BGP?")) for _ in range(9)]
    await turns()
    provider.go_on.set()
    answers = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), PATIENCE)
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [type(error) for error in failed] == [ConnectionError]
    assert len(provider.calls) == 2  # the next follower led, and the other seven had its answer


def test_p26_sync_followers_of_a_failing_leader_go_on_at_once(chat: Chat, provider: Provider) -> None:
    provider.failures = 1

    def open_the_gate() -> None:
        assert provider.started.wait(PATIENCE)
        provider.go_on.set()

    answers = in_threads([lambda: chat.invoke("What is BGP?")] * 9, open_the_gate)
    assert [type(answer) for answer in answers if isinstance(answer, BaseException)] == [ConnectionError]
    assert len(provider.calls) == 2


async def test_p26_a_cancelled_leader_frees_its_followers(chat: Chat, provider: Provider) -> None:
    leader = asyncio.create_task(chat.ainvoke("What is BGP?"))
    while not provider.calls:
        await asyncio.sleep(0)
    follower = asyncio.create_task(chat.ainvoke("What is BGP?"))
    await turns()
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    provider.go_on.set()
    assert (await asyncio.wait_for(follower, PATIENCE)).content == "re: What is BGP?"
    assert len(provider.calls) == 2


async def test_p26_a_follower_outlives_a_leader_whose_task_catches_the_error(
    completion: Completion, provider: Provider
) -> None:
    """`BaseLLM` looks up in the caller's own task, which may live on long after the failure."""
    provider.failures = 1
    with pytest.raises(ConnectionError):
        await completion.ainvoke("a")
    assert await elsewhere(completion.ainvoke("a")) == "re: a"


def test_a_failed_call_leaves_no_lead_behind(chat: Chat, provider: Provider) -> None:
    provider.failures = 1
    provider.go_on.set()
    with pytest.raises(ConnectionError):
        chat.invoke("a")
    (answer,) = in_threads([lambda: chat.invoke("a")])  # another thread would wait for a lead that is left
    assert answer.content == "re: a"


def test_an_answer_that_cannot_be_stored_leaves_no_lead_behind(engine: SemanticCache) -> None:
    cache = LLMCache(engine)
    assert cache.lookup("p", "m") is None
    cache.update("p", "m", [ChatGeneration(message=AIMessage("x", additional_kwargs={"o": object()}))])
    assert cache.lookup("q", "m") is None
    cache.update("q", "m", [Generation(text="cut", generation_info={"finish_reason": "length"})])
    assert in_threads([lambda: cache.lookup("p", "m"), lambda: cache.lookup("q", "m")]) == [None, None]


class Raising(BaseCallbackHandler):
    """A user's handler that stops LangChain from calling those behind it."""

    raise_error = True

    def __init__(self, *, run_inline: bool = False) -> None:
        self.run_inline = run_inline

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        raise RuntimeError("from the user's handler") from error


@pytest.mark.parametrize("base", [BaseCallbackHandler, AsyncCallbackHandler])
@pytest.mark.parametrize("is_async", [False, True])
async def test_a_users_handlers_hear_the_same_events_with_and_without_the_plugin(
    completion: Completion, chat: Chat, provider: Provider, base: type[BaseCallbackHandler], is_async: bool
) -> None:
    """In async runs LangChain tells the others nothing of `on_llm_start` when one handler wants to run in place."""
    heard: list[str] = []
    events = ("on_llm_start", "on_chat_model_start", "on_llm_end")

    def noting(event: str) -> Callable[..., Any]:
        async def note_later(self: Any, *args: Any, **kwargs: Any) -> None:
            heard.append(event)

        def note(self: Any, *args: Any, **kwargs: Any) -> None:
            heard.append(event)

        return note_later if base is AsyncCallbackHandler else note

    config: RunnableConfig = {"callbacks": [type("Noting", (base,), {event: noting(event) for event in events})()]}
    provider.go_on.set()
    for model in (completion, chat):
        if is_async:
            await model.ainvoke("a", config)
        else:
            await asyncio.to_thread(model.invoke, "a", config)
    assert heard == ["on_llm_start", "on_llm_end", "on_chat_model_start", "on_llm_end"]


def test_one_call_with_a_prompt_twice_does_not_wait_for_itself(completion: Completion, provider: Provider) -> None:
    (results,) = in_threads([lambda: completion.generate(["a", "b", "a"])])
    assert [generations[0].text for generations in results.generations] == ["re: a", "re: b", "re: a"]


async def test_one_async_call_with_a_prompt_twice_does_not_wait_for_itself(completion: Completion) -> None:
    results = await asyncio.wait_for(completion.agenerate(["a", "b", "a"]), PATIENCE)
    assert [generations[0].text for generations in results.generations] == ["re: a", "re: b", "re: a"]


def test_two_threads_with_crossed_prompts_do_not_deadlock(completion: Completion) -> None:
    barrier = threading.Barrier(2)

    def ask(prompts: list[str]) -> list[str]:
        barrier.wait(PATIENCE)
        return [generations[0].text for generations in completion.generate(prompts).generations]

    for n in range(20):
        a, b = f"a{n}", f"b{n}"
        assert in_threads([lambda: ask([a, b]), lambda: ask([b, a])]) == [  # noqa: B023 - run within this turn
            [f"re: {a}", f"re: {b}"],
            [f"re: {b}", f"re: {a}"],
        ]


def test_two_threads_that_each_hold_what_the_other_wants_go_on(engine: SemanticCache) -> None:
    cache = LLMCache(engine)
    held = threading.Barrier(2)

    def look_up_both(first: str, second: str) -> Any:
        cache.lookup(first, "m")
        held.wait(PATIENCE)  # both lead now
        return cache.lookup(second, "m")

    assert in_threads([lambda: look_up_both("a", "b"), lambda: look_up_both("b", "a")]) == [None, None]


async def test_sync_invoke_on_the_loop_does_not_wait_for_a_task_of_that_loop(chat: Chat, provider: Provider) -> None:
    leader = asyncio.create_task(chat.ainvoke("a"))
    while not provider.calls:
        await asyncio.sleep(0)
    provider.go_on.set()
    assert chat.invoke("a").content == "re: a"
    assert (await leader).content == "re: a"
    assert len(provider.calls) == 2


@pytest.mark.usefixtures("chat")
async def test_the_error_handler_costs_no_thread_on_a_loop() -> None:
    ours = (AsyncLeadReleaser, LeadReleaser)
    on_the_loop = [handler for handler in AsyncCallbackManager.configure().handlers if isinstance(handler, ours)]
    assert [type(handler) for handler in on_the_loop] == [AsyncLeadReleaser]
    assert asyncio.iscoroutinefunction(on_the_loop[0].on_llm_new_token)
    in_a_thread = (await asyncio.to_thread(CallbackManager.configure)).handlers
    assert [type(handler) for handler in in_a_thread if isinstance(handler, ours)] == [LeadReleaser]


def test_the_error_handler_is_deaf_to_all_but_model_errors() -> None:
    handler = LeadReleaser()
    assert not handler.run_inline
    ignored = (handler.ignore_chain, handler.ignore_agent, handler.ignore_retriever, handler.ignore_llm)
    assert ignored == (True, True, True, False)
