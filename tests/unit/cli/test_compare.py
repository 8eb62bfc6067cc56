"""`llmcache compare` and `llmcache explain`: what a cache decides, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmcache_plugins import ConfigError, Explanation, MissReason, Request, open_cache
from llmcache_plugins.cli import main
from llmcache_plugins.cli.compare import CompareOptions, run_compare
from llmcache_plugins.cli.explain import ExplainOptions, notes_on, run_explain
from llmcache_plugins.cli.inspect import InspectOptions
from llmcache_plugins.cli.invalidate import InvalidateOptions
from llmcache_plugins.cli.stats import StatsOptions
from llmcache_plugins.cli.top import TopOptions
from llmcache_plugins.cli.warm import WarmOptions
from llmcache_plugins.engine.explanation import CandidateReport, PolicyReport
from llmcache_plugins.testing import FakeEmbedder

GROUPS = {
    "Display the route table": "routes",
    "List the route table": "routes",
    "Show config of rtr-001": "config",
    "Show config of rtr-002": "config",
}


def embedder() -> FakeEmbedder:
    return FakeEmbedder(GROUPS)


def compared(*texts: str) -> dict[str, object]:
    said: list[str] = []
    assert run_compare(CompareOptions(texts=texts, as_json=True), said.append, make_embedder=embedder) == 0
    return json.loads(said[0])


def test_what_means_the_same_would_match_and_what_does_not_would_not() -> None:
    found = compared("Display the route table", "List the route table", "Is it raining?")
    by_pair = {(pair["stored"], pair["asked"]): pair for pair in found["pairs"]}
    assert set(by_pair) == {(0, 1), (0, 2), (1, 2)}
    assert (by_pair[0, 1]["would_match"], by_pair[0, 1]["outcome"]) == (True, "hit (semantic)")
    assert by_pair[0, 1]["similarity"] > 0.95
    assert not by_pair[0, 2]["would_match"]
    assert by_pair[0, 2]["similarity"] < by_pair[0, 1]["similarity"]


def test_a_guard_that_objects_is_named() -> None:
    (pair,) = compared("Show config of rtr-001", "Show config of rtr-002")["pairs"]
    assert (pair["would_match"], pair["outcome"]) == (False, "miss (guard_conflict)")
    assert "identifiers" in {said["guard"] for said in pair["guards"] if said["verdict"] == "conflict"}


def test_the_same_words_need_no_meaning() -> None:
    assert compared("What is BGP?", "what is bgp")["pairs"][0]["outcome"] == "hit (normalised)"


def test_each_text_has_its_query_type_and_tags() -> None:
    first, second = compared("Show config of rtr-001", "What is OSPF?")["texts"]
    assert (first["query_type"], second["query_type"]) == ("configuration", "definition")
    assert "device:rtr-001" in first["tags"]


def test_the_tables_say_the_same_in_words() -> None:
    said: list[str] = []
    options = CompareOptions(texts=["Show config of rtr-001", "Show config of rtr-002"])
    run_compare(options, said.append, make_embedder=embedder)
    assert "2 asked, 1 stored" in said[0]
    assert "guard_conflict" in said[0]
    assert "identifiers" in said[0]


def test_without_a_model_words_decide(capsys: pytest.CaptureFixture[str]) -> None:
    question = "How can I configure OSPF on a router?"
    assert main(["compare", question, "how do I configure OSPF on routers", "--lexical", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pairs"][0]["would_match"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["one"], "2 to 20 texts"),
        (["one", " "], "a text is empty"),
        (["a", "b", "--max-error-rate", "7"], "max_error_rate"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_line(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", *arguments, "--lexical"]) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert (said.out, said.err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    "options",
    [
        CompareOptions(texts=["s3cret", "b"]),
        ExplainOptions(text="s3cret", store="redis://user:s3cret@cache.example"),
        InvalidateOptions(url="redis://user:s3cret@cache.example", meaning="s3cret"),
        WarmOptions(url="redis://user:s3cret@cache.example", system="s3cret"),
        StatsOptions(url="redis://user:s3cret@cache.example"),
        TopOptions(store="redis://user:s3cret@cache.example"),
        InspectOptions(store="redis://user:s3cret@cache.example"),
    ],
    ids=lambda options: type(options).__name__,
)
def test_no_repr_shows_texts_or_passwords(options: object) -> None:
    assert "s3cret" not in repr(options)


# ---------------------------------------------------------------- explain
@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"disk://{tmp_path}/cache.db"
    with open_cache(url, embedder=embedder()) as cache:
        cache.update("Display the route table", "1")
        cache.update(Request("Show config of rtr-001", model="m1", namespace=("acme",)), "2")
    return url


def explained(url: str, text: str, **options: object) -> dict[str, object]:
    said: list[str] = []
    run_explain(ExplainOptions(text=text, store=url, as_json=True, **options), said.append, embedder=embedder())
    return json.loads(said[0])


def test_explain_says_what_would_be_served(url: str) -> None:
    found = explained(url, "List the route table")
    assert (found["is_hit"], found["outcome"], found["matched"]) == (True, "hit (semantic)", "Display the route table")
    assert found["candidates"][0]["reason"] is None


def test_explain_says_why_not(url: str) -> None:
    found = explained(url, "Show config of rtr-002", model="m1", namespace=("acme",))
    assert found["outcome"] == "miss (guard_conflict)"
    assert found["candidates"][0]["reason"] == "guard_conflict"
    assert "conflict" in {verdict["verdict"] for verdict in found["candidates"][0]["verdicts"]}


def test_explain_sees_one_scope_and_says_so(url: str) -> None:
    said: list[str] = []
    run_explain(ExplainOptions(text="Show config of rtr-001", store=url, model="m2"), said.append, embedder=embedder())
    assert "no_candidates" in said[0]
    assert "only what was stored with this provider, model, namespace" in said[0]


@pytest.mark.parametrize(("cosine", "count"), [(0.79, 1), (0.70, 0)])
def test_a_stricter_rule_than_the_one_shown_is_named(cosine: float, count: int) -> None:
    found = Explanation(
        asked="display BGP state",
        outcome="miss (below_threshold)",
        matched=None,
        confidence=0.0,
        detail="",
        exact=None,
        normalised=None,
        query_type="status",
        policy=PolicyReport("p", 0.01, floor=0.77, min_confidence=0.86, grey_from=0.86),
        embedder_id="e",
        candidates=(CandidateReport("show BGP status", "k", cosine, 0.0, reason=MissReason.BELOW_THRESHOLD),),
    )
    assert len(notes_on(found)) == count


def test_explaining_leaves_no_trace(url: str) -> None:
    explained(url, "List the route table")
    with open_cache(url, embedder=None) as cache:
        assert cache.shared_stats().total.lookups == 0
        assert cache.analyze().reads == 0


def test_explain_in_words(url: str) -> None:
    said: list[str] = []
    run_explain(
        ExplainOptions(text="Show config of rtr-002", store=url, model="m1", namespace=("acme",)),
        said.append,
        embedder=embedder(),
    )
    assert "guard_conflict" in said[0]
    assert "identifiers: conflict" in said[0]


def test_explain_wants_a_cache_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LLMCACHE_URL", raising=False)
    assert main(["explain", "a"]) == 2
    assert "give --store, or set LLMCACHE_URL" in capsys.readouterr().err
    assert main(["explain", "a", "--store", f"disk://{tmp_path}/none.db"]) == 2
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="empty"):
        ExplainOptions(text=" ")
