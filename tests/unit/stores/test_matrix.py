from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from llmcache_plugins.errors import StoreError
from llmcache_plugins.stores import matrix, scanning
from llmcache_plugins.stores.matrix import VectorIndex, as_vector
from llmcache_plugins.stores.segments import SEGMENT_ROWS
from llmcache_plugins.testing.store_contract import make_vector
from llmcache_plugins.types import FloatArray


def unit_rows(count: int, dimension: int = 16, seed: int = 0) -> FloatArray:
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def filled(rows: FloatArray, *, prefilter_from: int = 10**9) -> VectorIndex:
    index = VectorIndex(rows.shape[1], prefilter_from=prefilter_from)
    for number, row in enumerate(rows):
        index.put("scope", str(number), row, expires_at=None, order=number)
    return index


def keys(index: VectorIndex, query: FloatArray, *, limit: int = 5, now: float = 0.0, scope: str = "scope") -> list[str]:
    return [match.key for match in index.search(scope, query, limit=limit, now=now)]


def brute_force(rows: FloatArray, query: FloatArray, limit: int) -> list[str]:
    return [str(number) for number in np.argsort(-(rows.astype(np.float64) @ query), kind="stable")[:limit]]


def test_scope_of_several_segments_finds_what_brute_force_finds() -> None:
    rows = unit_rows(2 * SEGMENT_ROWS + 100)
    index = filled(rows)
    for number in (0, SEGMENT_ROWS - 1, SEGMENT_ROWS, len(rows) - 1):
        assert keys(index, rows[number], limit=3) == brute_force(rows, rows[number], 3)
    assert index.nbytes == 3 * SEGMENT_ROWS * (16 * 4 + 8)


def test_scope_shrinks_back_and_gives_its_segments_back() -> None:
    rows = unit_rows(2 * SEGMENT_ROWS + 100)
    index = filled(rows)
    for number in range(len(rows) - 1):
        assert index.remove("scope", str(number))
    assert keys(index, rows[-1]) == [str(len(rows) - 1)]
    assert index.nbytes == SEGMENT_ROWS * (16 * 4 + 8)
    index.remove("scope", str(len(rows) - 1))
    assert (len(index), index.nbytes) == (0, 0)
    assert not index.remove("scope", "0")


def test_very_many_tiny_scopes_share_segments() -> None:
    rows = unit_rows(5000)
    index = VectorIndex(16)
    for number, row in enumerate(rows):
        index.put(f"scope {number}", "only", row, expires_at=None, order=number)
    assert index.nbytes == 2 * SEGMENT_ROWS * (16 * 4 + 8)
    found = index.search("scope 4321", rows[4321], limit=5, now=0.0)
    assert [(match.key, match.order) for match in found] == [("only", 4321)]
    assert found[0].similarity == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("dimension", [16, 64, 100])
def test_prefilter_finds_what_the_exact_scan_finds(dimension: int) -> None:
    rows = unit_rows(SEGMENT_ROWS + 700, dimension)
    rows[1::2] = 0.95 * rows[::2] + 0.3 * unit_rows(len(rows) // 2, dimension, seed=1)  # pairs of neighbours
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    index = filled(rows, prefilter_from=1000)
    for number in range(0, len(rows), 300):
        assert keys(index, rows[number], limit=2) == brute_force(rows, rows[number], 2)


def test_prefilter_follows_removals_and_leaves_out_expired_rows() -> None:
    rows = unit_rows(600)
    index = filled(rows, prefilter_from=100)
    for number in range(0, 600, 2):
        index.remove("scope", str(number))
    for number in range(1, 400, 2):
        index.put("scope", str(number), rows[number], expires_at=10.0, order=number)
    assert "7" in keys(index, rows[7], limit=1, now=9.0)
    assert keys(index, rows[7], limit=1, now=10.0) != ["7"]
    left = [int(key) for key in keys(index, rows[7], limit=600, now=10.0)]
    assert sorted(left) == list(range(401, 600, 2))
    for number in range(401, 600, 2):
        index.put("scope", str(number), rows[number], expires_at=10.0, order=number)
    assert keys(index, rows[7], now=10.0) == []


def test_equal_vectors_tie_wherever_they_lie() -> None:
    """The last rows of a block go through another kernel; their similarities must not differ for that."""
    row = unit_rows(1, 384)[0]
    index = filled(np.repeat(row[None], 1029, axis=0))
    query = unit_rows(1, 384, seed=1)[0]
    found = index.search("scope", query, limit=1029, now=0.0)
    assert [match.key for match in found] == [str(number) for number in range(1029)]
    assert len({match.similarity for match in found}) == 1


def test_order_is_the_insertion_number_not_the_place() -> None:
    index = VectorIndex(8)
    for order in (3, 1, 2):
        index.put("scope", str(order), make_vector(0.5), expires_at=None, order=order)
    assert keys(index, make_vector(0.0), limit=2) == ["1", "2"]


def test_float64_query_is_cast() -> None:
    index = filled(unit_rows(10))
    assert keys(index, unit_rows(10)[3].astype(np.float64), limit=1) == ["3"]


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((1, 16)), np.full(16, math.nan), np.full(16, math.inf), []])
def test_bad_vectors_are_store_errors(bad: FloatArray) -> None:
    index = filled(unit_rows(2))
    with pytest.raises(StoreError, match="vector"):
        index.put("scope", "bad", bad, expires_at=None, order=9)
    with pytest.raises(StoreError, match="vector"):
        index.search("scope", bad, limit=1, now=0.0)
    assert len(index) == 2


def test_as_vector_copies_nothing_it_need_not() -> None:
    vector = make_vector(0.1)
    assert as_vector(vector) is vector


class _DuringScan:
    """Calls `action` in the middle of the next scans: after the rows were read, before they are resolved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, index: VectorIndex, action: Callable[[int], object]) -> None:
        self.scans = 0
        scan: Any = matrix.nearest

        def scan_then_act(*arguments: object) -> object:
            result = scan(*arguments)
            self.scans += 1
            if not index._lock.locked():
                action(self.scans)
            return result

        monkeypatch.setattr(matrix, "nearest", scan_then_act)


def test_row_replaced_during_the_scan_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    index = VectorIndex(8)
    index.put("scope", "a", make_vector(0.0), expires_at=None, order=1)
    index.put("scope", "b", make_vector(0.5), expires_at=None, order=2)
    during = _DuringScan(
        monkeypatch, index, lambda scan: index.put("scope", "a", make_vector(1.5), expires_at=None, order=3)
    )
    assert keys(index, make_vector(0.0), limit=1) == ["b"]
    assert during.scans == 2


def test_row_removed_during_the_scan_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    index = VectorIndex(8)
    for number in range(4):
        index.put("scope", str(number), make_vector(number * 0.1), expires_at=None, order=number)
    _DuringScan(monkeypatch, index, lambda scan: index.remove("scope", "0"))
    assert keys(index, make_vector(0.0), limit=2) == ["1", "2"]


def test_block_reused_by_another_scope_during_the_scan_gives_no_foreign_key(monkeypatch: pytest.MonkeyPatch) -> None:
    index = VectorIndex(8)
    index.put("scope", "mine", make_vector(0.2), expires_at=None, order=1)

    def take_the_block(scan: int) -> None:
        index.remove("scope", "mine")
        index.put("other", "theirs", make_vector(0.0), expires_at=None, order=2)

    _DuringScan(monkeypatch, index, take_the_block)
    assert keys(index, make_vector(0.0)) == []


def test_scope_that_never_rests_is_read_under_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    index = VectorIndex(8)
    index.put("scope", "a", make_vector(0.0), expires_at=None, order=0)
    during = _DuringScan(
        monkeypatch, index, lambda scan: index.put("scope", "a", make_vector(scan * 0.5), expires_at=None, order=scan)
    )
    (match,) = index.search("scope", make_vector(0.0), limit=1, now=0.0)
    assert match.similarity == pytest.approx(math.cos(1.0), abs=1e-5)
    assert during.scans == matrix._ATTEMPTS


def test_threads_never_get_a_foreign_pair() -> None:
    """Rows are put and removed while others search: key, order and similarity always belong together."""
    index = VectorIndex(8, prefilter_from=24)
    stop = threading.Event()
    failures: list[str] = []

    def write(seed: int) -> None:
        random = np.random.default_rng(seed)
        while not stop.is_set():
            scope, number = int(random.integers(3)), int(random.integers(40))
            if random.random() < 0.4:
                index.remove(str(scope), f"{scope}/{number}")
            else:
                vector = make_vector(number * 0.01, 1 + scope)
                index.put(str(scope), f"{scope}/{number}", vector, expires_at=None, order=number)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(2)]
    for writer in writers:
        writer.start()
    random = np.random.default_rng(9)
    for _ in range(1500):
        scope, at = int(random.integers(3)), int(random.integers(40))
        for match in index.search(str(scope), make_vector(at * 0.01, 1 + scope), limit=3, now=0.0):
            if (
                match.key != f"{scope}/{match.order}"
                or abs(match.similarity - math.cos((at - match.order) * 0.01)) > 1e-4
            ):
                failures.append(f"{scope} {at}: {match}")
    stop.set()
    for writer in writers:
        writer.join()
    assert failures == []


def filled_at_once(rows: FloatArray, **given: Any) -> VectorIndex:
    index = VectorIndex(rows.shape[1], **given)
    never = np.full(len(rows), math.inf)
    names = [str(number) for number in range(len(rows))]
    third = len(rows) // 3
    for part in (slice(0, third), slice(third, len(rows))):
        index.load("scope", names[part], rows[part], never[part], list(range(len(rows)))[part])
    return index


@pytest.mark.parametrize("count", [1, 7, 600, SEGMENT_ROWS, 2 * SEGMENT_ROWS + 100])
@pytest.mark.parametrize("prefilter_from", [500, 10**9])
def test_rows_loaded_at_once_are_those_put_one_by_one(count: int, prefilter_from: int) -> None:
    rows = unit_rows(count, 64)
    one_by_one = filled(rows, prefilter_from=prefilter_from)
    at_once = filled_at_once(rows, prefilter_from=prefilter_from)
    assert len(at_once) == at_once.count("scope") == count
    for number in {0, count // 3, count - 1}:
        wanted = one_by_one.search("scope", rows[number], limit=5, now=0.0)
        assert at_once.search("scope", rows[number], limit=5, now=0.0) == wanted
    for index in (one_by_one, at_once):
        index.put("scope", "new", rows[0], expires_at=None, order=count)
        assert index.remove("scope", str(count // 2))
        assert keys(index, rows[count // 2], limit=1) != [str(count // 2)]
    wanted = one_by_one.search("scope", rows[0], limit=4, now=0.0)
    assert at_once.search("scope", rows[0], limit=4, now=0.0) == wanted


def test_rows_loaded_at_once_expire() -> None:
    rows = unit_rows(4)
    index = VectorIndex(16)
    index.load("scope", list("abcd"), rows, np.array([5.0, math.inf, 7.0, math.inf]), [1, 2, 3, 4])
    assert sorted(keys(index, rows[0], now=4.0)) == list("abcd")
    assert sorted(keys(index, rows[0], now=5.0)) == list("bcd")
    assert sorted(keys(index, rows[0], now=7.0)) == list("bd")


@pytest.mark.parametrize("count", [40, 3000, 9000])
def test_small_numbers_find_the_same_neighbours(count: int) -> None:
    rows = unit_rows(count, 384)
    index = filled_at_once(rows, precision="int8")
    # A quarter of the memory: a byte for each number, and for each row its factor and its end.
    assert index.nbytes == -(-count // SEGMENT_ROWS) * SEGMENT_ROWS * (384 + 4 + 8)
    for number in range(0, count, count // 10):
        near = 0.8 * rows[number] + 0.6 * unit_rows(1, 384, seed=number + 1)[0]
        (match,) = index.search("scope", near, limit=1, now=0.0)
        assert match.key == str(number)
        assert match.similarity == pytest.approx(float(rows[number] @ near), abs=0.003)


def test_a_row_of_zeros_is_no_trouble_for_small_numbers() -> None:
    index = VectorIndex(4, precision="int8")
    index.put("scope", "zeros", np.zeros(4, np.float32), expires_at=None, order=1)
    index.put("scope", "other", np.array([0, 1, 0, 0], np.float32), expires_at=None, order=2)
    found = index.search("scope", np.array([0, 1, 0, 0], np.float32), limit=2, now=0.0)
    assert [(match.key, match.similarity) for match in found] == [("other", pytest.approx(1.0)), ("zeros", 0.0)]


def test_first_signs_lead_to_what_all_signs_find(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = unit_rows(3 * SEGMENT_ROWS, 384)
    index = filled_at_once(rows, precision="int8", prefilter_from=1000)
    for number in range(0, len(rows), 4):
        index.put("scope", str(number), rows[number], expires_at=10.0, order=number)
    asked = [0.85 * rows[number] + 0.5 * unit_rows(1, 384, seed=number)[0] for number in range(1, len(rows), 500)]
    all_signs = [index.search("scope", query, limit=1, now=10.0) for query in asked]
    monkeypatch.setattr(scanning, "COARSE_FROM", 1)
    monkeypatch.setattr(scanning, "_COARSE_LEAST", 200)
    monkeypatch.setattr(scanning, "_RERANKED", 20)
    assert [index.search("scope", query, limit=1, now=10.0) for query in asked] == all_signs
    assert keys(index, rows[400], limit=1, now=9.0) == ["400"]
    assert keys(index, rows[400], limit=1, now=10.0) != ["400"]


def test_rows_that_are_all_alike_are_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "COARSE_FROM", 1)
    monkeypatch.setattr(scanning, "_COARSE_LEAST", 40)
    monkeypatch.setattr(scanning, "_RERANKED", 5)
    rows = np.repeat(unit_rows(1, 384), 3000, axis=0)
    index = filled_at_once(rows, prefilter_from=1000)
    assert keys(index, rows[0], limit=3) == ["0", "1", "2"]
