"""Python values as JSON, for keys and for what is stored."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from enum import Enum
from types import FunctionType
from typing import Any

from pydantic import BaseModel

from llmcache_plugins.canonical.made_of import code_digest
from llmcache_plugins.types import JsonValue

__all__ = ["Attributes", "IndistinctCall", "as_json", "qualified_name"]


class IndistinctCall(Exception):
    """This call cannot be told from others, so nothing may be answered or stored for it."""


def as_json(value: Any, *, with_models: bool = False) -> JsonValue:
    """`value` as JSON, so that different values stay different; bytes by their digest.

    Args:
        with_models: a pydantic object becomes its dict; else it is refused, for its class may matter.

    Raises:
        IndistinctCall: there is something in it that is not JSON.
    """
    if isinstance(value, Enum):
        return as_json(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise IndistinctCall("a number that is not finite")
        return value
    if isinstance(value, list | tuple):
        return [as_json(item, with_models=with_models) for item in value]
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise IndistinctCall("a name that is no string")
        return {str(name): as_json(item, with_models=with_models) for name, item in value.items()}
    if isinstance(value, bytes):
        return {"sha256": hashlib.sha256(value).hexdigest()}
    if with_models and isinstance(value, BaseModel):
        return _of_model(value)
    raise IndistinctCall(f"an object of the class {type(value).__name__}")


def _of_model(model: BaseModel) -> JsonValue:
    try:
        return as_json(model.model_dump(mode="json", warnings=False))
    except IndistinctCall:
        raise
    except Exception as error:
        raise IndistinctCall(f"{type(model).__name__} cannot be written as JSON") from error


def qualified_name(thing: Any) -> str:
    """Where a class or a plain function of a module is defined, and of a function what it does: in a notebook it is
    changed and defined again.

    Raises:
        IndistinctCall: it is neither: a lambda, a bound method or an inner function may hold anything.
    """
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    is_function = isinstance(thing, FunctionType) and thing.__closure__ is None
    is_plain = isinstance(thing, type) or is_function
    if not is_plain or not isinstance(module, str) or not isinstance(name, str) or "<" in name:
        raise IndistinctCall(f"an object of the class {type(thing).__name__}")
    return f"{module}.{name}:{code_digest(thing.__code__)}" if is_function else f"{module}.{name}"


class Attributes(dict[str, Any]):
    """JSON that was a provider's object before it was stored: its values are had by key and by attribute.

    >>> Attributes({"usage": {"input_tokens": 0}}).usage.input_tokens
    0
    """

    def __init__(self, value: Mapping[str, JsonValue]) -> None:
        super().__init__({name: _with_attributes(item) for name, item in value.items()})

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __deepcopy__(self, memo: dict[int, Any]) -> Attributes:
        return Attributes(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Attributes, (dict(self),)


def _with_attributes(value: JsonValue) -> JsonValue:
    if isinstance(value, Mapping):
        return Attributes(value)
    return [_with_attributes(item) for item in value] if isinstance(value, list) else value
