"""A model of LangChain as a judge. LangChain is not imported here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.judges.price import Price
from llmcache_plugins.judges.prompt import JudgePrompt, Sheet
from llmcache_plugins.quality import Judgement
from llmcache_plugins.types import Entry, Request

__all__ = ["LangChainJudge", "innermost"]

_MODEL_ATTRIBUTES = ("model_name", "model", "model_id", "deployment_name", "azure_deployment")
_MAX_TOKENS = 24
# Heard by none of the caller's handlers: tokens of a judge are no part of the stream that the caller reads.
_CONFIG: Mapping[str, Any] = {"callbacks": [], "run_name": "llmcache-judge", "tags": ["llmcache:judge"]}


class LangChainJudge:
    """A chat or completion model of LangChain as a judge.

    Each question is one short call: both questions in, one word out. Any other reply is no verdict. The call stands
    apart from the caller's run: no callback, stream or trace of it hears of the judge.

    Args:
        model: the model, also with bound arguments, retries or fallbacks. One that is behind a cache is asked all the
            same.
        price: money for a million tokens of input and of output; what `judge_budget` counts in. The tokens are those
            that the model reports (`usage_metadata`).
        shows_answer: show the judge the stored answer too.
        max_chars: of both questions together, and of the answer; longer ones are not put before the judge.
        options: arguments of each call. None for `temperature=0.0` and `max_tokens=24`, where the model has fields of
            these names and does not think; `{}` for the model as it is.
        judge_id: in place of one made of the model's class and name.

    Raises:
        ConfigError: it is no model, or a setting is out of range.

    Example:
        cache = open_cache(judge=LangChainJudge(ChatAnthropic(model="claude-haiku-4-5"), price=(1.0, 5.0)))
    """

    runs_apart = True

    def __init__(
        self,
        model: Any,
        *,
        price: Sequence[float] | None = None,
        shows_answer: bool = False,
        max_chars: int = 8000,
        options: Mapping[str, Any] | None = None,
        judge_id: str | None = None,
    ) -> None:
        if isinstance(model, type) or not (hasattr(model, "invoke") and hasattr(model, "ainvoke")):
            name = f"the class {model.__qualname__}" if isinstance(model, type) else type(model).__qualname__
            raise ConfigError(f"a model of LangChain is needed, not {name}")
        inner = innermost(model)
        self._model = model
        self._prompt = JudgePrompt(shows_answer=shows_answer, max_chars=max_chars)
        self._price = None if price is None else Price(price)
        self._options = _careful(inner) if options is None else dict(options)
        self.judge_id = judge_id or _id_of(inner)
        self.version = f"{self._prompt.version}/{sorted(self._options.items())}"
        self.ajudge: Callable[[Request, Entry], Awaitable[Judgement]] | None = (
            self._ajudge if _awaits_by_itself(inner) else None
        )

    def __repr__(self) -> str:
        return f"LangChainJudge({self.judge_id!r})"

    @property
    def has_price(self) -> bool:
        return self._price is not None

    def __call__(self, request: Request, entry: Entry) -> Judgement:
        """Ask the model. Blocks; the cache calls it in a thread."""
        sheet = self._prompt.sheet(request, entry)
        return _UNASKED if sheet is None else self._read(sheet, self._model.invoke(*_asked(sheet), **self._options))

    async def _ajudge(self, request: Request, entry: Entry) -> Judgement:
        sheet = self._prompt.sheet(request, entry)
        if sheet is None:
            return _UNASKED
        return self._read(sheet, await self._model.ainvoke(*_asked(sheet), **self._options))

    def _read(self, sheet: Sheet, reply: Any) -> Judgement:
        if isinstance(reply, str):  # of a completion model
            return Judgement(sheet.read(reply))
        described = getattr(reply, "response_metadata", None) or {}
        is_refused = described.get("stop_reason") == "refusal" or getattr(reply, "tool_calls", None)
        return Judgement(None if is_refused else sheet.read(_text_of(reply.content)), self._cost(reply))

    def _cost(self, reply: Any) -> float | None:
        usage = getattr(reply, "usage_metadata", None)
        if self._price is None or not isinstance(usage, Mapping):
            return None
        return self._price.of(usage.get("input_tokens"), usage.get("output_tokens"))


_UNASKED = Judgement(None, 0.0)


def innermost(model: Any) -> Any:
    """The model inside of bound arguments, retries and fallbacks."""
    for _ in range(16):
        inner = getattr(model, "bound", None) or getattr(model, "runnable", None)
        if inner is None:
            break
        model = inner
    return model


def _asked(sheet: Sheet) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    return [("system", sheet.task), ("human", sheet.texts)], dict(_CONFIG)


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    blocks = [block if isinstance(block, dict) else {"type": "text", "text": block} for block in content]
    return "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")


def _careful(model: Any) -> dict[str, Any]:
    """The same reply each time, and a short one, where the model has a name for that."""
    known = getattr(type(model), "model_fields", {})
    if getattr(model, "thinking", None) or getattr(model, "reasoning", None):
        return {}  # such models take neither
    wanted = {"temperature": 0.0, "max_tokens": _MAX_TOKENS}
    return {name: value for name, value in wanted.items() if name in known}


def _id_of(model: Any) -> str:
    kind = type(model)
    kind = getattr(kind, "_llmcache_original", kind)  # a cached model says what it said before
    names = (getattr(model, name, None) for name in _MODEL_ATTRIBUTES)
    name = next((name for name in names if isinstance(name, str) and name), "")
    return "/".join(filter(None, (f"langchain:{kind.__module__}.{kind.__qualname__}", name)))


def _awaits_by_itself(model: Any) -> bool:
    """Has the model asynchronous calls of its own? LangChain's stand-in for them is a thread that nobody can give up,
    so such a model is better asked in one of ours."""
    own = ("langchain_core", "llmcache_plugins")
    return any(
        not base.__module__.startswith(own) and not {"_agenerate", "_acall", "ainvoke"}.isdisjoint(vars(base))
        for base in type(model).__mro__
    )
