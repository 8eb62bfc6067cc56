"""Numbers with their units: every quantity of a text needs a partner in the other."""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import pairwise

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, leftovers, silent
from llmcache_plugins.matching.guards.counts import NO_NUMBERS, Numbers, quantities_in
from llmcache_plugins.matching.guards.dates import dates_in, same_short_year
from llmcache_plugins.matching.guards.identifiers import identifiers_in
from llmcache_plugins.matching.guards.quantities import Quantity, pair_alike
from llmcache_plugins.matching.guards.units import LETTERS, TEMPERATURES
from llmcache_plugins.matching.guards.versions import versions_in

__all__ = ["numbers", "quantities_in"]

_ARTICLES = frozenset({"a", "an", "each", "per"})
_DESIGNATION = re.compile(r"(\d+)[^\W\d_]+")


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(quantities_in), stored.get(quantities_in)
    if left == NO_NUMBERS and right == NO_NUMBERS:
        return silent
    if _ask_other_units(left.asked_units, right.asked_units):
        return conflict((u[0] for u in left.asked_units), (u[0] for u in right.asked_units))
    if left.hard == right.hard and left.soft == right.soft:
        return agree if left.hard or left.soft or (left.asked_units and right.asked_units) else silent
    mine, theirs = leftovers(left.hard, right.hard)
    mine = leftovers(mine, (*right.soft, *right.spare))[0]
    theirs = leftovers(theirs, (*left.soft, *left.spare))[0]
    mine, theirs = pair_alike(mine, theirs)
    if mine:
        mine = [item for item in _without_soft(mine, left, right) if not _stands_elsewhere(item, asked, stored)]
    if theirs:
        theirs = [item for item in _without_soft(theirs, right, left) if not _stands_elsewhere(item, stored, asked)]
    if mine or theirs:
        return conflict(mine, theirs)
    my_soft = _counted_with_times(left.soft) - _counted_with_times((*right.soft, *right.hard))
    their_soft = _counted_with_times(right.soft) - _counted_with_times((*left.soft, *left.hard))
    if my_soft and their_soft:
        return conflict(my_soft, their_soft)
    return agree if (left.hard or left.soft) and (right.hard or right.soft) else silent


def _counted_with_times(items: tuple[Quantity, ...]) -> set[Quantity]:
    """ "Thrice" is three (times)."""
    return {Quantity(item.value, "", item.value) if item.dimension == "times" else item for item in items}


def _without_soft(items: list[Quantity], own: Numbers, other: Numbers) -> list[Quantity]:
    """What has no partner among the numbers that a text may have alone: "2 times" and "twice", "3 days" and "three
    separate days". "One" is no partner of "1 day", nor "twice" of "2 feet"."""
    free = leftovers((*other.soft, *other.spare), (*own.soft, *own.hard, *own.spare))[0]
    partners = [item for item in free if item.value != 1]
    if not partners:
        return items
    bare = pair_alike([item for item in items if item.dimension == ""], partners)[0]
    plain = [item for item in partners if item.dimension != "times"]
    return bare + pair_alike([item for item in items if item.dimension != ""], plain)[0]


def _ask_other_units(left: frozenset[tuple[str, Decimal]], right: frozenset[tuple[str, Decimal]]) -> bool:
    """ "How many yards" and "how many feet" ask for different numbers; a unit that only one text names is no sign."""
    if not left or not right or left & right:
        return False
    return bool({_asked_dimension(unit) for unit in left} & {_asked_dimension(unit) for unit in right})


def _asked_dimension(unit: tuple[str, Decimal]) -> str:
    return "temperature" if unit[0] in TEMPERATURES else unit[0]


def _stands_elsewhere(item: Quantity, own: Features, other: Features) -> bool:
    """Whether the other text has this number as a year, a version, a name or an article."""
    written = str(item.written)
    dates, versions = other.get(dates_in), other.get(versions_in)
    if item.dimension in LETTERS and f"{written}{item.dimension.lower()}" in other.get(identifiers_in).found:
        return True  # "3d" and "3D"
    if item.dimension in ("", "ordinal"):
        turned = Quantity(item.value, "" if item.dimension else "ordinal", item.value)
        if turned in other.get(_counted):
            return True  # "World War I" and "the First World War", "chapter 4" and "the fourth chapter"
    if item.dimension != "":
        return False
    if f"year {written}" in dates.hard or written in versions.all or written in other.get(_designations):
        return True
    return _is_article(item, own, other) or (len(written) == 2 and same_short_year(own, other))


def _designations(features: Features) -> frozenset[str]:
    """ "640" of "640XL": whether the letters are the same is for the guard of identifiers."""
    found = (_DESIGNATION.fullmatch(name) for name in features.get(identifiers_in).found)
    return frozenset(match[1] for match in found if match)


def _is_article(item: Quantity, own: Features, other: Features) -> bool:
    """Whether "1 box" is "a box" in the other text."""
    if item.value != 1:
        return False
    return not own.get(_behind_one).isdisjoint(other.get(_behind_article))


def _behind_one(features: Features) -> frozenset[str]:
    return frozenset(word for before, word in pairwise(features.words) if before == "1" and word.isalpha())


def _behind_article(features: Features) -> frozenset[str]:
    return frozenset(word for before, word in pairwise(features.words) if before in _ARTICLES)


def _counted(features: Features) -> frozenset[Quantity]:
    found = features.get(quantities_in)
    return frozenset((*found.soft, *found.hard))


numbers = Rule("numbers", _compare)
