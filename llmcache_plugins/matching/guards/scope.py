"""How much of a thing a text speaks of: the largest, the second, at least three, only, always, both at once.

Two different superlatives or bounds are a conflict; one that only one text has is a conflict where little else tells
the texts apart. "The best", "the top" and "some" are said so lightly that they never count.
"""

from __future__ import annotations

from typing import NamedTuple

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of
from llmcache_plugins.matching.guards.content import are_alike
from llmcache_plugins.matching.guards.language import is_english

__all__ = ["Scope", "scope", "scope_of"]

_SUPERLATIVES = {
    word: group.split()[0]
    for group in """
        largest biggest hugest|smallest tiniest|longest|shortest|highest tallest|lowest|cheapest|costliest
        |latest newest|earliest|oldest|youngest|deepest|shallowest|widest|narrowest|heaviest|lightest|hottest|coldest
        |warmest|coolest|richest wealthiest|poorest|strongest|weakest|brightest|darkest|hardest|softest|densest
        |nearest closest|farthest furthest|safest|deadliest|rarest|busiest|loudest|quietest|driest|wettest|thinnest
        |thickest|sharpest|smartest|slowest|dirtiest|cleanest|healthiest|happiest|prettiest|ugliest|worst
        |easiest simplest|fastest quickest""".replace("\n", " ").split("|")
    for word in group.split()
}  # fmt: skip
_LIGHT = words_of("easiest fastest slowest worst smartest latest")  # "the fastest way" is often just "the way"
_LIGHT_MOST = words_of("popular important")
_NOUN_LIGHT = words_of("way ways method methods")
_SAID_ELSE = {  # words of the other text that say it in another way
    "first": words_of("firstly oldest earliest initial initially original originally"),
    "last": words_of("latest recent final lastly"), "final": words_of("last"),
    "latest": words_of("last new recent newly"), "new": words_of("latest last newest recently newly now current"),
    "oldest": words_of("first earliest"), "earliest": words_of("first oldest"),
    "becoming": words_of("become becomes be being get getting"),
    "only": words_of("just alone solely exclusively sole"),
}  # fmt: skip
_MOST = {
    **dict.fromkeys(words_of("popular famous used common known"), "popular"),
    **dict.fromkeys(words_of("expensive costly"), "costliest"),
    **dict.fromkeys(words_of("populous populated"), "populous"),
    **dict.fromkeys(words_of("recent"), "latest"),
    **dict.fromkeys(words_of("difficult"), "hardest"),
    **dict.fromkeys(words_of("powerful"), "strongest"),
    **dict.fromkeys(words_of("dangerous"), "deadliest"),
    **dict.fromkeys(words_of("important significant"), "important"),
}
_OPPOSITE_OF_MOST = {"costliest": "cheapest", "hardest": "easiest", "strongest": "weakest", "deadliest": "safest"}
_ORDINALS = {"second": 2, "third": 3, "fourth": 4, "fifth": 5, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5}
_PLACES = words_of("first second third fourth fifth last final 1st 2nd 3rd")
_NOT_PLACES = words_of("time times name names at of place step thing things aid order hand")
_BOUNDS = {
    ("at", "least"): "from", ("no", "less"): "from", ("no", "fewer"): "from", ("or", "more"): "from",
    ("or", "above"): "from", ("and", "above"): "from", ("more", "than"): "above", ("greater", "than"): "above",
    ("larger", "than"): "above", ("higher", "than"): "above", ("at", "most"): "to", ("no", "more"): "to",
    ("or", "less"): "to", ("or", "fewer"): "to", ("up", "to"): "to", ("less", "than"): "below",
    ("fewer", "than"): "below", ("lower", "than"): "below", ("smaller", "than"): "below",
}  # fmt: skip
_UPWARDS = frozenset({"from", "above"})
_LONE = {  # what changes an answer when only one of two texts has it
    **dict.fromkeys(words_of("only solely exclusively"), "only"),
    **dict.fromkeys(words_of("simultaneously concurrently"), "at once"),
    **dict.fromkeys(words_of("becoming"), "becoming"),
    **dict.fromkeys(words_of("former formerly ex"), "former"),
    **dict.fromkeys(words_of("new newer recent recently"), "new"),
    **dict.fromkeys(words_of("instead"), "instead"),
    **dict.fromkeys(words_of("half"), "half"),
    **dict.fromkeys(words_of("minor"), "minor"),
    **dict.fromkeys(words_of("capita"), "per capita"),
    **dict.fromkeys(words_of("nonstop"), "nonstop"),
    **dict.fromkeys(words_of("cheap"), "cheap"),
}
_AMOUNTS = words_of("most some few all")
_BEFORE_NO_AMOUNT = words_of("the a at is are was were its their my your our what which")  # "what are some ways"
_LISTING = words_of("show list display find get give what which name tell")
_CUES = (
    _AMOUNTS
    | _SUPERLATIVES.keys()
    | _LONE.keys()
    | _PLACES
    | {"most", "least"}
    | frozenset(first for first, _ in _BOUNDS)
)


class Scope(NamedTuple):
    superlatives: frozenset[str]
    light: frozenset[str]  # superlatives that may be left out
    bounds: frozenset[str]
    places: frozenset[str]
    lone: frozenset[str]
    words: frozenset[str]  # all words above
    amounts: frozenset[str]  # "most cats", "some cats"
    not_only: frozenset[str]  # the word behind "not only"


_NONE = Scope(*(frozenset[str](),) * 8)


def scope_of(features: Features) -> Scope:
    """The words of scope in an English text."""
    words = features.words
    if _CUES.isdisjoint(words) or not is_english(features):
        return _NONE
    superlatives: set[str] = set()
    light: set[str] = set()
    bounds: set[str] = set()
    places: set[str] = set()
    lone: set[str] = set()
    amounts: set[str] = set()
    not_only: set[str] = set()
    used: set[str] = set()
    for position, word in enumerate(words):
        if word not in _CUES:
            continue
        before = words[position - 1] if position else ""
        after = words[position + 1] if position + 1 < len(words) else ""
        used.add(word)
        if (word, after) in _BOUNDS:
            bounds.add(_BOUNDS[word, after])
            used.add(after)
        elif word in _SUPERLATIVES or (word in ("most", "least") and after in _MOST):
            value = _superlative(word, after)
            (light if word in _LIGHT or value in _LIGHT_MOST or after in _NOUN_LIGHT else superlatives).add(
                f"{_ORDINALS[before]} {value}" if before in _ORDINALS else value
            )
            used.add(after if word in ("most", "least") else word)
        elif word in _PLACES and after not in _NOT_PLACES and after.isalpha() and after not in _SUPERLATIVES:
            places.add(word)
        if word in _AMOUNTS and before not in _BEFORE_NO_AMOUNT and after.isalpha() and after not in _MOST:
            amounts.add(f"{word} {after}")
        if word == "only" and before == "not":
            not_only.add(after)
        elif word in _LONE and before not in ("most", "least"):
            lone.add(_LONE[word])
    return Scope(*map(frozenset, (superlatives, light, bounds, places, lone, used, amounts, not_only)))


def _superlative(word: str, after: str) -> str:
    if word == "most":
        return _MOST[after]
    if word == "least":
        return _OPPOSITE_OF_MOST.get(_MOST[after], f"least {_MOST[after]}")
    return _SUPERLATIVES[word]


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(scope_of), stored.get(scope_of)
    if left is _NONE and right is _NONE:
        return silent
    if left == right:
        return agree
    mine, theirs = left.superlatives | left.light, right.superlatives | right.light
    if mine and theirs and not mine & theirs:
        return conflict(mine, theirs)
    if (left.not_only and "only" in right.lone) or (right.not_only and "only" in left.lone):
        return conflict(left.lone or ["not only"], right.lone or ["not only"])
    if left.bounds and right.bounds and (left.bounds & _UPWARDS == set()) != (right.bounds & _UPWARDS == set()):
        return conflict(left.bounds, right.bounds)
    differing = [
        (one, other)
        for one, other in (
            (_unsaid(left.superlatives - theirs, stored), _unsaid(right.superlatives - mine, asked)),
            (_unsaid(left.places, stored), _unsaid(right.places, asked)),
            (_unsaid(left.lone, stored), _unsaid(right.lone, asked)),
            (left.bounds, right.bounds),
        )
        if bool(one) != bool(other)
    ]
    is_listing = _lists(asked) or _lists(stored)
    if not is_listing and _has_other_amounts(left, right) and are_alike(asked, stored, left.words | right.words):
        return conflict(left.amounts, right.amounts)
    if differing and are_alike(asked, stored, left.words | right.words, most=0):
        return conflict(differing[0][0], differing[0][1])
    return silent


def _has_other_amounts(left: Scope, right: Scope) -> bool:
    """Whether it is most of a thing here and only some of it there."""
    nouns = {amount.partition(" ")[2] for amount in left.amounts - right.amounts}
    return any(amount.partition(" ")[2] in nouns for amount in right.amounts - left.amounts)


def _lists(features: Features) -> bool:
    """Whether a text wants things named: then "all" and "some" are the same wish."""
    return not _LISTING.isdisjoint(features.words[:4])


def _unsaid(values: frozenset[str], other: Features) -> frozenset[str]:
    return frozenset(value for value in values if _SAID_ELSE.get(value, frozenset()).isdisjoint(other.words))


scope = Rule("scope", _compare)
