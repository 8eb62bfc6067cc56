"""How long an answer lives, and what is stored beside it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins import Answer, ConfigError, Hit, Miss, Request, SemanticCache, UpdateOutcome, open_cache
from llmcache_plugins.testing import FakeClock
from llmcache_plugins.types import Profile

DAY = 86_400.0


def opened(clock: FakeClock, **settings: Any) -> closing[SemanticCache]:
    return closing(open_cache("memory://", embedder=None, clock=clock, **settings))


def life_of(cache: SemanticCache, request: Request | str, **given: Any) -> float | None:
    assert cache.update(request, "a", **given).stored
    hit = cache.lookup(request)
    assert isinstance(hit, Hit)
    return None if hit.entry.expires_at is None else hit.entry.expires_at - hit.entry.created_at


@pytest.mark.parametrize(
    ("question", "seconds"),
    [
        ("What is OSPF?", 7 * DAY),
        ("How do I configure OSPF on rtr-001?", 4 * 3600.0),
        ("Show BGP status", 300.0),
        ("What is the CPU load of rtr-001?", 30.0),
        ("Sing a song", DAY),
    ],
)
def test_questions_live_as_long_as_their_class(question: str, seconds: float) -> None:
    with opened(FakeClock()) as cache:
        assert life_of(cache, question) == seconds


def test_without_a_profiler_the_default_counts() -> None:
    with opened(FakeClock(), profiler=None) as cache:
        assert life_of(cache, "What is the CPU load of rtr-001?") == DAY
        hit = cache.lookup("What is the CPU load of rtr-001?")
        assert isinstance(hit, Hit)
        assert hit.entry.profile == Profile()


def test_the_nearest_to_the_request_decides() -> None:
    settings = {
        "ttl": 9000.0,
        "ttl_by_tag": {"device:*": 800.0},
        "ttl_by_query_type": {"status": 700.0},
        "ttl_by_volatility": {"dynamic": 600.0},
    }
    with opened(FakeClock(), **settings) as cache:
        with cache.context(ttl=900.0):
            assert life_of(cache, "Show BGP status", ttl=1000.0) == 1000.0
            assert life_of(cache, "Show BGP status of rtr-001") == 900.0
            assert life_of(cache, "Show BGP status", ttl=None) is None
        assert life_of(cache, "Show BGP status of rtr-002") == 800.0
        assert life_of(cache, "Show OSPF status") == 700.0
        assert life_of(cache, Request("Sing", volatility="dynamic")) == 600.0
        assert life_of(cache, "Sing") == 9000.0
        assert life_of(cache, "What is OSPF?") == 9000.0  # not the week of the built-in class


def test_reading_never_makes_an_answer_live_longer() -> None:
    clock = FakeClock()
    with opened(clock) as cache:
        cache.update("Show BGP status", "up")
        for _ in range(9):
            clock.advance(30.0)
            assert isinstance(cache.lookup("Show BGP status"), Hit)
        clock.advance(30.0)
        assert isinstance(cache.lookup("Show BGP status"), Miss)


def test_tags_come_from_request_and_profiler_alike() -> None:
    with opened(FakeClock(), tag_patterns={"ticket": r"INC\d+"}) as cache:
        asked = Request("Why is rtr-001 down, INC42?", tags=("team:noc",))
        life_of(cache, asked)
        hit = cache.lookup(asked)
        assert isinstance(hit, Hit)
        assert hit.entry.profile.tags[0] == "team:noc"
        assert {"device:rtr-001", "ticket:INC42"} <= set(hit.entry.profile.tags)


def test_a_profiler_of_ones_own_is_asked() -> None:
    with opened(FakeClock(), profiler=lambda request: Profile("mine", "volatile", ("t",))) as cache:
        assert life_of(cache, "What is OSPF?") == 30.0


def fail(request: Request) -> Profile:
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    "profiler",
    [fail, lambda request: None, lambda request: Profile(volatility="odd"), lambda request: Profile(tags=("",))],
)
def test_what_cannot_be_profiled_is_not_stored(profiler: Callable[[Request], Any]) -> None:
    with opened(FakeClock(), profiler=profiler) as cache:
        assert cache.update("q", "a") == UpdateOutcome(False, "profiler_error")
        assert cache.get_or_generate("q", lambda: "fresh") == "fresh"
        assert cache.stats().errors["profiler"] == 2
    with opened(FakeClock(), profiler=fail, fail_open=False) as cache, pytest.raises(RuntimeError):
        cache.update("q", "a")


@pytest.mark.parametrize(
    "settings",
    [
        {"profiler": 3},
        {"profiler": fail, "tag_patterns": {"a": "b"}},
        {"tag_patterns": {"a": "("}},
        {"tolerance": {"temprature": 0.2}},
        {"tolerance": {"temperature": 0}},
        {"ttl_by_volatility": {"static": 0}},
        {"ttl_by_tag": {"": 1.0}},
        {"ttl_by_query_type": None},
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        open_cache("memory://", embedder=None, **settings)


def test_what_the_model_said_of_its_end_is_stored() -> None:
    with opened(FakeClock()) as cache:
        cache.update("q", Answer("a", finish_reason="stop"))
        hit = cache.lookup("q")
        assert isinstance(hit, Hit)
        assert hit.entry.finish_reason == "stop"


def test_what_only_the_answer_tells_is_tagged_beside_what_the_request_says() -> None:
    with opened(FakeClock()) as cache:
        cache.update(Request("Show BGP on rtr-001", tags=("ticket:1",)), Answer("a", tags=("ticket:1", "document:d")))
        hit = cache.lookup("Show BGP on rtr-001")
        assert isinstance(hit, Hit)
        assert hit.entry.profile.tags[:1] == ("ticket:1",)
        assert set(hit.entry.profile.tags) == {"ticket:1", "device:rtr-001", "document:d"}


def test_an_answer_whose_tags_are_none_is_not_stored() -> None:
    with opened(FakeClock()) as cache:
        assert cache.update("q", Answer("a", tags=("",))) == UpdateOutcome(False, "profiler_error")
