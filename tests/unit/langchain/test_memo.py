from __future__ import annotations

from llmcache_plugins.langchain.memo import Memo


def test_a_pair_is_found_by_equality() -> None:
    memo: Memo[int] = Memo(1 << 20)
    memo.put(("prompt" * 10, "llm"), 1)
    assert memo.get(("".join(["prompt"] * 10), "llm")) == 1
    assert memo.get(("prompt", "llm" * 2)) is None


def test_the_least_recently_used_goes_when_the_bytes_are_spent() -> None:
    memo: Memo[int] = Memo(20_000)
    for n in range(8):
        memo.put((str(n), "x"), n)
        memo.get(("0", "x"))
    for n in range(8, 40):
        memo.put((str(n), "x"), n)
        memo.get(("0", "x"))
    assert memo.size_bytes <= 20_000
    assert memo.get(("0", "x")) == 0
    assert memo.get(("1", "x")) is None
    assert memo.get(("39", "x")) == 39


def test_putting_a_pair_twice_counts_once() -> None:
    memo: Memo[int] = Memo(1 << 20)
    memo.put(("a", "b"), 1)
    size = memo.size_bytes
    memo.put(("a", "b"), 2)
    assert (memo.size_bytes, len(memo), memo.get(("a", "b"))) == (size, 1, 2)


def test_a_huge_pair_is_not_kept() -> None:
    memo: Memo[int] = Memo(80_000)
    memo.put(("x" * 10_000, ""), 1)
    assert len(memo) == 0
