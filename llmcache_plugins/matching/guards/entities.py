"""Names of places, products, kinds of things and persons: another one in the place of one is another question.

Places and kinds are known by list, so that they count in lower case too. Any other name is a word with a capital inside
a sentence, and counts where both texts have one that the other lacks: who leaves a first name out asks the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of
from llmcache_plugins.matching.guards.content import SMALL, are_alike, content_of, stem
from llmcache_plugins.matching.guards.identifiers import identifiers_in
from llmcache_plugins.matching.guards.kinds import KINDS
from llmcache_plugins.matching.guards.ordinary_words import ORDINARY
from llmcache_plugins.matching.guards.places import CITIES, COUNTRIES, STATES
from llmcache_plugins.matching.guards.units import UNITS

__all__ = ["capitals_in", "entities", "known_in"]

_PLACE = "place"
_TITLES = words_of(
    """prime minister president chancellor king queen prince princess senator governor actor actress singer author
    writer poet painter director cricketer footballer physicist mathematician philosopher politician"""
)
_CAPITALISED = words_of("polish us")  # words of another meaning in lower case
_COUNTRY_BEFORE = frozenset({"the", "in"})  # "the us", "in us"


class Known(NamedTuple):
    """Kind -> the things of it that a text names; all words of their names; and the states and countries that stand
    right behind the name of something else, with the last word of it ("Tempe, Arizona"), or before a title and name."""

    things: dict[str, frozenset[str]]
    words: frozenset[str]
    behind: frozenset[tuple[str, str]]


_UNKNOWN = Known({}, frozenset(), frozenset())


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
    behind: set[tuple[str, str]] = set()
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
                    if kind == _PLACE and _SIZE[thing]:
                        named = _named_before(features, position) or _titled(features, position + length)
                        if named:
                            behind.add((thing, named))
                used.update(name)
                end = position + length
                break
    return Known({kind: frozenset(found) for kind, found in things.items()}, frozenset(used), frozenset(behind))


def _named_before(features: Features, position: int) -> str:
    """The last word of a name that ends before `position`, a comma between them or not; "" where none does."""
    words = features.words
    last = position - 2 if words[position - 1] == "," else position - 1
    return words[last] if last >= 0 and words[last] in features.get(capitals_in) else ""


def _titled(features: Features, position: int) -> str:
    """The name behind the title at `position` ("Prime Minister Modi"): of whom a country is said that goes without
    saying; "" where none is."""
    words = features.words
    start = position
    while position < len(words) and words[position] in _TITLES:
        position += 1
    is_named = start < position < len(words) and words[position] in features.get(capitals_in)
    return words[position] if is_named else ""


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
    department fall winter spring summer rx exam pm cm mp ceo vs
    association society organisation organization committee council commission ministry corporation limited llc plc
    foundation centre center league cup championship series season episode movie film song app application
    website web online update edition guide"""
).union(UNITS, ORDINARY)
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
        is_shared = is_shared or not (mine or theirs)
        if kind == _PLACE:
            mine, theirs = _other_places(mine, theirs, left.things[kind] & right.things[kind])
        if mine and theirs and _others(asked, stored, left.words | right.words) <= _MOST_BESIDE_KNOWN:
            return conflict(mine, theirs)
    here, there = left.things.get(_PLACE, _NOTHING), right.things.get(_PLACE, _NOTHING)
    located = frozenset(_locating(left, stored)) | frozenset(_locating(right, asked))
    if _is_restricted(here, there, located) and are_alike(asked, stored, left.words | right.words, most=0):
        return conflict(here - there, there - here)
    mine, theirs = asked.get(capitals_in), stored.get(capitals_in)
    if mine and theirs and mine != theirs:
        mine = frozenset(_without_partner(mine - left.words, stored))
        theirs = frozenset(_without_partner(theirs - right.words, asked))
        if mine and theirs and not all(_is_misspelt(one, theirs) for one in mine):
            names = mine | theirs | left.words | right.words
            return conflict(mine, theirs) if _others(asked, stored, names) <= _MOST_BESIDE_NAMES else silent
    return agree if is_shared else silent


# Content words besides the names that either text may have alone. Who words a question anew takes the names along as a
# rule; where much else differs too, other words for one thing are as likely as another thing.
_MOST_BESIDE_KNOWN, _MOST_BESIDE_NAMES = 2, 1


def _others(asked: Features, stored: Features, names: frozenset[str]) -> int:
    """How many content words besides `names` one text has that the other lacks; of the text with more of them."""
    left, right = asked.get(content_of), stored.get(content_of)
    aside = set(map(stem, names))
    return max(len(left - right - aside), len(right - left - aside))


def _other_places(mine: frozenset[str], theirs: frozenset[str], shared: frozenset[str]) -> tuple[frozenset[str], ...]:
    """Places of one text alone that are another place, not another name of one or what a shared place lies in."""
    is_larger = shared and all(_is_around(place, shared) for place in mine | theirs)
    if is_larger and {_SIZE[place] for place in mine}.isdisjoint(_SIZE[place] for place in theirs):
        return _NOTHING, _NOTHING  # "Austin, Texas" and "Austin, USA"
    same = {place for pair in _USED_FOR_EACH_OTHER if pair & mine and pair & theirs for place in pair}
    return mine - same, theirs - same


def _locating(mine: Known, other: Features) -> Iterator[str]:
    """Places that tell where something is that the other text names too."""
    for place, name in mine.behind:
        if name in other.get(_word_set) and name not in mine.words:
            yield place


def _is_restricted(here: frozenset[str], there: frozenset[str], located: frozenset[str]) -> bool:
    """Whether one text alone names a further place; what lies around its city adds nothing, nor does the default."""
    mine, theirs = _other_places(here - there, there - here, here & there)
    further, shared = (mine | theirs) - _DEFAULT_PLACES - located, (here & there) - _DEFAULT_PLACES
    return bool(further) and not (
        shared and all(_SIZE[place] == _SIZE_OF_COUNTRY or _is_around(place, shared) for place in further)
    )


def _is_around(place: str, others: frozenset[str]) -> bool:
    """Whether a place is of a larger kind than one of the others: a state beside its city, a country beside either."""
    return any(_SIZE[other] < _SIZE[place] for other in others)


_SIZE = {
    group.split()[0]: size
    for size, block in enumerate((CITIES, STATES, COUNTRIES))
    for group in block.replace("\n", " ").split("|")
}
_SIZE_OF_COUNTRY = 2
_DEFAULT_PLACES = frozenset({"us", "world", "english"})  # "learn English grammar", "learn grammar"
_USED_FOR_EACH_OTHER = (
    frozenset({"uk", "england"}),
    frozenset({"uk", "english"}),
    frozenset({"england", "english"}),
    frozenset({"eu", "europe"}),
    frozenset({"washington", "washington_state"}),
)


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
