"""The little grammar that program-made rewordings need: sentences, gerunds, third person, indirect questions."""

from __future__ import annotations

import re
from collections.abc import Callable

from llmcache_plugins.matching.guards.base import words_of

__all__ = [
    "decapitalised", "embedded", "gerund", "ing", "possessive", "sentences", "split_end", "starts_question", "third",
]  # fmt: skip

_DOUBLED = words_of(
    "get set put run stop plan cut sit win swim begin forget shop chat log drop ship trim grab hit let quit skip spot "
    "tap zip unzip dig rub wrap map plug unplug submit commit admit refer transfer prefer control reset debug pop rip "
    "swap tag pin unpin scan ban slim snap step strip slip flip bid bet jog hug spin shut mop chop scrub clip knit dip "
    "fit pat pet blog vlog wed program upset tan cram equip occur regret split rid slap stir star scar bar jam"
)
_IRREGULAR_ING = {"be": "being", "die": "dying", "lie": "lying", "tie": "tying", "see": "seeing", "dye": "dyeing"}
_LY_VERBS = words_of("apply reply supply rely fly comply multiply imply bully")
_ADVERBS = words_of("safely quickly easily permanently properly manually completely fully really best just")
# Words that are verbs wherever they follow "does <something>": they tell where the subject ends.
_VERBS = (
    "mean|work|works|cost|take|need|require|have|want|make|do|use|support|contain|include|happen|affect|cause|get|give|"
    "become|feel|look|taste|smell|exist|matter|apply|allow|believe|think|say|know|run|live|go|come|start|begin|end|last|"
    "open|close|offer|provide|help|keep|earn|pay|like|love|hate|belong|stand|differ|compare|refer|eat|drink|sleep|grow|"
    "produce|form|travel|move|depend|lead|accept|treat|play|sell|weigh|hurt|rotate|receive|send|consist|owe|own|spend"
)
_DOES = re.compile(rf"^(?P<wh>.*?\b)does (?P<np>\S+(?: \S+){{0,5}}?) (?P<v>{_VERBS})\b(?P<rest>.*)$", re.I)
_WH = r"(?:what|which|who|whose|where|when|why|how)"
_DO = re.compile(rf"^(?P<wh>{_WH}(?: [\w'-]+){{0,4}}?) do (?P<rest>(?!not\b|n't)\S+ .+)$", re.I)
_MODAL = re.compile(
    rf"^(?P<wh>{_WH}(?: [\w'-]+){{0,4}}?) (?P<m>can|could|should|will|would|must|am) "
    r"(?P<who>i|you|we|they|he|she|it|people|one|someone)(?P<rest> .+)$",
    re.I,
)
_BE = re.compile(r"^(?P<wh>what|who|where) (?P<be>is|are|was|were) (?P<np>\S+(?: \S+){0,6})$", re.I)
_SUBJECT = re.compile(
    r"^(?:who|what|which [\w-]+|what [\w-]+|how many [\w-]+) (?:wrote|invented|founded|discovered|painted|directed|"
    r"composed|designed|created|owns|runs|won|causes?|happens|happened|has|have|had|makes|makes?|built|killed|plays?|"
    r"played|sang|sings|started|lives?|borders?|contains?|uses?|supports?) .+$",
    re.I,
)
_POLAR = (
    (re.compile(r"^(can|could|should|will|would|must) (i|we|they|he|she|it|people|one) (.+)$", re.I), r"\2 \1 \3"),
    (re.compile(r"^(is|are|was|were) (there|it|this|that|these|those|they|he|she|you|we) (.+)$", re.I), r"\2 \1 \3"),
    (re.compile(r"^am i (.+)$", re.I), r"i am \1"),
    (re.compile(r"^do ((?!not\b)\S+ .+)$", re.I), r"\1"),
)
_NO_SIMPLE = re.compile(
    r"\b(that|which|who|when|if|because|while|going|being|used|called|like|doing|and|or|but)\b|[,:;]"
)
_OPENING = re.compile(
    r"^(?:what|which|who|whose|whom|where|when|why|how|is|are|was|were|am|do|does|did|can|could|should|will|would|may|"
    r"must|has|have|had|isn't|aren't|don't|doesn't|can't|in what|in which|at what|by whom|what's|who's|where's)\b",
    re.I,
)


_BETWEEN = re.compile(r"(?<=[.?!])(?<!\bSt\.)(?<!\bMr\.)(?<!\bDr\.)(?<!\bMrs\.)(?<!\bvs\.)(?<![ .][A-Za-z]\.)\s+(?=\S)")


def sentences(text: str) -> list[str]:
    return [part for part in _BETWEEN.split(text.strip()) if part]


def split_end(sentence: str) -> tuple[str, str]:
    """The sentence without its closing marks, and the marks."""
    bare = sentence.rstrip(" ?.!")
    return bare, sentence[len(bare) :].strip()


def starts_question(text: str) -> bool:
    return _OPENING.match(text) is not None


def decapitalised(text: str) -> str:
    """With a small first letter, unless the first word is a name, a short form or "I"."""
    first, _, _ = text.partition(" ")
    if first[1:] != first[1:].lower() or first in ("I", "I'm", "I'd", "I've", "I'll") or any(map(str.isdigit, first)):
        return text
    return text[:1].lower() + text[1:] if _KNOWN_OPENING.match(text) else text


_KNOWN_OPENING = re.compile(
    _OPENING.pattern + r"|^(?:the|a|an|my|your|our|their|this|that|these|those|if|please|show|tell|give|find|list|"
    r"display|explain|help|steps|is|best|good|price|cost|number|in|on|at|for|with|any|some|there|it|i|we|you|they|"
    r"according|during|between|from|after|before|people|describe|search|print|delete|remove|create|convert)\b",
    re.I,
)


_NO_OWNER = re.compile(r"[,;:()?\"']|\b(?:of|in|on|at|for|to|that|which|who|and|or|with|from)\b")


def gerund(phrase: str) -> str | None:
    """ "set up a server" -> "setting up a server"; None where the first word is no plain verb."""
    words = phrase.split()
    at = 1 if len(words) > 1 and (words[0] in _ADVERBS or words[0].endswith("ly")) and words[0] not in _LY_VERBS else 0
    verb = words[at]
    if not verb.isalpha() or not verb.islower() or " and " in phrase or " or " in phrase or verb == "not":
        return None
    words[at] = ing(verb)
    return " ".join(words)


def ing(verb: str) -> str:
    if verb in _IRREGULAR_ING:
        return _IRREGULAR_ING[verb]
    if verb in _DOUBLED:
        return verb + verb[-1] + "ing"
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return verb[:-1] + "ing"
    return verb + "ing"


def third(verb: str) -> str:
    if verb in ("have", "do", "go"):
        return {"have": "has", "do": "does", "go": "goes"}[verb]
    if verb.endswith("y") and verb[-2:-1] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else "s")


def possessive(noun: str) -> str | None:
    """ "the red car" -> "the red car's"; None for what is too long to own something."""
    if len(noun.split()) > 3 or _NO_OWNER.search(noun):
        return None
    return noun + ("'" if noun.endswith("s") else "'s")


def embedded(question: str) -> str | None:
    """The indirect question ("why cats purr") of a direct one without its mark; None where no rule fits."""
    for rule in _RULES:
        found = rule(question)
        if found is not None:
            return found
    return None


def _how_to(question: str) -> str | None:
    match = re.match(r"^(how|where) (?:do|can|should|could|would) (?:i|we) (?!(?:not|never)\b)(.+)$", question, re.I)
    if match:
        return f"{match[1].lower()} to {match[2]}"
    return question if re.match(r"^(how|where|what|when) to ", question, re.I) else None


def _with_do(question: str) -> str | None:
    match = _DO.match(question)
    return f"{match['wh']} {match['rest']}" if match else None


def _with_does(question: str) -> str | None:
    match = _DOES.match(question)
    if not match or (match["wh"] and not re.match(_WH, match["wh"], re.I)) or " to" in match["np"]:
        return None
    wh = match["wh"] or "whether "
    return f"{wh}{match['np']} {third(match['v'])}{match['rest']}"


def _with_modal(question: str) -> str | None:
    match = _MODAL.match(question)
    return f"{match['wh']} {match['who']} {match['m']}{match['rest']}" if match else None


def _with_be(question: str) -> str | None:
    match = _BE.match(question)
    if not match or _NO_SIMPLE.search(match["np"]) or match["np"].split()[-1].endswith(("ed", "ing", "for", "to")):
        return None
    if match["np"].split()[0].lower() in _NO_SUBJECT:
        return None
    return f"{match['wh']} {match['np']} {match['be']}"


_NO_SUBJECT = words_of("some it there this that in on at of for to with about under over wrong so not")


def _as_subject(question: str) -> str | None:
    return question if _SUBJECT.match(question) else None


def _polar(question: str) -> str | None:
    for pattern, form in _POLAR:
        if pattern.match(question) and not re.search(r" or (?!not\b)", question):
            return "whether " + pattern.sub(form, question)
    return None


_RULES: tuple[Callable[[str], str | None], ...] = (
    _how_to, _as_subject, _with_modal, _with_does, _with_do, _with_be, _polar,
)  # fmt: skip
