"""What a model costs, by its name."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import ConfigError, Usage
from llmcache_plugins.money import MoneySettings, Price, PriceTable, load_prices, shipped_prices


def test_tokens_of_the_prompt_cache_have_their_own_price() -> None:
    price = Price(model="m", input=3.0, output=15.0, cache_write=3.75, cache_read=0.3)
    assert price.of(Usage(1000, 200, 400, 8000)) == pytest.approx(0.003 + 0.003 + 0.0015 + 0.0024)


def test_tokens_of_the_prompt_cache_cost_what_input_does_where_nothing_else_is_said() -> None:
    assert Price(model="m", input=2.0, output=8.0).of(Usage(0, 0, 1000, 1000)) == pytest.approx(0.004)


def test_the_first_pattern_that_fits_counts() -> None:
    table = PriceTable([Price(model="gpt-5-mini", input=1, output=1), Price(model="gpt-5*", input=2, output=2)])
    assert [table.price_of(name).input for name in ("gpt-5-mini", "gpt-5", "gpt-5-nano")] == [1, 2, 2]  # type: ignore[union-attr]
    assert table.price_of("gpt-4") is None
    mine = table.before({"model": "gpt-5", "input": 9, "output": 9})
    assert mine.price_of("gpt-5").input == 9  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("claude-haiku-4-5", "claude-haiku-4-5"),
        ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("Claude-Haiku-4-5", "claude-haiku-4-5"),
        ("anthropic/claude-haiku-4-5", "claude-haiku-4-5"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("openrouter/anthropic/claude-haiku-4-5", "claude-haiku-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("gpt-5.4-mini-2026-03-17", "gpt-5.4-mini"),
        ("gpt-4o", "gpt-4o"),
        ("gpt-4o-audio-preview", None),
        ("ft:gpt-4o-mini:org::id", None),
        ("claude-opus-9", None),
        ("", None),
    ],
)
def test_a_model_is_known_by_what_gateways_call_it_and_no_other_for_it(model: str, price: str | None) -> None:
    found = shipped_prices().price_of(model)
    assert (None if found is None else found.model) == price


def test_every_price_that_comes_with_the_package_says_when_and_where_it_was_read() -> None:
    for price in shipped_prices():
        assert date.fromisoformat(price.read) >= date(2026, 1, 1)
        assert price.source.startswith("https://")
        assert 0 < price.input < price.output
        assert price.cache_read is not None
        assert price.cache_read < price.input <= (price.cache_write or price.input)
    names = [price.model for price in shipped_prices()]
    assert len(set(names)) == len(names)


def test_users_have_a_file_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"currency": "EUR", "prices": [{"model": "our-*", "input": 1, "output": 2}]}))
    table = load_prices(path)
    assert (table.currency, table.price_of("our-model").output) == ("EUR", 2)  # type: ignore[union-attr]
    assert len(table) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no json", "is no JSON"),
        ("[]", "must hold"),
        ('{"prices": [], "euro": 1}', "nothing else, not euro"),
        ('{"prices": [{"model": "m", "input": 1}]}', "price 1 lacks output"),
        ('{"prices": [{"model": "m", "input": 1, "output": 2, "per": 3}]}', "price 1 has no field per"),
        ('{"prices": [{"model": "m", "input": -1, "output": 2}]}', "at least 0, not -1"),
        ('{"prices": [{"model": "m", "input": "1", "output": 2}]}', "not '1'"),
        ('{"prices": [{"model": "", "input": 1, "output": 2}]}', "a name or a pattern"),
        ('{"prices": [{"model": "m", "input": 1, "output": 2, "read": "today"}]}', "a day like"),
        ('{"prices": [7]}', "price 1 must be"),
        ('{"prices": [], "currency": 7}', "currency must be"),
    ],
)
def test_a_price_file_that_is_none_says_why(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "prices.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        load_prices(path)
    assert "prices.json" in str(caught.value)


def test_a_price_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory"):
        load_prices(tmp_path / "none.json")


@pytest.mark.parametrize(
    "wrong",
    [{"call_cost": -1}, {"hit_cost": True}, {"setup_cost": float("nan")}, {"monthly_lookups": "many"}, {"prices": {}}],
)
def test_wrong_settings_are_refused_when_they_are_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        MoneySettings(**wrong)
