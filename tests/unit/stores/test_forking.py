"""A store that cannot be made ready for a fork costs the others nothing."""

from __future__ import annotations

import logging
import os

import pytest

from llmcache_plugins import open_cache
from llmcache_plugins.stores.forking import follow_forks


class Stubborn:
    def before_fork(self) -> None:
        raise ValueError("not now")

    def after_fork(self) -> None:
        raise AssertionError("it was never brought to rest")


class Dazed:
    def before_fork(self) -> None:
        pass

    def after_fork(self) -> None:
        raise ValueError("where am I?")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # other tests' threads; from Python 3.12 on
def test_a_store_that_fails_around_a_fork_leaves_the_others_usable(caplog: pytest.LogCaptureFixture) -> None:
    stores = [Stubborn(), Dazed()]
    with open_cache("memory://", embedder=None) as cache, caplog.at_level(logging.WARNING):
        cache.update("What is BGP?", "A routing protocol.")
        for store in stores:
            follow_forks(store)
        try:
            child = os.fork()
            if child == 0:
                os._exit(0 if cache.lookup("What is BGP?") else 1)
        finally:
            stores.clear()
        assert os.waitpid(child, 0)[1] == 0
        assert cache.lookup("What is BGP?")
    assert len(caplog.records) == 2
    assert "not now" not in caplog.text
