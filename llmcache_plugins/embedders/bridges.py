"""Embedders of LangChain and LlamaIndex, used as they are. Neither framework is imported here."""

from __future__ import annotations

import hashlib
import logging
import sys
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import numpy as np

from llmcache_plugins.embedders._rows import unit_rows
from llmcache_plugins.errors import ConfigError, EmbedderError
from llmcache_plugins.protocols import Embedder
from llmcache_plugins.types import FloatArray

__all__ = ["LangChainEmbedder", "LlamaIndexEmbedder", "as_embedder"]

_log = logging.getLogger(__name__)

# What the integrations call the model's name, and the length of its vectors. Nothing else is read: other attributes
# hold keys and addresses.
_MODEL_ATTRIBUTES = ("model_name", "model", "model_id", "deployment_name", "deployment")
_PROBE = "What is the capital of France?"
_SIZE_ATTRIBUTES = ("dimensions", "dimension", "output_dimensionality", "size")


class _LangChainEmbeddings(Protocol):
    def embed_documents(self, texts: list[str]) -> list[list[float]]: ...
    async def aembed_documents(self, texts: list[str]) -> list[list[float]]: ...


class _LlamaIndexEmbedding(Protocol):
    def get_text_embedding_batch(self, texts: list[str]) -> list[list[float]]: ...
    async def aget_text_embedding_batch(self, texts: list[str]) -> list[list[float]]: ...


class _Bridge:
    """What both bridges share. `embed` and `aembed` are the methods of the framework's object."""

    def __init__(
        self,
        model: object,
        framework: str,
        *,
        embed: Callable[[list[str]], Any],
        aembed: Callable[[list[str]], Awaitable[Any]],
        embedder_id: str | None,
        max_chars: int | None,
    ) -> None:
        if max_chars is not None and (not isinstance(max_chars, int) or isinstance(max_chars, bool) or max_chars < 1):
            raise ConfigError(f"max_chars must be an integer of at least 1 or None, not {max_chars!r}")
        if embedder_id is not None and (not isinstance(embedder_id, str) or not embedder_id):
            raise ConfigError(f"embedder_id must be a non-empty string or None, not {embedder_id!r}")
        self._embed, self._aembed = embed, aembed
        self._max_chars = max_chars
        self._dimension: int | None = None
        self._id = embedder_id or _id_of(model, framework) or self._probed_id(model, framework)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._id!r})"

    @property
    def embedder_id(self) -> str:
        return self._id

    def fits(self, text: str) -> bool:
        """True for texts of at most `max_chars` characters."""
        return self._max_chars is None or len(text) <= self._max_chars

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """float32 vectors of unit length, shape (len(texts), dim)."""
        if not texts:
            return self._nothing()
        try:
            raw = self._embed(list(texts))
        except Exception as error:  # every integration raises its own
            raise self._failed(error) from error
        return self._checked(raw, len(texts))

    async def aembed(self, texts: Sequence[str]) -> FloatArray:
        """As `embed`, awaiting the model."""
        if not texts:
            return self._nothing()
        try:
            raw = await self._aembed(list(texts))
        except Exception as error:  # every integration raises its own
            raise self._failed(error) from error
        return self._checked(raw, len(texts))

    def _probed_id(self, model: object, framework: str) -> str:
        """An id for a model that has no name: two objects of one class may be two models, but then a text has another
        vector. Rounded, so that the last digits of another machine do not make it another model."""
        self._id = _kind(model, framework)
        try:
            (vector,) = self.embed([_PROBE])
        except EmbedderError as error:
            # Of an id that nobody else has, nothing wrong can come: its vectors are not found again, that is all.
            _log.warning("%s has no model name and embeds no probe (%s); give embedder_id=", self._id, error)
            return f"{self._id}/unit/{uuid.uuid4().hex}"
        digest = hashlib.blake2b(np.round(vector, 2).tobytes(), digest_size=6).hexdigest()
        return f"{self._id}/{len(vector)}/unit/{digest}"

    def _nothing(self) -> FloatArray:
        return np.empty((0, self._dimension or 0), np.float32)

    def _checked(self, raw: Any, count: int) -> FloatArray:
        vectors = unit_rows(raw, count=count, dimension=self._dimension, source=self._id)
        self._dimension = vectors.shape[1]
        return vectors

    def _failed(self, error: Exception) -> EmbedderError:
        # The class only: the message of a remote service may quote the text or the address it was sent to.
        return EmbedderError(f"{self._id} failed: {type(error).__name__}")


class LangChainEmbedder(_Bridge):
    """A LangChain `Embeddings` as an (async) embedder.

    Questions and stored questions are embedded alike, with `embed_documents`: a cache compares like with like.

    Args:
        embeddings: the LangChain object.
        embedder_id: instead of the one made of its module, class and model name (without a name: of the vector of a
            probe text, which is embedded once for it). Give one when two models of a name differ in something else.
        max_chars: longer texts are matched exactly only, because nothing tells how much of a text the model reads, and
            many read 256 or 512 tokens and silently drop the rest. Raise it for a model that reads more; None for no
            limit.
    """

    def __init__(
        self, embeddings: _LangChainEmbeddings, *, embedder_id: str | None = None, max_chars: int | None = 1000
    ) -> None:
        super().__init__(
            embeddings,
            "langchain",
            embed=embeddings.embed_documents,
            aembed=embeddings.aembed_documents,
            embedder_id=embedder_id,
            max_chars=max_chars,
        )


class LlamaIndexEmbedder(_Bridge):
    """A LlamaIndex `BaseEmbedding` as an (async) embedder.

    Questions and stored questions are embedded alike, as texts: a cache compares like with like.

    Args:
        embed_model: the LlamaIndex object.
        embedder_id: instead of the one made of its module, class and model name (without a name: of the vector of a
            probe text, which is embedded once for it). Give one when two models of a name differ in something else.
        max_chars: longer texts are matched exactly only, because nothing tells how much of a text the model reads, and
            many read 256 or 512 tokens and silently drop the rest. Raise it for a model that reads more; None for no
            limit.
    """

    def __init__(
        self, embed_model: _LlamaIndexEmbedding, *, embedder_id: str | None = None, max_chars: int | None = 1000
    ) -> None:
        super().__init__(
            embed_model,
            "llama_index",
            embed=embed_model.get_text_embedding_batch,
            aembed=embed_model.aget_text_embedding_batch,
            embedder_id=embedder_id,
            max_chars=max_chars,
        )


def as_embedder(candidate: Any) -> Embedder:
    """An embedder from what the user has: an `Embedder`, a LangChain `Embeddings` or a LlamaIndex `BaseEmbedding`.

    Raises:
        ConfigError: it is none of them; names its type.
    """
    if isinstance(candidate, type):  # a class has the attributes of its instances, and would pass for one
        raise ConfigError(f"embedder must be an object, not the class {candidate.__qualname__}: make one first")
    if isinstance(candidate, Embedder):
        return candidate
    # An object of a framework exists only where that framework is imported, so it need not be imported to ask.
    if _is_instance(candidate, "langchain_core.embeddings.embeddings", "Embeddings"):
        return LangChainEmbedder(candidate)
    if _is_instance(candidate, "llama_index.core.base.embeddings.base", "BaseEmbedding"):
        return LlamaIndexEmbedder(candidate)
    raise ConfigError(
        "embedder must be an Embedder (embedder_id, fits, embed), a LangChain Embeddings or a LlamaIndex "
        f"BaseEmbedding, not {type(candidate).__qualname__}"
    )


def _is_instance(candidate: object, module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(candidate, kind)


def _kind(model: object, framework: str) -> str:
    kind = type(model)
    return f"{framework}:{kind.__module__}.{kind.__qualname__}"


def _id_of(model: object, framework: str) -> str | None:
    """The id from what the object says of its model, or None when it does not name one."""
    name = _first(model, _MODEL_ATTRIBUTES, str)
    if not name or name == ["unknown"]:  # LlamaIndex' default
        return None
    return "/".join([_kind(model, framework), *name, *_first(model, _SIZE_ATTRIBUTES, int), "unit"])


def _first(model: object, names: Sequence[str], kind: type) -> list[str]:
    values = (getattr(model, name, None) for name in names)
    return next(([str(value)] for value in values if isinstance(value, kind) and value), [])
