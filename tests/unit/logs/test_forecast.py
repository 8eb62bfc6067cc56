"""What is said of a log before a cache is bought, held against what a cache then does."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmcache_plugins import ConfigError, Request, Usage
from llmcache_plugins.logs import (
    Forecast,
    LoggedCall,
    LogProfile,
    expected_hit_rate,
    forecast_of,
    profile_of,
    simulate,
    trace_of,
)
from llmcache_plugins.logs.counting import Commonest, FirstSeen
from llmcache_plugins.logs.reuse import Reuse
from llmcache_plugins.logs.simulate import Configuration
from llmcache_plugins.policies.placement import TierConfig

DAY = 86400.0


def calls_of(keys: list[int], gap: float | None = 60.0, usage: Usage = Usage()) -> Iterator[LoggedCall]:  # noqa: B008  # frozen
    for number, key in enumerate(keys):
        at = None if gap is None else number * gap
        yield LoggedCall(request=Request(f"question {key}", model="m"), at=at, usage=usage, answer_bytes=100)


def popular(count: int, seed: int = 3, most: int = 300) -> list[int]:
    draw = random.Random(seed)
    return [min(int(draw.paretovariate(0.6)), most) for _ in range(count)]


def forecast(keys: list[int], gap: float | None = 60.0, **settings: float) -> Forecast:
    profile = profile_of(calls_of(keys, gap))
    return forecast_of(profile, expected_hit_rate(profile, None), **settings)


def test_exact_repeats_are_counted_and_a_replay_of_all_shows_the_same() -> None:
    keys = popular(800)
    made = forecast(keys)
    assert made.profile.repeat_rate == 1 - len(set(keys)) / len(keys)
    assert made.hit_rate.value == pytest.approx(made.profile.repeat_rate)
    assert made.hit_rate.is_whole
    assert made.hit_rate.low < made.hit_rate.value < made.hit_rate.high


def test_a_sample_forecasts_the_whole() -> None:
    keys = popular(3000, most=10**9)
    profile = profile_of(calls_of(keys), sample=500)
    rate = expected_hit_rate(profile, None).hit_rate
    assert (rate.sampled, rate.is_whole) == (500, False)
    assert rate.value == pytest.approx(1 - len(set(keys)) / len(keys), abs=0.01)
    assert rate.low <= 1 - len(set(keys)) / len(keys) <= rate.high


def test_the_curve_by_size_is_what_an_lru_cache_answers() -> None:
    keys = popular(2000)
    profile = profile_of(calls_of(keys))
    trace = trace_of(calls_of(keys))
    for size in (1, 5, 20, 100):
        tiers = (TierConfig("all", max_entries=size),)
        real = simulate(trace, Configuration(name="lru", tiers=tiers)).hit_rate
        assert profile.by_size[size] == pytest.approx(real, abs=1e-12)


def test_with_more_keys_than_are_followed_the_curve_is_still_near() -> None:
    draw = random.Random(1)
    keys = [draw.getrandbits(64) for _ in range(3000)]
    asked = [keys[min(int(draw.paretovariate(0.5)), 3000) - 1] for _ in range(20_000)]
    sampled, exact = Reuse(most=400), Reuse()
    for key in asked:
        sampled.add(key, None)
        exact.add(key, None)
    for size in (50, 500, 2000):
        assert sampled.hit_rate_at_size(size) == pytest.approx(exact.hit_rate_at_size(size), abs=0.05)


def test_the_curve_by_ttl_is_what_a_cache_with_it_answers() -> None:
    keys = popular(2000)
    by_ttl = profile_of(calls_of(keys)).by_ttl
    trace = trace_of(calls_of(keys))
    for ttl in (60.0, 1800.0, 21600.0):
        tiers = (TierConfig("all", max_entries=10_000),)
        assert by_ttl[ttl] == simulate(trace, Configuration(name="lru", tiers=tiers, ttl=ttl)).hit_rate


def test_different_keys_are_estimated_when_there_are_too_many() -> None:
    draw = random.Random(2)
    seen = FirstSeen(most=1000)
    for number in range(20_000):
        seen.add(draw.getrandbits(64), number, None)
    assert seen.rate < 0.1
    assert seen.distinct == pytest.approx(20_000, rel=0.1)


def test_the_commonest_are_never_counted_too_high_and_too_low_by_no_more_than_it_says() -> None:
    counted = Commonest(most=50)
    draw = random.Random(2)
    for number in range(20_000):
        counted.add(7 if number % 4 == 0 else draw.getrandbits(64))
    frequencies = counted.frequencies
    assert frequencies.counts[0] <= 5000 <= frequencies.counts[0] + frequencies.error


def test_repeats_over_time_show_when_the_log_begins_to_repeat_itself() -> None:
    made = forecast(list(range(200)) * 2)
    rates = [one.repeat_rate for one in made.profile.periods]
    assert rates[0] == 0.0
    assert rates[-1] == pytest.approx(1.0, abs=0.02)
    assert sum(one.calls for one in made.profile.periods) == 400


def test_a_saving_is_net_and_scaled_to_a_month() -> None:
    made = forecast([1, 2] * 360, gap=120.0)  # a day less one gap; 718 of 720 repeat
    saving = made.saving
    assert saving is not None
    assert saving.calls == pytest.approx(720 * 30, rel=0.01)
    assert saving.value == pytest.approx(saving.calls * (718 / 720) * (0.10 - 0.0001))
    assert saving.low < saving.value < saving.high
    assert (saving.is_flat, saving.is_scaled) == (True, True)


def test_prices_come_from_the_tokens_where_they_are_known() -> None:
    usage = Usage(input_tokens=1000, output_tokens=100)
    profile = profile_of(calls_of([1, 1, 2], usage=usage), cost_of=lambda model, used: used.total_tokens / 1000)
    saving = forecast_of(profile, expected_hit_rate(profile, None), calls_per_month=300.0).saving
    assert saving is not None
    assert saving.call_cost == pytest.approx(1.1)
    assert saving.value == pytest.approx(100 * (1.1 - 0.0001))
    assert not saving.is_flat


def test_without_times_a_month_has_to_be_said() -> None:
    assert forecast([1, 1], gap=None).saving is None
    assert "--per-month" in str(forecast([1, 1], gap=None))
    given = forecast([1, 1], gap=None, calls_per_month=100.0).saving
    assert given is not None
    assert given.value == pytest.approx(50 * 0.0999)


def test_embeddings_of_what_is_no_exact_repeat_are_taken_off() -> None:
    costs = {"calls_per_month": 100.0, "embedding_cost": 0.01}
    profile = profile_of(calls_of([1, 1, 1, 2]))
    replayed = expected_hit_rate(profile, None)
    dear, free = (
        forecast_of(profile, replayed, **costs).saving,
        forecast_of(profile, replayed, dimension=0, **costs).saving,
    )
    assert dear is not None
    assert free is not None
    assert free.value == pytest.approx(50 * 0.0999)
    assert dear.value == pytest.approx(50 * 0.0999 - 50 * 0.01)


def test_recommended_size_and_ttl_keep_nearly_all_hits_and_no_more() -> None:
    made = forecast([number // 2 for number in range(2000)])  # each question twice, a minute apart
    assert made.advice.max_entries == 1
    assert made.advice.ttl == 300.0
    assert made.advice.tiers == {}


def test_where_nothing_repeats_nothing_is_recommended_but_room() -> None:
    made = forecast(list(range(500)))
    assert (made.advice.max_entries, made.advice.ttl) == (None, None)
    assert made.advice.room_entries == 500
    assert made.advice.room.memory > 500 * (1536 + 100)


def test_warming_says_what_it_covers_and_what_it_wins() -> None:
    made = forecast([number % 20 for number in range(400)])
    ten = made.warmth[0]
    assert (ten.top, ten.covered, ten.gained) == (10, 0.5, 10 / 400)
    assert ten.cost == pytest.approx(1.0)


def test_the_json_is_json_and_holds_no_question() -> None:
    content = json.dumps(forecast(popular(200)).as_json(), allow_nan=False)
    assert "question" not in content
    assert json.loads(content)["hit_rate"]["sampled"] == 200


@pytest.mark.parametrize("setting", ["calls_per_month", "call_cost", "hit_cost", "embedding_cost"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), True])
def test_a_number_out_of_range_is_refused(setting: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{setting} must be a number of at least 0"):
        forecast([1], **{setting: value})


def test_an_empty_log_and_one_call_are_profiles_too() -> None:
    empty: LogProfile = profile_of([])
    assert (empty.calls, empty.repeat_rate, empty.span, empty.periods) == (0, 0.0, None, ())
    assert forecast([1]).hit_rate.value == 0.0


def test_a_default_cache_answers_as_much_of_the_sample_stream_as_was_forecast() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("llmcache_plugins_models")
    from llmcache_plugins.embedders import OnnxEmbedder
    from llmcache_plugins.evaluation import PreparedEmbedder, open_replay_cache, replay_stream, texts_to_embed
    from llmcache_plugins.logs import LogFile

    data = Path(__file__).parents[3] / "examples" / "data"
    requests = [call.request for call in LogFile(data / "questions.jsonl")]
    embedder = PreparedEmbedder(OnnxEmbedder())
    embedder.prepare(texts_to_embed(requests))
    with open_replay_cache(embedder, rows=len(requests)) as cache:
        real = sum(one.row is not None for one in replay_stream(cache, requests)) / len(requests)
    half = profile_of(LogFile(data / "questions.jsonl"), sample=len(requests) // 2)
    forecast = expected_hit_rate(half, embedder).hit_rate
    assert not forecast.is_whole
    assert forecast.value == pytest.approx(real, abs=0.03)
    assert forecast.value > forecast.exact + 0.03  # meaning adds to what exact repeats bring
