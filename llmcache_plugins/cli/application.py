"""The application of the demonstration: a LangChain chat chain, as a team would write it."""

from __future__ import annotations

from typing import Any

from llmcache_plugins.errors import MissingExtraError
from llmcache_plugins.types import Usage

try:
    from langchain_anthropic import ChatAnthropic
    from langchain_core.callbacks import BaseCallbackHandler
    from langchain_core.messages import AIMessage
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.outputs import ChatGeneration, LLMResult
    from langchain_core.prompts import ChatPromptTemplate
except ImportError as error:
    raise MissingExtraError("llmcache demo", "demo") from error

__all__ = ["MODEL", "SYSTEM_PROMPT", "ChatApplication"]

MODEL = "claude-haiku-4-5"
SYSTEM_PROMPT = (
    "You answer the questions of network engineers and of students who plan their courses. Be brief and exact; say so "
    "when you do not know."
)


class ChatApplication:
    """Answers one question at a time: prompt | model | parser.

    Args:
        base_url: where the model is served; None for the provider's own address.
        api_key: None for ANTHROPIC_API_KEY.
    """

    def __init__(self, base_url: str | None = None, api_key: str | None = None) -> None:
        settings: dict[str, Any] = {"model": MODEL, "max_tokens": 512}
        if base_url:
            settings["base_url"] = base_url
        if api_key:
            settings["api_key"] = api_key
        self._meter = _Meter()
        model = ChatAnthropic(**settings)
        prompt = ChatPromptTemplate.from_messages([("system", SYSTEM_PROMPT), ("human", "{question}")])
        self._chain = prompt | model | StrOutputParser()

    def ask(self, question: str) -> tuple[str, Usage]:
        """The answer, and the tokens that its message reports (a cached message reports those of the stored call)."""
        self._meter.usage = Usage()
        answer: str = self._chain.invoke({"question": question}, config={"callbacks": [self._meter]})
        return answer, self._meter.usage


class _Meter(BaseCallbackHandler):
    """Keeps the usage of the last message: a parser at the end of a chain hides it."""

    def __init__(self) -> None:
        self.usage = Usage()

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        generation = response.generations[0][0]
        if not isinstance(generation, ChatGeneration) or not isinstance(generation.message, AIMessage):
            return
        usage = generation.message.usage_metadata
        if usage is None:
            return
        details = usage.get("input_token_details") or {}
        read, written = details.get("cache_read") or 0, details.get("cache_creation") or 0
        # LangChain adds the tokens of the provider's prompt cache to the input tokens.
        self.usage = Usage(usage["input_tokens"] - read - written, usage["output_tokens"], written, read)
