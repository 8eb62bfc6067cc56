"""Who performs the steps of a flow: calls for sync code, awaits for async code. All else is the flow's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from llmcache_plugins.engine.asking import Advisers
from llmcache_plugins.engine.flight_steps import FlightStep, Pause, Wait
from llmcache_plugins.engine.leads import is_on_loop
from llmcache_plugins.engine.rules import Flow
from llmcache_plugins.engine.shadowing import Fate, Shadowing
from llmcache_plugins.engine.singleflight import FlightTable
from llmcache_plugins.engine.steps import (
    Announce,
    AskJudge,
    Embed,
    Fits,
    Generate,
    Step,
    StoreStep,
    Validate,
    Verify,
    Watch,
    Weigh,
)
from llmcache_plugins.engine.workers import in_worker
from llmcache_plugins.errors import EmbedderError, StoreError
from llmcache_plugins.protocols import AsyncEmbedder, AsyncStore, Clock, Embedder, Store
from llmcache_plugins.recorded import Event
from llmcache_plugins.types import FloatArray

__all__ = ["AsyncPerformer", "Health", "Parts", "Performer", "Tier", "arun", "run"]

T = TypeVar("T")
_log = logging.getLogger(__name__)
_UNIT_TOLERANCE = 1e-3  # float16 models are off by as much


@dataclass(frozen=True, slots=True)
class Tier:
    """One store of the stack under a name; `async_store` sees the same entries."""

    name: str
    store: Store
    async_store: AsyncStore


class Health:
    """Says once when a part fails at something and once when it is well again; every failure goes to `on_error`.

    What a part fails at is told apart: a full disk is no less full because reads go on working. What a store tells by
    itself is only counted: an outage of its server, for one, is one line and not one for each kind of work.
    """

    def __init__(self, on_error: Callable[[str, BaseException], None]) -> None:
        self._on_error = on_error
        self._degraded: set[tuple[str, str]] = set()

    @property
    def is_well(self) -> bool:
        """Does no part fail at anything, as far as is known?"""
        return not self._degraded

    def failed(self, component: str, error: BaseException, work: str = "work") -> None:
        self._on_error(component, error)
        if isinstance(error, StoreError) and error.is_told:
            return
        if (component, work) not in self._degraded:
            self._degraded.add((component, work))
            # The error's text may quote a prompt or a URL: only its class is logged.
            _log.warning("%s fails to %s (%s); the cache goes on without it", component, work, _class_of(error))

    def succeeded(self, component: str, work: str = "work") -> None:
        if self._degraded and (component, work) in self._degraded:
            self._degraded.discard((component, work))
            _log.warning("%s manages to %s again", component, work)


def _class_of(error: BaseException) -> str:
    cause = error.__cause__
    return type(error).__name__ + (f" from {type(cause).__name__}" if cause is not None else "")


def _tell_nobody(event: Event) -> None:
    """Where nobody listens."""


@dataclass(slots=True)
class Parts:
    """What both performers act on."""

    tiers: Sequence[Tier]
    embedder: Embedder | None
    flights: FlightTable
    health: Health
    clock: Clock
    advisers: Advisers
    announce: Callable[[Event], None] = _tell_nobody
    shadowing: Shadowing | None = None

    def weighed(self, step: Weigh | Watch) -> Fate | None:
        shadowing = self.shadowing
        assert shadowing is not None  # flows ask only where something is learnt
        if isinstance(step, Watch):
            shadowing.watch(step.request, step.key, step.candidate)
            return None
        return shadowing.weigh(step.request, step.key, step.match, is_counted=step.is_counted)

    def store_error(self, tier: Tier, step: StoreStep, error: Exception) -> StoreError:
        known = error if isinstance(error, StoreError) else StoreError(f"the {tier.name} store failed unexpectedly")
        if known is not error:
            known.__cause__ = error
        self.health.failed(tier.name, known, step.work)
        return known

    def embedder_error(self, error: Exception) -> EmbedderError:
        known = error if isinstance(error, EmbedderError) else EmbedderError("the embedder failed unexpectedly")
        if known is not error:
            known.__cause__ = error
        self.health.failed("embedder", known, "embed")
        return known

    def fits(self, text: str) -> bool:
        assert self.embedder is not None  # flows ask only when there is one
        try:
            return self.embedder.fits(text)
        except Exception as error:
            self.embedder_error(error)
            return False  # matched exactly only, which is always safe

    def checked(self, vectors: Any, texts: Sequence[str]) -> FloatArray:
        """What an embedder gave, as float32 of shape (len(texts), dim) and rows of unit length, or an EmbedderError."""
        array = np.asarray(vectors, dtype=np.float32)
        if array.ndim != 2 or len(array) != len(texts) or not array.shape[1]:
            raise EmbedderError(f"the embedder gave shape {array.shape} for {len(texts)} texts")
        lengths = np.sqrt(np.einsum("ij,ij->i", array, array))
        if not (np.isfinite(lengths).all() and lengths.min() > 0.0):
            raise EmbedderError("the embedder gave a vector of length zero, or numbers that are not finite")
        if np.abs(lengths - 1.0).max() > _UNIT_TOLERANCE:
            # Not normalised, whatever its documentation says: a product above 1 would pass any threshold.
            array = array / lengths[:, None].astype(np.float32)
        self.health.succeeded("embedder", "embed")
        return array


class Performer:
    """Performs steps by plain calls."""

    def __init__(self, parts: Parts, generate: Callable[[], Any] | None = None) -> None:
        self._parts = parts
        self._generate = generate

    def __call__(self, step: Step) -> Any:
        parts = self._parts
        if isinstance(step, StoreStep):
            tier = parts.tiers[step.tier]
            try:
                value = step.call(tier.store)
            except Exception as error:
                known = parts.store_error(tier, step, error)
                raise known from known.__cause__
            parts.health.succeeded(tier.name, step.work)
            return value
        if isinstance(step, Fits):
            return parts.fits(step.text)
        if isinstance(step, Embed):
            assert parts.embedder is not None
            try:
                return parts.checked(parts.embedder.embed(step.texts), step.texts)
            except Exception as error:
                failure = parts.embedder_error(error)
                raise failure from failure.__cause__
        if isinstance(step, Verify | AskJudge | Validate):
            return parts.advisers.ask(step)
        if isinstance(step, FlightStep):
            # On the thread of a running loop the leader may be a task of that very loop: waiting would stop both.
            return step.call(parts.flights, may_wait=not is_on_loop())
        if isinstance(step, Wait):
            return step.flight.wait(step.flight.deadline - parts.clock.monotonic())
        if isinstance(step, Pause):
            if is_on_loop() or not parts.flights.may_poll(step.flight):
                return False
            time.sleep(step.seconds)
            return True
        if isinstance(step, Weigh | Watch):
            return parts.weighed(step)
        if isinstance(step, Announce):
            return parts.announce(step.event)
        assert isinstance(step, Generate)
        assert self._generate is not None
        return self._generate()


class AsyncPerformer:
    """Performs steps by awaiting: embedders without a coroutine of their own run in `executor`."""

    def __init__(
        self, parts: Parts, executor: Callable[[], Executor], generate: Callable[[], Awaitable[Any]] | None = None
    ) -> None:
        self._parts = parts
        self._executor = executor
        self._generate = generate

    async def __call__(self, step: Step) -> Any:
        parts = self._parts
        if isinstance(step, StoreStep):
            tier = parts.tiers[step.tier]
            try:
                value = await step.call(tier.async_store)
            except Exception as error:
                known = parts.store_error(tier, step, error)
                raise known from known.__cause__
            parts.health.succeeded(tier.name, step.work)
            return value
        if isinstance(step, Fits):  # tokenises, and may wait for a model that is embedding
            return await in_worker(self._executor(), partial(parts.fits, step.text))
        if isinstance(step, Embed):
            try:
                return parts.checked(await self._embed(step.texts), step.texts)
            except Exception as error:
                failure = parts.embedder_error(error)
                raise failure from failure.__cause__
        if isinstance(step, Verify | AskJudge | Validate):
            return await parts.advisers.aask(step)
        if isinstance(step, FlightStep):
            return step.call(parts.flights, may_wait=True)
        if isinstance(step, Wait):
            return await step.flight.await_landing(step.flight.deadline - parts.clock.monotonic())
        if isinstance(step, Pause):
            if not parts.flights.may_poll(step.flight):
                return False
            await asyncio.sleep(step.seconds)
            return True
        if isinstance(step, Weigh | Watch):
            return parts.weighed(step)
        if isinstance(step, Announce):
            return parts.announce(step.event)
        assert isinstance(step, Generate)
        assert self._generate is not None
        return await self._generate()

    async def _embed(self, texts: Sequence[str]) -> FloatArray:
        embedder = self._parts.embedder
        assert embedder is not None
        if isinstance(embedder, AsyncEmbedder):
            return await embedder.aembed(texts)
        return await in_worker(self._executor(), partial(embedder.embed, texts))


def run(flow: Flow[T], perform: Callable[[Step], Any]) -> T:
    """Drive a flow to its end by calls. What a step raises is thrown into the flow, which may spare it."""
    resume: Callable[[Any], Step] = flow.send
    value: Any = None
    while True:
        try:
            step = resume(value)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        try:
            resume, value = flow.send, perform(step)
        except BaseException as error:
            resume, value = flow.throw, error


async def arun(flow: Flow[T], perform: Callable[[Step], Awaitable[Any]]) -> T:
    """Drive a flow to its end by awaits; cancellation is thrown into the flow too."""
    resume: Callable[[Any], Step] = flow.send
    value: Any = None
    while True:
        try:
            step = resume(value)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        try:
            resume, value = flow.send, await perform(step)
        except BaseException as error:
            resume, value = flow.throw, error
