"""Identifiers by their shape: devices, interfaces, tickets, files, paths, URLs, hashes, options, acronyms."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from llmcache_plugins.matching.features import Features, Token
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, leftovers, silent, words_of
from llmcache_plugins.matching.guards.dates import dates_in
from llmcache_plugins.matching.guards.number_words import percents_in, slashed_percent
from llmcache_plugins.matching.guards.units import MULTIPLIERS, unit_of

__all__ = ["identifiers", "identifiers_in"]

_INTERFACES = {
    name: names.split()[0]
    for names in (
        "gigabitethernet gi gig gige gigabit gigabiteth",
        "fastethernet fa fas fast",
        "tengigabitethernet te ten tengig tengige tengigabit",
        "twentyfivegige twe twentyfivegigabitethernet",
        "fortygigabitethernet fo fortygige",
        "hundredgige hu hun hundredgigabitethernet",
        "twogigabitethernet tw",
        "ethernet eth et",
        "loopback lo loop",
        "port-channel po portchannel",
        "bundle-ether be",
        "tunnel tu tun",
        "serial se ser",
        "management mgmt",
        "nve",
        "bdi",
        "bvi",
        "dialer",
    )
    for name in names.split()
}
_SAME_ACRONYM = {"USA": "us"}
_SAME_NAME = {"24x7": "24/7", "7x24": "24/7", "7/24": "24/7"}
_WARS = frozenset({"ww1", "ww2", "ww3"})  # numbers compare them with "World War II"
_INTERFACE = re.compile(r"([a-z][a-z-]*?)-?(\d+(?:/\d+)*(?:[.:]\d+)*)")
_RUNS = re.compile(r"[^\W\d_]+|\d+")
_SUFFIX = re.compile(r"[-+\d.,]*(.*)", re.DOTALL)
_MOST_SEARCHED = 32  # names to look for in the other text, so that the time stays linear
_ZEROES = re.compile(r"(?<!\d)0+(?=\d)")
_EMPHASIS = words_of(
    """wwi wwii wwiii ii iii iv vi vii viii ix xi xii xiii xiv xvi
    a about after all also always am an and any are as at bad be because before best better but by can did do
    does ever every for free from get good great had has have he her here his how i if in into is it just like
    make many may me more most much must my need never new no none not now of off ok on one only or other our
    out over please really same shall she should so some such than that the them then there these they thing
    this those to today too two under up use very want was we were what when where which while who whom whose
    why will with without would yes you your"""
)  # words people shout; and Roman numerals, which are numbers


class _Identifiers(NamedTuple):
    found: tuple[str, ...]
    operators: tuple[str, ...]
    acronyms: frozenset[str]
    claimed: frozenset[int]


_NONE = _Identifiers((), (), frozenset(), frozenset())


def identifiers_in(features: Features) -> _Identifiers:
    """Identifiers (in lower case unless their case counts), operators, acronyms, and the tokens they took."""
    found: list[str] = []
    operators: list[str] = []
    claimed: list[int] = []
    tokens = features.tokens
    capitals: list[str] = []
    is_shouted = True
    for position, token in enumerate(tokens):
        kind = token.kind
        if kind == "word":
            if token.text[:2].isupper() and len(token.text) > 1:
                capitals.append(token.text)
            elif len(token.text) > 1:
                is_shouted = False
            if token.lower in _INTERFACES and (number := _interface_number(tokens, position + 1)):
                found.append(f"{_INTERFACES[token.lower]} {number}")
                claimed.append(position + 1)
        elif kind == "name":
            if token.lower not in _WARS and position not in features.get(dates_in).claimed:
                found.append(_canonical(token.lower))
        elif kind == "exact":
            found.append(token.text.rstrip("/") or token.text)
        elif kind == "operator":
            operators.append(token.text)
        elif kind == "slashed":
            is_mixed = position > 0 and tokens[position - 1].kind == "number" and slashed_percent(token.lower)
            if not is_mixed and position - 1 not in claimed and position not in claimed:
                found.append(_ZEROES.sub("", token.lower))
        elif kind == "measure" and not _is_quantity(token) and position not in features.get(dates_in).claimed:
            found.append(token.lower)
            claimed.append(position)
    if not found and not operators and not capitals:
        return _NONE
    acronyms = frozenset() if is_shouted else _acronyms(capitals)
    return _Identifiers(tuple(found), tuple(operators), acronyms, frozenset(claimed))


def _interface_number(tokens: tuple[Token, ...], position: int) -> str | None:
    if position >= len(tokens):
        return None
    token = tokens[position]
    is_numbered = token.kind == "slashed" or (
        token.kind == "number" and token.text[0].isdigit() and "," not in token.text
    )
    is_long = len(tokens[position - 1].text) > 3 or tokens[position - 1].lower in ("gi", "te", "fa", "po", "hu")
    return token.lower if is_numbered and is_long else None


def _canonical(lower: str) -> str:
    """ "gi0/1" and "gigabitethernet0/1" are one interface; a closing "s" of names like "vlan10s" stays."""
    match = _INTERFACE.fullmatch(lower)
    if match and match.group(1) in _INTERFACES:
        return f"{_INTERFACES[match.group(1)]} {match.group(2)}"
    if lower in _SAME_NAME:
        return _SAME_NAME[lower]
    return lower.lstrip("#") if lower[:1] == "#" else lower.removesuffix("/")


def _is_quantity(token: Token) -> bool:
    """Whether the letters at the end of a number are a unit, a multiplier or an ordinal's."""
    match = _SUFFIX.fullmatch(token.text)
    suffix = match.group(1) if match else ""
    lower = suffix.lower()
    return (
        unit_of(suffix, lower) is not None
        or suffix in MULTIPLIERS
        or lower in ("st", "nd", "rd", "th", "x", "s", '"')
        or (lower[:1] == "e" and lower[1:].lstrip("+-").isdigit())
    )


def _acronyms(capitals: list[str]) -> frozenset[str]:
    """Words in capitals without their plural s, and without those that people shout."""
    names = (word[:-1] if word[-1] == "s" else word for word in capitals)
    return (
        frozenset(
            _SAME_ACRONYM.get(name, name.lower())
            for name in names
            if name.isupper() and name.isalpha() and name.isascii()
        )
        - _EMPHASIS
    )


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(identifiers_in), stored.get(identifiers_in)
    if left is _NONE and right is _NONE:
        return silent
    if left.operators != right.operators and set(left.operators) != set(right.operators):
        return conflict(left.operators, right.operators)
    if left.found != right.found:
        mine, theirs = leftovers(left.found, right.found)
        if len(mine) + len(theirs) <= _MOST_SEARCHED:
            mine = [name for name in set(mine) if not _is_spelled_out(name, stored)]
            theirs = [name for name in set(theirs) if not _is_spelled_out(name, asked)]
        if mine or theirs:
            return conflict(mine, theirs)
    if left.acronyms != right.acronyms:
        mine = [name for name in left.acronyms - right.acronyms if not _is_known(name, stored)]
        theirs = [name for name in right.acronyms - left.acronyms if not _is_known(name, asked)]
        if mine and theirs:
            return conflict(mine, theirs)
    is_shared = (left.found and right.found) or left.acronyms & right.acronyms or left.operators
    return agree if is_shared else silent


def _is_spelled_out(name: str, other: Features) -> bool:
    """Whether the other text has the parts of a name ("vlan10": "VLAN 10") or the words its letters stand for."""
    if "/" in name and _is_said(name, other):
        return True
    is_exact = "/" in name or "\\" in name  # the case of a path counts
    parts = _RUNS.findall(name if is_exact else name.lower())
    if not parts or name[0] in "-%+" or name.endswith(("+", "#")):
        return False
    if f" {' '.join(parts)} " in other.get(_runs_as_written if is_exact else _runs):
        return True
    return len(parts) == 2 and parts[0].isalpha() and len(parts[0]) > 1 and "".join(parts) in other.get(_initials)


def _is_said(name: str, other: Features) -> bool:
    """Whether the other text has a share in other words ("3/4": "75%"), or two large numbers apart ("500/1000")."""
    percent = slashed_percent(name)
    if percent is not None:
        return percent in other.get(percents_in)
    over, _, under = name.partition("/")
    if not (over.isdigit() and under.isdigit() and len(over) > 2 and len(under) > 2):
        return False
    words = other.get(_word_set)
    return over in words and under in words


def _runs(features: Features) -> str:
    return f" {' '.join(_RUNS.findall(' '.join(token.lower for token in features.tokens)))} "


def _runs_as_written(features: Features) -> str:
    return f" {' '.join(_RUNS.findall(' '.join(token.text for token in features.tokens)))} "


def _is_known(acronym: str, other: Features) -> bool:
    """Whether the other text has the acronym as a word, or words that begin with its letters."""
    words = other.get(_word_set)
    if acronym in words or f"{acronym}s" in words:
        return True
    return acronym in other.get(_initials)


def _word_set(features: Features) -> frozenset[str]:
    return frozenset(features.words) | frozenset(_RUNS.findall(features.get(_runs)))


def _initials(features: Features) -> str:
    return "".join(_first_letters(features.words))


def _first_letters(words: Iterable[str]) -> Iterable[str]:
    return (
        word if word.isdigit() else word[0]
        for word in words
        if word not in ("of", "and", "the", "for", "in", "a", "an", "is", "to")
    )


identifiers = Rule("identifiers", _compare)
