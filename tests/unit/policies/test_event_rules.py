"""What an event makes wrong, by the default rules and by a user's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from llmcache_plugins.errors import ConfigError
from llmcache_plugins.matching.query_types import query_type_of
from llmcache_plugins.policies.event_rules import EventRule, EventRules, event_rules_from, literal
from llmcache_plugins.policies.profile import RuleProfiler
from llmcache_plugins.selection import Selector, tag_pattern
from llmcache_plugins.types import Entry, Profile, Request

PROFILER = RuleProfiler(query_type_of)


def entry(text: str = "", *tags: str, query_type: str | None = None) -> Entry:
    """An entry as the default profiler tags it, or with the tags alone that are given."""
    profile = Profile(query_type or "general", "", tags) if tags or query_type else PROFILER(Request(text))
    return Entry("s", "k", "n", (), text, "{}", 0.0, None, profile=profile)


def is_wrong(what: Entry, event: str, **attributes: Any) -> bool:
    selectors = [one for _, _, some in EventRules().plan(event, attributes) for one in some]
    return any(selector.matches(what) for selector in selectors)


@pytest.mark.parametrize(
    ("event", "attributes", "question", "expected"),
    [
        ("config_change", {"device": "rtr-001"}, "Show config for rtr-001", True),
        ("config_change", {"device": "rtr-001"}, "show running-config of rtr-001", True),
        ("config_change", {"device": "rtr-001"}, "What BGP neighbors are configured on rtr-001?", True),
        ("config_change", {"device": "RTR-001"}, "Which VLANs are configured on rtr-001?", True),
        ("config_change", {"device": "rtr-001"}, "Show config for rtr-002", False),
        ("config_change", {"device": "rtr-00"}, "Show config for rtr-001", False),
        ("config_change", {"device": "rtr-001"}, "What is the uptime of rtr-001?", False),
        ("config_change", {"device": "rtr-001"}, "How do I configure OSPF?", False),
        ("device_reboot", {"device": "rtr-001"}, "What is the uptime of rtr-001?", True),
        ("device_reboot", {"device": "rtr-001"}, "Show config for rtr-001", True),
        ("device_reboot", {"device": "rtr-001"}, "What is the uptime of rtr-002?", False),
        ("device_reboot", {"device": ["rtr-002", "rtr-003"]}, "What is the uptime of rtr-002?", True),
        ("device_reboot", {"device": "rtr-001.example.net"}, "What is the uptime of rtr-001?", True),
        ("device_reboot", {"device": "rtr-001"}, "What is the uptime of RTR-001.example.net?", True),
        ("device_reboot", {"device": "rtr-001"}, "Is rtr\u2011001 up?", True),
        ("config_change", {"device": "rtr-001"}, "What does access-list 10 of rtr-001 contain?", True),
        ("interface_state", {"device": "rtr-001"}, "Which interfaces of rtr-001 are down?", True),
        ("interface_state", {"device": "rtr-001"}, "Is Gi0/0 of rtr-001 up?", True),
        ("interface_state", {"device": "rtr-001"}, "Show config for rtr-001", False),
        ("interface_state", {"device": "rtr-001"}, "Is Gi0/0 of rtr-002 up?", False),
        ("interface_state", {"device": "rtr-001", "interface": "Gi0/0"}, "Is Gi0/0 of rtr-001 up?", True),
        ("interface_state", {"device": "rtr-001", "interface": "GigabitEthernet0/0"}, "Is gi0/0 of rtr-001 up?", True),
        ("interface_state", {"device": "rtr-001", "interface": "Gi0/0"}, "Is Gi0/1 of rtr-001 up?", False),
        ("interface_state", {"device": "rtr-001", "interface": "Gi0/0"}, "Which ports of rtr-001 are down?", True),
        ("topology_change", {}, "Show network topology overview", True),
        ("topology_change", {}, "List all BGP peers", True),
        ("topology_change", {}, "Display core router connections", True),
        ("topology_change", {}, "Which neighbors does rtr-001 have?", False),
        ("topology_change", {}, "What is the uptime of rtr-001?", False),
        ("topology_change", {}, "Draw the topology of site ny1", True),
        ("topology_change", {"site": "ny1"}, "Draw the topology of site ny1", True),
        ("topology_change", {"site": "sf2"}, "Draw the topology of site ny1", False),
        ("topology_change", {"site": "sf2"}, "Show network topology overview", True),
    ],
)
def test_default_rule(event: str, attributes: dict[str, Any], question: str, expected: bool) -> None:
    assert is_wrong(entry(question), event, **attributes) is expected, entry(question).profile


@pytest.mark.parametrize("event", ["config_change", "device_reboot"])
def test_a_follow_up_is_about_the_device_that_was_named_before(event: str) -> None:
    history = [{"role": "user", "content": "Where is rtr-001?"}, {"role": "assistant", "content": "In NY."}]
    asked = Request("Show its config", context={"history": history})
    follow_up = replace(entry(""), profile=PROFILER(asked))
    assert is_wrong(follow_up, event, device="rtr-001")
    assert not is_wrong(follow_up, event, device="rtr-002")


@pytest.mark.parametrize(
    "device", ["*", "rtr-*", "rtr-00?", "rtr-00[12]", "[!x]*", "rtr-001|rtr-002", ".*", "rtr-001\n"]
)
def test_what_an_event_says_is_taken_literally(device: str) -> None:
    expected = device.strip() == "rtr-001"
    assert is_wrong(entry("Show config for rtr-001"), "device_reboot", device=device) is expected
    assert is_wrong(entry("", f"device:{device.strip()}"), "device_reboot", device=device)


@pytest.mark.parametrize("value", ["a*b?[c]", "ÄÖß", "[", "]", "[]", "a]b[", "!^-\\", "İ"])
def test_a_literal_fits_itself_alone(value: str) -> None:
    pattern = tag_pattern(literal(value))
    assert pattern.fullmatch(value)
    assert not pattern.fullmatch(value + "x")
    assert not pattern.fullmatch("x" + value)


def test_a_template_may_have_wildcards_of_its_own() -> None:
    rule = EventRule(event="moved", tag_patterns=("rack:{rack}:*",))
    (selector,) = rule.selectors({"rack": "r*"})
    assert selector.matches(entry("", "rack:r*:slot-1"))
    assert not selector.matches(entry("", "rack:r1:slot-1"))


def test_all_that_a_rule_gives_must_hold() -> None:
    rule = EventRule(event="e", tags=("a", "b:{x}"), query_types=("status",))
    (selector,) = rule.selectors({"x": 7})
    assert selector.matches(entry("", "a", "b:7", query_type="status"))
    assert not selector.matches(entry("", "a", "b:7", query_type="listing"))
    assert not selector.matches(entry("", "b:7", query_type="status"))


def test_own_rules_take_the_place_of_the_defaults_of_that_event_alone() -> None:
    rules = EventRules(
        [EventRule(event="device_reboot", tags=("uptime:{device}",)), EventRule(event="mine", tags=("t",))]
    )
    (plan,) = rules.plan("device_reboot", {"device": "a"})
    assert plan == ("now", 10.0, [Selector(tag_patterns=("uptime:[aA]",))])
    assert {"config_change", "device_reboot", "mine"} <= set(rules.events)


def test_modes_of_rules_are_kept_apart() -> None:
    rules = EventRules([EventRule(event="e", tags=("a",)), EventRule(event="e", tags=("b",), mode="lazy")])
    assert [(mode, len(selectors)) for mode, _, selectors in rules.plan("e", {})] == [("now", 1), ("lazy", 1)]


@pytest.mark.parametrize(
    ("event", "attributes", "says"),
    [
        ("device_rebot", {"device": "a"}, "no rule for event 'device_rebot'; known are"),
        ("device_reboot", {}, "device"),
        ("device_reboot", {"devise": "a"}, "device"),
        ("device_reboot", {"device": ""}, "from 1 to 256"),
        ("device_reboot", {"device": []}, "must have a value"),
        ("device_reboot", {"device": None}, "must be text"),
        ("device_reboot", {"device": True}, "must be text"),
        ("device_reboot", {"device": "a" * 257}, "from 1 to 256"),
        ("device_reboot", {"device": [str(n) for n in range(1001)]}, "more than 1000"),
    ],
)
def test_an_event_that_selects_nothing_is_refused(event: str, attributes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        EventRules().plan(event, attributes)


@pytest.mark.parametrize(
    "fields",
    [
        {"event": ""},
        {"event": "e"},
        {"event": "e", "tags": "a{"},
        {"event": "e", "tags": "a{x.y}"},
        {"event": "e", "tags": "a{x!r}"},
        {"event": "e", "tags": "a{}"},
        {"event": "e", "tags": "a", "mode": "later"},
        {"event": "e", "tags": "a", "rate": 0},
        {"event": "e", "tags": "a", "rate": "fast"},
        {"event": "e", "tags": 3},
        {"event": "e", "tags": ("a", "")},
    ],
)
def test_a_rule_that_cannot_work_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        EventRule(**fields)


def test_tables_become_rules_and_unknown_fields_are_named() -> None:
    (rule,) = event_rules_from([{"event": "e", "tags": ["a:{x}"], "query_types": ["status"], "mode": "lazy"}])
    assert rule == EventRule(event="e", tags=("a:{x}",), query_types=("status",), mode="lazy")
    with pytest.raises(ConfigError, match="rule 2 has no field tag;"):
        event_rules_from([{"event": "e", "tags": "a"}, {"event": "e", "tag": "a"}])
    with pytest.raises(ConfigError, match="rule 1 lacks the field event"):
        event_rules_from([{"tags": "a"}])
    with pytest.raises(ConfigError, match="list of tables"):
        event_rules_from({"event": "e"})
