"""How two English words stand to each other: "buy" and "purchase" mean the same, "school" and "library" do not. Pure,
some microseconds.

The relations are those of WordNet 3.0 (Princeton University; the licence lies beside the file), of the commonest senses
of each word; `training/make_lexicon.py` makes the file.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

__all__ = ["KINDS", "RELATIONS", "Kind", "Relation", "Word", "relation_of", "word_of"]

RELATIONS = ("own", "near", "above", "opposite")
"""Of a stem: the sets of synonyms it is in, those near them, those they are a kind of, and those of the opposite."""

Kind: TypeAlias = Literal["other", "verb", "notion", "thing"]
KINDS: tuple[Kind, ...] = ("other", "verb", "notion", "thing")
"""What a word mostly is: `thing`, a noun for a person, a place or what can be touched; `notion`, another noun."""

Relation: TypeAlias = Literal["same", "opposite", "siblings", "apart", "unknown"]
"""`same`: synonyms, or nearly; `siblings`: two kinds of one thing; `apart`: neither; `unknown`: one is not in here."""

_REMEMBERED = 16_384  # stems


class Word(NamedTuple):
    """What a stem means: the sets of synonyms it is in, those close to them (of nearly the same meaning, or what they
    are a kind of), those that they are a kind of, and the opposite ones."""

    own: frozenset[int]
    close: frozenset[int]
    above: frozenset[int]
    opposite: frozenset[int]
    kind: Kind


class _Lexicon(NamedTuple):
    places: Mapping[str, int]
    kinds: bytes
    ends: tuple[array[int], ...]  # in the order of RELATIONS
    sets: tuple[array[int], ...]

    def word(self, stem: str) -> Word | None:
        place = self.places.get(stem)
        if place is None:
            return None
        own, near, above, opposite = (
            frozenset(sets[ends[place - 1] if place else 0 : ends[place]])
            for ends, sets in zip(self.ends, self.sets, strict=True)
        )
        return Word(own, near | above, above, opposite, KINDS[self.kinds[place]])


@lru_cache(_REMEMBERED)
def word_of(stem: str) -> Word | None:
    """None for a stem that is not in here.

    >>> [word and word.kind for word in map(word_of, ("farm", "reason", "delet", "red", "qwertz"))]
    ['thing', 'notion', 'verb', 'other', None]
    """
    return _lexicon().word(stem)


def relation_of(one: Word | None, other: Word | None) -> Relation:
    """How two words stand to each other. Symmetric.

    >>> relation_of(word_of("buy"), word_of("purchas")), relation_of(word_of("husband"), word_of("wife"))
    ('same', 'opposite')
    """
    if one is None or other is None:
        return "unknown"
    if not one.own.isdisjoint(other.own):
        return "same"
    if not (one.opposite.isdisjoint(other.own) and other.opposite.isdisjoint(one.own)):
        return "opposite"
    if not (one.close.isdisjoint(other.own) and other.close.isdisjoint(one.own)):
        return "same"
    return "apart" if one.above.isdisjoint(other.above) else "siblings"


@cache
def _lexicon() -> _Lexicon:
    file = resources.files("llmcache_plugins.matching") / "lexicon" / "english.npz"
    with file.open("rb") as opened, np.load(opened, allow_pickle=False) as content:
        words = content["words"].tobytes().decode("ascii").split("\n")
        # Arrays of Python: a single number, or a few, come out of them ten times as fast as out of numpy's.
        ends = tuple(array("L", content[f"{relation}_ends"].tolist()) for relation in RELATIONS)
        sets = tuple(array("L", content[relation].tolist()) for relation in RELATIONS)
        kinds = content["kinds"].tobytes()
    return _Lexicon({word: place for place, word in enumerate(words)}, kinds, ends, sets)
