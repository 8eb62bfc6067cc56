"""Numbers in words: "two hundred and five", "twenty-first", "half a dozen", "two thirds", "a quarter of an hour"."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from llmcache_plugins.matching.features import Features, Token
from llmcache_plugins.matching.guards.units import SCALED_WORDS, UNITS

__all__ = [
    "COUNTING",
    "ORDINALS",
    "Spelled",
    "percents_in",
    "read_part",
    "read_spelled",
    "slashed_percent",
    "unit_behind",
]

_ONES = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_ONE_TO_NINE = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
}  # fmt: skip
ORDINALS = _ONE_TO_NINE | {
    "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13, "fourteenth": 14, "fifteenth": 15, "sixteenth": 16,
    "seventeenth": 17, "eighteenth": 18, "nineteenth": 19, "twentieth": 20, "thirtieth": 30, "fortieth": 40,
    "fiftieth": 50, "sixtieth": 60, "seventieth": 70, "eightieth": 80, "ninetieth": 90, "hundredth": 100,
}  # fmt: skip
_PARTS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4, "third": 3, "thirds": 3} | {
    form: value
    for word, value in ORDINALS.items()
    if 3 < value <= 10 or value == 100
    for form in (word, f"{word}s")
}  # fmt: skip
_SCALES = SCALED_WORDS | {"dozen": 12}
_MULTIPLE = {"twice": 2, "thrice": 3}
COUNTING = _ONES.keys() | _TENS.keys() | _SCALES.keys() | _MULTIPLE.keys() | {"half", "quarter"}
_COUNTED_ON = COUNTING - {"half", "quarter", "twice", "thrice"}
_ARTICLES = frozenset({"a", "an", "the", "one"})
_LARGEST_DENOMINATOR = 100


class Spelled(NamedTuple):
    """A number in words.

    Kinds: "count", "ordinal", "share" (its value in percent), "half" (of something that is not named by a unit),
    "compound" (the first part of "two-factor"), "multiple" ("twice").
    """

    value: Decimal
    kind: str
    end: int  # the position behind it
    is_single: bool  # one word
    unit: tuple[str, Decimal] | None = None


def read_spelled(tokens: tuple[Token, ...], position: int) -> Spelled | None:
    """The number in words that begins at `position`."""
    word = tokens[position].lower
    if word in _MULTIPLE:
        return Spelled(Decimal(_MULTIPLE[word]), "multiple", position + 1, is_single=True)
    if "-" in word:
        return _hyphened(tokens, position)
    if word in ("half", "quarter"):
        return _part(tokens, position, Decimal(1))
    value, end, scale = _cardinal(tokens, position)
    if end == position:
        return Spelled(Decimal(scale), "count", position + 1, is_single=False) if scale else None
    if end < len(tokens):
        following = tokens[end].lower
        tens = _TENS.get(tokens[end - 1].lower)
        if tens and following in _ONE_TO_NINE and not _is_said(tokens, end + 1, "of"):
            return Spelled(Decimal(value + _ONE_TO_NINE[following]), "ordinal", end + 1, is_single=False)
        if following in _PARTS and (following.endswith("s") or value == 1):
            found = _part(tokens, end, Decimal(value))
            if found:
                return found
    return Spelled(Decimal(value), "count", end, is_single=end == position + 1)


def _cardinal(tokens: tuple[Token, ...], start: int) -> tuple[int, int, int]:
    """A whole number, the position behind it, and, where it is only a scale ("dozens", "hundred"), that scale."""
    position, total, current, last_scale = start, 0, 0, False
    while position < len(tokens):
        word = tokens[position].lower
        if "-" in word:
            tens, _, ones = word.partition("-")
            if tens not in _TENS or ones not in _ONES or not (position == start or last_scale):
                break
            current += _TENS[tens] + _ONES[ones]
        elif word in _ONES and (position == start or last_scale or (current % 10 == 0 and current % 100)):
            current += _ONES[word]
        elif word in _TENS and (position == start or last_scale):
            current += _TENS[word]
        elif word in _SCALES and current:
            current *= _SCALES[word]
            if _SCALES[word] > 100:
                total, current = total + current, 0
        elif word == "and" and last_scale and position + 1 < len(tokens) and tokens[position + 1].lower in _COUNTED_ON:
            position += 1
            continue
        else:
            break
        last_scale = word in _SCALES
        position += 1
    is_scale = position == start and tokens[start].lower in ("dozen", "hundred", "thousand", "million")
    return total + current, position, _SCALES[tokens[start].lower] if is_scale else 0


def _hyphened(tokens: tuple[Token, ...], position: int) -> Spelled | None:
    """ "twenty-one", "twenty-first", "two-thirds", "half-hour", "nineteenth-century", "five-minute", "two-factor"."""
    parts = tokens[position].lower.split("-")
    first, second = parts[0], parts[1]
    if len(parts) == 2 and first in _TENS and second in _ONES:
        value, end, _ = _cardinal(tokens, position)
        return Spelled(Decimal(value), "count", end, is_single=False)
    if first in _TENS and second in _ONE_TO_NINE:
        return Spelled(Decimal(_TENS[first] + _ONE_TO_NINE[second]), "ordinal", position + 1, is_single=False)
    if first in ORDINALS and first != "second":
        return Spelled(Decimal(ORDINALS[first]), "ordinal", position + 1, is_single=True)
    unit = UNITS.get(second)
    if first == "half":
        return Spelled(Decimal("0.5"), "compound", position + 1, is_single=True, unit=unit) if unit else None
    value = _ONES.get(first, _TENS.get(first, 0))
    if value and second in _PARTS and (second.endswith("s") or value == 1):
        return _share(tokens, position + 1, Decimal(value) / _PARTS[second])
    if value and (value > 1 or unit):
        return Spelled(Decimal(value), "compound", position + 1, is_single=True, unit=unit)
    return None


def _part(tokens: tuple[Token, ...], position: int, count: Decimal) -> Spelled | None:
    """`count` of the part at `position`: "half a dozen", "half an hour", "quarter of an hour", "thirds of users"."""
    word = tokens[position].lower
    if word != "half":
        is_counted = position > 0 and tokens[position - 1].lower in ("a", "one", *_ONES)
        if word.startswith("quarter") and not (is_counted and _is_said(tokens, position + 1, "of")):
            return None  # of a year, or of a game
        return _share(tokens, position + 1, count / _PARTS[word])
    behind = position + 2 if _is_said(tokens, position + 1, "a", "an") else position + 1
    if behind < len(tokens) and (scale := _SCALES.get(tokens[behind].lower)):
        return Spelled(Decimal(scale) / 2, "count", behind + 1, is_single=False)
    if behind < len(tokens) and (unit := unit_behind(tokens[behind])):
        return Spelled(Decimal("0.5"), "compound", behind + 1, is_single=False, unit=unit)
    found = _share(tokens, position + 1, Decimal("0.5"))
    return found._replace(kind="half")


def _share(tokens: tuple[Token, ...], position: int, value: Decimal) -> Spelled:
    """A share, or what it makes of the unit behind it."""
    if _is_said(tokens, position, "of") and _is_said(tokens, position + 1, *_ARTICLES):
        unit = unit_behind(tokens[position + 2]) if position + 2 < len(tokens) else None
        if unit and unit[0] != "percent":
            return Spelled(value, "share", position + 3, is_single=False, unit=unit)
    return Spelled(value * 100, "share", position, is_single=False)


def read_part(tokens: tuple[Token, ...], position: int) -> Spelled | None:
    """ "a fifth of the users" from its "fifth" on; None where that is an ordinal."""
    word = tokens[position].lower
    is_part = position and tokens[position - 1].lower in ("a", "an") and _is_said(tokens, position + 1, "of")
    return _share(tokens, position + 1, Decimal(1) / _PARTS[word]) if is_part and word in _PARTS else None


def unit_behind(token: Token) -> tuple[str, Decimal] | None:
    """The unit that a word is, singular or plural, by its name."""
    return UNITS.get(token.lower) if token.kind == "word" and len(token.lower) > 2 else None


def _is_said(tokens: tuple[Token, ...], position: int, *words: str) -> bool:
    return position < len(tokens) and tokens[position].lower in words


def slashed_percent(text: str) -> Decimal | None:
    """A share in digits in percent: 75 for "3/4"; None for what is an interface, a date or a list rather."""
    over, _, under = text.partition("/")
    if not (over.isdigit() and under.isdigit() and len(over) <= 2 and len(under) <= 3):
        return None
    return Decimal(int(over)) / int(under) * 100 if 0 < int(over) < int(under) <= _LARGEST_DENOMINATOR else None


def percents_in(features: Features) -> frozenset[Decimal]:
    """Shares that a text has in words or as percents, so that "3/4" is said by them."""
    tokens = features.tokens
    found: set[Decimal] = set()
    for position, token in enumerate(tokens):
        lower = token.lower
        if token.kind == "word" and (lower in COUNTING or lower in _PARTS or "-" in lower):
            spelled = read_part(tokens, position) if lower in _PARTS else None
            spelled = spelled or read_spelled(tokens, position)
            if spelled and spelled.kind in ("share", "half"):
                found.add(spelled.value if spelled.unit is None else spelled.value * 100)
        elif lower.endswith("%") and lower[:-1].isascii() and lower[:-1].isdigit() and len(lower) < 5:
            found.add(Decimal(lower[:-1]))
    return frozenset(found)
