"""A rough stem, the same for the forms of a word that ask for the same answer. Pure."""

from __future__ import annotations

__all__ = ["stem_of"]


def stem_of(word: str) -> str:
    """The word without the endings of number, tense and adverb. Rough: it only has to be the same for both sides."""
    if len(word) <= 3 or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith("ing") and len(word) > 5:
        word = word[:-3]
    elif word.endswith(("ed", "es", "ly")) and len(word) > 4:
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lse":
        word = word[:-1]
    return word[:-1] if len(word) > 4 and word[-1] == "e" else word
