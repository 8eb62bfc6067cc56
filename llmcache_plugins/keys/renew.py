"""Fresh tool-call ids for a replayed answer: an id that is twice in one conversation is refused by the provider."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Iterator

from llmcache_plugins.types import JsonValue

__all__ = ["has_tool_ids", "new_tool_id", "renew_tool_ids"]

_PREFIX = re.compile(r"^[A-Za-z]+(?:[-_][A-Za-z]+)*[-_]")  # toolu_, call_, chatcmpl-tool-, ...
_HEX = set("0123456789abcdef-")
_LEAST_RANDOM = 9  # characters; some providers take exactly nine, so a long enough id keeps its length
_CALL_LISTS = ("tool_calls", "invalid_tool_calls")
_CALL_BLOCKS = {"tool_use", "tool_call", "function_call"}


def new_tool_id(old: str) -> str:
    """A random id that looks like `old`: same prefix, length and alphabet (short ones grow to nine random characters).

    >>> new_tool_id("toolu_01AbCdEfGhIj").startswith("toolu_")
    True
    """
    prefix = _PREFIX.match(old)
    start = prefix.end() if prefix else 0
    rest = old[start:]
    alphabet = "0123456789abcdef" if len(rest) >= 8 and _HEX.issuperset(rest) else string.ascii_letters + string.digits
    kept = "".join(secrets.choice(alphabet) if char.isalnum() else char for char in rest)
    missing = max(0, _LEAST_RANDOM - sum(char.isalnum() for char in rest))
    return old[:start] + kept + "".join(secrets.choice(alphabet) for _ in range(missing))


def renew_tool_ids(answer: JsonValue) -> JsonValue:
    """`answer` with every tool-call id replaced by a new one, the same everywhere: in `tool_calls`, in content blocks
    (`tool_use`, `tool_call`, `function_call`) and in `additional_kwargs`. `answer` itself is not changed."""
    fresh = {old: new_tool_id(old) for old in dict.fromkeys(_ids(answer))}
    return _replaced(answer, fresh, everywhere=False) if fresh else answer


def has_tool_ids(answer: JsonValue) -> bool:
    """True when there is something to renew."""
    return next(_ids(answer), None) is not None


def _ids(value: JsonValue) -> Iterator[str]:
    """The ids that calls are known by, wherever they stand."""
    if isinstance(value, list):
        for item in value:
            yield from _ids(item)
    elif isinstance(value, dict):
        if value.get("type") in _CALL_BLOCKS:
            # An OpenAI function_call item has an id of its own beside the call's.
            yield from _strings(value.get("call_id") or value.get("id"))
        for name, item in value.items():
            if name in _CALL_LISTS and isinstance(item, list):
                for call in item:
                    yield from _strings(call.get("id") if isinstance(call, dict) else None)
            if name not in ("args", "input", "arguments"):  # the model's own words
                yield from _ids(item)


def _strings(value: JsonValue) -> Iterator[str]:
    if isinstance(value, str) and value:
        yield value


def _replaced(value: JsonValue, fresh: dict[str, str], *, everywhere: bool) -> JsonValue:
    """`everywhere`: any string, also a key, that is one of the ids; else only under the names ids go by."""
    if isinstance(value, str):
        return fresh.get(value, value) if everywhere else value
    if isinstance(value, list):
        return [_replaced(item, fresh, everywhere=everywhere) for item in value]
    if not isinstance(value, dict):
        return value
    replaced: dict[str, JsonValue] = {}
    name: str
    for name, item in value.items():
        if name in ("args", "input", "arguments"):
            replaced[name] = item
        elif name in ("id", "call_id", "tool_call_id", "tool_use_id") and isinstance(item, str):
            replaced[name] = fresh.get(item, item)
        else:
            key = fresh.get(name, name) if everywhere else name
            replaced[key] = _replaced(item, fresh, everywhere=everywhere or name == "additional_kwargs")
    return replaced
