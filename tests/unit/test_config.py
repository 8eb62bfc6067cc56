"""Settings that exclude each other: a cosine decides, or an error budget does."""

from __future__ import annotations

import copy
import logging
from dataclasses import replace
from typing import Any

import pytest

from llmcache_plugins import CacheConfig, ConfigError, LexicalMatcher, open_cache
from llmcache_plugins.testing import FakeEmbedder


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"max_error_rate": 0.02}, r"max_error_rate=0\.02 and similarity_threshold=0\.9 exclude each other"),
        ({"max_error_rate": 0.01}, r"max_error_rate=0\.01 and"),  # the default's number, but given
        ({"max_error_rate_by_query_type": {"status": 0.0}}, r"max_error_rate_by_query_type=\{'status': 0\.0\} and"),
        ({"max_error_rate_by_namespace": {"a": 0.1}}, r"max_error_rate_by_namespace=.* and"),
    ],
)
def test_threshold_and_error_budget_exclude_each_other(budget: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=f"{said}.* leave one of them out"):
        open_cache("memory://", embedder=None, similarity_threshold=0.9, **budget)
    with pytest.raises(ConfigError, match=said):
        replace(CacheConfig(similarity_threshold=0.9), **budget)
    CacheConfig(**budget)


def test_default_budget_gives_way_to_a_threshold() -> None:
    config = CacheConfig(similarity_threshold=0.9)
    assert (config.max_error_rate, config.is_budget_given) == (0.01, False)
    for default in (CacheConfig(), replace(CacheConfig(), ttl=60.0), copy.deepcopy(CacheConfig())):
        assert default.max_error_rate == 0.01
        assert replace(default, similarity_threshold=0.9).similarity_threshold == 0.9


def test_given_default_is_the_same_setting() -> None:
    given = CacheConfig(max_error_rate=0.01)
    assert given.is_budget_given
    assert given == CacheConfig()
    assert hash(given) == hash(CacheConfig())
    assert repr(given) == repr(CacheConfig())


def test_threshold_of_a_matcher_and_an_error_budget_exclude_each_other() -> None:
    with pytest.raises(ConfigError, match=r"LexicalMatcher\(threshold=0.5\) and an error budget .* exclude each other"):
        open_cache("memory://", embedder=LexicalMatcher(threshold=0.5), max_error_rate=0.01)
    open_cache("memory://", embedder=LexicalMatcher(threshold=0.5)).close()
    open_cache("memory://", embedder=LexicalMatcher(), max_error_rate=0.01).close()


def test_given_budget_that_cannot_be_kept_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Also when its number is the default's."""
    with caplog.at_level(logging.INFO), open_cache("memory://", embedder=FakeEmbedder(), max_error_rate=0.01):
        [said] = [record for record in caplog.records if "no calibration" in record.message]
        assert said.levelno == logging.WARNING
