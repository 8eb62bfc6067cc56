"""What is timed: exact hits, semantic hits and updates, beside one command of the bare server."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from langchain_core.outputs import Generation

from benchmarks.redis.caches import LLM, Caches
from benchmarks.redis.dataset import answer, question, rewordings
from benchmarks.redis.timing import Case
from llmcache_plugins import Hit
from llmcache_plugins.stores.codec import encode_vector
from llmcache_plugins.types import Stored

__all__ = [
    "EXACT",
    "LANGCHAIN_EXACT_UPDATE",
    "LANGCHAIN_UPDATE",
    "OWN_UPDATE",
    "PEERS",
    "SEMANTIC",
    "UPDATE",
    "Texts",
    "exact",
    "looked_up",
    "semantic",
    "update",
]

EXACT, SEMANTIC, UPDATE = "exact hit", "semantic hit", "update"
PEERS = {EXACT: "langchain-redis RedisCache.lookup", SEMANTIC: "redisvl SemanticCache.check", UPDATE: "redisvl store"}
OWN_UPDATE = "llmcache update"
LANGCHAIN_UPDATE = "langchain-redis RedisSemanticCache.update"
LANGCHAIN_EXACT_UPDATE = "langchain-redis RedisCache.update"
_POPULAR = 200  # entries that are asked for exactly: as many as get hot, and have copies
_READS = 24

Asked = tuple[int, str]


class Texts:
    """Hands out wordings that nobody has asked yet, and questions that nobody has stored."""

    def __init__(self, size: int, prepare: Callable[[Iterable[str]], object]) -> None:
        self._rewordings = rewordings(size)
        self._new: dict[str, Iterator[int]] = {}
        self._expected = 0
        self._prepare = prepare
        self.last: list[Asked] = []

    def expect(self, section: str, count: int) -> None:
        """So many more will be asked for: have their vectors computed."""
        if section == SEMANTIC:
            self._rewordings, ahead = itertools.tee(self._rewordings)
            self._prepare(text for _, text in itertools.islice(ahead, count))
        elif section == UPDATE:
            self._expected += count
            self._prepare(map(_new, range(self._expected)))

    def reworded(self, count: int) -> list[Asked]:
        """Also kept in `last`."""
        self.last = list(itertools.islice(self._rewordings, count))
        return self.last

    def again(self, count: int) -> list[Asked]:
        """What `reworded` gave last: for caches that remember no wordings."""
        return [self.last[place % len(self.last)] for place in range(count)]

    def new(self, cache: str, count: int) -> list[Asked]:
        """For every cache the same ones."""
        numbers = self._new.setdefault(cache, itertools.count())
        return [(number, _new(number)) for number in itertools.islice(numbers, count)]


def _new(number: int) -> str:
    return f"{question(number)} And is that in the contract?"


def exact(caches: Caches) -> list[Case]:
    """Popular entries, asked for in their own words."""
    chosen = random.Random(5)
    popular = chosen.sample(range(caches.size), min(_POPULAR, caches.size))
    for number in popular:
        caches.set_bare(number)
        for _ in range(_READS if not caches.is_warm else 0):  # what is popular moves up before anything is timed
            caches.near.lookup(question(number))
            caches.ours.lookup(question(number))
    caches.is_warm = True
    identities = {number: caches.near.identify(question(number)) for number in popular}

    def inputs(count: int) -> list[Asked]:
        return [(number, question(number)) for number in chosen.choices(popular, k=count)]

    def is_exact(asked: Asked, got: Any) -> bool:
        return isinstance(got, Hit) and got.kind == "exact" and got.entry.answer == answer(asked[0])

    get = caches.client.get
    exact_peer = caches.langchain_exact
    return [
        Case("GET", lambda asked: get(caches.bare_key(asked[0])), inputs, _is_bare),
        Case("llmcache lookup, copies in the process", lambda asked: caches.near.lookup(asked[1]), inputs, is_exact),
        Case("llmcache lookup, no copies", lambda asked: caches.ours.lookup(asked[1]), inputs, is_exact),
        Case(
            "llmcache store.get",
            lambda asked: caches.store.get(identities[asked[0]].scope, identities[asked[0]].key),
            inputs,
            lambda asked, got: isinstance(got, Stored),
        ),
        Case(
            PEERS[EXACT],
            lambda asked: exact_peer.lookup(asked[1], LLM),
            inputs,
            _is_generation,
        ),
    ]


def semantic(caches: Caches, texts: Texts) -> list[Case]:
    """Each wording is asked of ours once: the second time it is an exact hit, which is a case of its own."""
    identity = caches.ours.identify(question(0))
    bare = _bare_search(caches, identity.scope)

    def is_semantic(asked: Asked, got: Any) -> bool:
        return isinstance(got, Hit) and got.kind == "semantic" and got.entry.answer == answer(asked[0])

    def asked_before(count: int) -> list[Asked]:
        asked = texts.reworded(count)
        for _, text in asked:
            caches.ours.lookup(text)
        return asked

    return [
        Case("GET", lambda asked: caches.client.get(caches.bare_key(asked[0])), _kept(caches, texts), _is_bare),
        Case("llmcache lookup", lambda asked: caches.ours.lookup(asked[1]), texts.reworded, is_semantic),
        Case(
            "llmcache lookup, similarity_threshold=0.9",
            lambda asked: caches.plain.lookup(asked[1]),
            texts.reworded,
            is_semantic,
        ),
        Case(
            "llmcache lookup, a wording that was asked before",
            lambda asked: caches.ours.lookup(asked[1]),
            asked_before,
            lambda asked, got: isinstance(got, Hit) and got.entry.answer == answer(asked[0]),
        ),
        Case("FT.SEARCH KNN 1 on llmcache's index", bare, texts.again, lambda asked, got: got[0] == 1),
        Case(
            PEERS[SEMANTIC],
            lambda asked: caches.redisvl.check(asked[1]),
            texts.again,
            lambda asked, got: bool(got) and got[0]["response"] == answer(asked[0]),
        ),
        Case(
            "langchain-redis RedisSemanticCache.lookup",
            lambda asked: caches.langchain.lookup(asked[1], LLM),
            texts.again,
            _is_generation,
        ),
    ]


def update(caches: Caches, texts: Texts) -> list[Case]:
    """New questions. They stay: the caches grow a little."""
    updates: dict[str, Callable[[int, str], object]] = {
        OWN_UPDATE: caches.update("llmcache"),
        PEERS[UPDATE]: caches.update("redisvl"),
        LANGCHAIN_UPDATE: caches.update("langchain-redis semantic"),
        LANGCHAIN_EXACT_UPDATE: caches.update("langchain-redis exact"),
    }

    def case(name: str, store: Callable[[int, str], object]) -> Case:
        return Case(name, lambda asked: store(*asked), partial(texts.new, name))

    return [
        Case("SET", lambda asked: caches.set_bare(asked[0]), partial(texts.new, "SET")),
        Case(f"{OWN_UPDATE}, after its lookup", lambda asked: updates[OWN_UPDATE](*asked), looked_up(caches, texts)),
        *(case(name, store) for name, store in updates.items()),
    ]


def looked_up(caches: Caches, texts: Texts) -> Callable[[int], list[Asked]]:
    """New questions that were just asked for in vain, as every answer that an application stores was."""

    def inputs(count: int) -> list[Asked]:
        asked = texts.new(OWN_UPDATE, count)
        for _, text in asked:
            caches.ours.lookup(text)
        return asked

    return inputs


def _bare_search(caches: Caches, scope: str) -> Callable[[Asked], Any]:
    """One command that finds the nearest entry and reads its text: what no client can do without."""
    client, vectors, index = caches.client, caches.vectors, caches.index("llmcache")
    field = f"h{vectors.dimension}"

    def search(asked: Asked) -> Any:
        vector = encode_vector(vectors.embed([asked[1]])[0], "float16")
        return client.execute_command(
            *("FT.SEARCH", index, f"*=>[KNN 1 @{field} $vector AS distance]", "PARAMS", 2, "vector", vector),
            *("SORTBY", "distance", "RETURN", 2, "distance", "body", "DIALECT", 2),
        )

    return search


def _is_bare(asked: Asked, got: Any) -> bool:
    return got == answer(asked[0]).encode()


def _is_generation(asked: Asked, got: Any) -> bool:
    return bool(got) and isinstance(got[0], Generation) and got[0].text == answer(asked[0])


def _kept(caches: Caches, texts: Texts) -> Callable[[int], Sequence[Asked]]:
    """Values of bare keys that are there."""
    numbers = random.Random(9).sample(range(caches.size), min(_POPULAR, caches.size))
    for number in numbers:
        caches.set_bare(number)
    cycle: Iterator[int] = itertools.cycle(numbers)
    return lambda count: [(number, "") for number in itertools.islice(cycle, count)]
