"""Direction: the same values in another order or with exchanged prepositions, "from A to B" and "from B to A".

Values are what carries digits, dates and acronyms; for other words only the plain exchanges count: "A into B" against
"B into A". A list ("A and B") has no order, and values that keep the words beside them have moved, not changed.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of
from llmcache_plugins.matching.guards.content import are_alike
from llmcache_plugins.matching.guards.dates import dates_in
from llmcache_plugins.matching.guards.identifiers import identifiers_in
from llmcache_plugins.matching.guards.language import is_english

__all__ = ["Place", "direction", "places_in"]

_DIRECTED = words_of(
    """from to into onto via through before after over under above below than minus by behind until against towards
    toward exceeding within inside"""
)
_NOT_OBJECTS = words_of("and or , with & / vs versus nor plus times multiplied added x between either both")
_JOINERS = words_of("and or , & vs versus nor plus times und y e et ed og och en oder o ou")
_ARTICLES = words_of("the a an my our your their its this that these those of")
_ENDS = frozenset({".", "?"})
_SYMMETRIC = words_of(
    """compare compares compared comparing comparison differ differs difference differences different differentiate
    distinguish vs versus distance far similar similarity similarities same equal unterschied différence diferencia
    differenza diferença verschil skillnad forskel"""
)
_JOURNEYS = words_of(
    """flight flights fly flying train trains bus buses ferry ferries travel travels traveling travelling trip trips
    journey journeys fare fares drive driving leaving leave leaves departing departure departures arriving arrival
    ticket tickets move moving migrate migrating traffic sent sending"""
)
_BEFORE_INFINITIVE = words_of(
    """how want wants need needs like way ways try trying tried going able have has had possible command commands best
    steps order used me us i where what when who easy hard difficult safe script query ready wish need required
    supposed about plan planning ask trying allowed"""
)
_TOWARDS = ("into", "onto", "to")
_SMALL = words_of(
    """is are was were be been do does did can could should would will may might must have has had what how why when
    where which who whose it its you they he she we not no so now then here there today also just only really very
    please always often ever still yet again first"""
)
_DIGITS = re.compile(r"\d")
_MOST_VALUES = 12  # pairs of them are compared: no question has more that matter
_BETWEEN = 10  # words behind "between" among which both ends are named
_REACH = 3  # words between a preposition and its value ("from the new server rtr-001"), at most
_VALUE_KINDS = frozenset({"number", "measure", "clock", "date", "version", "ip", "mac", "prefix", "slashed", "name"})


class Place(NamedTuple):
    """Where a value stands: its shape, its list, the preposition that governs it, and the words beside it."""

    position: int
    shape: str
    group: int
    preposition: str
    beside: frozenset[str]


class _Exchanges(NamedTuple):
    """Words around a preposition ("ospf", "into", "bgp"), and what each preposition governs ("from" -> "delhi")."""

    triples: frozenset[tuple[str, str, str]]
    governed: dict[str, str]


_NO_EXCHANGES = _Exchanges(frozenset(), {})


def places_in(features: Features) -> dict[str, Place]:
    """The first `_MOST_VALUES` values that the text has once, by their lower-case form, with their places."""
    shapes = features.get(_shapes)
    if len(shapes) < 2:
        return {}
    words = features.words
    found: dict[str, Place] = {}
    repeated: set[str] = set()
    last, group = -1, 0
    for position, word in enumerate(words):
        shape = shapes.get(word)
        if shape is None:
            continue
        if word in found:
            repeated.add(word)
        elif len(found) >= _MOST_VALUES:
            break
        else:
            before = _before(words, position, shapes)
            is_listed = last >= 0 and _is_listed(words[last + 1 : position])
            previous = words[last] if last >= 0 else ""
            if is_listed and previous in found:
                preposition = found[previous].preposition
            else:
                group, preposition = position, _preposition(before, words, position)
            found[word] = Place(position, shape, group, preposition, _beside(before, words, position, shapes))
        last = position
    return {word: place for word, place in found.items() if word not in repeated}


def _shapes(features: Features) -> dict[str, str]:
    """Value -> its shape: only values of one shape are compared by their order alone."""
    dated, acronyms = features.get(dates_in).claimed, features.get(identifiers_in).acronyms
    shapes: dict[str, str] = {}
    for position, token in enumerate(features.tokens):
        if position in dated:
            if token.kind in _VALUE_KINDS or len(token.lower) > 2:
                shapes[token.lower] = "date " + ("word" if token.kind == "word" else _DIGITS.sub("0", token.lower))
        elif token.kind in _VALUE_KINDS:
            kind = token.kind
            shapes[token.lower] = kind if kind != "name" else _shape_of_name(token.lower)
        elif token.kind == "exact":
            shapes[token.lower] = "exact"
        elif token.kind == "word" and token.lower in acronyms and token.text.isupper():
            shapes.setdefault(token.lower, "")  # no shape: order alone says nothing of words
    return shapes


def _shape_of_name(name: str) -> str:
    """ "rtr-000" for "rtr-001", ".txt" for "notes.txt"."""
    head, dot, extension = name.rpartition(".")
    return dot + extension if head and extension.isalpha() else _DIGITS.sub("0", name)


def _before(words: tuple[str, ...], position: int, shapes: dict[str, str]) -> tuple[str, ...]:
    """The at most `_REACH` words before a value, nearest first, up to another value or the end of a clause."""
    found: list[str] = []
    step = position - 1
    while step >= 0 and len(found) < _REACH:
        word = words[step]
        if word in _ENDS or word == "," or word in shapes:
            break
        if word not in _ARTICLES:
            found.append(word)
        step -= 1
    return tuple(found)


def _preposition(before: tuple[str, ...], words: tuple[str, ...], position: int) -> str:
    for word in before:
        if word in _DIRECTED:
            if word == "to" and word is not before[0] and _is_infinitive(words, position):
                return ""
            return word
    return ""


def _is_infinitive(words: tuple[str, ...], position: int) -> bool:
    """ "How to move 10 files": the nearest "to" before the value belongs to a verb."""
    step = position - 1
    while words[step] != "to":
        step -= 1
    return step == 0 or words[step - 1] in _BEFORE_INFINITIVE


def _beside(before: tuple[str, ...], words: tuple[str, ...], position: int, shapes: dict[str, str]) -> frozenset[str]:
    """The words before, the word behind, and the values of other shapes nearby: "VLAN 10 on rtr-001"."""
    beside = {f"{word} _" for word in before if word not in _JOINERS}
    for step, word in enumerate(words[position + 1 : position + 1 + _REACH]):
        if word in _ENDS or word in _JOINERS:
            break
        if word in shapes:
            if shapes[word] != shapes[words[position]]:
                beside.add(f"_ ... {word}")
            break
        if step == 0:
            beside.add(f"_ {word}")
    for word in reversed(words[max(0, position - _REACH) : position]):
        if word in _ENDS or word in _JOINERS:
            break
        if word in shapes:
            if shapes[word] != shapes[words[position]]:
                beside.add(f"{word} ... _")
            break
    return frozenset(beside)


def _is_listed(between: tuple[str, ...]) -> bool:
    """Whether what stands between two values makes them items of one list: "rtr-001, rtr-002 and port 3"."""
    if len(between) > 4 or _JOINERS.isdisjoint(between):
        return False
    others = [word for word in between if word not in _JOINERS and word not in _ARTICLES and word != "."]  # "and Rs. 5"
    return len(others) < 2 and not any(word in _DIRECTED or word in _ENDS or word == "then" for word in others)


def _exchanges(features: Features) -> _Exchanges:
    words = features.words
    if _DIRECTED.isdisjoint(words) or not is_english(features):
        return _NO_EXCHANGES
    triples: set[tuple[str, str, str]] = set()
    governed: dict[str, str] = {}
    repeated: set[str] = set()
    for position, word in enumerate(words):
        if word in _DIRECTED and 0 < position + 1 < len(words):
            after = words[position + 1]
            if after in _ARTICLES and position + 2 < len(words):
                after = words[position + 2]
            if not _is_object(after):
                continue
            if word in governed:
                repeated.add(word)
            governed[word] = after
            if position and _is_object(words[position - 1]):
                triples.add((words[position - 1], word, after))
    return _Exchanges(frozenset(triples), {word: after for word, after in governed.items() if word not in repeated})


def _is_object(word: str) -> bool:
    return word not in _ENDS and word not in _NOT_OBJECTS and word not in _ARTICLES and word not in _DIRECTED


def _compare(asked: Features, stored: Features) -> Finding:
    if not _SYMMETRIC.isdisjoint(asked.words) or not _SYMMETRIC.isdisjoint(stored.words):
        return silent
    left, right = asked.get(places_in), stored.get(places_in)
    shared = [value for value in left if value in right]
    if len(shared) > 1:
        for index, one in enumerate(shared):
            for other in shared[:index]:
                if _is_turned(left[other], left[one], right[other], right[one]):
                    return conflict([f"{other} ... {one}"], [f"{one} ... {other}"])
    there, back = asked.get(_exchanges), stored.get(_exchanges)
    exchanged = _exchanged(there, back) or _swapped(asked, stored)
    if exchanged is None and there.governed and back.governed and are_alike(asked, stored, most=0):
        exchanged = _turned_back(there, back)
    if exchanged is None:
        exchanged = _both_ways(there, stored.words) or _both_ways(back, asked.words)
    if exchanged is not None:
        return exchanged
    return agree if len(shared) > 1 else silent


def _is_turned(one: Place, other: Place, one_there: Place, other_there: Place) -> bool:
    """Whether two values of one text have exchanged their parts in the other."""
    mine, theirs = (one.preposition, other.preposition), (one_there.preposition, other_there.preposition)
    if mine != theirs and mine == theirs[::-1]:
        if one.shape == other.shape or (mine[0] and mine[1]):
            return True
    elif one.shape == other.shape and _has_passed_on(mine, theirs):
        return True
    if mine[0] != mine[1] and any(part and part == there for part, there in zip(mine, theirs, strict=True)):
        return False
    if not one.shape or one.shape != other.shape or one.group == other.group or one_there.group == other_there.group:
        return False
    if (one.position < other.position) == (one_there.position < other_there.position):
        return False
    own, others = one.beside | one_there.beside, other.beside | other_there.beside
    return not (one.beside & one_there.beside) - others and not (other.beside & other_there.beside) - own


def _has_passed_on(mine: tuple[str, str], theirs: tuple[str, str]) -> bool:
    """Whether a preposition that governed only one of two values governs only the other now."""
    for part, part_of_other, part_there, part_of_other_there in ((*mine, *theirs), (*mine[::-1], *theirs[::-1])):
        if part and part == part_of_other_there and part not in (part_of_other, part_there):
            return True
    return False


def _exchanged(left: _Exchanges, right: _Exchanges) -> Finding | None:
    """ "ospf into bgp" here and "bgp into ospf" there; "from delhi ... to goa" here and "from goa ... to delhi"."""
    for before, word, after in left.triples:
        if before != after and (after, word, before) in right.triples and (before, word, after) not in right.triples:
            return conflict([f"{before} {word} {after}"], [f"{after} {word} {before}"])
    both = [word for word in left.governed if word in right.governed and left.governed[word] != right.governed[word]]
    holders = {right.governed[word]: word for word in both}
    for word in both:
        other = holders.get(left.governed[word])
        if other is not None and left.governed[other] == right.governed[word]:
            return conflict([f"{word} {left.governed[word]}"], [f"{word} {right.governed[word]}"])
    return None


def _turned_back(left: _Exchanges, right: _Exchanges) -> Finding | None:
    """ "merge into main" here and "merge from main" there."""
    for one, other in ((left.governed, right.governed), (right.governed, left.governed)):
        source = one.get("from")
        if source is None or source in (one.get(word) for word in _TOWARDS):
            continue
        for word in _TOWARDS:
            if other.get(word) == source and other.get("from") != source:
                return conflict([f"{word} {source}"], [f"from {source}"])
    return None


def _both_ways(directed: _Exchanges, words: tuple[str, ...]) -> Finding | None:
    """ "flights from miami to new york" against "flights between new york and miami": who names both ends the other way
    round does not ask for that direction. A link between two devices has none."""
    start, end = directed.governed.get("from"), directed.governed.get("to")
    if start is None or end is None or "between" not in words or _JOURNEYS.isdisjoint(words):
        return None
    after = [word for word in words[words.index("between") + 1 :][:_BETWEEN] if word not in _ARTICLES]
    if "and" not in after[1:-1]:
        return None
    first, second = after[0], after[after.index("and") + 1]
    if (first, second) == (end, start):
        return conflict([f"from {start} to {end}"], [f"between {first} and {second}"])
    return None


def _swapped(asked: Features, stored: Features) -> Finding | None:
    """The same words in the same order but two: "is Python faster than Java", "is Java faster than Python"."""
    left, right = asked.words, stored.words
    if len(left) != len(right) or left == right:
        return None
    differing = [position for position, word in enumerate(left) if word != right[position]]
    if len(differing) != 2:
        return None
    first, second = differing
    between = [word for word in left[first + 1 : second] if word not in _ARTICLES]
    if left[first] != right[second] or left[second] != right[first] or not between or _is_listed(tuple(between)):
        return None
    if not all(_is_object(word) and word not in _SMALL and word.isalpha() for word in (left[first], left[second])):
        return None  # values with digits have been compared already
    return conflict([f"{left[first]} ... {left[second]}"], [f"{right[first]} ... {right[second]}"])


direction = Rule("direction", _compare)
