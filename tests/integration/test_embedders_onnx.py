"""The shipped model itself: how near it is to the original, and what it promises."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from llmcache_plugins_models import embedder_path, manifest

from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.errors import EmbedderError
from llmcache_plugins.protocols import AsyncEmbedder, Embedder

FOLDER = Path(__file__).resolve().parents[1] / "data" / "embedder"
TEXTS: list[str] = json.loads((FOLDER / "texts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def embedder():
    return OnnxEmbedder()


@pytest.fixture(scope="module")
def vectors(embedder):
    return embedder.embed(TEXTS)


@pytest.fixture(scope="module")
def reference():
    """What sentence-transformers gives for TEXTS (training/reference_vectors.py)."""
    return np.load(FOLDER / "reference.npz", allow_pickle=False)["vectors"]


def test_vectors_are_near_those_of_sentence_transformers(vectors, reference):
    assert len(TEXTS) == len(reference) >= 100
    cosines = np.einsum("ij,ij->i", vectors, reference)
    assert cosines.min() >= 0.998, TEXTS[int(cosines.argmin())]
    assert cosines.mean() >= 0.9995


def test_similarities_are_near_those_of_sentence_transformers(vectors, reference):
    change = np.abs(vectors @ vectors.T - reference @ reference.T)
    assert change.max() < 0.015


def test_vectors_are_float32_of_unit_length(embedder, vectors):
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), embedder.dimension) == (len(TEXTS), 384)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6


def test_a_text_has_the_same_bits_alone_and_in_any_batch(embedder, vectors):
    for start in (0, 30, 60, 100):
        assert embedder.embed([TEXTS[start]])[0].tobytes() == vectors[start].tobytes()
    mixed = [TEXTS[60], TEXTS[0], TEXTS[0], TEXTS[105], TEXTS[1]]
    expected = [vectors[60], vectors[0], vectors[0], vectors[105], vectors[1]]
    assert [row.tobytes() for row in embedder.embed(mixed)] == [row.tobytes() for row in expected]


def test_another_embedder_of_the_same_file_gives_the_same_vectors(vectors):
    assert np.abs(OnnxEmbedder().embed(TEXTS[:5]) - vectors[:5]).max() < 1e-6


def test_several_threads_get_the_same_vectors_from_one_new_embedder(vectors):
    embedder = OnnxEmbedder()
    start, wrong = threading.Barrier(4), []

    def work(offset: int) -> None:
        start.wait(10)
        for index in range(offset, 40, 4):
            if (
                not embedder.fits(TEXTS[index])
                or embedder.embed([TEXTS[index]])[0].tobytes() != vectors[index].tobytes()
            ):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []


def test_two_threads_for_one_text_change_rounding_only(vectors):
    assert np.abs(OnnxEmbedder(threads=2).embed(TEXTS[:5]) - vectors[:5]).max() < 1e-5


def words(tokens: int) -> str:
    return " ".join(["house"] * (tokens - 2))


def test_fits_up_to_the_last_token_and_no_further(embedder):
    assert embedder.fits(words(256))
    assert not embedder.fits(words(257))
    short = OnnxEmbedder(max_tokens=10)
    assert short.fits(words(10))
    assert not short.fits(words(11))


def test_what_does_not_fit_is_refused_and_never_cut_off(embedder):
    assert embedder.embed([words(256)]).shape == (1, 384)
    for text in (words(257), "x " * 100_000):
        with pytest.raises(EmbedderError, match="too long"):
            embedder.embed([text])


def test_every_word_of_the_longest_text_counts(embedder):
    last, first = words(255) + " apple", words(255) + " river"
    assert embedder.fits(last)
    assert not np.array_equal(*embedder.embed([last, first]))


@pytest.mark.parametrize("text", ["price of \U0001f996?", "\U0001f419", "supercalifragilistic" * 6])
def test_what_the_model_cannot_tell_apart_does_not_fit(embedder, text):
    other = text.replace("\U0001f996", "\U0001f419").replace("super", "hyper")
    assert not embedder.fits(text)
    assert not embedder.fits(other)
    assert embedder.embed([text]).shape == (1, 384)


@pytest.mark.parametrize("text", ["", " ", "?", "a", "naïve café", "tabs\tand\nlines", "[SEP]", "\x00"])
def test_small_and_odd_texts_fit_and_embed(embedder, text):
    assert embedder.fits(text)
    assert np.isfinite(embedder.embed([text])).all()


def test_lone_surrogates_do_not_fit_and_are_refused(embedder):
    assert not embedder.fits("what is \ud800?")
    with pytest.raises(EmbedderError, match="Unicode"):
        embedder.embed(["what is \ud800?"])


@pytest.mark.parametrize("text", ["word " * 200_000, "x" * 1_000_000, " " * 1_000_000, "\u65e5" * 1_000_000])
def test_a_megabyte_is_judged_without_being_tokenised(text, monkeypatch):
    embedder = OnnxEmbedder()
    monkeypatch.setattr(embedder._model, "encoded", lambda: pytest.fail("tokenising this takes half a second"))
    assert not embedder.fits(text)


def test_no_texts_give_no_rows(embedder):
    assert embedder.embed([]).shape == (0, 384)


def test_id_names_model_weights_dimension_normalisation_and_file(embedder):
    digest = hashlib.sha256((embedder_path() / "model.onnx").read_bytes()).hexdigest()
    assert embedder.embedder_id == f"all-MiniLM-L6-v2/int8w/384/unit/{digest[:12]}"


def test_manifest_holds_the_digest_of_every_file():
    files = {path.name for path in embedder_path().iterdir()} - {"manifest.json"}
    facts = manifest()
    assert set(facts["files"]) == files
    for name in files:
        content = (embedder_path() / name).read_bytes()
        assert facts["files"][name] == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    assert (facts["dimension"], facts["max_tokens"], facts["normalisation"]) == (384, 256, "unit")
    assert facts["source"]["model.safetensors"].startswith("53aa5117")


def test_it_is_an_embedder_that_blocks(embedder):
    assert isinstance(embedder, Embedder)
    assert not isinstance(embedder, AsyncEmbedder)


def test_questions_with_one_meaning_are_nearer_than_others(embedder):
    asked, same, other = embedder.embed(["Show BGP status", "Display BGP state", "How long should I boil an egg?"])
    assert asked @ same > 0.75
    assert asked @ other < 0.2
