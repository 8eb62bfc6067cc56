"""A local model: a folder with an ONNX file, a tokenizer and a manifest, run by onnxruntime. No torch, no download."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llmcache_plugins.errors import ConfigError, LLMCacheError, MissingExtraError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

__all__ = ["MAX_CHARS_PER_TOKEN", "OnnxModel", "shipped_folder"]

# The longest piece of the vocabulary has 18 letters, so a text with more characters than this for each token it may
# have is mostly blanks or unreadable. It is not tokenised to find out: "does not fit" is always the safe answer.
MAX_CHARS_PER_TOKEN = 32


class OnnxModel:
    """Loads what it needs when it is first needed (about 0.2 s), and only files that are what the manifest says.

    Safe to use from several threads.

    Args:
        folder: holds `model.onnx`, `tokenizer.json` and `manifest.json`.
        facts: names of the manifest that must not be empty.
        what: who asks, for errors: "the default embedder".
        threads: how many threads one run may use. More than 1 pays only on a machine with idle cores.
        max_tokens: longer inputs do not fit; at most what the model reads.
        error: raised when a file is damaged or the model fails.

    Raises:
        MissingExtraError: onnxruntime or tokenizers are not installed.
        ConfigError: an argument is out of range, or the folder does not hold a model.
    """

    def __init__(
        self,
        folder: Path,
        *,
        facts: Sequence[str],
        what: str,
        threads: int,
        max_tokens: int,
        error: type[LLMCacheError],
    ) -> None:
        for package in ("onnxruntime", "tokenizers"):
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError(what, "local")
        self._folder = folder
        self.manifest = _read_manifest(folder, facts)
        for name, value in (("threads", threads), ("max_tokens", max_tokens)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{name} must be an integer of at least 1, not {value!r}")
        if max_tokens > self.manifest["max_tokens"]:
            raise ConfigError(f"max_tokens must be at most {self.manifest['max_tokens']}, not {max_tokens}")
        self.max_tokens = max_tokens
        self._threads = threads
        self._error = error
        self._lock = threading.Lock()
        self._tokenizer: Tokenizer | None = None
        self._unknown_id: int | None = None
        self._session: Any = None

    def encoded(self, text: str) -> Encoding | None:
        """The tokens of a text with the markers around them; None for lone surrogates, which are not Unicode.

        Raises:
            LLMCacheError: of the class `error`: the tokenizer cannot be loaded.
        """
        tokenizer = self._load_tokenizer()
        try:
            return tokenizer.encode(text)
        except (TypeError, UnicodeError):
            return None

    def can_read(self, ids: Sequence[int]) -> bool:
        """Not too long, and each token known.

        What is not in the vocabulary (many emoji, words of more than 100 letters) is one and the same token to the
        model, so that two such texts would look identical though they are not.
        """
        return len(ids) <= self.max_tokens and self._unknown_id not in ids

    def run(self, output: str, inputs: Mapping[str, Sequence[int]]) -> Any:
        """The first row of an output, for one row of each input.

        Raises:
            LLMCacheError: of the class `error`: the model cannot be loaded, or failed.
        """
        session = self._load_session()
        rows = {name: np.array([row], np.int64) for name, row in inputs.items()}
        try:
            return session.run([output], rows)[0][0]
        except Exception as error:  # onnxruntime's classes differ between its versions
            raise self._error(f"onnxruntime failed on {self._folder.name}: {type(error).__name__}") from error

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
            raise self._error(f"tokenizers cannot load {self._folder / 'tokenizer.json'}") from error
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
        # activations as well; the shipped ones have none.
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        content = self._read_checked("model.onnx")
        try:
            return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's classes differ between its versions
            raise self._error(f"onnxruntime cannot load {self._folder / 'model.onnx'}") from error

    def _read_checked(self, name: str) -> bytes:
        """A file's content, if it is the file the manifest speaks of: what was stored by the model's id rests on it."""
        path = self._folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise self._error(f"cannot read {path}") from error
        if hashlib.sha256(content).hexdigest() != self.manifest["files"][name]["sha256"]:
            raise self._error(f"{path} is damaged: its sha256 is not the one of manifest.json; install it again")
        return content


def shipped_folder(name: str, what: str) -> Path:
    """A folder of `llmcache-plugins-models`.

    Raises:
        MissingExtraError: that package is not installed, or has no such model.
    """
    try:
        import llmcache_plugins_models as models
    except ImportError as error:
        raise MissingExtraError(what, "local") from error
    find = getattr(models, f"{name}_path", None)
    folder = None if find is None else Path(find())
    if folder is None or not folder.is_dir():
        raise MissingExtraError(what, "local")
    return folder


def _read_manifest(folder: Path, facts: Sequence[str]) -> Mapping[str, Any]:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        found = [manifest[name] for name in (*facts, "max_tokens")]
        numbers = manifest["max_tokens"] + 0
        digests = [manifest["files"][name]["sha256"] for name in ("model.onnx", "tokenizer.json")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"path must be a folder with a model and its manifest.json, not {str(folder)!r}") from error
    if not all(found) or not all(digests) or not numbers:
        raise ConfigError(f"the manifest.json in {str(folder)!r} has empty fields")
    return dict(manifest)
