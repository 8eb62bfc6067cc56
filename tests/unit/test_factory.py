"""What `open_cache` refuses before a store is opened, and when a stored match is judged again."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import CacheConfig, ConfigError, Entry, Hit, LexicalMatcher, Request, Verdict, open_cache
from llmcache_plugins.matching.guards import DEFAULT_GUARDS
from llmcache_plugins.testing import FakeEmbedder


class Mine:
    """A guard of one's own."""

    name = "mine"

    def __call__(self, asked: str, stored: str) -> Verdict:
        return Verdict(self.name, "silent")


class MineAgain(Mine):
    version = "2"


class MineUnclear(Mine):
    version = 2


@pytest.mark.parametrize("guards", [[None], "x", Mine(), iter([Mine()]), {"mine": Mine()}, [MineUnclear()], 3])
def test_guards_that_are_no_list_of_guards_are_refused(guards: Any) -> None:
    with pytest.raises(ConfigError, match=r"guard|version"):
        open_cache("memory://", embedder=None, guards=guards)


@pytest.mark.parametrize("recorders", [[3], print, "x", 3])
def test_recorders_that_are_no_list_of_callables_are_refused(recorders: Any) -> None:
    with pytest.raises(ConfigError, match="recorders"):
        open_cache("memory://", embedder=None, recorders=recorders)


@pytest.mark.parametrize(
    ("name", "budgets"),
    [
        ("max_error_rate_by_query_type", {3: 0}),
        ("max_error_rate_by_query_type", {"status": 0.0, None: 0.1}),
        ("max_error_rate_by_namespace", {"acme": 0.0, ("acme",): 0.1}),
        ("max_error_rate_by_namespace", {3: 0.1}),
    ],
)
def test_budgets_of_no_name_or_of_one_name_twice_are_refused(name: str, budgets: Any) -> None:
    with pytest.raises(ConfigError):
        CacheConfig(**{name: budgets})


@pytest.mark.parametrize("name", ["max_error_rate_by_query_type", "max_error_rate_by_namespace"])
def test_a_matcher_with_a_threshold_of_its_own_keeps_no_budgets(name: str) -> None:
    budgets: dict[str, Any] = {name: {"status": 0.0}}
    with pytest.raises(ConfigError, match="exclude each other"):
        open_cache("memory://", embedder=LexicalMatcher(threshold=0.5), **budgets)
    open_cache("memory://", embedder=LexicalMatcher(), **budgets).close()


@pytest.mark.parametrize("other", ["near.jsonl", "./near.jsonl", "x/../near.jsonl", "near.jsonl.1"])
def test_near_misses_and_reports_do_not_go_to_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="must be two files"):
        CacheConfig(near_miss_file=tmp_path / "near.jsonl", regression_file=other)
    CacheConfig(near_miss_file="near.jsonl", regression_file="reports.jsonl")


# ------------------------------------------------------------------------------------------ matches judged again
def kind_after(folder: Path, first: dict[str, Any], then: dict[str, Any]) -> str:
    """How the second cache over one file answers a wording that the first one matched."""
    settings: dict[str, Any] = {"embedder": FakeEmbedder({"hi": "g", "hello": "g"}), "similarity_threshold": 0.9}
    with closing(open_cache(f"disk://{folder}/cache.db", **settings, **first)) as cache:
        cache.update("hi", "an answer")
        assert isinstance(cache.lookup("hello"), Hit)
    with closing(open_cache(f"disk://{folder}/cache.db", **settings, **then)) as cache:
        found = cache.lookup("hello")
        assert isinstance(found, Hit)
        return found.kind


def agrees(request: Request, entry: Entry) -> bool:
    return True


def differs(request: Request, entry: Entry) -> bool:
    return False


class AJudge:
    def __init__(self, judge_id: str, version: str = "1") -> None:
        self.judge_id, self.version = judge_id, version

    def __call__(self, request: Request, entry: Entry) -> bool:
        return True


JUDGES: list[tuple[Callable[..., bool], Callable[..., bool], str]] = [
    (agrees, agrees, "alias"),
    (agrees, partial(agrees), "alias"),
    (agrees, differs, "semantic"),
    (AJudge("a"), AJudge("a"), "alias"),
    (AJudge("a"), AJudge("b"), "semantic"),
    (AJudge("a"), AJudge("a", "2"), "semantic"),
]


@pytest.mark.parametrize(("first", "then", "kind"), JUDGES)
def test_a_match_of_another_judge_is_judged_again(tmp_path: Path, first: Any, then: Any, kind: str) -> None:
    assert kind_after(tmp_path, {"judge": first}, {"judge": then}) == kind


def test_a_match_of_a_guard_of_another_version_is_judged_again(tmp_path: Path) -> None:
    first: dict[str, Any] = {"guards": [*DEFAULT_GUARDS, Mine()]}
    assert kind_after(tmp_path, first, first) == "alias"
    assert kind_after(tmp_path, first, {"guards": [*DEFAULT_GUARDS, MineAgain()]}) == "semantic"


@pytest.mark.parametrize("name", ["judge_id", "version"])
def test_a_judge_says_who_it_is_in_text(name: str) -> None:
    judge = AJudge("a")
    setattr(judge, name, 3)
    with pytest.raises(ConfigError, match=name):
        open_cache("memory://", embedder=None, judge=judge)
