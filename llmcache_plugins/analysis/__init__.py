"""What a cache's counters and entries say about it, and what follows from that. Pure: `cache.analyze` reads them."""

from llmcache_plugins.analysis.advice import advise, judge
from llmcache_plugins.analysis.interval import errors_per_request, wilson
from llmcache_plugins.analysis.survey import Survey
from llmcache_plugins.analysis.values import Analysis, Efficiency, Group, Hotspot, Recommendation

__all__ = [
    "Analysis",
    "Efficiency",
    "Group",
    "Hotspot",
    "Recommendation",
    "Survey",
    "advise",
    "errors_per_request",
    "judge",
    "wilson",
]
