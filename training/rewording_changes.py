"""Small edits of a question after which another answer is right."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from rewording_demands import added_ask, demanded, restricted, unrestricted
from rewording_forms import asked_otherwise, capitalised
from rewording_grammar import gerund, sentences, split_end
from rewording_surface import Edit
from rewording_words import KINDS, SISTERS, are_synonyms, with_case_of

from llmcache_plugins.matching.guards.base import words_of

__all__ = ["CHANGES", "Followers", "other_number"]

_SMALL = words_of(
    "a an the of to in on at for from by with about as is are was were be do does did can could will would should may "
    "i my me we you your it its this that what which who when where why how and or but if not no there they their so "
    "have has had any some many much more most than into them these those also very just only like good best get make "
    "been being being one ones way ways thing things something someone people other others am im dont really actually "
    "please each every after before through while during because since such same still even here then want need"
)
# Behind these stands a noun or what describes one: another noun asks for another thing, another verb is a slip.
_BEFORE_NOUNS = words_of(
    "the a an my your his her their our its of for in with about on at by from some any best good new these those "
    "every into without between and or as many most free"
)
_WORD = re.compile(r"(?<![\w'/.@-])[A-Za-z][a-z]{3,}(?![\w'/@-]|\.\w)")
_NAME = re.compile(r"(?<=[a-z] )(?:[A-Z][a-zA-Z.'-]*[a-z](?: (?=[A-Z]))?){1,4}(?![\w-])")
_NUMBER_WORDS = [
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "twenty",
    "thirty",
    "fifty",
    "hundred",
]


def other_number(text: str, chance: random.Random) -> str | None:
    """One number, year, version, address or identifier with other digits."""
    found = list(re.finditer(r"\d+", text))
    words = [m for m in re.finditer(r"\b[a-z]+\b", text, re.I) if m.group().lower() in _NUMBER_WORDS]
    if words and (not found or chance.random() < 0.3):
        match = chance.choice(words)
        new = chance.choice([word for word in _NUMBER_WORDS if word != match.group().lower()])
        return text[: match.start()] + with_case_of(new, match.group()) + text[match.end() :]
    if not found:
        return None
    match = chance.choice(found)
    new = _other_digits(match.group(), chance)
    return None if new in {m.group() for m in found} else text[: match.start()] + new + text[match.end() :]


def _other_digits(old: str, chance: random.Random) -> str:
    if len(old) > 9:
        at = chance.randrange(len(old))
        return old[:at] + str((int(old[at]) + chance.randint(1, 9)) % 10) + old[at + 1 :]
    value = int(old)
    if len(old) == 4 and 1500 <= value <= 2100:
        new = value + chance.choice((-25, -10, -7, -5, -3, -2, -1, 1, 2, 3, 4, 10))
    elif value < 10:
        new = chance.choice([number for number in range(1, 10) if number != value])
    elif value % 10 == 0 and chance.random() < 0.6:
        new = chance.choice((value * 2, value + 10, value * 10, max(10, value // 2), value + 50, value * 3))
    else:
        new = chance.choice((value + 1, value + 2, max(1, value - 1), value + 10, max(1, value - 3), value * 2))
    return str(new).zfill(len(old)) if old.startswith("0") else str(new)


def other_sister(text: str, chance: random.Random) -> str | None:
    found = SISTERS.found_in(text)
    chance.shuffle(found)
    for span in found:
        others = list(SISTERS.others(span.text, text))
        if others:
            new = chance.choice(others)
            new = new if SISTERS.is_name(span.text) else with_case_of(new, span.text)
            if span.text.islower() and text.islower():
                new = new.lower()
            return _with_article(text[: span.start], new) + text[span.end :]
    return None


def _with_article(before: str, new: str) -> str:
    if before.endswith((" a ", "A ")) and new[:1].lower() in "aeio":
        before = before[:-1] + "n "
    elif before.endswith((" an ", "An ")) and new[:1].lower() not in "aeiou":
        before = before[:-2] + " "
    return before + new


class Followers:
    """Words and names that follow the same word in a body of questions."""

    def __init__(self, questions: Sequence[str]) -> None:
        words: dict[tuple[str, str], set[str]] = defaultdict(set)
        names: dict[str, set[str]] = defaultdict(set)
        for question in questions:
            for before, word in pairwise(question.split()):
                core = word.strip("?.,!:;()\"'")
                if _WORD.fullmatch(core) and core.lower() not in _SMALL and core == core.lower():
                    words[before.lower(), _ending(core)].add(core)
            if not question.istitle():
                for match in _NAME.finditer(question):
                    names[question[: match.start()].split()[-1].lower()].add(match.group())
        self._words: Mapping[tuple[str, str], list[str]] = {key: sorted(found) for key, found in words.items()}
        self._names: Mapping[str, list[str]] = {key: sorted(found) for key, found in names.items()}

    def other_word(self, text: str, chance: random.Random) -> str | None:
        found = [match for match in _WORD.finditer(text) if match.start() and match.group().islower()]
        chance.shuffle(found)
        for match in found:
            word = match.group()
            if word in _SMALL:
                continue
            before = text[: match.start()].split()
            others = self._words.get((before[-1].lower(), _ending(word)), []) if before else []
            if len(others) < 2 or before[-1].lower() not in _BEFORE_NOUNS:
                continue
            new = chance.choice(others)
            if not are_synonyms(word, new) and new not in text.lower():
                return text[: match.start()] + new + text[match.end() :]
        return None

    def other_name(self, text: str, chance: random.Random) -> str | None:
        """A name exchanged for another that follows the same word elsewhere; with no word in common."""
        found = [] if text.istitle() else list(_NAME.finditer(text))
        if not found:
            return None
        match = chance.choice(found)
        own = words_of(match.group().lower())
        others = self._names.get(text[: match.start()].split()[-1].lower(), [])
        others = [name for name in others if not words_of(name.lower()) & own and name not in text]
        return text[: match.start()] + chance.choice(others) + text[match.end() :] if others else None


def _ending(word: str) -> str:
    for ending in ("ing", "ed", "ly", "s"):
        if word.endswith(ending) and not word.endswith("ss"):
            return ending
    return ""


_WHEN = re.compile(r"\b(how|why|when|where) (do|does|did|should|can|could|is|are|was|were|will|would) (?=\w)", re.I)
_PLACED = re.compile(
    r"\b(?:get|buy|find|watch|download|learn|contact|meet|hire|see|purchase|know|tell|apply|read)\b", re.I
)


def other_question_word(text: str, chance: random.Random) -> str | None:
    matches = list(_WHEN.finditer(text))
    if not matches:
        return None
    match = matches[-1]
    old, rest = match[1].lower(), text[match.end() :]
    new = {"how": ["when", "where", "why"], "why": ["when", "where"], "when": ["why", "how", "where"]}.get(
        old, ["when", "why"]
    )
    if _PLACED.search(rest) and old == "how":
        new = ["when", "why"]
    if old == "how" and match[2].lower() in ("does", "is", "did"):
        new = ["when", "where"]
    return text[: match.start()] + with_case_of(chance.choice(new), match[1]) + text[match.end(1) :]


_NEGATIONS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.I), new)
    for pattern, new in (
        (r"(?<=\w )(that|which|who) (are|is|were|was|can|could|will|should) (?!not\b)", r"\1 \2 not "),
        (r"\b(that|who) have (?!not\b)", r"\1 do not have "),
        (r"\bwhy (do|did) (\w+) (?!not\b)(?=[a-z]+ )", r"why \1 \2 not "),
        (r"\bwhy (does|do|did|is|are|was|were|would|should) (?=\w)", r"why \1n't "),
        (r"\bwhy (?:can't|cannot|can not) (?=i\b|we\b|you\b)", "why can "),
        (r"\bwhat should i (?=do|eat|say|wear|know|buy|learn|take|include|bring|use|drink|study|write)",
        "what should i not "),
        (r"\bwhat (foods?|things|drinks?|mistakes|words|topics) should i (?=\w)", r"what \1 should i not "),
        (r"\bwithout (?=\w)", "with "), (r"(?<=\w )with (?=(?:an?|the|my) )", "without "),
        (r"(?<=\w) (?:don't|do not) (?=[a-z]+)", " "), (r"(?<=\w) (?:doesn't|does not) (?=[a-z]+)", " does "),
        (r"(?<=\w) (?:isn't|is not) (?=[a-z]+)", " is "), (r"(?<=\w) (?:aren't|are not) (?=[a-z]+)", " are "),
        (r"(?<=\w) (?:can't|cannot|can not) (?=[a-z]+)", " can "), (r"(?<=\w) (?:won't|will not) (?=[a-z]+)", " will "),
        (r"(?<!or) not (?=[a-z])", " "), (r"(?<=\w )never (?=\w)", "always "), (r"(?<=\w )always (?=\w)", "never "),
        (r"(?<=\w )no longer (?=\w)", "still "),
        (r"\bit (normal|safe|possible|legal|good|healthy|ok|okay|bad) not to\b", r"it \1 to"),
        (r"\bis it (normal|ok|okay|bad|rude|wrong) to (?!not)", r"is it \1 not to "), (r"\bhow to (?!not)(?=[a-z]+ )",
        "how not to "),
    )
)  # fmt: skip
_HOW_I = re.compile(
    r"\b(how (?:do|can|should|could) i|how to|should i) (?!not|stop|avoid|prevent|get rid)(?P<vp>[a-z]{3,} .+)$", re.I
)


def negated(text: str, chance: random.Random) -> str | None:
    """A "not" put in or taken out, or something avoided instead of done."""
    *before, last = sentences(text)
    bare, mark = split_end(last)
    match = _HOW_I.search(bare)
    if match and chance.random() < 0.5 and (doing := gerund(match["vp"])):
        new = bare[: match.start("vp")] + chance.choice(("avoid ", "avoid ", "stop ")) + doing
        return " ".join([*before, new + mark])
    edits = list(_NEGATIONS)
    chance.shuffle(edits)
    for pattern, new in edits:
        edited = pattern.sub(new, text, count=1)
        if edited != text:
            return capitalised(edited) if text[:1].isupper() else edited
    return None


_NP = r"(?:(?:the|a|an|my) )?[\w.+#'-]+"
_MORE = r"(?:(?:the|a|an|my) )?[\w.+#'-]+(?: (?=[A-Z])[\w.+#'-]+)?"
_END = r"(?=$|[?,.]| (?:on|in|at|by|for|with|using|without|that|and|after|before)\b)"
_A, _B = rf"(?P<a>{_NP})", rf"(?P<b>{_NP}){_END}"
_ACTS = (
    "affect|cause|beat|defeat|support|replace|love|hate|like|help|kill|attack|invade|lead to|influence|own|acquire|buy"
)
_COMPARED = "better|worse|faster|slower|bigger|older|cheaper|safer|heavier|taller|stronger|more \\w+|less \\w+"
_EXCHANGES = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        rf"\bfrom (?P<a>{_MORE}) (?:in)?to (?P<b>{_MORE}){_END}",
        rf"{_A} (?:instead of|rather than) {_B}",
        rf"\b(?:convert|change) {_A} (?:in)?to {_B}",
        rf"\b(?:effects?|impact|influence|role) of {_A} (?:on|in) {_B}",
        rf"{_A} (?:{_COMPARED}) than {_B}",
        rf"\b(?:does|do|did|can|will|why does|how does) {_A} (?:{_ACTS}) {_B}",
        rf"{_A} (?:affects?|causes?|defeated|beat|supports?|replaces?|attacked|invaded) {_B}",
        rf"\b(?:replace|substitute|mount|attach|connect|map|bind) {_A} (?:with|to|for|on) {_B}",
        rf"{_A} (?:before|after) (?P<b>[\w.+#'-]+(?:ing)?)$",
        rf"\btranslate .*?{_A} to {_B}",
    )
)
_NO_ARGUMENT = words_of(
    "it them this that me him her us i you what is are do does all one there the a my time or and not"
)


def exchanged(text: str, chance: random.Random) -> str | None:
    """The two arguments of a relation that has a direction change places."""
    for pattern in _EXCHANGES:
        match = pattern.search(text)
        if not match or "distance" in text.lower() or "how far" in text.lower():
            continue
        first, second = match["a"], match["b"]
        if first.lower() == second.lower() or {first.lower(), second.lower()} & _NO_ARGUMENT:
            continue
        middle = text[match.end("a") : match.start("b")]
        return text[: match.start("a")] + second + middle + first + text[match.end("b") :]
    return None


_SCOPES = (
    ("all", ("only the first", "none of", "half of")), ("any", ("every",)), ("every", ("the first",)),
    ("each", ("only one",)), ("some", ("all",)), ("only", ("not only", "also")), ("both", ("neither of", "one of")),
    ("most", ("all", "few")), ("many", ("few",)), ("always", ("sometimes", "never")), ("often", ("rarely",)),
    ("usually", ("rarely",)), ("everyone", ("no one",)), ("everything", ("nothing",)), ("anyone", ("everyone",)),
    ("except", ("including",)), ("including", ("except",)), ("with", ("without",)), ("before", ("after",)),
    ("after", ("before",)), ("inside", ("outside",)), ("over", ("under",)), ("during", ("before", "after")),
    ("between", ("outside of",)), ("my", ("my neighbor's", "my boss's")), ("current", ("previous", "next")),
)  # fmt: skip
_QUALITIES = (
    "free", "used", "portable", "open source", "vegan", "organic", "online", "wireless", "second-hand", "electric",
    "secondary", "temporary", "private", "public", "foreign", "German", "old", "paid", "hidden", "empty", "waterproof",
    "small", "red", "disabled", "encrypted", "remote", "cheap", "Japanese", "outdoor", "medieval", "18th-century",
)  # fmt: skip


def scoped(text: str, chance: random.Random) -> str | None:
    """A word of scope exchanged, or a quality that narrows what is asked for."""
    edits = list(_SCOPES)
    chance.shuffle(edits)
    for old, new in edits:
        if re.search(rf"\b{old}\b(?! of)", text) and (
            old not in ("over", "my", "most", "between") or chance.random() < 0.3
        ):
            return re.sub(rf"\b{old}\b", chance.choice(new), text, count=1)
    match = re.search(r"\b(?:best|good|cheapest|great|of the|buy an?|make an?|find an?) (?=[a-z]{4,}\b)", text)
    if match is None or re.match(r"(?:ways?|things?|time|thing|people|part|idea|method|place)\b", text[match.end() :]):
        return None
    before = re.sub(r"\b(buy|make|find) an?\b", r"\1 a", text[: match.end()])
    quality = chance.choice(_QUALITIES)
    return _with_article(before, quality) + " " + text[match.end() :]


_MODAL = (
    (r"\bwho is the (?!best|most|first)", ("who was the first ", "who will be the next ", "who was the previous ")),
    (r"(?<!what )(?<!how )(?<!where )\bcan i\b", ("should i", "do i have to")),
    (r"(?<!what )(?<!how )(?<!where )\bshould i\b", ("can i", "do i have to")),
    (r"\bdo i (?:have|need) to\b", ("can i", "am i allowed to")), (r"\bis it (legal|safe|possible|necessary) to\b",
    ("is it fun to", "is it common to")),
    (r"\bwill (?=(?:the|a|i|he|she|it|they|we|there|india|trump)\b)", ("did ",)),
    (r"\bdid (?=(?:the|i|he|she|it|they|we)\b)", ("will ",)),
    (r"\bwhat will happen\b", ("what happened",)), (r"\bwas the (?=first|last)", ("will be the ",)),
    (r"\bhow (?:do|can) i\b", ("why should i", "when should i", "why can't i")), (r"\bis there (?=an?\b|any\b)",
    ("why is there no ", "was there ever ")),
    (r"\bwhat are the (?=[a-z]+s\b)", ("how many are the ", "who found the ", "why are there ")),
    (r"\bwhere can i\b", ("when can i", "why can't i")), (r"\bwho was\b", ("who will be",)), (r"\bwhat was\b",
    ("what will be",)),
)  # fmt: skip


def other_mode(text: str, chance: random.Random) -> str | None:
    """Another tense, or a may for a must."""
    edits = list(_MODAL)
    chance.shuffle(edits)
    for old, new in edits:
        match = re.search(old, text, re.I)
        if match:
            return text[: match.start()] + with_case_of(chance.choice(new), match.group()) + text[match.end() :]
    return None


_ATTRIBUTES = words_of(
    "capital population currency history flag climate size age price weight length height origin name"
)
_PLURALS = words_of(
    "advantages disadvantages symptoms causes types uses parts risks examples members requirements stages"
)
_ASPECT = re.compile(r"\bthe (" + "|".join(sorted(_ATTRIBUTES | _PLURALS)) + r") of\b", re.I)


def other_aspect(text: str, chance: random.Random) -> str | None:
    match = _ASPECT.search(text)
    if not match:
        return None
    family = _ATTRIBUTES if match[1].lower() in _ATTRIBUTES else _PLURALS
    new = chance.choice(sorted(family - {match[1].lower()}))
    return text[: match.start(1)] + new + text[match.end(1) :]


_KINDS_OF = {kind.lower(): noun for noun, kinds in KINDS.items() for kind in kinds}
_KIND = re.compile(
    r"\b(a|an|my|the|your) ("
    + "|".join(sorted([*_KINDS_OF, *KINDS], key=lambda k: (-len(k), k)))
    + r")\b(?! \w+ (?:is|are))",
    re.I,
)


def other_kind(text: str, chance: random.Random) -> str | None:
    """A noun made narrower or wider."""
    matches = list(_KIND.finditer(text))
    if not matches:
        return None
    match = chance.choice(matches)
    noun = match[2].lower()
    new = chance.choice(KINDS[noun]) if noun in KINDS else _KINDS_OF[noun]
    if new.lower() in text.lower():
        return None
    return _with_article(text[: match.start(2)], new) + text[match.end() :]


def second_dropped(text: str, chance: random.Random) -> str | None:
    """One of two questions left out."""
    parts = [part for part in sentences(text) if part.endswith("?") and len(part.split()) >= 5]
    if len(parts) < 2:
        return None
    gone = chance.choice(parts)
    rest = [part for part in sentences(text) if part != gone]
    return " ".join(rest) or None


def changes_for(followers: Followers) -> list[tuple[Edit, float]]:
    return [(followers.other_word, 1.0), (followers.other_name, 2.5), *CHANGES]


CHANGES: tuple[tuple[Edit, float], ...] = (
    (other_number, 6.0), (other_sister, 4.0), (asked_otherwise, 1.5), (other_question_word, 0.8), (negated, 2.0),
    (exchanged, 25.0), (scoped, 1.0), (restricted, 0.5), (unrestricted, 1.5), (other_aspect, 15.0), (other_mode, 1.0),
    (demanded, 0.25), (added_ask, 0.2), (second_dropped, 1.0), (other_kind, 4.0),
)  # fmt: skip
