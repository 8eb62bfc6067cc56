"""The word lists: what may stand for what without another answer, and what is one of several sisters."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rewording_grammar import ing, third
from rewording_shapes import WORDLISTS

__all__ = ["KINDS", "SISTERS", "THINGS", "Sisters", "Span", "are_synonyms", "with_case_of", "with_synonym"]


def _lines(name: str) -> list[str]:
    text = (WORDLISTS / name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


class Span(NamedTuple):
    """A phrase where it stands in a text."""

    text: str
    start: int
    end: int


class _Phrases:
    """Finds phrases in a text, the longest at each place; much faster than one pattern of all of them."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._by_first: dict[str, list[str]] = defaultdict(list)
        for phrase in sorted({phrase.lower() for phrase in phrases}, key=lambda phrase: (-len(phrase), phrase)):
            self._by_first[_FIRST.match(phrase)[0]].append(phrase)  # type: ignore[index]

    def spans(self, text: str) -> Iterator[Span]:
        lower, end = text.lower(), 0
        for match in _START.finditer(lower):
            if match.start() < end:
                continue
            for phrase in self._by_first.get(match.group(), ()):
                after = match.start() + len(phrase)
                if lower.startswith(phrase, match.start()) and not _GOES_ON.match(lower, after):
                    end = after
                    yield Span(text[match.start() : after], match.start(), after)
                    break


_FIRST = re.compile(r"\w+")
_START = re.compile(r"(?<![\w'/.@-])\w+")
_GOES_ON = re.compile(r"[\w'/@+#-]|\.\w")


def _forms(verb: str) -> tuple[str, str, str, str]:
    """Base, -s, -ing and past of "buy/bought" or of the regular "purchase"; a particle behind the verb stays."""
    base, _, past = verb.strip().partition("/")
    head, _, particle = base.partition(" ")
    behind = f" {particle}" if particle else ""
    regular = head + "d" if head.endswith("e") else head[:-1] + "ied" if _is_y(head) else ing(head)[:-3] + "ed"
    return base, third(head) + behind, ing(head) + behind, past or regular + behind


def _is_y(verb: str) -> bool:
    return verb.endswith("y") and verb[-2:-1] not in "aeiou"


def _synonyms() -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = defaultdict(set)
    only: set[str] = set()
    for line in _lines("synonyms.txt"):
        if line.startswith("only: "):
            for phrase in line[6:].split("|"):
                only.update((phrase.strip(), *_forms(phrase.strip())))
            continue
        names = line.removeprefix("v ").split("|")
        rows = zip(*map(_forms, names), strict=True) if line.startswith("v ") else [tuple(map(str.strip, names))]
        for row in rows:
            for word in row:
                found[word.lower()].update(other for other in row if other != word)
    return {word: tuple(sorted(others)) for word, others in found.items() if word not in only}


_SYNONYMS = _synonyms()
_SYNONYM = _Phrases(_SYNONYMS)


def with_case_of(new: str, old: str) -> str:
    """The new words with a capital where the old ones had one; an acronym is small only in place of small letters."""
    if len(old) > 1 and old.isupper() and old.isalpha():
        return new
    if new.isupper():
        return new.lower() if old.islower() else new
    return new[:1].upper() + new[1:] if old[:1].isupper() else new


def with_synonym(text: str, chance: random.Random) -> str | None:
    matches = list(_SYNONYM.spans(text))
    if not matches:
        return None
    match = chance.choice(matches)
    new = chance.choice(_SYNONYMS[match.text.lower()])
    before = text[: match.start]
    if before.endswith((" a ", "A ")) and new[:1] in "aeio":
        before = before[:-1] + "n "
    elif before.endswith((" an ", "An ")) and new[:1] not in "aeiou":
        before = before[:-2] + " "
    return before + with_case_of(new, match.text) + text[match.end :]


# Words that are near enough to each other that one for the other may keep the answer, and those too vague to matter.
_NEAR = (
    "good great best nice better top awesome excellent perfect ideal effective fine right proper favourite favorite",
    "make earn get generate obtain receive gain create produce build write develop do",
    "see view watch look find show display list give tell print locate search",
    "fix repair solve resolve troubleshoot mend correct handle overcome cure treat remedy",
    "learn study understand know master teach practice",
    "improve increase boost enhance strengthen develop better raise",
    "reduce lower decrease cut lose shed",
    "get rid remove delete erase clear clean eliminate clear destroy",
    "start begin launch create open initiate establish set found",
    "stop quit end avoid prevent finish cease",
    "use utilize apply employ take",
    "buy purchase get order obtain",
    "change modify update edit adjust alter switch replace",
    "method way technique approach means strategy process steps tip tips trick tricks ways methods possible",
    "things stuff items points facts details information data material resources things topics",
    "books novels literature texts resources material",
    "problem issue error trouble difficulty bug fault mistake failure",
    "people someone person persons guys humans individuals men anyone everyone somebody",
    "people's person's human humans individual",
    "reason cause causes reasons purpose explanation why",
    "difference differences distinction similarity",
    "amazing interesting important popular famous known useful helpful common major main key basic great",
    "big large huge great", "small tiny little", "fast quick quickly rapidly easily easy simple simply soon",
    "really actually truly just ever even always usually often ever generally typically exactly basically",
    "website site page blog portal app application platform websites sites apps",
    "company firm business startup companies", "job career work position employment jobs",
    "college university school institute colleges universities institutes", "course class program training courses",
    "city town place area region country location", "money cash funds income", "price cost fee charge rate amount",
    "thing something anything someone", "happen occur become happens", "think believe feel say consider opinion view",
    "want need wish like require should would", "work function operate run", "type kind sort form types kinds",
    "example examples instance", "time moment period point", "exam test exams tests", "phone mobile smartphone cell",
    "prepare study preparation ready", "life world society", "girl woman girlfriend lady women girls", "guy man boy",
    "movie film movies films", "video videos clip", "photo picture photos pictures images image",
    "message text messages texts chat", "account profile id", "call contact reach ring message",
    "answer reply response",
    "question questions query", "live stay reside survive", "become be", "indian india", "american america usa",
    "different various several multiple many some few", "current currently present latest recent new", "old ancient",
    "card cards", "weight fat", "high higher highest", "free freely", "possible able", "likely probable",
)  # fmt: skip
_NEIGHBOURS: dict[str, set[str]] = defaultdict(set)
for _group in _NEAR:
    for _word in _group.split():
        _NEIGHBOURS[_word].update(_group.split())


def are_synonyms(first: str, second: str) -> bool:
    """Whether one may well stand for the other: by the lists, or as another form of the same word."""
    first, second = first.lower(), second.lower()
    if second in _SYNONYMS.get(first, ()) or first in _SYNONYMS.get(second, ()) or second in _NEIGHBOURS[first]:
        return True
    shared = next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(map(len, (first, second)))
    )
    return shared >= min(4, len(first), len(second))


class Sisters:
    """Groups of sisters, found in texts. Each member is one or more names of the same thing."""

    def __init__(self, lines: list[str]) -> None:
        self._groups: list[list[list[str]]] = []
        self._places: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self._names: set[str] = set()
        phrases: set[str] = set()
        for number, line in enumerate(lines):
            head, _, members = line.partition(": ")
            group = [[name.strip() for name in member.split("=")] for member in members.split(" | ")]
            self._groups.append(group)
            for place, names in enumerate(group):
                for name in names:
                    self._places[name.lower()].append((number, place))
                    phrases.add(name)
                    if head.startswith("A "):
                        self._names.add(name.lower())
        self._phrases = _Phrases(phrases)

    def found_in(self, text: str) -> list[Span]:
        """The members that stand in a text, names that are words as well only where they have a capital."""
        is_small = text == text.lower()
        return [
            span
            for span in self._phrases.spans(text)
            if span.text.lower() not in self._names
            or span.text[0].isupper()
            or (is_small and span.text.lower() not in _ALSO_WORDS)
        ]

    def others(self, name: str, text: str) -> Iterator[str]:
        """Sisters of a member that do not stand in the text already, under no name."""
        lower = text.lower()
        for number, place in self._places[name.lower()]:
            for at, names in enumerate(self._groups[number]):
                if at != place and not any(other.lower() in lower for other in names):
                    yield names[0]

    def same(self, name: str) -> list[str]:
        """Other names of the same thing."""
        return [
            other
            for number, place in self._places[name.lower()]
            for other in self._groups[number][place]
            if other.lower() != name.lower()
        ]

    def is_name(self, name: str) -> bool:
        return name.lower() in self._names


_ALSO_WORDS = frozenset(
    [
        "march",
        "may",
        "august",
        "turkey",
        "apple",
        "amazon",
        "go",
        "swift",
        "rust",
        "spring",
        "word",
        "edge",
        "opera",
        "mercury",
        "earth",
        "us",
        "cat",
        "sat",
        "sap",
        "slack",
        "zoom",
        "excel",
        "react",
        "chrome",
        "oracle",
        "safari",
        "ruby",
        "java",
        "friends",
        "phoenix",
        "reading",
        "polish",
        "greek",
        "latin",
        "dell",
        "ford",
        "nike",
        "mars",
        "java",
        "ps4",
        "oxford",
        "cambridge",
        "jan",
        "sept",
        "oct",
        "nov",
        "dec",
        "mark",
        "bob",
        "outlook",
        "viber",
        "avatar",
        "titanic",
        "inception",
        "intel",
        "america",
        "trump",
    ]
)
_GROUPS = (WORDLISTS / "groups.txt").read_text(encoding="utf-8")
SISTERS = Sisters(_lines("groups.txt"))
THINGS = Sisters([line for line in _GROUPS.split("# ---")[0].splitlines() if line and not line.startswith("#")])
KINDS = {line.partition(": ")[0]: line.partition(": ")[2].split(" | ") for line in _lines("kinds.txt")}
