"""What an engine is made of, as far as LlamaIndex's own classes say it; see `canonical.made_of`."""

from __future__ import annotations

import logging
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks.base import CallbackManager
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.indices.base import BaseIndex
from llama_index.core.llms import LLM
from llama_index.core.memory import BaseMemory
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.prompts.mixin import PromptMixin
from llama_index.core.types import BaseOutputParser
from pydantic import BaseModel, SecretBytes, SecretStr

from llmcache_plugins.canonical.made_of import Survey, class_path
from llmcache_plugins.keys.params import canonical_params, is_credential_name
from llmcache_plugins.llama_index.binding import original_of
from llmcache_plugins.llama_index.plain import IndistinctCall, as_json
from llmcache_plugins.llama_index.requests import model_name
from llmcache_plugins.types import JsonValue

__all__ = ["EngineIdentity"]

_log = logging.getLogger(__name__)

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
    """What an engine was made of when it was wrapped; and its prompts and LLMs as they are now, for these are changed
    in running programs.

    Args:
        name: as in `Survey.of`.
    """

    def __init__(self, engine: Any, name: str | None) -> None:
        survey = Survey(_look)
        self._made = survey.of(engine, name)
        self._llms = [found for found in survey.found if isinstance(found, LLM)]
        self._modules = [found for found in survey.found if isinstance(found, PromptMixin)]
        if self._made.unnamed:
            unnamed = ", ".join(self._made.unnamed)
            _log.info(
                "answers of this engine are found by this process alone: %s; name= lets others find them", unnamed
            )
        self._now: tuple[Any, list[Any], str] = (None, [], "")

    @property
    def model(self) -> str:
        """The model's name, where the engine has one."""
        return self._made.model

    @property
    def digest(self) -> str:
        prompts = [prompt for module in self._modules for prompt in module._get_prompts().values()]
        state = [id(prompt) for prompt in prompts], [_state(llm) for llm in self._llms]
        seen, _, digest = self._now
        if state != seen:  # the prompts are kept, so that no other one gets the address of an old one
            digest = Survey(_look).of([self._made.digest, self._llms, prompts], None).digest
            self._now = state, prompts, digest
        return digest


def _state(llm: LLM) -> list[Any]:
    """What tells in this process whether an LLM was changed."""
    return [
        value
        if isinstance(value, str | int | float | None)
        else repr(value)
        if isinstance(value, dict | list)
        else id(value)
        for value in vars(llm).values()
    ]


def _look(thing: Any, survey: Survey) -> JsonValue:
    if isinstance(thing, CallbackManager | BaseMemory | SecretStr | SecretBytes):
        return {"left out": class_path(type(thing))}
    if isinstance(thing, LLM):
        return _model(thing, survey)
    if isinstance(thing, BaseEmbedding):
        return {"embeds": [class_path(type(thing)), str(thing.model_name)]}
    if isinstance(thing, BaseIndex):
        return {"index": [class_path(type(thing)), str(thing.index_id)]}
    if isinstance(thing, type) and issubclass(thing, BaseModel) and thing is not BaseModel:
        return {"class": class_path(thing), "schema": thing.model_json_schema()}
    if isinstance(thing, BasePromptTemplate):
        described = survey.fields(thing, _public(thing))
        survey.prompts.append(described)
        return described
    wrapped = vars(thing).get("_llmcache_engine") if hasattr(thing, "__dict__") else None
    if wrapped is not None:
        return {"cached": survey.describe(wrapped)}
    if isinstance(thing, PromptMixin):
        survey.found.append(thing)
    if isinstance(thing, BaseModel):
        return survey.fields(thing, _public(thing)) if _says_itself(thing) else None
    if isinstance(thing, PromptMixin | BaseRetriever | BaseChatEngine | BaseOutputParser):
        return survey.fields(thing, _attributes(thing))
    return None


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
    described = {
        "class": class_path(original_of(llm)),
        "model": model_name(llm),
        "params": canonical_params(fields),
    }
    survey.models.append(described)
    survey.found.append(llm)
    return described
