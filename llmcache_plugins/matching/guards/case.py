"""Case where it changes the meaning: options (-x, -X), single letters, bits and bytes (Mb, MB), and words that are
others when capitalised.

Most differences in case mean nothing, and who types in lower case throughout says nothing by it. So only options are
compared always; the rest where both texts use upper and lower case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of

__all__ = ["case", "cased_in"]

_OPTION = re.compile(r"(?<![^\s(\"'`])[-+]([A-Za-z])(?![\w-])")
_LETTER = re.compile(r"(?<![\w'\u2019.+\-/&#$@])([BD-HJ-QS-Zbd-hj-qs-z])(?![\w'\u2019.+\-/&#])")  # not a, I, C, R
# Behind a number it is the guard of numbers that knows the unit, but for "kb", which it reads as "kB".
_BYTES = re.compile(
    r"(?<![\w'\u2019.+\-/&#$@])(?:(?<!\d )([KMGT][bB])|(k[bB]))(?![\w'\u2019.+\-/&#])|(?<=\d)(k[bB])(?![\w/])"
)
_BYTE_WORDS = words_of("kb mb gb tb")
_WORD = re.compile(r"(?<![\w'\u2019])[A-Za-z]{2,}(?![\w'\u2019])")

# Words that mean something else with a capital and that people do write both ways. Not in it: names that are typed in
# lower case as often (python, java, apple, april).
_CAPITONYMS = words_of(
    """
    bill chad china cologne crane frank guinea hamlet it japan job jordan lent lima mark march may mobile nice pat
    polish ram reading rich rob rod rose tag turkey us who
    """
)


def cased_in(features: Features) -> Mapping[str, frozenset[str]]:
    """What carries meaning by its case: its lower-case form -> the forms that the text has."""
    text = features.text
    found: dict[str, set[str]] = {}
    for match in _OPTION.finditer(text) if "-" in text or "+" in text else ():
        found.setdefault("-" + match[1].lower(), set()).add(match[1])
    if not _uses_case(text):
        return {name: frozenset(forms) for name, forms in found.items()}
    words = features.words
    for match in _BYTES.finditer(text) if "kb" in text or "kB" in text or not _BYTE_WORDS.isdisjoint(words) else ():
        unit = match[1] or match[2] or match[3]  # bits or bytes; "KB" is typed for both
        found.setdefault(unit.lower(), set()).update("bB" if unit == "KB" else unit[1])
    for match in _LETTER.finditer(text) if any(len(word) == 1 and word.isalpha() for word in words) else ():
        found.setdefault(match[1].lower(), set()).add(match[1])
    for match in () if _CAPITONYMS.isdisjoint(words) else _WORD.finditer(text):
        word = match[0].lower()
        if word in _CAPITONYMS and not _begins_a_sentence(text, match.start()):
            found.setdefault(word, set()).add("lower" if match[0].islower() else "capital")
    return {name: frozenset(forms) for name, forms in found.items()}


def _uses_case(text: str) -> bool:
    return not (text.islower() or text.isupper())


def _begins_a_sentence(text: str, start: int) -> bool:
    before = text[max(0, start - 8) : start].rstrip(" \t\n\"'(")
    return not before or before[-1] in ".?!:"


def _shown(found: Mapping[str, frozenset[str]], names: Iterable[str]) -> list[str]:
    return [f"{name} ({', '.join(sorted(found[name]))})" for name in names]


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(cased_in), stored.get(cased_in)
    common = left.keys() & right.keys()
    if not common:
        return silent
    differing = [name for name in common if left[name].isdisjoint(right[name])]
    if differing:
        return conflict(_shown(left, differing), _shown(right, differing))
    return agree


case = Rule("case", _compare)
