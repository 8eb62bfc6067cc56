"""Which stored answers may serve a request with other parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmcache_plugins import ConfigError, Entry, Request, Usage
from llmcache_plugins.policies.tolerance import Tolerance

TOLERANCE = Tolerance({"temperature": 0.2, "max_tokens": 0.3})


def stored(output_tokens: int = 50, finish_reason: str | None = "stop", **params: Any) -> Entry:
    return Entry(
        scope="s",
        key="k",
        normalised_key="n",
        namespace=(),
        text="q",
        answer_json='"a"',
        created_at=0.0,
        expires_at=None,
        usage=Usage(output_tokens=output_tokens),
        finish_reason=finish_reason,
        tolerant=TOLERANCE.split(params)[1],
    )


def asked(**params: Any) -> Request:
    return Request("q", params=params)


@pytest.mark.parametrize(
    ("request_", "entry", "is_tolerated"),
    [
        (asked(temperature=0.5), stored(temperature=0.3), True),  # exactly 0.2, but for rounding
        (asked(temperature=0.1), stored(temperature=0.3), True),
        (asked(temperature=0.1), stored(temperature=0.31), False),
        (asked(temperature=0.1), stored(), False),
        (asked(), stored(temperature=0.1), False),
        (asked(max_tokens=100), stored(max_tokens=130), True),
        (asked(max_tokens=100), stored(max_tokens=131), False),
        (asked(max_tokens=1000), stored(max_tokens=700), True),
        (asked(max_tokens=1000), stored(max_tokens=699), False),
        (asked(max_completion_tokens=100), stored(max_completion_tokens=120), True),
        (asked(temperature=0.1, max_tokens=100), stored(temperature=0.2, max_tokens=110), True),
        (asked(temperature=0.1, max_tokens=100), stored(temperature=0.9, max_tokens=100), False),
    ],
)
def test_parameters_are_near_or_not(request_: Request, entry: Entry, is_tolerated: bool) -> None:
    assert TOLERANCE.tolerates(request_, entry) is is_tolerated


def test_tolerance_is_measured_at_the_candidate_not_along_a_chain() -> None:
    assert TOLERANCE.tolerates(asked(temperature=0.3), stored(temperature=0.1))
    assert TOLERANCE.tolerates(asked(temperature=0.5), stored(temperature=0.3))
    assert not TOLERANCE.tolerates(asked(temperature=0.5), stored(temperature=0.1))


@pytest.mark.parametrize(
    "entry",
    [
        stored(output_tokens=101, max_tokens=120),  # would have been cut off
        stored(output_tokens=0, max_tokens=120),  # of unknown length
        stored(finish_reason=None, max_tokens=120),
        stored(finish_reason="length", max_tokens=120),
    ],
)
def test_an_answer_that_the_asked_limit_might_have_cut_off_is_not_served(entry: Entry) -> None:
    assert not TOLERANCE.tolerates(asked(max_tokens=100), entry)
    assert TOLERANCE.tolerates(asked(max_tokens=120), entry)  # under its own limit it is what it is


def test_only_numbers_leave_the_scope() -> None:
    params = {"temperature": 0.2, "max_tokens": "default", "top_p": 0.9, "stop": ["."]}
    strict, near = TOLERANCE.split(params)
    assert near == {"temperature": 0.2}
    assert strict == {"max_tokens": "default", "top_p": 0.9, "stop": ["."]}
    assert TOLERANCE.split({"temperature": True, "max_tokens": float("nan")})[1] == {}


def test_without_a_tolerance_nothing_leaves_the_scope() -> None:
    assert Tolerance().split({"temperature": 0.2}) == ({"temperature": 0.2}, {})
    assert Tolerance().tolerates(asked(temperature=0.2), replace(stored(), tolerant={}))


@pytest.mark.parametrize(
    "widths", [{"temprature": 0.2}, {"temperature": 0}, {"temperature": -1}, {"max_tokens": 1}, {"top_p": True}, 0.2]
)
def test_widths_that_mean_nothing_are_refused(widths: Any) -> None:
    with pytest.raises(ConfigError, match="tolerance"):
        Tolerance(widths)
