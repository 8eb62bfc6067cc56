"""What an alert rule may say."""

from __future__ import annotations

from typing import Any

import pytest

from llmcache_plugins import ConfigError
from llmcache_plugins.telemetry.alerts import DEFAULT_RULES, MEASURES, AlertRule, Alerts, CallbackSink
from llmcache_plugins.telemetry.alerts.queries import QUERIES

GOOD: dict[str, Any] = {"name": "Low", "measure": "hit_rate", "side": "below", "threshold": 0.7}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "low rate"}, "letters, digits and underscores, not 'low rate'"),
        ({"name": ""}, "not ''"),
        ({"measure": "hitrate"}, "measure of alert rule Low must be one of hit_rate, .*; not 'hitrate'"),
        ({"side": "under"}, 'side of alert rule Low must be "above" or "below", not \'under\''),
        ({"level": "bad"}, '"warning" or "urgent", not \'bad\''),
        ({"threshold": float("nan")}, "threshold of alert rule Low must be a number, not nan"),
        ({"threshold": "0.7"}, "must be a number, not '0.7'"),
        ({"threshold": True}, "must be a number, not True"),
        ({"clear": 0.6}, "good side of the threshold, 0.7: it fires below that, so 0.6 would clear what fires"),
        ({"window": 0}, "window of alert rule Low must be seconds above 0, 604800 at most, not 0"),
        ({"window": 1e9}, "604800 at most"),
        ({"for_seconds": -1}, "for_seconds of alert rule Low must be seconds from 0"),
        ({"min_sample": 1.5}, "min_sample of alert rule Low must be an integer of at least 0, not 1.5"),
        ({"min_sample": -1}, "not -1"),
    ],
)
def test_a_wrong_rule_is_refused_when_it_is_made(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        AlertRule(**{**GOOD, **wrong})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rules": []}, "rules must be at least one AlertRule"),
        ({"rules": "LowHitRate"}, "rules must be at least one AlertRule"),
        ({"rules": [*DEFAULT_RULES, DEFAULT_RULES[0]]}, "LowHitRate is there more than once"),
        ({"interval": 0.5}, "interval must be seconds from 1 to 3600, not 0.5"),
        ({"sinks": [print]}, r"CallbackSink\(f\) makes one of a function"),
        ({"sinks": 3}, "sinks must be a list of sinks"),
    ],
)
def test_wrong_alerts_are_refused_when_they_are_made(settings: dict[str, Any], said: str, cache: Any) -> None:
    with pytest.raises(ConfigError, match=said):
        Alerts(cache, **settings)


def test_something_else_than_a_cache_is_refused() -> None:
    with pytest.raises(ConfigError, match="cache must be a SemanticCache, not str"):
        Alerts("memory://")  # type: ignore[arg-type]


def test_a_callback_that_cannot_be_called_there_is_refused() -> None:
    async def later(alert: object) -> None: ...

    class Later:
        async def __call__(self, alert: object) -> None: ...

    for callback in (later, Later()):
        with pytest.raises(ConfigError, match="no event loop runs where it is called"):
            CallbackSink(callback)
    with pytest.raises(ConfigError, match="function of one alert, not str"):
        CallbackSink("print")  # type: ignore[arg-type]


def test_each_measure_has_a_default_rule_and_a_query() -> None:
    assert {rule.measure for rule in DEFAULT_RULES} == set(MEASURES) == set(QUERIES)
