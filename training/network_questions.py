"""Questions of people who run networks, made by program: they hang on identifiers, addresses and states."""

from __future__ import annotations

import random
from collections.abc import Iterator

__all__ = ["network_questions"]

_FRAMES = (
    "show me the {table} of {device}", "why is interface {port} on {device} down?",
    "what is the mtu of {port} on {device}?",
    "which vlan is {port} of {device} in?", "list all interfaces that are {state} on {device}",
    "is {device} reachable from {site}?",
    "show {protocol} neighbors on {device}", "what is the ip address of {device}?",
    "how do I configure {protocol} on {device}?",
    "how many {state} ports does {device} have?", "which devices in {site} run version {version}?",
    "who owns prefix {prefix}?",
    "how do I reset the {protocol} session to {address}?", "what changed on {device} since {day}?",
    "ping {address} from {device}",
    "what is the default gateway of vlan {vlan}?", "how do I add vlan {vlan} to {port}?",
    "does {device} support {feature}?",
    "show the last {count} log messages of {device}", "which route does {device} use for {prefix}?",
    "trace {address} from {site}",
    "which access list is applied to {port} {way}?", "how many {protocol} routes does {device} learn from {address}?",
    "how do I upgrade {device} to {version}?", "compare the config of {device} with the one of {device}",
    "shut down {port} on {device}",
    "what was the peak bandwidth of {port} on {device} {time}?",
    "show devices with more than {count} percent cpu load in {site}",
    "is there packet loss between {site} and {site}?", "what is the latency from {site} to {site}?",
    "enable {feature} on {device}",
    "which interfaces had errors {time}?", "back up the running config of {device}",
    "who changed the {table} of {device} {time}?",
    "find all devices without {feature} in {site}", "what is the uptime of {device}?",
    "show the {protocol} status of vlan {vlan}",
    "which switch is the host {address} connected to?", "how do I block {address} on the firewall in {site}?",
    "allow tcp port {count} from {prefix} to {address}", "move {port} of {device} from vlan {vlan} to vlan {vlan}",
    "what is the difference between {protocol} and {protocol}?", "list the {count} busiest links in {site} {time}",
    "why did {device} reboot {time}?", "how do I check the {feature} state on {device}?",
    "what does error {code} on {device} mean?",
    "are there any {protocol} flaps on {device} {time}?", "when was {device} last patched?",
    "what is the serial number of {device}?",
)  # fmt: skip
_WORDS = {
    "table": ("routing table", "arp table", "mac address table", "running config", "inventory", "power supply status"),
    "state": ("up", "down", "administratively down", "err-disabled", "unused", "flapping"),
    "protocol": ("bgp", "ospf", "BGP", "OSPF", "isis", "EIGRP", "ldp", "hsrp", "spanning tree", "lldp"),
    "feature": ("QoS", "802.1X", "NetFlow", "SNMPv3", "jumbo frames", "IPv6", "MACsec", "port security", "LACP", "PoE"),
    "site": ("Berlin", "the Paris data center", "Boston", "site 12", "dc-east", "the Madrid office", "rack 4",
        "dc-west", "Tokyo"),
    "way": ("inbound", "outbound"),
    "time": ("yesterday", "last week", "in the last 24 hours", "since Monday", "today", "last night", "in March"),
    "day": ("Monday", "last Friday", "March 3", "2024-05-01", "yesterday", "the last maintenance window"),
}  # fmt: skip


def network_questions(count: int, seed: int) -> Iterator[str]:
    """`count` questions; the same seed gives the same ones."""
    chance = random.Random(seed)
    for _ in range(count):
        text = chance.choice(_FRAMES)
        while "{" in text:
            name = text[text.index("{") + 1 : text.index("}")]
            text = text.replace("{" + name + "}", _word(name, chance), 1)
        yield text[:1].upper() + text[1:] if chance.random() < 0.5 else text


def _word(name: str, chance: random.Random) -> str:
    if name in _WORDS:
        return chance.choice(_WORDS[name])
    numbers = [str(chance.randint(1, 254)) for _ in range(4)]
    if name == "device":
        role = chance.choice(("rtr", "core-sw", "edge", "fw", "leaf", "spine", "access-sw", "pe", "ap"))
        return f"{role}-{chance.randint(1, 40):03}" if chance.random() < 0.6 else f"{role}{chance.randint(1, 12)}"
    if name == "port":
        kind = chance.choice(("Gi", "Te", "eth", "GigabitEthernet", "Ethernet", "ge-0/", "port "))
        return (
            f"{kind}{chance.randint(0, 3)}/{chance.randint(1, 48)}"
            if kind != "port "
            else f"port {chance.randint(1, 48)}"
        )
    if name == "address":
        return ".".join(("10", *numbers[1:]))
    if name == "prefix":
        return ".".join(("10", *numbers[1:3], "0")) + f"/{chance.choice((16, 22, 23, 24, 26))}"
    if name == "version":
        return f"{chance.randint(12, 21)}.{chance.randint(1, 9)}.{chance.randint(1, 5)}"
    if name == "vlan":
        return str(chance.choice((1, 10, 20, 30, 100, 110, 200, 666, 4000)))
    return str(chance.choice((3, 5, 10, 22, 50, 80, 90, 443, 8080)))
