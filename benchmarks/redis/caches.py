"""The caches that are compared, on one server, with the same vectors and the same entries."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any
from urllib.parse import urlsplit

import redis
from langchain_core.embeddings import Embeddings
from langchain_core.outputs import Generation
from langchain_redis import RedisCache, RedisSemanticCache
from redisvl.extensions.cache.llm import SemanticCache as RedisVLCache
from redisvl.utils.vectorize import CustomTextVectorizer

from benchmarks.redis.dataset import answer, question
from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.evaluation import PreparedEmbedder, Progress
from llmcache_plugins.policies.placement import default_tiers
from llmcache_plugins.stores.redis import RedisStore
from llmcache_plugins.stores.redis.search_index import GROWN
from llmcache_plugins.testing.redis_server import RedisServer, find_server
from llmcache_plugins.types import FloatArray

__all__ = ["BUILDS", "DISTANCE", "LLM", "Caches", "Vectors", "server"]

LLM = "model=claude-haiku-4-5"
DISTANCE = 0.1  # redisvl's own; langchain-redis is given the same, its own is 0.2
BUILDS = ("llmcache", "redisvl", "langchain-redis semantic", "langchain-redis exact")
_MOST = 1_000_000
_TTL = 86_400.0  # seconds; by itself, what is asked about a state lives shorter than the largest cache takes to fill
_SETTLED = 120.0  # seconds

logging.getLogger("redisvl").setLevel(logging.WARNING)


class Vectors:
    """The default embedder, for all of the caches: run each time, or with vectors that were computed beforehand."""

    is_local = True  # as the default embedder: nobody has to watch over it

    def __init__(self, model: OnnxEmbedder, prepared: PreparedEmbedder) -> None:
        self.runs_model = False
        self._model = model
        self._prepared = prepared

    @property
    def embedder_id(self) -> str:
        return self._model.embedder_id

    @property
    def dimension(self) -> int:
        return self._model.dimension

    def prepare(self, texts: Iterable[str], progress: Progress) -> None:
        wanted = list(texts)
        self._prepared.prepare(wanted, progress)
        for text in wanted:  # of vectors from a file it is not known yet: the tokenizer would run in a look-up
            self._prepared.fits(text)

    def load(self) -> None:
        """Have the model in memory."""
        self._model.embed(["How long does that take?"])

    def _now(self) -> OnnxEmbedder | PreparedEmbedder:
        return self._model if self.runs_model else self._prepared

    def fits(self, text: str) -> bool:
        return self._now().fits(text)

    def embed(self, texts: Sequence[str]) -> FloatArray:
        return self._now().embed(texts)


class _ForLangChain(Embeddings):
    """The same, as the others take it."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def embed_query(self, text: str) -> list[float]:
        return self._vectors.embed([text])[0].tolist()  # type: ignore[no-any-return]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._vectors.embed(texts).tolist()  # type: ignore[no-any-return]


@contextmanager
def server() -> Iterator[RedisServer]:
    """Redis with the search module and, for langchain-redis, the one for JSON, from the same package."""
    command = find_server("search")
    if command is None:
        with RedisServer("search") as running:  # says what is missing
            yield running
        return
    with RedisServer("search", "--loadmodule", str(Path(command[-1]).with_name("rejson.so"))) as running:
        yield running


@dataclass
class Caches:
    """Every cache over `size` entries of its own, or without any before `fill`.

    Two of ours share one set of entries: with copies in the process, which is the default, and without.
    """

    url: str
    size: int
    vectors: Vectors
    stack: ExitStack

    def __post_init__(self) -> None:
        self.is_warm = False  # has what is popular been read often enough to be hot?
        name = f"n{self.size}"
        self.base = f"ours-{name}"
        url = f"{self.url}?{'&' if urlsplit(self.url).query else ''}prefix={self.base}&max_connections=64"
        settings: dict[str, Any] = {
            "embedder": self.vectors,
            "max_entries": _MOST,
            "max_bytes": 2**36,
            "maintenance": "manual",
            "sweep_interval": None,
            "near_miss_log": 0,
        }
        enter = self.stack.enter_context
        self.near: SemanticCache = enter(open_cache(url, **settings))
        self.ours: SemanticCache = enter(open_cache(url, **settings, tiers=default_tiers(_MOST, 2**36)))
        self.plain: SemanticCache = enter(open_cache(url, **settings, similarity_threshold=1 - DISTANCE))
        self.store = RedisStore(self.url, prefix=self.base, max_entries=_MOST, max_bytes=2**36, max_connections=64)
        self.stack.callback(self.store.close)
        self.client = enter(redis.Redis.from_url(self.url, protocol=2))
        embeddings = _ForLangChain(self.vectors)
        vectorizer = CustomTextVectorizer(embed=embeddings.embed_query)
        self.redisvl = RedisVLCache(
            f"redisvl-{name}", distance_threshold=DISTANCE, vectorizer=vectorizer, redis_url=self.url
        )
        self.langchain = RedisSemanticCache(
            embeddings, redis_url=self.url, name=f"langchain-{name}", distance_threshold=DISTANCE
        )
        self.langchain_exact = RedisCache(redis_url=self.url, prefix=f"langchain-exact-{name}")

    def bare_key(self, number: int) -> str:
        return f"bare-{self.size}:{number}"

    def set_bare(self, number: int) -> object:
        return self.client.set(self.bare_key(number), answer(number))

    def update(self, name: str) -> Callable[[int, str], object]:
        """How one of `BUILDS` stores the answer of this number to that question."""
        return {
            "llmcache": lambda number, text: self.ours.update(text, answer(number), ttl=_TTL),
            "redisvl": lambda number, text: self.redisvl.store(text, answer(number)),
            "langchain-redis semantic": lambda number, text: self.langchain.update(
                text, LLM, [Generation(text=answer(number))]
            ),
            "langchain-redis exact": lambda number, text: self.langchain_exact.update(
                text, LLM, [Generation(text=answer(number))]
            ),
        }[name]

    def fill(self, name: str) -> Iterator[int]:
        """Store the entries of one of `BUILDS`; counts on the way."""
        update = self.update(name)
        for number in range(self.size):
            update(number, question(number))
            yield number + 1

    def index(self, name: str) -> str:
        return {
            "llmcache": self._own_indexes()[0] if name == "llmcache" else "",
            "redisvl": f"redisvl-n{self.size}",
            "langchain-redis semantic": f"langchain-n{self.size}",
        }[name]

    def settle(self) -> None:
        """Wait until a cache that has grown has its graph: what is measured is not the change from one to the other."""
        end = perf_counter() + _SETTLED
        while self.size >= GROWN and [name.split(":")[2] for name in self._own_indexes()] != ["hnsw"]:
            if perf_counter() > end:
                raise RuntimeError(f"after {_SETTLED:.0f} s the cache of {self.size} entries has no graph")
            for cache in (self.ours, self.near, self.plain):
                cache.lookup("Is there a graph by now?")
            sleep(0.2)

    def _own_indexes(self) -> list[str]:
        names = [name.decode() for name in self.client.execute_command("FT._LIST")]
        return [name for name in names if name.startswith(f"{{{self.base}}}:")]

    def documents(self, name: str) -> str:
        """Pattern of the keys that hold one entry each."""
        return {
            "llmcache": f"{{{self.base}}}:d:*",
            "redisvl": f"redisvl-n{self.size}:*",
            "langchain-redis semantic": f"langchain-n{self.size}:*",
            "langchain-redis exact": f"langchain-exact-n{self.size}:*",
        }[name]
