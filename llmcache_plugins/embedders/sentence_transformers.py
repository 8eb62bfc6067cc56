"""Any model of sentence-transformers."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llmcache_plugins.embedders._rows import unit_rows
from llmcache_plugins.errors import ConfigError, EmbedderError, MissingExtraError
from llmcache_plugins.types import FloatArray

__all__ = ["SentenceTransformerEmbedder"]

_SAMPLE_BYTES = 64 * 1024


class SentenceTransformerEmbedder:
    """Embeds with a sentence-transformers model; loads it at once, since its name and dimension are in the id.

    Safe to use from several threads, one at a time (its tokenizer changes its own settings while it works).

    Args:
        name_or_path: a model of the hub, or a folder.
        batch_size: texts in one run of the model. With 1 a text has the same vector, bit for bit, alone and in a batch;
            with more, padding changes the last digits, and a GPU is used better.
        embedder_id: instead of the one made of name (for a folder: its name and a digest of its files), dimension and
            normalisation.
        kwargs: passed on to `SentenceTransformer`, `device="cpu"` for example.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        EmbedderError: the model cannot be loaded.
    """

    is_local = True  # it computes and cannot hang

    def __init__(
        self,
        name_or_path: str | Path,
        *,
        batch_size: int = 1,
        embedder_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ConfigError(f"batch_size must be an integer of at least 1, not {batch_size!r}")
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise MissingExtraError("SentenceTransformerEmbedder", "sentence-transformers") from error
        try:
            self._model: Any = SentenceTransformer(str(name_or_path), **kwargs)
        except (OSError, ValueError, RuntimeError) as error:
            raise EmbedderError(f"sentence-transformers cannot load {str(name_or_path)!r}") from error
        self._batch_size = batch_size
        self._lock = threading.Lock()
        self._dimension = _dimension(self._model)
        self._id = embedder_id or f"{_name(name_or_path, kwargs)}/{self._dimension}/unit"
        self._prompt: str = self._model.prompts.get(self._model.default_prompt_name, "")

    def __repr__(self) -> str:
        return f"SentenceTransformerEmbedder({self._id!r})"

    @property
    def embedder_id(self) -> str:
        return self._id

    @property
    def dimension(self) -> int:
        return self._dimension

    def fits(self, text: str) -> bool:
        """True when the model reads the whole text: within its `max_seq_length`, and no piece of it unknown."""
        tokenizer, longest = self._model.tokenizer, self._model.max_seq_length
        try:
            with self._lock:
                ids = tokenizer(self._prompt + text, add_special_tokens=False, truncation=False, verbose=False)
                room = None if longest is None else longest - tokenizer.num_special_tokens_to_add()
        except (TypeError, UnicodeError):  # lone surrogates
            return False
        return (room is None or len(ids["input_ids"]) <= room) and tokenizer.unk_token_id not in ids["input_ids"]

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """float32 vectors of unit length, shape (len(texts), dim). A text that does not fit is cut off by the model."""
        if not texts:
            return np.empty((0, self._dimension), np.float32)
        try:
            with self._lock:
                raw = self._model.encode(
                    list(texts),
                    batch_size=self._batch_size,
                    show_progress_bar=False,
                    convert_to_numpy=True,
                    normalize_embeddings=True,
                )
        except Exception as error:  # torch raises whatever its back end does
            raise EmbedderError(f"sentence-transformers failed on {self._id}: {type(error).__name__}") from error
        return unit_rows(raw, count=len(texts), dimension=self._dimension, source=self._id)


def _dimension(model: Any) -> int:
    # Renamed in version 5; the old name warns since then.
    measure = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
    dimension = measure()
    if dimension is None:
        dimension = len(model.encode(["dimension"], show_progress_bar=False)[0])
    return int(dimension)


def _name(name_or_path: str | Path, kwargs: dict[str, Any]) -> str:
    folder = Path(name_or_path)
    if folder.is_dir():
        return f"{folder.resolve().name}@{_folder_digest(folder)}"
    revision = kwargs.get("revision")
    return f"{name_or_path}@{revision}" if revision else str(name_or_path)


def _folder_digest(folder: Path) -> str:
    """12 hexadecimal digits over names, sizes and both ends of a model's files: two models called `model` differ.

    Not over every byte: that would take seconds for a large model, and training moves nearly every weight.
    """
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".bin", ".json")):
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(_SAMPLE_BYTES)
            file.seek(max(0, size - _SAMPLE_BYTES))
            end = file.read(_SAMPLE_BYTES)
        for part in (path.relative_to(folder).as_posix().encode(), str(size).encode(), start, end):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
