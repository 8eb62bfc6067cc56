"""What a text names, as tags: devices, sites, interfaces, and what the user's own patterns find. Pure, linear time.

Tags of devices, sites and interfaces are in lower case, and an interface has one name: `Gi0/0`, `gi 0/0` and
`GigabitEthernet0/0` are `interface:gi0/0`. A tag too many costs a model call when something is invalidated, a missing
one a wrong answer: what might be a device is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from llmcache_plugins.errors import ConfigError

__all__ = ["checked_patterns", "device_tags", "pattern_tags"]

# What a part of a device's name says of it (rtr-001, core-sw-02, ny1fw3).
_ROLES = frozenset(
    {"rtr", "router", "rt", "sw", "switch", "asw", "dsw", "csw", "tor", "fw", "firewall", "core", "dist", "agg"}
    | {"edge", "border", "spine", "leaf", "ap", "wlc", "srv", "svr", "server", "host", "node", "vm", "lb", "gw"}
    | {"gateway", "asa", "pe", "ce", "cpe", "olt", "asr", "isr", "nexus", "vpn", "bastion", "dns", "db", "hv"}
    | {"esx", "esxi", "rack", "pdu", "ups", "pod"}
)
_PRODUCTS = frozenset({"db2", "pop3", "core2", "core-i3", "core-i5", "core-i7", "core-i9"})
_SITES = frozenset({"site", "dc", "branch", "campus", "building", "bldg", "pop", "datacenter", "datacentre"})
_TOKEN = re.compile(r"[a-z][a-z0-9]*(?:[-_.][a-z0-9]+)*")
# Telephones and word processors write other hyphens than keyboards do.
_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212\uff0d"), "-")
_PART = re.compile(r"[a-z]+|[0-9]+")
_SITE_CODE = re.compile(r"\bsites? +([a-z]{2,12}[-_]?\d{1,4}|[a-z]{2,4}\b|\d{1,4})\b")
_NO_CODES = frozenset(
    {"is", "in", "on", "at", "of", "to", "the", "and", "or", "are", "has", "was", "for", "do", "it", "as", "by", "my"}
    | {"our", "map", "plan", "up", "down", "all", "any", "with", "that", "be", "can", "not", "a", "an", "so", "we"}
)

_KINDS = {
    "gigabitethernet": "gi", "gige": "gi", "gi": "gi", "gig": "gi", "ge": "ge", "fastethernet": "fa", "fa": "fa",
    "tengigabitethernet": "te", "tengige": "te", "tengig": "te", "te": "te", "xe": "xe", "et": "et",
    "twentyfivegige": "twe", "twe": "twe", "fortygigabitethernet": "fo", "fortygige": "fo", "fo": "fo",
    "hundredgige": "hu", "hundredgigabitethernet": "hu", "hu": "hu", "ethernet": "eth", "eth": "eth", "serial": "se",
    "se": "se", "loopback": "lo", "lo": "lo", "tunnel": "tu", "tu": "tu", "port-channel": "po", "portchannel": "po",
    "po": "po", "bundle-ether": "be", "be": "be", "ae": "ae", "vlan": "vlan", "mgmt": "mgmt", "management": "mgmt",
    "ens": "ens", "enp": "enp", "wlan": "wlan", "bond": "bond",
}  # fmt: skip
# A number with slashes may stand apart ("Gi 0/1"); a bare one may not ("vlan 10" is no interface, "Vlan10" is).
_INTERFACE = re.compile(
    r"(?<![\w/-])(" + "|".join(sorted(_KINDS, key=len, reverse=True)) + r")"
    r"(?:[ -]?(\d{1,4}(?:/\d{1,4}){1,4}(?:[.:]\d{1,4})?)|(\d{1,4}(?:\.\d{1,4})?))(?![\w/-])"
)  # fmt: skip


def device_tags(text: str) -> tuple[str, ...]:
    """`device:`, `site:` and `interface:` tags of what the text names, in the order of their kinds.

    >>> device_tags("Is GigabitEthernet0/1 of RTR-001 up at site NY1?")
    ('device:rtr-001', 'site:ny1', 'interface:gi0/1')
    """
    lower = text.lower().translate(_HYPHENS)
    devices: dict[str, None] = {}
    sites: dict[str, None] = {}
    interfaces: dict[str, None] = {}
    for token in _TOKEN.findall(lower):
        kind = _kind_of(token)
        if kind == "device":
            devices[f"device:{token}"] = None
            host = token.partition(".")[0]  # a monitor may know rtr-001.example.net as rtr-001
            if host != token and _kind_of(host) == "device":
                devices[f"device:{host}"] = None
        elif kind == "site":
            sites[f"site:{token}"] = None
    if "site" in lower:
        sites |= {f"site:{code}": None for code in _SITE_CODE.findall(lower) if code not in _NO_CODES}
    if any("0" <= sign <= "9" for sign in lower):
        for kind, path, number in _INTERFACE.findall(lower):
            interfaces[f"interface:{_KINDS[kind]}{_joint(kind)}{path or number}"] = None
    return (*devices, *sites, *interfaces)


def _joint(kind: str) -> str:
    return "-" if kind in ("xe", "ge", "et") else ""  # as Juniper writes them: xe-0/0/0


def _kind_of(token: str) -> str:
    """A device has a role in its name and a number; a site `site-...` or a number."""
    if "-" not in token and "_" not in token and "." not in token and token.isalpha():
        return ""
    words = _PART.findall(token)
    if token in _PRODUCTS:
        return ""
    has_number = any(word.isdigit() for word in words)
    if has_number and not _ROLES.isdisjoint(words):
        return "device"
    if words[0] in _SITES and (has_number or (words[0] == "site" and len(words) > 1)):
        return "site"
    return ""


def checked_patterns(patterns: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    """The user's patterns, compiled.

    Raises:
        ConfigError: a name is empty, or a pattern is no regular expression or fits the empty text.
    """
    if not isinstance(patterns, Mapping):
        raise ConfigError(f"tag_patterns must map names to regular expressions, not be {patterns!r}")
    compiled = {}
    for name, pattern in patterns.items():
        if not isinstance(name, str) or not name or not isinstance(pattern, str):
            raise ConfigError(f"tag_patterns must map names to regular expressions, not {name!r} to {pattern!r}")
        try:
            compiled[name] = re.compile(pattern)
        except re.error as error:
            raise ConfigError(f"tag_patterns[{name!r}] is no regular expression: {error}") from error
        if compiled[name].fullmatch(""):
            raise ConfigError(f"tag_patterns[{name!r}] fits the empty text: {pattern!r}")
    return compiled


def pattern_tags(text: str, patterns: Mapping[str, re.Pattern[str]]) -> Iterator[str]:
    """`name:found` for all that the patterns find, as written in the text; where a pattern has a group, that."""
    for name, pattern in patterns.items():
        for match in pattern.finditer(text):
            found = match[1] if pattern.groups else match[0]
            if found:
                yield f"{name}:{found}"
