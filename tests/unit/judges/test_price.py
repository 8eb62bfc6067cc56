"""Money for tokens."""

from __future__ import annotations

from typing import Any

import pytest

from llmcache_plugins import ConfigError
from llmcache_plugins.judges.price import Price


def test_price_is_for_a_million_tokens_of_input_and_of_output() -> None:
    assert Price([1.0, 5.0]).of(1_000_000, 200_000) == 2.0


@pytest.mark.parametrize("tokens", [(None, 1), (1, None), ("1", 1), (-1, 1), (float("nan"), 1)])
def test_tokens_that_are_no_numbers_have_no_price(tokens: Any) -> None:
    assert Price((1.0, 5.0)).of(*tokens) is None


@pytest.mark.parametrize("wrong", [1.0, (1.0,), (1.0, -2.0), (1.0, 2.0, 3.0), "12", (True, 1.0), (float("inf"), 1.0)])
def test_a_price_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="price must be money for a million tokens"):
        Price(wrong)
