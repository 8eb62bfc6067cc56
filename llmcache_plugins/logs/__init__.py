"""Before buying: what a log of model calls says of the cache it could have, and caches tried on it.

log = LogFile("calls.jsonl.gz")
profile = profile_of(log)
forecast = forecast_of(profile, expected_hit_rate(profile, OnnxEmbedder()))
print(forecast)
"""

from llmcache_plugins.logs.forecast import Advice, Forecast, Saving, Warmth, forecast_of
from llmcache_plugins.logs.meaning import HitRate, Replayed, expected_hit_rate, replayed_keys
from llmcache_plugins.logs.optimum import best_possible
from llmcache_plugins.logs.profile import CallCost, LogProfile, Period, profile_of
from llmcache_plugins.logs.reading import LogFile
from llmcache_plugins.logs.rows import LoggedCall
from llmcache_plugins.logs.simulate import EVICTIONS, Configuration, Simulated, configurations, simulate
from llmcache_plugins.logs.trace import Trace, trace_of

__all__ = [
    "EVICTIONS",
    "Advice",
    "CallCost",
    "Configuration",
    "Forecast",
    "HitRate",
    "LogFile",
    "LogProfile",
    "LoggedCall",
    "Period",
    "Replayed",
    "Saving",
    "Simulated",
    "Trace",
    "Warmth",
    "best_possible",
    "configurations",
    "expected_hit_rate",
    "forecast_of",
    "profile_of",
    "replayed_keys",
    "simulate",
    "trace_of",
]
