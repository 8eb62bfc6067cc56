"""Many of everything: entries of one tenant, keys, labels, requests that only cost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmcache_plugins import Hit, Request, open_cache
from llmcache_plugins.keys.fingerprint import fingerprint, identify
from llmcache_plugins.testing import FakeClock


def left_of(url: str, *, hours_unread: float = 0.0) -> int:
    """Of 100 answers that a tenant read once: how many outlast fifteen times as many of another tenant."""
    clock = FakeClock()
    with open_cache(url, embedder=None, max_entries=500, maintenance="manual", clock=clock) as cache:
        mine = [Request(f"question {number}", namespace=("b",)) for number in range(100)]
        for request in mine:
            cache.update(request, "x")
            cache.lookup(request)
        clock.advance(hours_unread * 3600.0)
        cache.maintain()
        for number in range(1500):
            cache.update(Request(f"flood {number}", namespace=("a",)), "x")
        assert cache.stats().entries <= 500
        return sum(isinstance(cache.lookup(request), Hit) for request in mine)


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_what_was_read_within_the_hour_outlasts_a_flood(kind: str, tmp_path: Path) -> None:
    url = "memory://" if kind == "memory" else f"disk://{tmp_path / 'c.db'}"
    assert left_of(url) == 100


def test_what_was_not_is_pushed_out() -> None:
    """There is no limit by tenant: docs/security.md says what to do about it."""
    assert left_of("memory://", hours_unread=2.0) == 0


def test_entries_of_two_tenants_with_stores_of_their_own_do_not_meet(tmp_path: Path) -> None:
    with open_cache("memory://", embedder=None, max_entries=50) as mine:
        mine.update("q", "a")
        with open_cache("memory://", embedder=None, max_entries=50) as flooded:
            for number in range(500):
                flooded.update(f"flood {number}", "x")
        assert isinstance(mine.lookup("q"), Hit)


def test_keys_are_cryptographic_digests_of_all_their_parts() -> None:
    """160 bits of BLAKE2b: colliding texts cannot be made, and Python's own tables salt the hashes of strings."""
    assert re.fullmatch("[0-9a-f]{40}", fingerprint(b"a"))
    same_length = [f"{number:08d}" for number in range(20_000)]
    assert len({identify(Request(text)).key for text in same_length}) == len(same_length)
    cut_otherwise = {fingerprint(*parts) for parts in ((b"a", b"bc"), (b"ab", b"c"), (b"abc",), (b"abc", b""))}
    assert len(cut_otherwise) == 4
    joined = [Request("q", namespace=("a", "b")), Request("q", namespace=("a,b",)), Request("q", namespace=('a","b',))]
    assert len({identify(request).scope for request in joined}) == 3


@pytest.mark.parametrize("name", ["namespaces", "query_types", "models"])
def test_labels_of_statistics_are_bounded(name: str) -> None:
    with open_cache("memory://", embedder=None, maintenance="manual") as cache:
        for number in range(3000):
            cache.lookup(
                Request("q", namespace=(f"n{number}",), query_type=f"t{number}", model=f"m{number}", provider="p")
            )
        assert len(getattr(cache.stats(), name)) <= 1100
