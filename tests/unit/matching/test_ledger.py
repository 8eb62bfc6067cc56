"""The bound on wrong hits that were served, from those that checks found."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest

from llmcache_plugins.matching.ledger import CLOSED, Ledger


def ledger(*, rate: float = 0.01, loan: float = 40.0) -> Ledger:
    return Ledger(rate, loan=loan)


def test_nothing_served_is_nothing_wrong() -> None:
    fresh = ledger()
    fresh.count(100)
    assert (fresh.bound, fresh.allowed, fresh.room) == (0.0, 40.0, 40.0)


def test_requests_allow_wrong_hits_beyond_the_loan() -> None:
    one = ledger()
    one.count(10_000)
    assert one.allowed == pytest.approx(100.0)


def test_check_of_what_is_not_served_owes_nothing() -> None:
    one = ledger()
    one.serve(CLOSED)
    one.found_wrong(CLOSED)
    assert one.bound == 0.0


@pytest.mark.parametrize("chance", [0.5, 0.28, 0.14, 0.055])
def test_bound_without_a_wrong_match_is_near_that_of_one_look(chance: float) -> None:
    """Looking once, k wrong hits stay unseen with (1 - q) ** k: 5 % at log(0.05) / log(1 - q). Looking at all times
    costs more, but not three times as much."""
    one = ledger()
    one.serve(chance)
    least = math.log(0.05) / math.log(1.0 - chance)
    assert least < one.bound < 3.0 * least


def test_each_wrong_match_found_stands_for_those_that_were_served() -> None:
    one = ledger()
    one.serve(0.28)
    bounds = [one.bound]
    for _ in range(20):
        one.found_wrong(0.28)
        bounds.append(one.bound)
    steps = [after - before for before, after in pairwise(bounds)]
    assert min(steps) > 0.0
    assert steps[-1] > (1 - 0.28) / 0.28  # it is never cheaper than what it stands for on the mean


def test_rarer_checks_leave_more_open() -> None:
    often, seldom = ledger(), ledger()
    often.serve(0.5)
    seldom.serve(0.1)
    assert often.bound < seldom.bound
    often.serve(0.1)  # what was served at the smaller chance counts from then on
    assert often.bound == pytest.approx(seldom.bound)


def test_chance_rises_with_what_is_found_until_nothing_is_served() -> None:
    one = ledger()
    chances = []
    for _ in range(40):
        chance = one.chance()
        chances.append(chance)
        if chance >= CLOSED:
            break
        one.serve(chance)
        one.found_wrong(chance)
    assert chances[0] < 0.5
    assert chances[-1] == CLOSED
    assert chances == sorted(chances)
    assert one.bound <= one.allowed


def test_closed_ledger_opens_when_the_requests_allow_more() -> None:
    one = ledger(rate=0.05)
    while one.chance() < CLOSED:
        one.serve(one.chance())
        one.found_wrong(one.chance())
    one.count(5_000)
    assert one.chance() < CLOSED


def test_checks_get_rarer_with_requests_and_never_stop() -> None:
    one = ledger()
    first = one.chance()
    one.count(10_000)
    later = one.chance()
    one.count(100_000_000)
    assert first > later > one.chance() > 0.0


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_bound_holds_at_every_moment_in_all_but_few_runs(rate: float) -> None:
    """Every match wrong, served as long as the ledger lets it: the worst that traffic can do."""
    broken = 0
    for seed in range(200):
        coin, one, wrong = Random(seed), ledger(rate=rate, loan=20.0), 0
        is_broken = False
        for _ in range(600):
            one.count()
            chance = one.chance()
            if chance >= CLOSED:
                continue
            one.serve(chance)
            if coin.random() < chance:
                one.found_wrong(chance)
            else:
                wrong += 1
            is_broken |= wrong > one.bound or wrong > one.allowed
        broken += is_broken
    assert broken <= 0.05 * 200
