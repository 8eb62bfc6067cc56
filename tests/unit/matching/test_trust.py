"""From which score on to serve, by what checks found wrong."""

from __future__ import annotations

from llmcache_plugins.matching.trust import NEVER, Trust

RATE = 0.01
WINDOWS = (500, 2000, 10_000)


def trust(requests: int = 0) -> Trust:
    one = Trust(WINDOWS)
    for _ in range(requests):
        one.count()
    return one


def test_without_evidence_the_prior_holds() -> None:
    assert trust().threshold(0.9, RATE) == 0.9
    assert trust().threshold(NEVER, RATE) == NEVER


def test_requests_without_a_wrong_match_lower_the_threshold() -> None:
    assert trust(100).threshold(0.9, RATE) == 0.9  # too few to tell
    assert trust(400).threshold(0.9, RATE) == 0.0
    assert trust(400).threshold(NEVER, RATE) == 0.0


def test_threshold_stays_above_what_was_wrong_too_often() -> None:
    one = trust(1000)
    for score in (0.3, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6):
        one.found_wrong(score, 1.0)
    assert 0.5 < one.threshold(NEVER, RATE) <= 0.6 + 1e-9


def test_few_wrong_matches_of_many_requests_are_within_the_rate() -> None:
    one = trust()
    for number in range(8000):
        one.count()
        if number % 400 == 0:
            one.found_wrong(0.8, 1.0)
    assert one.threshold(0.9, RATE) < 0.8


def test_prior_is_given_up_for_what_checks_found() -> None:
    one = trust(600)
    one.found_wrong(0.95, 4.0)  # of four that were served
    assert one.threshold(0.9, RATE) <= 0.95
    one.found_wrong(0.96, 4.0)
    assert 0.95 <= one.threshold(0.9, RATE) <= 0.96


def test_change_is_seen_in_a_short_window() -> None:
    one = trust(9000)
    assert one.threshold(0.9, RATE) == 0.0
    for _ in range(3):
        one.found_wrong(0.97, 4.0)
    assert one.threshold(0.9, RATE) > 0.97


def test_what_is_long_ago_is_forgotten() -> None:
    one = trust(10)
    for _ in range(300):
        one.found_wrong(0.9, 1.0)
    assert one.threshold(0.5, RATE) > 0.9
    for _ in range(WINDOWS[-1]):
        one.count()
    assert one.threshold(0.5, RATE) == 0.0


def test_memory_is_bounded() -> None:
    one = trust(10)
    for number in range(5000):
        one.found_wrong(number / 5000, 1.0)
    assert len(one._wrong) == len(one._ranked) <= 1024
    assert one._ranked == sorted(one._wrong)
