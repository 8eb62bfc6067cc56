"""Questions made from few patterns, as forms and agents ask them: every stored one has neighbours that differ in one
word. What is served where the right answer is stored, and what where only its neighbours are."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from benchmarks.redis.dataset import question, rewordings
from llmcache_plugins.evaluation import PreparedEmbedder, Progress, open_replay_cache
from llmcache_plugins.protocols import Verifier
from llmcache_plugins.types import JsonValue

__all__ = ["patterns"]

STORED, ASKED = 10_000, 600
COSINES = (0.90, 0.95, 0.97)
_CHAIN = "whole chain"


def patterns(
    embedder: PreparedEmbedder,
    progress: Callable[[str], Progress],
    *,
    verifier: Verifier | None = None,
    stored: int = STORED,
    asked: int = ASKED,
) -> dict[str, JsonValue]:
    """Of `asked` questions in other words: how many are answered rightly and wrongly beside `stored` others, once with
    their own answer stored and once without."""
    questions = [question(number) for number in range(stored)]
    wordings = list(itertools.islice(rewordings(stored), asked))
    embedder.prepare([*questions, *(text for _, text in wordings)], progress("patterns, vectors"))
    methods = {_CHAIN: _served(questions, wordings, embedder, verifier, progress("patterns"))}
    methods |= {f"cosine {cosine:.2f}": _nearest(questions, wordings, embedder, cosine) for cosine in COSINES}
    return {"stored": stored, "asked": asked, "methods": methods}


def _served(
    questions: list[str],
    wordings: list[tuple[int, str]],
    embedder: PreparedEmbedder,
    verifier: Verifier | None,
    progress: Progress,
) -> dict[str, JsonValue]:
    own = {number for number, _ in wordings}
    absent = [(number, text) for number, text in enumerate(questions) if number not in own]
    counts = {"absent_wrong": 0, "present_right": 0, "present_wrong": 0}
    for name, stored in (("absent", absent), ("present", list(enumerate(questions)))):
        # A cache of its own: a wording that was answered once is known from then on.
        with open_replay_cache(embedder, rows=len(questions), verifier=verifier) as cache:
            for number, text in stored:
                cache.update(text, str(number))
            for done, (number, text) in enumerate(wordings, 1):
                if hit := cache.lookup(text):
                    counts[f"{name}_right" if hit.answer == str(number) else f"{name}_wrong"] += 1
                progress(name, done, len(wordings))
    return dict(counts)


def _nearest(
    questions: list[str], wordings: list[tuple[int, str]], embedder: PreparedEmbedder, least: float
) -> dict[str, JsonValue]:
    """The nearest question where its cosine is at least this."""
    stored = embedder.embed(questions)
    cosines = embedder.embed([text for _, text in wordings]) @ stored.T
    numbers = np.array([number for number, _ in wordings])
    hits = cosines.max(axis=1) >= least
    right = cosines.argmax(axis=1) == numbers
    cosines[:, np.unique(numbers)] = -1.0
    return {
        "absent_wrong": int((cosines.max(axis=1) >= least).sum()),
        "present_right": int((hits & right).sum()),
        "present_wrong": int((hits & ~right).sum()),
    }
