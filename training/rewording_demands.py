"""What a question demands besides what it asks: a setting, a form of the answer, a second answer."""

from __future__ import annotations

import random
import re

from rewording_grammar import sentences, split_end

__all__ = ["added_ask", "demanded", "restricted", "unrestricted"]

_IS_TECHNICAL = re.compile(
    r"\b(?:python|java|javascript|windows|linux|file|files|code|server|apps?|database|password|router|switch|interface|"
    r"vlan|bgp|script|sql|excel|api|wifi|browser|install|software|program|computer|laptop|folder|command|docker|git|"
    r"android|iphone|firewall|dns|ssh|table|list|string|array|function|website|network|vpn)\b",
    re.I,
)
_TECHNICAL = (
    " in Python", " on Windows", " on a Mac", " on Linux", " on Android", " on my iPhone", " without root access",
    " via the command line",
    " with PowerShell", " over SSH", " without an internet connection", " without admin rights", " in production",
    " in a Docker container", " without losing any data", " in Java", " from a phone", " in the cloud",
    " for 500 users",
    " without rebooting", " on a Raspberry Pi", " in the guest network", " after an upgrade", " without a mouse",
)  # fmt: skip
_DOING = (
    " without spending money", " in one week", " in ten minutes", " without a license", " with one hand",
    " as a student",
    " for a six-year-old", " while pregnant", " after the age of 60", " on a Sunday", " without any tools",
    " in winter",
    " without telling anyone", " for someone with diabetes", " in Germany", " without an agent", " as a foreigner",
    " during a power cut", " for a group of twenty", " without leaving the house", " by tomorrow",
    " in a small apartment",
    " after surgery", " for my grandmother", " without an oven", " under 18", " in Japan", " at high altitude",
    " while driving",
)  # fmt: skip
_THINGS = (
    " for children", " for beginners", " under $200", " in Germany", " in 2019", " for left-handed people",
    " for seniors",
    " for vegetarians", " for a team of five", " in winter", " near the airport", " without a contract",
    " for small dogs",
    " for professionals", " in Canada", " for pregnant women", " since 2015", " per month", " outside of Europe",
)  # fmt: skip
_FACTS = (
    " in 1950", " in the 18th century", " in Japan", " according to Islam", " in the Middle Ages", " in Australia",
    " in ten years", " during the war", " before 1900", " in ancient Rome", " in small children", " in rural areas",
)  # fmt: skip
_TAIL = re.compile(
    r"^(?P<rest>.{14,}?\S) (?:in|on|for|without|under|using|during|after|before|per|as|at|near|since|within|until) "
    r"(?!order|general|front|addition|case|fact|terms|love|touch|which|what|my life|the world|it\b|me\b|life|detail|"
    r"all\b|your opinion|the future|home|least|most|well|you\b|myself|short|simple|particular|free\b|him|her|them|a\b$|"
    r"reference|the context|depth|real life|this|that|possible|soon|the field|the end|human|your life|person|now|once|"
    r"first|last)"
    r"(?:[\w.'+#-]+ ){0,3}[\w.'+#-]+$",
    re.I,
)
_NEEDS_TAIL = re.compile(
    r"(?:\b(?:in|on|for|to|of|with|the|a|an|and|or|is|are|was|were|do|does|did|be|my|by|from|at|between|than|best|look|"
    r"looking|go|going|mean|deal|used|known|work|stand|wait|get|come|put|take|not|that|which|if|when|like))$",
    re.I,
)
_DEMANDS = (
    ", as JSON", " in one sentence", " as a table", " in exactly three words", ", answer as a poem",
    ", with python code",
    ", as a bulleted list", " in under 20 words", ". Answer in German.", ". Answer in French.", ". Reply in Spanish.",
    ". Answer only with yes or no.", ". Explain it to a five-year-old.", ". Give exactly three examples.", ", as XML",
    ". Cite your sources.", ". Write at least 500 words.", ". Answer with a number only.", ". Answer as a pirate.",
    ". Use no technical terms.", ". Reply in Hindi.", ". Use a markdown table.", ". Answer in two paragraphs.",
    ", as CSV",
    ". Do not mention any names.", ". Write it as an email.", ". Answer in capital letters.", ". Show every step.",
    ". Write a one-line summary.", ". Give only the command.", ". Start with a joke.", ". Answer in rhymes.",
)  # fmt: skip
_SECOND = (
    " and how much does it cost", " and is it safe", " and what are the risks", ". Also, what are the alternatives?",
    " and how long does it take", " and when should it be avoided", ". And is it legal in Germany?",
    " and who can help me",
    ". Also, who came up with it?", ". And what did it look like 50 years ago?", " and what happens if it fails",
    ". Which tools do I need for it?", ". And which books are there about it?", " and is there a law against it",
    ". And how do they do it in Japan?", ". Also, what should I never do?", ". And who is responsible for it?",
)  # fmt: skip


def restricted(text: str, chance: random.Random) -> str | None:
    """A setting added that narrows the question ("... on Windows", "... without an oven")."""
    if len(text.split()) > 16 or (not text.rstrip().endswith("?") and len(sentences(text)) > 1):
        return None
    lower = text.lower()
    if _IS_TECHNICAL.search(text):
        endings = _TECHNICAL
    elif re.search(r"\bhow (?:do|can|to|should|could|much|long)|\bcan i\b|\bshould i\b|\bway to\b", lower):
        endings = _DOING
    elif re.search(r"\b(?:best|good|price|cheapest|cost|recommend|most)\b", lower):
        endings = _THINGS
    elif re.search(r"\b(?:what|who|why|when|which|how many)\b", lower):
        endings = _FACTS
    else:
        return None
    bare, mark = split_end(text)
    ending = chance.choice(endings)
    return None if ending.split()[-1].lower() in lower else bare + ending + mark


def unrestricted(text: str, chance: random.Random) -> str | None:
    """The setting that ends a question taken away."""
    *before, last = sentences(text)
    bare, mark = split_end(last)
    match = _TAIL.match(bare)
    if not match or _NEEDS_TAIL.search(match["rest"]) or len(match["rest"].split()) < 4:
        return None
    return " ".join([*before, match["rest"] + mark])


def demanded(text: str, chance: random.Random) -> str | None:
    """A form, a length or a language demanded of the answer."""
    bare, mark = split_end(text)
    demand = chance.choice(_DEMANDS)
    if demand.startswith(". "):
        return bare + (mark or "?") + demand[1:]
    return bare + demand + mark


def added_ask(text: str, chance: random.Random) -> str | None:
    """A second thing asked."""
    if len(text.split()) > 20:
        return None
    bare, mark = split_end(text)
    second = chance.choice(_SECOND)
    return bare + (mark or "?") + second[1:] if second.startswith(". ") else bare + second + mark
