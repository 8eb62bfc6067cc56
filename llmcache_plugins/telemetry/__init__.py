"""What the cache did: recorders of the engine's events. Can be removed without touching a lookup."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmcache_plugins.telemetry.event_log import EventLog
from llmcache_plugins.telemetry.line_file import LineFile
from llmcache_plugins.telemetry.logs import LogRecorder
from llmcache_plugins.telemetry.near_miss_log import NearMissLog
from llmcache_plugins.telemetry.percentiles import Percentiles, percentiles_of
from llmcache_plugins.telemetry.regression_log import RegressionLog
from llmcache_plugins.telemetry.shared_counts import SharedStatistics
from llmcache_plugins.telemetry.statistics import Statistics

if TYPE_CHECKING:
    from llmcache_plugins.telemetry.opentelemetry import OpenTelemetryRecorder, observe_cache
    from llmcache_plugins.telemetry.prometheus import PrometheusCollector
    from llmcache_plugins.telemetry.sketch import LatencyRecorder

__all__ = [
    "EventLog",
    "LatencyRecorder",
    "LineFile",
    "LogRecorder",
    "NearMissLog",
    "OpenTelemetryRecorder",
    "Percentiles",
    "PrometheusCollector",
    "RegressionLog",
    "SharedStatistics",
    "Statistics",
    "observe_cache",
    "percentiles_of",
]

_LAZY = {  # they need an optional package
    "LatencyRecorder": "sketch",
    "OpenTelemetryRecorder": "opentelemetry",
    "PrometheusCollector": "prometheus",
    "observe_cache": "opentelemetry",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
