from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from llmcache_plugins.embedders import AsyncCachingEmbedder, CachingEmbedder, caching
from llmcache_plugins.errors import ConfigError, EmbedderError
from llmcache_plugins.protocols import AsyncEmbedder, Embedder
from llmcache_plugins.testing.embedder import FakeEmbedder
from llmcache_plugins.types import FloatArray


class AsyncFakeEmbedder(FakeEmbedder):
    async def aembed(self, texts: Sequence[str]) -> FloatArray:
        return self.embed(texts)


class CountingFits(FakeEmbedder):
    def __init__(self) -> None:
        super().__init__(max_chars=3)
        self.asked: list[str] = []

    def fits(self, text: str) -> bool:
        self.asked.append(text)
        return super().fits(text)


def test_repeated_text_is_embedded_once():
    inner = FakeEmbedder()
    embedder = CachingEmbedder(inner, max_entries=10)
    first, second = embedder.embed(["a"]), embedder.embed(["a"])
    assert inner.embedded == ["a"]
    assert np.array_equal(first, second)


def test_text_that_stands_twice_in_a_batch_is_embedded_once_and_returned_twice():
    inner = FakeEmbedder()
    vectors = CachingEmbedder(inner, max_entries=10).embed(["a", "b", "a"])
    assert inner.embedded == ["a", "b"]
    assert np.array_equal(vectors, FakeEmbedder().embed(["a", "b", "a"]))
    assert vectors.dtype == np.float32


def test_batch_look_up_asks_only_for_what_is_new_in_one_batch():
    inner = FakeEmbedder()
    embedder = CachingEmbedder(inner, max_entries=10)
    embedder.embed(["b"])
    vectors = embedder.embed(["a", "b", "c"])
    assert inner.embedded == ["b", "a", "c"]
    assert inner.batches == 2
    assert np.array_equal(vectors, FakeEmbedder().embed(["a", "b", "c"]))


def test_least_recently_used_text_goes_first():
    inner = FakeEmbedder()
    embedder = CachingEmbedder(inner, max_entries=2)
    embedder.embed(["a"])
    embedder.embed(["b"])
    embedder.embed(["a"])
    embedder.embed(["c"])
    embedder.embed(["a"])
    assert inner.embedded == ["a", "b", "c"]
    embedder.embed(["b"])
    assert inner.embedded == ["a", "b", "c", "b"]


def test_batch_larger_than_the_cache_is_answered_whole():
    embedder = CachingEmbedder(FakeEmbedder(), max_entries=2)
    texts = [f"text {n}" for n in range(5)]
    embedder.embed(texts[:2])
    assert np.array_equal(embedder.embed(texts), FakeEmbedder().embed(texts))


def test_changing_a_returned_array_changes_nothing_that_is_kept():
    embedder = CachingEmbedder(FakeEmbedder(), max_entries=10)
    embedder.embed(["a"])[:] = 0
    embedder.embed(["a"])[:] = 0
    assert np.array_equal(embedder.embed(["a"]), FakeEmbedder().embed(["a"]))


def test_fits_is_asked_once_for_a_text_and_false_is_remembered_too():
    inner = CountingFits()
    embedder = CachingEmbedder(inner, max_entries=10)
    assert [embedder.fits("abc"), embedder.fits("abcd"), embedder.fits("abc"), embedder.fits("abcd")] == [
        True,
        False,
        True,
        False,
    ]
    assert inner.asked == ["abc", "abcd"]


def test_lone_surrogates_do_not_raise_in_the_cache():
    embedder = CachingEmbedder(FakeEmbedder(), max_entries=10)
    assert embedder.fits("\ud800")


def test_failure_is_passed_on_and_not_remembered():
    failures = [EmbedderError("down")]

    def fail_once(texts: Sequence[str]) -> None:
        if failures:
            raise failures.pop()

    inner = FakeEmbedder(before=fail_once)
    embedder = CachingEmbedder(inner, max_entries=10)
    with pytest.raises(EmbedderError, match="down"):
        embedder.embed(["a"])
    assert embedder.embed(["a"]).shape == (1, inner.dimension)


def test_wrong_number_of_rows_is_an_error():
    class OneRowShort(FakeEmbedder):
        def embed(self, texts: Sequence[str]) -> FloatArray:
            return super().embed(texts)[:-1]

    with pytest.raises(EmbedderError, match="2 texts"):
        CachingEmbedder(OneRowShort(), max_entries=10).embed(["a", "b"])


def test_no_lock_is_held_while_the_inner_embedder_works():
    inside, leave = threading.Event(), threading.Event()

    def wait(texts: Sequence[str]) -> None:
        if "slow" in texts:
            inside.set()
            assert leave.wait(5)

    embedder = CachingEmbedder(FakeEmbedder(before=wait), max_entries=10)
    slow = threading.Thread(target=embedder.embed, args=(["slow"],), daemon=True)
    slow.start()
    assert inside.wait(5)
    done = threading.Event()
    other = threading.Thread(
        target=lambda: (embedder.embed(["quick"]), embedder.fits("quick"), done.set()), daemon=True
    )
    other.start()
    assert done.wait(5), "another text had to wait for the one being embedded"
    leave.set()
    slow.join(5)
    other.join(5)


def test_many_threads_get_the_right_vectors():
    texts = [f"text {n}" for n in range(12)]
    expected = FakeEmbedder().embed(texts)
    embedder = CachingEmbedder(FakeEmbedder(), max_entries=5)
    wrong: list[int] = []

    def work(start: int) -> None:
        for n in range(60):
            index = (start + n * 5) % len(texts)
            if not np.array_equal(embedder.embed([texts[index]])[0], expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_no_texts_give_no_rows():
    embedder = CachingEmbedder(FakeEmbedder(dimension=16), max_entries=10)
    assert embedder.embed([]).shape[0] == 0
    embedder.embed(["a"])
    assert embedder.embed([]).shape == (0, 16)


def test_id_is_the_inner_one_and_the_repr_shows_no_text():
    embedder = CachingEmbedder(FakeEmbedder(name="model"), max_entries=10)
    embedder.embed(["secret question"])
    assert embedder.embedder_id == "model/64/unit"
    assert "secret" not in repr(embedder)


def test_caching_is_async_if_and_only_if_the_inner_embedder_is():
    plain, awaited = caching(FakeEmbedder(), 10), caching(AsyncFakeEmbedder(), 10)
    assert isinstance(plain, CachingEmbedder)
    assert isinstance(plain, Embedder)
    assert not isinstance(plain, AsyncEmbedder)
    assert isinstance(awaited, AsyncCachingEmbedder)
    assert isinstance(awaited, AsyncEmbedder)


def test_caching_with_no_entries_is_the_embedder_itself():
    inner = FakeEmbedder()
    assert caching(inner, 0) is inner


async def test_async_and_sync_share_what_is_remembered():
    inner = AsyncFakeEmbedder()
    embedder = AsyncCachingEmbedder(inner, max_entries=10)
    vectors = await embedder.aembed(["a", "b", "a"])
    assert np.array_equal(vectors, FakeEmbedder().embed(["a", "b", "a"]))
    assert np.array_equal(embedder.embed(["b"]), FakeEmbedder().embed(["b"]))
    assert np.array_equal(await embedder.aembed(["b"]), FakeEmbedder().embed(["b"]))
    assert inner.embedded == ["a", "b"]
    assert (await embedder.aembed([])).shape[0] == 0


@pytest.mark.parametrize("max_entries", [0, -1, True, 1.5, None])
def test_wrong_max_entries_is_refused(max_entries):
    with pytest.raises(ConfigError, match="max_entries"):
        CachingEmbedder(FakeEmbedder(), max_entries=max_entries)


class Recovering(FakeEmbedder):
    """Gives one text bad numbers the first time."""

    def __init__(self, bad: float) -> None:
        super().__init__()
        self._bad = bad

    def embed(self, texts: Sequence[str]) -> FloatArray:
        vectors = super().embed(texts)
        if self.batches == 1:
            vectors[0] = self._bad
        return vectors


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
def test_vector_that_is_zero_or_not_finite_is_not_kept(bad: float) -> None:
    inner = Recovering(bad)
    embedder = CachingEmbedder(inner, max_entries=10)
    assert np.array_equal(embedder.embed(["a", "b"])[0], np.full(inner.dimension, bad), equal_nan=True)
    assert np.array_equal(embedder.embed(["a", "b"]), FakeEmbedder().embed(["a", "b"]))
    assert inner.embedded == ["a", "b", "a"]


def test_lists_of_numbers_are_vectors_too() -> None:
    class Lists(FakeEmbedder):
        def embed(self, texts: Sequence[str]) -> Any:
            return super().embed(texts).tolist()

    assert np.array_equal(CachingEmbedder(Lists(), max_entries=9).embed(["a"]), FakeEmbedder().embed(["a"]))


@pytest.mark.parametrize("given", [[["x"]], [[1.0, 2.0], [1.0]], None, [None]])
def test_what_is_no_row_of_numbers_each_is_an_error(given: Any) -> None:
    class Odd(FakeEmbedder):
        def embed(self, texts: Sequence[str]) -> Any:
            return given

    with pytest.raises(EmbedderError):
        CachingEmbedder(Odd(), max_entries=9).embed(["a", "b"])
