"""Made-up embeddings: the same text has the same vector, and texts that share words are close."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from typing import Any

from llmcache_plugins.testing.fake_model import count_tokens
from llmcache_plugins.testing.fake_openai.wire import APIError, Json

__all__ = ["embeddings"]

_DIMENSIONS = {"text-embedding-3-large": 3072}
_DEFAULT_DIMENSIONS = 1536
_WORD = re.compile(r"\w+")


def embeddings(body: Json) -> Json:
    """The answer to a request for embeddings.

    Raises:
        APIError: status 400, no model or no input.
    """
    if not isinstance(body.get("model"), str):
        raise APIError(400, "you must provide a model parameter")
    texts = _texts(body.get("input"))
    dimensions = body.get("dimensions") or _DIMENSIONS.get(body["model"], _DEFAULT_DIMENSIONS)
    is_packed = body.get("encoding_format") == "base64"
    vectors = [_vector(text, dimensions) for text in texts]
    tokens = sum(count_tokens(text) for text in texts)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if is_packed else vector}
            for index, vector in enumerate(vectors)
        ],
        "model": body["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _texts(value: Any) -> list[str]:
    """The texts of `input`: one, several, or lists of token numbers, each number taken for a word."""
    is_one = isinstance(value, str) or (isinstance(value, list) and all(isinstance(token, int) for token in value))
    if is_one:
        value = [value]
    if not isinstance(value, list) or not value or not all(value):
        raise APIError(400, "'$.input' is invalid. Please check the API reference.", param="input")
    return [text if isinstance(text, str) else " ".join(str(token) for token in text) for text in value]


def _vector(text: str, dimensions: int) -> list[float]:
    """The sum of one direction for each word, of length 1."""
    words = _WORD.findall(text.lower()) or [text]
    total = [0] * dimensions
    for word in words:
        bits = int.from_bytes(hashlib.shake_128(word.encode()).digest(dimensions // 8 + 1), "little")
        for position in range(dimensions):
            total[position] += 1 if bits >> position & 1 else -1
    length = math.sqrt(sum(value * value for value in total)) or 1.0
    return [value / length for value in total]


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
