"""Quoted strings and inline code: what stands in them must be equal, case and all."""

from __future__ import annotations

import re

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, leftovers, silent

__all__ = ["quotes", "quotes_in"]

# Linear time without possessive quantifiers, which early releases of Python 3.11 get wrong around groups. What a class
# repeats never holds the mark behind it, so giving characters back fails at once; an unclosed stretch ends at the next
# mark or line end, and a fence without its end is the last of the text. An apostrophe stands inside a word, a quote at
# its border; an inch sign follows a digit.
_QUOTED = re.compile(
    r"```(?:\w*\n)?(?P<block>(?s:.*?))```"
    r"|(?P<ticks>``?)(?P<code>[^`\n]+)(?P=ticks)"
    r'|(?<!\w)"{1,2}(?P<double>[^"\n]+)"{1,2}(?!\w)'
    r"|(?<!\w)''(?P<latex>[^'\n]+)''(?!\w)"
    r"|(?<![\w'])'(?P<single>[^'\n]+(?:(?<=\w)'(?=\w)[^'\n]+)*)'(?!\w)"
)
_MARKS = frozenset("\"'`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d")
_TO_STRAIGHT = {
    0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x201E: '"', 0xAB: '"', 0xBB: '"', 0x300C: '"', 0x300D: '"'
}  # fmt: skip
_MOST_SEARCHED = 32  # quotes to look for in the other text, so that the time stays linear
_LONGEST_SHOWN = 60


def quotes_in(features: Features) -> tuple[str, ...]:
    """The contents of quotes and code in order, without the space and the comma or full stop at their border."""
    text = features.text
    if _MARKS.isdisjoint(text):
        return ()
    straight = text if text.isascii() else text.translate(_TO_STRAIGHT)
    found = []
    for match in _QUOTED.finditer(straight):
        group = match.lastgroup
        content = match.group(group) if group else ""
        content = content.strip() if group in ("block", "code") else _trimmed(content)
        if content:
            found.append(content)
    return tuple(found)


def _trimmed(content: str) -> str:
    trimmed = content.strip()
    return trimmed.rstrip(",.").removesuffix("/") or trimmed  # '/usr/' is '/usr'


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(quotes_in), stored.get(quotes_in)
    if not left and not right:
        return silent
    if left == right:
        return agree
    mine, theirs = leftovers(set(left), set(right))
    if len(mine) + len(theirs) <= _MOST_SEARCHED:
        mine = [content for content in mine if not _stands_in(content, stored, not right)]
        theirs = [content for content in theirs if not _stands_in(content, asked, not left)]
    if not right and all(_is_prose(content) for content in mine):
        mine = []
    if not left and all(_is_prose(content) for content in theirs):
        theirs = []  # a title or a word set apart: only one of the two says it
    if mine or theirs:
        return conflict((c[:_LONGEST_SHOWN] for c in mine), (c[:_LONGEST_SHOWN] for c in theirs))
    return agree if left and right else silent


def _stands_in(content: str, other: Features, is_unquoted: bool) -> bool:
    """Whether the other text has the same words without quotes; prose in any case where it quotes nothing."""
    text = other.text if other.text.isascii() else other.text.translate(_TO_STRAIGHT)
    if is_unquoted and _is_prose(content):
        text, content = text.lower(), content.lower()
    start = text.find(content)
    while start >= 0:
        end = start + len(content)
        is_whole = not (start and text[start - 1].isalnum() and content[0].isalnum())
        if is_whole and not (end < len(text) and text[end].isalnum() and content[-1].isalnum()):
            return True
        start = text.find(content, end)  # not start + 1: that would be quadratic for "aaaa"
    return False


def _is_prose(content: str) -> bool:
    return all(character.isalpha() or character in " ,'-" for character in content)


quotes = Rule("quotes", _compare)
