"""The clients of the frameworks keep connections open that nobody closes, on event loops that are gone: no test fails
for them, and none is left to a test elsewhere."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"), append=False)


@pytest.fixture(autouse=True, scope="module")
def clients() -> Iterator[None]:
    """LangChain's Anthropic integration has one asynchronous client for each address, as long as the process lives."""
    yield
    known = sys.modules.get("langchain_anthropic._client_utils")
    if known is not None:
        known._get_default_async_httpx_client.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
