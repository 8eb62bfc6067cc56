"""The same words in another order: who does it to whom, which of the two is more, what is compared with what.

Two words that stand where the other one stood, between the same neighbours, have exchanged their parts. A phrase that
moved as a whole ("in git, how ...") keeps its neighbours, and the items of a list have no order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of
from llmcache_plugins.matching.guards.content import SMALL, content_of, stem
from llmcache_plugins.matching.guards.language import is_english

__all__ = ["Neighbours", "neighbours_in", "order"]

_MARKS = frozenset({",", ".", "?"})
_ARTICLES = words_of("the a an my our your their its this that these those of")
_JOINERS = words_of("and or vs versus nor plus & / ,")
_SYMMETRIC = words_of(
    """compare comparing comparison
    difference differences different differ distance far between married equal equals similar similarity same
    friends related compatible"""
)
_ENDS_OF_A_WAY = {"from", "to"}
_LIKED = frozenset(
    {stem("liked")}
)  # "like" is a small word, "liked" is not: "Does Ann like Bob", "Is Bob liked by Ann"
_BESIDE = 5  # words between two items of one list, at most
_MOST = 48  # content words; a longer text is no question
_ACTIVE = words_of("does did do can could will would should has have had may might must")
_PASSIVE = words_of("is are was were be been being gets got get")
_GENDERS = {"he": "m", "him": "m", "his": "m", "she": "f", "her": "f", "hers": "f"}


class Neighbours(NamedTuple):
    """The words before and behind each content word that a text has once, and where it stands."""

    places: Mapping[str, tuple[str, str, int]]
    words: tuple[str, ...]


def neighbours_in(features: Features) -> Neighbours:
    words = tuple(word for word in features.words if word not in _ARTICLES)
    places: dict[str, tuple[str, str, int]] = {}
    repeated: set[str] = set()
    for position, word in enumerate(words):
        if word in SMALL or not word.isalpha():  # values are for the guard of direction
            continue
        if word in places:
            repeated.add(word)
        before = words[position - 1] if position else ""
        after = words[position + 1] if position + 1 < len(words) else "."
        places[word] = (before, "." if after in _MARKS else after, position)
    return Neighbours({word: place for word, place in places.items() if word not in repeated}, words)


def _compare(asked: Features, stored: Features) -> Finding:
    if asked.words == stored.words or not asked.get(content_of) ^ stored.get(content_of) <= _LIKED:
        return silent
    left, right = asked.get(neighbours_in), stored.get(neighbours_in)
    if not left.places or len(left.places) > _MOST or not is_english(asked):
        return silent
    voiced = _by_voice(left.words, right.words)
    if voiced is not None:
        return voiced
    mine, theirs = asked.get(_genders), stored.get(_genders)
    if mine != theirs and sorted(mine) == sorted(theirs):
        return conflict([" ".join(mine)], [" ".join(theirs)])
    if _SYMMETRIC.isdisjoint(asked.words):
        joined, there = asked.get(_joined_by), stored.get(_joined_by)
        if joined and there and joined != there:
            return conflict([joined], [there])
        exchanged = _turned(left, right) or _exchanged(left, right)
        if exchanged is not None:
            return exchanged
    return silent


def _joined_by(features: Features) -> str:
    """The one of "and" and "or" that a text has; "" when it has none or both."""
    has_and, has_or = "and" in features.words, "or" in features.words
    return "" if has_and == has_or else "and" if has_and else "or"


def _genders(features: Features) -> tuple[str, ...]:
    return tuple(_GENDERS[word] for word in features.words if word in _GENDERS)


def _exchanged(left: Neighbours, right: Neighbours) -> Finding | None:
    """Two words that have exchanged the word before them, or behind them."""
    moved = [
        word
        for word, (before, after, _) in left.places.items()
        if word in right.places and (before, after) != right.places[word][:2]
    ]
    for side in (0, 1):
        holders = {right.places[word][side]: word for word in moved}
        for word in moved:
            other = holders.get(left.places[word][side])
            if other is None or other == word or left.places[other][side] != right.places[word][side]:
                continue
            here, there = left.places[word][side], left.places[other][side]
            if here == there or (side and "." in (here, there)):
                continue  # "update error 5" and "error 5 of the update": what ends a phrase may move to its front
            if not _are_listed(left, word, other) and not _are_listed(right, word, other):
                return conflict([_shown(left, word, other)], [_shown(right, word, other)])
    return None


def _turned(left: Neighbours, right: Neighbours) -> Finding | None:
    """ "mail from Bob" here and "mail to Bob" there."""
    for word, (before, _, _) in left.places.items():
        there = right.places[word][0] if word in right.places else before
        if before != there and {before, there} == _ENDS_OF_A_WAY:
            return conflict([f"{before} {word}"], [f"{there} {word}"])
    return None


def _are_listed(text: Neighbours, one: str, other: str) -> bool:
    """Whether two words are items of one list, or parts of two items of it: "recessive trait or dominant trait"."""
    first, second = sorted((text.places[one][2], text.places[other][2]))
    between = text.words[first + 1 : second]
    return len(between) <= _BESIDE and not _JOINERS.isdisjoint(between)


def _shown(text: Neighbours, one: str, other: str) -> str:
    return " ... ".join(sorted((one, other), key=lambda word: text.places[word][2]))


def _by_voice(left: tuple[str, ...], right: tuple[str, ...]) -> Finding | None:
    """ "Does Ann like Bob" against "Is Ann liked by Bob" and "Is Bob liked by Ann"."""
    if ("by" in left) == ("by" in right):
        return None
    passive, active = (left, right) if "by" in left else (right, left)
    if passive[0] not in _PASSIVE or active[0] not in _ACTIVE:
        return None
    agent = passive[passive.index("by") + 1 :][:1]
    patient, subject = passive[1:2], active[1:2]
    if subject == agent:
        return agree
    return conflict([f"{subject[0]} does"], [f"{agent[0]} does"]) if agent and subject and subject == patient else None


order = Rule("order", _compare)
