"""Texts that do not look like what they are: invisible signs, and letters that pass for others. Pure.

Tokenisers drop what nobody sees, so that an embedding reads such a text as the plain one; and a model reads what stands
there. An answer that was made for the one must not serve the other, so they are matched exactly only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["disguise_of"]


def _class(ranges: Iterable[tuple[int, int]]) -> str:
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)


# Default_Ignorable_Code_Point of Unicode that is no format sign, the blank of Braille, and what a broken text shows:
# https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
_IGNORABLE = _class(
    (
        *((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2065, 0x2065), (0x2800, 0x2800)),
        *((0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFD), (0xE0000, 0xE0FFF)),
    )
)
_OVERLAYS = _class(((0x0334, 0x0338), (0x20D0, 0x20F0), (0x0488, 0x0489)))  # strike a letter through, or enclose it
_HIDDEN = re.compile(f"[{_IGNORABLE}{_OVERLAYS}]")
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})  # control, format, unassigned, private, surrogate
# Marks that letters of Latin, Greek and Cyrillic have; those of other scripts belong to letters of their own.
_MARKS_OF_ALL = re.compile("[\u0300-\u0344\u0346-\u036f\u0483-\u0487\u1ab0-\u1aff\u1dc0-\u1dff\ufe20-\ufe2f]")
_FIRST_WITH_OWN_MARKS = "\u0590"
# These join and part letters in scripts that need them to be written right, and part words in scripts without spaces
# (Thai, Lao, Burmese, Khmer); between other letters nobody sees them.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_JOINERS = re.compile(
    f"(?<=[\u0600-\u1100])[\u200c\u200d](?=[\u0600-\u1100])|(?<=[{_UNSPACED}])\u200b(?=[{_UNSPACED}])"
)
# One of these puts marks and numbers in their places where scripts of both directions stand in a line.
_RIGHT_TO_LEFT = re.compile("[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_DIRECTIONS = re.compile("(?<![\u061c\u200b-\u200f])[\u061c\u200e\u200f](?![\u061c\u200b-\u200f])")

# What makes pictures of signs, and joins pictures to one, is seen: one such sign after each.
_PICTURE = "\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff"
_OF_PICTURES = re.compile(
    f"(?<=[{_PICTURE}])\ufe0f(?:\u200d(?=[{_PICTURE}]))?|(?<=[{_PICTURE}])\u200d(?=[{_PICTURE}])"
    "|(?<=[0-9#*])\ufe0f\u20e3"  # a key
    # The three flags that are written with tags, which else spell what only a model reads: England, Scotland, Wales.
    "|(?<=\U0001f3f4)\U000e0067\U000e0062"
    "(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f"
)

# Letters that are drawn like Latin ones, by block: Greek, Cyrillic, Armenian, Cherokee, Canadian, Coptic, Lisu,
# letterlike, Roman numerals, enclosed, and the letters of plane 1. Not the signs of units and formulas that look like
# nothing else: ohm, delta, lambda, mu and pi.
_ALIKE = _class(
    (
        *((0x0370, 0x0393), (0x0395, 0x03A8), (0x03AA, 0x03BA), (0x03BD, 0x03BF), (0x03C1, 0x052F), (0x0531, 0x0587)),
        *((0x13A0, 0x167F), (0x1C80, 0x1C8F), (0x1F00, 0x1FFF), (0x2100, 0x214F), (0x2160, 0x2188), (0x24B6, 0x24E9)),
        *((0x2C60, 0x2CFF), (0xA4D0, 0xA4FF), (0xA640, 0xA69F), (0xA720, 0xA7FF), (0xAB30, 0xABBF)),
        (0x10000, 0x1EFFF),
    )
)
# These are there for nothing else, or for phonetics: small capitals, a and g of the other form, mathematical letters.
_STAND_INS = re.compile(
    "[\u0251\u0261-\u0262\u0269\u026a\u0274\u027e\u0280\u028b\u028f\u0299\u029c\u029f\u1d00-\u1d2b"
    "\U0001d400-\U0001d7ff]"
)
_LATIN = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
_MIXED = re.compile(f"[{_LATIN}][\u0300-\u0333]*[{_ALIKE}]|[{_ALIKE}][\u0300-\u0333]*[{_LATIN}]")
_GREEK_OR_CYRILLIC = re.compile("[\u0370-\u052f]")
# Of these two scripts, the letters that look like Latin ones: https://www.unicode.org/Public/security/latest/confusables.txt
# Not the small Cyrillic ones that look like small capitals: no word in them passes for a Latin one.
_LOOK_LATIN = frozenset(
    "\u03b1\u03b3\u03b9\u03ba\u03bd\u03bf\u03c1\u03c3\u03c4\u03c5\u03c9\u03f2\u03f3\u0391\u0392\u0395\u0396\u0397\u0399"
    "\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03f9\u037f\u0410\u0412\u0415\u0417\u041a\u041c\u041d\u041e\u0420"
    "\u0421\u0422\u0423\u0425\u0430\u0435\u043e\u0440\u0441\u0443\u0445"
    "\u0405\u0406\u0408\u0455\u0456\u0458\u04ae\u04af\u04bb\u04ba\u04c0\u04cf\u0501\u051a\u051b\u051c\u051d\u0474\u0475"
)


def disguise_of(text: str) -> str | None:
    """Why this text may read otherwise than it looks, or None.

    `"hidden_signs"`: signs that no reader sees (zero width, direction, tags, control), that stand for nothing (private,
    unassigned), or that strike letters through; a mark on no letter. Line ends, tabs and spaces of any width are seen.

    `"look_alikes"`: a word in which Latin letters stand beside such that are drawn alike; letters that only stand
    in for Latin ones; letters of Greek or Cyrillic that could all be Latin.

    Takes linear time.

    >>> disguise_of("What is\\u200b BGP?"), disguise_of("What is \\u0412GP?"), disguise_of("Was heißt BGP?")
    ('hidden_signs', 'look_alikes', None)
    """
    if text.isascii() and text.isprintable():
        return None
    composed = _OF_PICTURES.sub("", unicodedata.normalize("NFC", text))
    if _holds_hidden(composed):
        return "hidden_signs"
    if _MIXED.search(composed) or _STAND_INS.search(composed):
        return "look_alikes"
    letters = frozenset(_GREEK_OR_CYRILLIC.findall(composed))
    return "look_alikes" if letters and letters <= _LOOK_LATIN else None


def _holds_hidden(text: str) -> bool:
    if _HIDDEN.search(text):
        return True
    seen = _JOINERS.sub("", text)
    if _RIGHT_TO_LEFT.search(seen):
        seen = _DIRECTIONS.sub("", seen)
    if any(unicodedata.category(sign) in _HIDDEN_CATEGORIES for sign in frozenset(seen) - frozenset("\t\n\r")):
        return True
    before = ""
    for sign in seen:
        if sign.isascii() or unicodedata.category(sign)[0] != "M":
            before = sign
        elif not before.isalpha() or (before < _FIRST_WITH_OWN_MARKS and not _MARKS_OF_ALL.match(sign)):
            return True
    return False
