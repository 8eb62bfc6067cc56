"""What tells a cached model from others, where LangChain's description of it does not.

That of a custom model without `_identifying_params` is one word for all of its class. A subclass of another package's
model goes by its bare name, which others may have too. And a description is kept, although a field may change inside.
"""

from __future__ import annotations

import json
from typing import Any

from langchain_core.load.serializable import Serializable

from llmcache_plugins.canonical.made_of import Survey, class_path
from llmcache_plugins.keys.params import is_credential_name
from llmcache_plugins.langchain.chain_identity import IRRELEVANT, is_of_the_base, keeps_something, look
from llmcache_plugins.types import JsonValue

__all__ = ["DESCRIBED", "HELD", "forget_if_changed", "with_model"]

DESCRIBED = "_llmcache_described"  # in a cached model: values of fields with their digests
HELD = "_llmcache_held"  # in a cached model: its lists and dicts, as they were when it was described
_DESCRIPTION = "_serialized"  # where LangChain keeps a model's description
# Of a model's use; what a model can do (`profile`) shapes no answer by itself.
_IRRELEVANT = {*IRRELEVANT, "custom_get_token_ids", "disable_streaming", "profile"}


def with_model(llm_string: str, model: Any, original: type) -> str:
    """LangChain's string of a call, with what tells the model from others; as it is where that is in it already.

    Args:
        original: the model's class, as it was before it was cached.
    """
    told = _untold(model, original)
    if told is None:
        return llm_string
    begin = 1  # behind the bracket, for there is always an argument: `stop`
    if llm_string.startswith("{"):
        begin += json.JSONDecoder().raw_decode(llm_string)[1] + len("---")
    return f"{llm_string[:begin]}('__model__', {told!r}), {llm_string[begin:]}"


def _untold(model: Any, original: Any) -> JsonValue:
    if model.is_lc_serializable():
        named_by = next(base for base in original.__mro__ if not {"get_lc_namespace", "lc_id"}.isdisjoint(vars(base)))
        return None if named_by in (original, Serializable) else class_path(original)
    if not is_of_the_base(original, "_identifying_params"):
        return None
    own = Survey(look).random_name(model) if keeps_something(model) else None
    return [class_path(original), own, _fields(model)]


def _fields(model: Any) -> JsonValue:
    """What is plain, as it is now; all else as it was when it was set, for it may be where the model writes down what
    it is asked. To find that out at each call would take longer than a hit, too."""
    known: dict[str, tuple[Any, str]] = vars(model).get(DESCRIBED, {})
    fields: dict[str, JsonValue] = {}
    described: dict[str, tuple[Any, str]] = {}
    for name, value in (vars(model) | (model.model_extra or {})).items():
        if name in _IRRELEVANT or name in (DESCRIBED, HELD, _DESCRIPTION) or is_credential_name(name):
            continue
        if value is None or isinstance(value, str | int | float):
            fields[name] = value
            continue
        before = known.get(name)
        described[name] = (
            before if before is not None and before[0] is value else (value, Survey(look).of(value, None).digest)
        )
        fields[name] = [described[name][1]]
    vars(model)[DESCRIBED] = described
    return fields


def forget_if_changed(model: Any) -> None:
    """Make LangChain describe the model anew, when something was changed inside of a field."""
    fields = vars(model)
    if _DESCRIPTION not in fields:
        return
    # By what they show: what is in them may be of any kind, and need not be comparable.
    held = repr([value for name, value in fields.items() if name not in _IRRELEVANT and _is_open(name, value)])
    if fields.get(HELD) != held:
        fields[HELD] = held
        del fields[_DESCRIPTION]


def _is_open(name: str, value: object) -> bool:
    return isinstance(value, dict | list | set) and name != _DESCRIPTION
