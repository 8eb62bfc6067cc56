"""Vectors that outlive the process."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from llmcache_plugins import ConfigError, open_cache
from llmcache_plugins.embedders import VectorCacheFile, caching
from llmcache_plugins.protocols import AsyncEmbedder
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.types import FloatArray


def digest(number: int) -> bytes:
    return number.to_bytes(20, "big")


def vector(number: int) -> FloatArray:
    return np.array([number, 1.5, -2.25], np.float32)


def vectors(*numbers: int) -> dict[bytes, FloatArray]:
    return {digest(number): vector(number) for number in numbers}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "vectors.db"


@pytest.fixture
def file(path: Path) -> Iterator[VectorCacheFile]:
    file = VectorCacheFile(path, max_entries=10)
    yield file
    file.close()


def known(file: VectorCacheFile, *numbers: int, embedder_id: str = "e") -> set[int]:
    found = file.get(embedder_id, [digest(number) for number in numbers])
    return {number for number in numbers if digest(number) in found}


# ---------------------------------------------------------------- the file
def test_vectors_come_back_bit_for_bit_in_the_next_run(file: VectorCacheFile, path: Path) -> None:
    file.put("e", vectors(1, 2))
    file.close()
    again = VectorCacheFile(path)
    found = again.get("e", [digest(1), digest(3), digest(2)])
    again.close()
    assert set(found) == {digest(1), digest(2)}
    assert found[digest(2)].dtype == np.float32
    np.testing.assert_array_equal(found[digest(2)], vector(2))


def test_embedders_do_not_share_vectors(file: VectorCacheFile) -> None:
    file.put("e", vectors(1))
    file.put("f", {digest(1): vector(9)})
    assert known(file, 1, embedder_id="g") == set()
    np.testing.assert_array_equal(file.get("e", [digest(1)])[digest(1)], vector(1))
    np.testing.assert_array_equal(file.get("f", [digest(1)])[digest(1)], vector(9))


def test_those_used_longest_ago_go_first(file: VectorCacheFile) -> None:
    for number in range(10):
        file.put("e", vectors(number))
    assert known(file, 0, 2) == {0, 2}  # reads count as use
    for number in range(10, 13):
        file.put("e", vectors(number))
    assert known(file, *range(13)) == set(range(13)) - {1, 3, 4}


def test_a_batch_larger_than_one_question_is_found(path: Path) -> None:
    file = VectorCacheFile(path, max_entries=5000)
    numbers = range(2100)
    file.put("e", vectors(*numbers))
    assert known(file, *numbers) == set(numbers)
    file.close()


def test_texts_are_not_in_the_file(path: Path) -> None:
    file = VectorCacheFile(path)
    caching(FakeEmbedder(), 10, file).embed(["a secret question"])
    file.close()
    assert b"secret" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0  # nobody else's to read


def test_a_vector_with_bad_bytes_is_not_known(file: VectorCacheFile, path: Path) -> None:
    file.put("e", vectors(1, 2))
    file.close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE vectors SET vector = x'00000000' WHERE digest = ?", (digest(1),))
    connection.commit()
    connection.close()
    assert known(file, 1, 2) == {2}


def test_a_damaged_file_is_an_empty_one_and_is_begun_anew(
    file: VectorCacheFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.put("e", vectors(*range(10)))
    file.close()
    content = bytearray(path.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    path.write_bytes(bytes(content))
    assert known(file, 1) == set()
    file.put("e", vectors(1))
    assert known(file, 1) == {1}
    assert caplog.text.count("begun anew") == 1


@pytest.mark.parametrize("content", [b"a letter to my aunt", b"SQLite format 3\0" + bytes(200)])
def test_a_file_of_somebody_else_is_left_as_it_is(
    content: bytes, path: Path, file: VectorCacheFile, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    file.put("e", vectors(1))
    assert known(file, 1) == set()
    assert path.read_bytes() == content
    assert caplog.text.count("left as it is") == 1


def test_a_database_of_somebody_else_is_left_as_it_is(path: Path, file: VectorCacheFile) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE letters (text)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    file.put("e", vectors(1))
    assert path.read_bytes() == before


def test_a_file_of_a_later_version_is_left_as_it_is(path: Path, file: VectorCacheFile) -> None:
    file.put("e", vectors(1))
    file.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert known(file, 1) == set()


def test_a_file_that_cannot_be_made_costs_nothing_but_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "no folder").write_text("")
    file = VectorCacheFile(tmp_path / "no folder" / "vectors")
    file.put("e", vectors(1))
    assert known(file, 1) == set()
    assert caplog.text.count("cannot be used") == 1


def test_another_process_finds_what_this_one_wrote_while_both_have_it_open(file: VectorCacheFile, path: Path) -> None:
    file.put("e", vectors(1))
    code = (
        "import sys, numpy as np; from llmcache_plugins.embedders import VectorCacheFile\n"
        "file = VectorCacheFile(sys.argv[1], max_entries=10); key = (1).to_bytes(20, 'big')\n"
        "assert key in file.get('e', [key]); file.put('e', {(2).to_bytes(20, 'big'): np.ones(3, np.float32)})\n"
        "file.close()"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert known(file, 1, 2) == {1, 2}


def test_a_forked_child_uses_the_file_and_leaves_the_parent_s_alone(file: VectorCacheFile) -> None:
    file.put("e", vectors(1))
    child = os.fork()
    if child == 0:  # nothing of the test runs twice: the child leaves without a word
        code = 1
        try:
            code = 0 if known(file, 1) == {1} else 2
            file.put("e", vectors(2))
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert known(file, 1, 2) == {1, 2}
    file.put("e", vectors(3))
    assert known(file, 3) == {3}


def test_many_threads_share_it(path: Path) -> None:
    file = VectorCacheFile(path, max_entries=1000)

    def work(start: int) -> None:
        for number in range(start, start + 20):
            file.put("e", vectors(number))
            assert known(file, number) == {number}

    threads = [threading.Thread(target=work, args=(100 * place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(known(file, *range(800))) == 160
    file.close()


def test_it_holds_at_least_one() -> None:
    with pytest.raises(ConfigError, match="max_entries"):
        VectorCacheFile("x", max_entries=0)


# ---------------------------------------------------------------- behind an embedder
class Awaited(FakeEmbedder):
    """An embedder with a coroutine of its own."""

    async def aembed(self, texts: Sequence[str]) -> FloatArray:
        return self.embed(texts)


def test_a_second_run_embeds_only_what_is_new(path: Path) -> None:
    texts = ["one", "two", "two"]
    first = caching(FakeEmbedder(), 10, VectorCacheFile(path))
    expected = first.embed(texts)
    first.close()  # type: ignore[attr-defined]
    inner = FakeEmbedder()
    second = caching(inner, 10, VectorCacheFile(path))
    np.testing.assert_array_equal(second.embed(["two", "three", "one"])[[2, 0, 0]], expected)
    assert inner.embedded == ["three"]
    second.close()  # type: ignore[attr-defined]


def test_an_awaited_embedder_has_the_file_too(path: Path) -> None:
    async def run() -> list[str]:
        inner = Awaited()
        embedder = caching(inner, 10, VectorCacheFile(path))
        assert isinstance(embedder, AsyncEmbedder)
        await embedder.aembed(["one", "two"])
        embedder.close()  # type: ignore[attr-defined]
        return inner.embedded

    assert asyncio.run(run()) == ["one", "two"]
    assert asyncio.run(run()) == []


def test_what_is_not_a_vector_is_not_kept(path: Path) -> None:
    class Broken(FakeEmbedder):
        def embed(self, texts: Sequence[str]) -> FloatArray:
            return np.zeros((len(texts), 64), np.float32)

    broken = caching(Broken(), 10, VectorCacheFile(path))
    broken.embed(["one"])
    broken.close()  # type: ignore[attr-defined]
    inner = FakeEmbedder()
    well = caching(inner, 10, VectorCacheFile(path))
    well.embed(["one"])
    assert inner.embedded == ["one"]
    well.close()  # type: ignore[attr-defined]


def test_a_cache_keeps_vectors_from_run_to_run(path: Path) -> None:
    for run in range(2):
        inner = FakeEmbedder()
        with open_cache(
            "memory://", embedder=inner, embedding_cache_file=path, similarity_threshold=0.9, use_guards=False
        ) as cache:
            cache.update("a question", "x")
            cache.lookup("another question")
        assert (inner.embedded == []) is (run == 1)


def test_a_file_needs_a_cache_in_memory_before_it() -> None:
    with pytest.raises(ConfigError, match="embedding_cache_entries"):
        open_cache("memory://", embedder=None, embedding_cache_file="x", embedding_cache_entries=0)


def test_a_loop_goes_on_while_another_thread_waits_for_the_disk(file: VectorCacheFile) -> None:
    file.put("e", vectors(1))
    held, goes_on = threading.Event(), threading.Event()
    waited: list[bool] = []

    def hold() -> None:
        with file._lock:
            held.set()
            waited.append(goes_on.wait(5.0))

    async def run() -> set[bytes]:
        reading = asyncio.create_task(file.aget("e", [digest(1)]))
        await asyncio.sleep(0)
        goes_on.set()
        return set(await reading)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(5.0)
    assert asyncio.run(run()) == {digest(1)}
    holder.join()
    assert waited == [True]
