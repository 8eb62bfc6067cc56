"""Freeing the followers of a call that failed. LangChain never tells a cache so, but it tells its callbacks.

One handler, present in every run, hears `on_llm_error` in the context of the call. Besides, an async task that leads
and ends, in whatever way, has nothing to lead any more. The flight's deadline is only the net below both.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from contextvars import ContextVar
from inspect import CO_COROUTINE
from types import FrameType
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from llmcache_plugins.engine.cache import SemanticCache

__all__ = ["LeadReleaser", "release_with_task", "watch"]


class LeadReleaser(BaseCallbackHandler):
    """Releases what the failing call's thread or task leads, in every cache in use. Deaf to all but models.

    Two habits of LangChain are in the way, and both are met by looking at the caller's frame, for no handler is told
    more. Where that shows something else than expected, the flight's deadline frees the followers.

    - It stops at the first handler that raises (`raise_error=True`), and puts a run-wide handler behind the user's own:
      so at the start of a sync run this one takes the first place in the run's list.
    - In async runs it calls a sync handler in a thread for each event and token, or in place if the handler says
      `run_inline`; but with one such handler in the list it tells all others nothing of `on_llm_start`. So this one
      says no, and ignores every async event; being asked whether it ignores `on_llm_error` is what it needs to know.
    """

    run_inline = False
    # Plain attributes: the framework reads one for each event of each run in the process.
    ignore_agent = True
    ignore_chain = True
    ignore_custom_event = True
    ignore_retriever = True
    ignore_retry = True

    def __init__(self) -> None:
        self._caches: weakref.WeakSet[SemanticCache] = weakref.WeakSet()
        self._lock = threading.Lock()

    def add(self, cache: SemanticCache) -> None:
        with self._lock:
            self._caches.add(cache)

    @property
    def ignore_llm(self) -> bool:
        caller = sys._getframe(1)
        if not caller.f_code.co_flags & CO_COROUTINE:
            return False
        if caller.f_locals.get("event_name") == "on_llm_error":
            self._release()
        return True

    @property
    def ignore_chat_model(self) -> bool:
        return bool(sys._getframe(1).f_code.co_flags & CO_COROUTINE)

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        _go_first(self, sys._getframe(1))

    def on_llm_start(self, *args: Any, **kwargs: Any) -> None:
        _go_first(self, sys._getframe(1))

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self._release()

    def _release(self) -> None:
        with self._lock:
            caches = list(self._caches)
        for cache in caches:
            cache.release_leads()


def _go_first(handler: BaseCallbackHandler, caller: FrameType) -> None:
    """Move `handler` to the front of the list that LangChain is calling through, which is the run's own copy."""
    handlers = caller.f_locals.get("handlers")
    if not isinstance(handlers, list):
        return
    place = next((n for n, other in enumerate(handlers) if other is handler), 0)
    if place:
        # Whoever iterates over the list stands at `place`, and finds the same handler behind it as before.
        handlers.insert(0, handlers.pop(place))


_releaser = LeadReleaser()
# The default value is what makes it run-wide: every context of every thread sees it.
_hook: ContextVar[LeadReleaser | None] = ContextVar("llmcache_lead_releaser", default=_releaser)
_lock = threading.Lock()
_registered = False


def watch(cache: SemanticCache) -> None:
    """From now on, release the leads of this cache when a model call fails."""
    global _registered
    with _lock:
        if not _registered:
            register_configure_hook(_hook, inheritable=False)
            _registered = True
    _releaser.add(cache)


def release_with_task(cache: SemanticCache) -> None:
    """Release what the running task leads when it ends: after a failure or a cancellation nobody else would."""
    lead = cache.current_lead()
    task = asyncio.current_task()
    if task is not None and lead.flights and id(cache) not in lead.watchers:
        lead.watchers.add(id(cache))  # once: a task that lives as long as its program may lead any number of calls
        task.add_done_callback(lambda _: cache.release_lead(lead))
