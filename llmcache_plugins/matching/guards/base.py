"""What all guards share: the form of a rule, and comparing two multisets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from llmcache_plugins.matching.features import Features, features_of
from llmcache_plugins.types import Verdict

__all__ = ["Finding", "Rule", "agree", "conflict", "kinds_of", "leftovers", "silent", "words_of"]

H = TypeVar("H", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found, without its name."""

    verdict: Literal["agree", "conflict", "silent"]
    detail: str = ""


silent = Finding("silent")
agree = Finding("agree")


def conflict(left: Iterable[object], right: Iterable[object]) -> Finding:
    """A veto; the detail shows at most five differing items of either side, in an order of their own."""
    return Finding("conflict", f"{_list(left)} / {_list(right)}")


def _list(items: Iterable[object]) -> str:
    return ", ".join(sorted(str(item)[:80] for item in items)[:5]) or "nothing"


@dataclass(frozen=True, slots=True)
class Rule:
    """A guard made of a comparison of two parsed texts.

    The comparison is symmetric but for the order of the detail, never raises, and takes linear time.
    """

    name: str
    compare: Callable[[Features, Features], Finding]
    _plain: dict[str, Verdict] = field(init=False, repr=False, compare=False)  # without detail, made once: most are so

    def __post_init__(self) -> None:
        object.__setattr__(self, "_plain", {})

    def __call__(self, asked: str, stored: str) -> Verdict:
        return self.of(features_of(asked), features_of(stored))

    def of(self, asked: Features, stored: Features) -> Verdict:
        """The verdict on texts that are parsed already."""
        found = self.compare(asked, stored)
        if found.detail:
            return Verdict(self.name, found.verdict, found.detail)
        plain = self._plain.get(found.verdict)
        if plain is None:
            plain = self._plain[found.verdict] = Verdict(self.name, found.verdict)
        return plain


def kinds_of(features: Features) -> frozenset[str]:
    """The kinds of a text's tokens: most texts have words alone, and rules of values need not look at them."""
    return frozenset([kind for _, _, kind in features.tokens])


def leftovers(left: Iterable[H], right: Iterable[H]) -> tuple[list[H], list[H]]:
    """What of either multiset has no partner in the other."""
    mine, theirs = Counter(left), Counter(right)
    return list((mine - theirs).elements()), list((theirs - mine).elements())


def words_of(text: str) -> frozenset[str]:
    """A set of words written as running text."""
    return frozenset(text.split())
