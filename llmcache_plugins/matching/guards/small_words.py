"""Small words that carry the meaning when all other words are the same: when and how, is and was, must and may, who
did it and whom it was done to.

People vary small words freely, so this guard looks only at questions whose content words are equal one by one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of
from llmcache_plugins.matching.stems import stem_of

__all__ = ["BEARING", "small_words"]

BEARING = {
    word: kind
    for kind, words in {
        "who": "who whom whose who's",
        "when": "when when's",
        "where": "where where's",
        "why": "why why's",
        "how": "how how's",
        "what": "what which what's whats",
        "past": "was were did had wasn't weren't didn't hadn't",
        "future": "will won't shall",
        "must": "must required supposed obliged",
        "should": "should shouldn't ought",
        "may": "may allowed permitted",
        "all": "all every everything everyone",
        "any": "any anything anyone",
    }.items()
    for word in words.split()
}
_ASKING = ("who", "when", "where", "why", "how")  # people say "what" for each of them
_MODES = ("must", "should", "may")
_OTHER = words_of(
    """a an the of to in on at for from by with about as do does is are am be been being have has can could would might
    i me my mine we us our ours you your yours he him his she her hers they them their theirs it its this that these
    those there here so then just also please kindly tell show give want need like know let's let get got ? . ,"""
)
_VERBS = words_of("is are am do does was were did")
_LISTING = words_of("show list display find get give search are is there have has do does")


_NO_CONTENT = BEARING.keys() | _OTHER


class _Frame(NamedTuple):
    """What the small words around the content words say."""

    asking: frozenset[str]
    modes: frozenset[str]
    is_past: bool
    is_verb_first: bool
    amounts: frozenset[str]
    is_listing: bool
    role: tuple[str, str]


def _content_words(features: Features) -> list[str]:
    return [word for word in features.words if word not in _NO_CONTENT]


def _content(features: Features) -> tuple[str, ...]:
    """Stems of the content words, sorted: most pairs differ in them, and then nothing else need be known."""
    return tuple(sorted([stem_of(word) for word in features.get(_content_words)]))


def _frame(features: Features) -> _Frame:
    words = features.words
    found = {BEARING[word] for word in words if word in BEARING}
    for first, second in pairwise(words):
        if first in ("have", "has", "need", "needs") and second == "to":
            found.add("must")
        elif first in ("how", "what") and second == "about":
            found.discard(first)
    start = next((place for place, word in enumerate(words) if word not in (",", ".", "?")), 0)
    return _Frame(
        asking=frozenset(found.intersection(_ASKING)),
        modes=frozenset(found.intersection(_MODES)),
        is_past=_tense_of(words, start) == "past",
        is_verb_first=start < len(words) and words[start] in _VERBS,
        amounts=frozenset(found.intersection(("all", "any"))),
        is_listing=bool(words) and words[start] in _LISTING,
        role=_role_of(words),
    )


def _role_of(words: tuple[str, ...]) -> tuple[str, str]:
    """Whether "who" or "what" asks for the one who does it ("who called Ann") or for the other one ("who did Ann
    call"), and the stem of the first content word behind it."""
    asking = next((place for place, word in enumerate(words) if word in ("who", "what")), len(words))
    behind = words[asking + 1 : asking + 2]
    if not behind:
        return "", ""
    is_object = behind[0] in ("do", "does", "did")
    rest = words[asking + 2 :] if is_object else behind
    first = next((word for word in rest if word not in _NO_CONTENT), "")
    return ("object" if is_object else "subject" if first else ""), stem_of(first)


def _tense_of(words: tuple[str, ...], start: int) -> str:
    """Tense of the verb a question of yes or no opens with; behind a question word people mix the tenses."""
    return BEARING.get(words[start], "") if start < len(words) else ""


def _compare(asked: Features, stored: Features) -> Finding:
    count = len(asked.get(_content_words))  # as many words, before the stems of any are made
    if not count or count != len(stored.get(_content_words)) or asked.get(_content) != stored.get(_content):
        return silent
    left, right = asked.get(_frame), stored.get(_frame)
    if left == right:
        return agree
    if left.asking and right.asking and left.asking.isdisjoint(right.asking):
        return conflict(left.asking, right.asking)
    if left.is_past != right.is_past and left.is_verb_first and right.is_verb_first:
        return conflict(["past"] if left.is_past else ["present"], ["past"] if right.is_past else ["present"])
    if {left.role[0], right.role[0]} == {"subject", "object"} and left.role[1] != right.role[1]:
        return conflict([" ".join(left.role)], [" ".join(right.role)])
    if left.modes and right.modes and left.modes.isdisjoint(right.modes):
        return conflict(left.modes, right.modes)
    if left.amounts and right.amounts and left.amounts.isdisjoint(right.amounts):
        return silent if left.is_listing or right.is_listing else conflict(left.amounts, right.amounts)
    return silent


small_words = Rule("small_words", _compare)
