"""With the real embedder: what LangChain sends is compared by its question alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.language_models import SimpleChatModel
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import ChatGeneration

from llmcache_plugins import open_cache
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.langchain import LLMCache
from llmcache_plugins.langchain.answers import answer_of

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


def test_a_hit_carries_its_evidence(embedder: OnnxEmbedder) -> None:
    with open_cache("memory://", embedder=embedder, similarity_threshold=0.8) as engine:
        model = Echo(calls=[], cache=LLMCache(engine))
        model.invoke([SYSTEM, HumanMessage("How do I reset my password?")])
        model.invoke([SYSTEM, HumanMessage("Which VLANs are on switch 7?")])
        mark = model.invoke([SYSTEM, HumanMessage("How can I reset my password?")]).response_metadata["llmcache"]
        assert (mark["kind"], mark["policy"]) == ("semantic", "cosine 0.8")
        assert 0.8 <= mark["confidence"] <= 1.0
        assert set(mark["verdicts"].values()) <= {"agree", "silent"}
        assert "password" not in json.dumps(mark)
        assert engine.report_wrong(mark["matched_key"]).removed == 1  # the message alone is enough to report it


def test_evidence_is_neither_stored_nor_part_of_the_next_turn(embedder: OnnxEmbedder) -> None:
    with open_cache("memory://", embedder=embedder, similarity_threshold=0.8) as engine:
        model = Echo(calls=[], cache=LLMCache(engine))
        question, follow_up = HumanMessage("How do I reset my password?"), HumanMessage("And without the e-mail?")
        cold, hit = model.invoke([question]), model.invoke([question])
        assert "llmcache" not in cold.response_metadata
        assert hit.response_metadata["llmcache"]["kind"] == "exact"
        model.invoke([question, cold, follow_up])
        again = model.invoke([question, hit, follow_up])
        assert again.response_metadata["llmcache"]["kind"] == "exact"  # the same history, wherever it came from
        assert "llmcache" not in json.dumps(answer_of([ChatGeneration(message=hit)]).content)
