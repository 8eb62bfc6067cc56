"""Follow-ups as questions by themselves: a resolver is told the dialogue, and says what its last turn asks.

Only matching uses that question; the model is asked what the caller sent. Whatever goes wrong, the turn is matched as
without a resolver, over its own history.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeAlias

from llmcache_plugins.engine.daemons import Daemons, awaited
from llmcache_plugins.engine.dialogue import turns_to_resolve
from llmcache_plugins.engine.layers import inside
from llmcache_plugins.engine.leads import is_on_loop
from llmcache_plugins.engine.listening import Listener
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.fingerprint import normalise_text
from llmcache_plugins.policies import payload_of
from llmcache_plugins.policies.asking_limits import Breaker
from llmcache_plugins.policies.standing_alone import leaning_of, says_what_it_means, stands_alone
from llmcache_plugins.recorded import ResolutionEvent, ResolutionOutcome
from llmcache_plugins.types import Namespace, Request

__all__ = ["COMPONENT", "FollowUps", "ResolveTurns", "resolver_id_of"]

ResolveTurns: TypeAlias = Callable[[Sequence[dict[str, str]]], str | Awaitable[str | None] | None]
"""Given the dialogue, oldest first and the follow-up last, as `{"role": "user" | "assistant", "content": text}`, says
what the follow-up asks as a question by itself; None where it cannot tell. A function, called in a thread of its own,
or a coroutine function, which asynchronous lookups alone can ask. It may have a `resolver_id` (else its qualified name
counts), an `aresolve`, a coroutine function that asynchronous lookups await in its place, and `runs_apart`: True when
nothing of the caller's context (its callbacks, its traces) is meant to hear of its calls."""

COMPONENT = "resolver"
_THREADS = 16  # as many calls may hang
_MOST_KNOWN = 4096
_LONGEST = 500  # characters of a question
# A resolver is often a model behind this very cache: its own prompts are no follow-ups.
_is_resolving: ContextVar[bool] = ContextVar("llmcache_is_resolving", default=False)


class FollowUps:
    """Asks one resolver, and remembers what it said by the key of the request.

    Args:
        resolver: see `ResolveTurns`.
        timeout: seconds after which it has said nothing.
    """

    def __init__(self, resolver: ResolveTurns, *, timeout: float, heard: Listener) -> None:
        self._resolver = resolver
        self._aresolver = _coroutine_function(resolver)
        self.resolver_id = resolver_id_of(resolver)
        self._runs_apart = getattr(resolver, "runs_apart", False) is True
        self._timeout = timeout
        self._heard = heard
        self._daemons = Daemons(_THREADS)
        self._breaker = Breaker()
        self.after_fork()

    def after_fork(self) -> None:
        """In a forked child the lock may be held, and no call is on its way."""
        self._lock = threading.Lock()
        self._known: OrderedDict[str, str | None] = OrderedDict()
        self._calls: dict[str, Future[str | None]] = {}

    @property
    def is_asking(self) -> bool:
        """Does the running code belong to a resolver?"""
        return _is_resolving.get()

    def known(self, key: str) -> tuple[bool, str | None]:
        """Whether this request was resolved before, and to what; None for "stays as it is"."""
        with self._lock:
            if key not in self._known:
                return False, None
            self._known.move_to_end(key)
            return True, self._known[key]

    def remember(self, key: str, question: str | None) -> None:
        with self._lock:
            self._known[key] = question
            self._known.move_to_end(key)
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)

    # ---------------------------------------------------------------- asking
    def ask(self, request: Request, key: str) -> str | None:
        """The question that the request's last turn means, or None. Never raises."""
        turns = turns_to_resolve(request)
        if turns is None:
            self.remember(key, None)
            return None
        began = self._now()
        call, is_new = self._call(key, request.namespace)
        if call is None or (not is_new and is_on_loop() and self._aresolver is not None):
            return None  # it may need this very loop to go on
        try:
            if is_new:
                self._start(call, turns, None)
            outcome, said = self._heard_back(call.result(self._timeout), request, key)
        except Exception as error:
            outcome, said = self._failed(error)
        self._finish(key, call)
        self._heard.emit(ResolutionEvent(outcome, request.namespace, max(0.0, self._now() - began)))
        return said

    async def aask(self, request: Request, key: str) -> str | None:
        """`ask` for event loops: nothing in it blocks, what is no coroutine runs in a thread."""
        turns = turns_to_resolve(request)
        if turns is None:
            self.remember(key, None)
            return None
        began = self._now()
        call, is_new = self._call(key, request.namespace)
        if call is None:
            return None
        task: asyncio.Task[Any] | None = None
        try:
            loop = asyncio.get_running_loop()
            if is_new and self._aresolver is not None:
                task = loop.create_task(self._aresolved(turns), context=self._context())
                task.add_done_callback(partial(_hand_over, call))
            elif is_new:
                self._start(call, turns, loop)
            outcome, said = self._heard_back(await awaited(call, self._timeout), request, key)
        except asyncio.CancelledError:
            self._finish(key, call)
            raise
        except Exception as error:
            outcome, said = self._failed(error)
        finally:
            if task is not None:
                task.cancel()
        self._finish(key, call)
        self._heard.emit(ResolutionEvent(outcome, request.namespace, max(0.0, self._now() - began)))
        return said

    def _call(self, key: str, namespace: Namespace) -> tuple[Future[str | None] | None, bool]:
        """The call for this request, and whether it is still to be made; None where nobody is asked."""
        with self._lock:
            running = self._calls.get(key)
            if running is not None:
                return running, False
            if self._breaker.allows(self._now()):
                call: Future[str | None] = Future()
                self._calls[key] = call
                return call, True
        self._heard.emit(ResolutionEvent("paused", namespace, 0.0))
        return None, False

    def _start(
        self, call: Future[str | None], turns: list[dict[str, str]], loop: asyncio.AbstractEventLoop | None
    ) -> None:
        work = self._daemons.start(partial(self._context().run, self._resolved, turns, loop))
        work.add_done_callback(partial(_hand_over, call))

    def _context(self) -> contextvars.Context:
        """A thread does not have its caller's context by itself."""
        return contextvars.Context() if self._runs_apart else contextvars.copy_context()

    @contextmanager
    def _marked(self) -> Iterator[None]:
        """What the resolver asks in here goes past every cache."""
        token = _is_resolving.set(True)
        try:
            with inside(), self._heard.bypassed():
                yield
        finally:
            _is_resolving.reset(token)

    def _resolved(self, turns: list[dict[str, str]], loop: asyncio.AbstractEventLoop | None) -> Any:
        """In a thread. A function that gives an awaitable has it awaited on the loop that asks."""
        with self._marked():
            if loop is None and inspect.iscoroutinefunction(self._resolver):
                raise ConfigError("a coroutine function is asked by the asynchronous lookups only")
            value: Any = self._resolver(turns)
            if not inspect.isawaitable(value):
                return value
            if loop is None:
                if inspect.iscoroutine(value):
                    value.close()
                raise ConfigError("a coroutine function is asked by the asynchronous lookups only")
            waiting = asyncio.run_coroutine_threadsafe(_await(value), loop)
            try:
                return waiting.result(self._timeout)
            finally:
                waiting.cancel()

    async def _aresolved(self, turns: list[dict[str, str]]) -> Any:
        assert self._aresolver is not None
        with self._marked():
            return await self._aresolver(turns)

    # ---------------------------------------------------------------- what was said
    def _heard_back(self, said: Any, request: Request, key: str) -> tuple[ResolutionOutcome, str | None]:
        with self._lock:
            self._breaker.returned()
        if said is not None and not isinstance(said, str):
            return self._failed(TypeError(f"a resolver gives a str or None, not {type(said).__name__}"))
        self._heard.succeeded(COMPONENT)
        question = _usable(said, request.text)
        self.remember(key, question)
        return ("unresolved" if question is None else "resolved"), question

    def _failed(self, error: BaseException) -> tuple[ResolutionOutcome, None]:
        with self._lock:
            if isinstance(error, TimeoutError):
                self._breaker.timed_out(self._now())
            else:
                self._breaker.returned()
        self._heard.failed(COMPONENT, error)
        return "failed", None

    def _finish(self, key: str, call: Future[str | None]) -> None:
        with self._lock:
            if self._calls.get(key) is call:
                del self._calls[key]

    def _now(self) -> float:
        return self._heard.clock.monotonic()


def _usable(said: str | None, turn: str) -> str | None:
    """The question, where it is one that can be asked without the history."""
    question = "" if said is None else " ".join(said.split())
    if not question or len(question) > _LONGEST or payload_of(question):
        return None
    if normalise_text(question) == normalise_text(turn):  # then it must be a question by itself already
        is_named = leaning_of(turn) in ("pronoun", "demonstrative") and says_what_it_means(turn)
        return question if stands_alone(turn) or is_named else None
    is_fragment = question.isascii() and len(question.split()) < 3
    return question if says_what_it_means(question) and not is_fragment else None


def _hand_over(call: Future[str | None], work: Future[Any] | asyncio.Task[Any]) -> None:
    if call.done():
        return
    if work.cancelled():
        call.set_exception(InterruptedError("the caller that asked was cancelled"))
    elif (error := work.exception()) is not None:
        call.set_exception(error)
    else:
        call.set_result(work.result())


def resolver_id_of(resolver: ResolveTurns) -> str:
    """What tells this resolver from others.

    Raises:
        ConfigError: it has a `resolver_id` that is no str.
    """
    given = getattr(resolver, "resolver_id", None)
    if given is not None:
        if not isinstance(given, str):
            raise ConfigError(f"resolver_id must be a str, not {type(given).__name__}")
        return given
    function: Any = resolver
    while isinstance(function, partial):
        function = function.func
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _coroutine_function(resolver: ResolveTurns) -> Callable[..., Any] | None:
    given = getattr(resolver, "aresolve", None)
    if given is not None:
        return given  # type: ignore[no-any-return]
    call = getattr(resolver, "__call__", None)  # noqa: B004  # of an object whose class makes coroutines
    return resolver if inspect.iscoroutinefunction(resolver) or inspect.iscoroutinefunction(call) else None


async def _await(value: Any) -> Any:
    return await value
