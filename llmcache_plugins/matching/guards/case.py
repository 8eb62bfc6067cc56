"""Case where it changes the meaning: options (-x, -X), single letters, and words that are others when capitalised.

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
_LETTER = re.compile(r"(?<![\w'\u2019.+\-/&#$@])([B-HJ-Zb-hj-z])(?![\w'\u2019.+\-/&#])")
_WORD = re.compile(r"(?<![\w'\u2019])[A-Za-z]{2,}(?![\w'\u2019])")

# Words that mean something else with a capital: peoples, places, months, firms, languages, acronyms.
_CAPITONYMS = words_of(
    """
    access aids alexa amazon apple april august bash basic bill brave cat chad china chrome cobol cologne crane dart
    delphi dos drupal edge eclipse elm excel flash ford frank fuchsia gap gem go gnu guinea hamlet hope ibid ice it
    jack japan java job jordan julia jupiter lent lima mark march mars mass max may meet mercury mint mobile moody
    nice office oracle orange outlook pac pages pat perl polish polo powershell pointer python ram reading revolut
    rich rob rod rose ruby rust saturn scala shell signal slack sky snap spark square stripe swift tag target teams
    telegram tide titan turkey twitch uber us vista visa who wills windows word zoom
    """
)


def cased_in(features: Features) -> Mapping[str, frozenset[str]]:
    """What carries meaning by its case: its lower-case form -> the forms that the text has."""
    text = features.text
    found: dict[str, set[str]] = {}
    for match in _OPTION.finditer(text):
        found.setdefault("-" + match[1].lower(), set()).add(match[1])
    if not _uses_case(text):
        return {name: frozenset(forms) for name, forms in found.items()}
    for match in _LETTER.finditer(text):
        found.setdefault(match[1].lower(), set()).add(match[1])
    for match in _WORD.finditer(text):
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
