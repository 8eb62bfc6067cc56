"""What users have asked: the most frequent questions, and those that are asked at this time of the week."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from os import PathLike

from llmcache_plugins.errors import ConfigError, why
from llmcache_plugins.keys.fingerprint import normalise_text
from llmcache_plugins.paths import as_path
from llmcache_plugins.types import JsonValue
from llmcache_plugins.warming.wanted import Wanted

__all__ = ["LogRow", "predictive", "read_log", "top_questions"]

_QUESTION_FIELDS = ("question", "query", "asked", "prompt", "text")
_TIME_FIELDS = ("at", "time", "timestamp", "ts")
_COUNT_FIELDS = ("count", "frequency")
_OTHER_DAY = 0.25  # of the weight of the same weekday: what is asked at nine is much alike on any day
_HALF_LIFE = 14 * 86400.0


@dataclass(frozen=True, slots=True)
class LogRow:
    """A question that was asked `count` times, the last time at `at` (seconds since the epoch; None: not known)."""

    question: str = field(repr=False)
    at: float | None = None
    count: int = 1


def read_log(path: str | PathLike[str]) -> list[LogRow]:
    """The questions of a log, in its order.

    A line is a question, or a JSON object with the question (`question`, `query`, `asked`, `prompt` or `text`) and
    perhaps the time (`at`, `time`, `timestamp` or `ts`: seconds since the epoch or ISO 8601, UTC where it does not say)
    and a `count`. Empty lines are left out. A line that begins with `{` and is no such object is an error: what was
    meant as JSON must not be warmed as a question.

    Raises:
        ConfigError: the file cannot be read, or a line is not what is said here; names the line.
    """
    try:
        lines = as_path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {why(error)}") from error
    return [_row(line.strip(), f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _row(line: str, place: str) -> LogRow:
    if not line.startswith("{"):
        return LogRow(line)
    try:
        content: dict[str, JsonValue] = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{place}: not JSON") from error
    question = _first(content, _QUESTION_FIELDS)
    if not isinstance(question, str) or not question.strip():
        raise ConfigError(f"{place}: needs the question as one of {', '.join(_QUESTION_FIELDS)}")
    count = _first(content, _COUNT_FIELDS, 1)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ConfigError(f"{place}: count must be an integer of at least 1, not {count!r}")
    return LogRow(question, _instant(_first(content, _TIME_FIELDS), place), count)


def _first(content: dict[str, JsonValue], names: Iterable[str], otherwise: JsonValue = None) -> JsonValue:
    return next((content[name] for name in names if name in content), otherwise)


def _instant(value: JsonValue, place: str) -> float | None:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise ConfigError(f"{place}: the time must be seconds since the epoch or ISO 8601, not {value!r}")


def top_questions(rows: Iterable[LogRow | str], n: int, *, least: int = 1) -> list[Wanted]:
    """The `n` most frequent questions, most frequent first, of equal ones the one asked first; their counts are the
    priorities. Questions that differ in case, spaces and closing punctuation alone are one, in its commonest spelling.

    Args:
        least: leave out what was asked less often: what is asked once is seldom asked again.
    """
    return _ranked(((row.question, float(row.count)) for row in _rows(rows)), n, float(least), "log")


def predictive(
    rows: Iterable[LogRow], at: datetime, n: int, *, within: float = 3600.0, half_life: float = _HALF_LIFE
) -> list[Wanted]:
    """The `n` questions that the log says are asked at this time of day and on this weekday, most likely first.

    A row counts when its time of day is in the `within` seconds from `at` on: fully on the same weekday, a quarter on
    another, and half as much for each `half_life` that has passed since. Rows without a time, and those from `at` on,
    do not count.

    Args:
        at: when the answers will be wanted, with its time zone: "nine o'clock" means nothing without one.

    Raises:
        ConfigError: `at` has no time zone, or `within` or `half_life` is not above 0.
    """
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise ConfigError(f"at must be a datetime with a time zone, datetime.now(UTC) for example, not {at!r}")
    for name, value in (("within", within), ("half_life", half_life)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise ConfigError(f"{name} must be a number of seconds above 0, not {value!r}")
    return _ranked(_weighed(rows, at, within, half_life), n, 0.0, "predicted")


def _weighed(rows: Iterable[LogRow], at: datetime, within: float, half_life: float) -> Iterator[tuple[str, float]]:
    end, start = at.timestamp(), _second_of_day(at)
    for row in rows:
        if row.at is None or row.at >= end:
            continue
        asked = datetime.fromtimestamp(row.at, tz=at.tzinfo)
        ahead = (_second_of_day(asked) - start) % 86400
        if ahead >= within:
            continue
        # The weekday of the window's start: what is asked after midnight belongs to the evening before.
        is_same_day = (asked - timedelta(seconds=ahead)).weekday() == at.weekday()
        yield row.question, row.count * (1.0 if is_same_day else _OTHER_DAY) * 0.5 ** ((end - row.at) / half_life)


def _second_of_day(moment: datetime) -> float:
    return moment.hour * 3600.0 + moment.minute * 60.0 + moment.second + moment.microsecond / 1e6


def _rows(rows: Iterable[LogRow | str]) -> Iterator[LogRow]:
    for row in rows:
        yield row if isinstance(row, LogRow) else LogRow(row)


def _ranked(weights: Iterable[tuple[str, float]], n: int, least: float, source: str) -> list[Wanted]:
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ConfigError(f"n must be an integer of at least 1, not {n!r}")
    spellings: dict[str, dict[str, float]] = {}
    for question, weight in weights:
        if question.strip():
            of_one = spellings.setdefault(normalise_text(question), {})
            of_one[question] = of_one.get(question, 0.0) + weight
    totals = [(sum(of_one.values()), _commonest(of_one)) for of_one in spellings.values()]
    # By the weight alone, so that of equal ones the first asked stays the first.
    ranked = sorted((one for one in totals if one[0] >= least), key=itemgetter(0), reverse=True)
    return [Wanted(question, weight, source) for weight, question in ranked[:n]]


def _commonest(spellings: dict[str, float]) -> str:
    return max(spellings, key=spellings.__getitem__)  # of equal ones the first
