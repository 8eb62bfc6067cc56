"""What the Anthropic SDK plugin keeps apart, what it does not, and that it stores no credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import anthropic
import pytest

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.anthropic import cache_client
from llmcache_plugins.testing import FakeAnthropic, FakeEmbedder

QUESTION = "What does a route reflector do?"
KEY = "sk-ant-api03-never-to-be-stored"


def plain(**further: Any) -> dict[str, Any]:
    question = {"role": "user", "content": QUESTION}
    return {"model": "claude-haiku-4-5", "max_tokens": 2000, "messages": [question], **further}


@pytest.fixture
def server() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as fake:
        yield fake


@pytest.fixture
def cache() -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=None)) as opened:
        yield opened


@pytest.fixture
def client(server: FakeAnthropic, cache: SemanticCache) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key=KEY, base_url=server.base_url, max_retries=0) as made:
        yield cache_client(made, cache)


def thread(*turns: str) -> list[dict[str, Any]]:
    return [{"role": ("user", "assistant")[place % 2], "content": turn} for place, turn in enumerate(turns)]


# ------------------------------------------------------------------ P52, P53
def test_p52_parameters_in_extra_body_are_kept_apart(client: anthropic.Anthropic, server: FakeAnthropic) -> None:
    for temperature in (0.1, 0.9, 0.1, 0.9):
        client.messages.create(**plain(), extra_body={"temperature": temperature})
    client.messages.create(**plain())
    assert server.count() == 3
    assert [request["body"].get("temperature") for request in server.requests] == [0.1, 0.9, None]


DIFFERENT: dict[str, dict[str, Any]] = {
    "model": {"model": "claude-opus-4-6"},
    "max_tokens": {"max_tokens": 2001},
    "system": {"system": "Be short."},
    "stop_sequences": {"stop_sequences": ["stop"]},
    "tools": {"tools": [{"name": "ping", "input_schema": {"type": "object", "properties": {}}}]},
    "thinking": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "history": {"messages": thread("Hello", "Hello!", QUESTION)},
    "unknown": {"extra_body": {"a_new_parameter": 1}},
    "a name of ours": {"extra_body": {"verbose": True, "base_url": "elsewhere"}},
    "a time": {"extra_body": {"thinking_timeout": 4}},
    "workspace": {"extra_headers": {"anthropic-workspace-id": "wrkspc_1"}},
    "query": {"extra_query": {"api-version": "2"}},
}
SAME: dict[str, dict[str, Any]] = {
    "text block": {"messages": [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]},
    "prompt-cache mark": {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": QUESTION, "cache_control": {"type": "ephemeral"}}],
            }
        ]
    },
    "metadata": {"metadata": {"user_id": "7"}},
    "service tier": {"service_tier": "auto"},
    "timeout": {"timeout": 17},
    "header": {"extra_headers": {"x-trace": "1"}},
    "no stop sequences": {"stop_sequences": []},
    "credentials": {"extra_query": {"api_key": KEY}, "extra_body": {"client_secret": KEY}},
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_shapes_the_answer_is_kept_apart(name: str, client: anthropic.Anthropic, server: FakeAnthropic) -> None:
    client.messages.create(**plain())
    for _ in range(2):
        client.messages.create(**{**plain(), **DIFFERENT[name]})
    assert server.count() == 2


@pytest.mark.parametrize("name", SAME)
def test_what_does_not_shape_the_answer_is_not(name: str, client: anthropic.Anthropic, server: FakeAnthropic) -> None:
    client.messages.create(**plain())
    client.messages.create(**{**plain(), **SAME[name]})
    assert server.count() == 1


def test_p53_beta_and_betas_are_kept_apart(client: anthropic.Anthropic, server: FakeAnthropic) -> None:
    def ask() -> None:
        client.messages.create(**plain())
        client.beta.messages.create(**plain())
        client.beta.messages.create(**plain(), betas=["one"])
        client.beta.messages.create(**plain(), betas=["two"])
        client.beta.messages.create(**plain(), betas=["one", "two"])

    ask()
    assert server.count() == 5
    ask()
    client.beta.messages.create(**plain(), betas=["two", "one"])
    assert server.count() == 5


def test_p53_betas_of_the_client_are_seen(client: anthropic.Anthropic, server: FakeAnthropic) -> None:
    with_beta = client.with_options(default_headers={"anthropic-beta": "one"})
    for asked in (client, with_beta, client, with_beta):
        asked.messages.create(**plain())
    assert server.count() == 2


def test_servers_are_kept_apart(client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache) -> None:
    with FakeAnthropic() as other:
        for _ in range(2):
            client.messages.create(**plain())
            client.with_options(base_url=other.base_url).messages.create(**plain())
        assert (server.count(), other.count()) == (1, 1)
        assert not cache.stats().errors


def test_paths_of_one_server_are_kept_apart(client: anthropic.Anthropic, server: FakeAnthropic) -> None:
    client.messages.create(**plain())
    for path in ("/v1", "/team"):
        with pytest.raises(anthropic.NotFoundError):  # not answered in its place
            client.with_options(base_url=server.base_url + path).messages.create(**plain())


def test_headers_of_the_client_are_kept_apart_but_for_its_credentials(
    client: anthropic.Anthropic, server: FakeAnthropic
) -> None:
    one, two = ({"x-gateway-route": route, "authorization": f"Bearer {KEY}"} for route in ("one", "two"))
    for headers in (one, two, {**one, "authorization": "Bearer another", "user-agent": "an application"}):
        client.with_options(default_headers=headers).messages.create(**plain())
    assert server.count() == 2
    client.with_options(default_headers=one).messages.create(**plain(), extra_headers={"X-Gateway-Route": "two"})
    assert server.count() == 2


def test_what_middleware_adds_is_seen_behind_it(
    client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    class Names(anthropic.Middleware):
        def __init__(self, tenant: str) -> None:
            self.tenant = tenant

        def handle(self, request: Any, call_next: Any) -> Any:
            return call_next(request.copy(body={**request.json, "system": f"You work for {self.tenant}."}))

    for _ in range(2):
        for tenant in ("a", "b"):
            plain_client = client.with_options(middleware=[Names(tenant)])
            cache_client(plain_client, cache).messages.create(**plain())
    assert server.count() == 2


@pytest.mark.parametrize("client_class", [anthropic.Anthropic, anthropic.AsyncAnthropic])
async def test_other_middleware_does_not_hide_the_client(
    client_class: type[Any], server: FakeAnthropic, cache: SemanticCache
) -> None:
    class Inner(anthropic.Middleware):
        def handle(self, request: Any, call_next: Any) -> Any:
            return call_next(request)

        async def handle_async(self, request: Any, call_next: Any) -> Any:
            return await call_next(request)

    made = client_class(api_key=KEY, base_url=server.base_url, max_retries=0)
    asked = cache_client(made, cache).with_middleware(Inner(), Inner())
    for _ in range(2):
        found = asked.messages.create(**plain())
        if client_class is anthropic.AsyncAnthropic:
            await found
    assert server.count() == 1
    assert not cache.stats().errors
    await made.close() if client_class is anthropic.AsyncAnthropic else made.close()


# ------------------------------------------------------------------ P61
@pytest.mark.parametrize("streams", [False, True])
def test_p61_no_stored_byte_holds_a_key(streams: bool, server: FakeAnthropic, tmp_path: Path) -> None:
    headers = {"x-tenant-secret": "header-never-to-be-stored", "authorization": "Bearer token-never-to-be-stored"}
    with closing(open_cache(f"disk://{tmp_path / 'cache.db'}", embedder=FakeEmbedder())) as cache:
        with anthropic.Anthropic(api_key=KEY, base_url=server.base_url, default_headers=headers) as made:
            client = cache_client(made, cache)
            for _ in range(2):
                answer = client.messages.create(**plain(), stream=streams)
                list(answer) if streams else None
        assert server.count() == 1
        assert KEY not in repr(client.middleware)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert QUESTION.encode() in written
    assert b"never-to-be-stored" not in written


def test_two_keys_share_unless_tenants_are_named(server: FakeAnthropic, cache: SemanticCache) -> None:
    def ask(tenant: str) -> None:
        with anthropic.Anthropic(api_key=f"key-of-{tenant}", base_url=server.base_url) as made:
            cache_client(made, cache).messages.create(**plain())

    for tenant in ("a", "b", "a", "b"):
        ask(tenant)
    assert server.count() == 1
    for tenant in ("a", "b", "a", "b"):
        with cache.context(tenant=tenant):
            ask(tenant)
    assert server.count() == 3


# ------------------------------------------------------------------ contexts
@pytest.mark.parametrize("streams", [False, True])
def test_bypass_and_refresh(
    streams: bool, client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    server.handler = lambda body: {"content": [{"type": "text", "text": f"answer {server.count()}"}]}

    def ask() -> str:
        if not streams:
            return str(client.messages.create(**plain()).content[0].to_dict()["text"])
        with client.messages.stream(**plain()) as stream:
            return stream.get_final_text()

    assert [ask(), ask()] == ["answer 1", "answer 1"]
    with cache.bypass():
        assert [ask(), ask()] == ["answer 2", "answer 3"]
    assert ask() == "answer 1"
    with cache.context(refresh=True):
        assert ask() == "answer 4"
    assert [ask(), ask()] == ["answer 4", "answer 4"]


def test_tags_of_a_context_invalidate(client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache) -> None:
    with cache.context(tags="device:rtr-001"):
        client.messages.create(**plain())
    cache.invalidate(tags="device:rtr-002")
    client.messages.create(**plain())
    assert server.count() == 1
    cache.invalidate(tags="device:rtr-001")
    client.messages.create(**plain())
    assert server.count() == 2


def test_questions_that_mean_the_same_share_within_equal_surroundings(server: FakeAnthropic) -> None:
    embedder = FakeEmbedder({"Show BGP status": "bgp", "Display BGP state": "bgp"})
    with (
        closing(open_cache("memory://", embedder=embedder)) as cache,
        anthropic.Anthropic(api_key=KEY, base_url=server.base_url) as made,
    ):
        client = cache_client(made, cache)
        client.messages.create(**plain(messages=thread("Show BGP status")))
        hit = client.messages.create(**plain(messages=thread("Display BGP state")))
        assert hit.usage.to_dict()["llmcache"]["kind"] == "semantic"  # type: ignore[index]
        with client.messages.stream(**plain(messages=thread("Display BGP state"))) as stream:
            assert stream.get_final_text() == "echo: Show BGP status"
        assert server.count() == 1
        client.messages.create(**plain(messages=thread("Display BGP state"), system="In French."))
        assert server.count() == 2


# ------------------------------------------------------------------ what is not looked up
@pytest.mark.parametrize(
    "stateful",
    [
        {"container": "container_1"},
        {"thread": {"type": "create"}},  # the next call would name a message that the provider must know
        {"mcp_servers": [{"type": "url", "url": "https://mcp.invalid", "name": "m", "authorization_token": "t"}]},
    ],
)
def test_a_state_at_the_provider_passes(
    stateful: dict[str, Any], client: anthropic.Anthropic, server: FakeAnthropic, cache: SemanticCache
) -> None:
    for _ in range(2):
        client.messages.create(**plain(), extra_body=stateful)
    stats = cache.stats()
    assert (server.count(), stats.lookups, dict(stats.errors)) == (2, 0, {})
