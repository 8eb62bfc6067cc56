"""What one call asks of the server: round trips, commands, bytes; and what an entry takes there."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from time import perf_counter
from typing import Any
from unittest.mock import patch

import redis
from redis.connection import AbstractConnection

from benchmarks.redis.caches import BUILDS, LLM, Caches
from benchmarks.redis.cases import (
    LANGCHAIN_EXACT_UPDATE,
    LANGCHAIN_UPDATE,
    OWN_UPDATE,
    PEERS,
    UPDATE,
    Asked,
    Texts,
    looked_up,
)
from benchmarks.redis.dataset import question

__all__ = ["Counted", "Held", "counted", "fill"]

_TIMES = 20
_SAMPLED = 50
_READS = 24  # of an entry, until it is hot
_THINGS = ("glacier", "comet", "violin", "tulip", "falcon", "quartz", "lantern", "saddle", "orchid", "canyon", "magnet")


@dataclass(frozen=True, slots=True)
class Counted:
    """Means over some calls, one after the other, from one thread.

    Args:
        round_trips: how often the calling thread sent something and waited.
        names: the commands it sent, those of a pipeline one by one.
        in_scripts: commands that scripts ran on the server.
        sent: bytes, by the calling thread.
        received: bytes that the server sent to whomever.
    """

    name: str
    round_trips: float
    names: dict[str, float]
    in_scripts: float
    sent: float
    received: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes by entry on the server: all together, the key that holds the entry, and the search index by its own word.

    `rate` is how many entries a second one client stored, vectors given.
    """

    name: str
    entries: int
    all_bytes: float
    key_bytes: float
    index_bytes: float | None
    rate: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def fill(caches: Caches, name: str, heard: Callable[[int], None]) -> Held:
    """Store the entries of one of `BUILDS`, and see what that took."""
    client, before, start = caches.client, _used(caches.client), perf_counter()
    for done in caches.fill(name):
        if done % 100 == 0:
            heard(done)
    rate = caches.size / (perf_counter() - start)
    taken = _used(client) - before
    keys = [key for key, _ in zip(client.scan_iter(caches.documents(name), count=1000), range(_SAMPLED), strict=False)]
    each = sum(int(client.memory_usage(key, samples=0) or 0) for key in keys) / max(1, len(keys))
    index = None if name == BUILDS[-1] else _index_bytes(client, caches.index(name)) / caches.size
    return Held(name, caches.size, taken / caches.size, each, index, rate)


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])


def _index_bytes(client: redis.Redis, name: str) -> float:
    facts = client.ft(name).info()
    return float(facts["total_index_memory_sz_mb"]) * 1024 * 1024


def counted(caches: Caches, texts: Texts) -> list[Counted]:
    """Every operation, ours and the others'."""
    popular: list[Asked] = [(number, question(number)) for number in range(_TIMES)]
    for _, text in popular:
        for _ in range(_READS):
            caches.near.lookup(text)
    unknown = _unknown()
    near, ours = caches.near, caches.ours

    def same(asked: Sequence[Asked]) -> Callable[[int], Sequence[Asked]]:
        return lambda count: asked

    calls: list[tuple[str, Callable[[Asked], object], Callable[[int], Sequence[Asked]]]] = [
        ("exact hit, copy in the process", lambda one: near.lookup(one[1]), same(popular)),
        ("exact hit, no copy", lambda one: ours.lookup(one[1]), same(popular)),
        ("semantic hit", lambda one: ours.lookup(one[1]), texts.reworded),
        ("the same wording again", lambda one: ours.lookup(one[1]), texts.again),
        ("miss", lambda one: ours.lookup(one[1]), lambda count: [(0, next(unknown)) for _ in range(count)]),
        ("update after its lookup", lambda one: caches.update("llmcache")(*one), looked_up(caches, texts)),
        ("update", lambda one: caches.update("llmcache")(*one), partial(texts.new, OWN_UPDATE)),
        ("langchain-redis RedisCache.lookup", lambda one: caches.langchain_exact.lookup(one[1], LLM), same(popular)),
        (
            "langchain-redis RedisCache.update",
            lambda one: caches.update("langchain-redis exact")(*one),
            partial(texts.new, LANGCHAIN_EXACT_UPDATE),
        ),
        ("redisvl SemanticCache.check", lambda one: caches.redisvl.check(one[1]), texts.again),
        ("redisvl store", lambda one: caches.update("redisvl")(*one), partial(texts.new, PEERS[UPDATE])),
        ("langchain-redis RedisSemanticCache.lookup", lambda one: caches.langchain.lookup(one[1], LLM), texts.again),
        (
            "langchain-redis RedisSemanticCache.update",
            lambda one: caches.update("langchain-redis semantic")(*one),
            partial(texts.new, LANGCHAIN_UPDATE),
        ),
    ]
    return [_counted(caches, *one) for one in calls]


def _unknown() -> Iterator[str]:
    """Questions about nothing that is stored."""
    for thing in _THINGS:
        for other in _THINGS:
            yield f"Which {thing} sang under the {other} last night?"


def _counted(
    caches: Caches, name: str, call: Callable[[Asked], object], inputs: Callable[[int], Sequence[Asked]]
) -> Counted:
    client = caches.client
    call(inputs(1)[0])
    given = inputs(_TIMES)
    with _wire() as wire:
        before = _output(client)
        wire.clear()
        for one in given:
            call(one)
        spent = wire.copy()
        received = _output(client) - before
    received -= _idle(client)
    with _monitored(client) as in_scripts:
        for one in inputs(_TIMES):
            call(one)
    names = {key[1:]: number / _TIMES for key, number in sorted(spent.items()) if key[0] == ":"}
    return Counted(
        name, spent["trips"] / _TIMES, names, in_scripts[0] / _TIMES, spent["sent"] / _TIMES, received / _TIMES
    )


def _output(client: redis.Redis) -> int:
    return int(client.info("stats")["total_net_output_bytes"])


def _idle(client: redis.Redis) -> int:
    """What asking for `_output` takes."""
    return -_output(client) + _output(client)


@contextmanager
def _wire() -> Iterator[Counter[str]]:
    """What this thread sends, however the client came to it."""
    seen: Counter[str] = Counter()
    me = threading.get_ident()
    original = AbstractConnection.send_packed_command

    def send(self: AbstractConnection, command: Any, check_health: bool = True) -> Any:
        if threading.get_ident() == me:
            packed = command if isinstance(command, bytes) else b"".join(command)
            seen["trips"] += 1
            seen["sent"] += len(packed)
            seen.update(f":{name}" for name in _names(packed))
        return original(self, command, check_health)

    with patch.object(AbstractConnection, "send_packed_command", send):
        yield seen


def _names(packed: bytes) -> Iterator[str]:
    """The commands in what is sent to a server.

    >>> list(_names(b"*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\na\\r\\n*1\\r\\n$4\\r\\nPING\\r\\n"))
    ['GET', 'PING']
    """
    at = 0
    while at < len(packed):
        end = packed.index(b"\r\n", at)
        count, at = int(packed[at + 1 : end]), end + 2
        for place in range(count):
            end = packed.index(b"\r\n", at)
            length = int(packed[at + 1 : end])
            if place == 0:
                yield packed[end + 2 : end + 2 + length].decode()
            at = end + 2 + length + 2


@contextmanager
def _monitored(client: redis.Redis) -> Iterator[list[int]]:
    """Its first item is how many commands scripts ran, when the context has ended."""
    number, last = [0], "the-last-one"
    with client.monitor() as monitor:

        def listen() -> None:
            for command in monitor.listen():
                if command["client_type"] == "lua":
                    number[0] += 1
                elif last in command["command"]:
                    return

        thread = threading.Thread(target=listen)
        thread.start()
        yield number
        client.echo(last)
        thread.join(timeout=5)
