"""Which judge an object of the user's is."""

from __future__ import annotations

import sys
from typing import Any

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.judges.anthropic import AnthropicJudge
from llmcache_plugins.judges.langchain import LangChainJudge, innermost
from llmcache_plugins.protocols import Judge

__all__ = ["as_judge"]

_CLIENTS = ("SyncAPIClient", "AsyncAPIClient")


def as_judge(candidate: Any) -> Judge:
    """A judge from what the user has: a callable, a model of LangChain or a client of the Anthropic SDK.

    Raises:
        ConfigError: it is none of them; names its type.
    """
    # An object of a framework exists only where that framework is imported, so it need not be imported to ask.
    if _is_client(candidate):
        return AnthropicJudge(candidate)
    if _is_model(candidate):
        return LangChainJudge(candidate)
    if isinstance(candidate, type) or not callable(candidate):
        name = f"the class {candidate.__qualname__}" if isinstance(candidate, type) else type(candidate).__qualname__
        raise ConfigError(f"judge must be callable, a model of LangChain or a client of the Anthropic SDK, not {name}")
    return candidate  # type: ignore[no-any-return]


def _is_client(candidate: Any) -> bool:
    base = sys.modules.get("anthropic._base_client")
    kinds = tuple(kind for kind in (getattr(base, name, None) for name in _CLIENTS) if isinstance(kind, type))
    return isinstance(candidate, kinds) and hasattr(candidate, "messages")


def _is_model(candidate: Any) -> bool:
    kind = getattr(sys.modules.get("langchain_core.language_models.base"), "BaseLanguageModel", None)
    runnable = getattr(sys.modules.get("langchain_core.runnables.base"), "Runnable", None)
    if not (isinstance(kind, type) and isinstance(runnable, type) and isinstance(candidate, runnable)):
        return False
    return isinstance(innermost(candidate), kind)
