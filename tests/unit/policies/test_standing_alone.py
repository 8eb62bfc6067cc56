"""Which turns are questions by themselves. A wrong yes may cost a wrong answer, a wrong no a model call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.policies.standing_alone import leaning_of, own_words, pointer_of, says_what_it_means, stands_alone


@pytest.mark.parametrize(
    "turn",
    [
        "What is OSPF?",
        "what's the capital of France",
        "In which year did Apollo 11 land on the Moon?",
        "How do I check the BGP status of rtr-001?",
        "Show me the BGP status of rtr-001",
        "Can you tell me how to reset a password in Keycloak?",
        "Hello, what is the best way to learn Python?",
        "What is OSPF and how does it work?",
        "Is it possible to run Docker without root?",
        "How long does it take to learn the piano in Paris?",
        "What causes diabetes?",
        "How does DNS work?",
        "Who is the CEO of Apple?",
        "Who is the president of the United States?",
        "What are the best things in Quora that some people don't know?",
        "Who wrote the second version of OSPF?",
        "Which routers are down in site NYC-1?",
        "Why is BGP slower than OSPF?",
        "Was J.R. Jayewardene a good student?",
        "Explain the difference between TCP and UDP",
    ],
)
def test_a_whole_question_stands_alone(turn: str) -> None:
    assert leaning_of(turn) is None
    assert stands_alone(turn)


@pytest.mark.parametrize(
    ("turn", "why"),
    [
        ("Why?", "fragment"),
        ("", "fragment"),
        ("data volume", "fragment"),
        ("Hamnet", "fragment"),
        ("What kind of beliefs?", "fragment"),
        ("And for rtr-002?", "ellipsis"),
        ("Okay, but how did the plan help?", "ellipsis"),
        ("What about rtr-002?", "ellipsis"),
        ("How about in winter?", "ellipsis"),
        ("What happened in 1998?", "ellipsis"),
        ("Did you mean OSPF?", "said_before"),
        ("What practices could I use at home to help?", "ellipsis"),
        ("how did I get covid tho...", "ellipsis"),
        ("What did he do?", "pronoun"),
        ("Is it up?", "pronoun"),
        ("Is it safe to use on my garden?", "pronoun"),
        ("Where was she born?", "pronoun"),
        ("Which one should I get?", "pronoun"),
        ("What else did Simon write?", "pronoun"),
        ("Are there any other competitions mentioned?", "pronoun"),
        ("Why were the French there?", "pronoun"),
        ("Can you tell me more about BGP?", "pronoun"),
        ("Who was that by", "demonstrative"),
        ("What happened to BGP after that outage?", "demonstrative"),
        ("Which router is faster?", "comparative"),
        ("How much cheaper is the A10e?", "comparative"),
        ("What caused the drought?", "definite"),
        ("What is the maximum retention period?", "definite"),
        ("What is the first based on?", "definite"),
        ("What are the results?", "definite"),
        ("What do you think?", "vague"),
        ("How long does recovery take?", "vague"),
        ("Is surgery necessary?", "vague"),
        ("How do I cancel?", "vague"),
        ("Are there alternatives?", "vague"),
        ("How many are down?", "ellipsis"),
        ("Could you translate to German?", "ellipsis"),
        ("Who is the CEO?", "definite"),
        ("Does the API support pagination?", "definite"),
        ("Can you explain what you said about BGP?", "said_before"),
        ("What did you just recommend for BGP?", "said_before"),
        ("I run Ubuntu. How do I install Docker?", "sentences"),
        ("Was ist OSPF?", "language"),
        ("¿Qué es OSPF?", "language"),
        ("什么是OSPF？", "language"),
        ("x " * 300, "long"),
    ],
)
def test_what_leans_says_why(turn: str, why: str) -> None:
    assert leaning_of(turn) == why
    assert not stands_alone(turn)


def test_a_name_before_the_pronoun_says_whose_it_is() -> None:
    assert says_what_it_means("What did Nikola Tesla do after he left Graz?")
    assert says_what_it_means("What other awards did Maurice Malpas win besides the cup?")
    assert not says_what_it_means("What is interesting about this article other than Thalberg?")
    assert not says_what_it_means("And what did Tesla invent?")
    assert says_what_it_means("How is OSPF different from its rival BGP?")
    assert not says_what_it_means("What did he do after leaving Graz?")
    assert not says_what_it_means("why does it fail")


@given(st.text(max_size=500))
def test_any_text_has_a_verdict(text: str) -> None:
    assert stands_alone(text) is (leaning_of(text) is None)
    assert pointer_of(text) in (None, "pronoun", "demonstrative", "said_before")
    assert says_what_it_means(text) in (True, False)


@given(st.sampled_from(["it", "they", "that one", "his", "these", "the other one"]), st.booleans())
def test_a_question_about_a_pronoun_never_stands_alone(pronoun: str, is_status: bool) -> None:
    turn = f"What is the status of {pronoun} in site NYC?" if is_status else f"How do I configure {pronoun} on rtr-001?"
    assert not stands_alone(turn)


def test_the_words_a_question_is_about() -> None:
    assert own_words("What is the BGP status of rtr-001?") == ["BGP", "status", "rtr-001"]
