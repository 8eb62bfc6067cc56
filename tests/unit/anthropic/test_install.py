"""How a client gets its cache, and what is said where it cannot."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anthropic
import pytest

from llmcache_plugins import ConfigError, SemanticCache, open_cache
from llmcache_plugins.anthropic import LLMCacheMiddleware, cache_client


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=None)) as opened:
        yield opened


@pytest.fixture
def client() -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="test", base_url="http://127.0.0.1:9") as made:
        yield made


def caches_of(client: Any) -> list[SemanticCache]:
    return [one.cache for one in client.middleware if isinstance(one, LLMCacheMiddleware)]


def test_the_client_itself_stays_as_it_is(client: anthropic.Anthropic, cache: SemanticCache) -> None:
    cached = cache_client(client, cache)
    assert type(cached) is type(client)
    assert (client.middleware, caches_of(cached)) == ((), [cache])


async def test_asynchronous_clients_are_taken_too(cache: SemanticCache) -> None:
    async with anthropic.AsyncAnthropic(api_key="test") as made:
        assert caches_of(cache_client(made, cache)) == [cache]


def test_the_cache_that_was_given_last_counts(client: anthropic.Anthropic, cache: SemanticCache) -> None:
    with closing(open_cache("memory://", embedder=None)) as other:
        first = cache_client(client, cache)
        assert caches_of(cache_client(first, other)) == [other]
        assert cache_client(first) is first
        changed = cache_client(first, usage="original")
        assert caches_of(changed) == [cache]


def test_the_cache_stands_behind_the_other_middleware(client: anthropic.Anthropic, cache: SemanticCache) -> None:
    class Other(anthropic.Middleware):
        def handle(self, request: Any, call_next: Any) -> Any:
            return call_next(request)

    other = Other()
    cached = cache_client(client.with_middleware(other), cache)
    assert cached.middleware[0] is other
    assert caches_of(cached) == [cache]


def test_clients_of_other_platforms_are_taken(cache: SemanticCache) -> None:
    bedrock = anthropic.AnthropicBedrock(aws_region="us-east-1", aws_access_key="a", aws_secret_key="b")
    vertex = anthropic.AnthropicVertex(region="us-east5", project_id="p", access_token="t")
    for made in (bedrock, vertex):
        with made:
            assert caches_of(cache_client(made, cache)) == [cache]


@pytest.mark.parametrize("wrong", [None, object(), "client", anthropic.Anthropic])
def test_what_takes_no_middleware_is_refused(wrong: object, cache: SemanticCache) -> None:
    with pytest.raises(ConfigError, match="client of the Anthropic SDK"):
        cache_client(wrong, cache)


def test_a_wrong_usage_is_refused(client: anthropic.Anthropic, cache: SemanticCache) -> None:
    usage: Any = "none"
    with pytest.raises(ConfigError, match='usage must be "zero" or "original"'):
        LLMCacheMiddleware(cache, usage=usage)
    with pytest.raises(ConfigError, match="usage"):
        cache_client(client, cache, usage=usage)


@pytest.mark.parametrize("wrong", [{"cache": "memory://"}, {"cache": open_cache}, {"extractor": "questions"}])
def test_what_is_no_cache_or_extractor_is_refused_at_once(client: anthropic.Anthropic, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} must be"):
        cache_client(client, **wrong)


def test_the_middleware_shows_no_secrets(cache: SemanticCache) -> None:
    assert repr(LLMCacheMiddleware(cache)).startswith("LLMCacheMiddleware(SemanticCache(")


OLD = {
    "no SDK": ("raise ImportError('absent')", "MissingExtraError", "pip install 'llmcache-plugins[anthropic]'"),
    "an old SDK": ("__version__ = '0.107.1'", "ConfigError", "0.108 or newer; installed is 0.107.1"),
}


@pytest.mark.parametrize("case", OLD)
def test_an_sdk_that_is_absent_or_too_old_is_named(case: str, tmp_path: Path) -> None:
    source, error, message = OLD[case]
    (tmp_path / "anthropic.py").write_text(source, encoding="utf-8")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import llmcache_plugins.anthropic"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert error in found.stderr
    assert message in found.stderr


def test_a_copy_keeps_the_http_client_of_the_original(cache: SemanticCache) -> None:
    with anthropic.AnthropicVertex(region="us-east5", project_id="p", access_token="t") as vertex:
        assert cache_client(vertex, cache)._client is vertex._client
