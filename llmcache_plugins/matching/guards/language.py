"""Which language a text is in: texts of two are a conflict, and the guards of English words are silent elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import Finding, Rule, agree, conflict, silent, words_of
from llmcache_plugins.matching.guards.tongues import LETTERS, SCRIPTS, WORDS

__all__ = ["Tongue", "has_english", "is_english", "language", "tongue_of"]

_ENGLISH = words_of(
    """the of to and is are was were what how why when where which who do does did can could should would will
    with for from on by it its this that these those my your our their i you he she we they not be been have has
    had if then than or as at an about there any some all show list explain give find get"""
)
_FOREIGN = words_of(
    """el la los las una unos del al por para que qué cómo como cuál cuáles dónde cuándo con sin es está son se
    lo su le les des du et est dans pour pas ne avec sur quel quelle quels quelles comment pourquoi où qui ce
    cette une der die das den dem ein eine einer und ist sind nicht mit für von zu wie warum wo wer welche
    welcher welches ich sie wir auf il lo gli che di della dei per non con sono come perché dove quale quali um
    uma os dos das não em são qual quais onde quando het een van en voor niet hoe wat welke waarom zijn
    ohne sans zonder met utan uden uten inte ikke och og att ett som är på hur hvordan hvad hva jag jeg auf dem
    im zum zur"""
)


def is_english(features: Features) -> bool:
    """True unless another language's small words outnumber the English, or most letters are of another script."""
    return features.get(_is_english)


def _is_english(features: Features) -> bool:
    text = features.text
    if not text.isascii() and sum(character.isascii() for character in text) * 2 < len(text):
        return False
    if _FOREIGN.isdisjoint(features.words):
        return True
    words = set(features.words)
    return len(words & _FOREIGN) <= len(words & _ENGLISH)


def has_english(features: Features) -> bool:
    """Whether a text has English small words and is English: the words of other languages mean nothing in it."""
    return is_english(features) and not _ENGLISH.isdisjoint(features.words)


_PER_WORD = 2  # letters of a script without spaces that weigh as much as a word
_MOST_SEEN = 400  # characters: which language a text is in shows early


class Tongue(NamedTuple):
    """The main script of a text ("latin" unless another has more letters), and points for each language of it."""

    script: str
    points: Mapping[str, int]


_LATIN: Mapping[str, int] = {}


def tongue_of(features: Features) -> Tongue:
    """Script and small words; a word of a foreign script inside a sentence does not decide."""
    text = features.text[:_MOST_SEEN]
    points: dict[str, int] = {}
    for word in set(features.words[:_MOST_SEEN]):
        for language in WORDS.get(word, ()):
            points[language] = points.get(language, 0) + 1
    if text.isascii():
        return Tongue("latin", points)
    script = _script(text)
    if script != "latin" and max(points.values(), default=0) < 2:
        return Tongue(script, _LATIN)
    small = "".join(piece for piece in text.split() if not piece[0].isupper())  # "São Paulo" is said everywhere
    for letter in set(small) & LETTERS.keys():
        points[LETTERS[letter]] = points.get(LETTERS[letter], 0) + 1
    return Tongue("latin", points)


def _script(text: str) -> str:
    """The script with the most words, a word being what stands between spaces or two letters of a script without."""
    counts: dict[str, int] = {}
    for character in text:
        if character > "\u024f" and character.isalpha():
            name = next((name for name, first, last in SCRIPTS if first <= character <= last), "")
            if name:
                counts[name] = counts.get(name, 0) + 1
    if not counts:
        return "latin"
    name = max(counts, key=lambda script: counts[script])
    if name == "han" and "kana" in counts:
        name = "kana"  # Japanese writes both
    words = sum(character.isascii() and character.isalpha() for character in text) // 5
    letters = counts[name] // (_PER_WORD if name in _WITHOUT_SPACES else 5)
    return name if letters >= words or not words else "latin"


_WITHOUT_SPACES = frozenset({"han", "kana", "hangul", "thai"})
_SURE = 3  # points by which the two texts together favour different languages


def _compare(asked: Features, stored: Features) -> Finding:
    left, right = asked.get(tongue_of), stored.get(tongue_of)
    if left.script != right.script:
        return conflict([left.script], [right.script])
    if left.script != "latin":
        return agree
    if not left.points or not right.points:
        return silent
    mine, theirs = _language(left.points), _language(right.points)
    if mine == theirs:
        return agree
    if right.points.get(mine, 0) >= left.points[mine] or left.points.get(theirs, 0) >= right.points[theirs]:
        return silent  # a foreign name ("El Niño") that both texts have
    margin = left.points[mine] - left.points.get(theirs, 0) + right.points[theirs] - right.points.get(mine, 0)
    return conflict([mine], [theirs]) if margin >= _SURE else silent


def _language(points: Mapping[str, int]) -> str:
    """The language with the most points; among equals English, then the first by name."""
    return min(points, key=lambda language: (-points[language], language != "en", language))


language = Rule("language", _compare)
