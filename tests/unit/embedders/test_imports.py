from __future__ import annotations

import subprocess
import sys

import pytest

from llmcache_plugins.embedders import OnnxEmbedder, SentenceTransformerEmbedder
from llmcache_plugins.errors import MissingExtraError

HEAVY = ("onnxruntime", "tokenizers", "torch", "sentence_transformers", "langchain_core", "llama_index")


def loaded_after(code: str) -> list[str]:
    script = f"import sys\n{code}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_the_embedders_imports_no_optional_package():
    assert loaded_after("import llmcache_plugins.embedders") == []


def test_making_the_default_embedder_imports_no_runtime():
    assert loaded_after("from llmcache_plugins.embedders import OnnxEmbedder; OnnxEmbedder().embedder_id") == []


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers", "llmcache_plugins_models"])
def test_missing_packages_are_named_when_the_default_embedder_is_made(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'llmcache-plugins\[local\]'"):
        OnnxEmbedder()


def test_missing_sentence_transformers_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"llmcache-plugins\[sentence-transformers\]"):
        SentenceTransformerEmbedder("some-model")
