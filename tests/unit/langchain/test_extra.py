from __future__ import annotations

import importlib
import os
import random
import sys
import warnings

import pytest

from llmcache_plugins.errors import ConfigError, MissingExtraError
from llmcache_plugins.langchain import LLMCache, replay


def test_without_langchain_the_import_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("llmcache_plugins.langchain")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "langchain_core", None)
    with pytest.raises(MissingExtraError, match=r"llmcache-plugins\[langchain\]"):
        importlib.import_module("llmcache_plugins.langchain")


def test_an_unknown_usage_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="usage"):
        LLMCache(usage="half")  # type: ignore[arg-type]  # that is the point


def test_ids_do_not_repeat_when_a_user_seeds_random_or_forks() -> None:
    random.seed(0)
    one = replay._random.getrandbits(128)
    random.seed(0)
    assert replay._random.getrandbits(128) != one
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of forks beside threads
        child = os.fork()
    if child == 0:
        os.write(writing, b"%032x" % replay._random.getrandbits(128))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 32) != b"%032x" % replay._random.getrandbits(128)
    os.close(reading)
    os.close(writing)
