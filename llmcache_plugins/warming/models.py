"""Who is asked: a `WarmModel` says which request a question makes and what the answer to it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.types import Answer, Request, Usage

__all__ = ["Bridge", "WarmModel", "bridged", "completions", "register"]


@runtime_checkable
class WarmModel(Protocol):
    """A model behind a plugin: it makes of a question the request that the plugin's own look-ups would ask for."""

    def request_of(self, question: Request | str) -> Request:
        """What a user's question comes to, as the cache sees it. Asks no model."""
        ...

    def ask(self, question: Request | str) -> Answer:
        """One model call, past any cache."""
        ...

    async def aask(self, question: Request | str) -> Answer: ...


@runtime_checkable
class _Completing(Protocol):
    """What of a LlamaIndex LLM is needed here."""

    def complete(self, prompt: str) -> Any: ...
    async def acomplete(self, prompt: str) -> Any: ...


Bridge: TypeAlias = Callable[[object], WarmModel | None]
_BRIDGES: list[Bridge] = []


def register(bridge: Bridge) -> None:
    """A plugin says how its models are asked: `bridge` makes a `WarmModel` of what it knows, and None of the rest."""
    if bridge not in _BRIDGES:
        _BRIDGES.append(bridge)


def bridged(model: object) -> WarmModel | None:
    """What a plugin makes of a model of its framework, or None for a plain callable.

    Raises:
        ConfigError: it is a framework's model, and its plugin was not imported: its answers would be stored where the
            framework does not look for them.
    """
    if isinstance(model, WarmModel):
        return model
    for bridge in _BRIDGES:
        known = bridge(model)
        if known is not None:
            return known
    if any(base.__module__.partition(".")[0] == "langchain_core" for base in type(model).__mro__):
        raise ConfigError(
            f"{type(model).__name__} is a model of LangChain: import llmcache_plugins.langchain first, so that its "
            f"answers are stored where LangChain looks for them"
        )
    return completions(model)


def completions(llm: object) -> WarmModel | None:
    """A LlamaIndex LLM (`complete` and `acomplete`) as a `WarmModel`; None for others.

    Its answers are the plain texts, under the plain question: what `cache.get_or_generate(question, ...)` asks for.
    """
    return _Completions(llm) if isinstance(llm, _Completing) else None


class _Completions:
    def __init__(self, llm: _Completing) -> None:
        self._llm = llm

    def request_of(self, question: Request | str) -> Request:
        return Request(question) if isinstance(question, str) else question

    def ask(self, question: Request | str) -> Answer:
        return _answer(self._llm.complete(_text(question)))

    async def aask(self, question: Request | str) -> Answer:
        return _answer(await self._llm.acomplete(_text(question)))


def _text(question: Request | str) -> str:
    return question if isinstance(question, str) else question.text


def _answer(response: Any) -> Answer:
    """The text, and the tokens where the provider's raw response tells them under the usual names."""
    raw = getattr(response, "raw", None)
    usage = raw.get("usage") if isinstance(raw, dict) else getattr(raw, "usage", None)
    return Answer(
        response.text,
        usage=Usage(
            input_tokens=_tokens(usage, "input_tokens", "prompt_tokens"),
            output_tokens=_tokens(usage, "output_tokens", "completion_tokens"),
            cache_creation_input_tokens=_tokens(usage, "cache_creation_input_tokens"),
            cache_read_input_tokens=_tokens(usage, "cache_read_input_tokens"),
        ),
    )


def _tokens(usage: Any, *names: str) -> int:
    for name in names:
        value = usage.get(name) if isinstance(usage, dict) else getattr(usage, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return 0
