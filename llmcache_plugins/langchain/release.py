"""Freeing the followers of a call that failed. LangChain never tells a cache so, but it tells its callbacks.

One handler, in every sync run and in the async ones of completion models, hears `on_llm_error` in the context of the
call. An async chat model makes a task for each prompt: when that ends, in whatever way, it has nothing to lead any
more. The flight's deadline is only the net below both.

LangChain's callbacks have habits that cost a user something, and a handler is told nothing with which to avoid them:

- The first handler that raises (`raise_error=True`) silences those behind it, and a run-wide handler stands behind the
  user's own. So after a miss ours takes the first place in the run's list.
- In async runs a sync handler costs a task and a thread for every event and token; and one that wants to be run in
  place (`run_inline`) keeps `on_llm_start` from all that do not. So ours stays out of them where it can, and ignores
  all events where it cannot: being asked whether it ignores `on_llm_error` is all it needs.

To do so it reads the frames of its callers. Where they look different from what is expected here (tests compare), the
handler is at worst heard later, or not at all; then the deadline counts.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import weakref
from collections.abc import Iterator
from contextvars import ContextVar
from inspect import CO_COROUTINE
from types import FrameType
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from llmcache_plugins.engine.cache import SemanticCache

__all__ = ["LeadReleaser", "listen_first", "release_with_task", "watch"]

_FRAMES = 6  # how far out a look-up's model is searched for: a user may have put a cache of his own round ours


class LeadReleaser(BaseCallbackHandler):
    """Releases what the failing call's thread or task leads, in every cache in use. Deaf to all but models."""

    # Plain attributes: the framework reads one for each event of each run in the process.
    ignore_agent = True
    ignore_chain = True
    ignore_chat_model = True
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

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self._release()

    def _release(self) -> None:
        with self._lock:
            caches = list(self._caches)
        for cache in caches:
            cache.release_leads()


class _SyncRuns:
    """Stands where LangChain expects a `ContextVar`, and gives the handler to all runs but async ones."""

    def get(self) -> LeadReleaser | None:
        # Called by `_configure`, which is called by the manager's `configure`.
        return None if sys._getframe(2).f_code is _CONFIGURE_ASYNC else _releaser


_CONFIGURE_ASYNC = AsyncCallbackManager.configure.__func__.__code__  # type: ignore[attr-defined]  # a bound method
_releaser = LeadReleaser()
_lock = threading.Lock()
_registered = False


def watch(cache: SemanticCache) -> None:
    """From now on, release the leads of this cache when a model call fails."""
    global _registered
    with _lock:
        if not _registered:
            register_configure_hook(cast("ContextVar[Any]", _SyncRuns()), inheritable=False)
            _registered = True
    _releaser.add(cache)


def listen_first() -> None:
    """Called by a look-up that missed: hear first when the model call behind it fails."""
    for handlers in _handlers_of_the_model(sys._getframe(2)):
        # By identity: a user's handler may compare as it likes.
        handlers[:] = [_releaser, *(handler for handler in handlers if handler is not _releaser)]


def _handlers_of_the_model(frame: FrameType | None) -> Iterator[list[BaseCallbackHandler]]:
    """The handlers of the runs that the look-up's caller has begun (chat models) or is about to (completion models);
    the lists are these runs' own. None of an async chat model, which `release_with_task` takes care of."""
    for _ in range(_FRAMES):
        if frame is None:
            return
        run_manager, managers = frame.f_locals.get("run_manager"), frame.f_locals.get("callback_managers")
        if run_manager is not None or managers is not None:
            for manager in managers or () if run_manager is None else (run_manager,):
                handlers = getattr(manager, "handlers", None)
                is_task = run_manager is not None and frame.f_code.co_flags & CO_COROUTINE
                if isinstance(handlers, list) and not is_task:
                    yield handlers
            return
        frame = frame.f_back


def release_with_task(cache: SemanticCache) -> None:
    """Release what the running task leads when it ends: after a failure or a cancellation nobody else would."""
    lead = cache.current_lead()
    task = asyncio.current_task()
    if task is not None and lead.flights and id(cache) not in lead.watchers:
        lead.watchers.add(id(cache))  # once: a task that lives as long as its program may lead any number of calls
        task.add_done_callback(lambda _: cache.release_lead(lead))
