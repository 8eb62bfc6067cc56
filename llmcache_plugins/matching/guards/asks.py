"""How many things a sentence asks for: "What is its state, and how do I check it?" wants two answers, either half one.

An ask is a question clause or a command. Greetings, politeness and what only tells about the matter are none, and what
says again what was asked before is none either. Only a half in the same words is a conflict: who asks anew in other
words, or in a sentence more, is mostly served by one answer.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from llmcache_plugins.matching.features import Features, features_of
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of
from llmcache_plugins.matching.guards.content import SMALL, content_of, stem
from llmcache_plugins.matching.guards.identifiers import identifiers_in
from llmcache_plugins.matching.guards.language import is_english

__all__ = ["asks", "asks_in"]

_BEGINNING = {
    word: kind
    for kind, words in {
        "who": "who who's whom whose",
        "when": "when when's",
        "where": "where where's",
        "why": "why why's",
        "how": "how how's",
        "what": "what what's whats which",
    }.items()
    for word in words.split()
}
_AUXILIARIES = words_of(
    """is are was were am do does did can could will would should has have had may might must shall isn't aren't wasn't
    weren't don't doesn't didn't can't couldn't won't wouldn't shouldn't hasn't haven't"""
)
_SUBJECTS = words_of("i we you he she it they this that these those there the a an my our your his her its their")
_BEHIND_HOW = words_of("to many much long often far fast old big large tall high")
_COMMANDS = words_of(
    """show list explain describe compare summarize summarise write translate give create define calculate compute
    convert draw check fix restart reboot configure delete remove add suggest recommend outline discuss evaluate
    analyze analyse generate provide identify name propose rewrite classify estimate determine solve prove install
    enable disable shut update upgrade sort count reset deploy"""
)
_OPENING = words_of(
    """and also then so but or please kindly just hi hello hey dear ok okay well now first firstly second secondly
    finally lastly next additionally furthermore thanks thank you"""
)
_TELLING = (  # what stands before a question or command and is no ask by itself
    "can you", "could you", "would you", "will you", "can u", "tell me", "tell us", "let me know", "do you know",
    "does anyone know", "i want to know", "i would like to know", "i'd like to know", "i need to know", "help me",
    "help us", "i want you to", "i need you to", "i wonder", "show me", "explain to me", "explain", "describe",
)  # fmt: skip
_TELLING_WORDS = tuple(tuple(phrase.split()) for phrase in _TELLING)
_BEFORE_TOLD = frozenset(phrase[-1] for phrase in _TELLING_WORDS) - {"you", "to"}
_FIRST_TOLD = frozenset(phrase[0] for phrase in _TELLING_WORDS)
_JOINERS = frozenset({"and", ",", "then", "&"})
_ENDS = frozenset({".", "?"})
_CONTRACTED = frozenset(word for word in _BEGINNING if word.endswith("'s")) | {"whats"}
_CONDITIONS = frozenset({"when", "where", "which"})  # "When I press it, ..."
_QUESTIONS = frozenset(_BEGINNING.values())
_WHAT_IS = frozenset({"what's", "whats", "who's"})
_MORE_THAN_MEANING = words_of("the of on in my our your their at for between best some")
_BACK = words_of("it its they them their he she his her")
_TOLD = frozenset({"how", "why", "what"})  # "what it is and how it works"
_CUES = _BEGINNING.keys() | _COMMANDS | _AUXILIARIES
_SECOND = _CUES | _OPENING | _FIRST_TOLD | _JOINERS
_MOST_ALONE_BESIDE_NAMES = 1  # content words that the text with one ask may have alone


class Asks(NamedTuple):
    """The asks of the sentence that has most, by question word or verb ("what", "is", "fix"); how many the text has;
    whether the first only asks what the thing is that the others ask about: "What is DNS and how does it work?"."""

    joined: tuple[str, ...]
    total: int
    is_introduced: bool


_NONE = Asks((), 0, False)


def _may_join(features: Features) -> bool:
    """Whether a joiner has a word behind it that an ask may begin with: few texts have, and this is soon seen."""
    words = features.words
    if _JOINERS.isdisjoint(words):
        return ";" in features.text
    return ";" in features.text or any(word in _JOINERS and after in _SECOND for word, after in pairwise(words))


def asks_in(features: Features) -> Asks:
    """The asks of an English text."""
    if ";" in features.text:  # which the flow of words has as the end of a sentence
        features = features_of(features.text.replace(";", ", and"))
    words = features.words
    if _CUES.isdisjoint(words) or not is_english(features):
        return _NONE
    reader = _Reader(words)
    start = 0
    for end, word in enumerate((*words, ".")):
        if word in _ENDS or word in _JOINERS:
            if end > start:
                reader.read_clause(start, end)
            start = end + 1
            if word in _ENDS:
                reader.end_sentence()
    return Asks(reader.most, reader.total, reader.is_introduced)


class _Reader:
    """Reads clause by clause."""

    __slots__ = ("first", "found", "is_introduced", "most", "said", "total", "words")

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words
        self.most: tuple[str, ...] = ()
        self.found: list[str] = []  # in this sentence
        self.said: set[str] = set()
        self.total = 0
        self.first = 0  # where the first ask begins
        self.is_introduced = False

    def read_clause(self, start: int, end: int) -> None:
        words, found = self.words, self.found
        joiner = words[start - 1] if start and found else ""
        kind = _ask_at(words, start, end, joiner, found[0] if found else "")
        content = frozenset(stem(one) for one in words[start:end] if one not in SMALL)
        if kind and not (found and content and content <= self.said):
            if self.total == 0:
                self.first = start
            elif self.total == 1 and found:
                self.is_introduced = _is_introduced(words[self.first : start], words[start:end])
            found.append(kind)
            self.total += 1
        elif not kind and joiner and end - start == 1 and words[start] in _BEGINNING:
            self.total += 1  # "..., and why?" asks on, but most answers say it anyway
        self.said |= content

    def end_sentence(self) -> None:
        self.most = max(self.most, tuple(self.found), key=len)
        self.found.clear()


def _is_introduced(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """ "What is a VLAN", and the next ask is about "it"; "what is the status of rtr-001" asks for no meaning."""
    is_meaning = first[0] in _WHAT_IS or (first[0] in ("what", "who") and first[1:2] in (("is",), ("are",)))
    return is_meaning and _MORE_THAN_MEANING.isdisjoint(first) and not _BACK.isdisjoint(second)


def _ask_at(words: tuple[str, ...], start: int, end: int, joiner: str, before: str) -> str:
    """What the clause from `start` to `end` asks by its beginning, or "". Behind a joiner and the ask `before` it must
    be whole, and have the same form if nothing but a comma joins them."""
    position = _behind_opening(words, start, end)
    if end - position < 2:
        return ""
    word, after = words[position], words[position + 1]
    if word in _BEGINNING:
        if joiner == "," and before not in _QUESTIONS:
            return ""  # "Can't log in, what should I do?"
        is_whole = after in _AUXILIARIES or word in _CONTRACTED or (word == "how" and after in _BEHIND_HOW)
        is_told = position > start and words[position - 1] in _BEFORE_TOLD
        if is_whole or is_told or (not joiner and word not in _CONDITIONS):
            return _BEGINNING[word]
        return _BEGINNING[word] if word in _TOLD and after in _SUBJECTS else ""
    if word in _AUXILIARIES:
        if not joiner:
            return "is"
        return "is" if joiner != "," and after in _SUBJECTS and after != "you" else ""
    return word if word in _COMMANDS and (not joiner or (joiner != "," and before in _COMMANDS)) else ""


def _behind_opening(words: tuple[str, ...], start: int, end: int) -> int:
    position = start
    while position < end:
        if words[position] in _OPENING:
            position += 1
        elif words[position] in _FIRST_TOLD and (length := _told(words, position, end)):
            position += length
        else:
            break
    return position


def _told(words: tuple[str, ...], position: int, end: int) -> int:
    for phrase in _TELLING_WORDS:
        behind = position + len(phrase)
        if behind < end and words[position:behind] == phrase:
            if len(phrase) == 1 and words[behind] not in _BEGINNING:
                continue  # "explain BGP" is a command, "explain how it works" a question
            return len(phrase)
    return 0


def _compare(asked: Features, stored: Features) -> Finding:
    if not (asked.get(_may_join) or stored.get(_may_join)):
        return silent
    left, right = asked.get(asks_in), stored.get(asks_in)
    mine, theirs = len(left.joined), len(right.joined)
    if mine == theirs:
        return agree if mine > 1 and asked.words == stored.words else silent
    single, several = (asked, stored) if mine < theirs else (stored, asked)
    one, other = single.get(asks_in), several.get(asks_in)
    if one.total != 1 or other.total != len(other.joined):
        return silent  # a text of several questions tells about one matter mostly, and is answered as one
    if other.is_introduced and mine + theirs == 3 and one.joined[0] == other.joined[1]:
        return silent
    alone = len(single.get(content_of) - several.get(content_of))
    if alone > _MOST_ALONE_BESIDE_NAMES or (alone and not _share_a_name(asked, stored)):
        return silent  # no half of the other, but a question in its own words
    return conflict([f"asks for {left.total}"], [f"asks for {right.total}"])


def _share_a_name(asked: Features, stored: Features) -> bool:
    """Whether both speak of one device, file or the like: then a state and how to find it out are far apart."""
    return not set(asked.get(identifiers_in).found).isdisjoint(stored.get(identifiers_in).found)


asks = Rule("asks", _compare)
