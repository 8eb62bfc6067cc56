"""What a question is about, as far as freshness and tags go, by rules over its words. Pure, microseconds.

The rules know English (and the word for "now" in some other languages). They prefer the shorter life: a question that
none of them knows has no volatility, so that the default time to live counts, and only what looks like general
knowledge in every respect is `static`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

from llmcache_plugins.policies.conversation import earlier_turns
from llmcache_plugins.policies.tags import checked_patterns, device_tags, pattern_tags
from llmcache_plugins.policies.topics import topics_of
from llmcache_plugins.types import Profile, Request

__all__ = ["RuleProfiler", "volatility_of"]

_REMEMBERED = 4096  # profiles by text
_LONGEST_REMEMBERED = 2000  # characters
_LONGEST_ASKED = 2000  # at either end of a text, where its question stands
_LONGEST_SEARCHED = 32_000  # at either end of a text: an update on an event loop must not search megabytes for names


class RuleProfiler:
    """The default profiler: query type, volatility and tags from the text of the question; what earlier turns of its
    conversation name, it is about as well. Of a text of more than 64,000 characters the two ends are searched for tags,
    of earlier turns the last 32,000.

    Args:
        query_type_of: the query type of a text.
        tag_patterns: regular expressions by the name of their tag: `{"ticket": r"INC\\d+"}` gives `ticket:INC123`.

    Raises:
        ConfigError: a pattern is no regular expression.
    """

    def __init__(self, query_type_of: Callable[[str], str], tag_patterns: Mapping[str, str] | None = None) -> None:
        self._query_type_of = query_type_of
        self._patterns = checked_patterns({} if tag_patterns is None else tag_patterns)
        self._known = lru_cache(_REMEMBERED)(self._profile)

    def __call__(self, request: Request) -> Profile:
        text = request.text
        profile = self._known(text) if len(text) <= _LONGEST_REMEMBERED else self._profile(text)
        if request.context:
            profile = self._in_conversation(profile, request)
        if not request.tags:
            return profile
        # What the caller says it is about, `type:interface_status`, has topics too: events find answers by them.
        return replace(profile, tags=tuple(dict.fromkeys((*profile.tags, *topics_of("", request.tags)))))

    def _profile(self, text: str) -> Profile:
        query_type = self._query_type_of(text)
        text = _ends_of(text, _LONGEST_SEARCHED)
        named = device_tags(text)
        named = (*named, *pattern_tags(text, self._patterns))
        tags = (*named, *topics_of(text, named))
        volatility = volatility_of(_ends_of(text, _LONGEST_ASKED), query_type, is_named=bool(named))
        return Profile(query_type, volatility, tuple(dict.fromkeys(tags)))

    def _in_conversation(self, profile: Profile, request: Request) -> Profile:
        """The profile of a follow-up: "Is it up?" is about the device that was named before."""
        said, asked = earlier_turns(request.context, _LONGEST_SEARCHED)
        named = (*device_tags(said), *pattern_tags(said, self._patterns))
        tags = (*profile.tags, *named, *topics_of(asked, named))
        volatility = profile.volatility
        if named:
            volatility = volatility_of(_ends_of(request.text, _LONGEST_ASKED), profile.query_type, is_named=True)
        return replace(profile, volatility=volatility, tags=tuple(dict.fromkeys(tags)))


def _ends_of(text: str, length: int) -> str:
    return text if len(text) <= 2 * length else f"{text[:length]} {text[-length:]}"


def _words(*groups: str) -> re.Pattern[str]:
    """One of these words or phrases; white space between words of a phrase has been made single."""
    phrases = [phrase.strip() for group in groups for phrase in group.split(",")]
    return re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, phrases)) + r")(?![\w-])")


# Asked about this very moment.
_THIS_MOMENT = _words(
    "right now, at the moment, at this moment, this very moment, this minute, this second, this instant, as we speak",
    "in real time, live right now, what time is it, what is the time, what's the time, the current time, time now",
    "just now, seconds ago, instantaneous",
)
_LIVE = re.compile(
    r"(?<![\w-])(?:live|real[- ]time) (?:\w+ )?(?:stats?|statistics|data|traffic|feed|scores?|status|view|metrics?|"
    r"counters?|usage|utili[sz]ation|load|throughput|bandwidth|prices?|rates?|quotes?|readings?|telemetry|numbers?)\b"
)
# What changes while one looks at it, where it is asked for as a state or of a named device.
_METRIC = re.compile(
    r"(?<![\w-])(?:cpu|gpu|ram|memory|disk|bandwidth|throughput|utili[sz]ation|usage|traffic|load|counters?|latency|"
    r"jitter|packet loss|packet rate|pps|drops|errors? rate|queue depth|temperature|fan speeds?|voltage|"
    r"connections? count|sessions? count|signal strength|rssi|rtt|ping times?)\b(?! balanc)"
)
_QUOTE = re.compile(
    r"(?<![\w-])(?:(?:stock|share|bitcoin|btc|crypto|gold|oil|fuel|gas|spot|ticket|flight) (?:prices?|quotes?)|"
    r"prices? of (?:bitcoin|btc|gold|oil|ethereum|\w+ (?:stock|shares?))|exchange rates?|"
    r"(?:usd|eur|gbp|jpy|chf) (?:to|in) (?:usd|eur|gbp|jpy|chf)|trading at|score of the)\b"
)
# Asked about these days: true for minutes or hours, whatever else the question looks like.
_NOW = _words(
    "now, currently, current, today, today's, tonight, latest, newest, most recent, recent, recently, lately, so far",
    "as of, up to date, up-to-date, these days, nowadays, ongoing, in progress, this morning, this afternoon",
    "this week, yesterday, yesterday's, tomorrow, tomorrow's, last night, last hour, past hour, last week",
    "next week, ago, upcoming, still, already, yet, anymore, news, headlines, weather, forecast, breaking",
    "outage, outages, eta, available, in stock, open now, on call, on-call, logged in",
    # The same in other languages, whose questions have no other rule.
    "aktuell, aktuelle, aktuellen, aktueller, derzeit, gerade, jetzt, heute, actuellement, actuel, actuelle",
    "maintenant, aujourd'hui, ahora, actual, actualmente, hoy, adesso, attuale, oggi, agora, atual, hoje, momenteel",
    "vandaag, huidige",
)
_NOW_ELSEWHERE = re.compile(r"现在|当前|目前|今天|最新|現在|今日|지금|현재|오늘|сейчас|сегодня|текущ|الآن|اليوم|अभी|आज")
_OTHER_CURRENTS = re.compile(
    r"(?<!\w)(?:(?:alternating|direct|electric|electrical|ocean|eddy|rip|leakage|inrush|short-circuit|tidal) currents?|"
    r"current (?:density|divider|transformer|loop|mirror|sense|limiting|limiter|source)|current,? voltage|"
    r"voltage,? (?:and )?current)\b"
)
# What is another answer next month, or for the next person: no general knowledge, so the default counts.
_CHANGES = _words(
    "price, prices, pricing, cost, costs, version, versions, release, releases, president, chancellor, minister, ceo",
    "cto, cfo, king, queen, pope, mayor, governor, leader, champion, record, rate, rates, ranking, rankings, schedule",
    "score, scores, standings, balance, deadline, address, phone, availability, opening hours, hours, owner, contact",
    "population, age, old, salary, net worth, best, top, worst, most popular, fastest, cheapest, trending, number of",
    "roadmap, status, state, this month, this year, next year, next month, last year, last month, sla, policy",
    "policies, time, date, day, season, stock, market, job, jobs, law, laws, tax, taxes, support, supported",
    "compatible",
)
_OWN = _words(
    "i, i'm, i've, my, mine, me, we, we're, our, ours, us, you, your, yours, the company, the team, here, this, these",
    "those, there",
)
# About one thing that stands somewhere, not about its kind: "the MTU of the WAN link", "what is running on it".
_LOCAL = re.compile(
    r"(?<![\w-])(?:(?:of|on|for|in|to|at|from|behind) (?:the|each|all|every) (?:[\w-]+ ){0,2}"
    r"(?:links?|interfaces?|ports?|routers?|switch(?:es)?|servers?|hosts?|firewalls?|gateways?|networks?|tunnels?|"
    r"vpns?|clusters?|databases?|data ?cent(?:er|re)s?|offices?|racks?|nodes?|devices?|services?|systems?|backbone)"
    r"|(?:vlan|vrf|port|area|as|asn|rack|room|floor|tunnel|subnet|ticket|order|case|customer|account|user|id) ?#?\d+"
    r"|what(?:'s| is| are) (?:happening|going|running|blocking|causing|using|listening|coming|taking|consuming|"
    r"connected|attached|plugged|installed|configured|enabled|in|on|at|down|up|wrong|left|next|due|open|new)"
    r"|(?:of|on|for|in|at|from|behind) [a-z][\w.]*[-_][\w.-]*\d[\w.-]*"  # a name whose kind nobody knows: nyc-r1
    r"|\d{1,3}(?:\.\d{1,3}){3})(?![\w-])"
)
_KNOWLEDGE = frozenset({"definition", "how_to", "comparison", "calculation", "configuration"})
_PROCEDURE = re.compile(
    r"(?<![\w-])how (?:to|(?:do|does|can|should|would|could) (?:i|you|we|one|people|someone))(?![\w-])"
)
_PROPERTY = re.compile(r"(?<![\w-])(?:of|on|for|in|at|from|behind)(?![\w-])")
_YEAR = re.compile(r"(?<![\w.-])20[2-9]\d(?![\w.-])")


def volatility_of(text: str, query_type: str, *, is_named: bool) -> str:
    """`"volatile"`, `"dynamic"`, `"stable"` or `"static"`; empty where no rule knows.

    Args:
        is_named: the text names a device, a site, an interface or what the user's patterns find: its answer is about
            that one.
    """
    line = " ".join(text.lower().replace("\u2019", "'").split())
    is_procedure = _PROCEDURE.search(line) is not None
    # About doing or meaning something: names of metrics are no measurements there.
    is_instructive = is_procedure or query_type in _KNOWLEDGE
    if _THIS_MOMENT.search(line) or _QUOTE.search(line):
        return "volatile"
    if not is_instructive and (_LIVE.search(line) or ((query_type == "status" or is_named) and _METRIC.search(line))):
        return "volatile"
    if _NOW_ELSEWHERE.search(line) or _NOW.search(_OTHER_CURRENTS.sub(" ", line)):
        return "dynamic"
    if is_named:
        # A change of settings is an event; all else changes by itself, such as "What is the uptime of rtr-001?".
        is_property = query_type == "definition" and _PROPERTY.search(line) is not None
        return "stable" if is_instructive and not is_property else "dynamic"
    if query_type == "status":
        return "" if is_procedure else "dynamic"
    own = _OWN.search(_PROCEDURE.sub(" ", line)) is not None
    if query_type == "troubleshooting":
        return "dynamic" if own else ""  # one's own fault is repaired; why links flap in general stays
    if query_type not in _KNOWLEDGE or own or _YEAR.search(line):
        return ""
    if query_type == "configuration" and not is_procedure:
        return ""  # "show the running config": what is set, not how one sets it
    return "" if query_type != "calculation" and (_CHANGES.search(line) or _LOCAL.search(line)) else "static"
