"""Numbers with their units: every quantity of a text needs a partner in the other."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from llmcache_plugins.matching.features import Features, Token
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, leftovers, silent
from llmcache_plugins.matching.guards.dates import dates_in
from llmcache_plugins.matching.guards.identifiers import identifiers_in
from llmcache_plugins.matching.guards.quantities import Quantity, pair_alike, quantity, scale
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

__all__ = ["Quantity", "numbers", "quantities_in"]

_LARGEST_SOFT = 10  # "the two sides", "five ways": people name and drop small counts
_LONGEST_LITERAL = 40  # digits beyond that are compared as written: no question counts that far
_LITERAL = re.compile(r"([-+]?)([$€£¥₹]?)(-?)([\d,]*\.?\d*(?:e[-+]?\d+)?)(.*)", re.IGNORECASE | re.DOTALL)
_ONES = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10, "eleventh": 11, "twelfth": 12,
}  # fmt: skip
_ROMAN = {
    "I": 1, "II": 2, "III": 3, "IV": 4, "VI": 6, "VII": 7, "VIII": 8, "IX": 9, "XI": 11, "XII": 12, "XIII": 13,
    "XIV": 14, "XVI": 16,
}  # fmt: skip
_NUMBERED = frozenset({"war", "part", "volume", "chapter", "type", "phase", "level", "act", "class", "tier", "stage"})
_SOFT_ORDINALS = frozenset({"first", "second", "third"})  # also adverbs, a unit of time, a share
_COUNTING = _ONES.keys() | _TENS.keys() | {"dozen", "half"} | SCALED_WORDS.keys()
_CUES = _COUNTING | _ORDINALS.keys() | UNITS.keys()
_SCALES_APART = SCALED_WORDS | MULTIPLIERS  # "5 million", "5 bn"
_JOINERS = frozenset({"to", "and", "or", "-", "through", "by"})
_ARTICLES = frozenset({"a", "an", "per", "each", "every"})
_NO_UNITS_APART = frozenset({"us", "US", "S", "MS", "MO", "PT", "MI", "H"})  # "2016 US"
_ASKED_AFTER = frozenset({"many", "much", "in", "to", "into", "of"})
_ASKED_TIME_AFTER = frozenset({"many", "per"})
_NOT_ASKED = frozenset({"months", "time", "points", "level", "energy", "percent", "degrees", "rupee"})


class _Numbers(NamedTuple):
    hard: tuple[Quantity, ...]
    soft: tuple[Quantity, ...]  # may stand on one side alone: "two" (of them), "first"
    spare: tuple[Quantity, ...]  # only ever partners of another number: "one", "an hour"
    asked_units: frozenset[tuple[str, Decimal]]  # "how many yards", "in feet"


_NONE = _Numbers((), (), (), frozenset())


def quantities_in(features: Features) -> _Numbers:
    """The quantities of a text that no date, version or identifier has claimed."""
    tokens = features.tokens
    if not _may_count(tokens):
        return _NONE
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
            if token.lower in _COUNTING or "-" in token.lower:
                position = _read_words(tokens, position, hard, soft, spare)
                continue
            if token.lower in _ORDINALS:
                _read_ordinal(tokens, position, soft, hard)
            elif token.lower in UNITS:
                _read_bare_unit(tokens, position, spare, asked)
            elif token.text in _ROMAN and position and _is_numbered(tokens[position - 1], token):
                hard.append(quantity(Decimal(_ROMAN[token.text]), None))  # "World War II", "Henry VIII"
        elif position not in claimed:
            if kind == "number" or kind == "measure":
                position = _read_digits(tokens, position, hard)
                continue
            if kind == "name":
                _read_name(token.lower, hard)
        position += 1
    return _Numbers(tuple(hard), tuple(soft), tuple(spare), frozenset(asked))


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
    position += 1
    unit = UNITS.get(currency) if currency else None
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


def _read_words(
    tokens: tuple[Token, ...], position: int, hard: list[Quantity], soft: list[Quantity], spare: list[Quantity]
) -> int:
    """Read a number in words: "twenty-one", "two hundred and five", "half an hour"."""
    start, total, current, last_scale = position, 0, 0, False
    while position < len(tokens):
        parts = tokens[position].lower.split("-")
        word = parts[0]
        if len(parts) == 2 and word in _TENS and parts[1] in _ONES:
            current += _TENS[word] + _ONES[parts[1]]
        elif len(parts) > 1:
            return _compound(tokens, start, parts, hard) if position == start else position
        elif word in _ONES and (position == start or last_scale or (current % 10 == 0 and current % 100)):
            current += _ONES[word]
        elif word in _TENS and (position == start or last_scale):
            current += _TENS[word]
        elif word in SCALED_WORDS and current:
            current *= SCALED_WORDS[word]
            if SCALED_WORDS[word] > 100:
                total, current = total + current, 0
        elif word == "and" and last_scale and position + 1 < len(tokens) and tokens[position + 1].lower in _COUNTING:
            position += 1
            continue
        else:
            break
        last_scale = word in SCALED_WORDS
        position += 1
    total += current
    if position == start:
        return _read_half(tokens, position, hard)
    position_after, unit = _unit_after(tokens, position) if position < len(tokens) else (position, None)
    value = Decimal(total)
    is_small = position - start == 1 and total <= _LARGEST_SOFT and unit is None
    (hard if not is_small else soft if total > 1 else spare).append(quantity(value, unit))
    return max(position_after, position)


def _compound(tokens: tuple[Token, ...], position: int, parts: list[str], hard: list[Quantity]) -> int:
    """ "two-factor", "five-minute": the first part counts, and the second may be its unit; "one-way" does not count."""
    value = _ONES.get(parts[0], _TENS.get(parts[0], 0))
    if value and (value > 1 or parts[1] in UNITS):
        hard.append(quantity(Decimal(value), UNITS.get(parts[1])))
    return position + 1


def _read_half(tokens: tuple[Token, ...], position: int, hard: list[Quantity]) -> int:
    word = tokens[position].lower
    behind = position + 2 if position + 1 < len(tokens) and tokens[position + 1].lower in ("a", "an") else position + 1
    if word in ("half", "dozen") and behind < len(tokens) and (unit := _unit_word(tokens[behind])) and word == "half":
        hard.append(quantity(Decimal("0.5"), unit))
        return behind + 1
    if word == "dozen":
        hard.append(Quantity(Decimal(12), "", Decimal(12)))
    elif word == "hundred" or word == "thousand" or word == "million":
        hard.append(Quantity(Decimal(SCALED_WORDS[word]), "", Decimal(SCALED_WORDS[word])))
    return position + 1


def _read_ordinal(tokens: tuple[Token, ...], position: int, soft: list[Quantity], hard: list[Quantity]) -> None:
    word = tokens[position].lower
    if word == "second" and position and tokens[position - 1].lower in (*_ARTICLES, "one", "this"):
        return
    value = Decimal(_ORDINALS[word])
    (soft if word in _SOFT_ORDINALS else hard).append(Quantity(value, "ordinal", value))


def _read_bare_unit(
    tokens: tuple[Token, ...], position: int, spare: list[Quantity], asked: set[tuple[str, Decimal]]
) -> None:
    unit = UNITS[tokens[position].lower]
    before = tokens[position - 1].lower if position else ""
    if before in _ARTICLES:
        spare.append(quantity(Decimal(1), unit))
    if (before in _ASKED_AFTER and unit[0] not in _NOT_ASKED) or (
        before in _ASKED_TIME_AFTER and unit[0] in ("time", "months")
    ):
        asked.add(unit)


def _read_name(lower: str, hard: list[Quantity]) -> None:
    """The number in "vlan10" or "rtr-001": so that "VLAN 10" agrees with it."""
    lower = lower.removeprefix(".")
    letters = lower.rstrip("0123456789")
    digits = lower[len(letters) :]
    if digits and letters.rstrip("-_").isalpha() and len(digits) <= _LONGEST_LITERAL:
        value = Decimal(digits)
        hard.append(Quantity(value, "", value))


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(quantities_in), stored.get(quantities_in)
    if left == _NONE and right == _NONE:
        return silent
    if _ask_other_units(left.asked_units, right.asked_units):
        return conflict((u[0] for u in left.asked_units), (u[0] for u in right.asked_units))
    if left.hard == right.hard and left.soft == right.soft:
        return agree if left.hard or left.soft or (left.asked_units and right.asked_units) else silent
    mine, theirs = leftovers(left.hard, right.hard)
    mine = leftovers(mine, (*right.soft, *right.spare))[0]
    theirs = leftovers(theirs, (*left.soft, *left.spare))[0]
    mine, theirs = pair_alike(mine, theirs)
    mine = [item for item in mine if not _stands_elsewhere(item, stored)]
    theirs = [item for item in theirs if not _stands_elsewhere(item, asked)]
    if mine or theirs:
        return conflict(mine, theirs)
    my_soft = set(left.soft) - {*right.soft, *right.hard}
    their_soft = set(right.soft) - {*left.soft, *left.hard}
    if my_soft and their_soft:
        return conflict(my_soft, their_soft)
    return agree if (left.hard or left.soft) and (right.hard or right.soft) else silent


def _ask_other_units(left: frozenset[tuple[str, Decimal]], right: frozenset[tuple[str, Decimal]]) -> bool:
    """ "How many yards" and "how many feet" ask for different numbers; a unit that only one text names is no sign."""
    if not left or not right or left & right:
        return False
    return bool({_asked_dimension(unit) for unit in left} & {_asked_dimension(unit) for unit in right})


def _asked_dimension(unit: tuple[str, Decimal]) -> str:
    return "temperature" if unit[0] in TEMPERATURES else unit[0]


def _stands_elsewhere(item: Quantity, other: Features) -> bool:
    """Whether the other text has this number as a year, a version or a name: the words beside it decide that."""
    written = str(item.written)
    dates, versions = other.get(dates_in), other.get(versions_in)
    if item.dimension in LETTERS and f"{written}{item.dimension.lower()}" in other.get(identifiers_in).found:
        return True  # "3d" and "3D"
    if item.dimension in ("", "ordinal"):
        turned = Quantity(item.value, "" if item.dimension else "ordinal", item.value)
        if turned in other.get(_counted):
            return True  # "World War I" and "the First World War", "chapter 4" and "the fourth chapter"
    return item.dimension == "" and (f"year {written}" in dates.hard or written in versions.all)


def _counted(features: Features) -> frozenset[Quantity]:
    found = features.get(quantities_in)
    return frozenset((*found.soft, *found.hard))


numbers = Rule("numbers", _compare)
