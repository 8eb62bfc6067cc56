"""A client of the Anthropic SDK as a resolver of follow-ups."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from llmcache_plugins.canonical.follow_ups import FollowUpPrompt, FollowUpSheet
from llmcache_plugins.errors import ConfigError

__all__ = ["AnthropicResolver", "resolver"]

_DEFAULT_MODEL = "claude-haiku-4-5"


class AnthropicResolver:
    """Made by `resolver`."""

    def __init__(
        self, client: Any, model: str, *, max_chars: int, temperature: float | None, max_tokens: int, timeout: float
    ) -> None:
        if isinstance(client, type) or not hasattr(getattr(client, "messages", None), "create"):
            name = f"the class {client.__qualname__}" if isinstance(client, type) else type(client).__qualname__
            raise ConfigError(f"a client of the Anthropic SDK is needed, not {name}")
        if not isinstance(model, str) or not model:
            raise ConfigError(f"model must be the name of a model, not {model!r}")
        self._client = client
        self._prompt = FollowUpPrompt(max_chars=max_chars)
        self._fields: dict[str, Any] = {"model": model, "max_tokens": max_tokens, "timeout": timeout}
        if temperature is not None:
            self._fields["extra_body"] = {"temperature": temperature}  # no argument in every version of the SDK
        self.resolver_id = f"anthropic/{model} {self._prompt.version}/{temperature}"
        # The class by its name: it is not public, and methods of both kinds of clients look alike.
        is_async = any(base.__name__ == "AsyncAPIClient" for base in type(client).__mro__)
        self.aresolve: Callable[[Sequence[Mapping[str, str]]], Awaitable[str | None]] | None = (
            self._aresolve if is_async else None
        )

    def __repr__(self) -> str:
        return f"AnthropicResolver({self.resolver_id!r})"

    def __call__(self, turns: Sequence[Mapping[str, str]]) -> str | None:
        """Ask the model. Blocks; the cache calls it in a thread."""
        if self.aresolve is not None:
            raise ConfigError("an asynchronous client is asked by the asynchronous lookups only")
        sheet = self._prompt.sheet(turns)
        return None if sheet is None else _read(sheet, self._client.messages.create(**self._asked(sheet)))

    async def _aresolve(self, turns: Sequence[Mapping[str, str]]) -> str | None:
        sheet = self._prompt.sheet(turns)
        return None if sheet is None else _read(sheet, await self._client.messages.create(**self._asked(sheet)))

    def _asked(self, sheet: FollowUpSheet) -> dict[str, Any]:
        return {**self._fields, "system": sheet.task, "messages": [{"role": "user", "content": sheet.conversation}]}


def resolver(
    client: Any,
    model: str = _DEFAULT_MODEL,
    *,
    max_chars: int = 8000,
    temperature: float | None = 0.0,
    max_tokens: int = 300,
    timeout: float = 10.0,
) -> AnthropicResolver:
    """A Claude model as a resolver of follow-ups, through a client of the Anthropic SDK: one short request for each.

    Args:
        client: `Anthropic`, `AsyncAnthropic`, or a client for another platform. An asynchronous one is asked by
            asynchronous lookups only. One that is behind a cache asks its API all the same.
        model: the model to ask; a small one does.
        max_chars: of the conversation that it is shown, the latest turns.
        temperature: None leaves it out, for models that take none.
        max_tokens: of the reply.
        timeout: seconds for the request. Give `resolver_timeout` too where it is more than 10.

    Raises:
        ConfigError: it is no such client, or a setting is out of range.

    Example:
        cache = open_cache(resolver=resolver(anthropic.Anthropic()))
    """
    return AnthropicResolver(
        client, model, max_chars=max_chars, temperature=temperature, max_tokens=max_tokens, timeout=timeout
    )


def _read(sheet: FollowUpSheet, message: Any) -> str | None:
    if message.stop_reason in ("refusal", "max_tokens"):
        return None
    if not all(block.type in ("text", "thinking", "redacted_thinking") for block in message.content):
        return None
    return sheet.read("".join(block.text for block in message.content if block.type == "text"))
