"""What a further attempt of a call stores: it was looked up at its first one, so that there is no recording to end."""

from __future__ import annotations

from typing import NamedTuple

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.types import Answer, Identity, Request, UpdateOutcome

__all__ = ["Asked", "Later"]


class Asked(NamedTuple):
    """What a call asks."""

    request: Request
    identity: Identity


class Later:
    """Stores once, like an `engine.recording.Recording`; nobody waits for it."""

    def __init__(self, cache: SemanticCache, asked: Asked) -> None:
        self._cache = cache
        self._asked = asked
        self._is_ended = False

    def store(self, answer: Answer) -> UpdateOutcome:
        if not self._begin_end():
            return UpdateOutcome(False, "ended")
        return self._cache.update(self._asked.request, answer, identity=self._asked.identity)

    async def astore(self, answer: Answer) -> UpdateOutcome:
        """`store` for event loops."""
        if not self._begin_end():
            return UpdateOutcome(False, "ended")
        return await self._cache.aupdate(self._asked.request, answer, identity=self._asked.identity)

    def fail(self, error: BaseException) -> None:
        """The call raised."""
        self._is_ended = True

    def release(self) -> None:
        """Nothing came of it."""
        self._is_ended = True

    # ---------------------------------------------------------------- inside
    def _begin_end(self) -> bool:
        is_first, self._is_ended = not self._is_ended, True
        return is_first
