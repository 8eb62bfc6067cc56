"""The type of a question by rules over its words: budgets, freshness and statistics are kept by type.

The rules know English; a question in another language is `general`. The first rule that fits decides, from the most
telling to the least: a fault, a comparison, a sum, a change of settings ("How do I configure OSPF?" is `configuration`,
not `how_to`: what is done matters more than how it is asked for), the state of something ("What is the status of BGP?"
is no definition), a procedure, a list, a definition. What no rule knows is `general`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from llmcache_plugins.matching.guards.base import words_of

__all__ = ["QUERY_TYPES", "query_type_of"]

QUERY_TYPES: tuple[str, ...] = (
    "definition",
    "how_to",
    "comparison",
    "calculation",
    "listing",
    "troubleshooting",
    "status",
    "configuration",
    "general",
)

_LONGEST_WHOLE = 300  # of a longer text only the sentence that asks is read


def query_type_of(text: str) -> str:
    """The type of a question: one of `QUERY_TYPES`, always the same for the same text, in microseconds.

    >>> query_type_of("Show BGP status"), query_type_of("why is Gi0/1 flapping"), query_type_of("How do I set up OSPF?")
    ('status', 'troubleshooting', 'configuration')
    >>> query_type_of("What is OSPF?"), query_type_of("Sing a song")
    ('definition', 'general')
    """
    return _type_of(text if len(text) <= _LONGEST_WHOLE else _asking_sentence(text))


class _Question(NamedTuple):
    """Words in lower case: in order, as a set, and as one line with a space at either end, for phrases."""

    words: tuple[str, ...]
    known: frozenset[str]
    line: str

    def has(self, words: frozenset[str]) -> bool:
        return not self.known.isdisjoint(words)

    def says(self, phrases: tuple[str, ...]) -> bool:
        return any(map(self.line.__contains__, phrases))

    def starts(self, *words: str) -> bool:
        return self.words[0] in words


def _phrases(*phrases: str) -> tuple[str, ...]:
    return tuple(f" {phrase} " for phrase in phrases)


# What is operated: its state changes, it is configured, and it fails.
_NETWORK = words_of(
    """bgp ospf eigrp isis is-is mpls vrrp hsrp stp lacp lldp cdp snmp ntp dhcp dns vpn ipsec vxlan nat acl vlan vlans
    arp interface interfaces port ports uplink uplinks tunnel tunnels route routes routing neighbor neighbors neighbour
    neighbours peer peers adjacency adjacencies router routers switch switches firewall firewalls subnet trunk gateway
    wan lan wifi ssid packet packets latency"""
)
_OPERATED = _NETWORK | words_of(
    """link links session sessions device devices cpu memory disk disks log logs traffic bandwidth queue queues alarm
    alarms alert alerts server servers service services pod pods node nodes container containers cluster clusters
    pipeline pipelines build builds deployment deployments backup backups database databases replication
    sensor sensors fan fans host hosts daemon vm vms rack racks"""
)
_INTERFACE = re.compile(r"[a-z]{2,20}\d+(?:/\d+)+|(?!covid)[a-z]{2,6}-\d+")  # gi0/1, rtr-001
_STATES = words_of(
    "up down running reachable unreachable online offline alive active inactive established failed failing healthy"
)
_HOW_LOADED = words_of("busy full loaded hot healthy congested")
_MEASURES = words_of("load usage utilization utilisation temperature throughput uptime counters")

_TROUBLE = words_of("troubleshoot troubleshooting debug debugging flap flaps flapping flapped malfunctioning")
_FAULTS = words_of(
    """down fail fails failed failing failure failures crash crashes crashed crashing slow slowly stuck drop drops
    dropped dropping unreachable offline reboot reboots rebooting rebooted restart restarts restarting timeout timeouts
    error errors flapping flap looping reset resets resetting hang hangs hanging freezes freezing broken loss"""
)
_CANNOT = words_of(
    "can't cannot won't doesn't isn't aren't don't unable couldn't not never fails failing failed fail stopped stops"
)
_WORKING = words_of(
    """work working connect connecting boot booting ping pinging reach respond responding responds establish reachable
    starting load loading login authenticate sync syncing forwarding"""
)
_KEEPS = words_of("keeps constantly repeatedly randomly")
_REPAIR = words_of("fix fixing resolve resolving repair clear diagnose solve")
_PROBLEMS = words_of(
    "issue issues problem problems error errors fault faults alarm alarms bug bugs outage outages conflict"
)
_ALERTS = words_of("alert alerts drops packets")
_HOW = words_of("how")
_GETTING = words_of("get getting got gives see seeing throws returns shows says")

_COMPARING = words_of("compare compared compares comparing comparison versus vs distinguish")
_DIFFERENCE = words_of("difference differences distinction similarities similarity")
_BETWEEN = words_of("between of in among from")
_BETTER = words_of("better worse faster slower cheaper safer")

_RECKONING = words_of("calculate calculating compute multiply subtract")
_UNITS = words_of(
    """second seconds minute minutes hour hours day days week weeks month months year years inch inches foot feet yards
    mile miles meter meters metre metres km kilometers kilometres gram grams kg kilogram kilograms pound pounds ounce
    ounces liter liters litre litres gallon gallons cup cups bit bits byte bytes kilobytes megabytes gigabytes kb mb gb
    celsius fahrenheit kelvin bps kbps mbps gbps hosts addresses degrees radians"""
)
_SUM = re.compile(
    r"(?<![\w./-])[($]?\d[\d.,]*\)? ?(?:[+*×÷^]|(?:plus|minus|times|divided by|%? ?% of|percent of) ) ?\(?\d"
)

_CONFIGURING = words_of("configure configures configured configuring configuration config reconfigure provision")
_SWITCHING = words_of("enable enabling disable disabling activate deactivate")
_CHANGING = words_of("add create remove delete assign apply change set update edit modify set-up install")
_SETTINGS = _NETWORK | words_of(
    "hostname mtu timer timers policy banner password timezone settings setting snmpd syslog"
)

_SHOWING = ("show", "display", "check", "get", "view", "monitor", "print")
_PROCEDURE = _phrases(
    *(f"how {verb} {who}" for verb in ("do", "can", "should", "would", "could") for who in ("i", "you", "we", "one")),
    *("how to", "how do people", "steps to", "steps for", "step by step", "walk me through", "instructions to"),
    *(
        "instructions for",
        "instructions on",
        "way to",
        "ways to",
        "guide to",
        "guide me",
        "tutorial on",
        "tutorial for",
    ),
)
_OUT_OF_ORDER = _phrases(
    "root cause", "wrong with", "not working", "doesn't work", "won't work", "diagnose the", "diagnose why",
    "not coming up", "not come up", "won't come up", "doesn't come up", "isn't coming up",
)  # fmt: skip
_WHY = _phrases("why", "reason", "cause", "causes", "causing", "caused", "how come", "what happened to")
_OWN = words_of("i i'm we we're my our why me")
_DIFFERS = _phrases("pros and cons", "differ from", "different from", "different to")
_TIME_DIFFERENCE = _phrases("time difference", "difference in time")
_HOW_MANY = _phrases("how many", "how much")
_SET_UP = _phrases("set up", "setup", "shut down", "no shutdown")
_STATUS_CODE = _phrases("status code", "status codes")
_IS_IT = _phrases("is it", "are they", "is that")
_ANY = _phrases("are there any", "is there any", "is there an", "is there a")
_LOGGED_IN = _phrases("logged in", "logged on", "logged into", "logged onto")
_STATE_OF = _phrases("health of", "state of", "currently")
_ABOUT_SHOWING = words_of("example examples command commands how difference")
_KINDS = _phrases(
    "examples of", "types of", "kinds of", "categories of", "list of", "give me all", "give me some", "give me a list"
)  # fmt: skip
_MEANING = _phrases("meaning of", "definition of", "stand for", "stands for", "meant by", "me about")
_SUPERLATIVES = words_of("best worst most least longest shortest largest biggest smallest highest lowest good top")


def _is_troubleshooting(asked: _Question) -> bool:
    if asked.has(_TROUBLE) or asked.says(_OUT_OF_ORDER):
        return True
    if asked.has(_REPAIR) and asked.has(_PROBLEMS) and (asked.has(_GETTING | _HOW) or _is_operated(asked)):
        return True
    if "error" in asked.known and asked.has(_GETTING) and asked.has(_OWN):
        return True
    if asked.has(_CANNOT) and asked.has(_WORKING) and (asked.has(_OWN) or _is_operated(asked)):
        return True
    if asked.has(_KEEPS) and asked.has(_FAULTS) and _is_operated(asked):
        return True
    if not asked.says(_WHY):
        return False
    return asked.has(_NETWORK) or (asked.has(_FAULTS) and _is_operated(asked))


def _is_comparison(asked: _Question) -> bool:
    if asked.has(_COMPARING) or asked.says(_DIFFERS):
        return True
    if asked.has(_DIFFERENCE):
        return asked.has(_BETWEEN) and not asked.says(_TIME_DIFFERENCE)
    if asked.has(_BETTER) and ("than" in asked.known or asked.starts("which", "what", "who", "what's")):
        return True
    return asked.starts("how") and "differ" in asked.known


def _is_calculation(asked: _Question) -> bool:
    if asked.has(_RECKONING) or (asked.starts("solve") and any(character.isdigit() for character in asked.line)):
        return True
    if "convert" in asked.known or asked.says(_HOW_MANY):
        return len(asked.known & _UNITS) >= 2 or (asked.has(_UNITS) and " /" in asked.line)
    return _SUM.search(asked.line) is not None


def _is_configuration(asked: _Question) -> bool:
    if asked.has(_CONFIGURING):
        return not asked.starts("which", "who", "when")
    if asked.has(_SWITCHING):
        return True
    if asked.says(_SET_UP):
        return _is_operated(asked)
    is_order = asked.has(_CHANGING) and (asked.words[0] in _CHANGING or asked.says(_PROCEDURE))
    return is_order and asked.has(_SETTINGS)


def _is_status(asked: _Question) -> bool:
    if "status" in asked.known:
        is_asked_for = asked.starts("what", "what's", "how", "status", *_SHOWING) or len(asked.words) <= 4
        return (is_asked_for or _is_operated(asked)) and not asked.says(_STATUS_CODE)
    if asked.starts("who", "who's", "whos") and asked.says(_LOGGED_IN):
        return True
    if not _is_operated(asked):
        return asked.starts("is", "are") and 3 <= len(asked.words) <= 5 and asked.words[-1] in _STATES
    if asked.starts(*_SHOWING):
        return not asked.has(_ABOUT_SHOWING)
    if asked.has(_MEASURES) or asked.says(_STATE_OF):
        return True
    if asked.has(_STATES) and asked.starts("is", "are", "which", "what", "list", "any", "how"):
        return not asked.says(_PROCEDURE)
    return _is_state_in_short(asked) or (asked.words[-1] == "state" and len(asked.words) <= 5)


def _is_state_in_short(asked: _Question) -> bool:
    """As in "BGP established on rtr-001?", "the gateway in Berlin, is it up?", "any alarms on rtr-001?"."""
    words = asked.words
    if asked.starts("how") and len(words) > 1 and words[1] in _HOW_LOADED:
        return True
    if asked.starts("any") or asked.says(_ANY):
        return asked.has(_PROBLEMS) or asked.has(_ALERTS)
    if not asked.has(_STATES):
        return False
    first = words[1:2] if asked.starts("the", "our", "my") else words[:1]
    is_named_first = bool(first) and (first[0] in _OPERATED or _INTERFACE.fullmatch(first[0]) is not None)
    return asked.says(_IS_IT) or (is_named_first and len(words) <= 6)


def _is_how_to(asked: _Question) -> bool:
    return asked.says(_PROCEDURE)


def _is_listing(asked: _Question) -> bool:
    words = asked.words
    if asked.starts("list", "enumerate", "name", "recommend", "suggest", "show", "display", "find", "top"):
        return True
    if asked.says(_KINDS) or words[:2] == ("the", "top"):
        return True
    if len(words) < 3 or words[0] not in ("what", "which"):
        return False
    if words[1] == "are":
        return len(words) > 4 or words[2] in ("the", "some", "all", "your", "our")
    is_plural = words[1].endswith("s") and not words[1].endswith(("ss", "is", "us")) and words[1] != "does"
    return is_plural and words[2] in ("are", "do", "have", "can", "were", "will", "should", "go", "fly", "serve")


def _is_definition(asked: _Question) -> bool:
    if asked.starts("define", "explain", "describe", "definition", "meaning", "about") or asked.says(_MEANING):
        return True
    if asked.starts("what") and asked.words[-1] in ("mean", "means"):
        return True
    asks_what = asked.starts("what's", "whats") or asked.words[:2] in (("what", "is"), ("what", "are"))
    return asks_what and len(asked.words) <= 8 and not asked.has(_SUPERLATIVES)


def _is_operated(asked: _Question) -> bool:
    return asked.has(_OPERATED) or any("0" <= word[-1] <= "9" and _INTERFACE.fullmatch(word) for word in asked.words)


_RULES: tuple[tuple[str, Callable[[_Question], bool]], ...] = (
    ("troubleshooting", _is_troubleshooting),
    ("comparison", _is_comparison),
    ("calculation", _is_calculation),
    ("configuration", _is_configuration),
    ("status", _is_status),
    ("how_to", _is_how_to),
    ("listing", _is_listing),
    ("definition", _is_definition),
)
_SENTENCE = re.compile(r"[^.?!\n]+[.?!\n]?")
_EDGES = ".,;:!?\"'`()[]{}<>“”„«»…¿¡"
# What people put before the question itself, longest first.
_LEADS: dict[str, list[tuple[str, ...]]] = {}
for _lead in (
    "i would like you to", "i would like to know", "i'd like to know", "i want to know", "i need to know",
    "i want you to", "do you know", "can someone", "can anyone", "could someone", "can you", "could you", "would you",
    "will you", "tell me about how", "tell me", "tell us", "help me", "let me know", "please", "pls", "kindly", "hi",
    "hello", "hey", "so", "ok", "okay", "and", "also", "thanks", "just",
):  # fmt: skip
    _LEADS.setdefault(_lead.split()[0], []).append(tuple(_lead.split()))


@lru_cache(maxsize=4096)
def _type_of(text: str) -> str:
    asked = _read(text)
    if asked.words:
        for query_type, fits in _RULES:
            if fits(asked):
                return query_type
    return "general"


def _read(text: str) -> _Question:
    lower = text.lower().replace("\u2019", "'")
    words = tuple(bare for word in lower.split() if (bare := word.strip(_EDGES)))
    start = 0
    while lead := next(_leads_at(words, start), None):
        start += len(lead)
    words = words[start:]
    return _Question(words, frozenset(words), f" {' '.join(words)} ")


def _leads_at(words: tuple[str, ...], start: int) -> Iterator[tuple[str, ...]]:
    """The leads that stand at `start` with something behind them."""
    for lead in _LEADS.get(words[start], ()) if start < len(words) else ():
        end = start + len(lead)
        if end < len(words) and words[start:end] == lead:
            yield lead


def _asking_sentence(text: str) -> str:
    """The last sentence that asks, or else the first; looked for at either end of the text."""
    parts = text[: 4 * _LONGEST_WHOLE], text[-4 * _LONGEST_WHOLE :]
    sentences = [sentence.strip() for part in parts for sentence in _SENTENCE.findall(part) if sentence.strip()]
    asking = [sentence for sentence in sentences if sentence.endswith("?")]
    return (asking[-1] if asking else sentences[0] if sentences else "")[:_LONGEST_WHOLE]
