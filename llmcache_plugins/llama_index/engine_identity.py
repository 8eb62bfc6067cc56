"""What an engine is made of, as far as LlamaIndex's own classes say it; see `canonical.made_of`."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import unwrap
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.indices.base import BaseIndex
from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.memory import BaseMemory
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.prompts.mixin import PromptMixin
from llama_index.core.types import BaseOutputParser
from llama_index.core.vector_stores import MetadataFilters
from pydantic import BaseModel, SecretBytes, SecretStr

from llmcache_plugins.canonical.made_of import MadeOf, Survey, class_path
from llmcache_plugins.keys.params import canonical_params, is_credential_name
from llmcache_plugins.llama_index.binding import original_of
from llmcache_plugins.llama_index.plain import IndistinctCall, as_json
from llmcache_plugins.llama_index.requests import model_name
from llmcache_plugins.types import JsonValue

__all__ = ["EngineIdentity"]

_log = logging.getLogger(__name__)
_PLAIN = (str, int, float)
_USER = re.compile(r"//[^/@]*@")

# Of watching and of transport, or told by each call: none of them shapes what is stored.
_IRRELEVANT = {
    "callback_manager",
    "rate_limiter",
    "verbose",
    "streaming",
    "memory",
    "show_progress",
    "use_async",
    "token_counter",
    "tokenizer",
}
_OF_THE_INDEX = {"vector_store", "docstore", "storage_context", "service_context", "index_struct", "object_map"}


class EngineIdentity:
    """What an engine is made of: as it was wrapped, and what has been changed since in its prompts, its LLMs and the
    parts of it that are LlamaIndex's own, for these are changed in running programs.

    Args:
        name: as in `Survey.of`.
    """

    def __init__(self, engine: Any, name: str | None) -> None:
        self._engine, self._name = engine, name
        self._now = self._surveyed()
        made = self._now.made
        if made.unnamed:
            unnamed = ", ".join(made.unnamed)
            _log.info(
                "answers of this engine are found by this process alone: %s; name= lets others find them", unnamed
            )

    @property
    def model(self) -> str:
        """The model's name, where the engine has one."""
        return self._now.made.model

    @property
    def digest(self) -> str:
        now = self._now
        if not _is_same(now.state, self._state(now.found)):
            now = self._now = self._surveyed()
        return now.digest

    def _surveyed(self) -> _Surveyed:
        survey = Survey(_look)
        made = survey.of(self._engine, self._name)
        llms = [found for found in survey.found if isinstance(found, LLM)]
        digest = Survey(_look).of([made.digest, llms, _prompts(survey.found)], None).digest
        return _Surveyed(made, digest, survey.found, self._state(survey.found))

    def _state(self, found: list[Any]) -> list[Any]:
        """What tells in this process whether something was changed. It holds the objects themselves, so that no other
        one gets the address of an old one."""
        state: list[Any] = []
        for part in found:
            if isinstance(part, LLM):
                state += map(_value, vars(part).values())
            elif self._name is None and type(part).__module__.startswith("llama_index."):
                # Parts of the user's own may count and remember things as they go: they are what they were.
                state += [_setting(value) for name, value in vars(part).items() if name.lstrip("_") not in _IRRELEVANT]
        for prompt in _prompts(found):
            state += [prompt, *_words(prompt)]
        return state


@dataclass(frozen=True, slots=True)
class _Surveyed:
    """One look at an engine."""

    made: MadeOf
    digest: str
    found: list[Any]
    state: list[Any]


def _prompts(found: list[Any]) -> list[BasePromptTemplate]:
    """Past the spans that LlamaIndex puts round it: tracers would show each look."""
    modules = [part for part in found if isinstance(part, PromptMixin)]
    return [prompt for module in modules for prompt in unwrap(type(module)._get_prompts)(module).values()]


def _is_same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(
        a is b or (isinstance(a, _PLAIN) and type(a) is type(b) and a == b) for a, b in zip(one, other, strict=True)
    )


def _value(value: Any) -> Any:
    return repr(value) if isinstance(value, dict | list | ChatMessage) else value


def _setting(value: Any) -> Any:
    """Lists may be long, and objects large: only those that are made to be changed are looked into."""
    return repr(value) if isinstance(value, MetadataFilters) else value


def _words(of: Any) -> Iterator[Any]:
    """What a prompt is made of, and the prompts and messages in it."""
    for value in of if isinstance(of, list | tuple) else vars(of).values():
        if isinstance(value, list | tuple | BasePromptTemplate):
            yield value
            yield from _words(value)
        else:
            yield _value(value)


def _look(thing: Any, survey: Survey) -> JsonValue:
    if isinstance(thing, CallbackManager | BaseMemory | SecretStr | SecretBytes):
        return {"left out": class_path(type(thing))}
    if isinstance(thing, LLM):
        return _model(thing, survey)
    if isinstance(thing, BaseEmbedding):
        return {"embeds": [class_path(type(thing)), str(thing.model_name)]}
    if isinstance(thing, BaseIndex):
        return _index(thing, survey)
    if isinstance(thing, type) and issubclass(thing, BaseModel) and thing is not BaseModel:
        return {"class": class_path(thing), "schema": thing.model_json_schema()}
    if isinstance(thing, BasePromptTemplate):
        described = survey.fields(thing, _public(thing))
        survey.prompts.append(described)
        return described
    wrapped = vars(thing).get("_llmcache_engine") if hasattr(thing, "__dict__") else None
    if wrapped is not None:
        return {"cached": survey.describe(wrapped)}
    if isinstance(thing, PromptMixin | BaseChatEngine | BaseNodePostprocessor):
        survey.found.append(thing)
    if isinstance(thing, BaseModel):
        return survey.fields(thing, _public(thing)) if _says_itself(thing) else None
    if isinstance(thing, PromptMixin | BaseRetriever | BaseChatEngine | BaseOutputParser):
        return survey.fields(thing, _attributes(thing))
    return None


def _index(index: BaseIndex[Any], survey: Survey) -> JsonValue:
    """Its id; and since two may have been given one id, the nodes it knows of and where its stores are."""
    held = {name: value for name, value in vars(index.index_struct).items() if "embedding" not in name}
    stores = {
        name: {field: _address(getattr(store, field, None)) for field in type(store).model_fields}
        for name, store in vars(index).items()
        if isinstance(store, BaseModel) and not _says_itself(store)
    }
    addresses = {
        name: {field: value for field, value in said.items() if value is not None and not is_credential_name(field)}
        for name, said in stores.items()
    }
    return {"index": [class_path(type(index)), str(index.index_id)], "of": survey.describe([held, addresses])}


def _address(value: Any) -> Any:
    if isinstance(value, str):
        return _USER.sub("//", value)
    return value if isinstance(value, bool | int | float) else None


def _says_itself(thing: BaseModel) -> bool:
    """Stores of documents and vectors are pydantic models too, and are what they hold."""
    return not any(
        base.__name__.endswith(("VectorStore", "DocumentStore", "GraphStore")) for base in type(thing).__mro__
    )


def _public(thing: BaseModel) -> dict[str, Any]:
    names = [name for name in type(thing).model_fields if not (name in _IRRELEVANT or is_credential_name(name))]
    return {**{name: getattr(thing, name, None) for name in names}, **(thing.model_extra or {})}


def _attributes(thing: Any) -> dict[str, Any]:
    """Of a plain object. What belongs to an index is told by the index."""
    has_index = isinstance(vars(thing).get("_index"), BaseIndex)
    left_out = _IRRELEVANT | _OF_THE_INDEX if has_index else _IRRELEVANT
    return {name: value for name, value in vars(thing).items() if name.lstrip("_") not in left_out}


def _model(llm: LLM, survey: Survey) -> JsonValue:
    fields: dict[str, Any] = {}
    for name, value in _public(llm).items():
        try:
            fields[name] = as_json(value)
        except IndistinctCall:  # an object, or a function
            fields[name] = survey.describe(value)
    original = original_of(llm)
    described = {
        "class": survey.random_name(original) if "<locals>" in original.__qualname__ else class_path(original),
        "model": model_name(llm),
        "params": canonical_params(fields),
    }
    survey.models.append(described)
    survey.found.append(llm)
    return described
