"""Finds the shape of a question and gives it another form of the same shape, or another shape of the same parts."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from rewording_grammar import decapitalised, gerund, possessive, sentences, split_end, starts_question
from rewording_shapes import SHAPES, Shape

from llmcache_plugins.matching.guards.base import words_of

__all__ = ["Found", "asked_otherwise", "capitalised", "found_in", "reshaped", "with_mark"]

_STATIVE = words_of(
    "know tell feel think understand believe say be deal look like love see cope handle not have become want"
)
_VERB = re.compile(r"^[a-z]{2,}\b")
_NOT_VERBS = words_of("the a an my your it this that in on at of to for with and or so such much many long i")
_PATTERNS = [(shape, pattern) for shape in SHAPES for pattern in shape.patterns]
_NEUTRAL = ("how do i {vp}?", "how can i {vp}?", "how to {vp}", "how to {vp}?", "tell me how to {vp}")
_SECOND_ASK = re.compile(
    r"\b(?:and|or|but) (?:what|how|why|who|when|where|which|is|are|do|does|can|should|will)\b", re.I
)
_MOST_WORDS = {"vp": 16, "ving": 16, "s": 16, "x": 14, "np": 5, "a": 5, "b": 6, "y": 6, "tail": 5, "n": 4, "where": 6}
_YOURS = (("yourself", "myself"), ("yours", "mine"), ("your", "my"))
_OTHERS = re.compile(r"\b(?:one's|oneself|their|they|them|his|her|our|ourselves|us|we)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """A shape in one sentence of a text, and the sentences around it."""

    shape: Shape
    parts: Mapping[str, str]
    before: str
    after: str


@lru_cache(maxsize=200_000)
def found_in(text: str) -> Found | None:
    """The shape of the last sentence that has one."""
    parts = sentences(text)
    for at in reversed(range(len(parts))):
        bare, _ = split_end(parts[at])
        bare = decapitalised(bare)
        for shape, pattern in _PATTERNS:
            match = pattern.match(bare)
            slots = _slots(match) if match else None
            if slots is not None:
                return Found(shape, slots, " ".join(parts[:at]), " ".join(parts[at + 1 :]))
    return None


def _slots(match: re.Match[str]) -> dict[str, str] | None:
    """The parts of a match; None where one is longer than a form can bear, or is no verb where it has to be."""
    slots = {name: value.strip() for name, value in match.groupdict().items() if value}
    if "tail" in slots:
        slots["tail"] = " " + slots["tail"]
    if any(len(value.split()) > _MOST_WORDS.get(name, 20) for name, value in slots.items()):
        return None
    if "ving" in slots or any(_SECOND_ASK.search(value) for value in slots.values()):
        return None
    if "vp" in slots:
        who = slots.get("who", "i").lower()
        phrase = _mine(slots["vp"], who) if who in _ANYONE else slots["vp"]
        first = phrase.split()[0] if phrase else ""
        if phrase is None or phrase.startswith("go about") or not _VERB.match(phrase) or first in _NOT_VERBS:
            return None
        slots["vp"] = phrase
        doing = gerund(phrase)
        if doing is not None:
            slots["ving"] = doing
    if "x" in slots and (owned := possessive(slots["x"])):
        slots["xs"] = owned
    slots.setdefault("tail", "")
    return slots


_ANYONE = ("i", "we", "you", "one", "people", "someone", "somebody", "anyone")


def _mine(phrase: str, who: str) -> str | None:
    """What "you" or "one" does, as what I do; None where the pronouns inside would no longer fit."""
    if who == "i":
        return phrase
    if who == "you":
        if re.search(r"\byou\b|^(?:want|feel|think|like|define|rate|see)\b", phrase, re.IGNORECASE):
            return None
        for yours, mine in _YOURS:
            phrase = re.sub(rf"\b{yours}\b", mine, phrase, flags=re.IGNORECASE)
        return phrase
    return None if _OTHERS.search(phrase) else phrase


def reshaped(text: str, chance: random.Random) -> str | None:
    """The text in another form of its shape."""
    found = found_in(text)
    return _put(found, found.shape, chance, text) if found else None


def _put(found: Found, shape: Shape, chance: random.Random, text: str) -> str | None:
    parts = dict(found.parts)
    forms: Sequence[str] = shape.forms
    if shape.name == "how to" and parts["vp"].split()[0] in _STATIVE:
        forms = _NEUTRAL
    if shape.is_symmetric and chance.random() < 0.5 and not re.search(r"\b(?:in|of|on|at) ", parts["a"]):
        parts["a"], parts["b"] = parts["b"], parts["a"]
    fitting = [form for form in forms if _names(form) <= parts.keys()]
    if not fitting:
        return None
    new = chance.choice(fitting).format_map(parts)
    if found.after and new[-1] not in "?.":
        new += "."
    new = " ".join(part for part in (found.before, capitalised(new) if found.before else new, found.after) if part)
    return None if new.casefold().rstrip("?. ") == text.casefold().rstrip("?. ") else new


@cache
def _names(form: str) -> set[str]:
    return set(re.findall(r"{(\w+)}", form))


# Shapes that ask something else of the same part: of what I do, and of a thing.
_OF_DOING = (
    "how to", "price of doing", "duration", "should", "need to", "frequency", "experience", "safe", "reason of mine",
)  # fmt: skip
_OF_THINGS = (
    "price", "meaning", "workings", "use", "duration of a thing", "where to get", "attribute", "attributes",
    "who invented", "who owns",
)  # fmt: skip
_FILLED = {
    "safe": {"x": ("safe", "legal", "illegal", "healthy", "worth it", "difficult", "normal")},
    "where to get": {"v": ("buy", "find", "download", "see")},
    "attribute": {"n": ("history", "name", "location", "status", "origin", "structure", "importance", "size", "age")},
    "attributes": {"n": ("advantages", "disadvantages", "risks", "parts", "types", "uses", "requirements")},
}  # fmt: skip
_NAMED = {shape.name: shape for shape in SHAPES}


def asked_otherwise(text: str, chance: random.Random) -> str | None:
    """Something else asked about the same ("how much does it cost to ...", where it was "how do I ...")."""
    found = found_in(text)
    if found is None:
        return None
    family = _OF_DOING if found.shape.name in _OF_DOING else _OF_THINGS if found.shape.name in _OF_THINGS else ()
    if found.shape.name in ("possible", "best", "good ones"):
        family = _OF_DOING[1:3] if found.shape.name == "possible" else ("price", "where to get", "attribute")
    others = [name for name in family if name != found.shape.name]
    if not others or ("vp" in found.parts and found.parts["vp"].split()[0] in _STATIVE):
        return None
    name = chance.choice(others)
    parts = dict(found.parts)
    if found.shape.name in ("best", "good ones") and "x" in parts:
        parts["x"] = "the best " + parts["x"] if found.shape.name == "best" else "good " + parts["x"]
        parts.pop("xs", None)
    for slot, values in _FILLED.get(name, {}).items():
        parts[slot] = chance.choice([value for value in values if value != parts.get(slot)])
    return _put(Found(found.shape, parts, found.before, found.after), _NAMED[name], chance, text)


def capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def with_mark(text: str, chance: random.Random) -> str:
    """With a question mark where a question lacks one, most of the time."""
    if text[-1:] in "?.!" or not starts_question(decapitalised(sentences(text)[-1] if text.strip() else "")):
        return text
    return text + "?" if chance.random() < 0.75 else text
