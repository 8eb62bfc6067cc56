"""Models as judges of the grey zone: of the Anthropic SDK and of LangChain. Neither is imported here."""

from __future__ import annotations

from llmcache_plugins.judges.anthropic import AnthropicJudge
from llmcache_plugins.judges.bridges import as_judge
from llmcache_plugins.judges.langchain import LangChainJudge

__all__ = ["AnthropicJudge", "LangChainJudge", "as_judge"]
