"""Where alerts go within the process: to the log, or to a function."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Protocol

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.telemetry.alerts.course import Alert

__all__ = ["CallbackSink", "LogSink", "Sink"]


class Sink(Protocol):
    """Is told of each alert once when it fires and once when it clears, in the thread that checks the rules. What it
    raises is counted, and costs nobody else anything."""

    def __call__(self, alert: Alert) -> None: ...

    def close(self) -> None:
        """Finish what is under way. A second call does nothing."""
        ...


class LogSink:
    """One line in the log: ERROR for what is urgent, WARNING for what is not, INFO when it clears. The record has the
    fields `alert`, `level_of_alert`, `state` and `value`.

    Args:
        logger: None for the package's own, `llmcache_plugins.alerts`.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        if logger is not None and not isinstance(logger, logging.Logger):
            raise ConfigError(f"logger must be a logging.Logger or None, not {type(logger).__name__}")
        self._log = logger or logging.getLogger("llmcache_plugins.alerts")

    def __call__(self, alert: Alert) -> None:
        level = logging.ERROR if alert.rule.level == "urgent" else logging.WARNING
        self._log.log(
            level if alert.state == "firing" else logging.INFO,
            "%s",
            alert.text,
            extra={
                "alert": alert.rule.name,
                "level_of_alert": alert.rule.level,
                "state": alert.state,
                "value": alert.value,
            },
        )

    def close(self) -> None:
        return None

    def __repr__(self) -> str:
        return f"LogSink({self._log.name!r})"


class CallbackSink:
    """Any function of one alert. It is called in the thread that checks the rules, so a slow one delays the next check
    and nothing else.

    Raises:
        ConfigError: it cannot be called, or is a coroutine function: there is no event loop in that thread.
    """

    def __init__(self, callback: Callable[[Alert], object]) -> None:
        if not callable(callback):
            raise ConfigError(f"callback must be a function of one alert, not {type(callback).__name__}")
        if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(getattr(callback, "__call__", None)):  # noqa: B004  # a partial or an object
            raise ConfigError(
                "callback must be a plain function: no event loop runs where it is called; "
                "use asyncio.run_coroutine_threadsafe in it"
            )
        self._callback = callback

    def __call__(self, alert: Alert) -> None:
        self._callback(alert)

    def close(self) -> None:
        return None
