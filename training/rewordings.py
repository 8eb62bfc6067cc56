"""Pairs of questions made by program: would a right answer to the one be a right answer to the other?

Label 1: a question and the same in other words, by one to four rewordings in a row. Label 0: a question and one that a
small edit has changed, reworded as well on either side, so that how much two wordings differ tells nothing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from functools import partial

from rewording_changes import Followers, changes_for, other_number
from rewording_forms import capitalised, reshaped
from rewording_grammar import sentences, starts_question
from rewording_surface import LATE, WRAPS, Edit, fronted, keywords, numbered, relative, renamed, wrapped
from rewording_words import SISTERS, THINGS, with_synonym

__all__ = ["joint_swap", "kept", "reworded_pairs", "swapped_pairs"]

Pair = tuple[str, str, int, str]

_SHARE_OF_SAME = 0.46
# (edit, weight), in the order in which they are applied: shape, words, order, indirect form, courtesy, letters.
_KEEPING: tuple[tuple[Edit, float], ...] = (
    (reshaped, 9.0), (with_synonym, 4.0), (with_synonym, 2.0), (numbered, 3.0), (renamed, 3.0), (relative, 2.5),
    (fronted, 3.0), (wrapped, 4.5), (keywords, 1.0), *((edit, 0.8) for edit in WRAPS), *((edit, 0.5) for edit in LATE),
)  # fmt: skip
_LITTLE = frozenset({"keywords", "without_articles"})  # these drop the small words in which some changes lie
_IN_SMALL_WORDS = frozenset({"other_mode", "other_question_word", "scoped", "negated", "exchanged", "unrestricted"})
_COUNTS = (1, 1, 2, 2, 3, 4)


def kept(text: str, chance: random.Random, count: int, *, drops_words: bool = True) -> tuple[str, list[str]]:
    """The question in other words by up to `count` rewordings, and their names."""
    edits = [row for row in _KEEPING if drops_words or row[0].__name__ not in _LITTLE]
    chosen: list[str] = []
    # Heavier edits come out first; those that go are applied in the order of the list.
    drawn = sorted(edits, key=lambda row: -(chance.random() ** (1 / row[1])))[: 2 * count + 1]
    for edit, _ in sorted(drawn, key=edits.index):
        if len(chosen) == count:
            break
        if edit is wrapped and "reshaped" in chosen:
            continue
        edited = edit(text, chance)
        if edited is not None and edited != text:
            text = edited
            chosen.append(edit.__name__)
    return text, chosen


def _finished(text: str, chance: random.Random, like: str) -> str:
    """With the capitals and marks of somebody who writes like this."""
    if like == like.lower():
        return text
    text = re.sub(r"(?<![\w'.-])i(?=$|[ ?.!,]|'(?:m|d|ve|ll)\b)", "I", text)
    text = re.sub(r"(?<=[.?!] )[a-z]", lambda match: match.group().upper(), text)
    if starts_question(text) and text[-1:] not in "?.!" and len(sentences(text)) == 1 and chance.random() < 0.3:
        text += "?"
    return capitalised(text) if chance.random() < 0.85 else text


def _is_same(first: str, second: str) -> bool:
    return re.sub(r"\W+", "", first).casefold() == re.sub(r"\W+", "", second).casefold()


def reworded_pairs(questions: Sequence[str], seed: int) -> Iterator[Pair]:
    """(question, another wording or another question, label, what was done), about one for each question, in random
    order. The same questions and seed give the same pairs; another seed gives others."""
    chance = random.Random(seed)
    changes = changes_for(Followers(questions))
    order = list(questions)
    chance.shuffle(order)
    for question in order:
        question = " ".join(question.split())
        if not 2 <= len(question.split()) <= 60:
            continue
        made = partial(_same, question) if chance.random() < _SHARE_OF_SAME else partial(_other, question, changes)
        pair = made(chance)
        if pair is not None:
            first, second, label, kind = pair
            yield pair if chance.random() < 0.5 else (second, first, label, kind)


def _same(question: str, chance: random.Random) -> Pair | None:
    for _ in range(4):
        second, names = kept(question, chance, chance.choice(_COUNTS))
        if names:
            break
    else:
        return None
    first = kept(question, chance, 1)[0] if chance.random() < 0.25 else question
    first, second = _finished(first, chance, question), _finished(second, chance, question)
    return None if first == second else (first, second, 1, " ".join(names))


def _other(question: str, changes: Sequence[tuple[Edit, float]], chance: random.Random) -> Pair | None:
    # Edits that seldom apply have the greater weights, so that they come first where they do.
    for edit, _ in sorted(changes, key=lambda row: -(chance.random() ** (1 / row[1]))):
        changed = edit(question, chance)
        if changed is not None and not _is_same(changed, question):
            break
    else:
        return None
    name = edit.__name__
    drops = name not in _IN_SMALL_WORDS
    second, names = kept(changed, chance, chance.choice((0, 0, 1, 1, 2, 3)), drops_words=drops)
    first = kept(question, chance, 1, drops_words=drops)[0] if chance.random() < 0.3 else question
    first, second = _finished(first, chance, question), _finished(second, chance, question)
    return None if _is_same(first, second) else (first, second, 0, " ".join([name, *names]))


def joint_swap(first: str, second: str, chance: random.Random) -> Pair | None:
    """Two wordings of one question with a name, a thing or a number of both exchanged: in both (label 1), or in one of
    them only (label 0). None where they have nothing in common that has sisters."""
    swaps = list(_swaps(first, second, chance))
    if not swaps:
        return None
    old, new, kind = chance.choice(swaps)
    pattern = re.compile(rf"(?<![\w'-]){re.escape(old)}(?![\w'-])", re.IGNORECASE)
    label = int(kind != "word" and chance.random() < 0.5)
    if label:
        return _put(pattern, new, first), _put(pattern, new, second), 1, f"both {kind}"
    if chance.random() < 0.5:
        return _put(pattern, new, first), second, 0, f"one {kind}"
    return first, _put(pattern, new, second), 0, f"one {kind}"


def _put(pattern: re.Pattern[str], new: str, text: str) -> str:
    article = "an" if new[:1].lower() in "aeio" else "a"
    text = pattern.sub(lambda _: new, text)
    return re.sub(rf"\b(a)n?(?= {re.escape(new)})", article, text)


def _swaps(first: str, second: str, chance: random.Random) -> Iterator[tuple[str, str, str]]:
    """(what stands in both, what to put for it, its kind)"""
    both = first + " " + second
    for sisters, kind in ((THINGS, "thing"), (SISTERS, "word")):
        shared = {span.text.lower() for span in sisters.found_in(second)}
        for span in sisters.found_in(first):
            if span.text.lower() in shared and (others := list(sisters.others(span.text, both))):
                new = chance.choice(others)
                yield span.text, new.lower() if both.islower() else new, kind
    for number in sorted(set(re.findall(r"(?<![\w.])\d+(?![\w.]\w)", first)) & set(re.findall(r"\d+", second))):
        digits = other_number(number, chance)
        if digits is not None and digits not in both:
            yield number, digits, "number"


def swapped_pairs(pairs: Sequence[tuple[str, str]], seed: int) -> Iterator[Pair]:
    """Natural rewordings (pairs with label 1) with another value in both or in one of them."""
    chance = random.Random(seed)
    order = list(pairs)
    chance.shuffle(order)
    for first, second in order:
        swapped = joint_swap(first, second, chance)
        if swapped is not None and not _is_same(swapped[0], swapped[1]):
            yield swapped
