"""A rate holds in every second, wherever it begins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins.policies.rate import RateLimit


@given(
    st.sampled_from([0.2, 0.5, 1.0, 2.5, 3.0, 10.0]),
    st.lists(st.floats(0.0, 3.0), max_size=200),
)
def test_no_window_holds_more_than_the_rate(rate: float, gaps: list[float]) -> None:
    limit, now, granted = RateLimit(rate), 0.0, list[float]()
    for gap in gaps:
        now += gap
        if limit.take(now):
            granted.append(now)
    most = max(1, int(rate))
    for first, later in zip(granted, granted[most:], strict=False):
        assert later - first >= most / rate - 1e-9


def test_who_waits_as_long_as_told_gets_one() -> None:
    limit = RateLimit(2.0)
    assert limit.take(0.0)
    assert limit.take(0.25)
    assert not limit.take(0.5)
    assert limit.wait_for(0.5) == pytest.approx(0.5)
    assert limit.take(1.0)


def test_time_without_questions_is_not_saved_up() -> None:
    limit = RateLimit(3.0)
    assert sum(limit.take(1000.0) for _ in range(10)) == 3
