"""A process is killed in the middle of `reembed`: nothing is lost, and the next run goes on."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Hit, SemanticCache, open_cache
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.testing.redis_server import RedisServer

pytestmark = pytest.mark.slow

COUNT = 200
_PREFIXES = itertools.count()
MOVER = """
import sys
from llmcache_plugins import open_cache
from llmcache_plugins.testing import FakeEmbedder

embedder = FakeEmbedder(name="new", before=lambda texts: print(len(texts), flush=True))
cache = open_cache(sys.argv[1], embedder=embedder, maintenance="manual", embedding_cache_entries=0)
cache.reembed(batch=10)
"""


@pytest.fixture(params=["disk", "search", "plain"])
def url(request: pytest.FixtureRequest, redis_server: Callable[[str], RedisServer], tmp_path: Path) -> str:
    if request.param == "disk":
        return f"disk://{tmp_path}/cache.db"
    return f"{redis_server(request.param).url}?prefix=killed-{next(_PREFIXES)}"


def opened(url: str, name: str) -> SemanticCache:
    settings: dict[str, Any] = {"maintenance": "manual", "similarity_threshold": 0.9}
    return open_cache(url, embedder=FakeEmbedder(name=name), **settings)


def test_killed_and_run_again(url: str) -> None:
    with opened(url, "old") as cache:
        for number in range(COUNT):
            assert cache.update(f"question {number}", number).stored
        for _ in range(COUNT // 64 + 1):
            cache.lookup("something else")  # embeds what is stored
    for batches in (3, 6):
        command = [sys.executable, "-c", MOVER, url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                for _ in range(batches):
                    assert process.stdout.readline()
            finally:
                os.kill(process.pid, signal.SIGKILL)
    with opened(url, "new") as cache:
        report = cache.reembed()
        assert report.is_whole
        assert report.read == report.moved + report.current == COUNT
        assert report.current >= 20 + 50, "what the killed ones had moved stays moved"
        assert cache.reembed().current == COUNT
        for number in range(COUNT):
            hit = cache.lookup(f"question {number}")
            assert isinstance(hit, Hit)
            assert hit.answer == number
