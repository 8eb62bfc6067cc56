"""What a chain is made of, as a digest that two equal chains share: its models, prompts, functions and settings.

A memory address never enters it. An object that says nothing of itself (a vector store, a client) gets a random name
for as long as it lives: chains around the same object share their answers, and no other chain ever gets them.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import inspect
import secrets
import threading
import types
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseLanguageModel
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.prompts import BasePromptTemplate
from langchain_core.prompts.message import BaseMessagePromptTemplate
from langchain_core.runnables.history import RunnableWithMessageHistory
from pydantic import BaseModel, SecretBytes, SecretStr

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.fingerprint import canonical_json, fingerprint
from llmcache_plugins.keys.params import canonical_params, is_credential_name
from llmcache_plugins.langchain.parse import parse_llm_string
from llmcache_plugins.types import JsonValue

__all__ = ["ChainIdentity", "identity_of"]

# Of a run or of its watching: none of them shapes an answer.
_IRRELEVANT = {
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
}
_DEEPEST = 40
_NAMED = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.MethodWrapperType,
)
_PLAIN_OBJECTS = ("func", "afunc", "_transform", "_atransform")  # of LangChain's runnables that are no pydantic models


@dataclass(frozen=True, slots=True)
class ChainIdentity:
    """
    Args:
        digest: of all that was found.
        model: the model's name, where the chain has one model.
        unnamed: classes of the objects that got a random name, so that no other process finds the answers.
    """

    digest: str
    model: str = ""
    unnamed: tuple[str, ...] = ()


def identity_of(chain: Any, name: str | None) -> ChainIdentity:
    """
    Args:
        name: stands for everything but the models and prompts, which count all the same.

    Raises:
        ConfigError: a part of the chain keeps a conversation, so that its answers depend on more than its input.
    """
    survey = _Survey()
    whole = survey.describe(chain)
    described = {"all": whole} if name is None else {"name": name, "models": survey.models, "prompts": survey.prompts}
    models = {model["model"] for model in survey.models}
    return ChainIdentity(
        fingerprint(b"chain", canonical_json(described)),
        models.pop() if len(models) == 1 else "",
        tuple(dict.fromkeys(survey.unnamed)) if name is None else (),
    )


@dataclass(slots=True)
class _Survey:
    """One walk through a chain."""

    models: list[dict[str, JsonValue]] = field(default_factory=list)
    prompts: list[JsonValue] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    _seen: dict[int, int] = field(default_factory=dict)
    _kept: list[Any] = field(default_factory=list)
    _depth: int = 0

    def describe(self, thing: Any) -> JsonValue:
        """`thing` as JSON; what was described before, by its number."""
        if thing is None or isinstance(thing, str | bool | int | float):
            return thing
        if isinstance(thing, bytes):
            return {"bytes": thing.hex()}
        number = self._seen.get(id(thing))
        if number is not None:
            return {"again": number}
        if self._depth >= _DEEPEST:
            return self._unnamed(thing)
        self._seen[id(thing)] = len(self._seen)
        self._kept.append(thing)  # while the walk goes on no other object may get its address
        self._depth += 1
        try:
            return self._structure(thing)
        except ConfigError:
            raise
        except Exception:  # a part that cannot even be looked at
            return self._unnamed(thing)
        finally:
            self._depth -= 1

    def _structure(self, thing: Any) -> JsonValue:
        if isinstance(thing, Mapping):
            return {"dict": [[self.describe(key), self.describe(value)] for key, value in thing.items()]}
        if isinstance(thing, list | tuple):
            return [self.describe(item) for item in thing]
        if isinstance(thing, set | frozenset):
            return {"set": sorted((self.describe(item) for item in thing), key=canonical_json)}
        if isinstance(thing, enum.Enum):
            return {"enum": [_path(type(thing)), thing.name]}
        if isinstance(thing, type):
            return self._class(thing)
        if isinstance(thing, SecretStr | SecretBytes):
            return {"secret": True}
        if isinstance(thing, BaseLanguageModel):
            return self._model(thing)
        if isinstance(thing, functools.partial):
            return {"partial": [self.describe(part) for part in (thing.func, thing.args, thing.keywords)]}
        if isinstance(thing, types.MethodType):
            return {"method": [self.describe(thing.__func__), self.describe(thing.__self__)]}
        if isinstance(thing, types.FunctionType):
            return self._function(thing)
        if isinstance(thing, _NAMED):
            owner = getattr(thing, "__self__", None)
            return {"named": _path(thing), "of": None if inspect.ismodule(owner) else self.describe(owner)}
        if isinstance(thing, types.ModuleType):
            return {"module": thing.__name__}
        return self._object(thing)

    def _object(self, thing: Any) -> JsonValue:
        if isinstance(thing, RunnableWithMessageHistory):
            raise ConfigError("this chain keeps a conversation: wrap what is inside of RunnableWithMessageHistory")
        if _is_graph(thing) and getattr(thing, "checkpointer", None):
            raise ConfigError("this graph keeps its state in a checkpointer; its answers depend on more than its input")
        if isinstance(thing, BaseModel):
            names = [name for name in type(thing).model_fields if name not in _IRRELEVANT and _may_show(name)]
            fields: JsonValue = {name: self.describe(getattr(thing, name, None)) for name in names}
            fields |= {name: self.describe(value) for name, value in (thing.model_extra or {}).items()}
            described: JsonValue = {"object": _path(type(thing)), "fields": fields}
            if isinstance(thing, BasePromptTemplate | BaseMessagePromptTemplate):
                self.prompts.append(described)
            return described
        wrapped = getattr(thing, "llmcache_bound", None)
        if wrapped is not None:
            return {"cached": self.describe(wrapped)}
        if type(thing).__module__.startswith("langchain_core.runnables"):
            parts = [self.describe(vars(thing).get(name)) for name in _PLAIN_OBJECTS]
            return {"object": _path(type(thing)), "fields": parts}
        return self._unnamed(thing)

    def _class(self, thing: type) -> JsonValue:
        if issubclass(thing, BaseModel) and thing is not BaseModel:
            return {"class": _path(thing), "schema": thing.model_json_schema()}
        return {"class": _path(thing)}

    def _model(self, model: BaseLanguageModel[Any]) -> JsonValue:
        """By what LangChain tells a cache of it; a model that tells nothing is itself and no other."""
        if isinstance(model, BaseChatModel):
            told = model._get_llm_string()
        else:
            asdict = getattr(model, "asdict", None) or model.dict  # `dict` is the older name
            told = str(sorted(asdict().items()))
        call = parse_llm_string(told)
        params = canonical_params(call.params)
        described: dict[str, JsonValue] = {
            "class": _path(type(model)),
            "provider": call.provider,
            "model": call.model,
            "params": params,
        }
        says_nothing = not model.is_lc_serializable() and _is_of_the_base(type(model), "_identifying_params")
        if says_nothing or call.hidden or not call.is_readable or b" at 0x" in canonical_json(params):
            described["params"] = self._unnamed(model)
        self.models.append(described)
        return described

    def _function(self, function: types.FunctionType) -> JsonValue:
        """Its code, and what the code refers to."""
        code = function.__code__
        inner = inspect.getclosurevars(function)
        used = {**inner.globals, **inner.nonlocals}
        return {
            "function": f"{function.__module__}.{function.__qualname__}",
            "code": _code(code),
            "defaults": self.describe([function.__defaults__, function.__kwdefaults__]),
            "uses": {name: self.describe(value) for name, value in used.items()},
        }

    def _unnamed(self, thing: Any) -> JsonValue:
        self.unnamed.append(type(thing).__name__)
        return {"object": _path(type(thing)), "random": _names.of(thing)}


class _Names:
    """Random names of objects, kept as long as these live."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[int, tuple[weakref.ref[Any], str]] = {}

    def of(self, thing: Any) -> str:
        with self._lock:
            known = self._names.get(id(thing))
            if known is not None and known[0]() is thing:
                return known[1]
            name = secrets.token_hex(16)
            with contextlib.suppress(TypeError):  # of some things nobody can tell when they are gone
                self._names[id(thing)] = weakref.ref(thing, functools.partial(self._forget, id(thing))), name
            return name

    def _forget(self, address: int, reference: weakref.ref[Any]) -> None:
        known = self._names.get(address)
        if known is not None and known[0] is reference:
            self._names.pop(address, None)


_names = _Names()


def _path(of: Any) -> str:
    return f"{getattr(of, '__module__', '')}.{of.__qualname__}"


def _may_show(name: str) -> bool:
    return not is_credential_name(name)


def _is_graph(thing: Any) -> bool:
    return any(base.__module__.startswith("langgraph.") for base in type(thing).__mro__)


def _is_of_the_base(model: type, name: str) -> bool:
    """Is the attribute that of LangChain's own base class?"""
    owner = next((base for base in model.__mro__ if name in vars(base)), object)
    return owner.__module__.startswith("langchain_core.language_models.") and "fake" not in owner.__module__


def _code(code: types.CodeType) -> str:
    constants = [
        _code(one).encode() if isinstance(one, types.CodeType) else repr(_ordered(one)).encode("utf-8", "replace")
        for one in code.co_consts
    ]
    names = " ".join((*code.co_names, *code.co_varnames, *code.co_freevars)).encode("utf-8", "replace")
    return fingerprint(code.co_code, names, *constants)


def _ordered(constant: Any) -> Any:
    return sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant
