"""The adaptive policy in a cache: what is served, what is checked, and what comes of the checks."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest

from llmcache_plugins import Hit, Miss, open_cache
from llmcache_plugins.engine import SemanticCache
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.recorded import Event, ShadowEvent
from llmcache_plugins.testing import FakeClock, FakeEmbedder
from llmcache_plugins.types import Answer, Entry, MissReason, Request

WORDINGS = {f"{start} {number}": f"question {number}" for start in ("show", "display", "print") for number in range(80)}
SERVE, CHECK = 0.999, 0.0


class Coin(Random):
    """Always falls the same way."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self._value = value

    def random(self) -> float:
        return self._value


def toss(cache: SemanticCache, value: float) -> None:
    assert cache._shadowing is not None
    cache._shadowing.toss_with(Coin(value))


def adaptive(coin: float = SERVE, *, embedder: Any = None, **settings: Any) -> SemanticCache:
    """A cache whose embedder has no calibration, and a budget that it soon dares to use."""
    embedder = FakeEmbedder(WORDINGS) if embedder is None else embedder
    settings = {"max_error_rate": 0.5, "guards": (), **settings}
    cache = open_cache("memory://", embedder=embedder, policy="adaptive", **settings)
    toss(cache, coin)
    return cache


def settled(coin: float = SERVE, **settings: Any) -> SemanticCache:
    """One that has seen enough requests, none of them wrong, to serve what is near."""
    cache = adaptive(coin, **settings)
    for number in range(40):
        cache.lookup(f"nothing is near to this, nor to the {number} others {number * 7919}")
    return cache


def kind(cache: SemanticCache, text: str) -> str:
    """Of the hit, or the reason of the miss."""
    outcome = cache.lookup(text)
    return outcome.kind if isinstance(outcome, Hit) else outcome.reason


def test_nothing_is_served_without_evidence_or_calibration() -> None:
    with adaptive() as cache:
        cache.update("show 1", "up")
        outcome = cache.lookup("display 1")
        assert isinstance(outcome, Miss)
        assert outcome.reason is MissReason.LOW_CONFIDENCE


def test_calibrated_embedder_begins_with_its_calibration() -> None:
    with open_cache("memory://", policy="adaptive") as cache:
        toss(cache, SERVE)
        cache.update("How do I check the BGP status of rtr-001?", "It is up.")
        outcome = cache.lookup("How can I see the BGP status of rtr-001?")
        assert isinstance(outcome, Hit)
        assert outcome.kind == "semantic"
        assert isinstance(cache.lookup("How do I check the BGP status of rtr-002?"), Miss)


def test_requests_whose_answers_are_not_known_are_no_evidence() -> None:
    with adaptive() as cache:
        for number in range(80):
            cache.update(f"show {number}", "up")
            cache.lookup(f"display {number}")
        assert kind(cache, "print 1") == "low_confidence"


def test_candidate_that_was_not_served_is_compared_at_no_cost() -> None:
    with adaptive() as cache:
        cache.update("show 1", "up")
        cache.lookup("display 1")
        cache.update("display 1", "Up.")
        (learnt,) = cache.stats().adaptive
        assert (learnt.checked, learnt.near_agreed, learnt.near_differed) == (0, 1, 0)


def test_served_match_leaves_no_alias() -> None:
    """Asked again it may be checked: what was wrong once would be served for ever."""
    with settled() as cache:
        cache.update("show 1", "up")
        assert [kind(cache, "display 1") for _ in range(2)] == ["semantic", "semantic"]
        assert cache.stats().stores["memory"].aliases == 0
        toss(cache, CHECK)
        outcome = cache.lookup("display 1")
        assert isinstance(outcome, Miss)
        assert outcome.reason is MissReason.SHADOW


def test_check_that_agrees() -> None:
    with settled(CHECK) as cache:
        cache.update("show 1", "up")
        outcome = cache.lookup("display 1")
        assert isinstance(outcome, Miss)
        assert outcome.reason is MissReason.SHADOW
        assert outcome.near_misses[0].question == "show 1"
        cache.update("display 1", "up")
        (learnt,) = cache.stats().adaptive
        assert (learnt.checked, learnt.agreed, learnt.differed, learnt.unknown) == (1, 1, 0, 0)
        assert cache.stats().misses["shadow"] == 1
        assert kind(cache, "display 1") == "exact"  # its own answer from now on


def test_check_that_differs_raises_the_bound_and_the_threshold_of_the_entry() -> None:
    with settled(CHECK) as cache:
        cache.update("show 1", "The tunnel is up.")
        cache.lookup("display 1")
        before = cache.stats().adaptive[0].wrong_at_most
        cache.update("display 1", "Only the administrator may see this.")
        assert cache.finish_checks(10)
        (learnt,) = cache.stats().adaptive
        assert learnt.differed == 1
        assert before < learnt.wrong_at_most <= learnt.wrong_allowed
        cache.clear()
        cache.update("show 1", "The tunnel is up.")
        toss(cache, SERVE)
        assert isinstance(cache.lookup("display 1"), Miss)  # the entry was wrong in a match that was as sure


def test_wrong_answers_close_the_cache() -> None:
    with settled(CHECK, answers_agree=lambda fresh, stored: False) as cache:
        for number in range(60):
            cache.update(f"show {number}", "this")
            cache.lookup(f"display {number}")
            cache.update(f"display {number}", "that")
            cache.finish_checks(10)
        toss(cache, SERVE)
        cache.update("show 70", "this")
        assert isinstance(cache.lookup("display 70"), Miss)
        (learnt,) = cache.stats().adaptive
        assert learnt.wrong_at_most <= learnt.wrong_allowed


def test_identical_prompts_are_never_checked() -> None:
    with settled(CHECK) as cache:
        cache.update("show 1", "up")
        assert kind(cache, "show 1") == "exact"
        assert kind(cache, "  SHOW  1") == "normalised"
        assert cache.stats().adaptive[0].checked == 0


def test_asking_again_is_no_way_round_a_check() -> None:
    with settled(CHECK) as cache:
        cache.update("show 1", "up")
        cache.lookup("display 1")
        toss(cache, SERVE)
        outcome = cache.lookup("display 1")
        assert isinstance(outcome, Miss)
        assert outcome.reason is MissReason.SHADOW
        assert cache.stats().adaptive[0].checked == 1
        cache.update("display 1", "up")
        assert kind(cache, "print 1") == "semantic"


def test_check_whose_answer_never_comes_is_given_up() -> None:
    clock = FakeClock()
    with settled(CHECK, clock=clock) as cache:
        cache.update("show 1", "up")
        cache.lookup("display 1")
        clock.advance(1000.0)
        toss(cache, SERVE)
        assert kind(cache, "display 1") == "semantic"
        cache.lookup("print 2")
        cache.update("show 2", "down")
        cache.lookup("print 2")
        assert cache.stats().adaptive[0].checked == 1


def test_answer_that_is_not_stored_is_no_evidence() -> None:
    with settled(CHECK) as cache:
        cache.update("show 1", "up")
        cache.lookup("display 1")
        cache.update("display 1", Answer("u", finish_reason="max_tokens"))
        (learnt,) = cache.stats().adaptive
        assert (learnt.agreed, learnt.differed, learnt.unknown) == (0, 0, 1)


def test_embedder_that_fails_on_answers_is_no_evidence() -> None:
    is_down = False

    def before(texts: Sequence[str]) -> None:
        if is_down and "A long answer." in texts:
            raise RuntimeError("down")

    with settled(CHECK, embedder=FakeEmbedder(WORDINGS, before=before)) as cache:
        cache.update("show 1", "A long answer.")
        cache.lookup("display 1")
        is_down = True
        cache.update("display 1", "Another one.")
        assert cache.finish_checks(10)
        (learnt,) = cache.stats().adaptive
        assert (learnt.agreed, learnt.differed, learnt.unknown) == (0, 0, 1)
        assert cache.stats().errors["embedder"] == 1


@pytest.mark.parametrize(("said", "name"), [(True, "agreed"), (False, "differed"), (None, "unknown"), (1, "unknown")])
def test_own_comparison_of_answers(said: Any, name: str) -> None:
    heard: list[tuple[str, str]] = []

    def agree(fresh: str, stored: str) -> Any:
        heard.append((fresh, stored))
        return said

    with settled(CHECK, answers_agree=agree) as cache:
        cache.update("show 1", "old")
        cache.lookup("display 1")
        cache.update("display 1", "new")
        assert cache.finish_checks(10)
        assert heard == [("new", "old")]
        learnt = cache.stats().adaptive[0]
        assert getattr(learnt, name) == 1
        assert learnt.agreed + learnt.differed + learnt.unknown == 1
        assert cache.stats().errors == ({} if said is None or isinstance(said, bool) else {"answers_agree": 1})


def test_judge_has_the_last_word_on_answers() -> None:
    asked: list[tuple[str, str]] = []

    def judge(request: Request, entry: Entry) -> float:
        asked.append((request.text, entry.answer))
        return 0.95

    with settled(CHECK, answers_agree=lambda fresh, stored: None, judge=judge) as cache:
        cache.update("show 1", "old")
        cache.lookup("display 1")
        cache.update("display 1", "new")
        assert cache.finish_checks(10)
        assert asked == [("display 1", "old")]
        assert cache.stats().adaptive[0].agreed == 1


def test_verifier_scores_what_is_not_sure_and_its_word_is_learnt_from() -> None:
    pairs: list[tuple[str, str]] = []

    def verify(asked: Sequence[tuple[str, str]]) -> list[float]:
        pairs.extend(asked)
        return [0.9] * len(asked)

    with adaptive(verifier=verify, max_error_rate=0.05) as cache:
        cache.update("show 1", "up")
        assert kind(cache, "display 1") == "low_confidence"  # nothing was learnt yet
        cache.update("display 1", "up")
        assert pairs == [("display 1", "show 1")]
        assert cache.stats().adaptive[0].near_agreed == 1


def test_recorders_hear_of_checks() -> None:
    heard: list[Event] = []
    with settled(CHECK, recorders=[heard.append]) as cache:
        cache.update("show 1", "up")
        cache.lookup(Request("display 1"))
        cache.update("display 1", "up")
        assert [event for event in heard if isinstance(event, ShadowEvent)] == [ShadowEvent("agrees", True, ())]


def test_explain_says_what_may_be_checked_and_draws_nothing() -> None:
    with settled(CHECK) as cache:
        cache.update("show 1", "up")
        explanation = cache.explain("display 1")
        assert explanation.is_hit
        assert 0.0 < explanation.check_chance < 1.0
        assert "would be sent to the model as a check in" in str(explanation)
        assert cache.stats().adaptive[0].checked == 0
        cache.lookup("display 1")
        assert cache.explain("display 1").outcome == "miss (shadow)"
        assert "would be sent to the model as a check\n" in str(cache.explain("display 1"))


def test_explain_says_what_was_learnt() -> None:
    with adaptive() as cache:
        assert "nothing was learnt yet" in str(cache.explain("show 1"))
    with settled() as cache:
        assert "(learnt for 0.5 wrong)" in str(cache.explain("show 1"))


def test_answer_of_no_known_form_is_stored_and_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    with settled(CHECK) as cache:
        cache.update("show 1", "up")
        cache.lookup("display 1")
        assert cache._shadowing is not None

        def breaks(*answers: Any) -> bool:
            raise RecursionError

        monkeypatch.setattr(cache._shadowing.comparison, "is_equal", breaks)
        assert cache.update("display 1", "up").stored
        assert cache.finish_checks(0)
        assert cache.stats().adaptive[0].unknown == 1


async def test_checks_on_an_event_loop() -> None:
    with settled(CHECK) as cache:
        await cache.aupdate("show 1", "up")
        outcome = await cache.alookup("display 1")
        assert isinstance(outcome, Miss)
        assert outcome.reason is MissReason.SHADOW
        await cache.aupdate("display 1", "up")
        assert (await cache.astats()).adaptive[0].agreed == 1


async def test_calls_through_the_cache_are_checked() -> None:
    async def later() -> str:
        return "up"

    with settled(CHECK) as cache:
        assert cache.get_or_generate("show 1", lambda: "up") == "up"
        assert cache.get_or_generate("display 1", lambda: "up") == "up"
        assert await cache.aget_or_generate("print 1", later) == "up"
        recording = cache.record("print 1", lambda: "up")
        assert isinstance(recording, Hit)
        assert cache.stats().adaptive[0].agreed == 2


def test_many_threads_and_what_is_counted() -> None:
    with settled() as cache:
        assert cache._shadowing is not None
        cache._shadowing.toss_with(Random(5))
        coin = Random(6)
        asked = [f"{coin.choice(('show', 'display', 'print'))} {coin.randrange(80)}" for _ in range(400)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda text: cache.get_or_generate(text, lambda: text.split()[1]), asked))
        assert cache.finish_checks(10)
        (learnt,) = cache.stats().adaptive
        assert learnt.requests == 440
        assert learnt.differed == learnt.near_differed == 0
        # Who finds the answer of another thread after it was to be checked brings none of its own.
        assert 0 < learnt.agreed <= learnt.checked <= learnt.agreed + 8


def test_memory_of_checks_is_bounded() -> None:
    texts = {f"text {number}": "one" for number in range(1500)}
    with adaptive(embedder=FakeEmbedder(texts), max_error_rate=0.001) as cache:
        cache.update("text 0", "up")
        for number in range(1, 1500):
            cache.lookup(f"text {number}")
        assert cache._shadowing is not None
        assert len(cache._shadowing._checks) == 1024


def test_each_error_budget_learns_by_itself() -> None:
    with adaptive(max_error_rate_by_namespace={"strict": 0.01}) as cache:
        for _ in range(50):
            cache.lookup("show 1")
        for _ in range(10):
            cache.lookup(Request("show 1", namespace=("strict",)))
        assert [(one.max_error_rate, one.requests) for one in cache.stats().adaptive] == [(0.01, 10), (0.5, 50)]


def test_bypassed_and_exact_only_requests_do_not_count() -> None:
    with adaptive() as cache:
        cache.lookup(Request("show 1", exact_only="agent_step"))
        with cache.context(bypass=True):
            cache.lookup("show 1")
        assert cache.stats().adaptive == ()


def test_forked_child_compares_nothing_that_was_waiting() -> None:
    with settled(CHECK) as cache:
        assert cache._shadowing is not None
        cache._shadowing._lock.acquire()
        cache.after_fork()
        assert cache.finish_checks(0)


@pytest.mark.parametrize(
    "settings",
    [
        {"policy": "clever"},
        {"policy": "adaptive", "shadow_rate": 0.0},
        {"policy": "adaptive", "shadow_rate": 0.6},
        {"policy": "adaptive", "answer_similarity": 1.5},
        {"policy": "adaptive", "similarity_threshold": 0.9},
        {"policy": "adaptive", "answers_agree": "same"},
        {"answers_agree": lambda fresh, stored: True},
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        open_cache("memory://", embedder=None, **settings)


def test_other_policies_learn_nothing() -> None:
    with open_cache("memory://", embedder=FakeEmbedder(WORDINGS)) as cache:
        cache.lookup("show 1")
        assert cache.stats().adaptive == ()
        assert cache.finish_checks(0)
