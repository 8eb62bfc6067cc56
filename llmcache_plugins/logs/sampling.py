"""A uniform sample of a log's requests, in their order: what is replayed through the real cache."""

from __future__ import annotations

import random
from dataclasses import replace

from llmcache_plugins.keys.fingerprint import scope_of
from llmcache_plugins.types import Request

__all__ = ["Sample", "Sampled", "shortened"]

_LONGEST = 16_384  # characters: a longer text is no question that is matched by meaning
_LONGEST_CONTEXT = 16_384  # of a context as text; of a longer one only whether it is equal counts


class Sampled:
    """One request of the sample: its place in the log, its key and itself."""

    __slots__ = ("key", "number", "request")

    def __init__(self, number: int, key: int, request: Request) -> None:
        self.number = number
        self.key = key
        self.request = request


class Sample:
    """A reservoir of `most` requests (algorithm R of Waterman, in Knuth, volume 2, 3.4.2). Reproducible.

    Long texts and contexts are held as digests, so that the memory has a limit.
    """

    def __init__(self, most: int, seed: int = 0) -> None:
        self._most = most
        self._random = random.Random(seed)
        self._kept: list[Sampled] = []

    def add(self, number: int, key: int, request: Request) -> None:
        """The `number`-th call of the log, counted from 0; every one in order."""
        if len(self._kept) < self._most:
            self._kept.append(Sampled(number, key, shortened(request)))
        elif (place := self._random.randrange(number + 1)) < self._most:
            self._kept[place] = Sampled(number, key, shortened(request))

    @property
    def rows(self) -> list[Sampled]:
        """In the order of the log."""
        return sorted(self._kept, key=lambda one: one.number)


def shortened(request: Request) -> Request:
    """The request with digests in place of a long text and a long context: equal ones remain equal, others differ."""
    if request.context is not None and len(str(request.context)) > _LONGEST_CONTEXT:
        request = replace(request, context={"digest": scope_of(request)})
    if len(request.text) > _LONGEST:
        request = replace(request, text=scope_of(replace(request, context=request.text)), exact_only="too_long")
    return request
