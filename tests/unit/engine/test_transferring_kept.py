"""What a cache may keep of questions also holds for entries from another cache; sealed ones leave with a key."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import ConfigError, Hit, SemanticCache, open_cache
from llmcache_plugins.testing import FakeEmbedder

GROUPS = {"how do i reboot it": "a", "how can i reboot it": "a", "what is it": "b"}
QUESTION, REWORDED, _ = GROUPS


@pytest.fixture
def opened() -> Iterator[Callable[..., SemanticCache]]:
    caches: list[SemanticCache] = []

    def opened(url: str = "memory://", **settings: Any) -> SemanticCache:
        given = {"embedder": FakeEmbedder(GROUPS), "similarity_threshold": 0.9, "guards": [], "verifier": None}
        caches.append(open_cache(url, **{**given, **settings}))
        return caches[-1]

    yield opened
    for cache in caches:
        cache.close()


def filled(cache: SemanticCache) -> SemanticCache:
    for text in (QUESTION, "what is it"):
        assert cache.update(text, "an answer").stored
    assert isinstance(cache.lookup(REWORDED), Hit)
    return cache


def written(cache: SemanticCache) -> str:
    stream = io.BytesIO()
    cache.export_to(stream)
    return stream.getvalue().decode()


@pytest.mark.parametrize("settings", [{"store_text": False}, {"redact": lambda text: text.replace("reboot", "<x>")}])
@pytest.mark.parametrize("way", ["copy", "file"])
def test_no_more_of_a_question_arrives_than_may_be_stored(
    opened: Callable[..., SemanticCache], settings: dict[str, Any], way: str
) -> None:
    source, target = filled(opened()), opened(**settings)
    file = io.BytesIO(written(source).encode())
    report = source.copy_to(target) if way == "copy" else target.import_from(file)
    assert report.stored == 2
    assert "reboot" in written(source)
    assert "reboot" not in written(target)
    assert isinstance(target.lookup(QUESTION), Hit)
    assert not isinstance(target.lookup(REWORDED), Hit)  # nobody could compare the two


def test_reports_quote_questions_and_stay_behind(opened: Callable[..., SemanticCache]) -> None:
    source = filled(opened())
    hit = source.lookup(REWORDED)
    assert isinstance(hit, Hit)
    source.report_wrong(hit)
    source.update(QUESTION, "another answer")
    target = opened(store_text=False)
    source.copy_to(target)
    assert "reboot" not in written(target)


def test_what_a_hook_cannot_tell_is_not_stored(opened: Callable[..., SemanticCache]) -> None:
    def redact(text: str) -> str:
        raise ValueError(text)

    report = filled(opened()).copy_to(opened(redact=redact))
    assert (report.read, report.stored, report.refused) == (2, 0, 2)


def test_sealed_entries_do_not_leave_without_their_key(opened: Callable[..., SemanticCache], tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    url, key = f"disk://{tmp_path}/sealed.db", "k" * 32
    with closing(opened(url, encryption_key=key.encode())) as sealed:
        filled(sealed)
        assert QUESTION in written(sealed)
    without = opened(url)
    with pytest.raises(ConfigError, match="encryption_key"):
        without.export_to(io.BytesIO())
    with pytest.raises(ConfigError, match="encryption_key"):
        without.copy_to(opened())
