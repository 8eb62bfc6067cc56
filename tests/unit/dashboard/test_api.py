"""The verbs behind the buttons: whatever they are given, they refuse it or do what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmcache_plugins import ConfigError, SemanticCache, open_cache
from llmcache_plugins.dashboard.api import Api, Refused, Sources
from llmcache_plugins.dashboard.history import History
from llmcache_plugins.dashboard.labels import Given, Labels
from llmcache_plugins.quality import PairLabel

VERBS = ("/api/label", "/api/wrong", "/api/invalidate", "/api/explain", "/api/entries", "/api/answer")
NAMES = st.sampled_from(("id", "label", "entry", "question", "namespace", "text", "query_type", "after", "other"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("right") | st.just("a:b")
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))


@pytest.fixture(scope="module")
def api() -> Iterator[tuple[Api, SemanticCache]]:
    with open_cache("memory://", embedder=None) as cache:
        cache.update("What is BGP?", "a protocol")
        sources = Sources(near_misses=cache.near_misses, seen=None, alerts=(), money=None, is_shared=False)
        yield Api(cache, sources, Labels(), History()), cache


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(verb=st.sampled_from(VERBS), body=st.dictionaries(NAMES, VALUES, max_size=6))
def test_no_body_does_harm(api: tuple[Api, SemanticCache], verb: str, body: dict[str, Any]) -> None:
    page, cache = api
    status = 200
    try:
        json.dumps(page.verbs[verb](body), allow_nan=False)
    except Refused as refused:
        status = refused.status
    except ConfigError:
        status = 400
    assert status in (200, 400, 404)
    assert cache.stats().entries == 1


def test_the_page_knows_no_other_verbs(api: tuple[Api, SemanticCache]) -> None:
    assert set(api[0].verbs) == set(VERBS)


def test_the_same_label_twice_is_one_line(tmp_path: Path) -> None:
    labels = Labels(tmp_path / "labels.jsonl")
    for label in ("right", "right", "wrong"):
        assert labels.add("pair", Given(label, "noted"), pair_of(label))
    assert not labels.add("other", Given("right", "noted"), None)
    labels.close()
    lines = (tmp_path / "labels.jsonl").read_text().splitlines()
    assert [json.loads(line)["label"] for line in lines] == [1, 0]
    assert set(labels.given()) == {"pair", "other"}


def test_labels_of_an_earlier_page_are_known(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    Labels(file).add("pair", Given("right", "noted"), pair_of("right"))
    with file.open("a") as lines:
        lines.write("no label\n[]\n")
    again = Labels(file)
    assert again.kept() == {("stored", "asked"): "right"}
    again.add("pair", Given("right", "noted"), pair_of("right"))
    assert len(file.read_text().splitlines()) == 3
    assert file.stat().st_mode & 0o777 == 0o600


def test_labels_that_cannot_be_written_are_not_said_to_be_kept(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(ConfigError, match="labels cannot be written"):
        Labels(folder)
    labels = Labels(folder / "labels.jsonl")
    (folder / "labels.jsonl").unlink()
    folder.rmdir()
    folder.touch()  # a file where the folder was: nobody can write below it
    assert not labels.add("pair", Given("right", "noted"), pair_of("right"))


def pair_of(label: str) -> PairLabel:
    return PairLabel("id", "stored", "asked", int(label == "right"))
