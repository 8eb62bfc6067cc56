"""What we say `ChatAnthropic` sends is what it sends, or we say nothing."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_anthropic import ChatAnthropic
from langchain_core.load import dumps
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.runnables import RunnableBinding
from pydantic import BaseModel

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.canonical.anthropic import request_of_body
from llmcache_plugins.keys.question import QuestionExtractor
from llmcache_plugins.langchain.parse import parse_llm_string, request_of
from llmcache_plugins.types import Identity

KNOWN = "anthropic.messages"


@pytest.fixture(scope="module")
def engine() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=None)) as cache:
        yield cache


def claude(**fields: Any) -> ChatAnthropic:
    return ChatAnthropic(**{"model": "claude-haiku-4-5", "api_key": "test"} | fields)


def add(a: int, b: int) -> int:
    """Add two integers."""
    return a + b


class Sum(BaseModel):
    """A sum."""

    total: int


def sent(
    engine: SemanticCache, model: ChatAnthropic, messages: list[BaseMessage], stop: list[str] | None, call: Any
) -> Identity:
    """The identity of what `ChatAnthropic` itself would send."""
    payload = dict(model._get_request_payload(messages, stop=stop, **call))
    body = {**payload, **payload.pop("extra_body", {})}
    body.pop("extra_body", None)
    body.pop("timeout", None)
    is_beta = "betas" in body
    return engine.identify(request_of_body(body, base_url=str(model.anthropic_api_url), is_beta=is_beta))


def said(
    engine: SemanticCache, model: ChatAnthropic, messages: list[BaseMessage], stop: list[str] | None, call: Any
) -> tuple[Identity, bool]:
    """The identity we give to the call, and whether we knew its body."""
    prompt = dumps([message.model_copy(update={"id": None}) for message in messages])
    request = request_of(prompt, parse_llm_string(model._get_llm_string(stop=stop, **call)), QuestionExtractor())
    assert isinstance(request.context, dict)
    return engine.identify(request), request.context["operation"] == KNOWN


def bound(runnable: Any) -> dict[str, Any]:
    """The arguments that a binding gives to each call."""
    while not isinstance(runnable, RunnableBinding):
        runnable = runnable.first
    return {name: value for name, value in runnable.kwargs.items() if not name.startswith("ls_")}


QUESTION: list[BaseMessage] = [HumanMessage("What is BGP?")]
CALL = {"name": "add", "args": {"a": 1, "b": 2}, "id": "toolu_1"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1, "b": 2}}
STREAMED = {
    "type": "tool_use",
    "id": "toolu_1",
    "name": "add",
    "input": {},
    "index": 1,
    "partial_json": '{"a": 1, "b": 2}',
}
PIXEL = "iVBORw0KGgo="

MODELS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.5, "top_p": 0.9, "top_k": 5},
    {"temperature": 0.0},
    {"temperature": 1},
    {"max_tokens": 100, "stop": ["X"], "max_retries": 7, "timeout": 3, "streaming": True, "name": "mine"},
    {"base_url": "http://127.0.0.1:9/v1/"},
    {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2048},
    {"betas": ["b", "a"]},
    {"betas": []},
    {"model_kwargs": {"service_tier": "auto", "tool_choice": {"type": "none"}}},
    {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
]
CALLS: list[tuple[list[str] | None, dict[str, Any]]] = [
    (None, {}),
    (["END"], {}),
    (None, {"stop_sequences": ["Y"]}),
    (None, {"temperature": 0.1}),
    (None, {"temperature": None}),
    (None, {"max_tokens": 50, "model": "claude-sonnet-4-5"}),
    (None, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
    (None, {"stream": True, "timeout": 4}),
    (None, {"betas": ["c"]}),
    (None, bound(claude().bind_tools([add]))),
    (None, bound(claude().bind_tools([add], tool_choice="add", parallel_tool_calls=False))),
    (None, bound(claude().with_structured_output(Sum))),
    (None, {"tools": [{"name": "t", "input_schema": {}, "cache_control": {"type": "ephemeral"}}]}),
    (None, {"cache_control": {"type": "ephemeral"}}),
]
CONVERSATIONS: list[list[BaseMessage]] = [
    QUESTION,
    [HumanMessage([{"type": "text", "text": "What is BGP?", "id": "lc_1"}])],
    [HumanMessage(["What is", {"type": "text", "text": "  "}, {"type": "text", "text": "BGP?"}])],
    [SystemMessage("Be short."), *QUESTION],
    [SystemMessage("Be short."), SystemMessage([{"type": "text", "text": "Be kind."}, "Be true."]), *QUESTION],
    [SystemMessage([]), *QUESTION],
    [HumanMessage("Hello"), HumanMessage("there"), HumanMessage(["you", "two"])],
    [*QUESTION, AIMessage("A protocol. "), HumanMessage("Which port?")],
    [*QUESTION, AIMessage(""), HumanMessage("Which port?")],
    [*QUESTION, AIMessage("", tool_calls=[CALL]), ToolMessage("3", tool_call_id="toolu_1", name="add")],
    [*QUESTION, AIMessage("so", tool_calls=[CALL]), ToolMessage("no", tool_call_id="toolu_1", status="error")],
    [
        *QUESTION,
        AIMessage([{"type": "text", "text": "so"}, USE], tool_calls=[CALL]),
        ToolMessage("3", tool_call_id="toolu_1"),
    ],
    [*QUESTION, AIMessageChunk([STREAMED], tool_calls=[CALL]), ToolMessage("3", tool_call_id="toolu_1")],
    [*QUESTION, AIMessage([STREAMED]), ToolMessage(["3", {"type": "text", "text": "4"}], tool_call_id="toolu_1")],
    [
        *QUESTION,
        AIMessage("", tool_calls=[CALL, {**CALL, "id": "toolu_2"}]),
        ToolMessage("3", tool_call_id="toolu_1"),
        ToolMessage([{"type": "image", "url": "https://x/y.png", "cache_control": {}}], tool_call_id="toolu_2"),
        HumanMessage("And now?"),
    ],
    [*QUESTION, AIMessage("", tool_calls=[{**CALL, "id": "bad.id:0"}]), ToolMessage("3", tool_call_id="bad.id:0")],
    [
        *QUESTION,
        AIMessage(
            [{"type": "thinking", "thinking": "hm", "signature": "s", "index": 0}, {"type": "text", "text": "a"}]
        ),
        HumanMessage("b"),
    ],
    [
        *QUESTION,
        AIMessage([{"type": "redacted_thinking", "data": "d"}, {"type": "text", "text": "a"}]),
        HumanMessage("b"),
    ],
    [
        *QUESTION,
        AIMessage([{"type": "text", "text": "a", "citations": [{"cited_text": "c", "file_id": None}]}]),
        *QUESTION,
    ],
    [HumanMessage([{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}, "What is it?"])],
    [HumanMessage([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}, "What is it?"])],
    [HumanMessage([{"type": "image", "url": "https://x/y.png"}, "What is it?"])],
    [HumanMessage([{"type": "image", "base64": PIXEL, "mime_type": "image/png"}, "What is it?"])],
    [HumanMessage([{"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}, "What is it?"])],
    [
        HumanMessage(
            [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}, "title": "t"}]
        )
    ],
]
UNKNOWN: list[tuple[dict[str, Any], dict[str, Any], list[BaseMessage]]] = [
    ({"default_headers": {"anthropic-beta": "x"}}, {}, QUESTION),
    ({"output_version": "v1"}, {}, QUESTION),
    ({"effort": "low"}, {}, QUESTION),
    ({}, {"extra_headers": {"anthropic-beta": "x"}}, QUESTION),
    ({}, {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, QUESTION),
    ({}, {"tools": [{"name": "t", "input_examples": [{}]}]}, QUESTION),
    ({"effort": "high"}, {}, QUESTION),
    ({}, {"output_config": {"effort": "medium"}}, QUESTION),
    ({}, bound(claude().bind_tools([add], strict=True)), QUESTION),
    ({}, bound(claude().with_structured_output(Sum, method="json_schema")), QUESTION),
    ({}, {}, [*QUESTION, AIMessage("It is  ")]),
    ({}, {}, [*QUESTION, SystemMessage("Be short.")]),
    ({}, {}, [HumanMessage("What is BGP?", name="bob")]),
    ({}, {}, [HumanMessage([{"type": "file", "base64": PIXEL, "mime_type": "application/pdf"}])]),
]


@pytest.mark.parametrize("fields", MODELS, ids=lambda fields: "-".join(fields) or "plain")
def test_models_and_calls_are_what_is_sent(engine: SemanticCache, fields: dict[str, Any]) -> None:
    model = claude(**fields)
    found = {}
    for stop, call in CALLS:
        identity, is_known = said(engine, model, QUESTION, stop, call)
        assert is_known, call
        assert identity == sent(engine, model, QUESTION, stop, call), call
        found[repr(call) + repr(stop)] = identity
    assert len(set(found.values())) >= len(CALLS) - 5  # a few say the same as the model itself, or as each other


@pytest.mark.parametrize("messages", CONVERSATIONS, ids=range(len(CONVERSATIONS)))
def test_messages_are_what_is_sent(engine: SemanticCache, messages: list[BaseMessage]) -> None:
    for fields, (stop, call) in product(MODELS[:2], (CALLS[0], CALLS[10])):
        model = claude(**fields)
        identity, is_known = said(engine, model, messages, stop, call)
        assert is_known
        assert identity == sent(engine, model, messages, stop, call)


@pytest.mark.parametrize(("fields", "call", "messages"), UNKNOWN, ids=range(len(UNKNOWN)))
def test_what_is_not_known_is_not_guessed(
    engine: SemanticCache, fields: dict[str, Any], call: dict[str, Any], messages: list[BaseMessage]
) -> None:
    identity, is_known = said(engine, claude(**fields), messages, None, call)
    assert not is_known
    assert identity != said(engine, claude(), QUESTION, None, {})[0]


def test_other_models_and_other_speakers_are_not_known(engine: SemanticCache) -> None:
    class ChatOther(ChatAnthropic):  # type: ignore[misc]  # the package has no types
        pass

    other = ChatOther(model="claude-haiku-4-5", api_key="test")
    assert not said(engine, other, QUESTION, None, {})[1]
    assert not said(engine, claude(), [ChatMessage("x", role="critic")], None, {})[1]


TEXTS = st.sampled_from(["", " ", "a", "a ", "b"])
BLOCKS = st.lists(
    st.one_of(
        TEXTS,
        TEXTS.map(lambda text: {"type": "text", "text": text, "index": 0}),
        st.just({"type": "thinking", "thinking": "t", "signature": "s"}),
        st.sampled_from([USE, STREAMED, {**USE, "id": "toolu_2"}]),
        st.just({"type": "image_url", "image_url": {"url": "https://x/y.png"}}),
        st.just({"type": "unheard_of", "value": 1}),
        st.just({"type": "tool_result", "tool_use_id": "toolu_1", "content": "3"}),
    ),
    max_size=3,
)


def has_empty_text(model: ChatAnthropic, messages: list[BaseMessage]) -> bool:
    sent = model._get_request_payload(messages)["messages"]
    blocks = [block for message in sent if isinstance(message["content"], list) for block in message["content"]]
    return any(isinstance(block, dict) and block.get("text") == "" for block in blocks)


MESSAGES = st.one_of(
    st.builds(SystemMessage, TEXTS),
    st.builds(HumanMessage, st.one_of(TEXTS, BLOCKS)),
    st.builds(AIMessage, st.one_of(TEXTS, BLOCKS), tool_calls=st.sampled_from([[], [CALL]])),
    st.builds(ToolMessage, st.one_of(TEXTS, BLOCKS), tool_call_id=st.just("toolu_1")),
)


@settings(max_examples=300, deadline=None)
@given(messages=st.lists(MESSAGES, min_size=1, max_size=5), other=st.lists(MESSAGES, min_size=1, max_size=5))
def test_any_conversation_is_sent_as_we_say_or_not_known(
    engine: SemanticCache, messages: list[BaseMessage], other: list[BaseMessage]
) -> None:
    model = claude()
    found = []
    for conversation in (messages, other):
        identity, is_known = said(engine, model, conversation, None, {})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                really = sent(engine, model, conversation, None, {})
                is_refused = has_empty_text(model, conversation)
        except Exception:
            continue  # cannot be sent at all: there will be no answer to store
        if is_refused:
            continue  # by the API; what is not known of a body leaves such blocks out
        assert not is_known or identity == really
        found.append((identity, really))
    if len(found) == 2 and found[0][1] != found[1][1]:
        assert found[0][0] != found[1][0], json.dumps(dumps(messages))
