"""What a turn of a user's tells beside what it asks: a wish for all that follows, a fact. Rules over English words.
Pure.
"""

from __future__ import annotations

import re

__all__ = ["asks_only", "tells_how"]


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


# What a user tells once and means for all that follows: orders, and not what he asks about others.
_TELLS_HOW = re.compile(
    r"\b(?:from now on|for the rest|words or less|eli5|like i'm|you are (?:an?|my|the|now)|you're (?:an?|my|the|now)|"
    r"bullet points?|in one sentence|role-?play)\b"
    r"|(?:^|[.!?;:,\n]\s*|\b(?:please|can you|could you|will you|would you|want you to|like you to|need you to|"
    r"you should|you must|you have to|you can|let's|and|then|so|but)\s+)(?:(?:always|only|never|just|please)\s+)*"
    r"(?:act as|pretend|call me|remember|forget|ignore|keep|stop|don't|do not|be (?:more |very )?\w+$|"
    r"be (?:more |very )?(?:concise|brief|short|polite|formal|specific|strict|nice)|"
    r"switch to|(?:answer|reply|respond|speak|write|talk|explain|translate|use)\b[^.!?\n]{0,60}?"
    r"\b(?:in|with|using|like|as|only|briefly|shortly|metric|imperial|simple|markdown|bullets?))\b"
    r"|(?:^|[.!?;:,\n]\s*)(?:always|only|never)\s+\w+",
    re.IGNORECASE,
)
_TELLS_A_FACT = re.compile(
    r"\b(?:i am|i'm|im|i was|i have|i've|i had|i use|i'm using|i live|i work|i own|i need|i want|i would like|"
    r"i'd like|i like|i prefer|i got|i meant?|i run|i bought|we are|we're|we have|we use|we run|we need|"
    r"my \w+ (?:is|are|has|was)|it is|it's|its|assume|assuming|suppose|supposing|given|let's say|imagine|consider|"
    r"in our|in my|on my|on our|for my|for our)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_ASKS = re.compile(
    r"\W*(?:(?:and|so|ok|okay|but|please|also|then)\W+)*(?:what|who|whose|where|when|why|how|which|is|are|was|were|do|"
    r"does|did|can|could|should|would|will|has|have|had)\b",
    re.IGNORECASE,
)
_PLEASANTRY = _set_of(
    "hi hello hey good morning afternoon evening day greetings there thanks thank you thx ok okay cool great nice yes "
    "no sure fine perfect awesome bye goodbye welcome very much so a lot i see got it how are doing today to meet well "
    "hola please that makes sense understood interesting wow"
)
_WORDS = re.compile(r"[a-z']+")


def tells_how(text: str) -> bool:
    """Does the user say how he wants to be answered from now on?

    >>> tells_how("Please answer in French from now on."), tells_how("How do I answer in an interview?")
    (True, False)
    """
    return _TELLS_HOW.search(text) is not None


def asks_only(text: str) -> bool:
    """Is this turn made of questions and pleasantries alone, so that nothing later can rest on what it tells?

    >>> asks_only("Hi! What is DNS?"), asks_only("I run Ubuntu. What is DNS?")
    (True, False)
    """
    plain = text.replace("\u2019", "'")
    if _TELLS_A_FACT.search(plain):
        return False
    return all(
        bool(_ASKS.match(sentence)) or _PLEASANTRY.issuperset(_WORDS.findall(sentence.lower()))
        for sentence in _SENTENCE.findall(plain)
    )
