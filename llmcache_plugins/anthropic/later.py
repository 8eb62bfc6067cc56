"""What a further attempt of a call stores: it was looked up at its first one, so that there is no recording to end."""

from __future__ import annotations

from llmcache_plugins.engine.cache import SemanticCache
from llmcache_plugins.types import Answer, Request, UpdateOutcome

__all__ = ["Later"]


class Later:
    """Stores once, like an `engine.recording.Recording`; nobody waits for it."""

    def __init__(self, cache: SemanticCache, request: Request) -> None:
        self._cache = cache
        self._request = request
        self._is_ended = False

    def store(self, answer: Answer) -> UpdateOutcome:
        return self._cache.update(self._request, answer) if self._begin_end() else UpdateOutcome(False, "ended")

    async def astore(self, answer: Answer) -> UpdateOutcome:
        """`store` for event loops."""
        if not self._begin_end():
            return UpdateOutcome(False, "ended")
        return await self._cache.aupdate(self._request, answer)

    def release(self) -> None:
        """Nothing came of it."""
        self._is_ended = True

    # ---------------------------------------------------------------- inside
    def _begin_end(self) -> bool:
        is_first, self._is_ended = not self._is_ended, True
        return is_first
