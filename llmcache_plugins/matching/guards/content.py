"""Whether two texts differ in little but what a guard looks at."""

from __future__ import annotations

from functools import lru_cache

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import words_of

__all__ = ["SMALL", "are_alike", "content_of", "stem"]

SMALL = words_of(
    """a an the and or nor but if then than so as at by in on of off to up out for from with into onto about over under
    is are was were am be been being do does did done have has had having can could should would will may might must
    shall i you he she it we they me him her us them my your our their his its this that these those there here what
    how why when where which who whom whose what's how's who's where's it's that's i'm some any get got please tell
    me show give find list explain describe let know want need like way ways best good kind of sort type types thing
    things one ones per go goes going etc also just really actually very , . ? & / -"""
)
_STEM = 6
_ENDINGS = ("ing", "ed", "es", "s", "ly", "d", "e", "'s")


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """A short form that inflected forms of one word share: its beginning without a common ending.

    >>> {stem(word) for word in ("deploy", "deploys", "deployed", "deploying")}
    {'deploy'}
    """
    if len(word) > 3 and word.isalpha():
        for ending in _ENDINGS:
            if word.endswith(ending) and len(word) - len(ending) >= 3:
                word = word[: -len(ending)]
                break
    return word[:_STEM]


def content_of(features: Features) -> frozenset[str]:
    """Stems of the words that carry the meaning."""
    return frozenset([stem(word) for word in features.words if word not in SMALL])


def are_alike(asked: Features, stored: Features, words: frozenset[str] = frozenset(), most: int = 1) -> bool:
    """Whether at most `most` content words of either text are missing in the other, the stems of `words` aside."""
    left, right = asked.get(content_of), stored.get(content_of)
    if left == right:
        return True
    aside = {stem(word) for word in words}
    mine, theirs = left - right - aside, right - left - aside
    return len(mine) <= most and len(theirs) <= most and bool(left & right or most == 0)
