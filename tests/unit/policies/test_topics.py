"""Topics of network questions: what events find answers by."""

from __future__ import annotations

import pytest

from llmcache_plugins.policies.topics import topics_of


@pytest.mark.parametrize(
    ("text", "tags", "expected"),
    [
        ("show running-config", (), {"topic:configuration"}),
        ("What does access-list 10 of rtr-001 contain?", ("device:rtr-001",), {"topic:configuration"}),
        ("show route-map", (), {"topic:configuration"}),
        ("show prefix-list", (), {"topic:configuration"}),
        ("Is OSPF enabled on rtr-001?", ("device:rtr-001",), {"topic:configuration"}),
        ("Which ports are down?", (), {"topic:interfaces", "interfaces:all"}),
        ("Is it up?", ("interface:gi0/0",), {"topic:interfaces"}),
        ("bgp summary", ("type:bgp_neighbors", "level:site"), {"topic:neighbours"}),
        ("overview", ("type:interface_status",), {"topic:interfaces", "interfaces:all"}),
        ("Draw the topology", ("site:ny1",), {"topic:topology", "level:site"}),
        ("Draw the topology", (), {"topic:topology", "level:global"}),
        ("Who are the BGP neighbours?", ("device:a",), {"topic:neighbours", "level:device"}),
        ("How do I bake bread?", (), set()),
        ("", (), set()),
    ],
)
def test_topics(text: str, tags: tuple[str, ...], expected: set[str]) -> None:
    assert set(topics_of(text, tags)) == expected
