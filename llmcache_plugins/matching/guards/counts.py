"""The quantities of a text: numbers in digits and in words, with their units."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from llmcache_plugins.matching.features import Features, Token
from llmcache_plugins.matching.guards.dates import dates_in
from llmcache_plugins.matching.guards.identifiers import identifiers_in
from llmcache_plugins.matching.guards.number_words import (
    COUNTING,
    ORDINALS,
    Spelled,
    read_part,
    read_spelled,
    slashed_percent,
)
from llmcache_plugins.matching.guards.quantities import Quantity, quantity, scale
from llmcache_plugins.matching.guards.units import (
    LETTERS,
    MONEY_LETTERS,
    MULTIPLIERS,
    POWERS,
    SCALED_WORDS,
    TEMPERATURES,
    UNITS,
    unit_of,
)
from llmcache_plugins.matching.guards.versions import versions_in

__all__ = ["NO_NUMBERS", "Numbers", "quantities_in"]

_LARGEST_SOFT = 10  # "the two sides", "five ways": people name and drop small counts
_LONGEST_LITERAL = 40  # digits beyond that are compared as written: no question counts that far
_LITERAL = re.compile(r"([-+]?)([$€£¥₹]?)(-?)([\d,]*\.?\d*(?:e[-+]?\d+)?)(.*)", re.IGNORECASE | re.DOTALL)
_ROMAN = {
    "I": 1, "II": 2, "III": 3, "IV": 4, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "XI": 11, "XII": 12, "XIII": 13,
    "XIV": 14, "XVI": 16,
}  # fmt: skip
_NUMBERED = frozenset({"war", "part", "volume", "chapter", "type", "phase", "level", "act", "class", "tier", "stage"})
_SOFT_ORDINALS = frozenset({"first", "second", "third"})  # also adverbs, a unit of time, a share
_WARS = {"wwi": 1, "wwii": 2, "wwiii": 3}
_CUES = COUNTING | ORDINALS.keys() | UNITS.keys() | _WARS.keys()
_SCALES_APART = SCALED_WORDS | MULTIPLIERS  # "5 million", "5 bn"
_JOINERS = frozenset({"to", "and", "or", "-", "through", "by"})
_ARTICLES = frozenset({"a", "an", "per", "each", "every"})
_SINGLE = _ARTICLES | {"within"}
_CURRENCIES = frozenset({"rs", "inr", "usd", "eur", "gbp"})
_AND_A_HALF = ("and", "a", "half")
_HALF = Decimal("0.5")
_LISTED = 100  # "500/1000" are two numbers, "1/0" is an interface
_NO_UNITS_APART = frozenset({"us", "US", "S", "MS", "MO", "PT", "MI", "H"})  # "2016 US"
_ASKED_AFTER = frozenset({"many", "much", "in", "to", "into", "of"})
_ASKED_TIME_AFTER = frozenset({"many", "per"})
_NOT_ASKED = frozenset({"months", "time", "points", "level", "energy", "percent", "degrees", "rupee"})


class Numbers(NamedTuple):
    hard: tuple[Quantity, ...]
    soft: tuple[Quantity, ...]  # may stand on one side alone: "two" (of them), "first"
    spare: tuple[Quantity, ...]  # only ever partners of another number: "one", "an hour"
    asked_units: frozenset[tuple[str, Decimal]]  # "how many yards", "in feet"


NO_NUMBERS = Numbers((), (), (), frozenset())


def quantities_in(features: Features) -> Numbers:
    """The quantities of a text that no date, version or identifier has claimed."""
    tokens = features.tokens
    if not _may_count(tokens):
        return NO_NUMBERS
    claimed = features.get(dates_in).claimed | features.get(versions_in).claimed | features.get(identifiers_in).claimed
    hard: list[Quantity] = []
    soft: list[Quantity] = []
    spare: list[Quantity] = []
    asked: set[tuple[str, Decimal]] = set()
    position = 0
    while position < len(tokens):
        token = tokens[position]
        kind = token.kind
        if kind == "word":
            if token.lower in COUNTING or "-" in token.lower:
                if position not in claimed and (spelled := read_spelled(tokens, position)):
                    position = _add_spelled(tokens, spelled, hard, soft, spare)
                    continue
            elif token.lower in ORDINALS:
                if position not in claimed:
                    _read_ordinal(tokens, position, soft, hard)
            elif token.lower in UNITS:
                _read_bare_unit(tokens, position, hard, spare, asked)
            elif token.lower in _WARS:
                soft.append(quantity(Decimal(_WARS[token.lower]), None))
            elif token.text in _ROMAN and position and _is_numbered(tokens[position - 1], token):
                hard.append(quantity(Decimal(_ROMAN[token.text]), None))  # "World War II", "Henry VIII"
        elif position not in claimed:
            if kind == "number" or kind == "measure":
                position = _read_digits(tokens, position, hard)
                continue
            if kind == "name":
                _read_name(token.lower, hard)
            elif kind == "slashed":
                spare.extend(_slashed(token.lower))
        position += 1
    return Numbers(tuple(hard), tuple(soft), tuple(spare), frozenset(asked))


def _may_count(tokens: tuple[Token, ...]) -> bool:
    """Whether any token can be part of a quantity: most questions have none, and this is soon seen."""
    return any(kind != "word" or lower in _CUES or text in _ROMAN or "-" in lower for text, lower, kind in tokens)


def _is_numbered(before: Token, token: Token) -> bool:
    """Whether a word is one that Roman numerals follow; "I" is mostly a pronoun."""
    return before.lower in _NUMBERED if token.text == "I" else before.text.istitle()


def _decimal(literal: str) -> Decimal | str:
    digits = literal.replace(",", "")
    if len(digits) > _LONGEST_LITERAL:
        return digits.lstrip("0")
    value = Decimal(digits) if digits.isascii() else Decimal(int(digits)) if digits.isdigit() else None
    return digits if value is None else value


def _read_digits(tokens: tuple[Token, ...], position: int, hard: list[Quantity]) -> int:
    """Read the number at `position` with its multiplier and unit; returns the position behind them."""
    match = _LITERAL.fullmatch(tokens[position].text)
    if match is None or not match.group(4).strip(",."):
        return position + 1
    sign, currency, inner_sign, literal, suffix = match.groups()
    value = _decimal(literal)
    if "-" in (sign, inner_sign):
        value = scale(value, -1)
    is_designation = len(suffix) == 1 and _follows_a_name(tokens, position)
    before = tokens[position - 1].lower if position else ""
    position += 1
    unit = UNITS.get(currency) if currency else UNITS[before] if before in _CURRENCIES else None
    if not suffix:
        position, value = _continued(tokens, position, value)
    if suffix:
        found = _suffix(suffix)
        if found is None:
            return position  # not a quantity: the identifiers have it
        if found[0] == "ordinal":
            hard.append(Quantity(value, "ordinal", value))
            return position
        if unit and suffix in MONEY_LETTERS:
            value = scale(value, MONEY_LETTERS[suffix])
        else:
            value, unit = scale(value, found[1]), found[2] or unit
    elif unit and position < len(tokens) and tokens[position].text in MONEY_LETTERS:
        value = scale(value, MONEY_LETTERS[tokens[position].text])  # "$5M"
        position += 1
    if position < len(tokens) and tokens[position].lower in _SCALES_APART:
        value = scale(value, _SCALES_APART[tokens[position].lower])
        position += 1
    if unit is None and position < len(tokens):
        position, unit = _unit_after(tokens, position)
    position, value, unit = _resolve(tokens, position, value, unit)
    hard.append(quantity(value, unit, is_designation))
    return position


def _continued(tokens: tuple[Token, ...], position: int, value: Decimal | str) -> tuple[int, Decimal | str]:
    """What belongs to a number behind its digits: "10 000", "6 1/2", "6 and a half"."""
    if isinstance(value, str) or position >= len(tokens):
        return position, value
    if 1 <= abs(value) < 1000 and tokens[position].text == "000":
        while position < len(tokens) and tokens[position].text == "000":
            position, value = position + 1, scale(value, 1000)
        return position, value
    if tokens[position].kind == "slashed" and value >= 0 and (percent := slashed_percent(tokens[position].lower)):
        return position + 1, value + percent / 100
    if _words(tokens, position) == _AND_A_HALF:
        return position + 3, value + _HALF
    return position, value


def _follows_a_name(tokens: tuple[Token, ...], position: int) -> bool:
    """Whether a word with a capital inside a sentence stands before: "the iPhone 6s"."""
    return position > 1 and not tokens[position - 1].text.islower() and tokens[position - 1].kind == "word"


def _resolve(
    tokens: tuple[Token, ...], position: int, value: Decimal | str, unit: tuple[str, Decimal] | None
) -> tuple[int, Decimal | str, tuple[str, Decimal] | None]:
    """A letter or "degrees" before another unit has one meaning: "5k miles", "$5 M", "20 degrees C"."""
    if unit is None or unit[0] not in LETTERS or position >= len(tokens):
        return position, value, unit
    following = _unit_word(tokens[position]) if tokens[position].kind == "word" else None
    if following is None or following[0] in LETTERS:
        return position, value, unit
    if unit[0] == "degrees":
        return (position + 1, value, following) if following[0] in TEMPERATURES else (position, value, unit)
    factor = dict(LETTERS[unit[0]]).get("")
    return (position, value, unit) if factor is None else (position + 1, scale(value, factor), following)


def _suffix(suffix: str) -> tuple[str, int, tuple[str, Decimal] | None] | None:
    """What letters at the end of a number are: kind, multiplier and unit; None when they make it an identifier."""
    lower = suffix.lower()
    if unit := unit_of(suffix, lower):
        return "unit", 1, unit
    if suffix in MULTIPLIERS:
        return "multiplier", MULTIPLIERS[suffix], None
    if lower in ("st", "nd", "rd", "th"):
        return "ordinal", 1, None
    return (
        ("times", 1, ("times", Decimal(1)))
        if lower in ("x", "s")
        else ("inch", 1, UNITS["inch"])
        if suffix == '"'
        else None
    )


def _unit_after(tokens: tuple[Token, ...], position: int) -> tuple[int, tuple[str, Decimal] | None]:
    """The unit at `position`; in "10 to 20 MB" and "5 or 6 hours" the first number has the unit of the second."""
    token = tokens[position]
    token_after = tokens[position + 1] if position + 1 < len(tokens) else None
    if token.lower in POWERS and token_after is not None:
        unit = _raised(token_after, POWERS[token.lower])
        return (position + 2, unit) if unit else (position, None)
    if token.lower == "per" and token_after is not None and token_after.lower == "cent":
        return position + 2, UNITS["percent"]
    if token.lower == "in" and token_after is None:
        return position + 1, UNITS["inch"]  # "a screen of 27 in"
    if token.kind in ("word", "name") and (unit := _unit_word(token)):
        return position + 1, unit
    if token.lower not in _JOINERS or token_after is None:
        return position, None
    if token_after.kind == "measure":
        match = _LITERAL.fullmatch(token_after.text)
        return position, unit_of(match.group(5), match.group(5).lower()) if match else None
    if token_after.kind == "number" and position + 2 < len(tokens):
        return position, _unit_word(tokens[position + 2])
    return position, None


def _raised(token: Token, power: int) -> tuple[str, Decimal] | None:
    """ "square feet": a dimension of its own."""
    unit = UNITS["meter"] if token.text == "m" else UNITS.get(token.lower)
    return (f"length^{power}", unit[1] ** power) if unit and unit[0] == "length" else None


def _unit_word(token: Token) -> tuple[str, Decimal] | None:
    text = token.text
    if text in _NO_UNITS_APART:
        return None
    lower = token.lower.split("-", 1)[0]  # "5 year-old"
    return unit_of(text, lower)


def _add_spelled(
    tokens: tuple[Token, ...], spelled: Spelled, hard: list[Quantity], soft: list[Quantity], spare: list[Quantity]
) -> int:
    """Add a number in words with the unit behind it; returns the position behind both."""
    value, kind, end, is_single, unit = spelled
    if kind == "ordinal":
        hard.append(Quantity(value, "ordinal", value))
    elif kind == "share" or kind == "half":
        (hard if kind == "share" else spare).append(quantity(value, unit or UNITS["percent"]))
    elif kind == "multiple":
        soft.append(quantity(value, ("times", Decimal(1))))
    elif kind == "compound":
        hard.append(quantity(value, unit))
    else:
        if _words(tokens, end) == _AND_A_HALF:
            value, end, is_single = value + _HALF, end + 3, False
        if unit is None and end < len(tokens):
            end, unit = _unit_after(tokens, end)
        is_small = is_single and value <= _LARGEST_SOFT and unit is None
        (hard if not is_small else soft if value > 1 else spare).append(quantity(value, unit))
    return end


def _words(tokens: tuple[Token, ...], position: int) -> tuple[str, ...]:
    return tuple(token.lower for token in tokens[position : position + 3])


def _slashed(lower: str) -> Iterator[Quantity]:
    """What "3/4" and "500/1000" may be; the guard of identifiers compares them as written."""
    percent = slashed_percent(lower)
    parts = lower.split("/")
    if percent is not None:
        yield quantity(percent, UNITS["percent"])
    elif all(len(part) <= _LONGEST_LITERAL and part.isdigit() and int(part) >= _LISTED for part in parts):
        for part in parts:
            yield quantity(Decimal(int(part)), None)


def _read_ordinal(tokens: tuple[Token, ...], position: int, soft: list[Quantity], hard: list[Quantity]) -> None:
    word = tokens[position].lower
    if part := read_part(tokens, position):
        hard.append(quantity(part.value, part.unit or UNITS["percent"]))
        return
    if word == "second" and position and tokens[position - 1].lower in (*_ARTICLES, "one", "this"):
        return
    value = Decimal(ORDINALS[word])
    (soft if word in _SOFT_ORDINALS else hard).append(Quantity(value, "ordinal", value))


def _read_bare_unit(
    tokens: tuple[Token, ...],
    position: int,
    hard: list[Quantity],
    spare: list[Quantity],
    asked: set[tuple[str, Decimal]],
) -> None:
    unit = UNITS[tokens[position].lower]
    before = tokens[position - 1].lower if position else ""
    if before in ("a", "an", "one") and _words(tokens, position + 1) == _AND_A_HALF:
        hard.append(quantity(1 + _HALF, unit))  # "an hour and a half"
    elif before in _SINGLE:
        spare.append(quantity(Decimal(1), unit))
    if (before in _ASKED_AFTER and unit[0] not in _NOT_ASKED) or (
        before in _ASKED_TIME_AFTER and unit[0] in ("time", "months")
    ):
        asked.add(unit)


def _read_name(lower: str, hard: list[Quantity]) -> None:
    """The number in "vlan10", "rtr-001" or "#7": so that "VLAN 10" agrees with it."""
    lower = lower.lstrip(".#")
    letters = lower.rstrip("0123456789")
    digits = lower[len(letters) :]
    if digits and (not letters or letters.rstrip("-_").isalpha()) and len(digits) <= _LONGEST_LITERAL:
        value = Decimal(digits)
        hard.append(Quantity(value, "", value))
