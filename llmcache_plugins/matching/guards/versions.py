"""Versions: `v1.2.3`, `15.2(4)M3`, `Python 3.11`. Compared as written, because 3.1 is not 3.10."""

from __future__ import annotations

from typing import NamedTuple

from llmcache_plugins.matching.features import Features, Token
from llmcache_plugins.matching.guards.addresses import is_address
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, kinds_of, leftovers, silent, words_of
from llmcache_plugins.matching.guards.units import unit_of

__all__ = ["versions", "versions_in"]

_MARKERS = frozenset({"version", "versions", "v", "ver", "ver.", "release", "rel", "firmware", "build"})
_PRODUCTS = words_of(
    """python java javascript node nodejs php ruby perl rust golang kotlin swift scala julia react angular vue
    django flask rails spring laravel windows ubuntu debian centos fedora rhel macos ios android linux kernel
    docker kubernetes k8s terraform ansible helm redis postgres postgresql mysql mariadb mongodb sqlite oracle
    kafka spark tensorflow pytorch numpy pandas openssl openssh nginx apache tomcat junos nxos ios-xe eos panos
    fortios bluetooth usb http tls ssl snmp gpt claude llama gemini"""
)
_NOT_PRODUCTS = words_of(
    """a about above after all and are around as at average below between by cost costs equal equals for from
    gpa has have how i if in into is it less mean more multiply of on or over per price probability ratio round
    score since than the to under until up value was what when which with within exactly only plus minus times
    divided scored chapter section figure table page part step rating magnitude rate approximately"""
)


_IN_WORDS = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
}  # fmt: skip


_KINDS = frozenset({"version", "ip", "number"})


class _Versions(NamedTuple):
    found: tuple[str, ...]
    all: frozenset[str]
    claimed: frozenset[int]


_NONE = _Versions((), frozenset(), frozenset())


def versions_in(features: Features) -> _Versions:
    """Versions in order, without the leading "v", in lower case, and the tokens they took."""
    if _KINDS.isdisjoint(features.get(kinds_of)) and "version" not in features.words:
        return _NONE
    found: list[str] = []
    claimed: list[int] = []
    tokens = features.tokens
    for position, token in enumerate(tokens):
        kind = token.kind
        if kind == "version" or (kind == "ip" and not is_address(token.lower)):
            found.append(token.lower.removeprefix("v"))
            claimed.append(position)
        elif kind == "word" and token.lower in _IN_WORDS and position and tokens[position - 1].lower == "version":
            found.append(_IN_WORDS[token.lower])
            claimed.append(position)
        elif kind == "number" and position and _is_version(tokens, position):
            found.append(token.lower)
            claimed.append(position)
    return _Versions(tuple(found), frozenset(found), frozenset(claimed)) if found else _NONE


def _is_version(tokens: tuple[Token, ...], position: int) -> bool:
    """Whether the number at `position` (at least 1) is a version by the word before it."""
    text, before = tokens[position].text, tokens[position - 1]
    if before.lower in _MARKERS:
        return text[0].isdigit()
    if "." not in text or "," in text or not text[0].isdigit():
        return False
    if position + 1 < len(tokens) and unit_of(tokens[position + 1].text, tokens[position + 1].lower):
        return False
    if before.lower in _PRODUCTS:
        return True
    return (
        position > 1
        and before.kind in ("word", "name")
        and before.text[0].isupper()
        and before.lower not in _NOT_PRODUCTS
    )


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(versions_in), stored.get(versions_in)
    if not left.found and not right.found:
        return silent
    if left.found == right.found:
        return agree
    mine, theirs = leftovers(left.found, right.found)
    mine = [version for version in mine if not _has_number(stored, version)]
    theirs = [version for version in theirs if not _has_number(asked, version)]
    if mine or theirs:
        return conflict(mine, theirs)
    return agree if left.found and right.found else silent


def _has_number(features: Features, version: str) -> bool:
    """Whether the same digits stand in the text as a plain number: "the 3.11 of Python"."""
    return version in features.get(_numbers_as_written)


def _numbers_as_written(features: Features) -> frozenset[str]:
    return frozenset(token.lower for token in features.tokens if token.kind == "number")


versions = Rule("versions", _compare)
