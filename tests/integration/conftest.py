"""The clients of the frameworks keep connections open that nobody closes, on event loops that are gone: no test fails
for them, and none is left to a test elsewhere."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from functools import _lru_cache_wrapper
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FRAMEWORKS = ("langchain", "langgraph", "llama_index", "anthropic", "openai")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Behind the last test of a module, when its fixtures are let go of, too.

    The frameworks also keep clients, and functions whose closures hold models with clients, in caches as long as the
    process lives: what falls out of one would be collected in the middle of some other test.
    """
    result = yield
    if nextitem is None or nextitem.path != item.path:
        gc.unfreeze()  # what `collected` has left out
        for known in gc.get_objects():  # isinstance would ask objects that warn when they are asked
            if type(known) is _lru_cache_wrapper and (known.__module__ or "").startswith(FRAMEWORKS):
                known.cache_clear()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
    return result
