"""Samples over time: bounded, from the first to the latest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmcache_plugins import ConfigError
from llmcache_plugins.dashboard.history import History


def times(history: History) -> list[float]:
    return [sample["at"] for sample in history.samples()]


def test_a_long_run_is_kept_in_few_samples_evenly() -> None:
    history = History(limit=10)
    for second in range(10_000):
        history.add({"at": float(second)})
        assert len(history.samples()) <= 10
        assert times(history)[-1] == second
    gaps = [later - earlier for earlier, later in zip(times(history)[:-1], times(history)[1:-1], strict=False)]
    assert max(gaps) <= 2.5 * min(gaps)
    assert times(history)[0] < 2_500


def test_a_clock_that_is_set_back_begins_anew() -> None:
    history = History()
    for at in (10.0, 11.0, 5.0):
        history.add({"at": at})
    assert times(history) == [5.0]


@given(st.lists(st.floats(min_value=0, max_value=1e9), min_size=1), st.integers(min_value=4, max_value=20))
def test_samples_stay_in_order_and_few(gaps: list[float], limit: int) -> None:
    history, at = History(limit), 0.0
    for gap in gaps:
        at += gap
        history.add({"at": at})
    assert times(history) == sorted(times(history))
    assert len(times(history)) <= limit
    assert times(history)[-1] == at


@pytest.mark.parametrize("limit", [3, 0, True, "9", 4.0])
def test_a_limit_is_a_number(limit: object) -> None:
    with pytest.raises(ConfigError, match="limit"):
        History(limit)  # type: ignore[arg-type]
