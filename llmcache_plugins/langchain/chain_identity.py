"""What a chain is made of, as far as LangChain's own classes say it; see `canonical.made_of`."""

from __future__ import annotations

from typing import Any

from langchain_core.language_models import BaseLanguageModel
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.prompts import BasePromptTemplate
from langchain_core.prompts.message import BaseMessagePromptTemplate
from langchain_core.runnables.history import RunnableWithMessageHistory
from pydantic import BaseModel, SecretBytes, SecretStr

from llmcache_plugins.canonical.made_of import MadeOf, Survey, class_path
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.fingerprint import canonical_json
from llmcache_plugins.keys.params import canonical_params, is_credential_name
from llmcache_plugins.langchain.parse import parse_llm_string
from llmcache_plugins.types import JsonValue

__all__ = ["IRRELEVANT", "identity_of", "is_of_the_base", "keeps_something", "look"]

# Of a run or of its watching: none of them shapes an answer.
IRRELEVANT = {
    "name",
    "tags",
    "metadata",
    "callbacks",
    "callback_manager",
    "verbose",
    "cache",
    "rate_limiter",
    "custom_input_type",
    "custom_output_type",
    "input_types",
}
_FUNCTIONS = ("func", "afunc", "_transform", "_atransform")  # of the runnables that are no pydantic models


def identity_of(chain: Any, name: str | None) -> MadeOf:
    """
    Args:
        name: as in `Survey.of`.

    Raises:
        ConfigError: a part of the chain keeps a conversation, so that its answers depend on more than its input.
    """
    return Survey(look).of(chain, name)


def look(thing: Any, survey: Survey) -> JsonValue:
    if isinstance(thing, SecretStr | SecretBytes):
        return {"secret": True}
    if isinstance(thing, BaseLanguageModel):
        return _model(thing, survey)
    if isinstance(thing, RunnableWithMessageHistory):
        raise ConfigError("this chain keeps a conversation: wrap what is inside of RunnableWithMessageHistory")
    if _is_graph(thing) and getattr(thing, "checkpointer", None):
        raise ConfigError("this graph keeps its state in a checkpointer; its answers depend on more than its input")
    if isinstance(thing, type) and issubclass(thing, BaseModel) and thing is not BaseModel:
        return {"class": class_path(thing), "schema": thing.model_json_schema()}
    if isinstance(thing, BaseModel):
        names = [name for name in type(thing).model_fields if name not in IRRELEVANT and not is_credential_name(name)]
        fields = {name: getattr(thing, name, None) for name in names}
        described = survey.fields(thing, {**fields, **(thing.model_extra or {})})
        if keeps_something(thing):
            described = [described, survey.random_name(thing)]
        if isinstance(thing, BasePromptTemplate | BaseMessagePromptTemplate):
            survey.prompts.append(described)
        return described
    wrapped = getattr(thing, "llmcache_bound", None)
    if wrapped is not None:
        return {"cached": survey.describe(wrapped)}
    if type(thing).__module__.startswith("langchain_core.runnables"):
        return survey.fields(thing, {name: vars(thing).get(name) for name in _FUNCTIONS})
    return None


def keeps_something(thing: BaseModel) -> bool:
    """Has it a store or documents in private, of which nobody can tell what they are? Numbers are counters, or flags
    such as retrievers have."""
    private = thing.__pydantic_private__ or {}
    return any(not (value is None or isinstance(value, bool | int | float | type)) for value in private.values())


def _model(model: BaseLanguageModel[Any], survey: Survey) -> JsonValue:
    """By what LangChain tells a cache of it; a model that tells nothing is itself and no other."""
    if isinstance(model, BaseChatModel):
        told = model._get_llm_string()
    else:
        asdict = getattr(model, "asdict", None) or model.dict  # `dict` is the older name
        told = str(sorted(asdict().items()))
    call = parse_llm_string(told)
    params = canonical_params(call.params)
    described: dict[str, JsonValue] = {
        "class": class_path(type(model)),
        "provider": call.provider,
        "model": call.model,
        "params": params,
    }
    says_nothing = not model.is_lc_serializable() and is_of_the_base(type(model), "_identifying_params")
    if says_nothing or call.hidden or not call.is_readable or b" at 0x" in canonical_json(params):
        described["params"] = survey.random_name(model)
    survey.models.append(described)
    return described


def _is_graph(thing: Any) -> bool:
    return any(base.__module__.startswith("langgraph.") for base in type(thing).__mro__)


def is_of_the_base(model: type, name: str) -> bool:
    """Is the attribute that of LangChain's own base class?"""
    owner = next((base for base in model.__mro__ if name in vars(base)), object)
    return owner.__module__.startswith("langchain_core.language_models.") and "fake" not in owner.__module__
