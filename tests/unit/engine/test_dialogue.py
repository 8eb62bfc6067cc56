"""What of a request's history may be left out of what has to be equal."""

from __future__ import annotations

from typing import Any

import pytest

from llmcache_plugins.engine.dialogue import dialogue_of, matched_context, turns_to_resolve
from llmcache_plugins.keys.messages import ChatTurn, request_from_messages
from llmcache_plugins.types import Request

QUESTION = "How do I check the BGP status of rtr-001?"
FOLLOW_UP = "And of rtr-002?"
GREETING = ("hi", "Hello! How can I help you today?")


def chat(*said: str, system: str | None = None, last: str = QUESTION) -> Request:
    """The user and the assistant in turns; the user asks `last`."""
    turns = [ChatTurn("system", system)] if system is not None else []
    turns += [ChatTurn("assistant" if at % 2 else "user", text) for at, text in enumerate(said)]
    return request([*turns, ChatTurn("user", last)])


def request(turns: list[ChatTurn]) -> Request:
    return request_from_messages(turns, provider="p", model="m", params={})


@pytest.mark.parametrize(
    "said",
    [
        GREETING,
        ("Good morning", "Good morning! What can I do for you?", "thanks a lot", "You're welcome."),
        ("What is DNS?", "A system of names.", "Why is it slow?", "It depends."),
        ("Which firewalls are there?", "Several.", "Thanks, that makes sense!", "Sure."),
    ],
)
def test_a_question_by_itself_is_matched_as_a_first_turn(said: tuple[str, ...]) -> None:
    assert matched_context(chat(*said, system="Be brief.")) == matched_context(chat(system="Be brief."))
    assert turns_to_resolve(chat(*said)) is None


@pytest.mark.parametrize(
    "said",
    [
        ("I'm on Ubuntu 20.04.", "Noted."),
        ("We have two sites, and both use IPv6.", "I see."),
        ("My router is a Cisco.", "Good to know."),
        ("Suppose all links are down.", "Okay."),
        ("What is the plan if I am in Berlin?", "A train."),
        ("It is about the lab.", "I see."),
        ("Bananas are yellow.", "Yes."),
    ],
)
def test_what_the_user_has_told_may_decide_a_question_by_itself(said: tuple[str, ...]) -> None:
    assert matched_context(chat(*said)) == chat(*said).context
    assert turns_to_resolve(chat(*said)) is not None  # a resolver can put it in


@pytest.mark.parametrize(
    "said",
    [
        ("What is BGP?", "A protocol."),
        ("Which protocol is best?", "Many say BGP."),
    ],
)
def test_a_question_about_what_was_spoken_of_may_mean_that(said: tuple[str, ...]) -> None:
    assert matched_context(chat(*said)) == chat(*said).context


def test_what_has_a_number_in_it_says_which_one_it_is() -> None:
    said = ("Is rtr-001 new?", "Yes, rtr-001 is.")
    assert matched_context(chat(*said)) == matched_context(chat())


@pytest.mark.parametrize(
    "told",
    [
        "From now on answer in French.",
        "Act as a pirate",
        "Can you always reply with bullet points?",
        "What is DNS? Keep your answers short.",
        "You are a strict teacher.",
        "Explain it like I'm five",
    ],
)
@pytest.mark.parametrize("last", [QUESTION, FOLLOW_UP])
def test_what_the_user_wants_once_and_for_all_keeps_the_history(told: str, last: str) -> None:
    asked = chat(told, "Fine.", last=last)
    assert matched_context(asked) == asked.context
    assert turns_to_resolve(asked) is None


CALL = {"tool_calls": [{"name": "ping", "args": {}, "id": "call_1"}]}
IMAGE = [{"type": "image", "source": {"type": "url", "url": "http://localhost/a.png"}}]
CITED = [{"type": "text", "text": "BGP.", "citations": [{"cited_text": "BGP", "document_index": 0}]}]
RESULT = [{"type": "tool_result", "tool_use_id": "call_1", "content": "up"}]


@pytest.mark.parametrize(
    "earlier",
    [
        [ChatTurn("user", "hi"), ChatTurn("assistant", "", CALL), ChatTurn("tool", "up", {"tool_call_id": "call_1"})],
        [ChatTurn("user", RESULT)],
        [ChatTurn("user", IMAGE)],
        [ChatTurn("user", [{"type": "document", "source": {"type": "text", "data": "A contract."}}])],
        [ChatTurn("user", "hi"), ChatTurn("assistant", CITED)],
        [ChatTurn("user", "hi", {"name": "alice"})],
        [ChatTurn("user", "hello:\n\nthe notice period is two weeks")],
        [ChatTurn("user", "Context: the notice period is two weeks. Question: How long is it?")],
        [ChatTurn("user", "Translate this: good morning")],
        [ChatTurn("user", "hi"), ChatTurn("system", "The user has been idle.")],
        [ChatTurn("user", "What? " * 5000)],
        [ChatTurn("user", "hi"), ChatTurn("critic", "Too short.")],
        [ChatTurn("user", "hi")] * 201,
    ],
    ids=lambda turns: turns[-1].role,
)
@pytest.mark.parametrize("last", [QUESTION, FOLLOW_UP])
def test_a_history_with_more_in_it_than_talk_is_kept(earlier: list[ChatTurn], last: str) -> None:
    asked = request([*earlier, ChatTurn("user", last)])
    assert matched_context(asked) == asked.context
    assert turns_to_resolve(asked) is None


def test_what_a_model_thought_is_its_own() -> None:
    thought = [{"type": "thinking", "thinking": "A greeting.", "signature": "x"}, {"type": "text", "text": "Hello!"}]
    asked = request([ChatTurn("user", "hi"), ChatTurn("assistant", thought), ChatTurn("user", QUESTION)])
    assert matched_context(asked) == matched_context(chat())


def test_the_system_prompt_and_the_frame_stay() -> None:
    alone = {str(matched_context(chat(*GREETING, system=prompt))) for prompt in ("A", "B", None)}
    assert len(alone) == 3
    framed = "Use the following pieces of context to answer.\n{}\nQuestion: " + QUESTION + "\nHelpful Answer:"
    asked = [request([ChatTurn("user", "hi"), ChatTurn("user", framed.format(text))]) for text in ("one", "two")]
    assert matched_context(asked[0]) != asked[0].context
    assert matched_context(asked[0]) != matched_context(asked[1])


def test_a_first_turn_that_leans_is_apart_from_what_was_resolved() -> None:
    assert matched_context(chat(last="Was it a success?")) != chat(last="Was it a success?").context
    for whole in (QUESTION, "bgp status rtr-001", "I have a router. How do I reset it?"):
        assert matched_context(chat(last=whole)) == chat(last=whole).context


@pytest.mark.parametrize("context", [None, [], {}, "text", {"history": 1, "turn": {}}, {"history": [1], "turn": {}}])
def test_any_other_context_is_left_as_it_is(context: Any) -> None:
    assert dialogue_of(context) is None
    assert matched_context(Request(QUESTION, context=context)) == context
    assert turns_to_resolve(Request(FOLLOW_UP, context=context)) is None


def test_requests_that_are_matched_exactly_only_are_left_as_they_are() -> None:
    asked = chat(*GREETING, last="Translate: good morning")
    assert matched_context(asked) == asked.context
    assert turns_to_resolve(asked) is None
    step = request([ChatTurn("user", "hi"), ChatTurn("assistant", "Hello!")])
    assert matched_context(step) == step.context


def test_a_resolver_is_told_the_talk_and_not_the_system_prompt() -> None:
    asked = chat("What is BGP?", "A protocol.", system="The password is swordfish.", last=FOLLOW_UP)
    assert turns_to_resolve(asked) == [
        {"role": "user", "content": "What is BGP?"},
        {"role": "assistant", "content": "A protocol."},
        {"role": "user", "content": FOLLOW_UP},
    ]
