"""A near miss that a person calls right: what was asked becomes another wording of the stored question. Pure."""

from __future__ import annotations

from llmcache_plugins.engine.reporting import read_reports
from llmcache_plugins.engine.rules import LABELLED, Flow, Rules, Troubles
from llmcache_plugins.engine.steps import Delete, PutAlias, ReadExact
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.fingerprint import fingerprint
from llmcache_plugins.quality import LabelOutcome, NearMissRecord, PairLabel
from llmcache_plugins.types import Alias, Namespace, Request, Stored

__all__ = ["label_flow", "pair_of", "unlabel_flow"]


def pair_of(near_miss: NearMissRecord, rules: Rules, *, is_right: bool) -> PairLabel | None:
    """The label of this pair; None where not all of its texts may be kept.

    Raises:
        ConfigError: it is no near miss.
    """
    if not isinstance(near_miss, NearMissRecord):
        raise ConfigError(f"near_miss must be one of cache.near_misses(), not {type(near_miss).__name__}")
    stored, asked = near_miss.stored, near_miss.asked
    if rules.kept(asked) != asked or rules.kept(stored) != stored:
        return None
    digest = fingerprint(stored.encode("utf-8", "replace"), asked.encode("utf-8", "replace"))
    return PairLabel(f"label-{digest[:12]}", stored, asked, int(is_right))


def label_flow(near_miss: NearMissRecord, rules: Rules, own: Namespace, now: float) -> Flow[LabelOutcome]:
    """Make the next lookup of what was asked a hit, in every tier that has the entry.

    Args:
        own: the cache's namespace; the record has the full one.
    """
    place = _place_of(near_miss, own)
    if place is None:
        return "gone"
    scope, key, asked_key = place
    request = Request(near_miss.asked, namespace=near_miss.namespace[len(own) :])
    if rules.policy_for(request) is None or rules.kept(near_miss.asked) != near_miss.asked:
        return "exact_only"
    reports = yield from read_reports(scope, rules, now, Troubles(fail_open=False))
    if reports is None or reports.forbid(near_miss.asked, near_miss.stored):
        return "reported"
    outcome: LabelOutcome = "gone"
    for tier in range(len(rules.tiers)):
        target = yield ReadExact(tier, scope, key)
        # An alias under this key: the entry is gone, and its question has matched another one since.
        if not isinstance(target, Stored) or target.alias is not None or target.entry.is_expired(now):
            continue
        if target.entry.text != near_miss.stored:
            continue  # never by a reference that was put together by hand
        alias = Alias(scope, asked_key, key, near_miss.asked, near_miss.similarity, near_miss.confidence, LABELLED, now)
        yield PutAlias(tier, alias)
        kept = yield ReadExact(tier, scope, asked_key)  # a key that has an answer of its own takes no alias
        is_alias = isinstance(kept, Stored) and kept.alias is not None and kept.alias.target_key == key
        outcome = "obeyed" if is_alias else "answered"
    return outcome


def unlabel_flow(near_miss: NearMissRecord, rules: Rules, own: Namespace) -> Flow[LabelOutcome]:
    """Take back that somebody called this near miss right, where somebody did."""
    place = _place_of(near_miss, own)
    if place is None:
        return "noted"
    scope, key, asked_key = place
    outcome: LabelOutcome = "noted"
    for tier in range(len(rules.tiers)):
        kept = yield ReadExact(tier, scope, asked_key)
        alias = kept.alias if isinstance(kept, Stored) else None
        if alias is not None and alias.target_key == key and alias.policy_id == LABELLED:
            yield Delete(tier, scope, [asked_key])
            outcome = "taken_back"
    return outcome


def _place_of(near_miss: NearMissRecord, own: Namespace) -> tuple[str, str, str] | None:
    """Scope, key of the stored entry and key of what was asked; None where nobody knows them, or they are of another
    cache."""
    parts = near_miss.reference.split(":")
    if len(parts) != 3 or not all(parts) or near_miss.namespace[: len(own)] != own:
        return None
    return parts[0], parts[1], parts[2]
