from __future__ import annotations

from typing import Any

import pytest

from llmcache_plugins.keys.fingerprint import identify
from llmcache_plugins.keys.messages import (
    ChatTurn,
    canonical_messages,
    request_from_messages,
    request_from_prompt,
)
from llmcache_plugins.keys.question import FramedQuestion
from llmcache_plugins.types import Request

SYSTEM = ChatTurn("system", "You are terse.")


def request(*messages: ChatTurn, **params: Any) -> Request:
    return request_from_messages(messages, provider="p", model="m", params=params)


def key(*messages: ChatTurn, **params: Any) -> str:
    return identify(request(*messages, **params)).key


def tool_turns(first: str, second: str, results: tuple[str, str] = ("1", "2")) -> list[ChatTurn]:
    calls = [{"name": "add", "args": {"a": n}, "id": tool_id} for n, tool_id in enumerate((first, second))]
    return [
        ChatTurn("user", "add"),
        ChatTurn("assistant", "", {"tool_calls": calls}),
        ChatTurn("tool", results[0], {"tool_call_id": first}),
        ChatTurn("tool", results[1], {"tool_call_id": second}),
    ]


def test_the_last_user_text_is_matched_by_meaning_and_the_rest_is_context() -> None:
    made = request(SYSTEM, ChatTurn("user", "hi"), ChatTurn("assistant", "hello"), ChatTurn("user", "What is BGP?"))
    assert made.text == "What is BGP?"
    assert made.exact_only is None
    assert [turn["role"] for turn in made.context["history"]] == ["system", "user", "assistant"]


def test_history_and_system_prompt_are_scope() -> None:
    question = ChatTurn("user", "What is BGP?")
    scopes = {
        identify(request(*messages)).scope
        for messages in [
            (question,),
            (SYSTEM, question),
            (ChatTurn("user", "hi"), question),
            (ChatTurn("user", "hi"), ChatTurn("assistant", "a"), question),
            (ChatTurn("user", "hi"), ChatTurn("assistant", "b"), question),
        ]
    }
    assert len(scopes) == 5


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (tool_turns("a", "b"), "agent_step"),
        ([ChatTurn("assistant", "x")], "agent_step"),
        ([ChatTurn("user", [{"type": "tool_result", "tool_use_id": "a", "content": "1"}])], "agent_step"),
        ([ChatTurn("user", [{"type": "text", "text": "What is this?"}, {"type": "image", "url": "u"}])], "media"),
        ([ChatTurn("user", 7)], "media"),
        ([ChatTurn("user", "  \n")], "empty"),
        ([ChatTurn("user", [])], "empty"),
        ([], "empty"),
    ],
)
def test_what_is_no_plain_question_is_exact_only(messages: list[ChatTurn], reason: str) -> None:
    assert request(*messages).exact_only == reason


def test_exact_only_requests_differ_by_everything() -> None:
    image = [{"type": "image", "url": "a"}]
    assert key(ChatTurn("user", [{"type": "text", "text": "x"}, *image])) != key(
        ChatTurn("user", [{"type": "text", "text": "y"}, *image])
    )


def test_of_several_text_blocks_the_last_is_the_question_and_the_others_are_scope() -> None:
    def asked(document: str, question: str) -> Request:
        return request(ChatTurn("user", [{"type": "text", "text": document}, {"type": "text", "text": question}]))

    assert asked("doc", "What?").text == "What?"
    assert identify(asked("doc", "What?")).scope == identify(asked("doc", "Which?")).scope
    assert identify(asked("doc", "What?")).scope != identify(asked("other", "What?")).scope


def test_tool_call_ids_count_by_order_only() -> None:
    assert key(*tool_turns("a", "b")) == key(*tool_turns("x9", "y9"))
    assert key(*tool_turns("a", "b", ("1", "2"))) != key(*tool_turns("a", "b", ("2", "1")))


def test_swapped_tool_results_differ() -> None:
    user, calls, one, two = tool_turns("a", "b")
    swapped = [ChatTurn("tool", "1", {"tool_call_id": "b"}), ChatTurn("tool", "2", {"tool_call_id": "a"})]
    assert key(user, calls, one, two) != key(user, calls, *swapped)


def test_ids_in_content_blocks_follow_the_same_aliases() -> None:
    def thread(tool_id: str, result_id: str) -> list[ChatTurn]:
        return [
            ChatTurn("user", "go"),
            ChatTurn("assistant", [{"type": "tool_use", "id": tool_id, "name": "f", "input": {}}]),
            ChatTurn("user", [{"type": "tool_result", "tool_use_id": result_id, "content": "1"}]),
        ]

    assert key(*thread("a", "a")) == key(*thread("b", "b"))
    assert key(*thread("a", "a")) != key(*thread("a", "other"))


def test_a_streamed_tool_block_equals_the_one_made_at_once() -> None:
    at_once = {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}
    streamed = {"type": "tool_use", "id": "b", "name": "f", "input": {}, "partial_json": '{"x": 1}', "index": 1}
    rest = ChatTurn("tool", "1", {"tool_call_id": "z"})
    assert key(ChatTurn("assistant", [at_once]), rest) == key(ChatTurn("assistant", [streamed]), rest)
    broken = {**streamed, "partial_json": '{"x": '}
    assert key(ChatTurn("assistant", [broken]), rest) != key(ChatTurn("assistant", [streamed]), rest)


def test_volatile_fields_and_an_earlier_hit_mark_do_not_count() -> None:
    plain = [ChatTurn("user", "a"), ChatTurn("assistant", "b"), ChatTurn("user", "c")]
    marked = ChatTurn(
        "assistant",
        [{"type": "text", "text": "b", "index": 0, "id": "blk_1", "cache_control": {"type": "ephemeral"}}],
        {
            "id": "msg_1",
            "usage_metadata": {"input_tokens": 1},
            "response_metadata": {"llmcache": {"hit": True, "key": "abc"}},
            "additional_kwargs": {"refusal": None},
            "tool_calls": [],
            "artifact": {"x": 1},
            "name": None,
            "type": "ai",
        },
    )
    assert key(*plain) == key(plain[0], marked, plain[2])


@pytest.mark.parametrize(
    "other",
    [
        ChatTurn("assistant", "x"),
        ChatTurn("developer", "b"),
        ChatTurn("assistant", "b", {"name": "bob"}),
        ChatTurn("assistant", "b", {"invalid_tool_calls": [{"name": "f", "args": "{", "id": "a"}]}),
        ChatTurn("assistant", "b", {"additional_kwargs": {"reasoning": "r"}}),
        ChatTurn("assistant", "b", {"role": "x"}),
        ChatTurn("assistant", [{"type": "text", "text": "b"}, {"type": "text", "text": ""}]),
    ],
)
def test_what_the_model_reads_counts(other: ChatTurn) -> None:
    last = ChatTurn("user", "c")
    assert key(ChatTurn("assistant", "b"), last) != key(other, last)


def test_a_failed_tool_result_differs_from_a_successful_one() -> None:
    def result(status: str | None) -> str:
        extra = {"tool_call_id": "a"} | ({"status": status} if status else {})
        return key(ChatTurn("tool", "1", extra))

    assert result(None) == result("success") != result("error")


def test_canonical_messages_leave_their_input_alone() -> None:
    block = {"type": "tool_use", "id": "a", "input": {}, "partial_json": "{}", "index": 0}
    canonical_messages([ChatTurn("assistant", [block])])
    assert block == {"type": "tool_use", "id": "a", "input": {}, "partial_json": "{}", "index": 0}


@pytest.mark.parametrize(
    "relevant",
    [
        {"temperature": 0.5},
        {"max_tokens": 6},
        {"stop": ["x"]},
        {"tools": [{"name": "u"}]},
        {"tool_choice": "any"},
        {"thinking": {"type": "enabled"}},
        {"base_url": "http://other"},
        {"betas": ["b"]},
        {"default_headers": {"a": "2"}},
        {"nobody_knows": 1},
    ],
)
def test_relevant_and_unknown_parameters_count(relevant: dict[str, Any]) -> None:
    base = {"tools": [{"name": "t"}], "default_headers": {"a": "1"}, "max_tokens": 5}
    question = ChatTurn("user", "q")
    assert key(question, **{**base, **relevant}) != key(question, **base)


def test_a_prompt_is_framed_too_and_kept_apart_from_chat() -> None:
    prompt = request_from_prompt("Question: What is BGP?", provider="p", model="m", params={})
    assert (prompt.text, prompt.context["frame"]) == ("What is BGP?", ["Question: ", ""])
    chat = request(ChatTurn("user", "Question: What is BGP?"))
    assert chat.text == prompt.text
    assert identify(chat).scope != identify(prompt).scope


def test_an_empty_prompt_is_exact_only() -> None:
    assert request_from_prompt(" ", provider="", model="", params={}).exact_only == "empty"


def doubtful(answer: str) -> str:
    return f"Grade this.\n\nContext: exam\nQuestion: Who wrote Hamlet?\n{answer} wrote Hamlet"


def test_a_turn_with_documents_and_no_certain_question_is_exact_only_and_wholly_scope() -> None:
    one, other = (request(SYSTEM, ChatTurn("user", doubtful(name))) for name in ("Marlowe", "Shakespeare"))
    assert one.exact_only == other.exact_only == "unclear_question"
    assert identify(one).scope != identify(other).scope
    prompts = [request_from_prompt(doubtful(n), provider="p", model="m", params={}) for n in ("Marlowe", "Bacon")]
    assert [prompt.exact_only for prompt in prompts] == ["unclear_question"] * 2
    assert identify(prompts[0]).scope != identify(prompts[1]).scope


def test_a_users_extractor_may_insist_that_all_of_a_turn_is_the_question() -> None:
    turn = doubtful("Marlowe")
    made = request_from_messages(
        [ChatTurn("user", turn)],
        provider="p",
        model="m",
        params={},
        extractor=lambda text: FramedQuestion("", text, ""),
    )
    assert (made.text, made.exact_only) == (turn, None)
