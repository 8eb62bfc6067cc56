"""The default embedder: a local sentence embedder, run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from llmcache_plugins.errors import EmbedderError
from llmcache_plugins.onnx_model import MAX_CHARS_PER_TOKEN, OnnxModel, shipped_folder
from llmcache_plugins.types import FloatArray

__all__ = ["OnnxEmbedder"]

_WHAT = "the default embedder"


class OnnxEmbedder:
    """Embeds with an ONNX model that takes `input_ids` without padding and gives vectors of unit length.

    Making one is cheap; the tokenizer and the model are loaded when they are first needed (about 0.2 s). Safe to use
    from several threads. Texts are run one by one, so that a text has the same vector, bit for bit, alone and in any
    batch: matrix products and sums over a batch are rounded in another order.

    Args:
        path: a folder with `model.onnx`, `tokenizer.json` and `manifest.json`; by default the one of
            `llmcache-plugins-models`.
        threads: how many threads one text may use. More than 1 pays only on a machine with idle cores.
        max_tokens: longer texts do not fit; at most what the model reads, 256 for the default one.

    Raises:
        MissingExtraError: onnxruntime, tokenizers or (without `path`) the model files are not installed.
        ConfigError: an argument is out of range, or the folder does not hold a model.
    """

    is_local = True  # it computes and cannot hang

    def __init__(self, path: str | Path | None = None, *, threads: int = 1, max_tokens: int = 256) -> None:
        self._model = OnnxModel(
            shipped_folder("embedder", _WHAT) if path is None else Path(path),
            facts=("embedder_id", "dimension"),
            what=_WHAT,
            threads=threads,
            max_tokens=max_tokens,
            error=EmbedderError,
        )
        self._max_chars = max_tokens * MAX_CHARS_PER_TOKEN

    def __repr__(self) -> str:
        return f"OnnxEmbedder({self.embedder_id!r})"

    @property
    def embedder_id(self) -> str:
        return str(self._model.manifest["embedder_id"])

    @property
    def dimension(self) -> int:
        return int(self._model.manifest["dimension"])

    def fits(self, text: str) -> bool:
        """True when the model reads the whole text: at most `max_tokens` tokens, and each of them known to it.

        Raises:
            EmbedderError: the tokenizer cannot be loaded.
        """
        if len(text) > self._max_chars:
            return False
        read = self._model.encoded(text)
        return read is not None and self._model.can_read(read.ids)

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """float32 vectors of unit length, shape (len(texts), dim).

        Raises:
            EmbedderError: a text has more than `max_tokens` tokens (nothing is cut off), or the model failed.
        """
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._embed_one(text)
        return vectors

    def _embed_one(self, text: str) -> FloatArray:
        limit = self._model.max_tokens
        if len(text) > self._max_chars:
            raise EmbedderError(f"a text of {len(text)} characters is too long for {self.embedder_id}")
        read = self._model.encoded(text)
        if read is None:
            raise EmbedderError("a text is not valid Unicode and cannot be embedded")
        if len(read.ids) > limit:
            raise EmbedderError(f"a text of {len(read.ids)} tokens is too long for {self.embedder_id}: {limit}")
        vector: FloatArray = self._model.run("embedding", {"input_ids": read.ids})
        if vector.shape != (self.dimension,):
            raise EmbedderError(f"{self.embedder_id} gave a vector of shape {vector.shape}, not ({self.dimension},)")
        return vector
