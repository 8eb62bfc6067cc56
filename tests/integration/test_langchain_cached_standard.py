"""LangChain's own test suite for chat models: the plain, the cold cached and the warm cached model all pass it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import pytest
from langchain_anthropic import ChatAnthropic
from langchain_anthropic._client_utils import _get_default_async_httpx_client
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests

from llmcache_plugins import SemanticCache, open_cache
from llmcache_plugins.langchain import cached
from llmcache_plugins.testing.fake_anthropic import FakeAnthropic

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is in beta"),
]
MODEL = "claude-haiku-4-5"


class Suite(ChatModelIntegrationTests):
    """The server is a loopback one: what needs files of the internet (images, PDF) is left out."""

    server: ClassVar[FakeAnthropic]

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatAnthropic  # type: ignore[no-any-return]  # the package has no types

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": MODEL, "api_key": "test", "base_url": self.server.base_url}

    def wrapped(self, model: BaseChatModel) -> BaseChatModel:
        """The model that is tested."""
        return model

    @pytest.fixture
    async def model(self, request: Any) -> AsyncIterator[BaseChatModel]:
        further = getattr(request, "param", None) or {}
        plain = ChatAnthropic(**self.standard_chat_model_params, **self.chat_model_params, **further)
        yield self.wrapped(plain)
        # The integration keeps one client for all event loops, and here each test has its own.
        await plain._async_client.close()
        _get_default_async_httpx_client.cache_clear()

    @property
    def model_override_value(self) -> str:
        return "claude-opus-4-8"


@pytest.fixture(autouse=True, scope="module")
def serve() -> Iterator[None]:
    with FakeAnthropic() as Suite.server:
        yield


class TestP19Plain(Suite):
    """Without any cache."""


@pytest.fixture(scope="module")
def engine() -> Iterator[SemanticCache]:
    with open_cache("memory://", embedder=None) as cache:
        yield cache


class Cached(Suite):
    @pytest.fixture(autouse=True)
    def ask(self, engine: SemanticCache) -> None:
        self.engine = engine

    def wrapped(self, model: BaseChatModel) -> BaseChatModel:
        return cached(model, self.engine)


ASKED: set[str] = set()  # names of the tests that were run with a cold cache
MAKES_ITS_OWN_MODEL = "test_stop_sequence"


class TestP19Cold(Cached):
    """Against an empty cache; a test that asks what another one asked is answered, and passes all the same."""

    @pytest.fixture(autouse=True)
    def note(self, request: pytest.FixtureRequest) -> None:
        ASKED.add(request.node.name)


class TestP19Warm(Cached):
    """The same tests once more, with the cache that the cold ones filled: nothing is asked of the server."""

    @pytest.fixture(autouse=True)
    def count(self, request: pytest.FixtureRequest) -> Iterator[None]:
        before = self.server.count()
        yield
        if request.node.name in ASKED - {MAKES_ITS_OWN_MODEL}:
            assert self.server.count() == before
