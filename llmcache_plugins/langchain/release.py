"""Freeing the followers of a call that failed. LangChain never tells a cache so, but it tells its callbacks.

Sync: one handler, present in every run, hears `on_llm_error` on the thread of the call. Async: a task that leads and
ends, in whatever way, has nothing to lead any more. The flight's deadline is only the net below both.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from contextvars import ContextVar
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from llmcache_plugins.engine.cache import SemanticCache

__all__ = ["LeadReleaser", "release_with_task", "watch"]


class LeadReleaser(BaseCallbackHandler):
    """Releases what the failing call's thread or task leads, in every cache in use. Deaf to all but model errors."""

    run_inline = True  # in the caller's own context: another thread would find no leads there

    def __init__(self) -> None:
        self._caches: weakref.WeakSet[SemanticCache] = weakref.WeakSet()
        self._lock = threading.Lock()

    def add(self, cache: SemanticCache) -> None:
        with self._lock:
            self._caches.add(cache)

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        with self._lock:
            caches = list(self._caches)
        for cache in caches:
            cache.release_leads()

    @property
    def ignore_chat_model(self) -> bool:
        return True

    @property
    def ignore_chain(self) -> bool:
        return True

    @property
    def ignore_agent(self) -> bool:
        return True

    @property
    def ignore_retriever(self) -> bool:
        return True

    @property
    def ignore_retry(self) -> bool:
        return True

    @property
    def ignore_custom_event(self) -> bool:
        return True


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
