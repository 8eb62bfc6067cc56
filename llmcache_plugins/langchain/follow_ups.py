"""A model of LangChain as a resolver of follow-ups."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from llmcache_plugins.canonical.follow_ups import FollowUpPrompt, FollowUpSheet
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.judges.langchain import innermost

__all__ = ["LangChainResolver", "resolver"]

_NAMES = ("model_name", "model", "model_id", "deployment_name", "azure_deployment")
# Heard by none of the caller's handlers: these tokens are no part of the stream that the caller reads.
_CONFIG: Mapping[str, Any] = {"callbacks": [], "run_name": "llmcache-resolver", "tags": ["llmcache:resolver"]}


class LangChainResolver:
    """Made by `resolver`."""

    runs_apart = True

    def __init__(self, model: Any, *, max_chars: int, options: Mapping[str, Any] | None) -> None:
        if isinstance(model, type) or not (hasattr(model, "invoke") and hasattr(model, "ainvoke")):
            name = f"the class {model.__qualname__}" if isinstance(model, type) else type(model).__qualname__
            raise ConfigError(f"a model of LangChain is needed, not {name}")
        inner = innermost(model)
        self._model = model
        self._prompt = FollowUpPrompt(max_chars=max_chars)
        self._options = _careful(inner) if options is None else dict(options)
        self.resolver_id = f"{_id_of(inner)} {self._prompt.version}"
        self.aresolve: Callable[[Sequence[Mapping[str, str]]], Awaitable[str | None]] = self._aresolve

    def __repr__(self) -> str:
        return f"LangChainResolver({self.resolver_id!r})"

    def __call__(self, turns: Sequence[Mapping[str, str]]) -> str | None:
        """Ask the model. Blocks; the cache calls it in a thread."""
        sheet = self._prompt.sheet(turns)
        return None if sheet is None else _read(sheet, self._model.invoke(*_asked(sheet), **self._options))

    async def _aresolve(self, turns: Sequence[Mapping[str, str]]) -> str | None:
        sheet = self._prompt.sheet(turns)
        return None if sheet is None else _read(sheet, await self._model.ainvoke(*_asked(sheet), **self._options))


def resolver(model: Any, *, max_chars: int = 8000, options: Mapping[str, Any] | None = None) -> LangChainResolver:
    """A chat or completion model of LangChain as a resolver of follow-ups: one short call for each.

    The call stands apart from the caller's run: no callback, stream or trace of it hears of it, and it goes past every
    cache, also where the model is behind one.

    Args:
        model: the model, also with bound arguments, retries or fallbacks; a small one does.
        max_chars: of the conversation that it is shown, the latest turns.
        options: arguments of each call. None for `temperature=0.0` where the model has a field of that name and does
            not think; `{}` for the model as it is.

    Raises:
        ConfigError: it is no model, or `max_chars` is out of range.

    Example:
        cache = open_cache(resolver=resolver(ChatAnthropic(model="claude-haiku-4-5")))
    """
    return LangChainResolver(model, max_chars=max_chars, options=options)


def _asked(sheet: FollowUpSheet) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    return [("system", sheet.task), ("human", sheet.conversation)], dict(_CONFIG)


def _read(sheet: FollowUpSheet, reply: Any) -> str | None:
    if isinstance(reply, str):  # of a completion model
        return sheet.read(reply)
    described = getattr(reply, "response_metadata", None) or {}
    if described.get("stop_reason") in ("refusal", "max_tokens") or getattr(reply, "tool_calls", None):
        return None
    content = reply.content
    if isinstance(content, str):
        return sheet.read(content)
    blocks = [block if isinstance(block, dict) else {"type": "text", "text": block} for block in content]
    return sheet.read("".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text"))


def _careful(model: Any) -> dict[str, Any]:
    """The same reply each time, where the model has a name for that."""
    thinks = getattr(model, "thinking", None) or getattr(model, "reasoning", None)
    return {} if thinks or "temperature" not in getattr(type(model), "model_fields", {}) else {"temperature": 0.0}


def _id_of(model: Any) -> str:
    kind = type(model)
    kind = getattr(kind, "_llmcache_original", kind)  # a cached model says what it said before
    names = (getattr(model, name, None) for name in _NAMES)
    name = next((name for name in names if isinstance(name, str) and name), "")
    return "/".join(filter(None, (f"langchain:{kind.__module__}.{kind.__qualname__}", name)))
