"""Matching by words alone: for users who want no embedding model at all. Pure; needs numpy only.

The score is the classic recipe of intent and keyword similarity, put right where measuring showed it wrong:

    score = (overlap + 0.15 * same_intent + 0.1 * shorter / longer) / 1.25
    overlap = weight of the shared keywords / (weight of all keywords of both + 1)

Against the recipe (Jaccard + 0.2 for the same intent + 0.1 when one text is over half as long as the other, served from
0.85): the 1 in the denominator makes a difference in a short question count for more; names, denials and everything
with a digit weigh 2, words that fit any question ("best", "find") 0.5; words are stemmed, and none is cut off after the
tenth; the intent is what is asked for (a fact, a person, a time, a place, a reason, a way, an amount, a comparison, yes
or no), for "general" on both sides was a bonus for every pair; the lengths are those of the keywords, so that
politeness costs nothing; a text without keywords matches nothing (the recipe divides by 0); bonuses are scaled instead
of cut off at 1. What it cannot see is the order of words: that is left to the guards.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from llmcache_plugins.errors import ConfigError, EmbedderError
from llmcache_plugins.matching.features import Features, features_of
from llmcache_plugins.matching.guards.base import words_of
from llmcache_plugins.matching.policy import Policy
from llmcache_plugins.types import FloatArray, Verdict

__all__ = ["LexicalMatcher", "LexicalPolicy"]

_VERSION = "1"  # changes with whatever changes a vector or a score
_MOST_KEYWORDS = 24  # of longer texts one word among many decides, and words alone do not say which
_SAME_INTENT, _LENGTH = 0.15, 0.10
_NAME, _LIGHT = 2.0, 0.5
# Least score for a budget of wrong hits / requests: where natural English question pairs (half of them with different
# answers) reach it, after the guards.
_THRESHOLDS = ((0.001, 0.9), (0.005, 0.79), (0.01, 0.75), (0.02, 0.7), (0.05, 0.61), (0.1, 0.5))
_FLOOR = 0.4  # labelled pairs with a score of 0.6 have a cosine of 0.52 at least, and 99 % of those with 0.5 have 0.52
_GREY_WIDTH = 0.15


_STOP = words_of(
    """a an the this that these those there here it its is am are was were be been being do does did done doing have has
    had having will would shall should can could may might must i i'd i'm i've i'll me my mine myself we us our you
    you're your yours he him his she her they them their one ones of in on at to for from by with about into onto as and
    or but if so than then too also just please pls kindly what what's which who whom whose when where why how some any
    anyone someone somebody anybody people s t d ll re ve m let lets tell show display give hi hello hey thanks like
    want know need get got actually really very ever such own"""
)
_LIGHT_WORDS = """
    good best better great nice way thing stuff make use using work help find take go come look see try think
    say put keep start call different many much more most lot kind type sort example list check view possible
    able available important between name question answer reason purpose idea advice tip opinion experience
    recommend suggest explain describe define mean meaning first new real person man day time year today
    currently now right happen become other another same various several few only even still every each all both
    effect impact within during through per via exactly simple easy easily quick quickly often usually always
    already simply everything something anything
"""
_INTENTS = {
    "who": "person", "whom": "person", "whose": "person", "when": "time", "where": "place", "why": "reason",
    "how": "way", "what": "fact", "which": "fact", "what's": "fact",
}  # fmt: skip
_COMPARING = words_of("difference differences differ differs compare compared comparison versus vs")
_AMOUNTS = words_of("many much long old far often big tall fast")
_ASKING = words_of(
    """is are was were am can could do does did will would should shall has have had may might isn't aren't don't
    doesn't can't won't"""
)
_SUFFIXES = (("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"))
_VOWEL = re.compile("[aeiouy]")
_SAME = {  # words of operations that mean the same, and spellings
    "state": "status", "neighbour": "neighbor", "neighbours": "neighbor", "config": "configure",
    "configuration": "configure", "utilisation": "utilization", "intf": "interface", "difference": "differ",
    "differences": "differ", "colour": "color", "favourite": "favorite", "wifi": "wi-fi", "pc": "computer",
}  # fmt: skip
_DENIALS = words_of(
    """no not never cannot nobody nothing isn't aren't wasn't weren't don't doesn't didn't can't couldn't won't wouldn't
    shouldn't haven't hasn't hadn't"""
)


class LexicalMatcher:
    """An embedder without a model: `open_cache(embedder=LexicalMatcher())` matches by keywords, intent and length.

    Its vectors (a hashed bag of keywords) only find candidates; `score` decides, with the guards. It reads English and,
    less well, other languages that put spaces between words. Synonyms are strangers to it: an embedding model catches
    more rewordings.

    Args:
        threshold: least score of a hit, in (0, 1]; None to leave it to the cache's error budget.
        dimension: numbers in a vector, at least 64.

    >>> matcher = LexicalMatcher()
    >>> matcher.score("How can I configure OSPF on a router?", "how do I configure OSPF on routers") > 0.8
    True
    >>> matcher.score("How can I configure OSPF on a router?", "how do I configure BGP on routers") > 0.5
    False
    """

    def __init__(self, *, threshold: float | None = None, dimension: int = 512) -> None:
        if threshold is not None and not (isinstance(threshold, int | float) and 0.0 < threshold <= 1.0):
            raise ConfigError(f"threshold must be a number above 0 and at most 1 or None, not {threshold!r}")
        if not isinstance(dimension, int) or isinstance(dimension, bool) or dimension < 64:
            raise ConfigError(f"dimension must be an integer of at least 64, not {dimension!r}")
        self.threshold = threshold
        self._dimension = dimension

    def __repr__(self) -> str:
        return f"LexicalMatcher(threshold={self.threshold}, dimension={self._dimension})"

    @property
    def embedder_id(self) -> str:
        return f"lexical-{_VERSION}/{self._dimension}/unit"

    def fits(self, text: str) -> bool:
        """Whether the text has keywords, and so few (24) that no single one drowns."""
        return 0 < len(_bag_of(text).keywords) <= _MOST_KEYWORDS

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """The keywords of each text in a hashed bag: float32, shape (len(texts), dimension), rows of unit length."""
        rows = np.zeros((len(texts), self._dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            bag = _bag_of(text)
            if not bag.keywords:
                raise EmbedderError("a text without keywords has no lexical vector; `fits` says so beforehand")
            for keyword in bag.keywords:  # never signed: two keywords in one place must not cancel out
                row[_slot(keyword) % self._dimension] += _weight(keyword, bag.names)
        unit: FloatArray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    def score(self, asked: str, stored: str) -> float:
        """How alike two questions are, in [0, 1]; symmetric. The formula is in the module's docstring."""
        left, right = _bag_of(asked), _bag_of(stored)
        shared = left.keywords & right.keywords
        if not shared:
            return 0.0
        names = left.names | right.names
        together = sum(_weight(keyword, names) for keyword in shared)
        apart = sum(_weight(keyword, names) for keyword in left.keywords ^ right.keywords)
        raw = together / (together + apart + 1.0)
        raw += _LENGTH * min(left.length, right.length) / max(left.length, right.length)
        if left.intent == right.intent:
            raw += _SAME_INTENT
        return raw / (1.0 + _SAME_INTENT + _LENGTH)

    def policy(
        self, max_error_rate: float, *, threshold: float | None = None, has_grey_zone: bool = False
    ) -> LexicalPolicy:
        """What decides in a cache.

        Args:
            max_error_rate: the budget; its threshold counts where none is given.
            threshold: in place of the matcher's own.
            has_grey_zone: a verifier or a judge is asked from 0.15 below the threshold.
        """
        threshold = self.threshold if threshold is None else threshold
        threshold = threshold_for(max_error_rate) if threshold is None else threshold
        return LexicalPolicy(self, threshold, max(threshold - _GREY_WIDTH, 0.0) if has_grey_zone else None)


class LexicalPolicy(Policy):
    """The matcher's score in place of the cosine.

    Args:
        threshold: least score that is served.
        grey_from: least score for which a verifier or a judge is asked; by default none is.
    """

    def __init__(self, matcher: LexicalMatcher, threshold: float, grey_from: float | None = None) -> None:
        self.floor = _FLOOR
        self.min_confidence = threshold
        self.grey_from = threshold if grey_from is None else min(grey_from, threshold)
        self.policy_id = f"lexical {_VERSION} {threshold:g}" + ("" if grey_from is None else f" grey {grey_from:g}")
        self._score = matcher.score

    def confidence(
        self, asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
    ) -> float:
        """The score: it orders pairs as a confidence does, but is no probability."""
        return self._score(asked, stored)

    def __repr__(self) -> str:
        return f"LexicalPolicy({self.policy_id})"


def threshold_for(max_error_rate: float) -> float:
    """The least score for a budget of wrong hits / requests, read off a measured table with straight lines between."""
    rates, thresholds = zip(*_THRESHOLDS, strict=True)
    return float(np.interp(max_error_rate, rates, thresholds))


class _Bag(NamedTuple):
    """What a text comes to. `names`: the keywords that look like proper names; `length`: characters of the keywords."""

    keywords: frozenset[str]
    names: frozenset[str]
    intent: str
    length: int


def _bag_of(text: str) -> _Bag:
    return features_of(text).get(_read)


def _read(features: Features) -> _Bag:
    words = [word for word in features.words if word not in ",.?"]
    keywords = frozenset(_stem(word) for word in words if word not in _STOP)
    return _Bag(keywords, _names_in(features), _intent(words), sum(map(len, keywords)))


def _names_in(features: Features) -> frozenset[str]:
    """Words with a capital that does not come from the start of a text or a title."""
    words = [token for token in features.tokens if token.kind == "word"][1:]
    capitals = [token for token in words if token.text[0].isupper()]
    if len(capitals) * 5 > len(words) * 3:
        return frozenset()
    return frozenset(_stem(token.lower) for token in capitals)


def _intent(words: Sequence[str]) -> str:
    """What is asked for, by the first question word; an order ("show ...") asks for a fact."""
    if not _COMPARING.isdisjoint(words):
        return "comparison"
    for place, word in enumerate(words):
        if word in _INTENTS:
            is_amount = word == "how" and place + 1 < len(words) and words[place + 1] in _AMOUNTS
            return "amount" if is_amount else _INTENTS[word]
    asks = len(words) > 1 and words[0] in _ASKING and words[1] != "you"
    return "yes or no" if asks else "fact"


def _weight(keyword: str, names: frozenset[str]) -> float:
    if keyword in names or keyword == "not" or not keyword.isalpha():
        return _NAME
    return _LIGHT if keyword in _LIGHT_STEMS else 1.0


@lru_cache(maxsize=16_384)
def _stem(word: str) -> str:
    """The word without the endings of plural, -ing and -ed: forms of one word meet, whether or not the stem is one."""
    word = "not" if word in _DENIALS else _SAME.get(word, word)
    if len(word) <= 3 or not word.isalpha():
        return word
    for suffix, replacement in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 2:
            return word[: -len(suffix)] + replacement
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for suffix in ("ing", "ed"):
        rest = word.removesuffix(suffix)
        if rest != word and len(rest) >= 3 and _VOWEL.search(rest):
            word = rest[:-1] if len(rest) > 3 and rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
            break
    if word.endswith("ly") and len(word) > 5:
        word = word[:-2]
    word = word[:-1] if word.endswith("e") and len(word) > 3 else word
    return word


_LIGHT_STEMS = frozenset(_stem(word) for word in _LIGHT_WORDS.split())


@lru_cache(maxsize=65_536)
def _slot(keyword: str) -> int:
    digest = hashlib.blake2b(keyword.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
