"""One call of an LLM as a canonical request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from llama_index.core.base.llms.generic_utils import messages_to_prompt as default_messages_to_prompt
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.llms import LLM
from llama_index.core.llms.llm import default_completion_to_prompt
from llama_index.core.tools.types import BaseTool
from llama_index_instrumentation.dispatcher import active_instrument_tags
from pydantic import BaseModel, SecretBytes, SecretStr

from llmcache_plugins.canonical.made_of import random_name_of
from llmcache_plugins.keys.messages import request_from_messages, request_from_prompt
from llmcache_plugins.keys.params import canonical_params
from llmcache_plugins.keys.question import Extractor
from llmcache_plugins.llama_index.clients import told_by_clients
from llmcache_plugins.llama_index.plain import IndistinctCall, as_json, qualified_name
from llmcache_plugins.llama_index.turns import turn_of
from llmcache_plugins.llama_index.wire import STATEFUL, destination, is_wire_llm, wire_request
from llmcache_plugins.types import JsonValue, Request

__all__ = ["Asked", "Spoken", "model_name", "request_of"]

# Of transport and bookkeeping; what is left out of every key besides stands in keys.params.
_IRRELEVANT = {"callback_manager", "rate_limiter", "reuse_client", "cache_idx"}
_MODEL = ("model", "model_name")
# The answer depends on what the provider remembers, or on what its own tools find at that moment.
_STATEFUL = {
    *STATEFUL,
    "built_in_tools",
    "conversation",
    "previous_response_id",
    "thread_id",
    "track_previous_responses",
}


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one call says: messages, or a prompt.

    Args:
        operation: `"chat"`, `"complete"` or `"structured"`; the plain and the streaming method of one operation share
            their answers.
        is_formatted: the caller has put the prompt into the LLM's own template.
        kwargs: the further arguments of the call.
        schema: the JSON schema of a structured answer.
    """

    operation: str
    messages: Sequence[ChatMessage] = ()
    prompt: str = field(default="", repr=False)
    is_formatted: bool = False
    kwargs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    schema: JsonValue = field(default=None, repr=False)

    @property
    def as_messages(self) -> Sequence[ChatMessage]:
        """A chat model is asked for a completion by one message of the user's."""
        if self.operation == "complete":
            return [ChatMessage(role=MessageRole.USER, content=self.prompt)]
        return self.messages


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and whether it is that of the provider's wire format, which other plugins make too."""

    request: Request
    is_wire: bool


def request_of(
    llm: LLM, original: type[LLM], spoken: Spoken, *, extractor: Extractor, identity: str = "", is_async: bool = False
) -> Asked:
    """The request that a call makes.

    Args:
        llm: who is asked.
        original: its class, as it was before it was cached.
        extractor: finds the question in a user turn.
        identity: what tells this LLM from others beside its fields; fields that nobody can compare are left out then.

    Raises:
        IndistinctCall: the call cannot be told from others.
    """
    details = {"instrument_tags": _tags()} if _tags() else {}
    if not identity and is_wire_llm(llm, original):
        found = wire_request(llm, spoken, extractor=extractor, is_async=is_async)
        if found is not None:
            return Asked(replace(found, details=details), True)
    params = {**_fields(llm, identity), **_templates(llm, spoken)}
    params |= destination(llm, original, is_async=is_async) or told_by_clients(llm, params, is_async=is_async)
    # Under names that no field can have.
    params |= {"llm:identity": identity} if identity else _of_class(original)
    provider = f"{original.__module__}.{original.__qualname__}"
    request = _own_request(spoken, params, provider=provider, model=model_name(llm), extractor=extractor)
    return Asked(replace(request, details=details), False)


def _of_class(original: type[LLM]) -> dict[str, JsonValue]:
    """A class that a function makes may be another one each time, under the same name."""
    return {"llm:class": random_name_of(original)} if "<locals>" in original.__qualname__ else {}


def _own_request(
    spoken: Spoken, params: Mapping[str, JsonValue], *, provider: str, model: str, extractor: Extractor
) -> Request:
    """The request in a form that only LLMs of one class share."""
    arguments = {
        "own:name" if name == "name" else name: _argument(name, value) for name, value in spoken.kwargs.items()
    }
    about: dict[str, JsonValue] = {
        "call:arguments": canonical_params(arguments) or None,
        "call:schema": spoken.schema,
        "call:formatted": spoken.is_formatted or None,
    }
    shared: dict[str, Any] = {
        "provider": provider,
        "model": model,
        "params": {**params, **about},
        "extractor": extractor,
        "operation": spoken.operation,
    }
    if spoken.operation == "complete":
        return request_from_prompt(spoken.prompt, **shared)
    return request_from_messages([turn_of(message) for message in spoken.messages], **shared)


def model_name(llm: LLM) -> str:
    """What the LLM calls its model; empty when it does not say."""
    for name in _MODEL:
        value = getattr(llm, name, None)
        if isinstance(value, str) and value:
            return value
    try:
        return llm.metadata.model_name
    except Exception:  # of a model that its integration does not know
        return ""


# ---------------------------------------------------------------- what shapes the answers of an LLM
def _fields(llm: LLM, identity: str) -> dict[str, JsonValue]:
    fields: dict[str, JsonValue] = {}
    try:
        given = llm.model_dump(warnings=False)
    except Exception as error:
        raise IndistinctCall(f"{type(llm).__name__} cannot be written down") from error
    model = model_name(llm)
    for name, value in given.items():
        is_known = name in _IRRELEVANT or (name in _MODEL and value == model)
        if is_known or isinstance(value, SecretStr | SecretBytes):
            continue
        if value and name in _STATEFUL:
            raise IndistinctCall("a state at the provider's")
        try:
            # A name shapes what is said where it is an LLM's own; elsewhere it is that of a run.
            fields["own:name" if name == "name" else name] = _nested(name, _field(value))
        except IndistinctCall as error:
            if not identity:
                raise IndistinctCall(f"the field {name} of {type(llm).__name__} holds {error}") from None
    for name, value in _unshown(llm).items():
        fields.setdefault(name, value)
    for name, value in (llm.__pydantic_private__ or {}).items():
        if isinstance(value, BaseModel):  # an LLM that stands for another one: its settings are that one's
            fields[name] = _inner_model(value)
    try:
        fields["llm:metadata"] = as_json(llm.metadata, with_models=True)
    except Exception:  # nothing depends on it alone
        return fields
    return fields


def _unshown(llm: LLM) -> dict[str, JsonValue]:
    """Fields of the LLM's own class that are left out when it is written down: settings all the same, where they are
    JSON; else clients and the like."""
    found: dict[str, JsonValue] = {}
    for name, field_info in type(llm).model_fields.items():
        if field_info.exclude and name not in LLM.model_fields:
            with suppress(IndistinctCall):
                found[name] = _nested(name, as_json(getattr(llm, name, None)))
    return found


def _field(value: Any) -> JsonValue:
    if callable(value):
        return qualified_name(value)
    return as_json(value, with_models=True)


def _nested(name: str, value: JsonValue) -> JsonValue:
    """Arguments that are handed on to the provider, and an LLM in a field, may hold credentials as the LLM itself."""
    if not isinstance(value, dict) or not (name.endswith("kwargs") or "class_name" in value):
        return value
    return {**canonical_params(value), **({"name": value["name"]} if "name" in value else {})}


def _inner_model(model: BaseModel) -> JsonValue:
    name = f"{type(model).__module__}.{type(model).__qualname__}"
    try:
        return {"class": name, **canonical_params(as_json(model, with_models=True))}
    except Exception:  # of another framework, and not to be written down
        return {"class": name}


def _templates(llm: LLM, spoken: Spoken) -> dict[str, JsonValue]:
    """How the LLM makes a prompt of what it is asked, where the user has given a way of his own: the function's name,
    or what it makes of this call where a name does not tell it from others."""
    is_complete = spoken.operation == "complete"
    name = "completion_to_prompt" if is_complete else "messages_to_prompt"
    function = getattr(llm, name, None)
    if function is None or function in (default_completion_to_prompt, default_messages_to_prompt):
        return {}
    try:
        return {name: qualified_name(function)}
    except IndistinctCall:
        return {name: [as_json(function(spoken.prompt if is_complete else spoken.messages))]}


# ---------------------------------------------------------------- what a call adds
def _argument(name: str, value: Any) -> JsonValue:
    if value and name in _STATEFUL:
        raise IndistinctCall("a state at the provider's")
    if name == "tools" and isinstance(value, list | tuple):
        return [_tool(tool) for tool in value]
    return as_json(value)


def _tool(tool: Any) -> JsonValue:
    if not isinstance(tool, BaseTool):
        return as_json(tool)
    try:
        return as_json(tool.metadata.to_openai_tool(skip_length_check=True))
    except Exception as error:
        raise IndistinctCall("a tool without a description") from error


def _tags() -> dict[str, JsonValue]:
    """What the user said of this run (`instrument_tags`)."""
    try:
        return dict(as_json(active_instrument_tags.get()))
    except IndistinctCall:
        return {}
