"""Whether the words of a text are English: the guards of words are silent elsewhere."""

from __future__ import annotations

from llmcache_plugins.matching.features import Features
from llmcache_plugins.matching.guards.base import words_of

__all__ = ["has_english", "is_english"]

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
    text = features.text
    if not text.isascii() and sum(character.isascii() for character in text) * 2 < len(text):
        return False
    words = set(features.words)
    foreign = len(words & _FOREIGN)
    return foreign == 0 or foreign <= len(words & _ENGLISH)


def has_english(features: Features) -> bool:
    """Whether a text has English small words and is English: the words of other languages mean nothing in it."""
    return is_english(features) and not _ENGLISH.isdisjoint(features.words)
