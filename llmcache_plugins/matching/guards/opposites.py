"""Opposites: one text has one side of a pair, the other text the other side."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of
from llmcache_plugins.matching.guards.language import is_english
from llmcache_plugins.matching.guards.negation import negated_words, words_denied
from llmcache_plugins.matching.guards.opposite_pairs import IRREGULAR, PAIRS, PARTICLES, PREFIX_EXCEPTIONS
from llmcache_plugins.matching.guards.opposite_qualities import QUALITIES

__all__ = ["Pole", "derived_in", "opposites", "poles_in"]

_PREFIXES = ("un", "dis", "non", "in", "im", "ir", "il", "de", "mis")
_SHORTEST_STEM = {"un": 3, "dis": 4, "non": 4, "in": 4, "im": 4, "ir": 5, "il": 5, "de": 6, "mis": 5}
_EXCHANGED = tuple(  # prefixes that are each other's opposite: "inclusive", "exclusive"
    (one, other)
    for pair in (
        "in ex", "in out", "im ex", "in de", "en de", "as de", "up down", "over under", "hyper hypo", "pre post",
        "micro macro", "intra inter", "mono multi", "mono poly", "uni multi", "multi single", "uni bi", "homo hetero",
        "max min", "anti pro", "sub super",
    )
    for one, other in (pair.split(), pair.split()[::-1])
)  # fmt: skip
_BEGINNINGS = frozenset({prefix[:2] for prefix in _PREFIXES} | {one[:2] for one, _ in _EXCHANGED})
_SHORTEST_EXCHANGED = 4
_PARTICLE_REACH = 4  # "turn the port of the switch off": words between the verb and its particle, at most
_ADVERBIAL = frozenset({"up", "down"})
_BEFORE_STATE = words_of(
    """is are was were be been being not isn't aren't wasn't it's stays stay went goes go going gone came come
    comes keeps link status state interface interfaces port ports session sessions neighbor neighbors peer peers"""
)


class Pole(NamedTuple):
    """One word of a pair in a text: which pair, which side the word is on, and whether a negation governs it."""

    pair: int
    word_side: int
    is_negated: bool
    word: str

    @property
    def side(self) -> int:
        return 1 - self.word_side if self.is_negated else self.word_side


def _inflected(verb: str) -> Iterator[str]:
    yield verb
    if verb in IRREGULAR:
        yield from IRREGULAR[verb].split()
        return
    stem = verb[:-1] if verb.endswith("e") else verb
    ends_short = len(verb) > 2 and verb[-1] in "bdgklmnprt" and verb[-2] in "aeiou" and verb[-3] not in "aeiou"
    if verb.endswith("y") and verb[-2] not in "aeou":
        yield from (f"{verb[:-1]}ies", f"{verb[:-1]}ied", f"{verb}ing")
        return
    yield f"{verb}es" if verb.endswith(("s", "sh", "ch", "x", "z")) else f"{verb}s"
    yield from (f"{stem}ed", f"{stem}ing")
    if ends_short:
        yield from (f"{verb}{verb[-1]}ed", f"{verb}{verb[-1]}ing")


def _two_sided(line: str) -> Iterator[tuple[str, str, str]]:
    """Kind and both sides of every pair that a line stands for."""
    kind, _, rest = line.partition(": ")
    for one, other in combinations(rest.split(" | "), 2):
        yield kind, one, other


_LINES = [pair for line in (*PAIRS, *QUALITIES) for pair in _two_sided(line)]


def _index() -> dict[str, tuple[tuple[int, int], ...]]:
    index: dict[str, list[tuple[int, int]]] = {}
    for number, (kind, *sides) in enumerate(_LINES):
        for side, words in enumerate(sides):
            for word in words.split():
                for form in _inflected(word) if kind == "v" else (word,):
                    index.setdefault(form, []).append((number, side))
    return {form: tuple(dict.fromkeys(poles)) for form, poles in index.items()}


def _particle_index() -> dict[str, tuple[tuple[int, int, frozenset[str]], ...]]:
    index: dict[str, list[tuple[int, int, frozenset[str]]]] = {}
    for number, line in enumerate(PARTICLES, start=len(_LINES)):
        verbs, *particles = line.split(" | ")
        forms = frozenset(form for verb in verbs.split() for form in (*_inflected(verb), *_PAST.get(verb, ())))
        for side, particle in enumerate(particles):
            index.setdefault(particle, []).append((number, side, forms))
    return {particle: tuple(poles) for particle, poles in index.items()}


_PAST = {
    "come": ("came", "coming"),
    "go": ("went", "going", "gone", "goes"),
    "bring": ("brought",),
    "put": ("putting",),
}
_POLES = _index()
_PARTICLE_POLES = _particle_index()
_PARTICLE_VERBS = {
    particle: frozenset(verb for _, _, verbs in poles for verb in verbs) for particle, poles in _PARTICLE_POLES.items()
}
_CUES = _POLES.keys() | _PARTICLE_POLES.keys()


def poles_in(features: Features) -> tuple[Pole, ...]:
    """The words of an English text that have an opposite, in order."""
    words = features.words
    places = [position for position, word in enumerate(words) if word in _CUES]
    if not places or not is_english(features):
        return ()
    negated = features.get(negated_words)
    found: list[Pole] = []
    for position in places:
        word = words[position]
        if word in _PARTICLE_POLES:
            window = words[max(0, position - 1 - _PARTICLE_REACH) : position]
            if not _PARTICLE_VERBS[word].isdisjoint(window):
                found.extend(
                    Pole(pair, side, position in negated, word)
                    for pair, side, verbs in _PARTICLE_POLES[word]
                    if not verbs.isdisjoint(window)
                )
        if word in _ADVERBIAL and not _is_state(words, position):
            continue
        found.extend([Pole(pair, side, position in negated, word) for pair, side in _POLES.get(word, ())])
    return tuple(found)


def _is_state(words: tuple[str, ...], position: int) -> bool:
    """Whether "up" or "down" says how something is: "is up", "BGP down?"; not "look up the name"."""
    if position and words[position - 1] in _BEFORE_STATE:
        return True
    return position + 1 == len(words) or words[position + 1] in (".", ",", "?", "on", "after", "in", "at", "again")


def _sides(features: Features) -> dict[int, tuple[int, int]]:
    """Pair -> how often the text has its first side, and its second."""
    sides: dict[int, tuple[int, int]] = {}
    for pole in features.get(poles_in):
        first, second = sides.get(pole.pair, (0, 0))
        sides[pole.pair] = (first, second + 1) if pole.side else (first + 1, second)
    return sides


def _clash(left: tuple[int, int], right: tuple[int, int]) -> bool:
    """One side here and the other there; or as many words of the pair in both, but not of the same sides."""
    if left == right:
        return False
    return sum(left) == sum(right) or (0 in left and 0 in right and (left[0] == 0) != (right[0] == 0))


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(_sides), stored.get(_sides)
    shared = left.keys() & right.keys() if left and right else ()
    clashing = [p for p in shared if _clash(left[p], right[p]) and not _is_same_word(p, asked, stored)]
    if clashing:
        return conflict(_words(asked, clashing), _words(stored, clashing))
    prefixed = _prefix_clash(asked, stored)
    if prefixed:
        return conflict(*prefixed)
    return agree if shared else silent


def _is_same_word(pair: int, asked: Features, stored: Features) -> bool:
    """The same single word in both texts, denied in one: whether the other denies it further away ("isn't ... up" for
    "not up") is for the guard of negations to say."""
    mine = [pole.word for pole in asked.get(poles_in) if pole.pair == pair]
    return len(mine) == 1 and mine == [pole.word for pole in stored.get(poles_in) if pole.pair == pair]


def _words(features: Features, pairs: list[int]) -> set[str]:
    return {("not " if pole.is_negated else "") + pole.word for pole in features.get(poles_in) if pole.pair in pairs}


def _prefix_clash(asked: Features, stored: Features) -> tuple[list[str], list[str]] | None:
    """ "unreachable" here and "reachable" there, or "stateful" and "stateless", and neither text has both."""
    left, right = asked.get(derived_in), stored.get(derived_in)
    if not left and not right:
        return None
    my_words, their_words = asked.get(_word_set), stored.get(_word_set)
    my_denied, their_denied = asked.get(words_denied), stored.get(words_denied)
    for derived, mine, theirs, denied, denied_there, is_swapped in (
        (left, my_words, their_words, my_denied, their_denied, False),
        (right, their_words, my_words, their_denied, my_denied, True),
    ):
        for word, opposite in derived:
            if opposite in theirs and word not in theirs and opposite not in mine:
                if (word in denied) != (opposite in denied_there):
                    continue  # "not reachable" is "unreachable": the guard of negations counts that
                return ([opposite], [word]) if is_swapped else ([word], [opposite])
    return None


def derived_in(features: Features) -> tuple[tuple[str, str], ...]:
    """Words of an English text whose prefix or ending has an opposite, with the words that would be it."""
    found: list[tuple[str, str]] = []
    for word in features.words:
        if len(word) > 4:
            if word[:2] in _BEGINNINGS:
                found.extend((word, opposite) for opposite in _without_prefix(word))
            if word.endswith("less") and len(word) > 6:
                stem = word[:-4]
                found.extend((word, opposite) for opposite in (f"{stem}ful", f"{stem}d", f"{stem}ed"))
    return tuple(found) if found and is_english(features) else ()


@lru_cache(maxsize=4096)
def _without_prefix(word: str) -> tuple[str, ...]:
    found = [
        other + word[len(one) :]
        for one, other in _EXCHANGED
        if word.startswith(one) and len(word) - len(one) >= _SHORTEST_EXCHANGED
    ]
    if word not in PREFIX_EXCEPTIONS:
        found += [
            word[len(prefix) :]
            for prefix in _PREFIXES
            if word.startswith(prefix) and len(word) - len(prefix) >= _SHORTEST_STEM[prefix]
        ]
    return tuple(found)


def _word_set(features: Features) -> frozenset[str]:
    return frozenset(features.words)


opposites = Rule("opposites", _compare)
