"""The split of a roll-out: stable, even, and growing with the fraction."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.rollout import share_of

fractions = st.floats(0.0, 1.0)


@given(st.lists(st.text(), max_size=4))
def test_a_share_is_one_number_below_one(parts: list[str]) -> None:
    assert 0.0 <= share_of(*parts) < 1.0
    assert share_of(*parts) == share_of(*parts)


@given(st.text(), fractions, fractions)
def test_a_larger_fraction_only_adds(key: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert not (share_of("key", key) < low) or share_of("key", key) < high


@given(st.text(min_size=1), st.text(min_size=1))
def test_parts_do_not_run_together(one: str, other: str) -> None:
    assert share_of(one, other) != share_of(one + other)
    assert share_of("key", one) != share_of("tenant", one)


@given(st.sampled_from([0.01, 0.1, 0.5, 0.9]), st.integers(0, 10**6))
def test_the_split_is_even(fraction: float, start: int) -> None:
    number = 4000
    found = sum(share_of("key", str(start + one)) < fraction for one in range(number))
    # Six standard deviations: hundreds of examples are drawn, and none of them may fail by chance.
    assert abs(found - number * fraction) < 6 * (number * fraction * (1 - fraction)) ** 0.5


def test_the_shares_are_the_same_in_every_process_and_for_good() -> None:
    code = "from llmcache_plugins.rollout import share_of; print(share_of('key', 'abc'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == share_of("key", "abc") == SHARE


SHARE = 0.308369972007852
"""Pinned: another number would deal all keys anew, in the middle of somebody's roll-out."""
