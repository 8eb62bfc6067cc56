"""Validators to give to `open_cache(validators=[...])`: a last look at the stored answer itself before it is served.

Both compare the *asked* question with the stored *answer*. They find answers to something else altogether; neither
sees that an answer is about rtr-001 where rtr-002 was asked for (the guards do), and neither knows facts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import numpy as np

from llmcache_plugins.errors import ConfigError, EmbedderError
from llmcache_plugins.matching.guards.base import words_of
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.quality import Validation
from llmcache_plugins.types import Entry, JsonValue, Request

__all__ = ["AnswerSimilarityValidator", "KeywordValidator", "answer_text"]

_TEXT_KEYS = ("content", "text")
_LONGEST_ANSWER = 100_000  # characters that are read for keywords
_EMBEDDED_CHARS = 800  # an answer says early what it is about, and embedders stop reading at some 250 word pieces
_WORD = re.compile(r"\w+(?:['\u2019]\w+)*")
_SPACELESS = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")

# Words that say how something is asked, not what about.
_STOP_WORDS = words_of(
    """a about above after again all also am an and any anybody anyone anything are as at be because been before being
    below between both but by can could did do does doing done for from get give gives go got had has have having he her
    here hers hi him his how i if in into is it its just kindly know let like list make many may me mean means might
    mine more most much must my need no nor not now of off on once one only or other our out over own please quick same
    say shall she should show so some somebody someone something such tell than thanks that the their them then there
    these they thing things this those through to too under until up us use used using very want was way we were what
    when where which while who whom whose why will with would yes you your explain describe define difference
    different work works happen happens exactly"""
)


def _checked(least: float, lowest: float) -> float:
    if isinstance(least, bool) or not isinstance(least, int | float) or not lowest <= least <= 1.0:
        raise ConfigError(f"least must be a number in [{lowest:g}, 1], not {least!r}")
    return float(least)


def answer_text(answer: JsonValue) -> str:
    """The words of a stored answer: what stands under `content` and `text`, or else every string of its JSON."""
    said = list(_said(answer))
    return "\n".join(said or _strings(answer))


def _said(value: JsonValue) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _said(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _strings(item) if key in _TEXT_KEYS else _said(item)


def _strings(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value if isinstance(value, list) else value.values():
            yield from _strings(item)


class KeywordValidator:
    """Accept an answer in which enough of the question's content words occur.

    Words count as the same when one begins with the other's stem; text without spaces (Chinese, Japanese, Thai) is
    compared by pairs of characters. A question without content words is accepted. It is blind to synonyms: a short
    answer ("Canberra.") repeats nothing of the question and is rejected, so give it to caches of long answers. With the
    default it let 54 % of 28 right but terse answers pass, and 4 % of the same answers to other questions (at 0.3:
    32 % and 1 %).

    Args:
        least: share of the content words, in [0, 1]; 0 accepts every answer.

    Raises:
        ConfigError: `least` is out of its range.
    """

    def __init__(self, least: float = 0.2) -> None:
        self.least = _checked(least, 0.0)

    def __call__(self, request: Request, entry: Entry) -> Validation:
        share = keyword_share(request.text, answer_text(entry.answer))
        if share >= self.least:
            return Validation(True)
        return Validation(False, f"{share:.0%} of the question's keywords occur in the answer")


def keyword_share(question: str, answer: str) -> float:
    """The share of the question's content words that occur in the answer, in [0, 1]; 1 when it has none.

    >>> keyword_share("How does OSPF flood LSAs?", "OSPF floods an LSA to every router of an area.")
    1.0
    """
    words = [word for word in _WORD.findall(question.casefold()) if word not in _STOP_WORDS]
    wanted = {piece for word in words for piece in _pieces(word)}
    if not wanted:
        return 1.0
    said = answer[:_LONGEST_ANSWER].casefold()
    spaced = " " + " ".join(_WORD.findall(said))
    return sum(piece in spaced for piece in wanted) / len(wanted)


def _pieces(word: str) -> Iterator[str]:
    """What to look for: the stem at the beginning of a word, or each two neighbours of a text without spaces."""
    if _SPACELESS.search(word):
        yield from (word[place : place + 2] for place in range(max(1, len(word) - 1)))
    else:
        yield " " + _stem(word)


def _stem(word: str) -> str:
    for ending in ("'s", "\u2019s", "ations", "ation", "ings", "ing", "ers", "er", "ied", "ies", "es", "ed", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending)
    return word


class AnswerSimilarityValidator:
    """Accept an answer whose meaning is near enough to the question.

    Only the first 800 characters of the answer are embedded. An answer is rarely as near to its question as a
    rewording is, so this finds answers to another topic, not wrong answers on the topic. With the default and the
    embedder of the extra `local` it let all of 28 right answers pass, and 5 % of the same answers to other questions
    (at 0.3: 86 % and 1 %); bare numbers ("36") are the nearest to being refused.

    Args:
        embedder: turns both into vectors, of any length; it costs two embeddings per match by meaning.
        least: cosine of question and answer, in [-1, 1].

    Raises:
        ConfigError: `least` is out of its range. When called: EmbedderError for a vector that has no direction.
    """

    def __init__(self, embedder: Embedder, least: float = 0.2) -> None:
        self.embedder = embedder
        self.least = _checked(least, -1.0)

    def __call__(self, request: Request, entry: Entry) -> Validation:
        vectors = self.embedder.embed([request.text, answer_text(entry.answer)[:_EMBEDDED_CHARS]])
        question, answer = np.asarray(vectors, dtype=np.float64)
        cosine = float(question @ answer) / math.sqrt(float(question @ question) * float(answer @ answer) or math.nan)
        if not math.isfinite(cosine):
            raise EmbedderError("the embedder gave a vector of length zero, or numbers that are not finite")
        if cosine >= self.least:
            return Validation(True)
        return Validation(False, f"cosine of question and answer is {cosine:.2f}")
