"""Freeing the followers of a call that failed. LangChain never tells a cache so, but it tells its callbacks.

A handler, present in every run, hears `on_llm_error` in the context of the call. On an event loop, moreover, a task
that leads and ends, in whatever way, has nothing to lead any more. The flight's deadline is the net below both; it is
what counts when a user's handler with `raise_error=True` raises before ours is reached.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from contextvars import ContextVar
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.engine.layers import leave

__all__ = ["LAYER", "AsyncLeadReleaser", "LeadReleaser", "release_with_task", "watch"]

LAYER = "llmcache_plugins.langchain.LLMCache"  # the owner of its marks, see `engine.layers`


class _Deaf:
    """Ignores all but model errors. Plain attributes: the framework reads one for each event of each run."""

    ignore_agent = True
    ignore_chain = True
    ignore_chat_model = True
    ignore_custom_event = True
    ignore_retriever = True
    ignore_retry = True


class LeadReleaser(_Deaf, BaseCallbackHandler):
    """Releases what the failing call's thread leads, in every cache in use."""

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        _release()


class AsyncLeadReleaser(_Deaf, AsyncCallbackHandler):
    """The same on an event loop, for runs that one task begins.

    All its methods are coroutines: a sync handler would cost a thread for every event, and one that asks to be run in
    place (`run_inline`) makes LangChain keep `on_llm_start` from all handlers that do not
    (`AsyncCallbackManager.on_llm_start`, 1.7 and 1.8). A sync run on the loop would start a loop of its own for them,
    so there it ignores everything: sync events come in the task itself, async ones in tasks made for them.
    """

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = weakref.ref(task)

    @property
    def ignore_llm(self) -> bool:
        return _current_task() is self._task()

    async def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        _release()


class _Releaser:
    """Stands where LangChain expects a `ContextVar`, and gives each run the handler that fits."""

    def __init__(self) -> None:
        self._on_threads = LeadReleaser()
        self._by_task: weakref.WeakKeyDictionary[asyncio.Task[Any], AsyncLeadReleaser] = weakref.WeakKeyDictionary()

    def get(self) -> BaseCallbackHandler:
        task = _current_task()
        if task is None:
            return self._on_threads
        handler = self._by_task.get(task)
        if handler is None:
            handler = self._by_task[task] = AsyncLeadReleaser(task)
        return handler


_caches: weakref.WeakSet[SemanticCache] = weakref.WeakSet()
_lock = threading.Lock()
_registered = False


def _release() -> None:
    with _lock:
        caches = list(_caches)
    for cache in caches:
        cache.release_leads()
    leave(LAYER)


def watch(cache: SemanticCache) -> None:
    """From now on, release the leads of this cache when a model call fails."""
    global _registered
    with _lock:
        if not _registered:
            register_configure_hook(cast("ContextVar[Any]", _Releaser()), inheritable=False)
            _registered = True
        _caches.add(cache)


def release_with_task(cache: SemanticCache) -> None:
    """Release what the running task leads when it ends: after a failure or a cancellation nobody else would. Does
    nothing on a plain thread."""
    task = _current_task()
    if task is None:
        return
    lead = cache.current_lead()
    if lead.flights and id(cache) not in lead.watchers:
        lead.watchers.add(id(cache))  # once: a task that lives as long as its program may lead any number of calls
        task.add_done_callback(lambda _: cache.release_lead(lead))


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
