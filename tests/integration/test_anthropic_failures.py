"""A broken part of the cache costs the Anthropic SDK's user a model call, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import anthropic
import pytest

from llmcache_plugins import Answer, CacheConfig, SemanticCache, StoreError, open_cache
from llmcache_plugins.anthropic import LLMCacheMiddleware, cache_client
from llmcache_plugins.anthropic.asked import UnknownClient, asked_of
from llmcache_plugins.engine import Rules, Tier
from llmcache_plugins.keys.question import QuestionExtractor
from llmcache_plugins.matching import SimilarityPolicy
from llmcache_plugins.matching.guards import judge
from llmcache_plugins.stores import AsyncStoreAdapter, MemoryStore
from llmcache_plugins.telemetry import Statistics
from llmcache_plugins.testing import FakeAnthropic, FakeClock, FakeEmbedder, FaultyStore
from llmcache_plugins.types import JsonValue

QUESTION = "What does a route reflector do?"
SAID = f"echo: {QUESTION}"
STREAMS = pytest.mark.parametrize("streams", [False, True])


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture
def plain_client(server: FakeAnthropic) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="test", base_url=server.base_url, max_retries=0) as made:
        yield made


def body(question: str = QUESTION) -> dict[str, Any]:
    return {
        "model": "claude-haiku-4-5",
        "max_tokens": 2000,
        "messages": [{"role": "user", "content": question}],
    }


def ask(client: anthropic.Anthropic, streams: bool, question: str = QUESTION) -> str:
    if not streams:
        return str(client.messages.create(**body(question)).content[0].to_dict()["text"])
    with client.messages.stream(**body(question)) as stream:
        return stream.get_final_text()


async def aask(server: FakeAnthropic, cache: SemanticCache, streams: bool, question: str = QUESTION) -> str:
    async with anthropic.AsyncAnthropic(api_key="test", base_url=server.base_url, max_retries=0) as made:
        client = cache_client(made, cache)
        if not streams:
            return str((await client.messages.create(**body(question))).content[0].to_dict()["text"])
        async with client.messages.stream(**body(question)) as stream:
            return await stream.get_final_text()


def faulty(**settings: Any) -> tuple[SemanticCache, FaultyStore]:
    """A cache whose store fails when told to."""
    config, embedder = CacheConfig(**settings), FakeEmbedder()
    store = FaultyStore(MemoryStore(max_entries=100, max_bytes=1 << 20))
    policy = SimilarityPolicy(0.95)
    rules = Rules(("hot",), embedder.embedder_id, "test", lambda request: policy, judge, fail_open=config.fail_open)
    tier = Tier("hot", store, AsyncStoreAdapter(store))
    parts = {"rules": rules, "embedder": embedder, "statistics": Statistics(), "clock": FakeClock()}
    return SemanticCache([tier], config=config, **parts), store


@STREAMS
@pytest.mark.parametrize(
    "verbs", [{"get"}, {"put"}, {"census", "search"}, None], ids=lambda verbs: "+".join(sorted(verbs or ["all"]))
)
async def test_a_broken_store_costs_a_call_and_is_counted(
    verbs: set[str] | None, streams: bool, server: FakeAnthropic, plain_client: anthropic.Anthropic
) -> None:
    cache, store = faulty()
    with closing(cache):
        client = cache_client(plain_client, cache)
        ask(client, streams, "What is OSPF?")
        store.fail(verbs) if verbs else store.fail()
        assert ask(client, streams) == SAID
        assert await aask(server, cache, streams, "And now?") == "echo: And now?"
        assert cache.stats().errors["hot"] >= 2
        store.heal()
        asked = server.count()
        for _ in range(2):
            assert ask(client, streams, "What is MPLS?") == "echo: What is MPLS?"
        assert server.count() == asked + 1


@STREAMS
async def test_a_broken_store_raises_when_asked_to(
    streams: bool, server: FakeAnthropic, plain_client: anthropic.Anthropic
) -> None:
    cache, store = faulty(fail_open=False)
    with closing(cache):
        store.fail({"get"})
        with pytest.raises(StoreError):
            ask(cache_client(plain_client, cache), streams)
        with pytest.raises(StoreError):
            await aask(server, cache, streams)
        assert server.count() == 0


@STREAMS
async def test_a_broken_embedder_costs_no_exact_hit(
    streams: bool, server: FakeAnthropic, plain_client: anthropic.Anthropic
) -> None:
    def fail(texts: Sequence[str]) -> None:
        raise RuntimeError("no model file")

    with closing(open_cache("memory://", embedder=FakeEmbedder(before=fail))) as cache:
        client = cache_client(plain_client, cache)
        for question in ("a", "b", "a"):
            assert ask(client, streams, question) == f"echo: {question}"
        assert await aask(server, cache, streams, "c") == "echo: c"
        assert cache.stats().errors["embedder"] >= 1
        assert server.count() == 3


@STREAMS
async def test_a_broken_extractor_costs_calls_and_is_counted(
    streams: bool, server: FakeAnthropic, plain_client: anthropic.Anthropic
) -> None:
    def broken(turn: str) -> None:
        raise RuntimeError("the user's extractor is broken")

    with closing(open_cache("memory://", embedder=None)) as cache:
        client = cache_client(plain_client, cache, extractor=broken)
        assert ask(client, streams) == ask(client, streams) == SAID
        assert (server.count(), dict(cache.stats().errors)) == (2, {"anthropic": 2})


FOREIGN: dict[str, JsonValue] = {
    "no form": "just words",
    "another form": {"form": "chat/99", "answers": []},
    "nothing": {"form": "chat/1", "answers": [], "has_tool_ids": False},
    "two": {"form": "chat/1", "answers": [{"content": "a"}, {"content": "b"}], "has_tool_ids": False},
    "no block": {"form": "chat/1", "answers": [{"content": [17]}], "has_tool_ids": False},
    "a block without its text": {"form": "chat/1", "answers": [{"content": [{"type": "text"}]}], "has_tool_ids": False},
}


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_what_is_not_of_our_making_is_a_call(
    foreign: str, server: FakeAnthropic, plain_client: anthropic.Anthropic
) -> None:
    with closing(open_cache("memory://", embedder=None)) as cache:
        asked: list[Any] = []

        class Spy(anthropic.Middleware):
            def handle(self, request: Any, call_next: Any) -> Any:
                asked.append(asked_of(request, call_next, QuestionExtractor()))
                return call_next(request)

        ask(plain_client.with_middleware(Spy()), False)
        cache.update(asked[0], Answer(FOREIGN[foreign]))
        client = cache_client(plain_client, cache)
        assert ask(client, True) == SAID
        assert await aask(server, cache, True) == SAID
        assert server.count() == 3
        assert cache.stats().errors["anthropic"] == 2


@STREAMS
def test_what_the_api_refuses_is_its_own_to_say(streams: bool, plain_client: anthropic.Anthropic) -> None:
    """A body that we cannot read goes to the API as it is."""
    with closing(open_cache("memory://", embedder=None)) as cache:
        client = cache_client(plain_client, cache)
        for wrong in ({"model": 17}, {"messages": []}, {"messages": [{"role": "user"}]}):
            with pytest.raises(anthropic.BadRequestError):
                client.messages.create(**{**body(), **wrong}, stream=streams)
        assert cache.stats().updates == 0


def test_a_body_that_is_no_message_is_handed_on(server: FakeAnthropic, plain_client: anthropic.Anthropic) -> None:
    """Some proxies answer with something else, and status 200."""

    class Proxy(anthropic.Middleware):
        def handle(self, request: Any, call_next: Any) -> Any:
            response = call_next(request)
            response.http_response = type(response.http_response)(
                200, json={"hello": "world"}, request=response.http_request
            )
            return response

    with closing(open_cache("memory://", embedder=None)) as cache:
        client = cache_client(plain_client, cache).with_middleware(Proxy())
        for _ in range(2):
            assert client.messages.with_raw_response.create(**body()).http_response.json() == {"hello": "world"}
        assert (server.count(), cache.stats().updates) == (2, 0)


# ------------------------------------------------------------------ where nothing can be said of a call
def test_without_the_client_a_call_passes_and_is_counted(
    server: FakeAnthropic, plain_client: anthropic.Anthropic
) -> None:
    class Hides(anthropic.Middleware):
        """What a user might write round our middleware, or a later SDK do."""

        def __init__(self, inner: LLMCacheMiddleware) -> None:
            self.inner = inner

        def handle(self, request: Any, call_next: Any) -> Any:
            steps = [call_next]
            return self.inner.handle(request, lambda given: steps[0](given))

    with closing(open_cache("memory://", embedder=None)) as cache:
        client = plain_client.with_middleware(Hides(LLMCacheMiddleware(cache)))
        assert ask(client, False) == ask(client, False) == SAID
        assert (server.count(), dict(cache.stats().errors)) == (2, {"anthropic": 2})
        with closing(open_cache("memory://", embedder=None, fail_open=False)) as strict:
            client = plain_client.with_middleware(Hides(LLMCacheMiddleware(strict)))
            with pytest.raises(UnknownClient):
                ask(client, False)


def test_outside_of_asyncio_an_async_call_passes() -> None:
    """The SDK runs on trio as well."""

    async def call_next(given: Any) -> Any:
        return given

    with closing(open_cache("memory://", embedder=None)) as cache:
        request: Any = object()
        made = LLMCacheMiddleware(cache).handle_async(request, call_next)
        with pytest.raises(StopIteration) as ended:
            made.send(None)
        assert ended.value.value is request
        assert dict(cache.stats().errors) == {"anthropic": 1}


@pytest.mark.parametrize("store_truncated", [False, True])
def test_truncated_answers_are_stored_on_demand(
    store_truncated: bool, server: FakeAnthropic, plain_client: anthropic.Anthropic
) -> None:
    with closing(open_cache("memory://", embedder=None, store_truncated=store_truncated)) as cache:
        server.enqueue(text="as far as it", stop_reason="max_tokens")
        client = cache_client(plain_client, cache)
        first = ask(client, False)
        assert (ask(client, False) == first) is store_truncated


def test_the_default_cache_is_used(server: FakeAnthropic, plain_client: anthropic.Anthropic) -> None:
    from llmcache_plugins import default_cache, set_default_cache

    with closing(open_cache("memory://", embedder=None)) as cache:
        set_default_cache(cache)
        try:
            client = cache_client(plain_client)
            assert ask(client, False) == ask(client, False)
            assert (server.count(), default_cache().stats().lookups) == (1, 2)
        finally:
            set_default_cache(None)


def test_a_message_that_is_changed_changes_no_later_hit(plain_client: anthropic.Anthropic) -> None:
    with closing(open_cache("memory://", embedder=None)) as cache:
        client = cache_client(plain_client, cache)
        ask(client, False)
        (block,) = client.messages.create(**body()).content
        assert block.type == "text"
        block.text = "changed"
        assert ask(client, False) == SAID
