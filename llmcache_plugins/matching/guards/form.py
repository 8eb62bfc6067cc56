"""What a text asks of the answer's form: its language, format, length and style, the reader, further instructions.

What only one of the texts asks for is a conflict too: an answer in prose is none for who wants JSON, or it in French.
Where people leave a wish out without changing what they want ("in detail", "for beginners"), only two different wishes
of one kind are.
"""

from __future__ import annotations

from typing import NamedTuple

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of
from llmcache_plugins.matching.guards.language import is_english

__all__ = ["Requests", "form", "requests_in"]

_VALUES: dict[str, tuple[str, str]] = {
    word: (kind, sides.split()[0])
    for kind, lines in {
        "language": """
            french français französisch|german deutsch allemand|spanish español spanisch espagnol|italian italiano
            |portuguese português|dutch nederlands|english englisch anglais inglés|swedish|danish|norwegian|finnish
            |polish|czech|hungarian|romanian|bulgarian|greek|turkish|russian|ukrainian|arabic|hebrew|persian farsi
            |hindi|urdu|bengali|tamil|telugu|marathi|gujarati|punjabi|malayalam|kannada|chinese mandarin|cantonese
            |japanese|korean|vietnamese|thai|indonesian|malay|tagalog|swahili|latin|esperanto|catalan|irish|welsh""",
        "code": """
            python python3|java|javascript js|typescript|c|c++ cpp|c#|go golang|rust|ruby|php|perl|kotlin|swift|scala
            |haskell|lua|r|matlab|julia|bash|powershell|sql|vba|fortran|cobol|lisp|clojure|elixir|dart|pascal|delphi""",
        "format": """
            json|xml|yaml|csv|html|markdown|latex|table tabular|bullet bullets|diagram|haiku|poem|essay|tweet|limerick
            |sonnet|dialogue|checklist|flowchart|pseudocode|emoji emojis""",
        "style": """
            formal|informal casual|friendly|professional|humorous funny witty|sarcastic|academic|poetic|neutral
            |persuasive|simple simpler plain layman laymen layman's laymans|technical|optimistic""",
        "length": "short briefly brief concise concisely succinct succinctly nutshell|long detailed detail depth",
        "reader": """
            child kid children kids toddler|beginner beginners novice dummies newbie newbies|expert experts specialist
            |teenager|senior seniors""",
    }.items()
    for sides in " ".join(lines.split()).split("|")
    for word in sides.split()
}
_ALWAYS = words_of("briefly concisely succinctly")  # length without another word beside it
_ONE_SIDED = frozenset({"language", "code", "format", "style"})
_BEFORE = {
    "language": words_of("in into auf ins en em"),
    "code": words_of("in using"),
    "format": words_of("as in into of using"),
    "length": words_of("in be is more answer keep"),
    "reader": words_of("for to"),
}
_BETWEEN = words_of("a an the my great full more very form format single markdown proper valid numbered")
_BEHIND_STYLE = words_of("tone style terms words manner language way english voice")
_BEHIND_FORMAT = words_of("format form syntax")
_BEHIND_LANGUAGE = words_of(
    """language please and or to for with only not by from on at when if , . ? programming code instead without using
    the a format how what"""
)
_INSTRUCTING = {  # a sentence that begins so, and goes on so ("": in any way)
    begin: words_of(behind)
    for begin, behind in {
        "please": "respond ensure use write limit include avoid organize organise format present keep make do",
        "make": "sure", "be": "sure", "do": "not", "don't": "use include mention write", "say": "", "ensure": "",
        "respond": "", "response": "",
        "format": "", "limit": "", "include": "", "incorporate": "", "avoid": "", "present": "", "structure": "",
        "your": "answer response reply story essay text output",
        "the": "answer response output", "each": "sentence paragraph line bullet explanation answer word section",
        "every": "sentence paragraph line bullet answer word",
    }.items()
}  # fmt: skip
_CONNECTING = words_of("additionally furthermore moreover lastly also")
_SUBJECTS = words_of(
    """the a an there she he it they we i you this that these those if when his her its their my your in on at for
    some all many most one no any what how why is are do does can"""
)
_UNITS = words_of("word words sentence sentences line lines paragraph paragraphs")
_MARKS = frozenset({".", "?"})
_REACH = 5  # words between a preposition and what it brings, at most


class Requests(NamedTuple):
    """Kind -> what is asked for; how many sentences after the first instruct."""

    wishes: dict[str, frozenset[str]]
    instructions: int


_NONE = Requests({}, 0)


def requests_in(features: Features) -> Requests:
    """What an English text, or one that names a language for the answer, wishes for."""
    words = features.words
    found: dict[str, set[str]] = {}
    instructions = 0
    for position, word in enumerate(words):
        if word in _VALUES:
            kind, value = _VALUES[word]
            if _is_wish(words, position, kind):
                found.setdefault(kind, set()).add(value)
        elif word in _UNITS and (size := _size(words, position)):
            found.setdefault("size", set()).add(size)
        elif word in _MARKS and position + 2 < len(words):
            instructions += _instructs(words[position + 1 : position + 4])
    if not found and not instructions:
        return _NONE
    if not is_english(features):
        found = {kind: values for kind, values in found.items() if kind == "language"}
        instructions = 0
    return Requests({kind: frozenset(values) for kind, values in found.items()}, instructions)


def _is_wish(words: tuple[str, ...], position: int, kind: str) -> bool:
    word, after = words[position], words[position + 1] if position + 1 < len(words) else "."
    if kind == "style":
        return after in _BEHIND_STYLE or word.startswith("layman")
    if kind == "format" and after in _BEHIND_FORMAT:
        return True
    if kind == "length" and word in _ALWAYS:
        return True
    if kind in ("language", "code") and after not in _BEHIND_LANGUAGE:
        return False  # "in Tamil Nadu", "in Go terms"
    step = position - 1
    while step > position - _REACH and step > 0 and words[step] in _BETWEEN:
        step -= 1
    return step >= 0 and words[step] in _BEFORE[kind]


def _instructs(words: tuple[str, ...]) -> bool:
    """Whether a sentence that begins so tells how to answer: "Please respond", "Furthermore, weave"."""
    if words[0] in _CONNECTING:
        return words[-1] not in _SUBJECTS and "," in words
    behind = _INSTRUCTING.get(words[0])
    return behind is not None and (not behind or words[1] in behind)


def _size(words: tuple[str, ...], position: int) -> str:
    """ "in one sentence", "in 100 words", "in a few lines": one kind for each unit; guards of numbers compare."""
    before = words[max(0, position - 4) : position]
    return words[position].rstrip("s").replace("line", "sentence") if "in" in before or "within" in before else ""


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(requests_in), stored.get(requests_in)
    if left is _NONE and right is _NONE:
        return silent
    for kind in left.wishes.keys() | right.wishes.keys():
        mine, theirs = left.wishes.get(kind, frozenset()), right.wishes.get(kind, frozenset())
        if mine == theirs:
            continue
        if mine and theirs:
            if not mine & theirs:
                return conflict(mine, theirs)
        elif kind in _ONE_SIDED and not _is_said(kind, mine | theirs, stored if mine else asked):
            return conflict(mine, theirs)
    if left.instructions != right.instructions:
        return conflict([f"{left.instructions} instructions"], [f"{right.instructions} instructions"])
    return agree


def _is_said(kind: str, values: frozenset[str], other: Features) -> bool:
    """Whether the other text says it in other words: "a Java program" for "in Java"; English is what is English."""
    if kind == "language" and "english" in values and is_english(other):
        return True
    return any(word in _VALUES and _VALUES[word] in {(kind, value) for value in values} for word in other.words)


form = Rule("form", _compare)
