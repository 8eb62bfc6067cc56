"""Which questions to ask before users do, in which order, how fast and up to which cost. Pure: `cache.warm` asks them.

questions = top_questions(read_log("questions.jsonl"), 100) + from_topology(["show interfaces on {device}"], inventory)
report = cache.warm(questions, generate, rate=2, budget=500)
"""

from llmcache_plugins.warming.events import DEFAULT_EVENT_QUESTIONS, from_event
from llmcache_plugins.warming.logs import LogRow, predictive, read_log, top_questions
from llmcache_plugins.warming.models import WarmModel, completions
from llmcache_plugins.warming.plan import Budget, Plan
from llmcache_plugins.warming.report import Expiring, WarmProgress, WarmReport
from llmcache_plugins.warming.schedule import Schedule
from llmcache_plugins.warming.topology import after_discovery, from_topology
from llmcache_plugins.warming.wanted import Wanted

__all__ = [
    "DEFAULT_EVENT_QUESTIONS",
    "Budget",
    "Expiring",
    "LogRow",
    "Plan",
    "Schedule",
    "Wanted",
    "WarmModel",
    "WarmProgress",
    "WarmReport",
    "after_discovery",
    "completions",
    "from_event",
    "from_topology",
    "predictive",
    "read_log",
    "top_questions",
]
