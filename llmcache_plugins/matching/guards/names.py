"""Names that hold no digit (`sw-a`, `CUST-B`, `rack A`, `deadbeef`), and pieces whose case is part of them.

A name that only one text has may be left out by the other; two different ones in the same place are a conflict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, leftovers, silent, words_of
from llmcache_plugins.matching.guards.content import SMALL, are_alike, content_of, stem

__all__ = ["exact_case", "exact_case_in", "named", "named_in", "names", "names_in"]

_TRIM = ".,;:!?\"'`()[]{}\u2026"
_HYPHENATED = re.compile(r"[A-Za-z]+(?:[-_][A-Za-z]+)+")
_HEX = re.compile(r"[a-f]{7,40}|[A-F]{7,40}")
_COMPOUNDS = words_of("e x t o u a i")  # e-mail, x-ray, t-shirt, o-ring, u-turn; plan-a is not in question here
_HEX_WORDS = words_of("acceded defaced effaced")
# What any name has: a sign inside, or a capital that stands alone, or seven hexadecimal letters in a row.
_MAY_NAME = re.compile(r"[-_]|(?<![^\W_])[A-Z](?![^\W_])|[A-Fa-f]{7}")
_MOST = 64  # names that are compared: a text with more is no question


def names_in(features: Features) -> tuple[str, ...]:
    """Names of letters alone, in lower case, in order."""
    text = features.text
    if _MAY_NAME.search(text) is None:
        return ()
    found: list[str] = []
    is_cased = not (text.isupper() or text.islower())
    for number, piece in enumerate(text.split()):
        word = piece.strip(_TRIM)
        if len(word) == 1 and word.isascii() and word.isupper() and word != "I" and number and is_cased:
            found.append(word.lower())  # rack A, building C; an article stands in lower case behind the first word
        elif word.isalpha():
            if len(word) > 6 and _HEX.fullmatch(word) and word.lower() not in _HEX_WORDS:
                found.append(word.lower())
        elif _HYPHENATED.fullmatch(word) and _is_name(word):
            found.append(word.lower().replace("_", "-"))
        if len(found) == _MOST:
            break
    return tuple(found)


def _is_name(word: str) -> bool:
    parts = re.split("[-_]", word)
    if len(parts[-1]) == 1 and parts[0].lower() not in _COMPOUNDS:
        return True  # sw-a, db-primary-b
    return any(len(part) > 1 and part.isupper() for part in parts)  # CUST-A, RM-IN, IOS-XE


def _compare_names(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(names_in), stored.get(names_in)
    if not left or not right:
        return silent
    mine, theirs = leftovers(left, right)
    # Written apart or in another case elsewhere in the other text, it is the same name.
    mine = [name for name in mine if not _stands_in(name, stored)]
    theirs = [name for name in theirs if not _stands_in(name, asked)]
    return conflict(mine, theirs) if mine and theirs else agree


def _stands_in(name: str, other: Features) -> bool:
    if len(name) == 1:
        return False
    text = other.text.lower()
    return name in text or name.replace("-", " ") in text or name.replace("-", "") in text


# Options in a row, and what holds a sign of code or of an address, or capitals inside beside digits: base64, links.
_OPTIONS = re.compile(r"-[A-Za-z]{2,8}")
_MIXED = re.compile(r"(?=.*[a-z])(?=.*[A-Z0-9].*[A-Z])(?=.*[0-9=+/])[A-Za-z0-9=+/_\-]{10,}")


_MAY_BE_EXACT = re.compile(r"[-=+/\\$0-9]")


def exact_case_in(features: Features) -> Mapping[str, str]:
    """Pieces that mean something else in another case: lower-case form -> as written."""
    if _MAY_BE_EXACT.search(features.text) is None:
        return {}
    found: dict[str, str] = {}
    for piece in features.text.split():
        word = piece.strip(".,;!?\"'`()")
        if len(word) > 256 or word.isalpha():
            continue
        if any(sign in word for sign in ("\\", "$", "://", "=")) or _OPTIONS.fullmatch(word) or _MIXED.fullmatch(word):
            found[word.lower()] = word
    return found


def _compare_case(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(exact_case_in), stored.get(exact_case_in)
    common = left.keys() & right.keys()
    if not common:
        return silent
    differing = [lower for lower in common if left[lower] != right[lower] and not _is_host_only(lower)]
    if differing:
        return conflict((left[lower] for lower in differing), (right[lower] for lower in differing))
    return agree


def _is_host_only(lower: str) -> bool:
    """A link without a path: the case of a host name means nothing (RFC 4343)."""
    _, separator, rest = lower.partition("://")
    return bool(separator) and not rest.partition("/")[2]


# What bears a name that stands beside it: "deployment checkout", "the orders table".
_BEARERS = words_of(
    """deployment deployments pod pods container containers namespace branch branches repo repository bucket table
    tables column columns schema database db host hostname username user server queue topic cluster node
    package module library variable field env environment role group team project customer
    client account accounts subscription plan tier device site zone region datacenter flag job pipeline workflow
    channel folder album playlist chapter stage gate terminal platform street avenue lake mount station"""
)


def named_in(features: Features) -> Mapping[str, frozenset[str]]:
    """Bearer of a name -> the words beside it, stemmed."""
    words = features.words
    found: dict[str, set[str]] = {}
    for position, word in enumerate(words):
        if word in _BEARERS:
            beside = (*words[max(0, position - 1) : position], *words[position + 1 : position + 2])
            found.setdefault(stem(word), set()).update(stem(name) for name in beside if name not in SMALL)
    return {bearer: frozenset(names) for bearer, names in found.items()}


def _compare_named(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(named_in), stored.get(named_in)
    shared = left.keys() & right.keys()
    if not shared or not are_alike(asked, stored, most=1):
        return silent
    mine = asked.get(content_of) - stored.get(content_of)
    theirs = stored.get(content_of) - asked.get(content_of)
    for bearer in shared:
        if mine and theirs and mine <= left[bearer] and theirs <= right[bearer]:
            return conflict(mine, theirs)
    return agree if any(left[bearer] & right[bearer] for bearer in shared) else silent


names = Rule("names", _compare_names)
named = Rule("named", _compare_named)
exact_case = Rule("exact_case", _compare_case)
