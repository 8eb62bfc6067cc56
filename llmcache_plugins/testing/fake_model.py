"""What the fake models have in common: how they count, fill in a schema and cut a text. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from llmcache_plugins.testing.loopback import Json

__all__ = ["Hints", "count_tokens", "cut_at_stop", "fit_schema", "pieces_of"]

_INTEGER = re.compile(r"(?<![\w.])-?\d+(?![\w.])")
_QUOTED = re.compile(r"\"([^\"\n]{1,80})\"|(?<!\w)'([^'\n]{1,80})'(?!\w)")
_SIMPLEST: Json = {"integer": 1, "number": 1.5, "boolean": True, "null": None}


@dataclass
class Hints:
    """Numbers and quoted strings of the user's text, used up in order as values of a schema."""

    integers: list[int] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, text: str) -> Hints:
        integers = [int(number) for number in _INTEGER.findall(text)]
        return cls(integers, [double or single for double, single in _QUOTED.findall(text)])


def count_tokens(value: Any) -> int:
    """A stand-in tokenizer: about four characters a token, at least 1."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return max(1, len(re.sub(r"\s+", " ", text)) // 4)


def cut_at_stop(text: str, stop_sequences: Sequence[str]) -> tuple[str, str | None]:
    """`text` up to the stop sequence that comes first, and that sequence."""
    found = [(text.index(stop), stop) for stop in stop_sequences if stop in text]
    if not found:
        return text, None
    position, stop = min(found)
    return text[:position], stop


def pieces_of(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def fit_schema(schema: Json, name: str, hints: Hints) -> Any:
    """The smallest value that fits a JSON schema (as much of it as tools and structured output use).

    Args:
        name: what the value is called; a string without a hint is made of it.
        hints: what the user said; each is used for one value.
    """
    return _fit(schema, name, hints, schema, ())


def _fit(schema: Json, name: str, hints: Hints, root: Json, inside: tuple[str, ...]) -> Any:
    """`fit_schema` below `root`; `inside` are the references that led here, not to be followed for ever."""
    if "$ref" in schema:
        reference = schema["$ref"]
        return _fit(_referenced(reference, root), name, hints, root, (*inside, reference))
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            options = [option for option in schema[union] if option.get("$ref") not in inside]
            return _fit((options or [{"type": "null"}])[0], name, hints, root, inside)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object" or "properties" in schema:
        properties: Json = schema.get("properties", {})
        required = set(schema.get("required", properties))
        return {key: _fit(value, key, hints, root, inside) for key, value in properties.items() if key in required}
    if kind == "array":
        return [_fit(schema.get("items", {}), name, hints, root, inside)] if schema.get("minItems") else []
    if kind == "integer" and hints.integers:
        return hints.integers.pop(0)
    if kind in ("string", None) and hints.strings:
        return hints.strings.pop(0)
    return _SIMPLEST.get(kind or "", f"{name}-value")


def _referenced(reference: str, root: Json) -> Json:
    """The part of `root` that `#/$defs/...` names; anything else fits every value."""
    found: Any = root
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
