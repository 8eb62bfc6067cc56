"""Prices in a JSON file: the user's, and the one that comes with the package."""

from __future__ import annotations

import json
import os
from functools import cache
from importlib import resources

from llmcache_plugins.errors import ConfigError, why
from llmcache_plugins.money.prices import PriceTable
from llmcache_plugins.paths import as_path

__all__ = ["load_prices", "shipped_prices"]


def load_prices(path: str | os.PathLike[str]) -> PriceTable:
    """The prices of a file: `{"currency": "USD", "prices": [{"model": ..., "input": ..., "output": ...}, ...]}`, each
    with the fields of `Price`.

    Raises:
        ConfigError: the file cannot be read, is no JSON, or says something that no price has.
    """
    try:
        text = as_path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"prices cannot be read from {str(path)!r}: {why(error)}") from error
    return _table(text, str(path))


@cache
def shipped_prices() -> PriceTable:
    """Prices of current models of Anthropic and OpenAI, each with the day it was read and where. Prices change: give
    your own table where it matters."""
    text = resources.files("llmcache_plugins.money").joinpath("prices.json").read_text(encoding="utf-8")
    return _table(text, "prices.json")


def _table(text: str, name: str) -> PriceTable:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name!r} is no JSON: {type(error).__name__}") from error
    if not isinstance(content, dict) or not isinstance(content.get("prices"), list):
        raise ConfigError(f'{name!r} must hold {{"currency": "USD", "prices": [...]}}')
    unknown = sorted(set(content) - {"currency", "prices"})
    if unknown:
        raise ConfigError(f"{name!r} must hold currency and prices and nothing else, not {', '.join(unknown)}")
    try:
        return PriceTable(content["prices"], currency=content.get("currency", "USD"))
    except ConfigError as error:
        raise ConfigError(f"{name!r}: {error}") from error
