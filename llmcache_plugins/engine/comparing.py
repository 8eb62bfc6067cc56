"""Does a fresh answer say what a stored one says? Whoever fails or cannot tell has said nothing: no evidence."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial

import numpy as np

from llmcache_plugins.engine.asking import Advisers
from llmcache_plugins.engine.steps import AskJudge
from llmcache_plugins.errors import EmbedderError
from llmcache_plugins.matching import GuardChain
from llmcache_plugins.matching.answers import is_same_text, said_by, same_by_meaning
from llmcache_plugins.protocols import AnswersAgree, Embedder
from llmcache_plugins.types import Entry, JsonValue, Request

__all__ = ["Comparison"]

_AGREES, _DIFFERS = 0.8, 0.2  # what a judge says of the stored answer


def _nobody(component: str, error: BaseException) -> None:
    """Where nobody listens."""


class Comparison:
    """Compares answers: by their words; then by `answers_agree`, or the similarity of the answers; then by the judge.

    Args:
        embedder: None for a cache without one.
        guards: what all guards say of two texts.
        least: the least cosine of answers that agree.
        answers_agree: in place of the similarity.
        advisers: the judge is one of them, if there is any.
    """

    def __init__(
        self,
        embedder: Embedder | None,
        guards: GuardChain,
        *,
        least: float,
        answers_agree: AnswersAgree | None = None,
        advisers: Advisers | None = None,
    ) -> None:
        self._embedder, self._guards, self._least = embedder, guards, least
        self._answers_agree = answers_agree
        self._advisers = advisers
        self._failed: Callable[[str, BaseException], None] = _nobody

    def report_to(self, failed: Callable[[str, BaseException], None]) -> None:
        self._failed = failed

    @property
    def has_judge(self) -> bool:
        """Is there one that can be asked in a thread? A coroutine function is for the loops of those who look up."""
        judge = None if self._advisers is None else self._advisers.judge
        return judge is not None and not inspect.iscoroutinefunction(judge)

    @property
    def can_tell(self) -> bool:
        """Can anything be found to differ? Without an embedder, a function and a judge only equal words say
        something."""
        return self._embedder is not None or self._answers_agree is not None or self.has_judge

    def is_equal(self, fresh: JsonValue, entry: Entry) -> bool:
        """The same words. Cheap enough for whoever brings the answer."""
        return is_same_text(said_by(fresh), said_by(entry.answer))

    def agree(self, request: Request, fresh: JsonValue, entry: Entry) -> bool | None:
        """Whether the answers agree; None when nobody can tell. Never raises."""
        new, old = said_by(fresh), said_by(entry.answer)
        if not new.strip() or not old.strip():
            return None
        steps = ("answers_agree", self._by_user) if self._answers_agree else ("embedder", self._by_meaning)
        for component, compare in (steps, ("judge", partial(self._by_judge, request, entry))):
            try:
                agrees = compare(new, old)
            except Exception as error:
                self._failed(component, error)
                return None
            if agrees is not None:
                return agrees
        return None

    def _by_user(self, fresh: str, stored: str) -> bool | None:
        assert self._answers_agree is not None
        agrees = self._answers_agree(fresh, stored)
        if agrees is not None and not isinstance(agrees, bool):
            raise TypeError(f"answers_agree says True, False or None, not {type(agrees).__name__}")
        return agrees

    def _by_meaning(self, fresh: str, stored: str) -> bool | None:
        embedder = self._embedder
        if embedder is None or not (embedder.fits(fresh) and embedder.fits(stored)):
            return None
        first, second = np.asarray(embedder.embed([fresh, stored]), np.float64)
        similarity = float(first @ second) / (float(np.linalg.norm(first)) * float(np.linalg.norm(second)))
        if not np.isfinite(similarity):
            raise EmbedderError("the embedder gave a vector of length zero, or numbers that are not finite")
        return same_by_meaning(fresh, stored, similarity, self._guards, self._least)

    def _by_judge(self, request: Request, entry: Entry, fresh: str, stored: str) -> bool | None:
        if self._advisers is None or not self.has_judge:
            return None
        opinion = self._advisers.ask(AskJudge(request, entry))
        if opinion is None:
            return None
        return True if opinion >= _AGREES else False if opinion <= _DIFFERS else None
