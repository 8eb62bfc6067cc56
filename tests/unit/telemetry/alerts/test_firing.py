"""When rules fire and when they clear, under a clock that a test moves."""

from __future__ import annotations

from typing import Any

import pytest

from llmcache_plugins.telemetry.alerts import DEFAULT_RULES, AlertRule

RULES = {rule.name: rule for rule in DEFAULT_RULES}
DAY = 86_400.0
WELL: dict[str, dict[str, Any]] = {  # of one step, in good times
    "LowHitRate": {"hits": 9, "misses": 1},
    "HitRateFell": {"hits": 9, "misses": 1},
    "FalseHits": {"validated": 10},
    "HitQualityDrift": {"validated": 10},
    "SlowHits": {"hits": 10},
}
ILL: dict[str, dict[str, Any]] = {
    "LowHitRate": {"hits": 5, "misses": 5},
    "HitRateFell": {"hits": 5, "misses": 5},
    "FalseHits": {"validated": 10, "rejected": 2},
    "HitQualityDrift": {"validated": 10, "rejected": 1},
    "SlowHits": {"hits": 10, "took": 0.3},
    "Evictions": {"evictions": 1},  # 240 in an hour
    "ManyEvictions": {"evictions": 5},  # 1,200
    "ServerMemory": {"warnings": 1},
    "CircuitOpen": {"left_alone": 3},
}
STATE: dict[str, tuple[str, Any, Any]] = {  # what is not counted but is so
    "MemoryHigh": ("utilisation", 0.5, 0.87),
    "MemoryFull": ("utilisation", 0.5, 0.95),
    "StoreDown": ("down", (), ("main",)),
}


@pytest.mark.parametrize("name", RULES)
def test_each_default_rule_fires_in_bad_times_and_clears_in_good_ones(name: str, watching: Any) -> None:
    rule = RULES[name]
    at = watching([rule])
    step = 600.0 if rule.window >= DAY else 15.0
    long = 2.2 * rule.window + rule.for_seconds + 10 * step
    what, well, ill = STATE.get(name, ("", None, None))
    at.run(long, step, **WELL.get(name, {}))
    assert at.told == []
    if what:
        setattr(at.cache, what, ill)
    at.run(long, step, **ILL.get(name, {}))
    # A fall is one for as long as the time before it was better; everything else lasts as long as it is bad.
    is_fall = name in ("HitRateFell", "HitQualityDrift")
    assert at.states == [(name, "firing"), (name, "cleared")][: 1 + is_fall]
    assert [alert.rule for alert in at.alerts.firing] == ([] if is_fall else [rule])
    if what:
        setattr(at.cache, what, well)
    at.run(long, step, **WELL.get(name, {}))
    assert at.states == [(name, "firing"), (name, "cleared")]
    assert at.alerts.firing == ()


def test_what_the_issue_asks_for_is_what_the_rules_say() -> None:
    said = {
        (rule.measure, rule.side, rule.threshold, rule.level)
        for rule in DEFAULT_RULES
        if rule.measure not in ("hit_rate_fall", "false_hit_rise")
    }
    assert said == {
        ("hit_rate", "below", 0.70, "warning"),
        ("evictions_per_hour", "above", 100, "warning"),
        ("evictions_per_hour", "above", 1000, "urgent"),
        ("false_hit_rate", "above", 0.05, "urgent"),
        ("hit_latency_p95", "above", 0.1, "warning"),
        ("memory", "above", 0.85, "warning"),
        ("memory", "above", 0.90, "urgent"),
        ("server_warnings", "above", 0, "warning"),
        ("store_down", "above", 0, "urgent"),
        ("circuit_open", "above", 0, "warning"),
    }


def test_it_fires_after_for_seconds_without_a_break_and_says_since_when(watching: Any) -> None:
    at = watching([AlertRule(name="Full", measure="memory", side="above", threshold=0.85, for_seconds=60)])
    at.cache.utilisation = 0.9
    at.run(45)
    at.cache.utilisation = 0.8
    at.run(15)
    at.cache.utilisation = 0.9
    began = at.clock.now() + 15
    at.run(60)
    assert at.told == []
    at.run(30)
    (alert,) = at.told
    assert alert.since == alert.at == began + 60
    at.cache.utilisation = 0.95
    at.run(30)
    (now,) = at.alerts.firing
    assert (now.value, now.since, now.at) == (0.95, alert.since, at.clock.now())
    assert len(at.told) == 1


def test_a_measure_that_wavers_about_its_threshold_is_told_once(watching: Any) -> None:
    at = watching([AlertRule(name="Full", measure="memory", side="above", threshold=0.85, clear=0.80)])
    for _ in range(10):
        for at.cache.utilisation in (0.86, 0.81):
            at.run(15)
    assert at.states == [("Full", "firing")]
    at.cache.utilisation = 0.80
    at.run(15)
    assert at.states == [("Full", "firing"), ("Full", "cleared")]


def test_the_threshold_itself_does_not_fire(watching: Any) -> None:
    low = AlertRule(name="Low", measure="hit_rate", side="below", threshold=0.70)
    full = AlertRule(name="Full", measure="memory", side="above", threshold=0.85)
    at = watching([low, full])
    at.cache.utilisation = 0.85
    at.run(60, hits=7, misses=3)
    assert at.told == []


def test_of_too_few_nothing_is_said(watching: Any) -> None:
    at = watching([RULES["LowHitRate"], RULES["FalseHits"], RULES["SlowHits"]])
    at.run(15, misses=50, hits=49, took=5, validated=199, rejected=199)
    at.run(1200)
    assert at.told == []


def test_good_validators_clear_the_alert_they_could_fire(watching: Any) -> None:
    """Of 200 matches, none refused: the upper bound is 1.9 %. With 73 it would be 5 %."""
    at = watching([RULES["FalseHits"]])
    at.run(15, validated=200, rejected=20)
    assert at.states == [("FalseHits", "firing")]
    assert at.told[0].value == pytest.approx(0.1494, abs=1e-4)  # Wilson's upper bound of 20 in 200
    assert at.told[0].sample == 200
    at.run(1.1 * DAY, 3600)
    at.run(3600, 3600, validated=200)
    assert at.states[-1] == ("FalseHits", "cleared")
    assert at.told[-1].value == pytest.approx(0.0188, abs=1e-4)


def test_the_noise_of_small_samples_is_no_drift(watching: Any) -> None:
    at = watching([RULES["HitQualityDrift"], RULES["HitRateFell"]])
    at.run(DAY, DAY, validated=200, rejected=2)
    at.run(DAY, DAY, validated=200, rejected=7)  # from 1 % to 3.5 %: chance may do that
    at.run(3600, 3600, hits=140, misses=60)
    at.run(3600, 3600, hits=125, misses=75)
    assert at.told == []
    at.run(DAY, DAY, validated=2000, rejected=70)
    assert at.told == []  # nor is it one that the rate stays where it was
    at.run(DAY, DAY, validated=2000, rejected=140)
    assert at.states == [("HitQualityDrift", "firing")]


def test_it_stays_for_a_window_when_traffic_ends_and_then_says_that_nothing_is_known(watching: Any) -> None:
    at = watching([RULES["LowHitRate"]])
    at.run(600, misses=5)
    assert at.states == [("LowHitRate", "firing")]
    at.run(900)  # what came before is in the window for so long
    assert at.states == [("LowHitRate", "firing")]
    at.run(960)
    assert at.states == [("LowHitRate", "firing"), ("LowHitRate", "cleared")]
    assert at.told[-1].value is None
    assert "not known any more" in at.told[-1].text
    assert at.told[-1].as_json()["value"] is None


def test_four_evictions_in_the_first_minute_are_no_240_an_hour(watching: Any) -> None:
    at = watching([RULES["Evictions"]])
    at.run(60, evictions=1)
    assert at.told == []


def test_what_was_counted_before_the_watch_began_does_not_count(watching: Any, cache: Any) -> None:
    cache.more(evictions=5000, misses=5000)
    at = watching([RULES["Evictions"], RULES["LowHitRate"]], cache)
    at.run(900, evictions=1, hits=9, misses=1)
    assert at.told == []


def test_counts_that_begin_anew_fire_nothing(watching: Any) -> None:
    at = watching([RULES["Evictions"], RULES["LowHitRate"], RULES["HitRateFell"]])
    at.run(7200, hits=10)
    at.cache.counts.clear()
    at.cache.seconds.clear()
    at.run(3600, hits=9, misses=1)  # there are more misses than before, and fewer hits
    assert at.told == []


def test_a_store_that_comes_back_has_not_evicted_everything_again(watching: Any, cache: Any) -> None:
    cache.more(evictions=5000)
    at = watching([RULES["Evictions"], RULES["StoreDown"], RULES["MemoryFull"]], cache)
    at.run(60)
    at.cache.more(evictions=90)
    at.run(60)
    at.cache.down = ("main",)
    at.cache.utilisation = 1.0  # nobody knows, for it cannot be asked
    at.run(300)
    at.cache.down = ()
    at.cache.utilisation = 0.5
    at.run(300)
    assert at.states == [("StoreDown", "firing"), ("StoreDown", "cleared")]
    assert [alert.part for alert in at.told] == ["main", "main"]


def test_a_store_that_was_down_when_the_watch_began_has_evicted_nothing_since(watching: Any, cache: Any) -> None:
    cache.down = ("main",)
    cache.more(evictions=50_000)
    at = watching([RULES["Evictions"]], cache)
    at.run(60)
    cache.down = ()
    at.run(60)
    assert at.told == []
    at.run(900, evictions=10)
    assert at.states == [("Evictions", "firing")]


def test_evictions_of_copies_are_no_loss(cache: Any) -> None:
    assert cache.stats().stores["copies"].evictions == 9
    assert cache.stats().evictions == 0


def test_of_shared_counts_that_cannot_be_read_only_the_store_is_known(watching: Any) -> None:
    at = watching([RULES["LowHitRate"], RULES["StoreDown"], RULES["ServerMemory"]], shared=True)
    at.run(1200, misses=10, warnings=1)
    assert at.states == [("ServerMemory", "firing"), ("LowHitRate", "firing")]
    at.cache.is_complete, at.cache.down = False, ("main",)
    at.run(60)
    assert at.states == [("ServerMemory", "firing"), ("LowHitRate", "firing"), ("StoreDown", "firing")]


def test_an_alert_is_told_in_a_line_without_secrets(watching: Any) -> None:
    at = watching([RULES["LowHitRate"], RULES["StoreDown"]])
    at.cache.down = ("main",)
    at.run(450, hits=4, misses=6)
    assert [alert.text for alert in at.told] == [
        "StoreDown fires: store_down of main is 1 (fires above 0)",
        "LowHitRate fires: hit_rate is 40.0 % (fires below 70.0 %, 300 lookups)",
    ]
    assert at.told[1].as_json() == {
        "name": "LowHitRate",
        "level": "warning",
        "state": "firing",
        "measure": "hit_rate",
        "unit": "ratio",
        "value": 0.4,
        "threshold": 0.7,
        "side": "below",
        "sample": 300,
        "part": "",
        "since": at.told[1].since,
        "at": at.told[1].at,
        "text": at.told[1].text,
    }
