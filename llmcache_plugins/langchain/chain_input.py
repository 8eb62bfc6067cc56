"""The request that an input makes of a chain: the question, which is matched by meaning, and all the rest."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from langchain_core.documents import Document
from langchain_core.messages import BaseMessage, ChatMessage
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import RunnableConfig
from pydantic import BaseModel

from llmcache_plugins.canonical.made_of import MadeOf
from llmcache_plugins.errors import CodecError, ConfigError
from llmcache_plugins.keys.messages import ChatTurn, canonical_messages
from llmcache_plugins.types import JsonValue, Request

__all__ = ["Asking", "Partition", "Question"]

Question: TypeAlias = str | Callable[[Any], Any] | None
Partition: TypeAlias = str | tuple[Any, ...] | Callable[[Any], Any] | None

_OPERATION = "langchain.chain"
_ROLES = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant", "HumanMessageChunk": "user"}
_EXTRA = ("tool_calls", "invalid_tool_calls", "tool_call_id", "name", "additional_kwargs", "status")
_ASKED = {"asked": True}  # stands where the question stood
# Of a conversation that is kept elsewhere, and of LangGraph's own making (these begin with `__`).
_OF_THE_THREAD = {"thread_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map"}
_AS_TEXT = (datetime.date, datetime.time, datetime.timedelta, decimal.Decimal, uuid.UUID, bytes, complex)


@dataclass(frozen=True, slots=True)
class Asking:
    """How inputs of a chain are read; see `cached_chain` for the settings.

    Raises:
        ConfigError: one of them is not what it should be.
    """

    question: Question = None
    partition: Partition = None
    ignore: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not (self.question is None or isinstance(self.question, str) or callable(self.question)):
            raise ConfigError(f"question must be a key, a function or None, not {type(self.question).__name__}")
        if self.partition is not None and not callable(self.partition):
            try:
                frozen(self.partition)
            except CodecError as error:
                raise ConfigError(f"partition must be a str, a tuple of plain values or a function: {error}") from error

    def request(self, given: Any, arguments: Mapping[str, Any], config: RunnableConfig, identity: MadeOf) -> Request:
        """
        Raises:
            CodecError: the question is not found, or something else cannot be told from its like.
        """
        text, rest = self._asked(given)
        partition = self.partition(given) if callable(self.partition) else self.partition
        context = {
            "operation": _OPERATION,
            "chain": identity.digest,
            "partition": frozen(partition),
            "input": rest,
            "arguments": frozen({name: value for name, value in arguments.items() if name not in self.ignore}),
            "configurable": self._configurable(config),
        }
        details = {name: config.get(name) for name in ("tags", "metadata") if _is_plain(config.get(name))}
        return Request(
            text,
            provider="langchain",
            model=identity.model,
            context=context,
            exact_only=None if text.strip() else "empty",
            details=details,
        )

    def _asked(self, given: Any) -> tuple[str, JsonValue]:
        """The question, and what stands round it."""
        question = self.question
        if question is None:
            if not isinstance(given, str):
                raise CodecError(f"the input is a {type(given).__name__}: say with question= where the question is")
            return given, None
        fields = _fields(given) if _is_model(given) else given
        if isinstance(question, str):
            if not isinstance(fields, Mapping) or not isinstance(fields.get(question), str):
                raise CodecError(f"the input has no text under {question!r}")
            others = {name: value for name, value in fields.items() if name != question and name not in self.ignore}
            return fields[question], frozen(others)
        said = question(given)
        if isinstance(said, tuple) and len(said) == 2 and isinstance(said[0], str):
            return said[0], frozen(said[1])
        if not isinstance(said, str):
            raise CodecError(f"question= gives a text, or a text and the rest, not a {type(said).__name__}")
        return said, self._round(said, fields)

    def _round(self, question: str, given: Any) -> JsonValue:
        """The input with the question taken out, where it stands as it was given."""
        if isinstance(given, str):
            before, found, after = given.partition(question)
            return [before, after] if found else frozen(given)
        if isinstance(given, Mapping):
            kept = {name: value for name, value in given.items() if name not in self.ignore}
            return {
                str(name): _ASKED if isinstance(value, str) and value == question else frozen(value)
                for name, value in kept.items()
            }
        turns = frozen(given)
        last = turns[-1] if isinstance(given, PromptValue | list | tuple) and turns else None
        if isinstance(last, dict) and last.get("content") == [{"type": "text", "text": question}]:
            turns[-1] = {**last, "content": _ASKED}
        return turns

    def _configurable(self, config: RunnableConfig) -> JsonValue:
        """What may choose another model, retriever or user inside of the chain."""
        given = config.get("configurable") or {}
        return {
            name: frozen(value)
            for name, value in given.items()
            if not (name.startswith("__") or name in _OF_THE_THREAD or name in self.ignore)
        }


def frozen(value: Any) -> JsonValue:
    """JSON that differs where two values differ in what they say.

    Raises:
        CodecError: it holds an object of which nothing is known.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, PromptValue):
        return frozen(value.to_messages())
    if isinstance(value, BaseMessage):
        return canonical_messages([_turn(value)])[0]
    if isinstance(value, list | tuple):
        if value and all(isinstance(item, BaseMessage) for item in value):
            return canonical_messages([_turn(message) for message in value])
        return [frozen(item) for item in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            return {"pairs": [[frozen(key), frozen(item)] for key, item in value.items()]}
        return {"dict": {key: frozen(item) for key, item in value.items()}}
    if isinstance(value, set | frozenset):
        return {"set": sorted((frozen(item) for item in value), key=repr)}
    if isinstance(value, Document):
        return {"document": [value.page_content, frozen(value.metadata)]}
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if _is_model(value):
        return {"kind": kind, "fields": {name: frozen(field) for name, field in _fields(value).items()}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            "kind": kind,
            "fields": {one.name: frozen(getattr(value, one.name)) for one in dataclasses.fields(value)},
        }
    if isinstance(value, _AS_TEXT):
        return {"kind": kind, "text": repr(value)}
    raise CodecError(f"a {type(value).__name__} in the input cannot be told from others of its class")


def _fields(model: BaseModel) -> dict[str, Any]:
    """Of a model of pydantic, those among them that its class does not name."""
    return {**{name: getattr(model, name) for name in type(model).model_fields}, **(model.model_extra or {})}


def _turn(message: BaseMessage) -> ChatTurn:
    role = message.role if isinstance(message, ChatMessage) else _ROLES.get(message.type, message.type)
    extra = {name: frozen(getattr(message, name, None)) for name in _EXTRA}
    content = message.content
    return ChatTurn(role, content if isinstance(content, str) else frozen(content), extra)


def _is_model(value: Any) -> bool:
    return isinstance(value, BaseModel) and not isinstance(value, BaseMessage | Document | PromptValue)


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_plain(item) for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)
