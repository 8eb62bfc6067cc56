"""A client of the Anthropic SDK as a judge. The SDK is not imported here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.judges.price import Price
from llmcache_plugins.judges.prompt import JudgePrompt, Sheet
from llmcache_plugins.quality import Judgement
from llmcache_plugins.types import Entry, Request

__all__ = ["AnthropicJudge"]

_DEFAULT_MODEL = "claude-haiku-4-5"
_CACHE_TOKENS = ("cache_creation_input_tokens", "cache_read_input_tokens")


class AnthropicJudge:
    """A Claude model as a judge, through a client of the Anthropic SDK.

    Each question is one short request: both questions in, one word out. Any other reply, a refusal included, is no
    verdict.

    Args:
        client: `Anthropic`, `AsyncAnthropic`, or a client for another platform. An asynchronous one is asked by
            asynchronous lookups only. One that is behind a cache asks its API all the same.
        model: the model to ask; a small one does.
        price: money for a million tokens of input and of output; what `judge_budget` counts in.
        shows_answer: show the judge the stored answer too. It costs its tokens, and a doubt that only the answer can
            settle is settled.
        max_chars: of both questions together, and of the answer; longer ones are not put before the judge.
        temperature: None leaves it out, for models that take none.
        max_tokens: of the reply.
        timeout: seconds for the request. Give `judge_timeout` too where it is more than 10.
        judge_id: in place of one made of the model's name.

    Raises:
        ConfigError: it is no such client, or a setting is out of range.

    Example:
        cache = open_cache(judge=AnthropicJudge(anthropic.Anthropic(), price=(1.0, 5.0)), judge_budget=2.0)
    """

    def __init__(
        self,
        client: Any,
        *,
        model: str = _DEFAULT_MODEL,
        price: Sequence[float] | None = None,
        shows_answer: bool = False,
        max_chars: int = 8000,
        temperature: float | None = 0.0,
        max_tokens: int = 24,
        timeout: float = 10.0,
        judge_id: str | None = None,
    ) -> None:
        if isinstance(client, type) or not hasattr(getattr(client, "messages", None), "create"):
            raise ConfigError(f"a client of the Anthropic SDK is needed, not {_name_of(client)}")
        if not isinstance(model, str) or not model:
            raise ConfigError(f"model must be the name of a model, not {model!r}")
        self._client = client
        self._prompt = JudgePrompt(shows_answer=shows_answer, max_chars=max_chars)
        self._price = None if price is None else Price(price)
        self._fields: dict[str, Any] = {"model": model, "max_tokens": max_tokens, "timeout": timeout}
        if temperature is not None:
            self._fields["extra_body"] = {"temperature": temperature}  # the SDK from 2.0 on has no name for it
        self.judge_id = judge_id or f"anthropic/{model}"
        self.version = f"{self._prompt.version}/{temperature}"
        # The class by its name, for the SDK is not imported: methods of both kinds of clients look alike.
        is_async = any(base.__name__ == "AsyncAPIClient" for base in type(client).__mro__)
        self.ajudge: Callable[[Request, Entry], Awaitable[Judgement]] | None = self._ajudge if is_async else None

    def __repr__(self) -> str:
        return f"AnthropicJudge({self.judge_id!r})"

    @property
    def has_price(self) -> bool:
        return self._price is not None

    def __call__(self, request: Request, entry: Entry) -> Judgement:
        """Ask the model. Blocks; the cache calls it in a thread."""
        if self.ajudge is not None:
            raise ConfigError("an asynchronous client is asked by the asynchronous lookups only")
        sheet = self._prompt.sheet(request, entry)
        return _UNASKED if sheet is None else self._read(sheet, self._client.messages.create(**self._asked(sheet)))

    async def _ajudge(self, request: Request, entry: Entry) -> Judgement:
        sheet = self._prompt.sheet(request, entry)
        return (
            _UNASKED if sheet is None else self._read(sheet, await self._client.messages.create(**self._asked(sheet)))
        )

    def _asked(self, sheet: Sheet) -> dict[str, Any]:
        return {**self._fields, "system": sheet.task, "messages": [{"role": "user", "content": sheet.texts}]}

    def _read(self, sheet: Sheet, message: Any) -> Judgement:
        texts = [block.text for block in message.content if block.type == "text"]
        is_plain = all(block.type in ("text", "thinking", "redacted_thinking") for block in message.content)
        is_whole = is_plain and message.stop_reason != "refusal"
        return Judgement(sheet.read("".join(texts)) if is_whole else None, self._cost(message.usage))

    def _cost(self, usage: Any) -> float | None:
        if self._price is None:
            return None
        cached = sum(getattr(usage, name, None) or 0 for name in _CACHE_TOKENS)
        return self._price.of(usage.input_tokens + cached, usage.output_tokens)


_UNASKED = Judgement(None, 0.0)


def _name_of(client: object) -> str:
    return f"the class {client.__qualname__}" if isinstance(client, type) else type(client).__qualname__
