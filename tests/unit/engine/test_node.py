"""Which process stored an answer."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from llmcache_plugins import CacheConfig, ConfigError, Hit, open_cache
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.testing.redis_server import RedisServer


def test_an_entry_says_who_stored_it(tmp_path: Path, redis_server: Callable[[str], RedisServer]) -> None:
    for url in ("memory://", f"disk://{tmp_path}/cache.db", f"{redis_server('plain').url}?prefix=node-id"):
        settings = {"embedder": FakeEmbedder({"hi": "greeting", "hello": "greeting"}), "maintenance": "manual"}
        with open_cache(url, node_id="pod-7", **settings) as cache:
            cache.clear()
            cache.update("hi", "there")
            for question in ("hi", "hello", "hello"):  # exact, by meaning, and by the wording that matched
                found = cache.lookup(question)
                assert isinstance(found, Hit)
                assert found.entry.node_id == "pod-7"
            explanation = cache.explain("hi")
            assert explanation.node_id == "pod-7"
            assert "stored by:  pod-7" in str(explanation)
            assert cache.explain("nobody knows").node_id == ""
        if url != "memory://":
            with open_cache(url, node_id="pod-8", **settings) as other:
                found = other.lookup("hi")
                assert isinstance(found, Hit)
                assert found.entry.node_id == "pod-7"
                assert other.node_id == "pod-8"


def test_by_default_it_is_host_and_process_and_something_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMCACHE_NODE_ID", raising=False)
    with open_cache(embedder=None) as first, open_cache(embedder=None) as second:
        host, process, chance = first.node_id.rsplit(":", 2)
        assert (host, process, len(chance)) == (socket.gethostname(), str(os.getpid()), 8)
        assert first.node_id == second.node_id  # of the process


def test_the_environment_names_it_and_the_setting_counts_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMCACHE_NODE_ID", "from-the-environment")
    with open_cache(embedder=None) as cache:
        assert cache.node_id == "from-the-environment"
    with open_cache(embedder=None, node_id="given") as cache:
        assert cache.node_id == "given"
    with open_cache(embedder=None, config=CacheConfig(ttl=50.0)) as cache:
        assert (cache.node_id, cache.config.ttl) == ("from-the-environment", 50.0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_is_another_one() -> None:
    with open_cache(embedder=None) as cache:
        before = cache.node_id
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.write(writing, cache.node_id.encode())
            os._exit(0)
        os.waitpid(child, 0)
        theirs = os.read(reading, 200).decode()
        os.close(reading)
        os.close(writing)
        assert (theirs != before, f":{child}:" in theirs, cache.node_id == before) == (True, True, True)


@pytest.mark.parametrize("wrong", ["", "x" * 129, "two\nlines", 7, b"bytes"])
def test_what_is_no_name_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigError, match="node_id"):
        CacheConfig(node_id=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [0, -1, None, True])
def test_an_interval_that_is_none_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigError, match="stats_interval"):
        CacheConfig(stats_interval=wrong)  # type: ignore[arg-type]
