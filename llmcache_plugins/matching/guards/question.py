"""What a question asks for: a person, a time, a place, a reason, a way, a number, or yes or no.

People put most of these in other ways as well ("why is" and "what makes", "can I" and "how do I"), so that only the
kinds of `_EXCLUSIVE` are a conflict, and only where each text asks for one thing.
"""

from __future__ import annotations

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of
from llmcache_plugins.matching.guards.language import is_english

__all__ = ["asked_for", "question"]

_PLAIN = {
    "who": "who", "whom": "who", "who's": "who", "when": "when", "when's": "when", "where": "where",
    "where's": "where", "why": "why", "why's": "why",
}  # fmt: skip
_BEHIND_HOW = {
    "many": "number", "come": "why", "long": "length", "old": "age", "far": "distance", "fast": "speed",
    "often": "frequency", "tall": "height", "deep": "depth", "heavy": "weight",
}  # fmt: skip
_COUNTED = {"times": "frequency"} | dict.fromkeys(
    ("seconds", "minutes", "hours", "days", "weeks", "months", "years", "business", "working"), "length"
)  # "how many days" asks as "how long" does
_NOUNS = {  # "what year", "which city", "what is the reason"
    word: kind
    for kind, words in {
        "who": "person people guy man woman men women actor actress singer",
        "when": "year date day month time century decade",
        "where": "city country place state town continent location",
        "why": "reason reasons cause causes purpose",
        "number": "number count percentage population share",
        "age": "age",
        "length": "length duration",
        "distance": "distance",
        "speed": "speed",
        "frequency": "frequency",
        "height": "height",
        "depth": "depth",
        "weight": "weight",
    }.items()
    for word in words.split()
}
_EXCLUSIVE = frozenset(
    frozenset(pair.split())
    for pair in (
        "who when", "who why", "when why", "when where", "where why", "who number", "when number",
        "where number", "why number", "which number", "what number", "number length", "number age", "number distance",
        "number speed", "number frequency", "number height", "number depth", "number weight", "yes-no when",
        "age length", "age height", "age weight", "height weight", "height depth", "length speed", "distance speed",
        "distance age", "length depth", "who age", "who height", "where age", "why length", "why age", "where length",
        "where speed", "who length", "how age", "how height", "how weight", "who distance", "why distance",
    )
)  # fmt: skip
_AUXILIARIES = words_of(
    """is are was were am do does did can could will would should has have had may might must shall isn't aren't
    wasn't weren't don't doesn't didn't can't couldn't won't wouldn't shouldn't hasn't haven't"""
)
_OPENING = words_of(
    """and so but ok okay well hi hello hey also then please exactly by about from at on for to in , if since until
    during just tell me us show let know i want would like do you can could explain find out give"""
)  # "in which city", "Hi, can you tell me when"
_TELLING = frozenset({"tell", "know", "explain", "find", "show"})
_AND = frozenset({"and", "or", ","})
_ARTICLES = words_of("the a an this that your my their its")
_ENDS = frozenset({".", "?"})
_MOST_SKIPPED = 8


def asked_for(features: Features) -> frozenset[str]:
    """The kinds of what an English text asks for, one for each sentence that asks."""
    words = features.words
    kinds: set[str] = set()
    is_start = True
    for position, word in enumerate(words):
        if is_start and (kind := _kind(words, position)):
            kinds.add(kind)
        if word in _PLAIN and position and words[position - 1] in _AND:
            kinds.add(_PLAIN[word])  # "who is it and when does it start"
        is_start = word in _ENDS
    return frozenset(kinds) if kinds and is_english(features) else frozenset()


def _kind(words: tuple[str, ...], start: int) -> str:
    """What the sentence that begins at `start` asks for, or "" when it is no question."""
    position, end = start, min(len(words), start + _MOST_SKIPPED)
    while position < end and (words[position] in _OPENING or words[position].isdigit()):
        position += 1
    word = words[position] if position < len(words) else ""
    after = words[position + 1] if position + 1 < len(words) else ""
    is_told = position > start and not _TELLING.isdisjoint(words[start:position])
    if word in ("when", "where") and after not in _AUXILIARIES and not is_told:
        return ""  # "When I press it, ...": a clause of another question
    if word in _PLAIN:
        return _PLAIN[word]
    if word == "how":
        if after == "many" and position + 2 < len(words):
            return _COUNTED.get(words[position + 2], "number")
        return _BEHIND_HOW.get(after, "how")
    if word in ("what", "what's", "which"):
        step = position + (2 if after in ("is", "are", "was", "were") else 1)
        while step < len(words) and words[step] in _ARTICLES:
            step += 1
        noun = words[step] if step < len(words) else ""
        return _NOUNS.get(noun, "which" if word == "which" else "what")
    return "yes-no" if words[start] in _AUXILIARIES and word not in _ENDS else ""


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(asked_for), stored.get(asked_for)
    if len(left) != 1 or len(right) != 1:
        return silent
    if left == right:
        return agree
    if left | right not in _EXCLUSIVE:
        return silent
    if "number" in left | right and _counts(asked) and _counts(stored):
        return silent
    return conflict(left, right)


def _counts(features: Features) -> bool:
    """Whether a text asks for a number in other words: "the population of", "the number of"."""
    return not _COUNTS.isdisjoint(features.words)


_COUNTS = words_of(
    """many number numbers count counts amount population populations percentage percent share total size quantity
    much cost costs price rate limit"""
)

question = Rule("question", _compare)
