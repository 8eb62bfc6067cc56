"""Negation: whether the two questions deny the same number of things, odd or even."""

from __future__ import annotations

from typing import NamedTuple

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of
from llmcache_plugins.matching.guards.content import content_of, stem
from llmcache_plugins.matching.guards.language import is_english

__all__ = ["NEGATORS", "negated_words", "negation", "negations_in", "words_denied"]

_CONTRACTED = frozenset(
    f"{verb}n{mark}t"
    for verb in words_of(
        "is are was were do does did has have had ca could should would must might need wo ai sha ought"
    )
    for mark in ("'", "")
)
_PLAIN = frozenset({"not", "never", "cannot", "without", "nobody", "nothing", "none", "neither", "nowhere", "no-one"})
_LACKING = frozenset({"lack", "lacks", "lacking"})
_FAILING = frozenset({"fail", "fails", "failed", "failing", "refuse", "refuses", "refused", "unable"})  # with "to"
_EXCEPTING = frozenset({"except", "excepting", "excluding", "barring", "besides"})
_EXCEPTING_PHRASES = frozenset({("other", "than"), ("apart", "from"), ("aside", "from")})
_EXCEPTING_BEGINNINGS = frozenset(first for first, _ in _EXCEPTING_PHRASES)
NEGATORS = _CONTRACTED | _PLAIN
_ONLY_OF_NOUNS = _LACKING | _FAILING | _EXCEPTING | _EXCEPTING_BEGINNINGS | {"without"}
_CUES = NEGATORS | _LACKING | _FAILING | _EXCEPTING | _EXCEPTING_BEGINNINGS | {"no"}
_AUXILIARIES_OF_POLITENESS = frozenset({"couldn't", "wouldn't", "won't", "can't", "couldnt", "wouldnt"})
_PRONOUNS = frozenset({"i", "you", "he", "she", "it", "we", "they", "there", "this", "that"})
_FRAMES = frozenset(
    {"remember", "recall", "know", "understand", "mind", "sure", "certain", "forget", "true"}
)  # "I don't know how to ..."
_NOT_ONLY = frozenset({"only", "just"})
_AFTER_IF_NOT = frozenset({"then", "why", "how", "what"})
_AFTER_IDLE_NO = frozenset({"", "matter", "problem", "doubt"})
_AFTER_HAVING_NO = frozenset({"idea", "clue", "knowledge", "experience"})
_INABILITY = frozenset({"can't", "cant", "cannot", "couldn't", "couldnt", "unable"})
_ASKS_A_WAY = frozenset({("how", "can"), ("how", "do"), ("how", "to"), ("do", "i"), ("should", "i"), ("can", "i")})
_END = frozenset({",", ".", "?"})
_STEM = 5
_STEMS_OF_CUES = frozenset(map(stem, _CUES))
_MOST_OTHER_WORDS = 2
_WORDS_PER_CHANGE = 6
_SMALL = words_of(
    """the and are was were what how why when where which who does did can could should would will with for from
    that this these those have has had been being you your our they their there his her its get any some all
    than then them about into out"""
)
_FAR = 40  # words of a statement and its question, at most
_REACH = 4  # how many words behind it a negation is taken to govern


class _Negations(NamedTuple):
    denials: int
    governed: tuple[tuple[int, tuple[str, ...]], ...]  # position of the negation, the words behind it
    asked: tuple[tuple[str, ...], ...]  # of these, the words of denials that are no statement before a question


_NONE = _Negations(0, (), ())


def negations_in(features: Features) -> _Negations:
    """The negations of an English text that deny something."""
    words = features.words
    found = [
        (position, _governed(words, position))
        for position, word in enumerate(words)
        if word in _CUES and _denies(words, position, word)
    ]
    if not found or not is_english(features):
        return _NONE
    asked = tuple(governed for position, governed in found if not _is_stated(words, position))
    return _Negations(len(found), tuple(found), asked)


def _is_stated(words: tuple[str, ...], position: int) -> bool:
    """Whether the negation stands in a statement before the question of a text."""
    behind = words[position : position + _FAR]
    end = next((step for step, word in enumerate(behind) if word in (".", "?")), 0)
    return bool(end) and behind[end] == "." and "?" in behind[end:]


def negated_words(features: Features) -> frozenset[int]:
    """Positions in the flow that a negation right before them governs: "not [yet, be, being] up"."""
    words = features.words
    positions: set[int] = set()
    for position, governed in features.get(negations_in).governed:
        if words[position] in _ONLY_OF_NOUNS:
            continue
        step = position + 1
        skipped = (
            "yet",
            "be",
            "being",
            "been",
            "get",
            "getting",
            "go",
            "going",
            "come",
            "coming",
            "currently",
            "the",
            "it",
        )
        while step < len(words) and (words[step] in skipped or words[step] in _PRONOUNS) and step - position < _REACH:
            step += 1
        positions.add(step)
        if len(governed) > 1 and words[position] not in ("not", "never", "no"):
            positions.add(step + 1)  # "isn't BGP up", "doesn't eth0 start"
    return frozenset(positions)


def words_denied(features: Features) -> frozenset[str]:
    """The words that a negation right before them governs."""
    words = features.words
    return frozenset(words[position] for position in features.get(negated_words) if position < len(words))


def _governed(words: tuple[str, ...], position: int) -> tuple[str, ...]:
    behind = words[position + 1 : position + 1 + _REACH]
    for step, word in enumerate(behind):
        if word in _END:
            return behind[:step]
    return behind


def _denies(words: tuple[str, ...], position: int, word: str) -> bool:
    """Whether the negation at `position` denies something: tags, politeness and set phrases do not."""
    if word in _INABILITY and _asks_a_way(words, position):
        return False
    before = words[position - 1] if position else ""
    after = words[position + 1] if position + 1 < len(words) else ""
    behind = words[position + 2] if position + 2 < len(words) else ""
    if word in _CONTRACTED:
        return not (
            after in _FRAMES or behind in _NOT_ONLY or _is_tag_or_polite(words, position, before, after, behind)
        )
    if word == "not":
        is_short_for_a_clause = before == "or" or after in _END or (before == "why" and behind == "") or after == ""
        is_condition = before == "if" and after in _AFTER_IF_NOT
        return not (is_short_for_a_clause or is_condition or after in _NOT_ONLY or after in _FRAMES)
    if word == "no":
        is_number = after.isdigit() and len(after) < 5
        is_newcomer = after in _AFTER_HAVING_NO and before in ("have", "has", "having", "had")
        is_idle = after in _AFTER_IDLE_NO or after in _END or before in ("or", "yes", "roll")
        return not (is_number or is_newcomer or is_idle)
    if word in _FAILING:
        return after == "to"
    if word in _EXCEPTING_BEGINNINGS:
        return (word, after) in _EXCEPTING_PHRASES
    if word in ("none", "without"):
        return before != "or" and after != "doubt"
    return not (word == "nothing" and after == "but")


def _asks_a_way(words: tuple[str, ...], position: int) -> bool:
    """ "I can't log in, what should I do?": who asks for a way out asks how to log in."""
    first, last = max(0, position - _FAR), min(len(words) - 1, position + _FAR)
    return any(
        (words[step], words[step + 1]) in _ASKS_A_WAY
        for step in range(first, last)
        if abs(step - position) > 1 and words[step - 1] != "why"
    )


def _is_tag_or_polite(words: tuple[str, ...], position: int, before: str, after: str, behind: str) -> bool:
    """ "..., isn't it?", "couldn't you ...", "Don't you think ...": the answer is that of the question without them."""
    if after not in _PRONOUNS:
        return False
    is_tag = position > 1 and (behind in _END or behind == "")
    is_polite = words[position] in _AUXILIARIES_OF_POLITENESS and after == "you" and (before in _END or before == "")
    return is_tag or is_polite or position == 0


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(negations_in), stored.get(negations_in)
    if not left.denials and not right.denials:
        return silent
    if not is_english(asked) or not is_english(stored):
        return silent
    if (_unexplained(left, asked, stored) - _unexplained(right, stored, asked)) % 2 == 0:
        return agree if left.denials and right.denials else silent
    is_denied_elsewhere = _is_denied_elsewhere(left, stored) or _is_denied_elsewhere(right, asked)
    if not is_denied_elsewhere and not _are_alike(asked, stored):
        return silent
    if not _ask_the_same_otherwise(asked, stored):
        return silent
    return conflict((" ".join(w) for _, w in left.governed), (" ".join(w) for _, w in right.governed))


def _are_alike(asked: Features, stored: Features) -> bool:
    """Whether little but what is denied tells the texts apart: "upgrade it without a reboot" and "upgrade it"."""
    left = asked.get(_content) - asked.get(_denied)
    right = stored.get(_content) - stored.get(_denied)
    return len(left ^ right) <= 1 + min(len(left), len(right)) // _WORDS_PER_CHANGE


def _is_denied_elsewhere(mine: _Negations, other: Features) -> bool:
    """Whether the other text speaks of what I deny; a denial of something that it leaves out is only a detail."""
    content = other.get(_content)
    return any(word[:_STEM] in content for governed in mine.asked for word in governed[:2])


def _ask_the_same_otherwise(asked: Features, stored: Features) -> bool:
    """Whether few words but the denied ones differ; none may where one text alone asks "why": that takes for granted
    what the other one asks. People who write the same freely often deny in one wording and not in the other."""
    aside = asked.get(_stems_of_denials) | stored.get(_stems_of_denials)
    left, right = asked.get(content_of) - aside, stored.get(content_of) - aside
    differing = len(left ^ right)
    if not differing:
        return True
    is_why_shared = ("why" in asked.words) == ("why" in stored.words)
    return is_why_shared and differing <= max(_MOST_OTHER_WORDS, len(left | right) // _WORDS_PER_CHANGE)


def _stems_of_denials(features: Features) -> frozenset[str]:
    governed = (word for _, words in features.get(negations_in).governed for word in words[:2])
    return frozenset(map(stem, governed)) | _STEMS_OF_CUES


def _denied(features: Features) -> frozenset[str]:
    return frozenset(word[:_STEM] for _, governed in features.get(negations_in).governed for word in governed[:2])


def _content(features: Features) -> frozenset[str]:
    """Stems (the first letters) of the words that carry the meaning."""
    return frozenset(
        word[:_STEM] for word in features.words if len(word) > 2 and word not in _SMALL and word not in NEGATORS
    )


def _unexplained(mine: _Negations, features: Features, other: Features) -> int:
    """My negations less those that the other text puts as an opposite: "not up" and "down"."""
    if not mine.denials:
        return 0
    from_opposites = features.get(_negated_poles)
    by_pairs = sum((pair, 1 - side) in other.get(_plain_poles) for pair, side in from_opposites)
    return mine.denials - (by_pairs or _by_prefixes(features, other))


def _by_prefixes(features: Features, other: Features) -> int:
    """How many of my negations the other text puts as a prefix or an ending: "not reachable", "unreachable"."""
    from llmcache_plugins.matching.guards.opposites import derived_in

    theirs = {opposite for _, opposite in other.get(derived_in)}
    unique = frozenset(other.words)
    mine = {word for word, opposite in features.get(derived_in) if opposite in unique}
    return sum(word in theirs or word in mine for word in features.get(words_denied))


def _negated_poles(features: Features) -> tuple[tuple[int, int], ...]:
    from llmcache_plugins.matching.guards.opposites import poles_in  # they need each other; opposites loads this first

    return tuple((pole.pair, pole.word_side) for pole in features.get(poles_in) if pole.is_negated)


def _plain_poles(features: Features) -> frozenset[tuple[int, int]]:
    from llmcache_plugins.matching.guards.opposites import poles_in

    return frozenset((pole.pair, pole.word_side) for pole in features.get(poles_in) if not pole.is_negated)


negation = Rule("negation", _compare)
