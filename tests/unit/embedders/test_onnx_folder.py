"""What is checked before any model runs: arguments, the folder, and that the files are the manifest's."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
from llmcache_plugins_models import embedder_path

from llmcache_plugins.embedders import OnnxEmbedder
from llmcache_plugins.errors import ConfigError, EmbedderError

MANIFEST = {
    "embedder_id": "small/4/unit/0",
    "dimension": 4,
    "max_tokens": 16,
    "files": {"model.onnx": {"sha256": "0" * 64}, "tokenizer.json": {"sha256": "0" * 64}},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST), encoding="utf-8")
    return tmp_path


def test_id_and_dimension_come_from_the_manifest(folder):
    embedder = OnnxEmbedder(folder, max_tokens=16)
    assert (embedder.embedder_id, embedder.dimension) == ("small/4/unit/0", 4)


@pytest.mark.parametrize(
    ("field", "value"),
    [("threads", 0), ("threads", True), ("threads", 1.5), ("max_tokens", 0), ("max_tokens", 17), ("max_tokens", "16")],
)
def test_arguments_out_of_range_are_refused(folder, field, value):
    with pytest.raises(ConfigError, match=field):
        OnnxEmbedder(folder, **{"max_tokens": 16, field: value})


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"embedder_id": "x", "dimension": "4"}', b"\xff\xfe"])
def test_a_folder_without_a_manifest_is_refused(tmp_path, content):
    if content is not None:
        raw = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "manifest.json").write_bytes(raw)
    with pytest.raises(ConfigError, match=r"manifest\.json"):
        OnnxEmbedder(tmp_path)


def test_empty_fields_are_refused(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST | {"embedder_id": ""}), encoding="utf-8")
    with pytest.raises(ConfigError, match="empty"):
        OnnxEmbedder(tmp_path)


def test_missing_and_damaged_files_are_embedder_errors(folder):
    embedder = OnnxEmbedder(folder, max_tokens=16)
    with pytest.raises(EmbedderError, match="cannot read"):
        embedder.embed(["text"])
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(EmbedderError, match="damaged"):
        embedder.embed(["text"])
    with pytest.raises(EmbedderError, match="damaged"):  # "does not fit" would hide the damage for ever
        embedder.fits("text")


def test_files_of_another_kind_are_embedder_errors(folder):
    content = b"not a model"
    digest = {"sha256": hashlib.sha256(content).hexdigest()}
    (folder / "tokenizer.json").write_bytes(content)
    manifest = MANIFEST | {"files": {"model.onnx": digest, "tokenizer.json": digest}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(EmbedderError, match="tokenizers cannot load"):
        OnnxEmbedder(folder, max_tokens=16).embed(["text"])
    shutil.copy(embedder_path() / "tokenizer.json", folder / "tokenizer.json")
    digest_of_tokenizer = hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
    manifest["files"] = {"model.onnx": digest, "tokenizer.json": {"sha256": digest_of_tokenizer}}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(EmbedderError, match="onnxruntime cannot load"):
        OnnxEmbedder(folder, max_tokens=16).embed(["text"])
