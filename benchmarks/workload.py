"""Questions, vectors and caches to measure with. All of it the same in every run."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from llmcache_plugins import SemanticCache, TierConfig, open_cache
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import FloatArray, Request

__all__ = [
    "ANSWER",
    "DIMENSION",
    "FULL",
    "QUICK",
    "STORES",
    "Plan",
    "PreparedEmbedder",
    "Workload",
    "chat_request",
    "question",
    "unit",
]

DIMENSION = 384  # of the default embedder
STORES = ("memory", "disk")
SIMILARITY = 0.98  # between a question and its rewording, above the default threshold of 0.95
ANSWER = (
    "A BGP session passes through six states: Idle, Connect, Active, OpenSent, OpenConfirm and Established. Only in "
    "the last one are routes exchanged. A session that stays in Active usually has no TCP connection to its neighbour, "
    "so look at reachability, at access lists and at the configured addresses first; one that falls back from OpenSent "
    "most often has another autonomous system number than its neighbour expects. "
)
_SYSTEM_PROMPT = (
    "You answer the questions of network engineers. Be brief and exact, name the command that shows what you speak of, "
    "and say so when you do not know. "
) * 7  # about 1 kB
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured.

    Args:
        sizes: entries of the caches.
        scanned: vectors in one scope for the search alone.
        rounds: of every group; quick cases repeat `calls` times in a round, slow ones `slow_calls`.
        embed_calls: calls in a round where each runs the real model.
        embed_seconds: how long the slow embedder of the event-loop test takes.
    """

    sizes: tuple[int, ...]
    scanned: int
    rounds: int
    calls: int
    slow_calls: int
    embed_calls: int
    embed_seconds: float = 0.5


FULL = Plan(sizes=(1_000, 10_000), scanned=100_000, rounds=61, calls=200, slow_calls=20, embed_calls=4)
QUICK = Plan(sizes=(1_000, 10_000), scanned=100_000, rounds=7, calls=100, slow_calls=10, embed_calls=3)


def word(number: int) -> str:
    """A word that only this number has. Letters alone, so that no guard sees a number or an identifier in it.

    >>> word(0), word(71)
    ('bababax', 'dadabax')
    """
    syllables = []
    for _ in range(3):
        number, rest = divmod(number, len(_CONSONANTS) * len(_VOWELS))
        vowel, consonant = divmod(rest, len(_CONSONANTS))
        syllables.append(_CONSONANTS[consonant] + _VOWELS[vowel])
    return "".join(syllables) + "x"


def question(number: int) -> str:
    return f"How do I configure the {word(number)} feature of this router?"


def chat_request(text: str, *, model: str = "claude-haiku-4-5") -> Request:
    """What a chat application asks: a system prompt of 1 kB, a few parameters, one question."""
    system = {"role": "system", "content": [{"type": "text", "text": _SYSTEM_PROMPT}]}
    return Request(
        text=text,
        provider="anthropic",
        model=model,
        params={"temperature": 0.2, "max_tokens": 1024, "top_p": 0.9, "stop": ["END"]},
        context={"operation": "chat", "history": [system], "turn": {"role": "user", "content": [["", ""]]}},
    )


def unit(vectors: FloatArray) -> FloatArray:
    """Rows of length one."""
    lengths: FloatArray = np.linalg.norm(vectors, axis=-1, keepdims=True).astype(np.float32)
    return vectors / lengths


class PreparedEmbedder:
    """Returns vectors that it was given beforehand: what is measured is everything but the model."""

    embedder_id = f"prepared/{DIMENSION}/unit"
    is_local = True  # it cannot hang: nobody has to watch over it

    def __init__(self) -> None:
        self._vectors: dict[str, FloatArray] = {}
        self._random = np.random.default_rng(7)

    def prepare(self, text: str, vector: FloatArray) -> None:
        self._vectors[text] = vector

    def fits(self, text: str) -> bool:
        return True

    def embed(self, texts: Sequence[str]) -> FloatArray:
        return np.stack([self._vectors[text] if text in self._vectors else self.direction(text) for text in texts])

    def direction(self, text: str) -> FloatArray:
        """A direction of the text's own, nearly orthogonal to every other text's; remembered."""
        vector = self._vectors[text] = unit(self._random.standard_normal(DIMENSION).astype(np.float32))
        return vector


@dataclass
class Workload:
    """Makes caches and the texts to ask them. `folder` takes the files of the disk caches."""

    folder: Path
    embedder: PreparedEmbedder = field(default_factory=PreparedEmbedder)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(20_240_917)
        self._files = itertools.count()
        self._fresh = itertools.count(200_000)  # words that no stored question uses
        self._centres: dict[str, FloatArray] = {}

    def open(
        self,
        store: str,
        *,
        embedder: Embedder | None = None,
        threshold: float = 0.95,
        tiers: Sequence[TierConfig] | None = None,
    ) -> SemanticCache:
        """An empty cache; without `embedder`, one whose vectors are prepared. Nothing is evicted while measuring, and
        no other thread is at work."""
        url = "memory://" if store == "memory" else f"disk://{self.folder / f'{next(self._files)}.db'}"
        return open_cache(
            url,
            embedder=self.embedder if embedder is None else embedder,
            similarity_threshold=threshold,
            max_entries=1_000_000,
            max_bytes=2**33,
            embedding_cache_entries=0,
            sweep_interval=None,
            maintenance="manual",
            tiers=tiers,
        )

    def filled(self, store: str, size: int, *, tiers: Sequence[TierConfig] | None = None) -> SemanticCache:
        """A cache with `size` plain questions, and the requests of `asked_requests`."""
        cache = self.open(store, tiers=tiers)
        for number in range(size):
            text = question(number)
            self._centre(text)
            cache.update(text, ANSWER)
        for request in self.asked_requests():
            self._centre(request.text)
            cache.update(request, ANSWER)
        return cache

    def asked_requests(self) -> list[Request]:
        return [chat_request(question(number)) for number in range(200)]

    def reworded(self, numbers: Sequence[int]) -> list[str]:
        """A wording never asked before for each stored question, with a vector close to the question's own."""
        texts = []
        for number in numbers:
            text = f"What is the way to configure the {word(number)} feature of this router, {word(next(self._fresh))}?"
            noise = self._random.standard_normal(DIMENSION).astype(np.float32)
            centre = self._centre(question(number))
            aside = unit(noise - (noise @ centre) * centre)
            self.embedder.prepare(text, unit(SIMILARITY * centre + np.sqrt(1 - SIMILARITY**2) * aside))
            texts.append(text)
        return texts

    def unknown(self, count: int) -> list[str]:
        """Questions that were never stored, far from all that were."""
        texts = [question(next(self._fresh)) for _ in range(count)]
        for text in texts:
            self._centre(text)
        return texts

    def _centre(self, text: str) -> FloatArray:
        """Where a stored question points to; made beforehand, so that nobody has to wait for it while being timed."""
        vector = self._centres.get(text)
        if vector is None:
            vector = self._centres[text] = self.embedder.direction(text)
        return vector
