"""Questions that an event is about to raise: a BGP neighbour goes down, and somebody will ask why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.warming.topology import fields_of, from_topology
from llmcache_plugins.warming.wanted import Wanted

__all__ = ["DEFAULT_EVENT_QUESTIONS", "from_event"]

DEFAULT_EVENT_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "bgp_neighbor_down": (
        "Why is BGP neighbor {neighbor} down on {device}?",
        "Show the BGP status on {device}",
        "Which prefixes are lost without BGP neighbor {neighbor}?",
        "How do I troubleshoot a BGP neighbor that is down?",
    ),
    "interface_flapping": (
        "Why is interface {interface} on {device} flapping?",
        "Show the errors on interface {interface} of {device}",
        "How do I troubleshoot a flapping interface?",
    ),
    "high_cpu": (
        "Why is the CPU of {device} high?",
        "Which processes use most CPU on {device}?",
        "How do I troubleshoot high CPU on a router?",
    ),
}
"""A start: write down what your own users ask, in their words."""


def from_event(
    event: str,
    attributes: Mapping[str, str],
    questions: Mapping[str, Sequence[str]] = DEFAULT_EVENT_QUESTIONS,
    *,
    priority: float = 1.0,
) -> list[Wanted]:
    """The questions of an event about the things it names; none when the event raises no questions.

    Templates whose placeholders the event does not fill are left out: not every event names an interface.

    Args:
        attributes: what the event is about, `{"device": "rtr-001", "neighbor": "10.0.0.2"}` for example.
        questions: templates by event.

    Raises:
        ConfigError: a template is malformed, or an attribute is not a string.
    """
    for name, value in attributes.items():
        if not isinstance(value, str) or not value:
            raise ConfigError(f"the attribute {name!r} of an event must be a non-empty string, not {value!r}")
    known = [template for template in questions.get(event, ()) if set(fields_of(template)) <= set(attributes)]
    wanted = from_topology(known, {name: [value] for name, value in attributes.items()}, priority=priority)
    return [Wanted(one.request, one.priority, f"event {event}") for one in wanted]
