"""What the cache did: recorders of the engine's events. Can be removed without touching a lookup."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from llmcache_plugins.telemetry.line_file import LineFile
from llmcache_plugins.telemetry.near_miss_log import NearMissLog
from llmcache_plugins.telemetry.regression_log import RegressionLog
from llmcache_plugins.telemetry.shared_counts import SharedStatistics
from llmcache_plugins.telemetry.statistics import Statistics

if TYPE_CHECKING:
    from llmcache_plugins.telemetry.prometheus import PrometheusCollector

__all__ = [
    "LineFile",
    "NearMissLog",
    "PrometheusCollector",
    "RegressionLog",
    "SharedStatistics",
    "Statistics",
]

_LAZY = {"PrometheusCollector": "prometheus"}  # they need an optional package


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
