"""What the log is told of a server's troubles, on a clock that stands still unless it is moved."""

from __future__ import annotations

import logging

import pytest

from llmcache_plugins.stores.redis.outages import NO_WORK, Outages
from llmcache_plugins.testing import FakeClock


class Case:
    """Troubles of the server `here`; what is said after 60 quiet seconds is news."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, logger="llmcache_plugins")
        self.clock = FakeClock()
        self.outages = Outages("here", quiet=60.0, monotonic=self.clock.monotonic)
        self._caplog = caplog

    def fail(self, kind: str = "away", part: bytes = b"", works: frozenset[str] = NO_WORK) -> None:
        self.outages.failed(kind, part, works, f"is {kind}", f"is {kind} no more")

    def told(self) -> list[tuple[str, str]]:
        """Level and text of each line since this was asked last."""
        lines = [(record.levelname, record.getMessage()) for record in self._caplog.records]
        self._caplog.clear()
        return lines


@pytest.fixture
def case(caplog: pytest.LogCaptureFixture) -> Case:
    return Case(caplog)


BEGIN = ("WARNING", "the server at here is away; the cache goes on without it")


def test_one_line_when_it_begins_and_one_when_it_is_over(case: Case) -> None:
    for _ in range(10):
        case.fail()
    assert case.outages
    assert case.told() == [BEGIN]
    case.clock.advance(12.34)
    for _ in range(3):
        case.outages.succeeded(b"", frozenset({"get"}))
    assert not case.outages
    assert case.told() == [("INFO", "the server at here is away no more, after 12.3 s")]


def test_what_comes_back_soon_is_told_at_the_third_failure_in_a_row(case: Case) -> None:
    case.fail()
    case.outages.succeeded(b"", NO_WORK)
    assert len(case.told()) == 2
    for _ in range(20):  # slow now and then
        case.clock.advance(1.0)
        case.fail()
        case.fail()
        case.outages.succeeded(b"", NO_WORK)
    assert case.told() == []
    for _ in range(5):
        case.fail()
    assert case.told() == [BEGIN]


def test_after_a_quiet_while_the_first_failure_is_news(case: Case) -> None:
    for _ in range(2):
        case.fail()
        case.outages.succeeded(b"", NO_WORK)
        assert [level for level, _ in case.told()] == ["WARNING", "INFO"]
        case.clock.advance(60.0)


def test_two_kinds_are_two_troubles(case: Case) -> None:
    case.fail("away")
    case.fail("full", works=frozenset({"put"}))
    assert len(case.told()) == 2
    case.outages.succeeded(b"", frozenset({"get"}))  # it answers, and may be full still
    assert [text for _, text in case.told()] == ["the server at here is away no more, after 0.0 s"]
    case.outages.succeeded(b"", frozenset({"get", "put"}))
    assert [text for _, text in case.told()] == ["the server at here is full no more, after 0.0 s"]


def test_an_answer_that_tells_of_a_trouble_ends_the_others(case: Case) -> None:
    case.fail("away")
    case.fail("who asks")
    case.told()
    case.outages.succeeded(b"", NO_WORK, but="who asks")
    assert [text for _, text in case.told()] == ["the server at here is away no more, after 0.0 s"]
    assert case.outages


def test_it_lasts_until_every_part_is_well(case: Case) -> None:
    for part in (b"1", b"2", b"3"):
        case.fail(part=part)
    assert case.told() == [BEGIN]
    for part in (b"1", b"3", b"another"):
        case.outages.succeeded(part, NO_WORK)
        assert case.told() == []
    case.outages.succeeded(b"2", NO_WORK)
    assert len(case.told()) == 1


def test_a_part_that_nobody_asks_any_more_does_not_prolong_it(case: Case) -> None:
    case.fail(part=b"1")
    case.clock.advance(30.0)
    case.fail(part=b"2")
    case.told()
    case.clock.advance(29.0)
    case.outages.succeeded(b"2", NO_WORK)
    assert case.told() == []
    case.clock.advance(1.0)
    case.outages.succeeded(b"2", NO_WORK)
    assert [text for _, text in case.told()] == ["the server at here is away no more, after 60.0 s"]


def test_a_forked_child_begins_anew(case: Case) -> None:
    case.fail()
    case.outages.after_fork()
    assert not case.outages
    case.told()
    case.fail()
    assert case.told() == [BEGIN]
