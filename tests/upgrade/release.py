"""What the stores and files that a release leaves behind are filled with, and what a later one has to find in them.

It is frozen with the first release whose files it made: what a later one stores besides gets a module of its own.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from llmcache_plugins import Answer, Hit, Miss, MissReason, QueryContext, Request, SemanticCache, open_cache
from llmcache_plugins.engine import invalidation_flow
from llmcache_plugins.testing import FakeClock
from llmcache_plugins.types import FloatArray, Usage

START = 1_800_000_000.0  # seconds since the epoch
KEY = bytes(range(32))
ABOUT = QueryContext("rtr-001", "interface_status", {"mtu": 9000})
GROUPS = {
    "Show BGP status": (0, 0.0),
    "Display BGP state": (0, 0.1),
    "Give me the BGP state": (0, 0.15),
    "Restart the router": (1, 0.0),
    "Reboot the router": (1, 0.1),
    "Which ports are open?": (2, 0.0),
    "Which gates are open?": (2, 0.6),  # a near miss: a cosine of 0.83
    "Where is the cellar?": (3, 0.0),
    "Where is the basement?": (3, 0.1),
    "Who is on call?": (4, 0.0),
    "What is old?": (5, 0.0),
    "What is gone?": (6, 0.0),
    "A structured question": (7, 0.0),
    "What is forgotten?": (8, 0.0),
}


class Axes:
    """Vectors that no model and no generator of random numbers decides about."""

    embedder_id = "upgrade/16/unit"
    dimension = 16

    def fits(self, text: str) -> bool:
        return True

    def embed(self, texts: Sequence[str]) -> FloatArray:
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            axis, angle = GROUPS.get(text, (14, 0.0))
            row[axis], row[15] = np.cos(angle), np.sin(angle)
        return rows


def opened(url: str, clock: FakeClock, **settings: Any) -> SemanticCache:
    given: dict[str, Any] = {
        "embedder": Axes(),
        "clock": clock,
        "namespace": "acme",
        "similarity_threshold": 0.9,
        "use_guards": False,
        "maintenance": "manual",
        "node_id": "node-1",
        "tolerance": {"temperature": 0.2},
        "verifier": None,
        **settings,
    }
    return open_cache(url, **given)


def asked(text: str, **given: Any) -> Request:
    return Request(
        text,
        provider="anthropic",
        model="some-model",
        params={"temperature": 0.5, "max_tokens": 100},
        context=[{"role": "system", "content": "You answer network engineers. \u00fc"}],
        **given,
    )


def fill(cache: SemanticCache, clock: FakeClock) -> None:
    """All kinds of records, by the verbs that users have."""

    def store(text: str, **given: Any) -> None:
        answer = Answer({"text": f"about: {text}"}, "end_turn", Usage(10, 20, 30, 40), 1.25)
        assert cache.update(asked(text, **given), answer, ttl=None).stored

    store("Show BGP status", tags=("device:rtr-001", "site:fra"), query_type="status", volatility="volatile")
    store("Restart the router", tags=("device:rtr-002",))
    store("Which ports are open?")
    store("Where is the cellar?")
    store("Who is on call?", namespace=("night",))
    store("What is old?", tags=("old",))
    store("What is gone?", tags=("gone",))
    store("What is forgotten?", namespace=("emptied",))
    store("An agent's step", exact_only="agent_step")
    assert cache.update(cache.request("A structured question", about=ABOUT), "structured", ttl=None).stored
    clock.advance(10.0)
    assert isinstance(cache.lookup(asked("Display BGP state")), Hit)  # leaves an alias
    assert isinstance(cache.lookup(asked("show bgp status ")), Hit)
    missed = cache.lookup(asked("Which gates are open?"))
    assert isinstance(missed, Miss)
    assert cache.label(cache.near_misses()[-1], is_right=True)
    wrong = cache.lookup(asked("Where is the basement?"))
    assert isinstance(wrong, Hit)
    cache.report_wrong(wrong)
    store("Where is the cellar?")
    clock.advance(10.0)
    assert cache.invalidate(tags=["gone"], reason="removed").count == 1
    assert cache.invalidate(tags=["old"], mode="lazy", reason="changed").count == 1
    with mock.patch.object(invalidation_flow, "_PART", 1):  # as if there were thousands: a new epoch begins
        cache.invalidate(everything=True, namespace="emptied", reason="emptied")
    cache.lookup(asked("Who is on call?", namespace=("emptied",)))  # what was asked for before is not stored any more
    store("Who is on call?", namespace=("emptied",))
    assert cache.reembed().is_whole
    cache.maintain()


def check(cache: SemanticCache) -> None:
    """What was stored is found as it was when it was stored."""

    def kind_of(text: str, **given: Any) -> str | None:
        found = cache.lookup(asked(text, **given))
        return found.kind if isinstance(found, Hit) else None

    hit = cache.lookup(asked("Show BGP status"))
    assert isinstance(hit, Hit)
    assert (hit.kind, hit.answer) == ("exact", {"text": "about: Show BGP status"})
    entry = hit.entry
    assert (entry.usage, entry.generation_seconds, entry.finish_reason) == (Usage(10, 20, 30, 40), 1.25, "end_turn")
    assert (entry.created_at, entry.expires_at, entry.node_id, entry.model) == (START, None, "node-1", "some-model")
    assert (entry.namespace, entry.profile.query_type, entry.profile.volatility) == (("acme",), "status", "volatile")
    assert {"device:rtr-001", "site:fra"} <= set(entry.profile.tags)
    assert entry.tolerant == {"temperature": 0.5}
    assert hit.access_count >= 3, "reads from before count on"
    assert kind_of("show bgp status ") == "normalised"
    assert kind_of("Display BGP state") in ("alias", "semantic")
    assert kind_of("Give me the BGP state") == "semantic"
    assert kind_of("Reboot the router") == "semantic"
    assert kind_of("An agent's step", exact_only="agent_step") == "exact"
    assert kind_of("Who is on call?", namespace=("night",)) == "exact"
    assert kind_of("Who is on call?", namespace=("emptied",)) == "exact", "in the epoch that began"
    structured = cache.lookup(cache.request("Asked in other words", about=ABOUT))
    assert not isinstance(structured, Hit)
    structured = cache.lookup(cache.request("A structured question", about=ABOUT))
    assert isinstance(structured, Hit)
    assert structured.entry.label == "v1:device:interface_status:rtr-001:dcf7:static"
    assert kind_of("Which gates are open?") == "alias", "what a person has called right"
    assert kind_of("Where is the cellar?") == "exact"
    assert kind_of("Where is the basement?") is None, "what a person has called wrong"
    check_invalidations(cache)


def check_invalidations(cache: SemanticCache) -> None:
    assert isinstance(cache.lookup(asked("What is gone?")), Miss)
    assert isinstance(cache.lookup(asked("What is forgotten?", namespace=("emptied",))), Miss)
    old = cache.lookup(asked("What is old?"))
    assert isinstance(old, Miss) or old.is_stale  # type: ignore[union-attr]
    assert isinstance(old, Hit) or old.reason is MissReason.STALE  # type: ignore[union-attr]
    noted = [(one.reason, one.mode, one.count) for one in cache.invalidations(since=0.0)]
    assert ("removed", "now", 1) in noted
    assert ("changed", "lazy", 1) in noted
    assert [reason for reason, _, _ in noted if reason == "emptied"] == ["emptied"]
    shared = cache.shared_stats()
    assert shared.is_complete
    assert shared.nodes["node-1"].hits == {"semantic": 2, "normalised": 1}
    assert shared.since == START


def check_awaited(cache: SemanticCache) -> None:
    async def look() -> None:
        try:
            for text, kinds in (
                ("Show BGP status", {"exact"}),
                ("Give me the BGP state", {"semantic", "alias"}),
                ("Which gates are open?", {"alias"}),
            ):
                found = await cache.alookup(asked(text))
                assert isinstance(found, Hit)
                assert found.kind in kinds
        finally:
            await cache.aclose()

    asyncio.run(look())


def files_of(folder: Path) -> dict[str, Any]:
    """Settings of a cache that leaves files beside its store."""
    return {
        "near_miss_file": folder / "near_misses.jsonl",
        "regression_file": folder / "regressions.jsonl",
        "embedding_cache_file": folder / "vectors.sqlite",
    }


def packed(word: Any) -> Any:
    """A word of a command to a server, as JSON."""
    if isinstance(word, int | float | str):
        return str(word)
    try:
        return word.decode("ascii")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(word).decode("ascii")}


def unpacked(word: Any) -> bytes:
    return base64.b64decode(word["base64"]) if isinstance(word, dict) else word.encode("ascii")
