"""Structured questions and their readable names: `v1:device:interface_status:rtr-001:a3f2:2026-02-11-14`. Pure.

Version, level, query type, entity, four digits of a digest over the parameters, time bucket. The name is for the
reader; what decides which answer fits is the whole normalised context, which is part of the scope.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.fingerprint import canonical_json, fingerprint
from llmcache_plugins.types import JsonValue

__all__ = ["LEVELS", "TIME_BUCKETS", "QueryContext", "bucket_end"]

LEVELS: tuple[str, ...] = ("device", "site", "global")
_VERSION = "v1"
_NO_ENTITY = "none"
_NO_BUCKET = "static"
_FORMATS = {"minute": "%Y-%m-%d-%H-%M", "hour": "%Y-%m-%d-%H", "day": "%Y-%m-%d"}
_LENGTHS = {5: timedelta(minutes=1), 4: timedelta(hours=1), 3: timedelta(days=1)}  # by the parts of a bucket
TIME_BUCKETS: tuple[str, ...] = tuple(_FORMATS)
_OTHER_NAMES = {"real-time": "minute", "near-real-time": "hour", "static": None}
_TAGGED = {"device": "device", "site": "site", "interface": "interface"}  # parameters that name what an answer is about


@dataclass(frozen=True, slots=True)
class QueryContext:
    """What a question is about, where the caller knows it: two questions share answers only when all of this is equal.

    Args:
        entity: what is asked about, `"rtr-001"`; empty (or `"none"`) for nothing in particular.
        query_type: `"interface_status"`, `"bgp_summary"`, ...
        parameters: what else the question depends on; JSON. Case and outer white space of names and texts do not
            count, nor does the order of a list, and numbers are rounded to 2 decimals.
        time_sensitivity: the answer is good within this `"minute"`, `"hour"` or `"day"` (UTC) only; None for no bucket.
            `"real-time"`, `"near-real-time"` and `"static"` stand for minute, hour and None.
        level: `"device"`, `"site"` or `"global"`.

    Raises:
        ConfigError: a value is none of these, or two parameters have the same name but for case.

    >>> QueryContext("rtr-001", "interface_status", {"Interface": "Gi0/0"}, "hour").label(1770818400.0)
    'v1:device:interface_status:rtr-001:7716:2026-02-11-14'
    """

    entity: str
    query_type: str
    parameters: Mapping[str, JsonValue] = field(default_factory=dict, hash=False)
    time_sensitivity: str | None = None
    level: str = "device"

    def __post_init__(self) -> None:
        if not isinstance(self.entity, str):
            raise ConfigError(f"entity must be a str, not {self.entity!r}")
        if not isinstance(self.query_type, str) or not self.query_type.strip():
            raise ConfigError(f"query_type must be a str that is not empty, not {self.query_type!r}")
        if self.level not in LEVELS:
            raise ConfigError(f"level must be one of {', '.join(LEVELS)}, not {self.level!r}")
        sensitivity = self.time_sensitivity
        if isinstance(sensitivity, str):
            sensitivity = _OTHER_NAMES.get(sensitivity, sensitivity)
        if sensitivity is not None and sensitivity not in TIME_BUCKETS:
            raise ConfigError(f"time_sensitivity must be {', '.join(TIME_BUCKETS)} or None, not {sensitivity!r}")
        if not isinstance(self.parameters, Mapping):
            raise ConfigError(f"parameters must map names to JSON, not be {self.parameters!r}")
        entity = _plain(self.entity)
        object.__setattr__(self, "entity", "" if entity == _NO_ENTITY else entity)
        object.__setattr__(self, "query_type", _plain(self.query_type))
        object.__setattr__(self, "time_sensitivity", sensitivity)
        object.__setattr__(self, "parameters", _normalised(self.parameters, "parameters"))

    def label(self, now: float) -> str:
        """The readable name at this instant (wall clock). Colons, per cent signs and white space inside of a value are
        written as `%3a`, ..., so that no value runs into the next."""
        digits = fingerprint(canonical_json(self.parameters))[:4]
        parts = (self.level, self.query_type, self.entity or _NO_ENTITY, digits, self._bucket(now))
        return ":".join((_VERSION, *map(_escaped, parts)))

    def content(self, now: float) -> dict[str, JsonValue]:
        """All of it, normalised, with the time bucket, as JSON: equal for contexts that share answers, and only for
        these."""
        return {
            "level": self.level,
            "query_type": self.query_type,
            "entity": self.entity,
            "parameters": self.parameters,
            "bucket": self._bucket(now),
        }

    @property
    def tags(self) -> tuple[str, ...]:
        """What an answer depends on: `device:rtr-001`, `type:interface_status`, `level:device`, and the devices, sites
        and interfaces among the parameters."""
        tags = [f"{self.level}:{self.entity}"] if self.entity else []
        tags += [f"type:{self.query_type}", f"level:{self.level}"]
        for name, value in self.parameters.items():
            kind = _TAGGED.get(name.removesuffix("s"))
            values = value if isinstance(value, list) else [value]
            tags += [f"{kind}:{one}" for one in values if kind is not None and isinstance(one, str) and one]
        return tuple(dict.fromkeys(tags))

    def _bucket(self, now: float) -> str:
        if self.time_sensitivity is None:
            return _NO_BUCKET
        return datetime.fromtimestamp(now, UTC).strftime(_FORMATS[self.time_sensitivity])


def bucket_end(label: str) -> float | None:
    """When the time bucket of a label ends (wall clock); None for a label without one.

    >>> bucket_end("v1:device:interface_status:rtr-001:a3f2:2026-02-11-14")
    1770822000.0
    """
    parts = label.split(":")
    if len(parts) != 6 or parts[0] != _VERSION or parts[-1] == _NO_BUCKET:
        return None
    try:
        numbers = [int(number) for number in parts[-1].split("-")]
        start = datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type, misc]  # three to five of them, or it raises
        return (start + _LENGTHS[len(numbers)]).timestamp()
    except (ValueError, TypeError, KeyError, OverflowError):  # a label of the user's own making
        return None


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().lower()


def _escaped(value: str) -> str:
    return "".join(
        f"%{ord(sign):02x}" if sign in ":%" or sign.isspace() or not sign.isprintable() else sign for sign in value
    )


def _normalised(value: Any, where: str) -> JsonValue:
    if isinstance(value, str):
        return _plain(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        rounded = round(value, 2)
        return int(rounded) if rounded.is_integer() else rounded  # 1 and 1.0 are one number, and so are 0.0 and -0.0
    if isinstance(value, list | tuple | set | frozenset):
        return sorted((_normalised(one, where) for one in value), key=canonical_json)
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        normalised = {_plain(name): _normalised(one, f"{where}.{name}") for name, one in value.items()}
        if len(normalised) < len(value):
            raise ConfigError(f"{where} must name each parameter once: case does not tell names apart")
        return dict(sorted(normalised.items()))
    raise ConfigError(f"{where} must be JSON, not {type(value).__name__}")
