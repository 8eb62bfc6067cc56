"""Do two answers say the same? Pure: the words of an answer, and what can be told from words and a cosine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from llmcache_plugins.matching.decision import GuardChain
from llmcache_plugins.types import JsonValue

__all__ = ["UNSURE_BELOW", "is_same_text", "said_by", "same_by_meaning"]

UNSURE_BELOW = 0.15
"""So far below the cosine of answers that agree nobody can say; further below they differ."""

_MOST_GUARDED = 400  # characters: in longer answers a number or a denial more is no contradiction
# Guards of questions that hold for answers too; two answers may well be in another order, or of another length.
_GUARDS = frozenset(
    ("numbers", "identifiers", "ip_addresses", "versions", "dates", "negation", "foreign_polarity", "opposites")
)
_NOT_SAID = ("thinking", "redacted_thinking", "reasoning")
_NAMES_OF_ARGUMENTS = ("args", "input", "arguments")


def said_by(content: JsonValue) -> str:
    """The words of a stored answer, of whatever plugin, and the tools it calls; no ids, no thoughts."""
    return "\n".join(part for part in _parts(content) if part)


def _parts(content: JsonValue) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for one in content:
            yield from _parts(one)
    elif isinstance(content, dict):
        yield from _parts_of(content)
    elif content is not None:
        yield json.dumps(content)


def _parts_of(content: Mapping[str, JsonValue]) -> Iterator[str]:
    if content.get("type") in _NOT_SAID:
        return
    arguments = next((content[name] for name in _NAMES_OF_ARGUMENTS if name in content), None)
    if arguments is not None and isinstance(content.get("name"), str):
        yield f"{content['name']} {json.dumps(arguments, sort_keys=True)}"
        return
    known = [content[name] for name in ("answers", "content", "text", "tool_calls") if name in content]
    for one in known:
        yield from _parts(one)
    if not known:
        yield json.dumps({key: value for key, value in content.items() if key != "id"}, sort_keys=True)


def is_same_text(fresh: str, stored: str) -> bool:
    """Equal but for case, spaces and closing punctuation."""
    return _plain(fresh) == _plain(stored)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".!")


def same_by_meaning(fresh: str, stored: str, similarity: float, guards: GuardChain, least: float) -> bool | None:
    """Whether two answers agree; None when that cannot be told.

    Args:
        similarity: their cosine.
        guards: what all guards say; a few of them hold for short answers.
        least: the least cosine of answers that agree.
    """
    if max(len(fresh), len(stored)) <= _MOST_GUARDED and _contradict(fresh, stored, guards):
        return False
    if similarity >= least:
        return True
    return False if similarity < least - UNSURE_BELOW else None


def _contradict(fresh: str, stored: str, guards: GuardChain) -> bool:
    verdicts: Sequence[str] = [one.guard for one in guards(fresh, stored) if one.verdict == "conflict"]
    return not _GUARDS.isdisjoint(verdicts)
