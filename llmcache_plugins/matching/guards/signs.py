"""Accents and signs: what embedders drop or hardly see, and what can be all the difference.

Many models read "schon" and "sch\u00f6n" as one word (they strip the marks), and a lone `.` or `*` moves a vector by
next to nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, leftovers, silent

__all__ = ["accents", "marked_in", "signs", "signs_in"]

_TRIM = ".,;:!?\"'`()[]{}\u2026\u3002\uff0c\uff1f\uff01\u2018\u2019\u201c\u201d\u00ab\u00bb\u00bf\u00a1"
_SENTENCE = 8  # pieces
_PUNCTUATION = frozenset("-\u2013\u2014|/&,:;+\u2022\u00b7\"'`()[]?!\u2026")  # alone between spaces they only separate


def marked_in(features: Features) -> Mapping[str, str]:
    """Words whose letters carry marks and all other words: the form without marks -> the word (NFC, case folded)."""
    words: dict[str, str] = {}
    for piece in features.text.split():
        word = unicodedata.normalize("NFC", piece.strip(_TRIM)).casefold()
        if word:
            words[word if word.isascii() else _bare(word)] = word
    return words


def _bare(word: str) -> str:
    decomposed = unicodedata.normalize("NFD", word)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _compare_accents(asked: Features, stored: Features) -> Finding:
    if asked.text.isascii() and stored.text.isascii():
        return silent
    left, right = asked.get(marked_in), stored.get(marked_in)
    mine, theirs = frozenset(left.values()), frozenset(right.values())
    differing = [bare for bare in left.keys() & right.keys() if left[bare] not in theirs and right[bare] not in mine]
    if differing:
        return conflict((left[bare] for bare in differing), (right[bare] for bare in differing))
    marked = any(word != bare for bare, word in left.items()) and any(word != bare for bare, word in right.items())
    return agree if marked else silent


def signs_in(features: Features) -> tuple[str, ...]:
    """Pieces between spaces without a letter or digit, but those that only separate."""
    pieces = features.text.split()
    if len(pieces) >= _SENTENCE and pieces[-1] == ".":
        del pieces[-1]  # of a sentence; `docker build .` is shorter
    bare = [piece for piece in pieces if not (piece[0].isalnum() or any(map(str.isalnum, piece)))]
    return tuple([piece for piece in bare if not _PUNCTUATION.issuperset(piece)])


def _compare_signs(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(signs_in), stored.get(signs_in)
    if not left and not right:
        return silent
    mine, theirs = leftovers(left, right)
    return conflict(mine, theirs) if mine or theirs else agree


accents = Rule("accents", _compare_accents)
signs = Rule("signs", _compare_signs)
