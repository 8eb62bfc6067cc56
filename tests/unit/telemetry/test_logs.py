"""Events as log records."""

from __future__ import annotations

import logging
import typing

import pytest

from llmcache_plugins import ConfigError, Request, open_cache
from llmcache_plugins.counters import ServerLoad
from llmcache_plugins.quality import Regression, Reported, Validation
from llmcache_plugins.recorded import (
    ComparisonEvent,
    ErrorEvent,
    Event,
    EvictionsEvent,
    InvalidationEvent,
    JudgeEvent,
    LookupEvent,
    MoveEvent,
    PressureEvent,
    ReportEvent,
    ResolutionEvent,
    ServerPressureEvent,
    ShadowEvent,
    StageEvent,
    StoreEvent,
    UpdateEvent,
    ValidationEvent,
)
from llmcache_plugins.telemetry import LogRecorder
from llmcache_plugins.telemetry.fields import NAMES, fields_of, name_of
from llmcache_plugins.types import Bypass, Miss, MissReason, NearMiss, UpdateOutcome, Usage, Verdict

NEAR = NearMiss("secret stored", 0.9, MissReason.GUARD_CONFLICT, "k", (Verdict("numbers", "conflict", "secret"),))
ALL: list[Event] = [
    LookupEvent(Miss(MissReason.GUARD_CONFLICT, (NEAR,), 0.1, "secret", "secret asked"), ("acme",), "status", "m"),
    UpdateEvent(UpdateOutcome(True), ("acme",), "m", Usage(1, 2), 3.0),
    ErrorEvent("hot", "StoreUnavailable"),
    ValidationEvent(Validation(False, "secret"), ()),
    JudgeEvent("yes", (), 0.01, 0.5),
    ResolutionEvent("resolved", (), 0.5),
    ShadowEvent("agrees", True, ()),
    ComparisonEvent("different", "semantic", ()),
    StageEvent(0.1, 0.5, "proven", 0.0, 0.009),
    ReportEvent(Reported(1, True, Regression("secret", "secret", "secret"))),
    InvalidationEvent(3, "hard", "price list"),
    MoveEvent("cold", "hot", 1, "reads"),
    PressureEvent("hot", 0.9, 0.91),
    ServerPressureEvent("redis", 0.9, ServerLoad(90, 100, 0)),
    EvictionsEvent("redis", "server", 1001, 60.0),
    StoreEvent("memory", 1, 2, 3),
]


def test_there_is_an_example_of_every_event_here() -> None:
    assert {type(event) for event in ALL} == set(typing.get_args(Event))
    assert tuple(fields_of(event)["event"] for event in ALL) == NAMES
    assert tuple(map(name_of, ALL)) == NAMES


@pytest.mark.parametrize("event", ALL, ids=NAMES)
def test_no_event_tells_a_text(event: Event, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "llmcache_plugins.events"):
        LogRecorder()(event)
    (record,) = caplog.records
    assert record.getMessage().startswith(str(record.llmcache["event"]))  # type: ignore[attr-defined]
    assert "secret" not in record.getMessage() + repr(record.__dict__)


def test_one_line_for_each_lookup_with_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG, "llmcache_plugins.events"),
        open_cache("memory://", embedder=None, recorders=[LogRecorder()]) as cache,
    ):
        question = Request("a", model="small", query_type="bgp", namespace=("acme",))
        cache.lookup(question)
        cache.update(question, "b")
        hit = cache.lookup(question)
    told = [record for record in caplog.records if record.name == "llmcache_plugins.events"]
    missed, updated, served = (record for record in told if record.getMessage().split()[0] in ("lookup", "update"))
    assert missed.getMessage().startswith("lookup outcome=miss reason=no_embedder latency=")
    assert missed.getMessage().endswith("query_type=bgp model=small namespace=acme")
    assert updated.getMessage().startswith("update stored=true")
    assert served.levelno == logging.DEBUG
    assert served.llmcache["key"] == hit.entry.key[:12]  # type: ignore[attr-defined]
    assert served.llmcache["latency"] == hit.latency  # type: ignore[attr-defined]


def test_levels_are_those_that_were_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    recorder = LogRecorder(levels={"miss": logging.INFO, "error": logging.ERROR})
    with caplog.at_level(logging.INFO, "llmcache_plugins.events"):
        for event in (ALL[0], ALL[1], ALL[2], LookupEvent(Bypass("asked"), ())):
            recorder(event)
    assert [(r.levelname, r.getMessage().split()[0]) for r in caplog.records] == [
        ("INFO", "lookup"),
        ("ERROR", "error"),
    ]


def test_name_of_a_user_makes_no_line_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "llmcache_plugins.events"):
        LogRecorder()(LookupEvent(Bypass("asked"), ("a\nERROR all is lost",), "", "m n"))
    (record,) = caplog.records
    assert "\n" not in record.getMessage()
    assert record.getMessage().endswith('model="m n" namespace="a\\nERROR all is lost"')


def test_logger_of_the_user_hears_it(caplog: pytest.LogCaptureFixture) -> None:
    LogRecorder(logging.getLogger("shop.cache"))(ALL[2])
    assert [(record.name, record.levelname) for record in caplog.records] == [("shop.cache", "WARNING")]


@pytest.mark.parametrize(
    ("levels", "said"),
    [({"hits": 10}, "no event hits; known are lookup"), ({"hit": "INFO"}, "level of hit must be a number")],
)
def test_wrong_levels_are_refused(levels: dict[str, int], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        LogRecorder(levels=levels)
