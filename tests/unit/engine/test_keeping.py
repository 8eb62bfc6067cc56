"""What of a question's text is stored: all of it, what a hook leaves, or nothing."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import (
    CacheConfig,
    ConfigError,
    Hit,
    Miss,
    MissReason,
    Request,
    SemanticCache,
    UpdateOutcome,
    open_cache,
)
from llmcache_plugins.engine.reports import key_of_reports
from llmcache_plugins.selection import Selector
from llmcache_plugins.testing import FakeEmbedder

SECRET = "How do I reset the password of ada@example.org?"
REWORDED = "How can I reset the password of ada@example.org?"
PUBLIC, PUBLIC_TOO = "How do I reset a password?", "How can I reset a password?"
GROUPS = {SECRET: "secret", REWORDED: "secret", PUBLIC: "public", PUBLIC_TOO: "public"}


def redact(text: str) -> str:
    return text.replace("ada@example.org", "<address>")


def opened(**settings: Any) -> closing[SemanticCache]:
    given: dict[str, Any] = {"embedder": FakeEmbedder(GROUPS), "similarity_threshold": 0.9, "use_guards": False}
    return closing(open_cache("memory://", **{**given, **settings}))


def stored_in(cache: SemanticCache) -> list[Any]:
    """The entries of the store."""
    store = cache._parts.tiers[-1].store
    return [row.entry for row in store.select(Selector(), limit=100).rows]


def kind_of(cache: SemanticCache, question: str) -> str:
    outcome = cache.lookup(question)
    return outcome.kind if isinstance(outcome, Hit) else "miss"


# -------------------------------------------------------------------------------------------------------- no text
def test_without_text_only_the_same_text_hits() -> None:
    with opened(store_text=False) as cache:
        assert cache.update(PUBLIC, "a").stored
        assert cache.update("What is BGP?", "b").stored
        (first, second) = stored_in(cache)
        assert (first.text, second.text, first.is_candidate, first.vector) == ("", "", False, None)
        assert [kind_of(cache, text) for text in (PUBLIC, f"  {PUBLIC} ")] == ["exact", "exact"]
        # Case can matter, and nobody can see whether it does here.
        assert [kind_of(cache, text) for text in (PUBLIC.lower(), PUBLIC_TOO)] == ["miss", "miss"]
        hit = cache.lookup(PUBLIC)
        assert isinstance(hit, Hit)
        assert (hit.answer, hit.matched_question, hit.asked) == ("a", "", PUBLIC)


def test_without_text_nothing_is_embedded() -> None:
    embedder = FakeEmbedder(GROUPS)
    with opened(embedder=embedder, store_text=False) as cache:
        for question in (PUBLIC, PUBLIC_TOO):
            cache.get_or_generate(question, lambda _: "a")
        assert embedder.embedded == []


def test_without_text_no_file_may_hold_questions(tmp_path: Path) -> None:
    for name in ("near_miss_file", "regression_file"):
        with pytest.raises(ConfigError, match=f"{name} holds questions in clear"):
            CacheConfig(store_text=False, **{name: tmp_path / "x"})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="store_text must be True or False"):
        CacheConfig(store_text="no")  # type: ignore[arg-type]


def test_a_wrong_answer_without_text_goes_and_leaves_no_report() -> None:
    with opened(store_text=False) as cache:
        cache.update(PUBLIC, "wrong")
        hit = cache.lookup(PUBLIC)
        assert isinstance(hit, Hit)
        reported = cache.report_wrong(hit)
        assert (reported.removed, reported.is_remembered, reported.regression) == (1, False, None)
        assert stored_in(cache) == []


# ------------------------------------------------------------------------------------------------------ redaction
def test_what_a_hook_changes_is_stored_changed_and_matched_exactly() -> None:
    with opened(redact=redact) as cache:
        cache.update(PUBLIC, "public")
        cache.update(SECRET, "secret")
        public, secret = stored_in(cache)
        assert (public.text, public.is_candidate) == (PUBLIC, True)
        assert (secret.text, secret.is_candidate) == (redact(SECRET), False)
        assert kind_of(cache, SECRET) == "exact"
        assert [kind_of(cache, text) for text in (REWORDED, SECRET.upper(), redact(SECRET))] == ["miss"] * 3
        assert kind_of(cache, PUBLIC_TOO) == "semantic"


def test_a_wording_with_a_secret_is_no_alias() -> None:
    embedder = FakeEmbedder({PUBLIC: "one", SECRET: "one", PUBLIC_TOO: "one"})
    with opened(embedder=embedder, redact=redact) as cache:
        cache.update(PUBLIC, "a")
        assert [kind_of(cache, SECRET), kind_of(cache, SECRET)] == ["semantic", "semantic"]
        assert [kind_of(cache, PUBLIC_TOO), kind_of(cache, PUBLIC_TOO)] == ["semantic", "alias"]
        assert cache._parts.tiers[-1].store.stats().aliases == 1


def test_a_wrong_match_of_a_secret_is_remembered_without_its_text() -> None:
    embedder = FakeEmbedder({PUBLIC: "one", SECRET: "one"})
    with opened(embedder=embedder, redact=redact) as cache:
        cache.update(PUBLIC, "a")
        hit = cache.lookup(SECRET)
        assert isinstance(hit, Hit)
        reported = cache.report_wrong(hit)
        assert (reported.removed, reported.is_remembered, reported.regression) == (1, True, None)
        scope = hit.entry.scope
        store = cache._parts.tiers[-1].store
        (report,) = store.get_normalised(scope, key_of_reports(scope), limit=9)
        assert "ada" not in report.entry.text + report.entry.answer_json
        assert report.entry.answer["vectors"] is None
        cache.update(PUBLIC, "a")
        outcome = cache.lookup(SECRET)
        assert isinstance(outcome, Miss)
        assert outcome.reason is MissReason.REPORTED


def test_files_get_what_the_hook_leaves(tmp_path: Path) -> None:
    embedder = FakeEmbedder({PUBLIC: "one", SECRET: "one"}, similarity=0.8)
    near, wrong = tmp_path / "near.jsonl", tmp_path / "wrong.jsonl"
    with opened(embedder=embedder, redact=redact, near_miss_file=near, regression_file=wrong) as cache:
        cache.update(PUBLIC, "a")
        assert isinstance(cache.lookup(SECRET), Miss)
    (row,) = map(json.loads, near.read_text(encoding="utf-8").splitlines())
    assert (row["asked"], row["stored"]) == (redact(SECRET), PUBLIC)
    assert not wrong.exists()


def fail(text: str) -> str:
    raise RuntimeError(f"cannot read {text}")


@pytest.mark.parametrize("hook", [fail, lambda text: None, lambda text: 3])
def test_where_the_hook_fails_nothing_is_stored(tmp_path: Path, hook: Any, caplog: pytest.LogCaptureFixture) -> None:
    near = tmp_path / "near.jsonl"
    with opened(redact=hook, near_miss_file=near) as cache:
        assert cache.update(SECRET, "a") == UpdateOutcome(False, "redaction_error")
        assert asyncio.run(cache.aupdate(SECRET, "a")) == UpdateOutcome(False, "redaction_error")
        assert cache.get_or_generate(SECRET, lambda _: "fresh") == "fresh"
        assert stored_in(cache) == []
        assert cache.stats().errors["redaction"] == 3
    assert "ada" not in caplog.text
    assert len([line for line in caplog.messages if line.startswith("redaction")]) == 1
    with opened(redact=hook, fail_open=False) as cache, pytest.raises((RuntimeError, ConfigError)):
        cache.update(SECRET, "a")


def test_where_the_hook_fails_at_a_near_miss_no_line_is_written(tmp_path: Path) -> None:
    near, is_broken = tmp_path / "near.jsonl", [False]
    embedder = FakeEmbedder({PUBLIC: "one", SECRET: "one"}, similarity=0.8)
    with opened(
        embedder=embedder, redact=lambda text: fail(text) if is_broken[0] else text, near_miss_file=near
    ) as cache:
        cache.update(PUBLIC, "a")
        is_broken[0] = True
        assert isinstance(cache.lookup(SECRET), Miss)
        assert len(cache.near_misses()) == 1
    assert not near.exists() or near.read_text(encoding="utf-8") == ""


async def coroutine(text: str) -> str:
    return text


@pytest.mark.parametrize("hook", [3, "x", coroutine])
def test_what_is_no_function_is_refused(hook: Any) -> None:
    with pytest.raises(ConfigError, match="redact must be a function"):
        open_cache("memory://", embedder=None, redact=hook)


def test_a_hook_that_changes_nothing_changes_nothing() -> None:
    with opened(redact=lambda text: text) as cache:
        cache.update(PUBLIC, "a")
        assert [kind_of(cache, text) for text in (PUBLIC_TOO, PUBLIC_TOO, PUBLIC.lower())] == [
            "semantic",
            "alias",
            "normalised",
        ]


def test_what_cannot_be_asked_anew_is_counted() -> None:
    with opened(redact=redact) as cache:
        cache.update(Request(SECRET), "a", ttl=100.0)
        cache.lookup(SECRET)
        expiring = cache.expiring(within=1000.0)
        assert (expiring.questions, expiring.not_refreshable) == ((), 1)
