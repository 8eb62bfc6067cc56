"""A staged roll-out: up when the error is surely within its bound, back when it surely is not."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins import CacheConfig, Hit, Rollout, SemanticCache, open_cache
from llmcache_plugins.engine.stages import Stages
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.recorded import Event, StageEvent
from llmcache_plugins.testing import FakeClock

HOUR = 3600.0


def stages(**settings: Any) -> Stages:
    given = {"stages": (0.1, 0.5, 1.0), "minimum_seconds": HOUR, "minimum_checks": 50, **settings}
    return Stages(Rollout(**given), 0.05, 0.0)


def opened_with(rollout: Rollout, clock: FakeClock) -> SemanticCache:
    agrees = lambda new, old: new == old  # noqa: E731
    return open_cache("memory://", embedder=None, rollout=rollout, clock=clock, answers_agree=agrees)


def check(subject: Stages, times: int, now: float, outcome: Any = "same") -> list[StageEvent]:
    """So many requests of the control group, each of which would have been a hit."""
    steps = []
    for _ in range(times):
        number = subject.number
        subject.looked(is_served=False, is_withheld=True)
        step = subject.compared(outcome, number, now)
        if step is not None:
            steps.append(step)
    return steps


def test_it_goes_up_after_time_and_checks_and_not_before() -> None:
    subject = stages()
    assert check(subject, 200, HOUR - 1) == []  # too soon
    (step,) = check(subject, 1, HOUR)
    assert (step.before, step.after, step.reason) == (0.1, 0.5, "proven")
    assert step.high <= 0.05
    assert check(subject, 49, 3 * HOUR) == []  # the evidence of the stage before does not count
    assert subject.fraction == 0.5


def test_it_does_not_go_up_while_the_error_may_be_beyond_the_bound() -> None:
    subject = stages()
    assert check(subject, 50, 2 * HOUR) == []  # 0 of 50: up to 7 %
    assert [step.after for step in check(subject, 100, 2 * HOUR)] == [0.5]


def test_what_nobody_can_tell_is_no_proof() -> None:
    """Equal words are never unclear: a comparison that is broken leaves nothing but them."""
    subject = stages()
    assert check(subject, 40, 0.0, "unclear") == []
    assert check(subject, 600, 2 * HOUR) == []
    assert [step.after for step in check(subject, 1000, 2 * HOUR)][:1] == [0.5]  # 40 of 1,100 are few enough


def test_reports_after_a_step_up_are_held_against_all_that_was_served() -> None:
    subject = stages()
    for _ in range(2000):
        subject.looked(is_served=True, is_withheld=False)
    assert [step.after for step in check(subject, 200, HOUR)] == [0.5]
    subject.looked(is_served=True, is_withheld=False)
    assert [subject.reported(HOUR) for _ in range(3)] == [None] * 3


def test_stages_need_something_that_can_tell() -> None:
    async def judge(question: Any, answer: Any) -> bool:
        return True

    for parts in ({}, {"judge": judge}):
        with pytest.raises(ConfigError, match="nothing here can tell"):
            open_cache("memory://", embedder=None, rollout=Rollout(), **parts)


def test_requests_that_would_have_been_misses_count_for_the_error_rate() -> None:
    subject = stages(max_error_rate=0.01)
    for _ in range(20_000):
        subject.looked(is_served=False, is_withheld=False)
    check(subject, 40, 0.0)
    assert check(subject, 3, 0.0, "different") == []  # 3 of 43 hits, but of 20,043 requests
    assert [step.after for step in check(subject, 10, 2 * HOUR)] == [0.5]


def test_it_steps_back_at_once_and_begins_in_shadow() -> None:
    subject = stages()
    check(subject, 200, HOUR)
    assert subject.fraction == 0.5
    check(subject, 20, HOUR)
    steps = check(subject, 20, HOUR, "different")
    assert [(step.before, step.after, step.reason) for step in steps] == [(0.5, 0.0, "errors")]
    assert steps[0].low > 0.05
    assert check(subject, 300, 2 * HOUR - 1) == []
    assert [step.after for step in check(subject, 500, 3 * HOUR)] == [0.1]


def test_it_can_go_back_by_one_stage() -> None:
    subject = stages(step_back="stage")
    check(subject, 200, HOUR)
    assert [step.after for step in check(subject, 20, HOUR, "different")] == [0.1, 0.0]


def test_two_wrong_answers_are_no_proof() -> None:
    subject = stages()
    assert check(subject, 2, 0.0, "different") == []
    assert [step.after for step in check(subject, 1, 0.0, "different")] == [0.0]


def test_what_nobody_could_tell_is_no_evidence() -> None:
    subject = stages()
    assert check(subject, 1000, 2 * HOUR, "unclear") == []


def test_a_comparison_that_began_in_another_stage_says_nothing() -> None:
    subject = stages()
    before = subject.number
    check(subject, 200, HOUR)
    for _ in range(100):
        assert subject.compared("different", before, HOUR) is None
    assert subject.fraction == 0.5


def test_where_all_are_served_reports_count() -> None:
    subject = stages(stages=(1.0,))
    for _ in range(100):
        subject.looked(is_served=True, is_withheld=False)
    steps = [subject.reported(1.0) for _ in range(15)]
    (step,) = [step for step in steps if step is not None]
    assert (step.before, step.after, step.reason) == (1.0, 0.0, "reports")


def test_it_stays_at_its_last_stage() -> None:
    subject = stages(stages=(0.5,))
    assert check(subject, 500, 9 * HOUR) == []
    assert subject.fraction == 0.5


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(clock: FakeClock, events: list[Event]) -> Iterator[SemanticCache]:
    rollout = Rollout(stages=(0.1, 0.5, 1.0), minimum_seconds=HOUR, minimum_checks=50, max_error_rate=0.05)
    settings: Any = {"clock": clock, "recorders": [events.append], "maintenance": "manual"}
    agree: Any = lambda fresh, stored: fresh == stored  # noqa: E731
    with closing(open_cache("memory://", embedder=None, rollout=rollout, answers_agree=agree, **settings)) as opened:
        yield opened


def ask(cache: SemanticCache, answer: str, times: int = 1) -> None:
    for _ in range(times):
        for number in range(100):
            cache.get_or_generate(f"How is rtr-{number:03}?", lambda: answer)
    assert cache.finish_checks(10)


def test_a_cache_goes_up_and_back_by_itself(
    cache: SemanticCache, clock: FakeClock, events: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llmcache_plugins.engine.rolling_out")
    ask(cache, "up")
    ask(cache, "up", 2)
    assert cache.config.mode == "canary"
    clock.advance(HOUR)
    ask(cache, "up")
    ask(cache, "other", 1)  # the routers have changed, and what is stored has not
    steps = [(event.before, event.after, event.reason) for event in events if isinstance(event, StageEvent)]
    assert steps == [(0.1, 0.5, "proven"), (0.5, 0.0, "errors")]
    assert cache.stats().stages == {"proven": 1, "errors": 1}
    assert not isinstance(cache.lookup("How is rtr-000?"), Hit)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"]


def test_reports_of_users_step_back(clock: FakeClock) -> None:
    rollout = Rollout(stages=(1.0,), max_error_rate=0.01)
    with closing(opened_with(rollout, clock)) as opened:
        for number in range(5):
            opened.update(str(number), "up")
            hit = opened.lookup(str(number))
            if isinstance(hit, Hit):
                for _ in range(3):  # a double click is no second wrong answer
                    opened.report_wrong(hit)
                assert opened.stats().stages == ({"reports": 1} if number == 2 else {})
        assert opened.stats().stages == {"reports": 1}
        opened.update("x", "up")
        assert not isinstance(opened.lookup("x"), Hit)


def test_the_environment_can_hold_a_rollout(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    monkeypatch.setenv("LLMCACHE_MODE", "shadow")
    with closing(opened_with(Rollout(stages=(1.0,)), clock)) as opened:
        opened.update("x", "up")
        assert not isinstance(opened.lookup("x"), Hit)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stages": ()}, "stages must be a tuple"),
        ({"stages": (0.5, 0.1)}, "stages must go up"),
        ({"stages": (0.5, 1.5)}, "numbers from 0 to 1"),
        ({"stages": 0.5}, "stages must be a tuple"),
        ({"minimum_seconds": 0}, "minimum_seconds must be"),
        ({"minimum_seconds": float("inf")}, "minimum_seconds must be"),
        ({"minimum_checks": 0}, "minimum_checks must be"),
        ({"max_error_rate": 0.0}, "max_error_rate of a Rollout"),
        ({"max_error_rate": 0.9}, "max_error_rate of a Rollout"),
        ({"step_back": "never"}, "step_back must be"),
    ],
)
def test_bad_stages_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Rollout(**settings)


def test_stages_and_a_fraction_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match=r"fraction=0\.1 and rollout exclude each other"):
        CacheConfig(fraction=0.1, rollout=Rollout())
