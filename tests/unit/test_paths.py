"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmcache_plugins import ConfigError, open_cache
from llmcache_plugins.paths import as_path


def test_a_home_is_put_in() -> None:
    assert as_path("~/a") == Path.home() / "a"
    assert as_path("a/~b") == Path("a/~b")


@pytest.mark.parametrize("given", ["~nobody-at-all/a.db", "~\x00/a.db"])
def test_what_is_no_path_is_said_so(given: str) -> None:
    with pytest.raises(ConfigError, match="no path"):
        as_path(given)


def test_a_cache_in_a_home_that_is_not_there_is_a_wrong_setting() -> None:
    with pytest.raises(ConfigError, match="no path"):
        open_cache("disk://~nobody-at-all/a.db")
