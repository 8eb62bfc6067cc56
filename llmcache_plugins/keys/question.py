"""The question inside a larger user turn: retrieval prompts put instructions, context and question into one text.

Whatever is taken as the question, nothing of the turn is lost: `before + question + after` is the turn, and the frame
(`before`, `after`) is matched exactly. What a document says must not be taken for the question, for then it would be
compared by meaning only: when in doubt there is no question, and the whole turn is matched exactly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from llmcache_plugins.errors import ConfigError

__all__ = [
    "DEFAULT_TEMPLATES",
    "Extractor",
    "FramedQuestion",
    "QuestionExtractor",
    "Template",
    "looks_framed",
    "marked_question",
    "tagged_question",
]


@dataclass(frozen=True, slots=True)
class FramedQuestion:
    """A question and the rest of its turn: `before + question + after` is the turn."""

    before: str = field(repr=False)
    question: str = field(repr=False)
    after: str = field(repr=False)

    @property
    def turn(self) -> str:
        return self.before + self.question + self.after


Template: TypeAlias = str | Callable[[str], FramedQuestion | str | None]
"""A prompt template with `{question}`, or a callable that finds the question in a turn (a piece of it) or says None."""
Extractor: TypeAlias = Callable[[str], FramedQuestion | None]
"""Finds the question in a turn. None: all of the turn is the question, unless it `looks_framed`; then the turn is
matched exactly only. (`FramedQuestion("", turn, "")` insists that all of it is the question.)"""


def _cut(turn: str, start: int, end: int) -> FramedQuestion | None:
    """The question at turn[start:end] without outer white space; None when nothing is left."""
    while start < end and turn[start].isspace():
        start += 1
    while end > start and turn[end - 1].isspace():
        end -= 1
    return FramedQuestion(turn[:start], turn[start:end], turn[end:]) if start < end else None


class _CompiledTemplate:
    """Literals around fields, matched by searching from both ends: linear in the turn, whatever it holds."""

    def __init__(self, template: str) -> None:
        pieces = re.split(r"\{(\w+)\}", template)
        literals, names = pieces[::2], pieces[1::2]
        if names.count("question") != 1:
            raise ConfigError(f"a question template must hold {{question}} exactly once, not {template!r}")
        place = names.index("question")
        if any(not literal.strip() for literal in literals[1:-1]):
            raise ConfigError(f"a question template must have text between its fields: {template!r}")
        if place and not literals[place].strip():
            raise ConfigError(f"a question template must have text before {{question}}: {template!r}")
        # White space differs between copies of one template: a run of it matches any other.
        self._before = [self._literal(literal) for literal in literals[: place + 1]]
        self._after = [self._literal(literal) for literal in literals[place + 1 :]]

    @staticmethod
    def _literal(literal: str) -> re.Pattern[str] | None:
        words = literal.split()
        return re.compile(r"\s+".join(map(re.escape, words))) if words else None

    def __call__(self, turn: str) -> FramedQuestion | None:
        limits = self._anchored(turn)
        if limits is None:
            return None
        start, end = limits
        before, after = self._before[1:], self._after[:-1]
        if not before:
            found = self._leading(turn, start, end, after)
        elif not after:
            found = self._trailing(turn, start, end, before)
        else:
            found = self._middle(turn, start, end, before, after)
        return found if found is not None and _holds_no_mark(found.question) else None

    def _anchored(self, turn: str) -> tuple[int, int] | None:
        """Where the fields begin and end, when the turn begins and ends as the template does."""
        start, end = 0, len(turn.rstrip())
        first, last = self._before[0], self._after[-1]
        if first is not None:
            found = first.match(turn, len(turn) - len(turn.lstrip()))
            if found is None:
                return None
            start = found.end()
        if last is not None:
            # The last literal has to end where the turn ends, so only its last occurrence can fit.
            found = _last(last, turn, start, end)
            if found is None or found.end() != end:
                return None
            end = found.start()
        return (start, end) if start <= end else None

    @staticmethod
    def _leading(turn: str, start: int, end: int, after: Sequence[re.Pattern[str] | None]) -> FramedQuestion | None:
        """The question comes first: it ends where the next literal first stands."""
        stop, position = end, start
        for index, literal in enumerate(after):
            assert literal is not None
            found = literal.search(turn, position, end)
            if found is None:
                return None
            stop = found.start() if index == 0 else stop
            position = found.end()
        return _cut(turn, start, stop)

    @staticmethod
    def _trailing(turn: str, start: int, end: int, before: Sequence[re.Pattern[str] | None]) -> FramedQuestion | None:
        """The question comes last: it begins after the last marker, since documents before it may hold markers too."""
        position = start
        for literal in before[:-1]:
            assert literal is not None
            found = literal.search(turn, position, end)
            if found is None:
                return None
            position = found.end()
        assert before[-1] is not None
        found = _last(before[-1], turn, position, end)
        return None if found is None else _cut(turn, found.end(), end)

    @staticmethod
    def _middle(
        turn: str,
        start: int,
        end: int,
        before: Sequence[re.Pattern[str] | None],
        after: Sequence[re.Pattern[str] | None],
    ) -> FramedQuestion | None:
        """Free text on both sides: certain only when each literal stands there once, and in order."""
        position, limits = start, []
        for literal in (*before, *after):
            assert literal is not None
            found = list(literal.finditer(turn, start, end))
            if len(found) != 1 or found[0].start() < position:
                return None
            position = found[0].end()
            limits.append(found[0].span())
        return _cut(turn, limits[len(before) - 1][1], limits[len(before)][0])


def _last(pattern: re.Pattern[str], turn: str, start: int, end: int) -> re.Match[str] | None:
    found = None
    for found in pattern.finditer(turn, start, end):  # noqa: B007 - the last one is wanted
        pass
    return found


_ASKED = r"(?:(?:user|human|customer|original|current|my|the|follow[- ]?up)[ ]+)?(?:question|query)"
_EDGE = r"[*_#>\[( ]{0,6}"  # Markdown around a marker: **Question:**, ## Question, [Question]
_CLOSE = r"[*_\]) ]{0,4}:[*_]{0,3}"
_ANSWER = r"(?:answer|response|reply|a)"
_QUESTION_MARK = re.compile(rf"^{_EDGE}{_ASKED}{_CLOSE}", re.IGNORECASE | re.MULTILINE)
_CONTEXT_MARK = re.compile(
    rf"^{_EDGE}(?:(?:retrieved|relevant|given|new|search|reference|background|the)[ ]+)?"
    r"(?:context|contexts|documents?|passages?|sources?|excerpts?|search results?|knowledge|chunks?)"
    r"(?:[ ]+information)?(?:[ ]+(?:is|are)[ ]+(?:given[ ]+)?below)?[*_\]) ]{0,4}[:.][*_]{0,3}"
    r"|^<(?:context|documents?|sources?)>|^-{5,}[ ]*$|^={5,}[ ]*$",
    re.IGNORECASE | re.MULTILINE,
)
_ANSWER_CUE = re.compile(rf"\n{_EDGE}(?:[a-z]+[ ]+){{0,2}}{_ANSWER}{_CLOSE}\s*\Z", re.IGNORECASE)
# Markers inside a line: a form, an exam or a log puts question, answer and source side by side.
_INLINE_MARK = re.compile(
    rf"(?<!\w)(?:{_ANSWER}|question|query|contexts?|documents?|passages?|sources?|excerpts?){_CLOSE}", re.IGNORECASE
)
# Prompts that many copy, and so it is known where their documents stand: markers inside those do no harm.
_CONTEXT_FOLLOWS = re.compile(
    r"\s*(?:Answer the question based (?:only )?on the following context|"
    r"Use the following (?:pieces of )?(?:retrieved )?context)",
    re.IGNORECASE,
)
_QUESTION_FOLLOWS = re.compile(r"\s*You are an assistant for question-answering tasks[^\n]*\n\s*\Z", re.IGNORECASE)
_LONGEST_MARKED = 2000  # characters; what stands after a marker and is longer is hardly a question


def marked_question(turn: str) -> FramedQuestion | None:
    """The line behind `Question:`, `Query:`, `User question:` and the like at the start of a line.

    Before the context when a marker stands there, else behind the last marker, which has to be the end of the turn but
    for a cue such as `Answer:`. Only one line, with no other marker in it: what follows may be a document's. None too
    when a document's own marker could be taken for the prompt's: one before and one behind the context, or several and
    no cue that closes the last.
    """
    first = _QUESTION_MARK.search(turn)
    if first is None:
        return None
    context = _CONTEXT_MARK.search(turn)
    is_trailing = _CONTEXT_FOLLOWS.match(turn) is not None
    if context is not None and first.start() < context.start() and not is_trailing:
        is_certain = _QUESTION_FOLLOWS.match(turn[: first.start()]) or not _QUESTION_MARK.search(turn, first.end())
        return _one_line(turn, first.end(), context.start()) if is_certain else None
    cue = _ANSWER_CUE.search(turn)
    end = cue.start() if cue else len(turn)
    last = _last(_QUESTION_MARK, turn, 0, end)
    if last is None or not (is_trailing or cue or last.start() == first.start()):
        return None
    return _one_line(turn, last.end(), end)


def _one_line(turn: str, start: int, end: int) -> FramedQuestion | None:
    framed = _cut(turn, start, end)
    if framed is None or len(framed.question) > _LONGEST_MARKED or len(framed.question.splitlines()) > 1:
        return None
    return framed if _holds_no_mark(framed.question) else None


def _holds_no_mark(question: str) -> bool:
    """False for what looks like a prompt, a form or an exam itself: an answer or a source may stand in it."""
    return not (_INLINE_MARK.search(question) or _CONTEXT_MARK.search(question))


_QUESTION_TAG = re.compile(r"<(/?)(question|query|user_question|user_query)>", re.IGNORECASE)
_CONTEXT_TAG = re.compile(
    r"<(/?)(?:contexts?|documents?|sources?|passages?|excerpts?|chunks?|articles?|references?|knowledge|background|"
    r"search_results?|retrieved(?:_\w+)?)(?:\s[^<>]*)?>",
    re.IGNORECASE,
)


def tagged_question(turn: str) -> FramedQuestion | None:
    """The text inside `<question>...</question>` (or query, user_question, user_query), outside of the context's tags.

    None when there is not exactly one, or when a tag of the context is not closed.
    """
    tags = list(_QUESTION_TAG.finditer(turn))
    if len(tags) < 2:
        return None
    context = list(_CONTEXT_TAG.finditer(turn))
    if 2 * sum(bool(tag[1]) for tag in context) != len(context):
        return None
    # From the first to the last tag of a context: a document may hold tags of its own.
    inside = range(context[0].start(), context[-1].end()) if context else range(0)
    outside = [tag for tag in tags if tag.start() not in inside]
    if len(outside) != 2:
        return None
    opening, closing = outside
    is_pair = not opening[1] and closing[1] and opening[2].lower() == closing[2].lower()
    framed = _cut(turn, opening.end(), closing.start()) if is_pair else None
    return framed if framed is not None and _holds_no_mark(framed.question) else None


_MENTIONS_CONTEXT = re.compile(r"\b(?:contexts?|documents?|passages?|sources?|excerpts?)[*_\]) ]{0,4}:", re.IGNORECASE)
_MENTIONS_QUESTION = re.compile(r"\b(?:question|query)[*_\]) ]{0,4}:", re.IGNORECASE)


def looks_framed(turn: str) -> bool:
    """Does this turn show markers of a prompt with documents in it?

    When no question was found in such a turn, all of it would be compared by meaning, documents and all; and two
    documents that differ in one word look alike.
    """
    return bool(
        _QUESTION_MARK.search(turn)
        or _CONTEXT_MARK.search(turn)
        or _QUESTION_TAG.search(turn)
        or _CONTEXT_TAG.search(turn)
        or (_MENTIONS_CONTEXT.search(turn) and _MENTIONS_QUESTION.search(turn))
    )


DEFAULT_TEMPLATES: tuple[Template, ...] = (
    # LangChain hub rlm/rag-prompt: the question before the context.
    "You are an assistant for question-answering tasks.{instructions}\nQuestion: {question}\nContext: {context}"
    "\nAnswer:",
    # LangChain's "stuff" chain and its conversational retrieval: the question at the end.
    "Use the following pieces of context to answer{instructions}\nQuestion: {question}\nHelpful Answer:",
    "{instructions}\nFollow Up Input: {question}\nStandalone question:",
    # LlamaIndex: text QA, tree summarise, refine (completion and chat).
    "Context information{context}\nQuery: {question}\nAnswer:",
    "The original query is as follows: {question}\nWe have provided an existing answer: {context}",
    "You are an expert Q&A system{instructions}\nNew Context: {context}\nQuery: {question}\nOriginal Answer: {answer}"
    "\nNew Answer:",
    tagged_question,
    marked_question,
)
"""Asked in this order; the first that finds a question has it."""


class QuestionExtractor:
    """Finds the question inside a user turn; what it does not know is an ordinary turn.

    Args:
        templates: template strings with `{question}` (and `{context}` or any other field for free text), or callables.
            A template has to begin and end as the turn does; runs of white space match each other.

    Raises:
        ConfigError: a template without exactly one `{question}`, or with two fields side by side.

    >>> extract = QuestionExtractor(["Docs: {context} Ask: {question}"])
    >>> extract("Docs: Ask: is in here too. Ask: What is BGP?").question
    'What is BGP?'
    >>> extract("What is BGP?") is None
    True
    """

    def __init__(self, templates: Sequence[Template] = DEFAULT_TEMPLATES) -> None:
        if isinstance(templates, str):
            raise ConfigError("templates must be a sequence of templates, not one string")
        self._finders = [(_CompiledTemplate(item) if isinstance(item, str) else item) for item in templates]

    def __call__(self, turn: str) -> FramedQuestion | None:
        """The question and its frame, or None for an ordinary turn."""
        for find in self._finders:
            found = find(turn)
            if isinstance(found, str):
                place = turn.rfind(found)
                found = _cut(turn, place, place + len(found)) if place >= 0 else None
            if found is not None:
                return found if found.turn == turn else None  # a callable that loses text is not believed
        return None
