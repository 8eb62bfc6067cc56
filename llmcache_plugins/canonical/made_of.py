"""What a chain or an engine is made of, as a digest that two equal ones share: models, prompts, functions, settings.

A memory address never enters it. An object that says nothing of itself (a vector store, a client) gets a random name
for as long as it lives: what is built around the same object shares its answers, and nothing else ever gets them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import functools
import inspect
import os
import secrets
import sys
import threading
import types
import typing
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.fingerprint import canonical_json, fingerprint
from llmcache_plugins.types import JsonValue

__all__ = ["MadeOf", "Survey", "class_path", "code_digest", "random_name_of"]

_DEEPEST = 40
_NAMED = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.MethodWrapperType,
)


@dataclass(frozen=True, slots=True)
class MadeOf:
    """
    Args:
        digest: of all that was found.
        model: the model's name, where there is one model.
        unnamed: classes of the objects that got a random name, so that no other process finds the answers.
    """

    digest: str
    model: str = ""
    unnamed: tuple[str, ...] = ()


@dataclass(slots=True)
class Survey:
    """One walk through what something is made of.

    Args:
        look: describes what its framework knows, as JSON; None for what it does not. It may raise a `ConfigError`,
            which ends the walk.
        found: for `look` to keep what it has to look at again, whenever it is asked.
    """

    look: Look
    models: list[dict[str, JsonValue]] = field(default_factory=list)
    prompts: list[JsonValue] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    found: list[Any] = field(default_factory=list)
    _seen: dict[int, int] = field(default_factory=dict)
    _kept: list[Any] = field(default_factory=list)
    _depth: int = 0

    def of(self, thing: Any, name: str | None) -> MadeOf:
        """
        Args:
            name: stands for everything but the models and prompts, which count all the same.
        """
        whole = self.describe(thing)
        described = {"all": whole} if name is None else {"name": name, "models": self.models, "prompts": self.prompts}
        models = {model["model"] for model in self.models}
        return MadeOf(
            fingerprint(b"made of", canonical_json(described)),
            models.pop() if len(models) == 1 else "",
            tuple(dict.fromkeys(self.unnamed)) if name is None else (),
        )

    def describe(self, thing: Any) -> JsonValue:
        """`thing` as JSON; what was described before, by its number."""
        if thing is None or (isinstance(thing, str | bool | int | float) and not isinstance(thing, enum.Enum)):
            return thing
        if isinstance(thing, bytes):
            return {"bytes": thing.hex()}
        number = self._seen.get(id(thing))
        if number is not None:
            return {"again": number}
        if self._depth >= _DEEPEST:
            return self.random_name(thing)
        self._seen[id(thing)] = len(self._seen)
        self._kept.append(thing)  # while the walk goes on no other object may get its address
        self._depth += 1
        try:
            found = self.look(thing, self)
            return self._structure(thing) if found is None else found
        except ConfigError:
            raise
        except Exception:  # noqa: BLE001  # a part that cannot even be looked at
            return self.random_name(thing)
        finally:
            self._depth -= 1

    def random_name(self, thing: Any) -> JsonValue:
        """For what says nothing of itself."""
        self.unnamed.append(type(thing).__name__)
        return {"object": class_path(type(thing)), "random": _names.of(thing)}

    def fields(self, thing: Any, fields: Mapping[str, Any]) -> JsonValue:
        """For what is made of these."""
        described = {name: self.describe(value) for name, value in fields.items()}
        return {"object": self._class(type(thing)), "fields": described}

    def _structure(self, thing: Any) -> JsonValue:
        if isinstance(thing, Mapping):
            return {"dict": [[self.describe(key), self.describe(value)] for key, value in thing.items()]}
        if isinstance(thing, list | tuple):
            return [self.describe(item) for item in thing]
        if isinstance(thing, set | frozenset):
            return {"set": sorted((self.describe(item) for item in thing), key=canonical_json)}
        if isinstance(thing, enum.Enum):
            return {"enum": [class_path(type(thing)), thing.name]}
        if isinstance(thing, type):
            found = self._class(thing)
            return {"class": found} if isinstance(found, str) else found
        if isinstance(thing, functools.partial):
            return {"partial": [self.describe(part) for part in (thing.func, thing.args, thing.keywords)]}
        if isinstance(thing, types.MethodType):
            return {"method": [self.describe(thing.__func__), self.describe(thing.__self__)]}
        if isinstance(thing, types.FunctionType):
            return self._function(thing)
        if isinstance(thing, _NAMED):
            owner = getattr(thing, "__self__", None)
            return {"named": class_path(thing), "of": None if inspect.ismodule(owner) else self.describe(owner)}
        if isinstance(thing, types.ModuleType):
            return {"module": thing.__name__}
        if typing.get_origin(thing) is not None:  # `list[str]`, `int | None`
            return {"type": [self.describe(typing.get_origin(thing)), self.describe(typing.get_args(thing))]}
        if type(thing).__module__ == "typing":  # `Any`
            return {"type": repr(thing)}
        if dataclasses.is_dataclass(thing):
            return self.fields(thing, {one.name: getattr(thing, one.name) for one in dataclasses.fields(thing)})
        return self.random_name(thing)

    def _class(self, cls: type[Any]) -> JsonValue:
        """One that a function makes may be another one each time."""
        return self.random_name(cls) if "<locals>" in cls.__qualname__ else class_path(cls)

    def _function(self, function: types.FunctionType) -> JsonValue:
        """Its code, and what the code refers to."""
        names = sorted(_names_in(function.__code__))
        used = {name: function.__globals__[name] for name in names if name in function.__globals__}
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # nothing is in it yet
                used[name] = cell.cell_contents
        root = _root(function)
        return {
            "function": class_path(function),
            "code": code_digest(function.__code__),
            "defaults": self.describe([function.__defaults__, function.__kwdefaults__]),
            "uses": {
                name: self._module(value, names, root, set()) if inspect.ismodule(value) else self.describe(value)
                for name, value in used.items()
            },
        }

    def _module(self, module: types.ModuleType, names: list[str], root: str, seen: set[types.ModuleType]) -> JsonValue:
        """A module by its name and what is used of it. Of libraries that is constants: what else is in them is theirs
        to keep.

        Args:
            names: all that the code refers to, attributes among them.
            root: the package of the code: not a library, wherever it is installed.
            seen: modules that were described for this code; filled here, for modules know each other.
        """
        if module in seen:
            return {"module": module.__name__}
        seen.add(module)
        used: dict[str, JsonValue] = {}
        for name in names:
            value = vars(module).get(name)
            if inspect.ismodule(value):
                used[name] = self._module(value, names, root, seen)
            elif isinstance(value, str | bytes | int | float) or (value is not None and not _is_library(module, root)):
                used[name] = self.describe(value)
        return {"module": module.__name__, **({"uses": used} if used else {})}


Look: TypeAlias = Callable[[Any, Survey], JsonValue]


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
        """Without the lock: it is called at any moment, also while this thread holds it."""
        known = self._names.get(address)
        if known is not None and known[0] is reference:
            self._names.pop(address, None)

    def after_fork(self) -> None:
        """In a forked child the lock may be held by a thread that does not live there."""
        self._lock = threading.Lock()


_names = _Names()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_names.after_fork)


def _names_in(code: types.CodeType) -> set[str]:
    """All names that the code and the functions in it refer to; comprehensions are such functions."""
    inner = [_names_in(one) for one in code.co_consts if isinstance(one, types.CodeType)]
    return set(code.co_names).union(*inner)


def _root(of: Any) -> str:
    return str(getattr(of, "__module__", None) or "").partition(".")[0]


def _is_library(module: types.ModuleType, root: str) -> bool:
    own, path = module.__name__.partition(".")[0], getattr(module, "__file__", None) or ""
    return own != root and (own in sys.stdlib_module_names or "-packages" in path)


def class_path(of: Any) -> str:
    """Module and name of a class or a function."""
    return f"{getattr(of, '__module__', '')}.{of.__qualname__}"


def random_name_of(thing: Any) -> str:
    """A name that no other object ever gets, for as long as this one lives."""
    return _names.of(thing)


def code_digest(code: types.CodeType) -> str:
    """What the code does, without what it refers to."""
    constants = [
        code_digest(one).encode() if isinstance(one, types.CodeType) else repr(_ordered(one)).encode("utf-8", "replace")
        for one in code.co_consts
    ]
    names = " ".join((*code.co_names, *code.co_varnames, *code.co_freevars)).encode("utf-8", "replace")
    return fingerprint(code.co_code, names, *constants)


def _ordered(constant: Any) -> Any:
    """Sets of literals have no order of their own."""
    return sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant
