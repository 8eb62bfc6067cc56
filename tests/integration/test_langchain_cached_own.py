"""Cached models of the user's own: what tells them apart, where LangChain's description of them does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import LLM, BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import Field, PrivateAttr

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.langchain import LLMCache, cached
from llmcache_plugins.testing import FakeEmbedder, FakeOpenAI

QUESTION = "What is BGP?"


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder())) as opened:
        yield opened


class Speaker(BaseChatModel):
    """As it stands in many an application: without `_identifying_params`."""

    persona: str = "nobody"
    options: dict[str, Any] = Field(default_factory=dict)
    asked: list[str] = Field(default_factory=list)
    count: Any = None
    _kept: Any = PrivateAttr(None)

    @property
    def _llm_type(self) -> str:
        return "speaker"

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        self.asked.append(str(messages[-1].content))
        said = f"{self.persona} {self.options} {self._kept} {kwargs['by']() if 'by' in kwargs else ''}"
        return ChatResult(generations=[ChatGeneration(message=AIMessage(said))])


class Writer(LLM):
    persona: str

    @property
    def _llm_type(self) -> str:
        return "writer"

    def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        return self.persona


def keeping(kept: object) -> Speaker:
    model = Speaker()
    model._kept = kept
    return model


@pytest.mark.parametrize(
    "make",
    [
        lambda word: Speaker(persona=word),
        lambda word: Speaker(options={"persona": word}),
        lambda word: keeping(word),
        lambda word: keeping([word]),
        lambda word: Writer(persona=word),
    ],
)
def test_p27_models_that_say_nothing_of_themselves_are_kept_apart(
    cache: SemanticCache, make: Callable[[str], Any]
) -> None:
    one, other = cached(make("Ada"), cache), cached(make("Bob"), cache)
    first, second = str(one.invoke(QUESTION)), str(other.invoke(QUESTION))
    assert "Ada" in first
    assert "Bob" in second
    one.invoke(QUESTION)
    other.invoke(QUESTION)
    assert cache.stats().hits == {"exact": 2}


def test_what_a_model_writes_down_makes_it_no_other(cache: SemanticCache) -> None:
    model = cached(Speaker(asked=[]), cache)
    for _ in range(3):
        model.invoke(QUESTION)
    cached(Speaker(asked=[]), cache).invoke(QUESTION)
    assert model.asked == [QUESTION]


def test_a_field_that_is_set_makes_another_model(cache: SemanticCache) -> None:
    model = cached(Speaker(persona="Ada"), cache)
    model.invoke(QUESTION)
    model.persona = "Bob"
    assert "Bob" in str(model.invoke(QUESTION).content)


def test_a_model_that_says_nothing_is_warned_of_with_the_global_cache(
    cache: SemanticCache, caplog: pytest.LogCaptureFixture
) -> None:
    class Mute(Speaker):
        @property
        def _llm_type(self) -> str:
            return "mute"

    set_llm_cache(LLMCache(cache))
    try:
        Mute().invoke(QUESTION)
    finally:
        set_llm_cache(None)
    assert ["_identifying_params" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("way", ["set_llm_cache", "cached"])
def test_an_object_among_the_arguments_is_never_taken_for_another(cache: SemanticCache, way: str) -> None:
    set_llm_cache(LLMCache(cache) if way == "set_llm_cache" else None)
    model = cached(Speaker(), cache) if way == "cached" else Speaker()
    try:
        said = [str(model.invoke(QUESTION, by=lambda word=word: word).content).split()[-1] for word in "abcd"]
    finally:
        set_llm_cache(None)
    assert said == list("abcd")


def cooler(temperature: float, module: str) -> Any:
    """A class of an application's, of a name that another module of it has too."""

    class Support(ChatOpenAI):
        def _get_request_payload(self, *args: Any, **kwargs: Any) -> Any:
            return {**super()._get_request_payload(*args, **kwargs), "temperature": temperature}

    Support.__module__ = module
    return Support


def test_a_subclass_of_the_same_name_is_another_model(cache: SemanticCache) -> None:
    classes = [ChatOpenAI, cooler(0.1, "app.one"), cooler(0.9, "app.two")]
    with FakeOpenAI() as server, httpx.Client() as client:
        for _ in range(2):
            for kind in classes:
                model = kind(model="gpt-4.1-mini", api_key="test", base_url=server.base_url, http_client=client)
                cached(model, cache).invoke(QUESTION)
        assert [request["body"].get("temperature") for request in server.requests] == [None, 0.1, 0.9]


def test_what_is_changed_inside_of_a_field_counts(cache: SemanticCache) -> None:
    with FakeOpenAI() as server, httpx.Client() as client:
        settings: dict[str, Any] = {"api_key": "test", "base_url": server.base_url, "http_client": client}
        model = cached(ChatOpenAI(model="gpt-4.1-mini", model_kwargs={"user": "ada"}, **settings), cache)
        model.invoke(QUESTION)
        model.model_kwargs["user"] = "bob"
        model.invoke(QUESTION)
        model.invoke(QUESTION)
        assert server.count() == 2


def test_p12_a_streamed_call_of_a_tool_is_a_whole_one_when_it_is_invoked(cache: SemanticCache) -> None:
    def uptime(device: str) -> str:
        """How long a device has been up."""
        return device

    with FakeOpenAI() as server, httpx.Client() as client:
        settings: dict[str, Any] = {"api_key": "test", "base_url": server.base_url, "http_client": client}
        plain = ChatOpenAI(model="gpt-4.1-mini", output_version="v1", **settings)
        model = cached(plain, cache).bind_tools([uptime])
        list(model.stream("The uptime of 'rtr-001'?"))
        asked = [one.bind_tools([uptime]).invoke("The uptime of 'rtr-001'?") for one in (plain, cached(plain, cache))]
        assert server.count() == 2
    cold, hit = ([{**block, "id": ""} for block in one.content_blocks] for one in asked)
    assert hit == cold
