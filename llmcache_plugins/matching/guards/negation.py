"""Negation: whether the two questions deny the same number of things, odd or even."""

from __future__ import annotations

from typing import NamedTuple

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent
from llmcache_plugins.matching.guards.language import is_english

__all__ = ["NEGATORS", "negated_words", "negation", "negations_in"]

_CONTRACTED = frozenset(
    f"{verb}n{mark}t"
    for verb in (
        "is are was were do does did has have had can could should would must might need wo ai sha ca mustn dare ought"
    ).split()
    for mark in ("'", "")
) - {"cant", "want", "wont", "hadnt"} | {"cant", "wont", "can't", "won't", "dont", "doesnt", "didnt", "isnt"}  # fmt: skip
_PLAIN = frozenset({"not", "never", "cannot", "without", "nobody", "nothing", "none", "neither", "nowhere", "no-one"})
_LACKING = frozenset({"lack", "lacks", "lacking", "fail", "fails", "failed", "failing", "refuse", "refuses", "unable"})
NEGATORS = _CONTRACTED | _PLAIN
_AUXILIARIES_OF_POLITENESS = frozenset({"couldn't", "wouldn't", "won't", "can't", "couldnt", "wouldnt"})
_PRONOUNS = frozenset({"i", "you", "he", "she", "it", "we", "they", "there", "this", "that"})
_FORGET = frozenset({"remember", "recall", "know", "understand", "mind"})  # "I don't know" frames, it denies nothing
_SELF_CONTAINED = frozenset({"matter", "longer"})
_END = frozenset({",", ".", "?"})
_REACH = 4  # how many words behind it a negation is taken to govern


class _Negations(NamedTuple):
    denials: int
    governed: tuple[tuple[int, tuple[str, ...]], ...]  # position of the negation, the words behind it


_NONE = _Negations(0, ())


def negations_in(features: Features) -> _Negations:
    """The negations of an English text that deny something."""
    words = features.words
    found = [
        (position, _governed(words, position))
        for position, word in enumerate(words)
        if (word in NEGATORS or word in _LACKING or word == "no") and _denies(words, position, word)
    ]
    return _Negations(len(found), tuple(found)) if found and is_english(features) else _NONE


def negated_words(features: Features) -> frozenset[int]:
    """Positions in the flow that a negation right before them governs: "not [yet, be, being] up"."""
    words = features.words
    positions: set[int] = set()
    for position, governed in features.get(negations_in).governed:
        if words[position] in _LACKING or words[position] == "without":
            continue
        step = position + 1
        skipped = (
            "yet",
            "be",
            "being",
            "been",
            "get",
            "getting",
            "go",
            "going",
            "come",
            "coming",
            "currently",
            "the",
            "it",
        )
        while step < len(words) and (words[step] in skipped or words[step] in _PRONOUNS) and step - position < _REACH:
            step += 1
        positions.add(step)
        if len(governed) > 1 and words[position] not in ("not", "never", "no"):
            positions.add(step + 1)  # "isn't BGP up", "doesn't eth0 start"
    return frozenset(positions)


def _governed(words: tuple[str, ...], position: int) -> tuple[str, ...]:
    behind = words[position + 1 : position + 1 + _REACH]
    for step, word in enumerate(behind):
        if word in _END:
            return behind[:step]
    return behind


def _denies(words: tuple[str, ...], position: int, word: str) -> bool:
    """Whether the negation at `position` denies something: tags, politeness and set phrases do not."""
    before = words[position - 1] if position else ""
    after = words[position + 1] if position + 1 < len(words) else ""
    behind = words[position + 2] if position + 2 < len(words) else ""
    if word == "no":
        return not (
            after in ("", ",", ".", "?", "matter", "problem", "doubt")
            or after[:1].isdigit()
            or before in ("or", "yes", "roll")
        )
    if word == "not":
        return not (
            before == "or" or (before == "why" and (after in _END or after == "" or behind == ""))
            or after in ("only", "just", "sure", "certain") or after in _END or after == "" and before in ("or", "why")
            or after in _FORGET
        )  # fmt: skip
    if word in _CONTRACTED:
        is_tag = after in _PRONOUNS and (behind in ("?", "", ".") or words[position + 1 :] == (after,)) and position > 1
        is_polite = (word in _AUXILIARIES_OF_POLITENESS) and after == "you" and before in ("", ",", ".", "?", "please")
        return not (is_tag or is_polite or after in _FORGET or behind in ("just", "only"))
    if word == "nothing":
        return after != "but"
    if word == "none":
        return before != "or"
    return not (word == "without" and after in ("limit", "doubt"))


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(negations_in), stored.get(negations_in)
    if not left.denials and not right.denials:
        return silent
    if not is_english(asked) or not is_english(stored):
        return silent
    if (_unexplained(left, asked, stored) - _unexplained(right, stored, asked)) % 2 == 0:
        return agree if left.denials and right.denials else silent
    return conflict((" ".join(w) for _, w in left.governed), (" ".join(w) for _, w in right.governed))


def _unexplained(mine: _Negations, features: Features, other: Features) -> int:
    """My negations less those that the other text puts as an opposite: "not up" and "down"."""
    if not mine.denials:
        return 0
    from_opposites = features.get(_negated_poles)
    return mine.denials - sum((pair, 1 - side) in other.get(_plain_poles) for pair, side in from_opposites)


def _negated_poles(features: Features) -> tuple[tuple[int, int], ...]:
    from llmcache_plugins.matching.guards.opposites import poles_in  # they need each other; opposites loads this first

    return tuple((pole.pair, pole.word_side) for pole in features.get(poles_in) if pole.is_negated)


def _plain_poles(features: Features) -> frozenset[tuple[int, int]]:
    from llmcache_plugins.matching.guards.opposites import poles_in

    return frozenset((pole.pair, pole.word_side) for pole in features.get(poles_in) if not pole.is_negated)


negation = Rule("negation", _compare)
