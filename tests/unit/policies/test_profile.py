"""What the default profiler makes of questions: how long they stay true, and what they name."""

from __future__ import annotations

from typing import Any

import pytest

from llmcache_plugins import ConfigError, Request
from llmcache_plugins.matching.query_types import query_type_of
from llmcache_plugins.policies.profile import RuleProfiler

VOLATILITIES = {
    "static": (
        "What is OSPF?",
        "what's a VLAN",
        "Define latency",
        "Explain how spanning tree works",
        "Explain load balancing",
        "What is a CPU?",
        "What is virtual memory?",
        "What is alternating current?",
        "What is real-time processing?",
        "What is the capital of France?",
        "What is the boiling point of water?",
        "What is the difference between OSPF and EIGRP?",
        "Compare TCP and UDP",
        "Is Python faster than Java?",
        "How do I bake sourdough bread?",
        "How can I see live traffic on an interface?",
        "How do I configure OSPF on a Cisco router?",
        "How many seconds are in a day?",
        "What is 15 * 23?",
        "Calculate the wildcard mask of 255.255.240.0",
    ),
    "stable": (
        "How do I configure OSPF on rtr-001?",
        "Show the running config of rtr-001",
        "What is the difference between Gi0/0 and Gi0/1 on sw-02?",
        "Define site-ny",
    ),
    "dynamic": (
        "Show BGP status",
        "What is the uptime of rtr-001?",
        "Is Gi0/1 up?",
        "Which interfaces are down?",
        "What is running on port 8080?",
        "Are there any alarms?",
        "why is Gi0/1 flapping",
        "My printer is not working",
        "Why is my VPN slow?",
        "What happened to bgp on rtr-009?",
        "Which neighbors does rtr-001 have?",
        "List the VLANs on sw-02",
        "Show topology of site NY1",
        "What is the current version of Python?",
        "What is the latest iOS release?",
        "How many tickets are open today?",
        "What's the weather in Berlin?",
        "Tell me the news",
        "What changed yesterday?",
        "Is the museum open now?",
        "Who is currently on call?",
        "Wer ist heute im Dienst?",
        "¿Cuál es la temperatura actual?",
        "現在の状態は?",
    ),
    "volatile": (
        "What is the CPU load of rtr-001?",
        "Show interface counters on sw-02",
        "What is the memory utilization of core-sw-01?",
        "Show live traffic stats",
        "latency from rtr-001 to rtr-002",
        "Is the VPN up right now?",
        "What time is it in Tokyo?",
        "What is the price of bitcoin?",
        "What is the exchange rate of USD to EUR?",
        "Which route is used at the moment?",
    ),
    "": (
        "Sing a song",
        "Summarize the plot of Hamlet",
        "Who is the president of France?",
        "What is my account balance?",
        "What's your favorite drink?",
        "What is the best phone?",
        "What is the price of a pizza?",
        "What is the MTU of the WAN link?",
        "What is the uptime of mx-240-1?",
        "What is the default gateway of nyc_r1?",
        "What is happening here?",
        "What is connected to the core switch?",
        "Show the running config",
        "What causes a BGP session to flap?",
        "How do I reset my password?",
        "How do I lower CPU usage on a router?",
        "List all customers in Berlin",
        "Who won the world cup in 2022?",
        "Was ist OSPF?",
    ),
}
TABLE = [(question, volatility) for volatility, questions in VOLATILITIES.items() for question in questions]


@pytest.fixture(scope="module")
def profiler() -> RuleProfiler:
    return RuleProfiler(query_type_of, {"ticket": r"INC\d+", "vrf": r"\bvrf (\w+)"})


@pytest.mark.parametrize(("question", "volatility"), TABLE)
def test_volatility(profiler: RuleProfiler, question: str, volatility: str) -> None:
    assert profiler(Request(question)).volatility == volatility


@pytest.mark.parametrize(
    ("question", "tags"),
    [
        ("Is GigabitEthernet0/1 of RTR-001 up?", {"device:rtr-001", "interface:gi0/1"}),
        ("Gi 0/1 and gi0/1 and Gig0/1", {"interface:gi0/1"}),
        ("Te1/1/1, xe-0/0/0, Po10, Vlan20, lo0, eth0.100", {
            "interface:te1/1/1", "interface:xe-0/0/0", "interface:po10", "interface:vlan20", "interface:lo0",
            "interface:eth0.100",
        }),
        ("ping core-sw-01 from ny1fw3.example.net", {
            "device:core-sw-01", "device:ny1fw3.example.net", "device:ny1fw3",
        }),
        ("Is rtr\u2011001 up, and core\u2013sw\u201301?", {"device:rtr-001", "device:core-sw-01"}),
        ("Show topology of site NY1 and site-berlin and dc-2", {"site:ny1", "site:site-berlin", "site:dc-2"}),
        ("INC12345 is like INC12345 in vrf Blue", {"ticket:INC12345", "vrf:Blue"}),
        ("What is vlan 10?", set()),
        ("Is covid-19 like gpt-4, utf-8, pop3 or a core-i7?", set()),
        ("Is the site down?", set()),
        ("go to port 80, it is te 1", set()),
    ],
)  # fmt: skip
def test_named_things_become_tags(profiler: RuleProfiler, question: str, tags: set[str]) -> None:
    kinds = ("device:", "site:", "interface:", "ticket:", "vrf:")
    found = [tag for tag in profiler(Request(question)).tags if tag.startswith(kinds)]
    assert set(found) == tags
    assert len(found) == len(tags)


def test_what_a_pattern_names_is_as_volatile_as_a_device(profiler: RuleProfiler) -> None:
    assert profiler(Request("What is the uptime of INC42?")).volatility == "dynamic"
    found = RuleProfiler(query_type_of, {"device": r"(?i)\bmx-[\w-]+"})(Request("Which neighbours does MX-240-1 have?"))
    assert set(found.tags) == {"device:MX-240-1", "topic:neighbours", "level:device"}


def test_topics_are_tags_too(profiler: RuleProfiler) -> None:
    assert "topic:interfaces" in profiler(Request("Is Gi0/0 of rtr-001 up?")).tags


FOLLOW_UP = [
    {"role": "system", "content": "The routers are rtr-001 and rtr-002."},
    {"role": "user", "content": "Show the interfaces of rtr-001, INC77"},
    {
        "role": "assistant",
        "content": [{"type": "text", "text": "Gi0/0 is up."}],
        "tool_calls": [{"args": {"on": "sw-3"}}],
    },
]


@pytest.mark.parametrize("context", [FOLLOW_UP, {"operation": "chat", "history": FOLLOW_UP}, {"messages": FOLLOW_UP}])
def test_what_earlier_turns_name_a_follow_up_is_about(profiler: RuleProfiler, context: Any) -> None:
    profile = profiler(Request("Show its config", context=context))
    assert {"device:rtr-001", "device:sw-3", "interface:gi0/0", "ticket:INC77"} <= set(profile.tags)
    assert {"topic:configuration", "topic:interfaces"} <= set(profile.tags)
    assert profile.volatility == "stable"  # like "Show the config of rtr-001"
    assert profiler(Request("Is it up?", context=context)).volatility == "dynamic"


def test_a_system_prompt_and_documents_name_nothing(profiler: RuleProfiler) -> None:
    """An inventory in them would make every answer one about every device."""
    turn = {"role": "user", "content": [{"type": "text", "text": ["Context: rtr-003 is down.", ""]}]}
    context = {"operation": "chat", "history": FOLLOW_UP[:1], "turn": turn}
    assert profiler(Request("What is OSPF?", context=context)) == profiler(Request("What is OSPF?"))


def test_a_question_without_history_is_profiled_by_its_text_alone(profiler: RuleProfiler) -> None:
    question = "What is the CPU load of rtr-001?"
    assert profiler(Request(question)) == profiler(Request(question, model="m", namespace=("a",)))
    assert profiler(Request(question)).query_type == "status"


@pytest.mark.parametrize(
    "text",
    ["rtr-001 is slow. " + "x " * 5000 + "Why?", "log " * 100_000 + "What is the CPU load of rtr-001 right now?"],
)
def test_long_texts_are_searched_at_both_ends(profiler: RuleProfiler, text: str) -> None:
    profile = profiler(Request(text))
    assert "device:rtr-001" in profile.tags
    assert profile.volatility in ("dynamic", "volatile")


@pytest.mark.parametrize("patterns", [{"a": "("}, {"": "x"}, {"a": "x*"}, {"a": 3}, ["a"]])
def test_patterns_that_are_none_are_refused(patterns: Any) -> None:
    with pytest.raises(ConfigError, match="tag_patterns"):
        RuleProfiler(query_type_of, patterns)
