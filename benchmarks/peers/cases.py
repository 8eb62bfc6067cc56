"""What is timed, for each cache that can do it, beside the least there is to do: a digest of the text and a dict."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

from benchmarks.peers.contenders import OURS, Contender, spellings
from benchmarks.redis.dataset import answer, question, rewordings
from benchmarks.redis.timing import Case

__all__ = ["EXACT", "FLOOR", "MISS", "PEER", "SEMANTIC", "UPDATE", "Asked", "Texts", "cases"]

EXACT, SEMANTIC, MISS, UPDATE = "exact hit", "semantic hit", "miss", "update"
FLOOR = "floor: a digest and a dict"
PEER = OURS
_POPULAR = 200

Asked = tuple[int, str]


class Texts:
    """Wordings that no cache has been asked yet, and questions that none has stored: the same ones for each cache."""

    def __init__(self, size: int, prepare: Callable[[Sequence[str]], object], count: int) -> None:
        self.size = size
        self._reworded = list(itertools.islice(rewordings(size), count))
        self._new = [(number, _new(number)) for number in range(count)]
        self._far = [(number, _far(number)) for number in range(count)]
        texts = [text for _, text in (*self._reworded, *self._new, *self._far)]
        prepare([one for text in texts for one in spellings(text)])
        for number in range(count):
            answer_of(number)  # making one is no part of what is timed
        self._next: dict[tuple[str, str], int] = {}

    def take(self, section: str, name: str, count: int) -> list[Asked]:
        """The next of this section for the cache of this name."""
        place = self._next.get((section, name), 0)
        self._next[section, name] = place + count
        pool = {SEMANTIC: self._reworded, UPDATE: self._new, MISS: self._far}[section]
        if place + count > len(pool):
            raise RuntimeError(f"{section}: {place + count} texts are wanted and {len(pool)} were prepared")
        return pool[place : place + count]


def _new(number: int) -> str:
    return f"{question(number)} And is that in the contract?"


def _far(number: int) -> str:
    """About nothing that is stored."""
    chosen = random.Random(number)
    return f"Who won the {chosen.choice(_GAMES)} of {1000 + number} in {chosen.choice(_TOWNS)}?"


_GAMES = ("chess tournament", "regatta", "marathon", "poetry prize", "song contest", "horse race", "cycling tour")
_TOWNS = ("Lisbon", "Osaka", "Quito", "Bergen", "Windhoek", "Tallinn", "Perth", "Cusco", "Riga", "Fez", "Hue")


def cases(section: str, caches: Sequence[Contender], texts: Texts) -> list[Case]:
    """The floor first; only caches that can do it."""
    able = [cache for cache in caches if cache.is_semantic or section != SEMANTIC]
    return [_floor(section, texts.size), *(_case(section, cache, texts) for cache in able)]


def _case(section: str, cache: Contender, texts: Texts) -> Case:
    if section == EXACT:
        return Case(cache.name, lambda asked: cache.get(asked[1]), _popular(texts.size), _is_its_own)
    take = _taken(section, cache.name, texts)
    if section == UPDATE:
        return Case(cache.name, lambda asked: cache.put(asked[1], answer_of(asked[0])), take)
    is_right = _is_its_own if section == SEMANTIC else _is_none
    return Case(cache.name, lambda asked: cache.get(asked[1]), take, is_right)


def _taken(section: str, name: str, texts: Texts) -> Callable[[int], Sequence[Asked]]:
    return lambda count: texts.take(section, name, count)


def _floor(section: str, size: int) -> Case:
    held = {_digest(question(number)): answer_of(number) for number in range(min(size, 1000))}
    if section == UPDATE:
        return Case(FLOOR, lambda asked: held.update({_digest(asked[1]): answer_of(asked[0])}), _popular(size))
    return Case(FLOOR, lambda asked: held[_digest(asked[1])], _popular(min(size, 1000)), _is_its_own)


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=20).digest()


def _popular(size: int) -> Callable[[int], Sequence[Asked]]:
    """Questions that are there, some of them often: as in traffic, by a seed."""
    chosen = random.Random(5)
    numbers = chosen.sample(range(size), min(_POPULAR, size))
    asked = [(number, question(number)) for number in numbers]
    cycle: Iterator[Asked] = itertools.cycle(asked)
    return lambda count: list(itertools.islice(cycle, count))


_answers: dict[int, str] = {}


def answer_of(number: int) -> str:
    """Made once."""
    if number not in _answers:
        _answers[number] = answer(number)
    return _answers[number]


def _is_its_own(asked: Asked, got: object) -> bool:
    return got == answer_of(asked[0])


def _is_none(asked: Asked, got: object) -> bool:
    return got is None
