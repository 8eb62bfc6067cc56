"""For tests, yours and ours: a fake clock, a fake embedder, a store that fails on demand, loopback Anthropic and OpenAI
APIs, and the contract suites that every store has to pass."""

from typing import TYPE_CHECKING, Any

from llmcache_plugins.testing.clock import FakeClock
from llmcache_plugins.testing.embedder import FakeEmbedder

if TYPE_CHECKING:
    from llmcache_plugins.testing.fake_anthropic import FakeAnthropic
    from llmcache_plugins.testing.fake_openai import FakeOpenAI
    from llmcache_plugins.testing.faulty_store import FaultyStore
    from llmcache_plugins.testing.store_contract import AsyncStoreContract, StoreContract

__all__ = [
    "AsyncStoreContract",
    "FakeAnthropic",
    "FakeClock",
    "FakeEmbedder",
    "FakeOpenAI",
    "FaultyStore",
    "StoreContract",
]

_LAZY = {  # the contracts need pytest, which users of the fakes may not have
    "AsyncStoreContract": "llmcache_plugins.testing.store_contract",
    "FakeAnthropic": "llmcache_plugins.testing.fake_anthropic",
    "FakeOpenAI": "llmcache_plugins.testing.fake_openai",
    "FaultyStore": "llmcache_plugins.testing.faulty_store",
    "StoreContract": "llmcache_plugins.testing.store_contract",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)
