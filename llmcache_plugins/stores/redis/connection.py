"""Carrying out what verbs ask for, by calls or by awaiting: one round trip a batch."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from threading import BoundedSemaphore, Lock
from typing import Any, TypeVar

from llmcache_plugins.errors import LLMCacheError, StoreError
from llmcache_plugins.stores.redis.commands import Batch, Call, Command, Flow, Reply, script_of
from llmcache_plugins.stores.redis.server import FAILURES, NoScriptError, ResponseError, Server, bare

__all__ = ["AsyncConnection", "Connection"]

T = TypeVar("T")
_CLOSING = (
    *FAILURES,
    RuntimeError,
)  # nobody is helped by an error of what goes anyway; a cluster's nodes may change just then
_TAKEN_APART = (TypeError, ValueError, LookupError, AttributeError)  # what a reply of another shape makes of a verb


class Connection:
    """Carries out verbs by calls; threads may share it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = Lock()
        self._made: Any = None
        self._places = None if server.places is None else BoundedSemaphore(server.places)

    @property
    def _client(self) -> Any:
        """Made at the first use: a server that is away then is no reason not to open a cache."""
        if self._made is None:
            made = self._server.client()  # that of a cluster asks it for its nodes
            with self._lock:
                if self._made is None:
                    self._made = made
        return self._made

    def run(self, flow: Flow[T]) -> T:
        """Carry a verb out.

        Raises:
            StoreError: the server does not answer, or refuses.
        """
        resume: Callable[[Any], Batch] = flow.send
        value: Any = None
        while True:
            try:
                batch = resume(value)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            except _TAKEN_APART as error:
                raise _nonsense(self._server, error) from None
            try:
                resume, value = flow.send, self._send(batch)
            except BaseException as error:  # noqa: BLE001  # the verb hears of whatever it is
                resume, value = flow.throw, error

    def _send(self, batch: Batch) -> list[Reply]:
        server = self._server
        part, tried, began = server.part_of(_base_of(batch)), 0, time.monotonic()
        breaker = server.allow(part)
        while True:
            try:
                replies = self._round_trip([_command(one) for one in batch])
                for place, reply in enumerate(replies):
                    call = batch[place]
                    if isinstance(reply, NoScriptError) and isinstance(call, Call):  # the server began anew
                        self._client.script_load(script_of(call.verb).source)
                        (replies[place],) = self._round_trip([_command(batch[place])])
                replies = _checked(batch, replies)
                server.answered(breaker, part, batch)
                return replies
            except FAILURES as error:
                pause = server.pause_before_retry(breaker, error, tried, time.monotonic() - began)
                if pause is None:
                    raise server.failed(breaker, error, part, batch) from bare(error)
                tried += 1
                time.sleep(pause)

    def _round_trip(self, commands: list[Command]) -> list[Reply]:
        if self._places is None:
            return self._ask(commands)
        if not self._places.acquire(timeout=self._server.timeout):
            raise TimeoutError("all connections are in use")
        try:
            return self._ask(commands)
        finally:
            self._places.release()

    def _ask(self, commands: list[Command]) -> list[Reply]:
        if len(commands) == 1:
            try:
                return [self._client.execute_command(*commands[0], **self._server.route(self._client, commands[0]))]
            except (NoScriptError, ResponseError) as error:
                return [error]
        pipeline: Any = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return list(pipeline.execute(raise_on_error=False))

    def close(self) -> None:
        if self._made is not None:
            with suppress(*_CLOSING):
                self._made.close()


class AsyncConnection:
    """Carries out verbs by awaiting. Each event loop has connections of its own."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = Lock()
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()

    async def run(self, flow: Flow[T]) -> T:
        """Carry a verb out.

        Raises:
            StoreError: the server does not answer, or refuses.
        """
        resume: Callable[[Any], Batch] = flow.send
        value: Any = None
        while True:
            try:
                batch = resume(value)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]
            except _TAKEN_APART as error:
                raise _nonsense(self._server, error) from None
            try:
                resume, value = flow.send, await self._send(batch)
            except BaseException as error:  # noqa: BLE001  # the verb hears of whatever it is
                resume, value = flow.throw, error

    async def _send(self, batch: Batch) -> list[Reply]:
        server = self._server
        part, tried, began = server.part_of(_base_of(batch)), 0, time.monotonic()
        breaker = server.allow(part)
        while True:
            try:
                client, places = await self._client()
                replies = await self._round_trip(client, places, [_command(one) for one in batch])
                for place, reply in enumerate(replies):
                    call = batch[place]
                    if isinstance(reply, NoScriptError) and isinstance(call, Call):
                        await client.script_load(script_of(call.verb).source)
                        (replies[place],) = await self._round_trip(client, places, [_command(batch[place])])
                replies = _checked(batch, replies)
                server.answered(breaker, part, batch)
                return replies
            except FAILURES as error:
                pause = server.pause_before_retry(breaker, error, tried, time.monotonic() - began)
                if pause is None:
                    raise server.failed(breaker, error, part, batch) from bare(error)
                tried += 1
                await asyncio.sleep(pause)

    async def _round_trip(self, client: Any, places: asyncio.Semaphore | None, commands: list[Command]) -> list[Reply]:
        if places is None:
            return await self._ask(client, commands)
        async with asyncio.timeout(self._server.timeout):
            await places.acquire()
        try:
            return await self._server.in_time(self._ask(client, commands))  # type: ignore[no-any-return]
        finally:
            places.release()

    async def _ask(self, client: Any, commands: list[Command]) -> list[Reply]:
        if len(commands) == 1:
            try:
                return [await client.execute_command(*commands[0], **self._server.route(client, commands[0]))]
            except (NoScriptError, ResponseError) as error:
                return [error]
        pipeline: Any = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return list(await pipeline.execute(raise_on_error=False))

    async def _client(self) -> tuple[Any, asyncio.Semaphore | None]:
        loop = asyncio.get_running_loop()
        with self._lock:
            made = self._clients.get(loop)
            if made is None:
                client = self._server.async_client()
                count = self._server.places
                places = None if count is None else asyncio.Semaphore(count)
                made = self._clients[loop] = (client, asyncio.Event(), asyncio.Lock(), places)
        client, is_ready, lock, places = made
        if not is_ready.is_set():
            # Many tasks may ask at once, and a cluster's client learns its nodes for the first of them.
            has_waited = lock.locked()
            async with lock:
                if not is_ready.is_set():
                    if has_waited:
                        self._server.check_nodes()
                    await self._server.prepare(client)
                    is_ready.set()
        return client, places

    async def close(self) -> None:
        """Close the connections of this event loop; those of others end with them."""
        with self._lock:
            made = self._clients.pop(asyncio.get_running_loop(), None)
        if made is not None:
            with suppress(*_CLOSING):
                await made[0].aclose()


def _command(one: Command | Call) -> Command:
    if isinstance(one, Call):
        return ("EVALSHA", script_of(one.verb).sha, 1, one.base, one.verb, *one.args)
    return one


def _nonsense(server: Server, error: Exception) -> Exception:
    """What is raised in place of this."""
    if isinstance(error, LLMCacheError):  # a ConfigError is a ValueError, too
        return error
    return StoreError(f"the server at {server.where} says what cannot be understood ({type(error).__name__})")


def _checked(batch: Batch, replies: list[Reply]) -> list[Reply]:
    for one, reply in zip(batch, replies, strict=True):
        if isinstance(reply, Exception) and not (isinstance(one, Call) and one.may_fail):
            raise reply
    return replies


def _base_of(batch: Batch) -> bytes:
    """The base of the bucket that the batch is about."""
    for one in batch:
        if isinstance(one, Call):
            return one.base
        for argument in one[1:2]:
            if isinstance(argument, bytes) and argument[:1] == b"{":
                return argument[: argument.index(b"}") + 1]
    return b""
