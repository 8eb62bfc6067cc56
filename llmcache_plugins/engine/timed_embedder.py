"""An embedder that may hang, given up in time: a service that says nothing must not hold up an application."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from llmcache_plugins.engine.daemons import Daemons, awaited, within
from llmcache_plugins.engine.forking import follow_forks
from llmcache_plugins.errors import EmbedderError
from llmcache_plugins.policies.asking_limits import Breaker
from llmcache_plugins.protocols import AsyncEmbedder, Embedder
from llmcache_plugins.types import FloatArray

__all__ = ["TimedEmbedder"]

_THREADS = 16  # as many calls may hang; the breaker lets a few an hour begin
_BY_TEXT = 1.0  # seconds more for each further text: a batch is asked for in the background


class TimedEmbedder:
    """Passes texts on to `embedder`, in a thread that nobody waits for longer than that. After three time-outs in a row
    it is left alone for half a minute, and longer each time.

    Args:
        embedder: one that asks a service, or that may never come back for another reason.
        seconds: the longest wait for one text.
        monotonic: the clock of the pauses.
    """

    def __init__(self, embedder: Embedder, seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._embedder = embedder
        self._seconds = seconds
        self._monotonic = monotonic
        self._daemons = Daemons(_THREADS)
        self._breaker = Breaker()
        self.after_fork()
        follow_forks(self)

    def __repr__(self) -> str:
        return f"TimedEmbedder({self._embedder!r}, {self._seconds!r})"

    def after_fork(self) -> None:
        """In a forked child the lock may be held by a thread that does not live there."""
        self._lock = threading.Lock()

    @property
    def embedder_id(self) -> str:
        return self._embedder.embedder_id

    def fits(self, text: str) -> bool:
        return self._embedder.fits(text)

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """What the embedder gives: float32, shape (len(texts), dim), rows of unit length.

        Raises:
            EmbedderError: it took too long, or is left alone because it did so before. Others are the embedder's own.
        """
        self._begin()
        call = partial(contextvars.copy_context().run, self._embedder.embed, texts)
        future = self._daemons.start(call)
        try:
            vectors = future.result(self._patience(texts))
        except TimeoutError:
            raise self._given_up() from None
        except BaseException:
            self._returned()
            raise
        finally:
            future.cancel()
        self._returned()
        return vectors

    async def aembed(self, texts: Sequence[str]) -> FloatArray:
        """`embed` for event loops: awaited where the embedder has a coroutine, else in a thread of its own."""
        self._begin()
        patience = self._patience(texts)
        try:
            if isinstance(self._embedder, AsyncEmbedder):
                vectors = await within(self._embedder.aembed(texts), patience)
            else:
                call = partial(contextvars.copy_context().run, self._embedder.embed, texts)
                future = self._daemons.start(call)
                try:
                    vectors = await awaited(future, patience)
                finally:
                    future.cancel()
        except TimeoutError:
            raise self._given_up() from None
        except Exception:
            self._returned()
            raise
        self._returned()
        return vectors

    def _patience(self, texts: Sequence[str]) -> float:
        return self._seconds + _BY_TEXT * max(0, len(texts) - 1)

    def _begin(self) -> None:
        with self._lock:
            is_allowed = self._breaker.allows(self._monotonic())
        if not is_allowed:
            raise EmbedderError("the embedder is left alone for a while: it took too long several times in a row")

    def _returned(self) -> None:
        with self._lock:
            self._breaker.returned()

    def _given_up(self) -> EmbedderError:
        with self._lock:
            self._breaker.timed_out(self._monotonic())
        return EmbedderError(f"the embedder took longer than embedder_timeout ({self._seconds:g} s)")
