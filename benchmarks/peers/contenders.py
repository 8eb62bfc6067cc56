"""The caches that are compared, each as it comes, over the same questions, answers and vectors.

A question goes in as a text and an answer comes out as a text, whatever a cache calls them; nobody is given a vector
that it did not ask its embedder for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.redis.caches import Vectors
from benchmarks.redis.dataset import answer, question

__all__ = ["DISTANCE", "LLM", "MAKERS", "MOST", "OURS", "Contender", "contender", "fill", "spellings"]

LLM = "model=claude-haiku-4-5"
DISTANCE = 0.1  # cosine: what a semantic hit may be off, for all that are told
TTL = 86_400.0  # seconds; by itself, what is asked about a state lives shorter than the largest cache takes to fill
_MOST = 4_000_000
OURS = "llmcache, memory"

# Entries from which on a cache is left out: storing or finding one takes so long that nothing else would be measured.
MOST = {"GPTCache, sqlite + faiss": 10_000, "waggle-cache, sqlite": 1_000}


@dataclass
class Contender:
    """A cache behind the same few calls.

    Args:
        get: the stored answer, or None.
        aget: the same for an event loop, where the cache has it.
        remove: takes the entries with these numbers away, where the cache can.
        hundredth: of so many entries, the numbers of about 1 % that it can take away in its own way.
        is_semantic: finds other wordings, too.
        is_kept: is there again when its folder is opened again.
    """

    name: str
    put: Callable[[str, str], object]
    get: Callable[[str], str | None]
    close: Callable[[], object]
    aget: Callable[[str], Any] | None = None
    remove: Callable[[Sequence[int]], object] | None = None
    hundredth: Callable[[int], Sequence[int]] = lambda size: range(7, size, 100)
    is_semantic: bool = True
    is_kept: bool = False


def contender(name: str, folder: Path, vectors: Vectors) -> Contender:
    """One of `MAKERS`, in a folder of its own.

    Raises:
        ImportError: the package is not there (extra `bench-peers`).
    """
    place = folder / name.replace(" ", "").replace(",", "-").replace("+", "-")
    place.mkdir(parents=True, exist_ok=True)
    return MAKERS[name](name, place, vectors)


def spellings(text: str) -> tuple[str, ...]:
    """As the caches give a text to the embedder: mneme-cache puts it in lower case before."""
    return text, " ".join(text.split()).casefold()


def fill(cache: Contender, size: int) -> Iterator[int]:
    """Store as many questions as that; counts on the way."""
    for number in range(size):
        cache.put(question(number), answer(number))
        yield number + 1


def _own(name: str, folder: Path, vectors: Vectors) -> Contender:
    from llmcache_plugins import Request, open_cache

    url = "memory://" if name == OURS else f"disk://{folder / 'cache.db'}"
    settings: dict[str, Any] = {"embedder": vectors, "max_entries": _MOST, "max_bytes": 2**36, "near_miss_log": 0}
    cache = open_cache(url, **settings)

    def get(text: str) -> str | None:
        found = cache.lookup(text)
        return found.answer if found else None

    async def aget(text: str) -> str | None:
        found = await cache.alookup(text)
        return found.answer if found else None

    def put(text: str, told: str) -> object:
        return cache.update(Request(text, tags=(_tag(text),)), told, ttl=TTL)

    return Contender(
        name,
        put,
        get,
        cache.close,
        aget=aget,
        remove=lambda numbers: cache.invalidate(tags=[_tag(question(numbers[0]))]),
        hundredth=_of_one_tag,
        is_kept=name != OURS,
    )


def _tag(text: str) -> str:
    """A hundredth of all questions has the same one."""
    return f"t{sum(text.encode()) % 100}"


def _of_one_tag(size: int) -> list[int]:
    tag = _tag(question(7))
    return [number for number in range(size) if _tag(question(number)) == tag]


def _langchain_memory(name: str, folder: Path, vectors: Vectors) -> Contender:
    from langchain_core.caches import InMemoryCache
    from langchain_core.outputs import Generation

    cache = InMemoryCache()

    def get(text: str) -> str | None:
        found = cache.lookup(text, LLM)
        return found[0].text if found else None

    async def aget(text: str) -> str | None:
        found = await cache.alookup(text, LLM)
        return found[0].text if found else None

    def put(text: str, told: str) -> None:
        cache.update(text, LLM, [Generation(text=told)])

    return Contender(name, put, get, lambda: None, aget=aget, is_semantic=False)


def _langchain_sqlite(name: str, folder: Path, vectors: Vectors) -> Contender:
    from langchain_community.cache import SQLiteCache
    from langchain_core.outputs import Generation

    cache = SQLiteCache(database_path=str(folder / "cache.db"))

    def get(text: str) -> str | None:
        found = cache.lookup(text, LLM)
        return found[0].text if found else None

    def put(text: str, told: str) -> object:
        return cache.update(text, LLM, [Generation(text=told)])

    return Contender(name, put, get, cache.engine.dispose, is_semantic=False, is_kept=True)


def _gptcache(name: str, folder: Path, vectors: Vectors) -> Contender:
    os.environ.setdefault("TQDM_DISABLE", "1")
    from gptcache import Cache, Config
    from gptcache.adapter import api
    from gptcache.manager import CacheBase, VectorBase, get_data_manager
    from gptcache.processor.pre import get_prompt
    from gptcache.similarity_evaluation import SearchDistanceEvaluation

    kept = get_data_manager(
        CacheBase("sqlite", sql_url=f"sqlite:///{folder / 'cache.db'}"),
        VectorBase("faiss", dimension=vectors.dimension, index_path=str(folder / "faiss.index"), top_k=1),
        max_size=_MOST,
    )
    cache = Cache()
    cache.init(
        pre_embedding_func=get_prompt,
        embedding_func=lambda text, **_: vectors.embed([text])[0],
        data_manager=kept,
        similarity_evaluation=SearchDistanceEvaluation(),
        # Squared Euclidean distance of vectors of length 1 is twice the cosine distance; its scale is 0 to 4.
        config=Config(similarity_threshold=1 - 2 * DISTANCE / 4),
    )
    return Contender(
        name,
        lambda text, told: api.put(text, told, cache_obj=cache),
        lambda text: api.get(text, cache_obj=cache),
        kept.close,
        is_kept=True,
    )


def _mneme(name: str, folder: Path, vectors: Vectors) -> Contender:
    from mneme import MemoryStore, SemanticCache

    class Embedder:
        dim, fingerprint = vectors.dimension, vectors.embedder_id

        def embed(self, text: str) -> Any:
            return np.asarray(vectors.embed([text])[0], dtype=np.float32)

    is_memory = name.endswith("memory")
    place: dict[str, Any] = {"store": MemoryStore()} if is_memory else {"path": folder / "cache.db"}
    cache = SemanticCache(embedder=Embedder(), similarity_threshold=1 - DISTANCE, **place)

    def get(text: str) -> str | None:
        found = cache.get(text)
        return found.response if found else None

    return Contender(
        name,
        cache.put,
        get,
        cache.close,
        remove=lambda numbers: [cache.delete(question(number)) for number in numbers],
        is_kept=not is_memory,
    )


def _waggle(name: str, folder: Path, vectors: Vectors) -> Contender:
    from waggle import Waggle

    class Provider:
        model_id = vectors.embedder_id

        def embed(self, texts: list[str]) -> list[list[float]]:
            return vectors.embed(texts).tolist()  # type: ignore[no-any-return]

    cache = Waggle(folder / "cache.db", embedding_provider=Provider(), similarity_threshold=1 - DISTANCE)

    async def aget(text: str) -> Any:
        return (await cache.aget(text)).value

    return Contender(
        name,
        cache.set,
        lambda text: cache.get(text).value,
        lambda: None,
        aget=aget,
        remove=lambda numbers: [cache.invalidate(key=question(number)) for number in numbers],
        is_kept=True,
    )


MAKERS: dict[str, Callable[[str, Path, Vectors], Contender]] = {
    OURS: _own,
    "llmcache, disk": _own,
    "LangChain InMemoryCache": _langchain_memory,
    "LangChain SQLiteCache": _langchain_sqlite,
    "GPTCache, sqlite + faiss": _gptcache,
    "mneme-cache, memory": _mneme,
    "mneme-cache, sqlite": _mneme,
    "waggle-cache, sqlite": _waggle,
}
