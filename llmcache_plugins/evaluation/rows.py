"""Labelled files: JSON lines, plain or gzipped; what a row is follows from its fields.

- pairs: `{"a", "b", "label"}`, two questions; label 1 = the answer to `a` is right for `b`
- conversations: the same, `a` and `b` being `{"messages": [{"role", "content"}, ...]}`
- stream: `{"query", "class"}` or `{"messages", "class"}`, in order of arrival; the right answers are those of one class

All else is optional: `id`, `source`, `kind`, `lang`, `family`, `ambiguous`, `seen`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from llmcache_plugins.errors import ConfigError, why
from llmcache_plugins.keys.messages import ChatTurn, request_from_messages
from llmcache_plugins.types import Request

__all__ = ["FileKind", "LabelledFile", "LabelledPair", "LabelledRequest", "read_file", "request_of"]

FileKind: TypeAlias = Literal["pairs", "conversations", "stream"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPair:
    """Two requests and whether the answer to the first is right for the second (label 1) or not (0)."""

    id: str
    a: Request
    b: Request
    label: int
    source: str = ""
    kind: str = ""
    lang: str = ""
    family: str = ""
    ambiguous: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRequest:
    """One request of a stream. `label` is its class; `seen` says what a perfect cache would do (`new`, `exact`,
    `variant`)."""

    id: str
    request: Request
    label: str
    source: str = ""
    seen: str = ""


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """The rows of one file: of `pairs` when its kind is pairs or conversations, else of `stream`."""

    name: str
    kind: FileKind
    pairs: Sequence[LabelledPair] = field(default=(), repr=False)
    stream: Sequence[LabelledRequest] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.pairs) + len(self.stream)

    @property
    def requests(self) -> list[Request]:
        """Every request of the file, in order."""
        return [request for pair in self.pairs for request in (pair.a, pair.b)] + [row.request for row in self.stream]


def read_file(path: str | Path) -> LabelledFile:
    """Read a labelled file.

    Raises:
        ConfigError: it cannot be read, holds no rows, a line is not a row or is of another kind than those before it;
            the message names the file, the line and what is wrong.
    """
    path = Path(path)
    kind: FileKind | None = None
    pairs: list[LabelledPair] = []
    stream: list[LabelledRequest] = []
    for number, line in enumerate(_text_of(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = _decoded(line)
            found = _kind_of(row)
            if kind is not None and found != kind:
                raise _Wrong(f"a row of {found} in a file of {kind}")
            kind = found
            if kind == "stream":
                stream.append(_request(row, number))
            else:
                pairs.append(_pair(row, number))
        except _Wrong as error:
            raise ConfigError(f"{path}, line {number}: {error}") from None
    if kind is None:
        raise ConfigError(f"{path} holds no rows")
    return LabelledFile(path.name, kind, pairs, stream)


class _Wrong(Exception):
    """What is wrong with a line."""


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"no such file: {path}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{path} cannot be read: {why(error)}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text") from error


def _decoded(line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Wrong("this is not JSON") from error
    if not isinstance(row, dict):
        raise _Wrong(f"a row is a JSON object, not {_name(row)}")
    return row


def _kind_of(row: Mapping[str, Any]) -> FileKind:
    if "class" in row:
        return "stream"
    for name in ("a", "b"):
        if name not in row:
            raise _Wrong('a row has "a", "b" and "label", or "query" and "class"')
        if not isinstance(row[name], str | dict):
            raise _Wrong(f'"{name}" must be a string or {{"messages": [...]}}, not {_name(row[name])}')
    if type(row["a"]) is not type(row["b"]):
        raise _Wrong('"a" and "b" must be two strings or two conversations')
    return "pairs" if isinstance(row["a"], str) else "conversations"


def _pair(row: Mapping[str, Any], number: int) -> LabelledPair:
    label = row.get("label")
    if label is None:
        raise _Wrong('"label" is missing: write 1 when the answer to "a" is right for "b", else 0')
    if type(label) is not int or label not in (0, 1):
        raise _Wrong(f'"label" must be 0 or 1, not {label!r}')
    return LabelledPair(
        id=_text(row, "id") or str(number),
        a=_side(row["a"], "a"),
        b=_side(row["b"], "b"),
        label=label,
        source=_text(row, "source"),
        kind=_text(row, "kind"),
        lang=_text(row, "lang"),
        family=_text(row, "family"),
        ambiguous=(_text(row, "ambiguous") or "unnamed") if "ambiguous" in row else "",
    )


def _request(row: Mapping[str, Any], number: int) -> LabelledRequest:
    label = row["class"]
    if not isinstance(label, str) or not label:
        raise _Wrong(f'"class" must be a non-empty string, not {_name(label)}')
    if row.get("messages"):
        request = _side({"messages": row["messages"]}, "messages")
    elif "query" in row:
        request = _side(row["query"], "query")
    else:
        raise _Wrong('a row of a stream has "query" or "messages"')
    return LabelledRequest(
        id=_text(row, "id") or str(number),
        request=request,
        label=label,
        source=_text(row, "source"),
        seen=_text(row, "seen"),
    )


def _side(value: Any, name: str) -> Request:
    try:
        return request_of(value)
    except ConfigError as error:
        raise _Wrong(f'"{name}": {error}') from error


def request_of(value: Any) -> Request:
    """The request that a text or `{"messages": [...]}` makes.

    Of a conversation the last user turn is the text; the system prompt and all earlier turns are the context, which
    must be equal. A conversation that ends otherwise is matched exactly only.

    Raises:
        ConfigError: it is neither a non-empty string nor messages with a role and a content each.
    """
    if isinstance(value, str):
        if not value.strip():
            raise ConfigError("the text is empty")
        return Request(value)
    messages = value.get("messages") if isinstance(value, Mapping) else None
    if not isinstance(messages, list) or not messages:
        raise ConfigError('must be a string or {"messages": [...]} with at least one message')
    turns = [_turn(message) for message in messages]
    return request_from_messages(turns, provider="", model="", params={})


def _turn(message: Any) -> ChatTurn:
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str) or "content" not in message:
        raise ConfigError('a message is {"role": ..., "content": ...}')
    extra = {name: value for name, value in message.items() if name not in ("role", "content")}
    return ChatTurn(message["role"], message["content"], extra)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)


def _name(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
