"""What a question about a network touches, as tags: what an event makes wrong is found by them. Pure.

A question is tagged rather once too often: an answer that goes for nothing costs a model call, one that stays is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Collection

__all__ = ["topics_of"]

_CONFIGURATION = re.compile(
    r"\b(?:(?:re)?config(?:s|ured?|ures|uring|uration|urations)?|running-config|startup-config|set ?up|settings?|"
    r"enabled?|disabled?|hostname|acls?|access[- ]lists?|polic(?:y|ies)|vlans?|mtu|ntp servers?|snmp|banner|"
    r"route[- ]maps?|prefix[- ]lists?|credentials|users?)\b"
)
_INTERFACES = re.compile(
    r"\b(?:(?:sub)?interfaces?|ports?|links?|uplinks?|downlinks?|lags?|port-?channels?|trunks?|transceivers?|optics?|"
    r"line protocol|crc|duplex)\b"
)
_TOPOLOGY = re.compile(
    r"\b(?:topolog(?:y|ies|ical)|network (?:map|diagram|layout|overview)|connections?|connected|paths?|hops?|"
    r"redundan(?:t|cy)|inventory|attached|spine|leaf|backbone)\b"
)
_NEIGHBOURS = re.compile(r"\b(?:neighbou?rs?|neighbou?rships?|peers?|peerings?|adjacenc(?:y|ies)|adjacent|lldp|cdp)\b")
_TOPICS = (
    ("topic:configuration", _CONFIGURATION),
    ("topic:interfaces", _INTERFACES),
    ("topic:topology", _TOPOLOGY),
    ("topic:neighbours", _NEIGHBOURS),
)


def topics_of(text: str, tags: Collection[str] = ()) -> tuple[str, ...]:
    """Tags of what the question is about: `topic:...`; `interfaces:all` when it is about interfaces and names none;
    `level:...` (device, site or global) when it is about topology or neighbours.

    Args:
        tags: what is known of it already; `interface:`, `device:`, `site:`, `level:` and `type:` count.

    >>> topics_of("Which interfaces of rtr-001 are down?", ["device:rtr-001"])
    ('topic:interfaces', 'interfaces:all')
    >>> topics_of("List all BGP peers")
    ('topic:neighbours', 'level:global')
    """
    types = (tag[len("type:") :] for tag in tags if tag.startswith("type:"))
    folded = " ".join((text, *types)).casefold().replace("_", " ")
    found = [topic for topic, pattern in _TOPICS if pattern.search(folded)]
    kinds = {tag.partition(":")[0] for tag in tags}
    if "interface" in kinds and "topic:interfaces" not in found:
        found.append("topic:interfaces")  # "Is Gi0/0 of rtr-001 up?"
    if "topic:interfaces" in found and "interface" not in kinds:
        found.append("interfaces:all")
    if "level" not in kinds and ("topic:topology" in found or "topic:neighbours" in found):
        found.append("level:device" if "device" in kinds else "level:site" if "site" in kinds else "level:global")
    return tuple(found)
