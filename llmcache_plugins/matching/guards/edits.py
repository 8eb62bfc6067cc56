"""Edited copies of longer texts: nearly every word is the same, and a few are not.

A vector hardly moves with one word of many, and whoever sends the same long text again with another word means that
word: a changed passage, one more constraint. A text put into other words shares far fewer of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of
from llmcache_plugins.matching.guards.content import SMALL, content_of, stem

__all__ = ["edits"]

_SHORTEST = 25  # words (marks included): a shorter text is all visible to the vector
_LONG = 60  # words: from here on the order of the words counts too
_SHARED = 0.8  # of all content words of the two texts: less is no copy
_GREETING = frozenset(map(stem, words_of("hi hello hey dear thanks thank please sorry regards cheers sir madam")))
_MISSPELT = 5  # letters


def _compare(asked: Features, stored: Features) -> Finding:
    if len(asked.words) < _SHORTEST or len(stored.words) < _SHORTEST:
        return silent
    left, right = asked.get(content_of), stored.get(content_of)
    mine, theirs = left - right - _GREETING, right - left - _GREETING
    if len(left & right) < _SHARED * len(left | right):
        return silent
    if (mine or theirs) and not _is_misspelt(mine, theirs):
        return conflict(mine, theirs)
    if min(len(asked.words), len(stored.words)) >= _LONG:
        one, other = asked.get(_in_order), stored.get(_in_order)
        if one != other and not (mine or theirs):
            return conflict(["the same words"], ["in another order"])
    return agree


def _in_order(features: Features) -> tuple[str, ...]:
    return tuple(_stems(features.words))


def _stems(words: tuple[str, ...]) -> Iterator[str]:
    for word in words:
        if word not in SMALL and (short := stem(word)) not in _GREETING:
            yield short


def _is_misspelt(mine: frozenset[str], theirs: frozenset[str]) -> bool:
    """Whether the two differ by one word with a slip: the same letters but one, or in another order."""
    if len(mine) != 1 or len(theirs) != 1:
        return False
    one, other = next(iter(mine)), next(iter(theirs))
    if min(len(one), len(other)) < _MISSPELT or not (one.isalpha() and other.isalpha()):
        return False
    return sorted(one) == sorted(other) or one in other or other in one


edits = Rule("edits", _compare)
