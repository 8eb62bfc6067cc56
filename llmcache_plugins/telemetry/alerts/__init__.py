"""Alerts: rules about what a cache has counted, what watches them, and where it tells. Removed, no lookup changes."""

from llmcache_plugins.telemetry.alerts.course import Alert
from llmcache_plugins.telemetry.alerts.files import write_files
from llmcache_plugins.telemetry.alerts.grafana import grafana_dashboard
from llmcache_plugins.telemetry.alerts.measures import MEASURES
from llmcache_plugins.telemetry.alerts.prometheus_rules import prometheus_rules
from llmcache_plugins.telemetry.alerts.rules import DEFAULT_RULES, AlertRule
from llmcache_plugins.telemetry.alerts.sinks import CallbackSink, LogSink, Sink
from llmcache_plugins.telemetry.alerts.watch import Alerts
from llmcache_plugins.telemetry.alerts.webhook import WebhookSink

__all__ = [
    "DEFAULT_RULES",
    "MEASURES",
    "Alert",
    "AlertRule",
    "Alerts",
    "CallbackSink",
    "LogSink",
    "Sink",
    "WebhookSink",
    "grafana_dashboard",
    "prometheus_rules",
    "write_files",
]
