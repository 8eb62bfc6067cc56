"""What a cache takes on a server: what was worked out before, beside what it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from benchmarks import sizes
from llmcache_plugins import ConfigError, open_cache
from llmcache_plugins.cli import main
from llmcache_plugins.stores.redis import size_estimate
from llmcache_plugins.testing.redis_server import RedisServer
from llmcache_plugins.types import FloatArray

Flavour = Callable[[str], str]


class Embedder384:
    """Random vectors; every question is far from every other."""

    embedder_id = "random/384/unit"

    def fits(self, text: str) -> bool:
        return True

    def embed(self, texts: Sequence[str]) -> FloatArray:
        rows = np.stack([np.random.default_rng(abs(hash(text))).standard_normal(384) for text in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("index", ["hnsw", "flat", "sets", "local"])
def test_the_estimate_is_within_30_percent_of_what_2000_entries_take(index: str, redis_flavour: Flavour) -> None:
    """When this fails the form of entries or vectors has changed: `make sizes` measures anew."""
    chance = Random(3)
    answers = [sizes.text_of(chance.randrange(400, 2000), chance) for _ in range(2000)]
    questions = [f"{sizes.text_of(chance.randrange(40, 160), chance)} {number}" for number in range(2000)]
    with RedisServer(redis_flavour(sizes.FLAVOURS[index])) as server:
        settings: dict[str, Any] = {"embedder": Embedder384(), "maintenance": "manual", "use_guards": False}
        with open_cache(f"{server.url}?index={index}&staleness=0.3", **settings) as cache:
            for question, answer in zip(questions, answers, strict=True):
                cache.update(question, answer)
            cache.stats()
            used = sizes.used_memory(server)
    estimate = size_estimate(
        2000,
        answer_bytes=sum(map(len, answers)) // 2000,
        question_bytes=sum(map(len, questions)) // 2000,
        dimension=384,
        index=index,
    )
    assert 0.7 * used <= estimate.total_bytes <= 1.3 * used
    assert estimate.advised_bytes > used


def test_sizes_can_be_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_flavour: Flavour, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sizes, "FLAVOURS", {"local": redis_flavour("plain")})
    monkeypatch.setattr(sizes, "_ENTRIES", 60)
    assert sizes.main(["--out", str(tmp_path / "sizes.json")]) == 0
    written = json.loads((tmp_path / "sizes.json").read_text())
    assert written["entry"]["local"]["dimension"] > 0
    assert "off by" in capsys.readouterr().out


def test_more_of_anything_takes_more() -> None:
    least = size_estimate(1000)
    for more in ({"entries": 2000}, {"answer_bytes": 5000}, {"question_bytes": 500}, {"dimension": 1024}):
        assert size_estimate(**{"entries": 1000, **more}).total_bytes > least.total_bytes
    assert size_estimate(0).entry_bytes == least.entry_bytes


@pytest.mark.parametrize("wrong", [{"entries": -1}, {"answer_bytes": 1.5}, {"dimension": True}, {"index": "auto"}])
def test_what_no_cache_has_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        size_estimate(**{"entries": 10, **wrong})


def test_doctor_says_what_entries_would_take(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--entries", "100000", "--answer-bytes", "1500"]) == 0
    told = capsys.readouterr().out
    estimate = size_estimate(100_000, answer_bytes=1500)
    assert f"{estimate.entry_bytes:,} bytes" in told
    assert f"{estimate.advised_bytes / 2**20:,.0f} MiB" in told
    assert main(["doctor", "--entries", "10", "--index", "tree"]) == 2
    assert "index must be one of" in capsys.readouterr().err
