"""Dates and times: years, months, days, weekdays, quarters, clock times, and marks such as "yesterday"."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from llmcache_plugins.matching.features import Features, Token
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, leftovers, silent, words_of
from llmcache_plugins.matching.guards.content import SMALL
from llmcache_plugins.matching.guards.units import unit_of

__all__ = ["dates", "dates_in", "same_short_year"]

_MONTHS = {
    name: month
    for month, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
            "september sep sept", "october oct", "november nov", "december dec",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
_ALSO_OTHER_WORDS = frozenset({"may", "march", "mar", "august", "jan", "dec", "sep"})
_WEEKDAYS = {
    name: day
    for day, names in enumerate(
        ("monday mon", "tuesday tue tues", "wednesday wed", "thursday thu thurs", "friday fri", "saturday", "sunday")
    )
    for name in names.split()
}  # fmt: skip
_WEEKDAYS |= {f"{name}s": day for name, day in _WEEKDAYS.items() if name.endswith("day")}
_RELATIVE = {"yesterday": "yesterday", "tomorrow": "tomorrow", "today": "today", "tonight": "tonight"}
_SOFT = frozenset({"today", "tonight", "this week", "this month", "this year", "this quarter", "this weekend"})
_MOVED = frozenset({"last", "previous", "past", "next", "coming", "upcoming", "this", "current"})
_SAME_MOVE = {"previous": "last", "past": "last", "coming": "next", "upcoming": "next", "current": "this"}
_PERIODS = frozenset(
    {"week", "month", "year", "quarter", "night", "weekend", "semester", "decade", "century", "season"}
)
_SEASONS = {
    "spring": "spring", "springtime": "spring", "summer": "summer", "summertime": "summer", "autumn": "autumn",
    "fall": "autumn", "winter": "winter", "wintertime": "winter",
}  # fmt: skip
_BESIDE_SEASONS = words_of(
    """term terms semester season break quarter classes courses weather collection session in this last next every each
    early late mid during of the since until"""
)
_DAY_PARTS = {
    "morning": "morning", "mornings": "morning", "afternoon": "afternoon", "afternoons": "afternoon",
    "evening": "evening", "evenings": "evening", "night": "night", "nights": "night", "nighttime": "night",
}  # fmt: skip
_QUARTER = re.compile(r"(?:fy)?q([1-4])(?:[-/']?(\d{4}))?")
_YEAR = re.compile(r"(?:19|20)\d\d")
_DECADE = re.compile(r"'?((?:1[5-9]|20)?\d0)s")
_DAY = re.compile(r"(0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?")
_CLOCK = re.compile(r"(\d{1,2})(?::(\d\d))?(?::(\d\d))?\s*(?:([ap])\.?m)?")
_NUMBERS_IN_DATE = re.compile(r"\d+")
_NO_YEAR_BEHIND = words_of("rs inr usd eur gbp under below")  # "phones under 2000"
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4}
_SHORT_YEAR = re.compile(r"(?:19|20)?(\d\d)")
_APOSTROPHE = re.compile(r"(?<![\w'\u2019])['\u2019](\d\d)(?![\w'\u2019])")
_HALVES = {"am": "a", "a.m": "a", "pm": "p", "p.m": "p"}


class _Dates(NamedTuple):
    hard: tuple[str, ...]
    soft: tuple[str, ...]
    claimed: frozenset[int]


_NONE = _Dates((), (), frozenset())
_CUES = (
    _SEASONS.keys()
    | _DAY_PARTS.keys()
    | _MONTHS.keys()
    | _WEEKDAYS.keys()
    | _RELATIVE.keys()
    | _PERIODS
    | {"noon", "midnight", "o'clock", "quarter"}
)


def dates_in(features: Features) -> _Dates:
    """The atoms of all dates ("year 2026", "month 2", "day 12", "14:00", "last week") and the tokens they took.

    The soft ones ("today", "morning", "winter season") may stand in one of two texts alone.
    """
    reader = _Reader(features.tokens)
    for position, token in enumerate(reader.tokens):
        kind = token.kind
        if kind == "word":
            if token.lower in _CUES:
                reader.read_word(position, token.lower)
        elif kind == "number":
            reader.read_number(position, token)
        elif kind != "operator" and position not in reader.claimed:
            reader.read_shape(position, token)
    if not reader.hard and not reader.soft:
        return _NONE
    return _Dates(tuple(reader.hard), tuple(reader.soft), frozenset(reader.claimed))


class _Reader:
    __slots__ = ("claimed", "hard", "soft", "tokens")

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens = tokens
        self.hard: list[str] = []
        self.soft: list[str] = []
        self.claimed: set[int] = set()

    def _at(self, position: int) -> Token | None:
        return self.tokens[position] if 0 <= position < len(self.tokens) else None

    def _day_at(self, position: int) -> str | None:
        token = self._at(position)
        if token is None or token.kind not in ("number", "measure") or position in self.claimed:
            return None
        match = _DAY.fullmatch(token.lower)
        return str(int(match.group(1))) if match else None

    def read_word(self, position: int, word: str) -> None:
        if word in _MONTHS:
            self._read_month(position, word)
        elif word in _WEEKDAYS:
            if len(word) > 5 or self.tokens[position].text[0].isupper():
                self._add(position, f"weekday {_WEEKDAYS[word]}")
                self._read_move(position, "weekday")
        elif word in _RELATIVE:
            (self.soft if word in _SOFT else self.hard).append(word)
        elif word in _SEASONS:
            self._read_season(position, word)
        elif word in _PERIODS or word in _DAY_PARTS:
            self._read_move(position, word)
            before = self._at(position - 1)
            if word == "quarter" and before is not None and before.lower in _ORDINALS:
                self.claimed.add(position - 1)
                self._add(position, f"quarter {_ORDINALS[before.lower]}")
            if word in _DAY_PARTS:
                self.soft.append(_DAY_PARTS[word])
        elif word == "noon" or word == "midnight":
            self._add(position, "12:00" if word == "noon" else "00:00")

    def _read_season(self, position: int, word: str) -> None:
        """ "spring" and "fall" are other words too: they need one of a season's beside them."""
        before, after = self._at(position - 1), self._at(position + 1)
        if word not in ("spring", "fall") or any(
            token is not None and (token.lower in _BESIDE_SEASONS or _YEAR.fullmatch(token.lower))
            for token in (before, after)
        ):
            self.soft.append(f"{_SEASONS[word]} season")

    def _read_move(self, position: int, period: str) -> None:
        before = self._at(position - 1)
        if before is not None and before.lower in _MOVED:
            mark = f"{_SAME_MOVE.get(before.lower, before.lower)} {period}"
            if period != "weekday" or mark == "last weekday":
                (self.soft if mark in _SOFT else self.hard).append(mark)

    def _read_month(self, position: int, word: str) -> None:
        """A month with the day on either side; "may" and its like need a number beside them or a capital."""
        day, day_position = self._day_at(position + 1), position + 1
        if day is None:
            day, day_position = self._day_at(position - 1), position - 1
        before, before_that = self._at(position - 1), self._day_at(position - 2)
        if day is None and before is not None and before.lower == "of" and before_that is not None:
            day, day_position = before_that, position - 2
        after = self._at(position + 1)
        has_year = after is not None and _YEAR.fullmatch(after.lower) is not None
        if word in _ALSO_OTHER_WORDS and day is None and not has_year:
            if not self.tokens[position].text[0].isupper() or position == 0 or len(word) == 3:
                return
            if word == "may" and (before is None or before.lower not in ("in", "since", "by", "until", "of", "last")):
                return
        self._add(position, f"month {_MONTHS[word]}")
        if day is not None:
            self._add(day_position, f"day {day}")

    def _add(self, position: int, *atoms: str) -> None:
        self.claimed.add(position)
        self.hard.extend(atoms)

    def read_number(self, position: int, token: Token) -> None:
        """A bare year, or an hour before "pm"."""
        if position in self.claimed:
            return
        after = self._at(position + 1)
        following = after.lower if after is not None else ""
        if following in _HALVES and token.text.isdigit() and len(token.text) <= 4:
            if clock := _clock_of(token.text, _HALVES[following]):
                self.claimed.add(position + 1)
                self._add(position, clock)
        elif following == "o'clock" and _DAY.fullmatch(token.text):
            self._add(position, f"{int(token.text):02d}:00")
        elif _YEAR.fullmatch(token.text) and not (after is not None and unit_of(after.text, following)):
            before = self._at(position - 1)
            if before is not None and before.lower in _NO_YEAR_BEHIND:
                return
            self._add(position, f"year {token.text}")

    def read_shape(self, position: int, token: Token) -> None:
        lower, kind = token.lower, token.kind
        if kind == "date":
            self._add(position, *_atoms_of_date(lower))
        elif kind == "clock":
            after = self._at(position + 1)
            half = _HALVES.get(after.lower) if after is not None else None
            if half is not None:
                self.claimed.add(position + 1)
            match = _CLOCK.fullmatch(lower)
            if match and (clock := _minutes(match, half)):
                self._add(position, clock)
        elif kind == "measure" and (decade := _DECADE.fullmatch(lower)):
            year = decade.group(1)
            self._add(position, f"decade {year if len(year) > 2 else '19' + year}")
        elif kind == "name" and (quarter := _QUARTER.fullmatch(lower)):
            self._add(
                position, f"quarter {quarter.group(1)}", *([f"year {quarter.group(2)}"] if quarter.group(2) else [])
            )


def _clock_of(digits: str, half: str) -> str | None:
    """ "7" or "730" before "pm"."""
    hour, minute = (int(digits), 0) if len(digits) <= 2 else (int(digits[:-2]), int(digits[-2:]))
    return _time(hour, minute, half) if 1 <= hour <= 12 and minute < 60 else None


def _minutes(match: re.Match[str], half: str | None) -> str:
    clock = _time(int(match.group(1)), int(match.group(2) or 0), match.group(4) or half)
    return f"{clock}:{match.group(3)}" if match.group(3) and match.group(3) != "00" else clock


def _time(hour: int, minute: int, half: str | None) -> str:
    if half and hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    return f"{hour:02d}:{minute:02d}"


def _atoms_of_date(text: str) -> list[str]:
    """Atoms of a date in digits; day and month of "02/12/2026" stay together, nobody knows which is which."""
    day, _, time = text.partition("t")
    parts = [int(part) for part in _NUMBERS_IN_DATE.findall(day)]
    atoms = [f"time {time}"] if time else []
    if parts[0] > 999:
        names = ("year", "month", "day")
        return [f"{name} {part}" for name, part in zip(names, parts, strict=False)] + atoms
    first, second, year = parts[0], parts[1], parts[2]
    if first > 12 >= second or "." in text:
        return [f"year {year}", f"month {second}", f"day {first}", *atoms]
    if second > 12 >= first:
        return [f"year {year}", f"month {first}", f"day {second}", *atoms]
    return [f"year {year}", f"day and month {first} {second}", *atoms]


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(dates_in), stored.get(dates_in)
    if left.hard == right.hard and left.soft == right.soft:
        return agree if left.hard or left.soft else silent
    mine, theirs = leftovers(set(left.hard), set(right.hard))
    mine = [atom for atom in mine if not _stands_elsewhere(atom, asked, stored)]
    theirs = [atom for atom in theirs if not _stands_elsewhere(atom, stored, asked)]
    if mine or theirs:
        return conflict(mine, theirs)
    soft = leftovers(set(left.soft), set(right.soft))
    if soft[0] and soft[1]:
        return conflict(*soft)
    return agree if left.hard and right.hard else silent


def _stands_elsewhere(atom: str, own: Features, other: Features) -> bool:
    """Whether a year, a day or an hour of one text is a plain number in the other: "the 27th", "at 14", "'16"."""
    name, _, value = atom.partition(" ")
    if name not in ("year", "day", "decade"):
        return False
    return value in other.get(_plain_numbers) or (name == "year" and same_short_year(own, other))


def same_short_year(one: Features, other: Features) -> bool:
    """Whether one text has a year in two digits and the other has it whole: "JEE 16" and "JEE 2016", "'99"."""
    left, right = one.get(_years), other.get(_years)
    return any((word, year[2:]) in right for word, year in left if len(year) == 4) or any(
        (word, year[2:]) in left for word, year in right if len(year) == 4
    )


def _years(features: Features) -> frozenset[tuple[str, str]]:
    """Years and numbers of two digits with the word before them; "'" for one with an apostrophe."""
    found = {("'", digits) for digits in _APOSTROPHE.findall(features.text)}
    for before, token in pairwise(features.tokens):
        if token.kind == "number" and _SHORT_YEAR.fullmatch(token.text):
            if before.lower not in SMALL:
                found.add((before.lower, token.text))
            if len(token.text) == 4:
                found.add(("'", token.text))
    return frozenset(found)


def _plain_numbers(features: Features) -> frozenset[str]:
    plain: set[str] = set()
    for position, token in enumerate(features.tokens):
        if position not in features.get(dates_in).claimed:
            if token.kind == "number":
                plain.add(token.lower.replace(",", ""))
            elif token.kind in ("measure", "name"):
                digits = token.lower.strip("abcdefghijklmnopqrstuvwxyz'-_")
                if digits.isdigit():
                    plain.add(digits)
    return frozenset(plain)


dates = Rule("dates", _compare)
