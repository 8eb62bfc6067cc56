"""A replay asks the public cache, sees no label, and leaves nothing behind."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from llmcache_plugins import Hit, Request
from llmcache_plugins.evaluation import (
    LabelledFile,
    LabelledPair,
    LabelledRequest,
    PreparedEmbedder,
    VectorFile,
    evaluate,
    open_replay_cache,
    replay_pairs,
    replay_stream,
    request_of,
    texts_to_embed,
)
from llmcache_plugins.testing import FakeEmbedder

GROUPS = {"hi there": "greeting", "hello there": "greeting", "good bye": "parting", "see you": "parting"}


def pairs_of(*texts: tuple[str, str]) -> list[tuple[Request, Request]]:
    return [(Request(a), Request(b)) for a, b in texts]


def test_each_pair_meets_an_empty_cache() -> None:
    with open_replay_cache(FakeEmbedder(GROUPS), rows=3) as cache:
        outcomes = replay_pairs(
            cache, pairs_of(("hi there", "hello there"), ("good bye", "hello there"), ("see you", "hi there"))
        )
        assert [isinstance(outcome, Hit) for outcome in outcomes] == [True, False, False]
        assert cache.stats().entries == 0


def test_stream_serves_the_row_that_was_stored() -> None:
    requests = [Request(text) for text in ("hi there", "good bye", "hello there", "see you", "hi there")]
    with open_replay_cache(FakeEmbedder(GROUPS), rows=5) as cache:
        assert [one.row for one in replay_stream(cache, requests)] == [None, None, 0, 1, 0]
        assert cache.stats().entries == 0


def test_conversations_hit_under_equal_context_only() -> None:
    def chat(system: str, text: str) -> Request:
        return request_of({"messages": [{"role": "system", "content": system}, {"role": "user", "content": text}]})

    rows = [
        (chat("be brief", "hi there"), chat("be brief", "hello there")),
        (chat("be brief", "hi there"), chat("be rude", "hello there")),
    ]
    with open_replay_cache(FakeEmbedder(GROUPS), rows=2) as cache:
        assert [isinstance(outcome, Hit) for outcome in replay_pairs(cache, rows)] == [True, False]


def test_labels_change_no_hit() -> None:
    texts = list(GROUPS) * 4
    shuffled = random.Random(5)

    def pairs(labels: list[int]) -> LabelledFile:
        rows = [
            LabelledPair(id=str(n), a=Request(texts[n]), b=Request(texts[-n]), label=label, kind=str(label))
            for n, label in enumerate(labels)
        ]
        return LabelledFile("f", "pairs", rows)

    def stream(labels: list[str]) -> LabelledFile:
        rows = [
            LabelledRequest(id="", request=Request(text), label=label, seen=label)
            for text, label in zip(texts, labels, strict=True)
        ]
        return LabelledFile("f", "stream", stream=rows)

    def hits(file: LabelledFile) -> tuple[dict[str, int], dict[str, int]]:
        with open_replay_cache(FakeEmbedder(GROUPS), rows=20) as cache:
            scored = evaluate(file, cache)
        return dict(scored.hits), dict(scored.misses)

    numbers, classes = [0, 1] * 8, ["x", "y", "?z", "variant"] * 4
    first, second = hits(pairs(numbers)), hits(stream(classes))
    assert sum(first[0].values()) > 0
    assert sum(second[0].values()) > 0
    for _ in range(3):
        shuffled.shuffle(numbers)
        shuffled.shuffle(classes)
        assert hits(pairs(numbers)) == first
        assert hits(stream(classes)) == second


def test_scores_say_which_file_and_how_hits_came_about() -> None:
    rows = [LabelledPair(id="1", a=Request("hi there"), b=Request("hello there"), label=1)]
    with open_replay_cache(FakeEmbedder(GROUPS), rows=1) as cache:
        scores = evaluate(LabelledFile("mine.jsonl", "pairs", rows), cache).as_json()
    assert (scores["kind"], scores["recall"], scores["hits"]) == ("pairs", 1.0, {"semantic": 1})


def test_progress_reaches_the_end() -> None:
    heard: list[tuple[str, int, int]] = []
    embedder = PreparedEmbedder(FakeEmbedder(GROUPS))
    embedder.prepare(["hi there", "good bye"], lambda *step: heard.append(step))
    with open_replay_cache(embedder, rows=2) as cache:
        replay_pairs(cache, pairs_of(("a", "b"), ("c", "d")), lambda *step: heard.append(step))
    assert heard == [("embedding", 2, 2), ("replaying", 1, 2), ("replaying", 2, 2)]


def test_prepared_vectors_are_those_of_the_embedder_and_computed_once() -> None:
    inner = FakeEmbedder(GROUPS)
    embedder = PreparedEmbedder(inner, threads=2)
    assert embedder.prepare(["hi there", "good bye", "hi there"]) == 2
    inner.embedded.clear()
    assert (embedder.embed(["good bye", "hi there"]) == FakeEmbedder(GROUPS).embed(["good bye", "hi there"])).all()
    assert inner.embedded == []
    assert (embedder.embed(["new"]) == FakeEmbedder(GROUPS).embed(["new"])).all()
    assert embedder.prepare(["good bye"]) == 0


def test_prepared_embedder_hits_as_the_embedder_itself() -> None:
    texts = pairs_of(("hi there", "hello there"), ("good bye", "hello there"), ("x", "y"))
    prepared = PreparedEmbedder(FakeEmbedder(GROUPS))
    prepared.prepare(texts_to_embed([request for pair in texts for request in pair]))
    found = []
    for embedder in (FakeEmbedder(GROUPS), prepared):
        with open_replay_cache(embedder, rows=3) as cache:
            found.append([isinstance(outcome, Hit) for outcome in replay_pairs(cache, texts)])
    assert found[0] == found[1] == [True, False, False]


def test_text_that_does_not_fit_is_not_embedded() -> None:
    inner = FakeEmbedder(max_chars=10)
    assert PreparedEmbedder(inner).prepare(["short", "much too long a text"]) == 1
    assert inner.embedded == ["short"]


def test_vectors_on_disk_spare_the_next_run(tmp_path: Path) -> None:
    first, second = FakeEmbedder(GROUPS), FakeEmbedder(GROUPS)
    PreparedEmbedder(first, file=VectorFile(tmp_path / "vectors")).prepare(["hi there", "good bye"])
    embedder = PreparedEmbedder(second, file=VectorFile(tmp_path / "vectors"))
    assert embedder.prepare(["good bye", "hi there"]) == 0
    assert (embedder.embed(["hi there"]) == FakeEmbedder(GROUPS).embed(["hi there"])).all()
    assert second.embedded == []


def test_vectors_of_another_embedder_and_damaged_files_are_not_used(tmp_path: Path) -> None:
    PreparedEmbedder(FakeEmbedder(GROUPS), file=VectorFile(tmp_path)).prepare(["hi there"])
    assert PreparedEmbedder(FakeEmbedder(name="other"), file=VectorFile(tmp_path)).prepare(["hi there"]) == 1
    for path in tmp_path.iterdir():
        path.write_bytes(b"not a zip file")
    assert PreparedEmbedder(FakeEmbedder(GROUPS), file=VectorFile(tmp_path)).prepare(["hi there"]) == 1


@pytest.mark.parametrize("rows", [1, 30])
def test_capacity_never_spoils_a_replay(rows: int) -> None:
    with open_replay_cache(None, rows=20_000 * rows) as cache:
        assert cache.config.max_entries > 20_000 * rows
        assert cache.config.ttl is None
