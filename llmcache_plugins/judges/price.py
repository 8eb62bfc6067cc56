"""What a judge's call costs. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from llmcache_plugins.errors import ConfigError

__all__ = ["Price"]

_MILLION = 1_000_000


class Price:
    """Money for a million tokens of input and of output.

    Tokens of a provider's prompt cache count as input: at most that is what they cost, or little more.

    Raises:
        ConfigError: it is not two numbers of at least 0.
    """

    def __init__(self, price: Sequence[float]) -> None:
        numbers = tuple(price) if isinstance(price, tuple | list) else ()
        if len(numbers) != 2 or not all(map(_is_amount, numbers)):
            raise ConfigError(f"price must be money for a million tokens of input and of output, not {price!r}")
        self._input, self._output = numbers

    def of(self, input_tokens: Any, output_tokens: Any) -> float | None:
        """What these tokens cost; None when they are no numbers.

        >>> Price((1.0, 5.0)).of(400, 8)
        0.00044
        """
        if not (_is_amount(input_tokens) and _is_amount(output_tokens)):
            return None
        return float((input_tokens * self._input + output_tokens * self._output) / _MILLION)


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
