"""What stands in one question for what in the other: "buy" for "purchase" asks the same, "school" for "library" another
thing. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from llmcache_plugins.matching.lexicon import Kind, Relation, Word, relation_of, word_of

__all__ = ["exchanged"]

_NOUNS: frozenset[Kind] = frozenset(("notion", "thing"))
_THINGS: frozenset[Kind] = frozenset(("thing",))
_MOST_PAIRS = 100  # of unmatched words: two texts that have more are far apart anyway


def exchanged(mine: frozenset[str], theirs: frozenset[str]) -> tuple[float, ...]:
    """How the unmatched words of two questions stand to each other: `related` to `unfamiliar` of `EVIDENCE`, in that
    order. Symmetric: of what one side and the other side say, the smaller count.

    Args:
        mine: stems of one question that have no counterpart in the other.
        theirs: those of the other.
    """
    fewer = min(len(mine), len(theirs))
    if len(mine) * len(theirs) > _MOST_PAIRS:
        return 0.0, float(fewer), 0.0, 0.0, 0.0, 0.0, 0.0
    words, their_words = [word_of(stem) for stem in mine], [word_of(stem) for stem in theirs]
    table = [[relation_of(word, other) for other in their_words] for word in words]
    apart, siblings, opposed = _read(words, table)
    their_apart, their_siblings, _ = _read(their_words, list(zip(*table, strict=True)))
    related = min(len(words) - len(apart), len(their_words) - len(their_apart))
    nouns = min(_count(apart, _NOUNS), _count(their_apart, _NOUNS))
    things = min(_count(apart, _THINGS), _count(their_apart, _THINGS))
    unfamiliar = words.count(None) + their_words.count(None)
    return tuple(
        map(float, (related, fewer - related, min(siblings, their_siblings), opposed, nouns, things, unfamiliar))
    )


def _read(words: Sequence[Word | None], table: Sequence[Sequence[Relation]]) -> tuple[list[Word | None], int, bool]:
    """The words of one side without a synonym on the other, how many of them have a sibling there, and whether any word
    has its opposite there. `table`: a row for each word."""
    apart, siblings, opposed = [], 0, False
    for word, row in zip(words, table, strict=False):
        opposed = opposed or "opposite" in row
        if "same" not in row:
            apart.append(word)
            siblings += "siblings" in row
    return apart, siblings, opposed


def _count(words: Iterable[Word | None], kinds: frozenset[Kind]) -> int:
    return sum(word is not None and word.kind in kinds for word in words)
