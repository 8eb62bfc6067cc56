"""Events as structured log records: one line each, and their fields for whoever formats them as JSON."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.recorded import Event, LookupEvent
from llmcache_plugins.telemetry.fields import NAMES, fields_of, name_of
from llmcache_plugins.types import Hit, JsonValue, Miss

__all__ = ["LogRecorder"]

_LEVELS = dict.fromkeys(NAMES, logging.DEBUG) | {
    "invalidation": logging.INFO,
    "report": logging.INFO,
    "stage": logging.INFO,
    "error": logging.WARNING,
    "pressure": logging.WARNING,
    "server_pressure": logging.WARNING,
    "evictions": logging.WARNING,
}
_OUTCOMES = ("hit", "miss", "bypass")
_PLAIN = re.compile(r"[\w.:/+-]+", re.ASCII)


class LogRecorder:
    """A recorder that writes a log record for each event; a lookup is one line at DEBUG.

    The message is `lookup outcome=hit kind=exact ...`; the fields stand in the record's attribute `llmcache`, too. A
    handler of `logging` works in the thread of the lookup: give a slow one to a `logging.handlers.QueueHandler`.

    Args:
        logger: whose; by default `llmcache_plugins.events`.
        levels: of some events by name (`lookup`, `update`, `error`, `invalidation`, ...) in place of the usual ones;
            `hit`, `miss` and `bypass` are lookups, too. By default WARNING for `error`, `pressure`, `server_pressure`
            and `evictions`, INFO for `invalidation`, `report` and `stage`, DEBUG for all others.

    Raises:
        ConfigError: an event that does not exist, or a level that is no number.
    """

    def __init__(self, logger: logging.Logger | None = None, *, levels: Mapping[str, int] | None = None) -> None:
        given = dict(levels or {})
        if unknown := sorted(set(given) - {*NAMES, *_OUTCOMES}):
            raise ConfigError(
                f"levels names no event {', '.join(unknown)}; known are {', '.join((*NAMES, *_OUTCOMES))}"
            )
        for name, level in given.items():
            if not isinstance(level, int) or isinstance(level, bool):
                raise ConfigError(
                    f"levels: the level of {name} must be a number, logging.INFO for example, not {level!r}"
                )
        self._levels = {**_LEVELS, **given}
        self._levels = {**dict.fromkeys(_OUTCOMES, self._levels["lookup"]), **self._levels}
        self._logger = logging.getLogger("llmcache_plugins.events") if logger is None else logger

    def __call__(self, event: Event) -> None:
        level = self._levels[_outcome_of(event) if isinstance(event, LookupEvent) else name_of(event)]
        if self._logger.isEnabledFor(level):  # the rest is not worked out for nobody
            fields = fields_of(event)
            self._logger.log(level, "%s", _Line(fields), extra={"llmcache": fields})


def _outcome_of(event: LookupEvent) -> str:
    return "hit" if isinstance(event.outcome, Hit) else "miss" if isinstance(event.outcome, Miss) else "bypass"


class _Line:
    """Becomes a text when a handler wants one."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[str, JsonValue]) -> None:
        self._fields = fields

    def __str__(self) -> str:
        told = [f"{name}={_told(value)}" for name, value in self._fields.items() if name != "event" and _says(value)]
        return " ".join([str(self._fields["event"]), *told])


def _says(value: JsonValue) -> bool:
    return value is not None and value != "" and value != []


def _told(value: JsonValue) -> str:
    """Quoted where a name of the user's could otherwise make a line of its own."""
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else json.dumps(value)
    if isinstance(value, list):
        return ",".join(map(_told, value))
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value)
