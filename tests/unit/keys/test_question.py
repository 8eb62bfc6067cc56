from __future__ import annotations

import time

import pytest

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.question import FramedQuestion, QuestionExtractor, looks_framed

QUESTION = "What is the MTU of ge-0/0/1?"
DOCUMENT = "About MTU.\nQuestion: Is it big?\nAnswer: No.\nQuery: And then?\nAnswer: \nFollow Up Input: no"
extract = QuestionExtractor()

RAG_PROMPT = (  # LangChain hub, rlm/rag-prompt
    "You are an assistant for question-answering tasks. Use the following pieces of retrieved context.\n"
    "Question: {question} \nContext: {context} \nAnswer:"
)


def filled(template: str, question: str = QUESTION, context: str = DOCUMENT) -> str:
    return template.replace("{question}", question).replace("{context}", context)


@pytest.mark.parametrize(
    "template",
    [
        RAG_PROMPT,
        "Answer the question based only on the following context:\n{context}\n\nQuestion: {question}\n",
        "Use the following context:\n{context}\n\nUser question: {question}",
        "Context:\n{context}\n\nQuery: {question}\nAnswer: ",
        "Context:\n{context}\n\nQuery: {question}\n\nResponse:",
        "<context>\n{context}\n<question>no</question>\n</context>\n<question>{question}</question>",
        "<user_query>\n{question}\n</user_query>\n\n<documents>{context}</documents>",
    ],
)
def test_the_question_is_found_and_not_the_marker_inside_the_documents(template: str) -> None:
    turn = filled(template)
    found = extract(turn)
    assert found is not None
    assert found.question == QUESTION
    assert found.turn == turn


OPEN = [
    "Context:\n{context}\n\nUser question: {question}",
    "Be terse.\n**Question:** {question}\n\n**Context:**\n{context}",
    "Be terse.\n## Question: {question}\n-----\n{context}\n-----\n",
    "Use the documents.\n\nThe question: {question}\n\nDocuments:\n{context}",
]


@pytest.mark.parametrize("template", OPEN)
def test_a_prompt_of_ones_own_is_found_when_its_marker_is_the_only_one(template: str) -> None:
    turn = filled(template, context="MTU is 1500.\n\nJumbo frames are off.")
    found = extract(turn)
    assert found is not None
    assert found.question == QUESTION
    assert found.turn == turn
    assert extract(filled(template)) is None  # a marker in the documents could be the prompt's own
    assert looks_framed(filled(template))


@pytest.mark.parametrize(
    "turn",
    [
        "Fill it in.\n\nContext:\nform\nQuestion: X?\nAnswer: use ssh",
        "Grade this.\n\nContext: exam\nQuestion: Who wrote Hamlet?\nMarlowe wrote Hamlet",
        "Grade this.\n\nContext: exam\nQuestion: Who wrote Hamlet?\nMarlowe wrote Hamlet\nGrade:",
        "Context: exam\nQuestion: Who wrote Hamlet?\nMarlowe wrote Hamlet\nAnswer:",
        "Context: exam\nQuestion: Who wrote Hamlet? Answer: Marlowe",
        "Context: exam\nQuestion: Who wrote Hamlet? A: Marlowe",
        "Context: exam\nQuestion: Who? Response: Marlowe\nAnswer:",
        "Context: exam\nQuestion: Who? (Source: Marlowe's diary)",
        "Context: exam\nQuestion: Who wrote Hamlet?\u2028Marlowe wrote it",
        "Context: exam\nQuestion: a?\nAnswer: b\nQuestion: c?\nAnswer: d",
        "Question: is ssh on?\nAnswer: yes\nContext: a form",
        "Question: is ssh on?\nyes\nContext: a form",
        "How many fields?\n\nQuestion: is ssh on?\nContext: a form\nQuestion: is it up?",
        "Question: real?\nContext: c\nQuestion: a document's?\nAnswer:",
        "Answer the question based only on the following context:\nQ\nQuestion: a?\nContext: b\n\nQuestion: c?\nyes",
        "You are an assistant for question-answering tasks. \nA form.\nQuestion: a?\nContext: b\nQuestion: c?",
        "Context information is below.\nc\nQuery: X?\nAnswer: use ssh\nAnswer:",
        "Context information is below.\nc\nQuery: X? Answer: use ssh\nAnswer:",
        "Use the following pieces of context to answer.\nQuestion: X?\nAnswer: ssh\nHelpful Answer:",
        "<context>c</context><question>X?\nAnswer: use ssh</question>",
        "<context>c <question>X?</question> and more",
        "<context>c</context></context><question>X?</question>",
        "Use <context>. <document id='1'><question>X?</question></document>\nIs it on?",
    ],
)
def test_what_may_be_a_documents_text_is_never_the_question(turn: str) -> None:
    assert extract(turn) is None
    assert looks_framed(turn)


def test_a_nested_prompt_gives_the_inner_question_or_none() -> None:
    inner = "Context: docs\nQuestion: real?"
    found = extract(f"Context information is below.\nouter\nQuery: {inner}\nAnswer:")
    assert found is not None
    assert found.question == "real?"


@pytest.mark.parametrize(
    "turn", ["Answer by the context: ssh is on. question: is it on?", "Use the documents: a. Query: b", "-----\nlog"]
)
def test_markers_inside_a_line_are_doubtful_too(turn: str) -> None:
    assert extract(turn) is None
    assert looks_framed(turn)


@pytest.mark.parametrize("turn", [QUESTION, "I have a Question: how big is it?", "In this context: why?", "", "a - b"])
def test_an_ordinary_turn_does_not_look_framed(turn: str) -> None:
    assert not looks_framed(turn)


def test_llama_index_and_langchain_prompts_as_they_are_installed() -> None:
    classic = pytest.importorskip("langchain_classic.chains.question_answering.stuff_prompt")
    conversational = pytest.importorskip("langchain_classic.chains.conversational_retrieval.prompts")
    defaults = pytest.importorskip("llama_index.core.prompts.default_prompts")
    templates = [
        classic.prompt_template,
        conversational.CONDENSE_QUESTION_PROMPT.template.replace("{chat_history}", "{context}"),
        defaults.DEFAULT_TEXT_QA_PROMPT_TMPL.replace("{query_str}", "{question}").replace("{context_str}", "{context}"),
        defaults.DEFAULT_TREE_SUMMARIZE_PROMPT.template.replace("{query_str}", "{question}").replace(
            "{context_str}", "{context}"
        ),
        defaults.DEFAULT_REFINE_PROMPT_TMPL.replace("{query_str}", "{question}")
        .replace("{context_msg}", "{context}")
        .replace("{existing_answer}", "It is big."),
    ]
    for template in templates:
        found = extract(filled(template))
        assert found is not None, template
        assert found.question == QUESTION, template


def test_llama_index_chat_refine_prompt_is_found_when_its_markers_are_unique() -> None:
    prompts = pytest.importorskip("llama_index.core.prompts.chat_prompts")
    template = prompts.CHAT_REFINE_PROMPT_TMPL_MSGS[0].content
    found = extract(template.format(context_msg="MTU is 1500.", query_str=QUESTION, existing_answer="9000"))
    assert found is not None
    assert found.question == QUESTION


@pytest.mark.parametrize(
    "turn",
    [
        QUESTION,
        "I have a Question: how big is it?",  # not at the start of a line
        "Question:",
        "Question:   \n",
        "<question></question>",
        "<question>one</question> <question>two</question>",
        "<question>never closed",
        "",
        "Some notes.\n\nQuestion: what?\n\nAnd a paragraph after it, as a document has it.",
    ],
)
def test_an_ordinary_or_doubtful_turn_is_no_template(turn: str) -> None:
    assert extract(turn) is None


def test_another_context_is_another_frame() -> None:
    one, two = extract(filled(RAG_PROMPT)), extract(filled(RAG_PROMPT, context="Else."))
    assert one is not None
    assert two is not None
    assert one.question == two.question
    assert (one.before, one.after) != (two.before, two.after)


def test_few_shot_examples_are_frame() -> None:
    found = extract(f"Question: a?\nAnswer: b\nQuestion: {QUESTION}\nAnswer:")
    assert found is not None
    assert found.question == QUESTION


def test_a_user_template_is_asked() -> None:
    own = QuestionExtractor(["Docs >>>{context}<<< Ask: {question} !"])
    found = own("Docs >>> Ask: in a document ! <<<  Ask:\n" + QUESTION + " !")
    assert found is not None
    assert found.question == QUESTION
    assert own("Docs >>> " + QUESTION) is None


def test_a_user_callable_is_asked_and_must_not_lose_text() -> None:
    assert QuestionExtractor([lambda turn: turn[3:]])("ab BGP?") == FramedQuestion("ab ", "BGP?", "")
    assert QuestionExtractor([lambda turn: "not in it"])("ab") is None
    assert QuestionExtractor([lambda turn: FramedQuestion("", "ab", "")])("ab cd") is None


@pytest.mark.parametrize(
    "template", ["no field", "{question} {question}", "{context}{question}", "a {context} {question}"]
)
def test_a_template_that_cannot_be_told_apart_is_refused(template: str) -> None:
    with pytest.raises(ConfigError):
        QuestionExtractor([template])


def test_one_string_instead_of_a_list_is_refused() -> None:
    with pytest.raises(ConfigError):
        QuestionExtractor("{question}")


def test_a_huge_hostile_turn_takes_no_quadratic_time() -> None:
    small, large = 500, 4000
    piece = "Question: a\nContext: b\nAnswer: c\n<question>\n<context>\n-------\n"

    def seconds(count: int) -> float:
        start = time.perf_counter()
        extract("You are an assistant for question-answering tasks." + piece * count + "Answer:")
        return time.perf_counter() - start

    seconds(small)
    # Quadratic would be 64 times; the floor keeps a slow moment of the machine from mattering.
    assert min(seconds(large) for _ in range(3)) < 24 * max(min(seconds(small) for _ in range(3)), 1e-3)
