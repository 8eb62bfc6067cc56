"""The short way of an exact hit and the flow cannot be told apart, whatever a cache has gone through."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import Hit, Outcome, SemanticCache, open_cache
from llmcache_plugins.engine.shortcut import Shortcut
from llmcache_plugins.testing import FakeClock, FakeEmbedder

QUESTIONS = {f"What does the command number {name} do?": name for name in ("ping", "trace", "dig")}
REWORDED = {f"Tell me what the command number {name} does": name for name in ("ping", "trace", "dig")}
Step = Callable[[SemanticCache, FakeClock], Any]


def _opened(url: str, clock: FakeClock) -> SemanticCache:
    return open_cache(
        url,
        embedder=FakeEmbedder(QUESTIONS | REWORDED),
        clock=clock,
        maintenance="manual",
        similarity_threshold=0.9,
        use_guards=False,
        ttl=3600.0,
        stale_while_revalidate=600.0,
    )


def _steps(seed: int) -> list[Step]:
    draw = random.Random(seed)
    texts = [*QUESTIONS, *REWORDED]
    steps: list[Step] = []
    for number in range(300):
        text, answer = draw.choice(texts), f"answer {number}"
        kinds: list[tuple[int, Step]] = [
            (60, partial(_looked, text)),
            (5, partial(_awaited, text)),
            (10, partial(_asked, text, answer)),
            (4, lambda cache, clock, t=text, a=answer: cache.update(t, a)),  # type: ignore[misc]  # bound now
            (2, partial(_waited, draw.choice((1.0, 600.0, 3700.0, 5000.0)))),
            (2, lambda cache, clock: cache.maintain()),
            (1, partial(_invalidated, draw.choice(("now", "lazy")))),
            (1, partial(_refreshing, text)),
            (1, lambda cache, clock: cache.clear()),
        ]
        steps.append(draw.choices([step for _, step in kinds], [weight for weight, _ in kinds])[0])
    return steps


def _looked(text: str, cache: SemanticCache, clock: FakeClock) -> Outcome:
    return cache.lookup(text)


def _awaited(text: str, cache: SemanticCache, clock: FakeClock) -> Outcome:
    return asyncio.run(cache.alookup(text))


def _asked(text: str, answer: str, cache: SemanticCache, clock: FakeClock) -> Outcome:
    outcome = cache.lookup(text)
    if not isinstance(outcome, Hit):
        cache.update(text, answer)
    return outcome


def _waited(seconds: float, cache: SemanticCache, clock: FakeClock) -> None:
    clock.advance(seconds)


def _invalidated(mode: str, cache: SemanticCache, clock: FakeClock) -> int:
    return cache.invalidate(everything=True, mode=mode).count


def _refreshing(text: str, cache: SemanticCache, clock: FakeClock) -> Outcome:
    with cache.context(refresh=True):
        return cache.lookup(text)


def _seen(value: Any) -> object:
    if isinstance(value, Hit):
        return value.evidence, value.answer, value.tier, value.access_count
    return type(value).__name__, getattr(value, "reason", value if isinstance(value, str) else None)


def _told(url: str, seed: int) -> list[object]:
    clock = FakeClock()
    with _opened(url, clock) as cache:
        told: list[object] = [_seen(step(cache, clock)) for step in _steps(seed)]
        stats = cache.stats()
    return [*told, stats.hits, stats.misses, {name: tier.hits for name, tier in stats.tiers.items()}]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_both_ways_tell_the_same(kind: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    urls = ["memory://"] * 2 if kind == "memory" else [f"disk://{tmp_path}/{name}.db" for name in ("short", "long")]
    taken = 0
    look = Shortcut._look

    def counted(self: Shortcut, *arguments: Any) -> Any:
        nonlocal taken
        found = look(self, *arguments)
        taken += found is not None
        return found

    monkeypatch.setattr(Shortcut, "_look", counted)
    short = _told(urls[0], seed)
    assert taken > 2  # or this compares the flow with itself
    monkeypatch.setattr(Shortcut, "is_open", lambda rules, *, is_rolling_out: False)
    assert _told(urls[1], seed) == short
