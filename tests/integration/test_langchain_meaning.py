"""With the real embedder: what LangChain sends is compared by its question alone."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import SimpleChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from llmcache_plugins import open_cache
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.langchain import LLMCache

SYSTEM = SystemMessage(
    "You are the assistant of a network operations centre. Answer briefly and precisely, name the command to use, and "
    "never invent a device. Escalate anything that touches the core routers. " * 4
)
UNRELATED = [
    "What are the BGP states?",
    "How do I reset my password?",
    "Which VLANs are on switch 7?",
    "Who is on call this weekend?",
    "Explain OSPF areas.",
    "What is the refund policy?",
    "Restart the billing service.",
    "How long is the warranty?",
    "Show interface errors on rtr-001.",
    "What time zone are the logs in?",
    "Translate this alarm into German.",
    "How many seats does the licence cover?",
]


class Echo(SimpleChatModel):
    calls: list[str]

    @property
    def _llm_type(self) -> str:
        return "echo"

    def _call(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        self.calls.append(str(messages[-1].content))
        return f"re: {messages[-1].content}"


@pytest.fixture(scope="module")
def embedder() -> OnnxEmbedder:
    return OnnxEmbedder()


def test_unrelated_questions_under_one_system_prompt_never_hit_each_other(embedder: OnnxEmbedder) -> None:
    with open_cache("memory://", embedder=embedder, similarity_threshold=0.8) as engine:
        model = Echo(calls=[], cache=LLMCache(engine))
        for question in UNRELATED:
            assert model.invoke([SYSTEM, HumanMessage(question)]).content == f"re: {question}"
        assert len(model.calls) == len(UNRELATED)
        assert engine.stats().hit_count == 0


def test_a_reworded_question_hits_and_a_look_alike_does_not(embedder: OnnxEmbedder) -> None:
    with open_cache("memory://", embedder=embedder, similarity_threshold=0.8) as engine:
        model = Echo(calls=[], cache=LLMCache(engine))

        def ask(question: str) -> BaseMessage:
            return model.invoke([SYSTEM, HumanMessage(question)])

        ask("How do I reset my password?")
        assert ask("How can I reset my password?").response_metadata["llmcache"]["kind"] == "semantic"
        ask("Show interface errors on rtr-001.")
        assert ask("Show interface errors on rtr-002.").content == "re: Show interface errors on rtr-002."


def test_a_long_context_with_another_question_never_hits(embedder: OnnxEmbedder) -> None:
    """Beyond what the embedder reads two different prompts would look the same."""
    context = "The quick brown fox jumps over the lazy dog. " * 200
    with open_cache("memory://", embedder=embedder, similarity_threshold=0.8) as engine:
        model = Echo(calls=[], cache=LLMCache(engine))
        model.invoke(context + "Who jumps?")
        model.invoke(context + "Who is lazy?")
        assert len(model.calls) == 2
