"""The promise of the adaptive policy over simulated traffic of many kinds: wrong hits within the budget in at least 95
of 100 runs, whatever the scores are worth and whenever that changes."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from llmcache_plugins.matching.learner import LOAN, Learner
from llmcache_plugins.matching.trust import NEVER

Traffic = Callable[[Random, float], tuple[float, float]]
"""Of a request: the score of its candidate, and how likely that is wrong. The number is the share of the run so far."""

RATE, RUNS = 0.05, 20
REQUESTS = int(1.5 * LOAN / RATE)


def sloped(steep: float) -> Traffic:
    def traffic(coin: Random, over: float) -> tuple[float, float]:
        score = coin.random()
        return score, min(1.0, steep * (1.0 - score))

    return traffic


def flat(wrong: float) -> Traffic:
    return lambda coin, over: (coin.random(), wrong)


def changing(first: Traffic, then: Traffic, at: float) -> Traffic:
    return lambda coin, over: (first if over < at else then)(coin, over)


def upside_down(coin: Random, over: float) -> tuple[float, float]:
    score = coin.random()
    return score, 0.5 * score


def in_bursts(coin: Random, over: float) -> tuple[float, float]:
    return coin.random(), 0.8 if int(over * 40) % 7 == 0 else 0.0


KINDS: dict[str, Traffic] = {
    "good": sloped(0.1),
    "middling": sloped(1.0),
    "bad": sloped(3.0),
    "rarely wrong": flat(0.02),
    "at the budget": flat(0.05),
    "often wrong": flat(0.3),
    "always wrong": flat(1.0),
    "worse scores for better matches": upside_down,
    "turns bad": changing(sloped(0.05), flat(0.5), 0.5),
    "turns all wrong": changing(flat(0.0), flat(1.0), 0.5),
    "turns all wrong at the end": changing(flat(0.0), flat(1.0), 0.8),
    "slips": changing(flat(0.0), flat(0.1), 0.4),
    "turns good": changing(flat(0.5), sloped(0.1), 0.3),
    "bursts": in_bursts,
}


def run(traffic: Traffic, seed: int, prior: float) -> tuple[int, int, float]:
    """Wrong hits, hits, and the most that the wrong ones were ever over what is allowed."""
    coin, one = Random(seed), Learner(RATE, prior, 0.05, Random(seed + 1000))
    wrong = hits = 0
    over = -LOAN
    for number in range(REQUESTS):
        one.count(("tenant",))
        if coin.random() < 0.4:
            continue  # nothing is near
        score, chance_of_wrong = traffic(coin, number / REQUESTS)
        is_wrong, entry = coin.random() < chance_of_wrong, f"entry {coin.randrange(200)}"
        one.saw(score)
        chance, fate = 1.0, "leave"
        if score >= one.threshold(("tenant",)):
            fate, chance = one.weigh(entry, score)
        if fate == "serve":
            wrong, hits = wrong + is_wrong, hits + 1
        else:
            one.learn(("tenant",), entry, score, chance, not is_wrong)
        over = max(over, wrong - max(LOAN, RATE * (number + 1)))
    return wrong, hits, over


@pytest.mark.parametrize("prior", [0.8, NEVER])
@pytest.mark.parametrize("kind", KINDS)
def test_wrong_hits_stay_within_the_budget(kind: str, prior: float) -> None:
    runs = [run(KINDS[kind], seed, prior) for seed in range(RUNS)]
    assert sum(wrong > RATE * REQUESTS for wrong, _, _ in runs) <= 0.05 * RUNS
    assert sum(over > 0.0 for _, _, over in runs) <= 0.05 * RUNS  # at no moment of the run


@pytest.mark.parametrize("prior", [0.8, NEVER])
def test_good_traffic_is_served(prior: float) -> None:
    assert all(hits > 0.15 * REQUESTS for _, hits, _ in (run(KINDS["good"], seed, prior) for seed in range(3)))
