"""What a cached LLM of the user's own is known by: its class, its template, the arguments of a call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.llama_index import cached_llm
from llmcache_plugins.testing import FakeEmbedder


class Says(CustomLLM):
    """Says what it was asked, and how."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="says-1")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        asked = self.completion_to_prompt(prompt) if self.completion_to_prompt else prompt
        return CompletionResponse(text=f"{asked} {kwargs}")

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise AssertionError("no stream is asked for")


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder())) as opened:
        yield opened


def made(word: str) -> type[CustomLLM]:
    class Made(Says):
        def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
            return CompletionResponse(text=word)

    return Made


def test_classes_that_one_function_made_share_nothing(cache: SemanticCache) -> None:
    one, other = made("one"), made("other")
    said = [cached_llm(kind(), cache).complete("a question").text for kind in (one, other, one, other)]
    assert said == ["one", "other", "one", "other"]
    assert cache.stats().hits == {"exact": 2}


class Voice:
    def __init__(self, tone: str) -> None:
        self.tone = tone

    def asks(self, prompt: str) -> str:
        return f"{self.tone}: {prompt}"


def defined(source: str) -> Callable[[str], str]:
    """As a cell of a notebook that is changed and run again."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(source, names)
    function: Callable[[str], str] = names["template"]
    return function


@pytest.mark.parametrize(
    ("template", "other"),
    [
        (Voice("loud").asks, Voice("quiet").asks),
        (
            defined("def template(prompt):\n    return 'loud: ' + prompt"),
            defined("def template(prompt):\n    return 'quiet: ' + prompt"),
        ),
    ],
    ids=["methods", "defined again"],
)
def test_templates_under_one_name_are_told_apart(cache: SemanticCache, template: Any, other: Any) -> None:
    said = [
        cached_llm(Says(completion_to_prompt=one), cache).complete("a question").text for one in (template, other) * 2
    ]
    assert said == ["loud: a question {}", "quiet: a question {}"] * 2
    assert sum(cache.stats().hits.values()) == 2


def test_a_name_among_the_arguments_of_a_call_counts(cache: SemanticCache) -> None:
    llm = cached_llm(Says(), cache)
    assert llm.complete("Greet me", name="Ada").text != llm.complete("Greet me", name="Bob").text
