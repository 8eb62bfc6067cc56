"""Guards: deterministic rules that veto look-alike questions with different answers.

Each says of the asked and the stored question that they `agree`, `conflict` (a veto) or that it is `silent`. A new
guard is a module here with a `Rule`, and a place in `DEFAULT_GUARDS`.
"""

from __future__ import annotations

from collections.abc import Iterable

from llmcache_plugins.matching.features import features_of
from llmcache_plugins.matching.guards.addresses import addresses
from llmcache_plugins.matching.guards.asks import asks
from llmcache_plugins.matching.guards.base import Finding, Rule
from llmcache_plugins.matching.guards.case import case
from llmcache_plugins.matching.guards.dates import dates
from llmcache_plugins.matching.guards.direction import direction
from llmcache_plugins.matching.guards.edits import edits
from llmcache_plugins.matching.guards.entities import entities
from llmcache_plugins.matching.guards.foreign import foreign_polarity
from llmcache_plugins.matching.guards.form import form
from llmcache_plugins.matching.guards.identifiers import identifiers
from llmcache_plugins.matching.guards.language import language
from llmcache_plugins.matching.guards.names import exact_case, named, names
from llmcache_plugins.matching.guards.negation import negation
from llmcache_plugins.matching.guards.numbers import numbers
from llmcache_plugins.matching.guards.opposites import opposites
from llmcache_plugins.matching.guards.order import order
from llmcache_plugins.matching.guards.question import question
from llmcache_plugins.matching.guards.quotes import quotes
from llmcache_plugins.matching.guards.scope import scope
from llmcache_plugins.matching.guards.signs import accents, signs
from llmcache_plugins.matching.guards.small_words import small_words
from llmcache_plugins.matching.guards.versions import versions
from llmcache_plugins.protocols import Guard
from llmcache_plugins.types import Verdict

__all__ = ["DEFAULT_GUARDS", "GUARDS_VERSION", "Finding", "Rule", "judge"]

GUARDS_VERSION = "11"
"""Changes whenever a rule may judge a pair otherwise than before: what was judged by older rules is judged again."""

DEFAULT_GUARDS: tuple[Guard, ...] = (
    numbers,
    identifiers,
    addresses,
    versions,
    dates,
    quotes,
    negation,
    opposites,
    foreign_polarity,
    case,
    accents,
    signs,
    direction,
    names,
    named,
    exact_case,
    question,
    asks,
    small_words,
    language,
    form,
    scope,
    entities,
    order,
    edits,
)


def judge(asked: str, stored: str, guards: Iterable[Guard] = DEFAULT_GUARDS) -> tuple[Verdict, ...]:
    """What every guard says of two questions, in the guards' order.

    >>> [v.guard for v in judge("Show rtr-001", "Show rtr-002") if v.verdict == "conflict"]
    ['numbers', 'identifiers']
    """
    left, right = features_of(asked), features_of(stored)  # held here: very long texts are not remembered
    return tuple(guard.of(left, right) if isinstance(guard, Rule) else guard(asked, stored) for guard in guards)
