"""Nothing of a turn is ever lost, and the question that was put into a template is the one that comes out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.keys.question import QuestionExtractor

extract = QuestionExtractor()
MARKERS = [
    "Question: ",
    "Query: ",
    "User question:",
    "Context:",
    "Answer:",
    "\n",
    "\n\n",
    "-----",
    "<question>",
    "</question>",
    "<context>",
    "</context>",
    "Context information is below.",
    "The original query is as follows: ",
    "We have provided an existing answer: ",
    "You are an assistant for question-answering tasks.",
    "Use the following pieces of context to answer",
    "Helpful Answer:",
    " ",
    "what is BGP?",
]
hostile = st.lists(st.sampled_from(MARKERS) | st.text(max_size=8), max_size=14).map("".join)
documents = st.lists(st.sampled_from(MARKERS[:7]) | st.text(alphabet="abc .:", max_size=12), max_size=8).map("".join)
questions = st.text(alphabet="abcdefg ?", min_size=1, max_size=40).filter(str.strip)


@given(hostile)
def test_frame_and_question_are_the_turn(turn: str) -> None:
    found = extract(turn)
    if found is not None:
        assert found.before + found.question + found.after == turn
        assert found.question
        assert found.question == found.question.strip()


@given(questions, documents)
def test_the_question_of_a_closed_template_comes_out_whatever_the_documents_hold(question: str, document: str) -> None:
    after = f"Context information is below.\n-----\n{document}\n-----\nAnswer the query.\nQuery: {question}\nAnswer: "
    before = f"You are an assistant for question-answering tasks.\nQuestion: {question}\nContext: {document}\nAnswer:"
    for turn in (after, before):
        found = extract(turn)
        assert found is not None
        assert found.question == question.strip()


@given(questions, documents, documents)
def test_another_context_is_never_the_same_frame(question: str, one: str, other: str) -> None:
    def frame(document: str) -> tuple[str, str]:
        found = extract(f"Context:\n{document}\n\nQuestion: {question}\nAnswer:")
        assert found is not None
        return found.before, found.after

    assert (frame(one) == frame(other)) == (one == other)
