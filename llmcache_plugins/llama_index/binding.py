"""What a cached LLM's class knows: its cache, and the class that it was made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llama_index.core.llms import LLM

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.keys.question import Extractor, QuestionExtractor

__all__ = ["COMPONENT", "Binding", "binding_of", "original_of"]

COMPONENT = "llama_index"


@dataclass(frozen=True, slots=True)
class Binding:
    """How a class of LLMs is cached.

    Args:
        original: the class as it was.
        cache: who is asked.
        identity: what tells its LLMs from others beside their fields.
        extractor: finds the question in a user turn.
        seen: classes of the responses that were seen, by method; they are live code, as annotations are.
    """

    original: type[LLM]
    cache: SemanticCache
    identity: str = ""
    extractor: Extractor = field(default_factory=QuestionExtractor, hash=False)
    seen: dict[str, type[Any]] = field(default_factory=dict, compare=False)

    def spare(self, error: Exception) -> None:
        """Count an error of the plugin's, and raise it where the user wants to hear it."""
        self.cache.report_error(COMPONENT, error)
        if not self.cache.config.fail_open:
            raise error


def binding_of(kind: type[Any]) -> Binding | None:
    """How this class is cached; None for a class that is not."""
    found = getattr(kind, "_llmcache_binding", None)
    return found if isinstance(found, Binding) else None


def original_of(llm: LLM) -> type[LLM]:
    """The class of the LLM, as it was before it was cached."""
    binding = binding_of(type(llm))
    return type(llm) if binding is None else binding.original
