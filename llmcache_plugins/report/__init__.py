"""What a cache has done, what that was worth, and how it compares with the last time. Pure: `cache.report` reads the
counts."""

from llmcache_plugins.report.ab_test import ABReport, ArmReport, Difference, ab_of
from llmcache_plugins.report.build import report_of
from llmcache_plugins.report.rollout import RolloutReport, Share, Side, rollout_of
from llmcache_plugins.report.sections import Section, sections_of
from llmcache_plugins.report.values import Alert, Change, FalseHits, Freshness, Group, Notice, Report, Timing, Trend

__all__ = [
    "ABReport",
    "Alert",
    "ArmReport",
    "Change",
    "Difference",
    "FalseHits",
    "Freshness",
    "Group",
    "Notice",
    "Report",
    "RolloutReport",
    "Section",
    "Share",
    "Side",
    "Timing",
    "Trend",
    "ab_of",
    "report_of",
    "rollout_of",
    "sections_of",
]
