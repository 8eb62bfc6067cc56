"""What the cache did: recorders of the engine's events. Can be removed without touching a lookup."""

from llmcache_plugins.telemetry.line_file import LineFile
from llmcache_plugins.telemetry.near_miss_log import NearMissLog
from llmcache_plugins.telemetry.regression_log import RegressionLog
from llmcache_plugins.telemetry.shared_counts import SharedStatistics
from llmcache_plugins.telemetry.statistics import Statistics

__all__ = ["LineFile", "NearMissLog", "RegressionLog", "SharedStatistics", "Statistics"]
