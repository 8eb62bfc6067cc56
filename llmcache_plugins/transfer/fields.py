"""Fields of a line, checked: the file was perhaps written by somebody else. Nothing is executed or made by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llmcache_plugins.types import JsonValue, Namespace

__all__ = [
    "Unreadable",
    "flag",
    "instant",
    "instant_or_none",
    "integer",
    "mapping",
    "namespace",
    "rows",
    "text",
    "text_or_none",
    "texts",
]

_MOST = 2**63
_ABSENT = object()


class Unreadable(Exception):
    """A line that is not what the format says; the message says why, and quotes nothing of it."""


def text(fields: Mapping[str, Any], name: str, default: str | None = None, *, is_empty_allowed: bool = True) -> str:
    value = fields.get(name, default)
    if not isinstance(value, str):
        raise Unreadable(f"{name} is no string" if name in fields else f"{name} is missing")
    if not value and not is_empty_allowed:
        raise Unreadable(f"{name} is empty")
    return value


def text_or_none(fields: Mapping[str, Any], name: str) -> str | None:
    return None if fields.get(name) is None else text(fields, name)


def instant(fields: Mapping[str, Any], name: str) -> float:
    value = fields.get(name, _ABSENT)
    if value is _ABSENT:
        raise Unreadable(f"{name} is missing")
    # Compared as an integer: float() of a very large one raises.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or abs(value) > _MOST or not math.isfinite(value):
        raise Unreadable(f"{name} is no number of seconds")
    return float(value)


def instant_or_none(fields: Mapping[str, Any], name: str) -> float | None:
    return None if fields.get(name) is None else instant(fields, name)


def integer(fields: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = fields.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _MOST:
        raise Unreadable(f"{name} is no integer of at least 0")
    return value


def flag(fields: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = fields.get(name, default)
    if not isinstance(value, bool):
        raise Unreadable(f"{name} is neither true nor false")
    return value


def texts(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    parts = fields.get(name, [])
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise Unreadable(f"{name} is no list of strings")
    return tuple(parts)


def namespace(fields: Mapping[str, Any], name: str = "namespace") -> Namespace:
    return texts(fields, name)


def mapping(fields: Mapping[str, Any], name: str) -> dict[str, JsonValue]:
    value = fields.get(name, {})
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is no object")
    return value


def rows(fields: Mapping[str, Any], name: str) -> list[dict[str, JsonValue]]:
    value = fields.get(name, [])
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise Unreadable(f"{name} is no list of objects")
    return value
