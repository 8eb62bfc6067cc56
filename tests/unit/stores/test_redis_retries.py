"""Whether a round trip to a server is tried again, and after which pause."""

from __future__ import annotations

import pytest

pytest.importorskip("redis")

import redis

from llmcache_plugins.stores.redis.breaker import Breaker
from llmcache_plugins.stores.redis.server import Server

LOST = redis.ConnectionError("reset by peer")


def server(jitter: float = 1.0, *, retries: int = 5) -> Server:
    return Server("redis://localhost", timeout=1.0, retries=retries, jitter=lambda: jitter)


def pauses(one: Server, elapsed: float = 0.0) -> list[float | None]:
    return [one.pause_before_retry(Breaker(), LOST, tried, elapsed) for tried in range(6)]


def test_pauses_double_up_to_a_limit_and_are_a_random_part_of_that() -> None:
    assert pauses(server()) == [0.02, 0.04, 0.08, 0.16, 0.32, None]
    assert pauses(server(0.5)) == [0.01, 0.02, 0.04, 0.08, 0.16, None]
    assert pauses(server(0.0)) == [0.0] * 5 + [None]


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_no_more_often_than_was_asked_for(retries: int) -> None:
    assert [pause is not None for pause in pauses(server(retries=retries))] == [True] * retries + [False] * (
        6 - retries
    )


def test_no_try_begins_after_the_time_out() -> None:
    assert pauses(server(), elapsed=0.9) == [0.02, 0.04, 0.08, None, None, None]
    assert pauses(server(0.0), elapsed=0.999)[0] == 0.0
    assert pauses(server(0.0), elapsed=1.0) == [None] * 6


@pytest.mark.parametrize(
    "error",
    [
        redis.TimeoutError("timed out"),  # would wait as long again
        redis.AuthenticationError("wrong password"),
        redis.ResponseError("OOM"),
        OSError("no route"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_another_try_would_not_change_is_not_tried_again(error: Exception) -> None:
    assert server().pause_before_retry(Breaker(), error, 0, 0.0) is None


def test_who_is_known_to_be_away_is_not_tried_again() -> None:
    breaker = Breaker(failures=1)
    breaker.failed()
    assert server().pause_before_retry(breaker, LOST, 0, 0.0) is None
