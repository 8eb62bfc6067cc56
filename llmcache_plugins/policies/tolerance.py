"""Parameters that need not be equal, only near: they leave the scope and are compared with what is stored. Pure.

Being near is not transitive (0.1 is near 0.3 and that near 0.5), so no digest can say it: the parameters of the request
are compared with those of each entry that may answer it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.types import Entry, JsonValue, Request

__all__ = ["TOLERABLE", "Tolerance"]

TOLERABLE: tuple[str, ...] = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "max_tokens")

# How the providers spell the limit of an answer's length.
_LIMITS = frozenset({"max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens", "num_predict"})
# Why an answer ended, where it was not cut off; compared in lower case. What is not here, None too, may have been.
_ENDED = frozenset(
    {"stop", "end_turn", "stop_sequence", "eos", "eos_token", "complete", "completed", "finished", "tool_use"}
    | {"tool_calls", "function_call"}
)
_ROUNDING = 1e-9  # 0.5 - 0.3 is a little more than 0.2


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far from each other two parameters may be.

    Args:
        widths: by name (one of `TOLERABLE`): the largest difference, for `max_tokens` as a share of what is asked for;
            that name stands for all spellings of the limit. Nothing is tolerated when it is empty.

    Raises:
        ConfigError: a name is not one of these, or a width is no number above 0 (for `max_tokens` below 1).
    """

    widths: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not isinstance(self.widths, Mapping):
            raise ConfigError(f"tolerance must map names of parameters to numbers, not be {self.widths!r}")
        for name, width in self.widths.items():
            if name not in TOLERABLE:
                raise ConfigError(f"tolerance knows {', '.join(TOLERABLE)}, not {name!r}")
            if not _is_number(width) or width <= 0 or (name == "max_tokens" and width >= 1):
                rule = "a share above 0 and below 1" if name == "max_tokens" else "a number above 0"
                raise ConfigError(f"tolerance[{name!r}] must be {rule}, not {width!r}")

    def split(self, params: Mapping[str, JsonValue]) -> tuple[Mapping[str, JsonValue], dict[str, JsonValue]]:
        """The parameters that have to be equal, and those that only have to be near. What is no number (a limit by
        name, say) has to be equal."""
        if not self.widths:
            return params, {}
        near = {name: value for name, value in params.items() if self._width(name) is not None and _is_number(value)}
        return {name: value for name, value in params.items() if name not in near}, near

    def tolerates(self, request: Request, entry: Entry) -> bool:
        """May this entry, of the request's scope, answer the request as far as its parameters go?

        A stored answer under another limit of tokens must be one that the asked limit would have left as it is: it
        ended by itself, and is known to be no longer than that.
        """
        asked, stored = self.split(request.params)[1], entry.tolerant
        if asked == stored:
            return True
        if asked.keys() != stored.keys():
            return False  # a parameter left out is the provider's default, whatever that is
        for name, value in asked.items():
            if value == stored[name]:
                continue
            width, is_limit = self._width(name), name in _LIMITS
            if width is None or not _is_number(stored[name]):
                return False
            if abs(value - stored[name]) > (width * value if is_limit else width) + _ROUNDING:
                return False
            if is_limit and not _would_have_fitted(entry, value):
                return False
        return True

    def _width(self, name: str) -> float | None:
        return self.widths.get("max_tokens" if name in _LIMITS else name)


def _would_have_fitted(entry: Entry, limit: float) -> bool:
    return (entry.finish_reason or "").strip().lower() in _ENDED and 0 < entry.usage.output_tokens <= limit


def _is_number(value: JsonValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
