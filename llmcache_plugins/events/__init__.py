"""Events from outside the process: rules in a file, and a receiver of webhooks."""

from llmcache_plugins.events.rule_file import load_event_rules
from llmcache_plugins.events.webhook import EventReceiver

__all__ = ["EventReceiver", "load_event_rules"]
