"""Polarity in European languages other than English: negations, "with" and "without", opposites by prefix or word."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent
from llmcache_plugins.matching.guards.foreign_words import (
    CLAUSE_ENDS,
    NEGATORS,
    NOT_ONLY,
    OPPOSITES,
    PREFIXES,
    SPANISH,
    WITH,
    WITHOUT,
)
from llmcache_plugins.matching.guards.language import has_english, is_english
from llmcache_plugins.matching.guards.opposite_pairs import PREFIX_EXCEPTIONS

__all__ = ["Polarity", "foreign_polarity", "polarity_in"]

_SHORTEST_STEM = 4
_ALIKE = 5  # letters of a stem that must be equal: "aktiviere" and "deaktiviert"
_LONGEST = _ALIKE + max(len(one) for one, _ in PREFIXES)
_MOST_WORDS = 64  # words of one text that the other lacks: with more, the texts are no look-alikes
_END = frozenset({",", ".", "?"})


class Polarity(NamedTuple):
    """What a text denies, whether it says "without", and the last words of its clauses."""

    negators: tuple[str, ...]
    has_without: bool
    ends: frozenset[str]
    words: frozenset[str]


def _stems() -> dict[str, tuple[tuple[int, int], ...]]:
    stems: dict[str, list[tuple[int, int]]] = {}
    for number, line in enumerate(OPPOSITES):
        for side, words in enumerate(line.split(" | ")):
            for word in words.split():
                stems.setdefault(word, []).append((number, side))
    return {stem: tuple(poles) for stem, poles in stems.items()}


_PARTICLES = frozenset(word for pair in CLAUSE_ENDS for word in pair)
_STEMS = _stems()
_LENGTHS = sorted({len(stem) for stem in _STEMS})


def polarity_in(features: Features) -> Polarity:
    words = features.words
    unique = frozenset(words)
    found = [word for position, word in enumerate(words) if word in NEGATORS and not _is_not_only(words, position)]
    if "no" in unique and not unique.isdisjoint(SPANISH):
        found += [word for position, word in enumerate(words) if word == "no" and not _is_not_only(words, position)]
    return Polarity(
        tuple(found),
        not unique.isdisjoint(WITHOUT),
        frozenset(
            word
            for position, word in enumerate(words)
            if word not in _END and (position + 1 == len(words) or words[position + 1] in _END)
        ),
        frozenset(word for word in unique if word not in _END),
    )


def _is_not_only(words: tuple[str, ...], position: int) -> bool:
    return position + 1 < len(words) and words[position + 1] in NOT_ONLY


def _compare(asked: Features, stored: Features) -> Finding:
    if has_english(asked) or has_english(stored):
        return silent
    left, right = asked.get(polarity_in), stored.get(polarity_in)
    if is_english(asked) and is_english(stored) and asked.text.isascii() and stored.text.isascii():
        return _by_prefix(left, right)  # "activar SSH": no small word says which language it is
    if bool(left.negators) != bool(right.negators):
        return conflict(left.negators, right.negators)
    if left.has_without != right.has_without:
        return conflict(left.words & (WITH | WITHOUT), right.words & (WITH | WITHOUT))
    mine, theirs = left.words - right.words, right.words - left.words
    for one in mine & _PARTICLES & left.ends:
        for other in theirs & _PARTICLES & right.ends:
            if (one, other) in CLAUSE_ENDS:
                return conflict([one], [other])
    opposed = _by_word(mine, theirs)
    if opposed is not None:
        return opposed
    found = _by_prefix(left, right)
    if found is silent and left.negators:
        return agree
    return found


def _by_word(mine: frozenset[str], theirs: frozenset[str]) -> Finding | None:
    """One side of a pair here and the other side there, in words that only one of the texts has."""
    if len(mine) > _MOST_WORDS or len(theirs) > _MOST_WORDS:
        return None
    poles = {pole: word for word in mine for pole in _poles_of(word)}
    for word in sorted(theirs):
        for number, side in _poles_of(word):
            if (number, 1 - side) in poles:
                return conflict([poles[number, 1 - side]], [word])
    return None


@lru_cache(maxsize=4096)
def _poles_of(word: str) -> tuple[tuple[int, int], ...]:
    found = list(_STEMS.get(word, ()))
    for length in _LENGTHS:
        if length <= len(word) + 1:
            found += _STEMS.get(f"{word[: length - 1]}*", ())
    return tuple(found)


def _by_prefix(left: Polarity, right: Polarity) -> Finding:
    mine = frozenset(word for word in left.words - right.words if word.isalpha())
    theirs = frozenset(word for word in right.words - left.words if word.isalpha())
    if not mine or not theirs or len(mine) > _MOST_WORDS or len(theirs) > _MOST_WORDS:
        return silent
    found = _prefixed(mine, theirs)
    if found is not None:
        return conflict([found[0]], [found[1]])
    found = _prefixed(theirs, mine)  # endings are cut to a length that depends on the side that has the prefix
    return silent if found is None else conflict([found[1]], [found[0]])


def _prefixed(mine: frozenset[str], theirs: frozenset[str]) -> tuple[str, str] | None:
    """A word of mine and one of theirs that differ by a prefix of the other polarity."""
    stems = {
        word[:length]: word for word in sorted(theirs) for length in range(_SHORTEST_STEM, min(len(word), _LONGEST) + 1)
    }
    for word in sorted(mine - PREFIX_EXCEPTIONS):
        for one, other in PREFIXES:
            stem = word[len(one) :]
            if len(stem) < _SHORTEST_STEM or not word.startswith(one):
                continue
            found = stems.get(other + stem[:_ALIKE] if len(stem) > _ALIKE else other + stem)
            if found is not None:
                return word, found
    return None


foreign_polarity = Rule("foreign_polarity", _compare)
