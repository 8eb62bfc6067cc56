"""Verifier, judge and validators: who is asked when, what counts, and that all of them fail closed.

Every test runs twice, by plain calls and on an event loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import numpy as np
import pytest

from llmcache_plugins import ConfigError, Entry, Hit, Miss, Outcome, Request, SemanticCache, open_cache
from llmcache_plugins.quality import Validation
from llmcache_plugins.recorded import ErrorEvent, Event, ValidationEvent
from llmcache_plugins.testing import FakeClock, FakeEmbedder
from llmcache_plugins.types import FloatArray

ASKED, FIRST, SECOND = "Which states does BGP have?", "What are the BGP states?", "List the states of BGP"
Look = Callable[[SemanticCache, str], Outcome]


@pytest.fixture(params=["sync", "async"])
def look(request: pytest.FixtureRequest) -> Look:
    if request.param == "sync":
        return lambda cache, question: cache.lookup(question)
    return lambda cache, question: asyncio.run(cache.alookup(question))


class FakeVerifier:
    """Scores by the stored text; remembers what it was asked."""

    verifier_id = "fake"

    def __init__(self, **scores: float) -> None:
        self.scores = scores
        self.asked: list[list[tuple[str, str]]] = []

    def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        self.asked.append(list(pairs))
        return np.array([self.scores[stored.split()[0]] for _, stored in pairs], dtype=np.float32)


class FakeAsyncVerifier(FakeVerifier):
    async def averify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        return FakeVerifier.verify(self, pairs)

    def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        raise AssertionError("blocks the loop")


def opened(similarity: float = 0.9, also: Sequence[str] = (), **parts: Any) -> SemanticCache:
    """Two stored questions, as near to what is asked as told; 0.95 is sure, from 0.80 it is the grey zone."""
    groups = dict.fromkeys((ASKED, FIRST, SECOND, *also), "bgp")
    cache = open_cache("memory://", embedder=FakeEmbedder(groups, similarity=similarity), **parts)
    cache.update(FIRST, "first")
    cache.update(SECOND, "second")
    return cache


def hit(outcome: Outcome) -> Hit:
    assert isinstance(outcome, Hit), outcome
    return outcome


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, Miss), outcome
    return outcome.reason


# ---------------------------------------------------------------------------------------------------- the verifier
def test_verifier_decides_what_the_cosine_does_not(look: Look) -> None:
    verifier = FakeVerifier(What=0.2, List=0.97)
    with opened(verifier=verifier) as cache:
        found = hit(look(cache, ASKED))
        assert (found.answer, found.kind) == ("second", "semantic")
        assert found.confidence == found.verifier_score == pytest.approx(0.97)
        assert [sorted(stored for _, stored in batch) for batch in verifier.asked] == [[SECOND, FIRST]]  # one batch


def test_what_the_verifier_once_decided_is_an_alias_afterwards(look: Look) -> None:
    verifier = FakeVerifier(What=0.99, List=0.0)
    with opened(verifier=verifier) as cache:
        look(cache, ASKED)
        assert hit(look(cache, ASKED)).kind == "alias"
        assert len(verifier.asked) == 1


def test_sure_match_asks_no_verifier(look: Look) -> None:
    verifier = FakeVerifier()
    with opened(similarity=0.99, verifier=verifier) as cache:
        assert hit(look(cache, ASKED)).verifier_score is None
        assert verifier.asked == []


def test_hopeless_candidates_ask_no_verifier(look: Look) -> None:
    verifier = FakeVerifier()
    with opened(similarity=0.5, verifier=verifier) as cache:
        assert reason(look(cache, ASKED)) == "below_threshold"
        assert verifier.asked == []


def test_vetoed_candidates_are_not_put_before_the_verifier(look: Look) -> None:
    groups = dict.fromkeys(("Show rtr-001", "Show rtr-002"), "r")
    verifier = FakeVerifier(Show=1.0)
    with open_cache("memory://", embedder=FakeEmbedder(groups, similarity=0.9), verifier=verifier) as cache:
        cache.update("Show rtr-001", "1")
        cache.update("else", "2")
        assert reason(look(cache, "Show rtr-002")) == "guard_conflict"
        assert verifier.asked == []


def test_without_a_verifier_there_is_no_grey_zone(look: Look) -> None:
    with opened() as cache:
        assert reason(look(cache, ASKED)) == "below_threshold"


def test_failing_verifier_is_a_miss_and_a_counted_error(look: Look) -> None:
    class Broken(FakeVerifier):
        def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
            raise RuntimeError("down")

    with opened(verifier=Broken()) as cache:
        assert reason(look(cache, ASKED)) == "low_confidence"
        assert cache.stats().errors == {"verifier": 1}


@pytest.mark.parametrize("scores", [[0.99], [[0.99, 0.99]], [float("inf"), 0.99]])
def test_scores_that_make_no_sense_are_a_failure(look: Look, scores: Any) -> None:
    class Senseless(FakeVerifier):
        def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
            return np.array(scores)

    with opened(verifier=Senseless()) as cache:
        assert isinstance(look(cache, ASKED), Miss)
        assert cache.stats().errors == {"verifier": 1}


def test_pair_that_the_verifier_cannot_read_is_decided_without_it(look: Look) -> None:
    class Silent(FakeVerifier):
        def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
            return np.array([float("nan") if stored.startswith("What") else 0.99 for _, stored in pairs])

    with opened(verifier=Silent()) as cache:
        assert hit(look(cache, ASKED)).answer == "second"
        assert cache.stats().errors == {}


def test_a_function_of_pairs_is_a_verifier(look: Look) -> None:
    with opened(verifier=lambda pairs: [0.99 if stored.startswith("What") else 0.1 for _, stored in pairs]) as cache:
        assert hit(look(cache, ASKED)).answer == "first"


@pytest.mark.parametrize("name", ["grey", "off", None])
def test_without_a_calibration_that_knows_it_the_shipped_verifier_is_not_asked(look: Look, name: str | None) -> None:
    with opened(verifier=name) as cache:
        assert reason(look(cache, ASKED)) == "below_threshold"


def test_candidate_on_which_the_verifier_failed_is_not_put_before_the_judge(look: Look) -> None:
    class Broken(FakeVerifier):
        def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
            raise RuntimeError("down")

    with opened(verifier=Broken(), judge=lambda request, entry: True) as cache:
        assert isinstance(look(cache, ASKED), Miss)


async def test_verifier_with_a_coroutine_is_awaited() -> None:
    with opened(verifier=FakeAsyncVerifier(What=0.99, List=0.1)) as cache:
        assert hit(await cache.alookup(ASKED)).answer == "first"


async def test_verifier_without_a_coroutine_stays_off_the_event_loop() -> None:
    threads: list[int] = []

    class Blocking(FakeVerifier):
        def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
            threads.append(threading.get_ident())
            return super().verify(pairs)

    with opened(verifier=Blocking(What=0.99, List=0.1)) as cache:
        await cache.alookup(ASKED)
    assert threads
    assert threading.get_ident() not in threads


def test_another_verifier_judges_the_aliases_of_the_first_again(look: Look, tmp_path: Any) -> None:
    groups = dict.fromkeys((ASKED, FIRST), "bgp")
    url, first, second = f"disk://{tmp_path}/c.db", FakeVerifier(What=0.99), FakeVerifier(What=0.1)
    second.verifier_id = "another"
    with open_cache(url, embedder=FakeEmbedder(groups, similarity=0.9), verifier=first) as cache:
        cache.update(FIRST, "first")
        cache.update("else", "x")
        assert isinstance(look(cache, ASKED), Hit)
    with open_cache(url, embedder=FakeEmbedder(groups, similarity=0.9), verifier=second) as cache:
        assert isinstance(look(cache, ASKED), Miss)


# ------------------------------------------------------------------------------------------------------- the judge
class FakeJudge:
    def __init__(self, opinion: Any) -> None:
        self.opinion = opinion
        self.asked: list[tuple[str, str]] = []

    def __call__(self, request: Request, entry: Entry) -> Any:
        self.asked.append((request.text, entry.text))
        if isinstance(self.opinion, Exception):
            raise self.opinion
        return self.opinion


@pytest.mark.parametrize(("opinion", "confidence"), [(True, 1.0), (0.96, 0.96), (1, 1.0)])
def test_judge_may_say_yes(look: Look, opinion: Any, confidence: float) -> None:
    judge = FakeJudge(opinion)
    with opened(judge=judge) as cache:
        assert hit(look(cache, ASKED)).confidence == confidence
        assert len(judge.asked) == 1


@pytest.mark.parametrize("opinion", [False, 0.9, None, float("nan"), "yes", RuntimeError("down")])
def test_anything_but_a_clear_yes_of_the_judge_is_a_miss(look: Look, opinion: Any) -> None:
    judge = FakeJudge(opinion)
    with opened(judge=judge) as cache:
        assert reason(look(cache, ASKED)) == "low_confidence"
        assert len(judge.asked) == 1  # only the best candidate: a judge is a model call
        assert cache.stats().errors.get("judge", 0) == (isinstance(opinion, str | Exception) or opinion != opinion)


def test_judge_is_not_asked_when_the_verifier_is_sure_either_way(look: Look) -> None:
    judge = FakeJudge(True)
    with opened(verifier=FakeVerifier(What=0.1, List=0.2), judge=judge) as cache:
        assert isinstance(look(cache, ASKED), Miss)
    with opened(verifier=FakeVerifier(What=0.99, List=0.2), judge=judge) as cache:
        assert isinstance(look(cache, ASKED), Hit)
    assert judge.asked == []


def test_judge_is_asked_about_what_the_verifier_leaves_undecided(look: Look) -> None:
    judge = FakeJudge(True)
    with opened(verifier=FakeVerifier(What=0.85, List=0.9), judge=judge) as cache:
        assert hit(look(cache, ASKED)).answer == "second"
    assert judge.asked == [(ASKED, SECOND)]


def test_judge_that_takes_too_long_is_a_miss(look: Look) -> None:
    release = threading.Event()

    def slow(request: Request, entry: Entry) -> bool:
        release.wait(10)
        return True

    with opened(judge=slow, judge_timeout=0.01) as cache:
        assert isinstance(look(cache, ASKED), Miss)
        assert cache.stats().errors == {"judge": 1}
        release.set()


def test_judge_is_asked_no_more_often_than_its_limit_in_a_minute(look: Look) -> None:
    judge, clock = FakeJudge(False), FakeClock()
    asked = [f"{ASKED} {word}" for word in ("now", "here", "there", "then", "again")]
    with opened(judge=judge, judge_limit=2, clock=clock, also=asked) as cache:
        for question in asked[:4]:
            assert isinstance(look(cache, question), Miss)
        assert len(judge.asked) == 2
        assert cache.stats().judged == {"no": 2, "limit": 2}
        clock.advance(60)
        look(cache, asked[4])
        assert len(judge.asked) == 3


async def test_judge_may_be_a_coroutine_function() -> None:
    async def judge(request: Request, entry: Entry) -> bool:
        await asyncio.sleep(0)
        return True

    with opened(judge=judge) as cache:
        assert isinstance(await cache.alookup(ASKED), Hit)


def test_coroutine_function_in_a_plain_lookup_is_a_miss_and_a_counted_error() -> None:
    async def judge(request: Request, entry: Entry) -> bool:
        return True

    with opened(judge=judge) as cache:
        assert isinstance(cache.lookup(ASKED), Miss)
        assert cache.stats().errors == {"judge": 1}


def test_judge_behind_the_same_cache_is_not_judged_itself(look: Look) -> None:
    asked: list[str] = []

    def judge(request: Request, entry: Entry) -> bool:
        asked.append(request.text)
        return isinstance(cache.lookup(ASKED), Hit)

    with opened(judge=judge) as cache:
        assert isinstance(look(cache, ASKED), Miss)
    assert asked == [ASKED]


# -------------------------------------------------------------------------------------------------- the validators
class FakeValidator:
    def __init__(self, *rejected: str) -> None:
        self.rejected = rejected
        self.asked: list[str] = []

    def __call__(self, request: Request, entry: Entry) -> Validation:
        self.asked.append(entry.text)
        return Validation(entry.text not in self.rejected, "not this one")


def nearest(cache: SemanticCache) -> str:
    outcome = cache.lookup(ASKED)
    assert isinstance(outcome, Hit)
    return outcome.matched_question


def test_rejected_match_gives_way_to_the_next_one(look: Look) -> None:
    with opened(similarity=0.99) as cache:
        first = nearest(cache)
    validator = FakeValidator(first)
    with opened(similarity=0.99, validators=[validator]) as cache:
        assert hit(look(cache, ASKED)).matched_question != first
        assert len(validator.asked) == 2
        stats = cache.stats()
        assert (stats.validated, stats.rejected, stats.false_positive_rate) == (2, 1, 0.5)


def test_rejection_of_all_matches_is_a_miss_with_that_reason(look: Look) -> None:
    with opened(similarity=0.99, validators=[lambda request, entry: False]) as cache:
        outcome = look(cache, ASKED)
        assert reason(outcome) == "rejected"
        assert {near.reason for near in outcome.near_misses} == {"rejected"}  # type: ignore[union-attr]
        assert cache.stats().false_positive_rate == 1.0


def test_exact_and_normalised_matches_are_not_validated(look: Look) -> None:
    validator = FakeValidator(FIRST)
    with opened(validators=[validator]) as cache:
        assert hit(look(cache, FIRST)).kind == "exact"
        assert hit(look(cache, FIRST.lower())).kind == "normalised"
        assert validator.asked == []


def test_alias_is_validated_each_time(look: Look) -> None:
    validator = FakeValidator()
    with opened(similarity=0.99, validators=[validator]) as cache:
        served = hit(look(cache, ASKED)).matched_question
        validator.rejected = (served,)
        again = look(cache, ASKED)
        assert hit(again).matched_question != served


def test_every_validator_has_to_accept(look: Look) -> None:
    with opened(similarity=0.99, validators=[FakeValidator(), FakeValidator(FIRST, SECOND)]) as cache:
        assert reason(look(cache, ASKED)) == "rejected"


@pytest.mark.parametrize("answer", [None, "fine", RuntimeError("down")])
def test_validator_that_breaks_or_says_nothing_clear_rejects(look: Look, answer: Any) -> None:
    def validator(request: Request, entry: Entry) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    heard: list[Event] = []
    with opened(similarity=0.99, validators=[validator], recorders=[heard.append]) as cache:
        assert reason(look(cache, ASKED)) == "rejected"
        stats = cache.stats()
        assert stats.errors == {"validator": 2}
        assert (stats.validated, stats.rejected, stats.false_positive_rate) == (0, 0, 0.0)  # no wrong hit was found
        events = [event for event in heard if isinstance(event, ValidationEvent)]
        assert [(event.validation.ok, event.has_failed) for event in events] == [(False, True)] * 2


def test_what_the_verifier_scored_is_not_scored_again_after_a_rejection(look: Look) -> None:
    verifier = FakeVerifier(What=0.99, List=0.98)
    with opened(verifier=verifier, validators=[FakeValidator(FIRST)]) as cache:
        assert hit(look(cache, ASKED)).answer == "second"
        assert len(verifier.asked) == 1


async def test_validator_may_be_a_coroutine_function() -> None:
    async def validator(request: Request, entry: Entry) -> Validation:
        await asyncio.sleep(0)
        return Validation(entry.text == SECOND)

    with opened(similarity=0.99, validators=[validator]) as cache:
        assert hit(await cache.alookup(ASKED)).answer == "second"


async def test_validator_may_be_an_object_with_a_coroutine() -> None:
    class Remote:
        def __call__(self, request: Request, entry: Entry) -> Coroutine[Any, Any, bool]:
            return self.ask(entry)

        async def ask(self, entry: Entry) -> bool:
            return entry.text == SECOND

    with opened(similarity=0.99, validators=[Remote()]) as cache:
        assert hit(await cache.alookup(ASKED)).answer == "second"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"verifier": "never"}, "verifier must be 'grey', 'always', 'off'"),
        ({"verifier": "always"}, "needs a local verifier that the embedder's calibration knows"),
        ({"verifier": object()}, "verifier must have verifier_id and verify, or be callable; object is not"),
        ({"judge": "me"}, "judge must be callable, a model of LangChain or a client of the Anthropic SDK, not str"),
        ({"validators": lambda request, entry: True}, "validators must be a list or tuple of callables"),
        ({"validators": [None]}, "validators must be a list or tuple of callables"),
        ({"judge_timeout": 0}, "judge_timeout must be a number above 0"),
        ({"judge_limit": -1}, "judge_limit must be an integer of at least 0"),
    ],
)
def test_parts_that_cannot_work_are_refused_when_the_cache_is_opened(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        opened(**parts)


def test_recorders_hear_of_failures_by_component(look: Look) -> None:
    heard: list[Event] = []

    def broken(request: Request, entry: Entry) -> bool:
        raise ConfigError("secret prompt")

    with opened(similarity=0.99, validators=[broken], recorders=[heard.append]) as cache:
        look(cache, ASKED)
    assert ErrorEvent("validator", "ConfigError") in heard
    assert "secret" not in repr(heard)
