"""The default embedder: an ONNX file and a tokenizer file, run by onnxruntime. No torch, no download."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llmcache_plugins.errors import ConfigError, EmbedderError, MissingExtraError
from llmcache_plugins.types import FloatArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["OnnxEmbedder"]

# The longest piece of the vocabulary has 18 letters, so a text with more characters than this for each token it may
# have is mostly blanks or unreadable. It is not tokenised to find out: "does not fit" is always the safe answer.
_MAX_CHARS_PER_TOKEN = 32


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

    def __init__(self, path: str | Path | None = None, *, threads: int = 1, max_tokens: int = 256) -> None:
        for package in ("onnxruntime", "tokenizers"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError("the default embedder", "local")
        self._folder = _default_folder() if path is None else Path(path)
        self._manifest = _read_manifest(self._folder)
        for name, value in (("threads", threads), ("max_tokens", max_tokens)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{name} must be an integer of at least 1, not {value!r}")
        if max_tokens > self._manifest["max_tokens"]:
            raise ConfigError(f"max_tokens must be at most {self._manifest['max_tokens']}, not {max_tokens}")
        self._threads = threads
        self._max_tokens = max_tokens
        self._lock = threading.Lock()
        self._tokenizer: Tokenizer | None = None
        self._unknown_id: int | None = None
        self._session: Any = None

    def __repr__(self) -> str:
        return f"OnnxEmbedder({self.embedder_id!r})"

    @property
    def embedder_id(self) -> str:
        return str(self._manifest["embedder_id"])

    @property
    def dimension(self) -> int:
        return int(self._manifest["dimension"])

    def fits(self, text: str) -> bool:
        """True when the model reads the whole text: at most `max_tokens` tokens, and each of them known to it.

        What is not in the vocabulary (many emoji, words of more than 100 letters) is one and the same token to the
        model, so that two such texts would look identical though they are not.

        Raises:
            EmbedderError: the tokenizer cannot be loaded.
        """
        if len(text) > self._max_tokens * _MAX_CHARS_PER_TOKEN:
            return False
        ids = self._token_ids(text)
        return ids is not None and len(ids) <= self._max_tokens and self._unknown_id not in ids

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
        if len(text) > self._max_tokens * _MAX_CHARS_PER_TOKEN:
            raise EmbedderError(f"a text of {len(text)} characters is too long for {self.embedder_id}")
        ids = self._token_ids(text)
        if ids is None:
            raise EmbedderError("a text is not valid Unicode and cannot be embedded")
        if len(ids) > self._max_tokens:
            raise EmbedderError(f"a text of {len(ids)} tokens is too long for {self.embedder_id}: {self._max_tokens}")
        session = self._load_session()
        try:
            vector: FloatArray = session.run(["embedding"], {"input_ids": np.array([ids], np.int64)})[0][0]
        except Exception as error:  # onnxruntime's classes differ between its versions
            raise EmbedderError(f"onnxruntime failed on {self.embedder_id}: {type(error).__name__}") from error
        if vector.shape != (self.dimension,):
            raise EmbedderError(f"{self.embedder_id} gave a vector of shape {vector.shape}, not ({self.dimension},)")
        return vector

    def _token_ids(self, text: str) -> list[int] | None:
        """With the two markers around them; None for a text with lone surrogates, which is not Unicode."""
        tokenizer = self._load_tokenizer()
        try:
            return tokenizer.encode(text).ids
        except (TypeError, UnicodeError):
            return None

    def _load_tokenizer(self) -> Tokenizer:
        if self._tokenizer is None:
            with self._lock:
                if self._tokenizer is None:
                    self._tokenizer = self._read_tokenizer()
        return self._tokenizer

    def _read_tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer  # slow to import, so only when it is needed

        content = self._read_checked("tokenizer.json")
        try:
            tokenizer = Tokenizer.from_str(content.decode("utf-8"))
        except Exception as error:  # tokenizers raises bare Exceptions
            raise EmbedderError(f"tokenizers cannot load {self._folder / 'tokenizer.json'}") from error
        tokenizer.no_padding()  # a folder of the user's own may carry the original's settings
        tokenizer.no_truncation()
        self._unknown_id = tokenizer.token_to_id("[UNK]")
        return tokenizer

    def _load_session(self) -> Any:
        if self._session is None:
            with self._lock:
                if self._session is None:
                    self._session = self._open_session()
        return self._session

    def _open_session(self) -> Any:
        import onnxruntime  # slow to import, so only when it is needed

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors only: it writes to stderr past Python's logging
        # Waiting threads must not burn the application's cores between two questions.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # A model of the user's own may hold DequantizeLinear, which would be fused into products that round the
        # activations as well; the shipped one has none.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        content = self._read_checked("model.onnx")
        try:
            return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's classes differ between its versions
            raise EmbedderError(f"onnxruntime cannot load {self._folder / 'model.onnx'}") from error

    def _read_checked(self, name: str) -> bytes:
        """A file's content, if it is the file the manifest speaks of: the id of every stored vector rests on that."""
        path = self._folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise EmbedderError(f"cannot read {path}") from error
        if hashlib.sha256(content).hexdigest() != self._manifest["files"][name]["sha256"]:
            raise EmbedderError(f"{path} is damaged: its sha256 is not the one of manifest.json; install it again")
        return content


def _default_folder() -> Path:
    try:
        from llmcache_plugins_models import embedder_path
    except ImportError as error:
        raise MissingExtraError("the default embedder", "local") from error
    return Path(embedder_path())


def _read_manifest(folder: Path) -> Mapping[str, Any]:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        facts = (manifest["embedder_id"], manifest["dimension"] + 0, manifest["max_tokens"] + 0)
        digests = [manifest["files"][name]["sha256"] for name in ("model.onnx", "tokenizer.json")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"path must be a folder with a model and its manifest.json, not {str(folder)!r}") from error
    if not all(facts) or not all(digests):
        raise ConfigError(f"the manifest.json in {str(folder)!r} has empty fields")
    return dict(manifest)
