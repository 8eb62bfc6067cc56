"""The default verifier: a small cross-encoder trained for answer equivalence, run by onnxruntime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from llmcache_plugins.errors import VerifierError
from llmcache_plugins.onnx_model import MAX_CHARS_PER_TOKEN, OnnxModel, shipped_folder
from llmcache_plugins.types import FloatArray

__all__ = ["OnnxVerifier"]

_WHAT = "the default verifier"


class OnnxVerifier:
    """Says of two questions how likely a right answer to one is a right answer to the other.

    Making one is cheap; the tokenizer and the model are loaded when they are first needed (about 0.2 s). Safe to use
    from several threads. Pairs are run one by one, so that a pair has the same score alone and in any batch.

    Args:
        path: a folder with `model.onnx`, `tokenizer.json` and `manifest.json`; by default the one of
            `llmcache-plugins-models`.
        threads: how many threads one pair may use. More than 1 pays only on a machine with idle cores.
        max_tokens: of both questions together; a longer pair gets no score.

    Raises:
        MissingExtraError: onnxruntime, tokenizers or (without `path`) the model files are not installed.
        ConfigError: an argument is out of range, or the folder does not hold a verifier.
    """

    is_local = True  # it computes and cannot hang: a plain lookup calls it on its own thread

    def __init__(self, path: str | Path | None = None, *, threads: int = 1, max_tokens: int = 256) -> None:
        self._model = OnnxModel(
            shipped_folder("verifier", _WHAT) if path is None else Path(path),
            facts=("verifier_id",),
            what=_WHAT,
            threads=threads,
            max_tokens=max_tokens,
            error=VerifierError,
        )

    def __repr__(self) -> str:
        return f"OnnxVerifier({self.verifier_id!r})"

    @property
    def verifier_id(self) -> str:
        return str(self._model.manifest["verifier_id"])

    def verify(self, pairs: Sequence[tuple[str, str]]) -> FloatArray:
        """Scores in [0, 1], float32 of shape (len(pairs),): NaN for a pair that is too long, or that holds what the
        model does not know. A score is no calibrated probability; the confidence makes one of it.

        Raises:
            VerifierError: the model cannot be loaded, or failed.
        """
        return np.array([self._score(asked, stored) for asked, stored in pairs], np.float32)

    def _score(self, asked: str, stored: str) -> float:
        if len(asked) + len(stored) > self._model.max_tokens * MAX_CHARS_PER_TOKEN:
            return math.nan
        first, second = self._model.encoded(asked), self._model.encoded(stored)
        if first is None or second is None:
            return math.nan
        ids = [*first.ids, *second.ids]
        if not self._model.can_read(ids):
            return math.nan
        segments = [0] * len(first.ids) + [1] * len(second.ids)
        return float(self._model.run("score", {"input_ids": ids, "segments": segments}))
