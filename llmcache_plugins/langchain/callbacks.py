"""Monitoring: a handler of LangChain's callbacks that sums what the cache answered and saved.

A hit carries its mark in `response_metadata["llmcache"]`, whichever way it was made, so that the handler needs to know
no cache.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, NamedTuple, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult
from langchain_core.tracers.context import register_configure_hook

from llmcache_plugins.langchain.answers import MARK
from llmcache_plugins.langchain.spending import CallSums, PriceList, usage_of
from llmcache_plugins.types import Usage

__all__ = ["LLMCacheCallbackHandler", "get_llmcache_callback", "unwatch_llmcache", "watch_llmcache"]

_log = logging.getLogger(__name__)
_OPEN_RUNS = 10_000  # runs whose end is awaited; a framework that never tells it must not fill the memory
_UNKNOWN = "unknown"
_FRAMEWORK_TAGS = ("seq:step:", "map:key:", "graph:step:", "condition:", "branch:", "langsmith:", "langgraph:")


class _Run(NamedTuple):
    root: str
    model: str


class LLMCacheCallbackHandler(BaseCallbackHandler):
    """Sums the calls of models that it hears of: hits, misses, tokens and money, in total, by model, by tag of the run
    and by tree of runs (one `invoke` of a chain, an agent or a model). Safe for threads; never raises.

    Give it to a call (`config={"callbacks": [handler]}`), to all in a block (`get_llmcache_callback`) or to all of the
    process (`watch_llmcache`). `print` it, or take `as_dict()`.

    A chain that is answered as a whole (`cached_chain`) is one hit; the model calls that it spared are not made.
    LangChain tells nobody of the hits of a completion model (`BaseLLM`) with a global cache: only its misses are seen.

    Args:
        prices: US dollars for a million tokens by model, `{"claude-haiku-4-5": (1.0, 5.0)}` for input and output; with
            four numbers also for writing to and reading from the provider's prompt cache.
        cost_per_call: US dollars for a call of a model that has no price. Without it such calls are counted as
            `unpriced` and add no money.
        max_groups: how many tags, and how many trees of runs, are remembered, at least 1; the oldest go first.

    Raises:
        ConfigError: a price is not what it should be.
    """

    ignore_retry = True  # no sums are made of it; LangChain reads this plain attribute

    def __init__(
        self,
        *,
        prices: Mapping[str, Sequence[float]] | None = None,
        cost_per_call: float | None = None,
        max_groups: int = 1000,
    ) -> None:
        super().__init__()
        self._prices = PriceList(prices, cost_per_call)
        self._max_groups = max(1, max_groups)
        self._lock = threading.Lock()
        self._open: OrderedDict[UUID, _Run] = OrderedDict()
        self._forget()

    @property
    def total(self) -> CallSums:
        """Of everything."""
        return self._total

    @property
    def by_model(self) -> dict[str, CallSums]:
        with self._lock:
            return dict(self._by_model)

    @property
    def by_tag(self) -> dict[str, CallSums]:
        """By tag of the model's run; the tags that LangChain sets itself are left out."""
        with self._lock:
            return dict(self._by_tag)

    @property
    def by_run(self) -> dict[str, CallSums]:
        """By the id of the outermost run (the `run_id` of its config, where it gives one), oldest first."""
        with self._lock:
            return dict(self._by_run)

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON: the totals, `by_model`, `by_tag` and `by_run`."""
        parts = {"by_model": self.by_model, "by_tag": self.by_tag, "by_run": self.by_run}
        return {
            **self.total.as_dict(),
            **{name: {key: sums.as_dict() for key, sums in part.items()} for name, part in parts.items()},
        }

    def clear(self) -> None:
        """Begin at zero."""
        with self._lock:
            self._forget()

    def __str__(self) -> str:
        return str(self.total)

    def __repr__(self) -> str:
        total = self.total
        return f"LLMCacheCallbackHandler(calls={total.calls}, hits={total.hit_count}, misses={total.misses})"

    # ---------------------------------------------------------------- what LangChain tells
    def on_chat_model_start(self, serialized: dict[str, Any], messages: Any, **kwargs: Any) -> None:
        self._safely(self._begin, kwargs)

    def on_llm_start(self, serialized: dict[str, Any], prompts: Any, **kwargs: Any) -> None:
        self._safely(self._begin, kwargs)

    def on_chain_start(self, serialized: dict[str, Any], inputs: Any, **kwargs: Any) -> None:
        self._safely(self._begin, kwargs)

    def on_tool_start(self, serialized: dict[str, Any], input_str: str, **kwargs: Any) -> None:
        self._safely(self._begin, kwargs)

    def on_retriever_start(self, serialized: dict[str, Any], query: str, **kwargs: Any) -> None:
        self._safely(self._begin, kwargs)

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        self._safely(lambda said: self._answered(response, said), kwargs)

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self._safely(self._unanswered, kwargs)

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        self._safely(self._end, kwargs)

    def on_chain_error(self, error: BaseException, **kwargs: Any) -> None:
        self._safely(self._end, kwargs)

    def on_tool_end(self, output: Any, **kwargs: Any) -> None:
        self._safely(self._end, kwargs)

    def on_tool_error(self, error: BaseException, **kwargs: Any) -> None:
        self._safely(self._end, kwargs)

    def on_retriever_end(self, documents: Any, **kwargs: Any) -> None:
        self._safely(self._end, kwargs)

    def on_retriever_error(self, error: BaseException, **kwargs: Any) -> None:
        self._safely(self._end, kwargs)

    def on_custom_event(self, name: str, data: Any, **kwargs: Any) -> None:
        if name == MARK:
            self._safely(lambda said: self._spared(data, said), kwargs)

    # ---------------------------------------------------------------- inside
    def _forget(self) -> None:
        self._total = CallSums()
        self._by_model: dict[str, CallSums] = {}
        self._by_tag: OrderedDict[str, CallSums] = OrderedDict()
        self._by_run: OrderedDict[str, CallSums] = OrderedDict()

    def _safely(self, step: Callable[[Mapping[str, Any]], object], said: Mapping[str, Any]) -> None:
        """A monitor that fails costs a number, never an answer, whatever the framework makes of errors in handlers."""
        try:
            step(said)
        except Exception as error:
            _log.debug("a callback was not counted: %s", type(error).__name__)

    def _begin(self, said: Mapping[str, Any]) -> None:
        model = (said.get("metadata") or {}).get("ls_model_name")
        with self._lock:
            self._open[said["run_id"]] = _Run(self._root(said), model if isinstance(model, str) else "")
            while len(self._open) > _OPEN_RUNS:
                self._open.popitem(last=False)

    def _root(self, said: Mapping[str, Any]) -> str:
        """Of a parent that was not heard of (the handler was given to an inner call) its id is all there is."""
        parent = said.get("parent_run_id")
        known = self._open.get(parent) if parent is not None else None
        return known.root if known is not None else str(parent or said["run_id"])

    def _end(self, said: Mapping[str, Any]) -> _Run:
        with self._lock:
            return self._open.pop(said["run_id"], None) or _Run(self._root(said), "")

    def _unanswered(self, said: Mapping[str, Any]) -> None:
        run = self._end(said)
        self._count(run.root, run.model or _UNKNOWN, said, CallSums.unanswered)

    def _answered(self, response: LLMResult, said: Mapping[str, Any]) -> None:
        run = self._end(said)
        mark, usage, named = _read(response)
        model = named or run.model or _UNKNOWN
        usd = self._prices.usd(model, usage)
        if mark is None:
            self._count(run.root, model, said, lambda sums: sums.miss(usage, usd))
        else:
            self._hit(mark, run.root, model, usage, said)

    def _spared(self, mark: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        """A whole chain was answered. Its run goes on, so its root is read and kept."""
        if mark.get("hit"):
            with self._lock:
                known = self._open.get(said["run_id"])
            root = known.root if known is not None else str(said["run_id"])
            self._hit(mark, root, str(mark.get("model") or _UNKNOWN), usage_of(mark.get("saved_usage")), said)

    def _hit(self, mark: Mapping[str, Any], root: str, model: str, usage: Usage, said: Mapping[str, Any]) -> None:
        kind, usd = str(mark.get("kind") or _UNKNOWN), self._prices.usd(model, usage)
        self._count(root, model, said, lambda sums: sums.hit(kind, usage, usd))

    def _count(self, root: str, model: str, said: Mapping[str, Any], add: Callable[[CallSums], CallSums]) -> None:
        tags = {tag for tag in said.get("tags") or () if isinstance(tag, str) and not tag.startswith(_FRAMEWORK_TAGS)}
        with self._lock:
            self._total = add(self._total)
            self._by_model[model] = add(self._by_model.get(model, CallSums()))
            for group, names in ((self._by_tag, tags), (self._by_run, {root})):
                for name in names:
                    group[name] = add(group.get(name, CallSums()))
                while len(group) > self._max_groups:
                    group.popitem(last=False)


def _read(response: LLMResult) -> tuple[Mapping[str, Any] | None, Usage, str]:
    """The mark of a hit, or None; the tokens that the answer cost or, of a hit, once did; the model's name. Of several
    answers to one call the first speaks for all, as the framework's own counting has it."""
    first = next((generation for each in response.generations for generation in each), None)
    output: Mapping[str, Any] = response.llm_output or {}
    message = getattr(first, "message", None)
    if isinstance(message, BaseMessage):
        metadata: Mapping[str, Any] = message.response_metadata or {}
        reported = getattr(message, "usage_metadata", None)
    else:
        metadata, reported = getattr(first, "generation_info", None) or {}, None
    named = metadata.get("model_name") or metadata.get("model") or output.get("model_name")
    mark = metadata.get(MARK) or output.get(MARK)  # beside a completion, which has no room for one
    model = named if isinstance(named, str) else ""
    if isinstance(mark, Mapping) and mark.get("hit"):
        return mark, usage_of(mark.get("saved_usage")), model
    return None, usage_of(reported or output.get("token_usage") or output.get("usage")), model


# Hooks cannot be taken out of LangChain again, so they are used again: as many are registered as were ever needed at
# the same time. A handler is only one of each hook's, hence one hook for each depth of nested blocks.
_around: list[ContextVar[BaseCallbackHandler | None]] = []
_everywhere: list[_Everywhere] = []
_lock = threading.Lock()


class _Deaf(BaseCallbackHandler):
    """In place of a handler that was taken away."""

    ignore_llm = True
    ignore_retry = True
    ignore_chain = True
    ignore_agent = True
    ignore_retriever = True
    ignore_chat_model = True
    ignore_custom_event = True


_deaf = _Deaf()


class _Everywhere:
    """Stands where LangChain expects a `ContextVar`: the same in every thread. It is never without a handler: LangChain
    asks twice, and another thread may take the handler away between the two."""

    def __init__(self, handler: BaseCallbackHandler) -> None:
        self.handler = handler

    def get(self) -> BaseCallbackHandler:
        return self.handler


@contextmanager
def get_llmcache_callback(
    *, prices: Mapping[str, Sequence[float]] | None = None, cost_per_call: float | None = None
) -> Iterator[LLMCacheCallbackHandler]:
    """A handler for all runs inside of the `with` block: also in tasks, and in threads that were started with a copied
    context (as LangChain and LangGraph do). Of nested blocks each counts what is inside of it.

    Args:
        prices: as for `LLMCacheCallbackHandler`.
        cost_per_call: as for `LLMCacheCallbackHandler`.

    Raises:
        ConfigError: a price is not what it should be.

    Example:
        with get_llmcache_callback(prices={"claude-haiku-4-5": (1.0, 5.0)}) as monitor:
            agent.invoke(question)
        print(monitor)
    """
    handler = LLMCacheCallbackHandler(prices=prices, cost_per_call=cost_per_call)
    hook = _free_hook()
    token = hook.set(handler)
    try:
        yield handler
    finally:
        with suppress(ValueError):  # left in another context (an async fixture, for one), which never saw the handler
            hook.reset(token)


def _free_hook() -> ContextVar[BaseCallbackHandler | None]:
    with _lock:
        for hook in _around:
            if hook.get() is None:
                return hook
        made: ContextVar[BaseCallbackHandler | None] = ContextVar(f"llmcache_callback_{len(_around)}", default=None)
        register_configure_hook(made, inheritable=True)
        _around.append(made)
        return made


def watch_llmcache(
    handler: LLMCacheCallbackHandler | None = None,
    *,
    prices: Mapping[str, Sequence[float]] | None = None,
    cost_per_call: float | None = None,
) -> LLMCacheCallbackHandler:
    """From now on, count all runs of the process, in every thread, until `unwatch_llmcache`.

    Args:
        handler: the one that counts; without it a new one.
        prices: of a new handler, as for `LLMCacheCallbackHandler`.
        cost_per_call: of a new handler, as for `LLMCacheCallbackHandler`.

    Returns:
        The handler that counts.

    Raises:
        ConfigError: a price is not what it should be.
    """
    watching = LLMCacheCallbackHandler(prices=prices, cost_per_call=cost_per_call) if handler is None else handler
    with _lock:
        if any(hook.handler is watching for hook in _everywhere):
            return watching
        for hook in _everywhere:
            if hook.handler is _deaf:
                hook.handler = watching
                return watching
        made = _Everywhere(watching)
        register_configure_hook(cast("ContextVar[Any]", made), inheritable=True)
        _everywhere.append(made)
    return watching


def unwatch_llmcache(handler: LLMCacheCallbackHandler) -> None:
    """End `watch_llmcache`; the handler keeps its sums."""
    with _lock:
        for hook in _everywhere:
            if hook.handler is handler:
                hook.handler = _deaf
