"""Names and versions of documents as tags, and the invalidation that goes by them."""

from __future__ import annotations

from contextlib import closing

import pytest

from llmcache_plugins import Answer, ConfigError, Hit, Request, open_cache
from llmcache_plugins.canonical.documents import (
    DocumentVersion,
    ainvalidate_documents,
    document_tag,
    invalidate_documents,
    read_by,
    read_document,
    tags_of,
)


def test_a_document_goes_by_all_of_its_names() -> None:
    found = read_document("c-1", {"source": "a.md", "id": "c-1", "doc_id": 7, "hash": "ab", "version": None})
    assert found == (DocumentVersion("c-1", "ab"), DocumentVersion("7", "ab"), DocumentVersion("a.md", "ab"))
    assert found[0].tags == ("document:c-1", "document:c-1@ab")
    assert read_document(None, {"source": ["no", "name"], "title": "t"}) == ()


def test_a_version_counts_before_a_hash() -> None:
    assert read_document("a", {"hash": "ab", "version": 2}) == (DocumentVersion("a", "2"),)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        (None, ()),
        ("a", (DocumentVersion("a"),)),
        (("a", 3), (DocumentVersion("a", "3"),)),
        (["a", ("b", "2"), DocumentVersion("c")], tuple(map(DocumentVersion, "abc", ["", "2", ""]))),
        ([], ()),
    ],
)
def test_a_reader_may_say_one_or_several(said: object, read: tuple[DocumentVersion, ...]) -> None:
    assert read_by(lambda document: said, object()) == read


@pytest.mark.parametrize("said", [7, [None], "", [("", "1")], ("a", "b", 3)])
def test_a_reader_that_says_something_else_is_told(said: object) -> None:
    with pytest.raises(ConfigError):
        read_by(lambda document: said, object())


def test_an_answer_is_tagged_only_when_each_of_its_documents_is_named() -> None:
    a, b = DocumentVersion("a", "1"), DocumentVersion("b")
    assert tags_of([(a,), (a, b)]) == (("document:a", "document:a@1", "document:b"), True)
    assert tags_of([(a,), ()]) == (("document:a", "document:a@1"), False)
    assert tags_of([]) == ((), False)


def test_an_invalidation_of_documents_removes_exactly_what_was_made_from_them() -> None:
    with closing(open_cache("memory://", embedder=None)) as cache:
        made = {"one": ["a"], "both": ["a", "b*"], "other": ["b"], "none": []}
        for question, ids in made.items():
            tags = tags_of([(DocumentVersion(one, "1"),) for one in ids])[0]
            cache.update(Request(question), Answer("an answer", tags=tags))

        def left() -> set[str]:
            return {question for question in made if isinstance(cache.lookup(question), Hit)}

        assert invalidate_documents(cache, [("a", "2")]).count == 0
        assert invalidate_documents(cache, "b*").count == 1  # an id is no pattern
        assert left() == {"one", "other", "none"}
        assert invalidate_documents(cache, ["a", "b", "unknown"]).count == 2
        assert left() == {"none"}
        assert cache.invalidations()[-1].reason == "documents changed"


async def test_on_an_event_loop_and_lazily() -> None:
    with closing(open_cache("memory://", embedder=None)) as cache:
        await cache.aupdate("q", Answer("an answer", tags=(document_tag("a", "1"),)))
        assert (await ainvalidate_documents(cache, [("a", "1")], mode="lazy")).count == 1
        stale = await cache.aget_or_generate("q", lambda: "a new one")
        assert stale == "an answer"


def test_an_answer_that_was_asked_for_before_the_change_is_not_stored() -> None:
    with closing(open_cache("memory://", embedder=None)) as cache:

        def slowly() -> Answer:
            invalidate_documents(cache, "a")
            return Answer("of yesterday", tags=(document_tag("a"),))

        assert cache.get_or_generate("q", slowly) == "of yesterday"
        assert not isinstance(cache.lookup("q"), Hit)


@pytest.mark.parametrize("ids", [[7], [""], 7, None])
def test_what_names_no_document_is_an_error(ids: object) -> None:
    with closing(open_cache("memory://", embedder=None)) as cache, pytest.raises(ConfigError):
        invalidate_documents(cache, ids)  # type: ignore[arg-type]


def test_an_unknown_mode_is_an_error() -> None:
    with closing(open_cache("memory://", embedder=None)) as cache, pytest.raises(ConfigError, match="lazy"):
        invalidate_documents(cache, "a", mode="gradual")
