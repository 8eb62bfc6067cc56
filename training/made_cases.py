"""Questions changed by program: edits that keep the answer (label 1) and edits that change it (label 0).

Surface edits teach the confidence what people vary without meaning anything: slips of the keyboard, politeness, short
forms, another opening. Exchanged words teach it the opposite: one other word, or two words that change places, and the
question is another one.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from llmcache_plugins.matching.guards.base import words_of
from llmcache_plugins.matching.lexicon import relation_of, word_of
from llmcache_plugins.matching.stems import stem_of

__all__ = ["changed_questions", "kept_questions"]

_BEFORE = (
    "please ", "hi, ", "hello, ", "hey, ", "quick question: ", "can you tell me ", "could you tell me ", "i wonder, ",
    "sorry to bother you, ", "please help me: ", "just curious, ", "good morning, ", "i would like to know ",
    "do you know ", "any idea ", "hi there, i'd like to know ", "so um basically ", "quick question before my exam: ",
    "one more question: ", "ok so ", "i am trying to find out ", "would you mind telling me ", "can someone tell me ",
)  # fmt: skip
_AFTER = (" please", " thanks", ", thanks in advance", " thank you", ", please help", " please advise")
_OPENINGS = (
    ("how do i ", "how can i ", "how to ", "how should i ", "what is the way to ", "what's the best way to "),
    ("what is ", "what's ", "whats ", "tell me what is "),
    ("what are ", "which are ", "tell me what are "),
    ("is it possible to ", "can i ", "is there a way to "),
    ("show me ", "show ", "display ", "list ", "give me "),
    ("why is ", "how come ", "what is the reason why "),
)
_RESTRICTIONS = (
    " for beginners", " for children", " for free", " for a small team", " for a beginner", " on windows", " on linux",
    " on a mac", " on my phone", " at home", " at night", " on weekends", " in winter", " in summer", " in the morning",
    " without registration", " without a password", " for business", " for students", " one way", " with one stop",
    " per person", " per month", " by car", " by train", " in the city", " near the airport", " from scratch",
    " over the phone", " in production", " for seniors", " during pregnancy", " on a budget", " in simple terms",
    " for two people", " after surgery", " with examples", " in detail", " via the command line", " over ssh",
)  # fmt: skip
_QUALITIES = (
    "cheapest", "nonstop", "direct", "first", "latest", "oldest", "largest", "smallest", "official", "remote",
    "free", "public", "private", "main", "second", "last", "next", "new", "old", "average", "total", "maximum",
    "common", "rare", "daily", "annual", "empty", "secondary", "backup", "active", "short", "long", "hidden",
    "wireless",
)  # fmt: skip
_SHORT_FORMS = (
    ("what is", "what's"), ("who is", "who's"), ("where is", "where's"), ("how is", "how's"), ("i am", "i'm"),
    ("it is", "it's"), ("do not", "don't"), ("does not", "doesn't"), ("cannot", "can't"), ("can not", "can't"),
    ("i have", "i've"), ("i would", "i'd"), ("should not", "shouldn't"), ("is not", "isn't"), ("you are", "you're"),
)  # fmt: skip
_SMALL = words_of(
    "a an the of to in on at for from by with about as is are was were be do does did can could will would should may "
    "i my me we you your it its this that what which who when where why how and or but if not no there they their"
)
_PLACING = words_of("in on for with at during under")
_SYMMETRIC = words_of("and or vs versus between nor")


def kept_questions(questions: Sequence[str], seed: int) -> Iterator[tuple[str, str, str]]:
    """(question, the same in other words, kind of the edit), one for each question that some edit applies to."""
    chance = random.Random(seed)
    edits: list[Callable[[str, random.Random], str]] = [
        _polite, _polite, _slip, _reopened, _short_form, _bare, _turned, _fronted, _fronted,
    ]  # fmt: skip
    for question in questions:
        edit = chance.choice(edits)
        edited = edit(question, chance)
        if edited.casefold() != question.casefold():
            yield question, edited, edit.__name__.strip("_")


def changed_questions(questions: Sequence[str], seed: int) -> Iterator[tuple[str, str, str]]:
    """(question, another one, kind of the edit): a content word replaced by one that stands behind the same word
    elsewhere, two content words exchanged, or a restriction put in. A quarter of them is worded otherwise besides: else
    politeness would be a sign of the same question."""
    chance = random.Random(seed)
    for question, changed, kind in _changed(questions, chance):
        edited = chance.choice(_WORDINGS)(changed, chance) if chance.random() < 0.25 else changed
        yield question, edited, kind


def _changed(questions: Sequence[str], chance: random.Random) -> Iterator[tuple[str, str, str]]:
    followers = _followers(questions)
    for question in questions:
        words = question.split()
        places = [place for place, word in enumerate(words) if place and _is_content(word)]
        kind = chance.randrange(4)
        if kind == 3:
            continue  # a quarter gives none: the weights of the sources were found with as many
        if kind == 0:
            yield question, _restricted(question, words, chance), "restricted"
        elif kind == 1 and len(places) >= 2:
            first, second = sorted(chance.sample(places, 2))
            between = {word.lower() for word in words[first:second]}
            if between & _SYMMETRIC or second - first == 1:
                continue
            words[first], words[second] = _put(words[second], words[first]), _put(words[first], words[second])
            yield question, " ".join(words), "exchanged"
        elif places:
            place = chance.choice(places)
            replaced = _core(words[place]).lower()
            others = sorted(followers[words[place - 1].lower()])
            others = [other for other in others if not _mean_the_same(replaced, other)]
            if others:
                words[place] = _put(chance.choice(others), words[place])
                yield question, " ".join(words), "replaced"


def _restricted(question: str, words: Sequence[str], chance: random.Random) -> str:
    after = [place + 1 for place, word in enumerate(words[:-1]) if word.lower() in ("the", "a", "any", "my", "some")]
    if after and chance.random() < 0.5:
        place = chance.choice(after)
        return " ".join([*words[:place], chance.choice(_QUALITIES), *words[place:]])
    end = len(question.rstrip("?. "))
    return question[:end] + chance.choice(_RESTRICTIONS) + question[end:]


def _polite(question: str, chance: random.Random) -> str:
    if chance.random() < 0.3:
        return question.rstrip("?. ") + chance.choice(_AFTER)
    return chance.choice(_BEFORE) + question[:1].lower() + question[1:]


def _slip(question: str, chance: random.Random) -> str:
    words = question.split()
    places = [place for place, word in enumerate(words) if len(word) >= 5 and word.isalpha()]
    if not places:
        return question
    place = chance.choice(places)
    word = words[place]
    at = chance.randrange(1, len(word) - 1)
    kind = chance.randrange(4)
    if kind == 0:
        word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif kind == 1:
        word = word[:at] + word[at + 1 :]
    elif kind == 2:
        word = word[:at] + word[at] + word[at:]
    else:
        word = word[:at] + chance.choice("aeioutrsn") + word[at + 1 :]
    words[place] = word
    return " ".join(words)


def _reopened(question: str, chance: random.Random) -> str:
    lower = question.lower()
    for family in _OPENINGS:
        for opening in family:
            if lower.startswith(opening):
                return chance.choice([other for other in family if other != opening]) + question[len(opening) :]
    return question


def _short_form(question: str, chance: random.Random) -> str:
    forms = list(_SHORT_FORMS)
    chance.shuffle(forms)
    for long, short in forms:
        for old, new in ((long, short), (short, long)):
            edited = re.sub(rf"\b{re.escape(old)}\b", new, question, count=1, flags=re.IGNORECASE)
            if edited != question:
                return edited
    return question


def _turned(question: str, chance: random.Random) -> str:
    """What stands on both sides of an "and" or "or" exchanged; another edit where there is none."""
    words = question.rstrip("?.").split()
    places = [place for place, word in enumerate(words[1:-1], 1) if word.lower() in ("and", "or", "vs")]
    if not places:
        return _slip(question, chance)
    place = chance.choice(places)
    words[place - 1], words[place + 1] = words[place + 1], words[place - 1]
    return " ".join(words) + question[len(question.rstrip("?.")) :]


def _fronted(question: str, chance: random.Random) -> str:
    """The last words put first ("In Excel, how do I freeze a row?"); another edit where there is no such place."""
    words = question.rstrip("?. ").split()
    places = [place for place in range(max(2, len(words) - 4), len(words) - 1) if words[place].lower() in _PLACING]
    if not places:
        return _polite(question, chance)
    place = places[-1]
    front = " ".join(words[place:])
    rest = " ".join(words[:place])
    return f"{front[:1].upper()}{front[1:]}, {rest[:1].lower()}{rest[1:]}{question[len(question.rstrip('?. ')) :]}"


def _bare(question: str, chance: random.Random) -> str:
    """As people type into a search box: without articles and marks, in lower case."""
    words = [word.strip("?.,!").lower() for word in question.split()]
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def _followers(questions: Sequence[str]) -> dict[str, set[str]]:
    followers: dict[str, set[str]] = defaultdict(set)
    for question in questions:
        words = question.split()
        for before, word in pairwise(words):
            if _is_content(word):
                followers[before.lower()].add(_core(word).lower())
    return followers


# How the same is said otherwise, whatever it is.
_WORDINGS: tuple[Callable[[str, random.Random], str], ...] = (_polite, _polite, _reopened, _short_form, _bare, _fronted)


def _is_content(word: str) -> bool:
    core = _core(word)
    return len(core) > 3 and core.isalpha() and core.lower() not in _SMALL


def _mean_the_same(word: str, other: str) -> bool:
    one, two = stem_of(word), stem_of(other)
    return one == two or relation_of(word_of(one), word_of(two)) == "same"


def _core(word: str) -> str:
    return word.strip("?.,!:;()\"'")


def _put(word: str, place: str) -> str:
    """`word` with the marks and the capital that stood at its new place."""
    core, bare = _core(word), _core(place)
    core = core.capitalize() if bare[:1].isupper() else core.lower()
    return place.replace(bare, core)
