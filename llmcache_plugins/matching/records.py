"""Whether a question asks for records of some data ("list all courses without a lab") or for knowledge. Pure.

Exact queries are the hardest traffic of a cache: there each ordinary word may change the answer. That a question is one
shows in small things: "all", "which", "number of", "each", "with the most". `training/fit_records.py` weighs them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import NamedTuple

__all__ = ["asks_records", "signs_of"]

_LEAST, _MOST = -8.0, 4.0  # log odds beyond which nothing more is said


class _Weights(NamedTuple):
    bias: float
    of: Mapping[str, float]


def asks_records(stems: Sequence[str]) -> float:
    """Log odds that a question asks for records, in [-8, 4]; 0 is as likely as not.

    Args:
        stems: of its words, in order.
    """
    weights = _weights()
    # Exactly rounded: a plain sum would depend on the order of the set, which differs from process to process.
    found = math.fsum([weights.bias, *[weights.of[sign] for sign in signs_of(stems) if sign in weights.of]])
    return max(_LEAST, min(_MOST, found))


def signs_of(stems: Sequence[str]) -> frozenset[str]:
    """What the weights are for: words, neighbouring words ("number of") and the first word ("^list"). Each number is
    "0"."""
    words = [_sign(stem) for stem in stems]
    first = [f"^{words[0]}"] if words else []
    return frozenset([*words, *first, *[f"{one} {other}" for one, other in pairwise(words)]])


def _sign(stem: str) -> str:
    return "0" if any(map(str.isdigit, stem)) else stem


@lru_cache(maxsize=1)
def _weights() -> _Weights:
    file = resources.files("llmcache_plugins.matching") / "calibrations" / "records.json"
    content = json.loads(file.read_text("utf-8"))
    return _Weights(float(content["bias"]), {str(sign): float(weight) for sign, weight in content["weights"].items()})
