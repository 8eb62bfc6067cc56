"""Names of places, products, kinds of things and persons: another one in the place of one is another question.

Places and kinds are known by list, so that they count in lower case too. Any other name is a word with a capital inside
a sentence, and counts where both texts have one that the other lacks: who leaves a first name out asks the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of
from llmcache_plugins.matching.guards.content import SMALL, are_alike
from llmcache_plugins.matching.guards.identifiers import identifiers_in
from llmcache_plugins.matching.guards.kinds import KINDS
from llmcache_plugins.matching.guards.places import CITIES, COUNTRIES, STATES
from llmcache_plugins.matching.guards.units import UNITS

__all__ = ["capitals_in", "entities", "known_in"]

_PLACE = "place"
_CAPITALISED = words_of("polish us")  # words of another meaning in lower case
_COUNTRY_BEFORE = frozenset({"the", "in"})  # "the us", "in us"


class Known(NamedTuple):
    """Kind -> the things of it that a text names; and all words of their names."""

    things: dict[str, frozenset[str]]
    words: frozenset[str]


_UNKNOWN = Known({}, frozenset())


def _plurals(name: str) -> Iterator[str]:
    yield name
    if name.replace("_", "").isalpha() and len(name) > 2:
        if name.endswith("y") and name[-2] not in "aeiou":
            yield f"{name[:-1]}ies"
        elif name.endswith(("s", "x", "ch", "sh", "o")):
            yield f"{name}es"
        yield f"{name}s"


def _lines() -> Iterator[tuple[str, str, Iterable[str]]]:
    """Kind, thing, and the names of it."""
    for block in (COUNTRIES, STATES, CITIES):
        for group in block.replace("\n", " ").split("|"):
            names = group.split()
            yield _PLACE, names[0], names
    for line in KINDS.strip().replace("\n ", " ").splitlines():
        kind, _, rest = line.partition(": ")
        for group in rest.split():
            names = group.split("=")
            yield kind, names[0], [form for name in names for form in _plurals(name)]


def _index() -> dict[str, dict[tuple[str, ...], set[tuple[str, str]]]]:
    """First word -> the whole name, as words -> what it may be."""
    index: dict[str, dict[tuple[str, ...], set[tuple[str, str]]]] = {}
    for kind, thing, names in _lines():
        for name in names:
            words = tuple(name.replace("_", " ").replace("-", " ").split())
            index.setdefault(words[0], {}).setdefault(words, set()).add((kind, thing))
    return index


_INDEX = _index()
_LONGEST = {first: max(map(len, names)) for first, names in _INDEX.items()}  # words of a name that begins so, at most


def known_in(features: Features) -> Known:
    """The places and things of a text that the lists have; the longest name wins ("New York" is no "York")."""
    words = features.words
    if _LONGEST.keys().isdisjoint(words):
        return _UNKNOWN
    things: dict[str, set[str]] = {}
    used: set[str] = set()
    end = 0  # of the name before
    for position, word in enumerate(words):
        if word not in _LONGEST or position < end:
            continue
        names = _INDEX[word]
        for length in range(min(_LONGEST[word], len(words) - position), 0, -1):
            name = words[position : position + length]
            if name in names and _is_name(features, name, words[position - 1] if position else ""):
                for kind, thing in names[name]:
                    things.setdefault(kind, set()).add(thing)
                used.update(name)
                end = position + length
                break
    return Known({kind: frozenset(found) for kind, found in things.items()}, frozenset(used))


def _is_name(features: Features, name: tuple[str, ...], before: str) -> bool:
    if len(name) > 1 or name[0] not in _CAPITALISED:
        return True
    if name == ("us",):
        return before in _COUNTRY_BEFORE or "US" in features.get(_as_written)
    return name[0].capitalize() in features.get(_as_written)


def _as_written(features: Features) -> frozenset[str]:
    return frozenset(token.text for token in features.tokens)


_TRIM = ".,;:!?\"'`()[]{}\u2018\u2019\u201c\u201d\u2026"
_ENDS = (".", "?", "!", ":", '."', '?"')
_COMMON = SMALL | words_of(
    """mr mrs ms dr mt mount st saint sir miss
    prof professor god internet english i'm i've i'd january february march april may june
    july august september october november december hi hello dear thanks thank yes no ok first second jan feb mar apr
    jun jul aug sep sept oct nov dec president prime minister king queen senator army battle war book books party state
    states university college school institute city river company inc ltd group government court act day bank club
    department fall winter spring summer rx exam"""
).union(UNITS)
_MOST = 32
_NOTHING: frozenset[str] = frozenset()


def capitals_in(features: Features) -> frozenset[str]:
    """Words with a capital inside a sentence, in lower case; none of a headline or of a text without case."""
    text = features.text
    if text.islower() or text.isupper():
        return _NOTHING
    found: set[str] = set()
    is_start = True
    for piece in text.split():
        if not is_start and not piece.islower() and (word := _bare(piece)):
            lower = word.lower()
            if lower in SMALL:
                return _NOTHING  # a headline: every word has a capital
            found.add(lower)
        is_start = piece.endswith(_ENDS)
    found |= features.get(identifiers_in).acronyms
    return frozenset(found) - _COMMON if len(found) <= _MOST else _NOTHING


def _bare(piece: str) -> str:
    """A word of letters that begins with a capital, without marks and possessive; "" for anything else."""
    word = piece.strip(_TRIM)
    word = word[:-2] if word.endswith(("'s", "\u2019s")) else word
    return word if len(word) > 1 and word[0].isupper() and word.isalpha() and not word.isupper() else ""


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(known_in), stored.get(known_in)
    is_shared = False
    for kind in left.things.keys() & right.things.keys():
        mine, theirs = left.things[kind] - right.things[kind], right.things[kind] - left.things[kind]
        if mine and theirs:
            return conflict(mine, theirs)
        is_shared = is_shared or not (mine or theirs)
    here, there = left.things.get(_PLACE, _NOTHING), right.things.get(_PLACE, _NOTHING)
    if _is_restricted(here, there) and are_alike(asked, stored, left.words | right.words, most=0):
        return conflict(here - there, there - here)
    mine, theirs = asked.get(capitals_in), stored.get(capitals_in)
    if mine and theirs and mine != theirs:
        mine = frozenset(_without_partner(mine - left.words, stored))
        theirs = frozenset(_without_partner(theirs - right.words, asked))
        if mine and theirs and not all(_is_misspelt(one, theirs) for one in mine):
            return conflict(mine, theirs)
    return agree if is_shared else silent


def _is_restricted(here: frozenset[str], there: frozenset[str]) -> bool:
    """Whether one text alone names a further place; a country beside its city adds nothing, nor does the default."""
    further = (here ^ there) - _DEFAULT_PLACES
    return bool(further) and not ((here & there) - _DEFAULT_PLACES and further <= _COUNTRY_NAMES)


_COUNTRY_NAMES = frozenset(group.split()[0] for group in COUNTRIES.replace("\n", " ").split("|"))
_DEFAULT_PLACES = frozenset({"us", "world"})


def _without_partner(names: frozenset[str], other: Features) -> Iterator[str]:
    words = other.get(_word_set)
    joined = other.get(_joined)
    for name in names:
        if name not in words and f"{name}s" not in words and name.removesuffix("s") not in words and name not in joined:
            yield name


def _word_set(features: Features) -> frozenset[str]:
    return frozenset(features.words)


def _joined(features: Features) -> str:
    """All letters in a row, to find "whats app" for "WhatsApp"; and the initials, for "Nyc"."""
    words = [word for word in features.words if word.isalnum()]
    return "".join(words) + " " + "".join(word[0] for word in words)


_SHORTEST_MISSPELT = 6


def _is_misspelt(name: str, others: Iterable[str]) -> bool:
    return any(_are_near(name, other) for other in others)


def _are_near(one: str, other: str) -> bool:
    """Whether two long names differ by a slip: a letter more, less, or other, or two exchanged."""
    if min(len(one), len(other)) < _SHORTEST_MISSPELT or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    end = 0
    while end < min(len(one), len(other)) - start and one[-1 - end] == other[-1 - end]:
        end += 1
    mine, theirs = one[start : len(one) - end], other[start : len(other) - end]
    return max(len(mine), len(theirs)) <= 1 or mine == theirs[::-1]


entities = Rule("entities", _compare)
