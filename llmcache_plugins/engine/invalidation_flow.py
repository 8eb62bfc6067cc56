"""Flows of invalidations: mark or remove what is selected, find what is near to a text, count without touching."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from llmcache_plugins.engine.invalidation import Near, Plan
from llmcache_plugins.engine.invalidation_report import InvalidationReport
from llmcache_plugins.engine.rules import Flow, Rules
from llmcache_plugins.engine.steps import Embed, Fits, Invalidate, Invalidations, Search, Select
from llmcache_plugins.errors import EmbedderError, LLMCacheError, StoreError
from llmcache_plugins.keys.fingerprint import normalise_text
from llmcache_plugins.selection import Selector
from llmcache_plugins.types import Entry, FloatArray, Namespace

__all__ = ["HELD_BACK", "Done", "invalidate_flow"]

T = TypeVar("T")
BeginEpoch: TypeAlias = Callable[[Namespace, float], Flow[None]]

HELD_BACK = "held_back"
"""Mode of what is noted in the log for the sake of answers under way alone."""

_PART = 10_000  # entries that one call of a store removes: it may hold a lock meanwhile
_PAGE = 500
_EMBEDDED = 64  # texts embedded at once
_KEYS = 1000  # keys of one selector
_NEAREST = 64  # candidates of a first search; eight times as many each time that all of them are near
_ROUNDING = 1e-6  # of a cosine in float32
_SAMPLE = 20
_SHOWN = 12  # digits of a key


@dataclass(slots=True)
class Done:
    """What came of a flow: the report, what was selected in the end, and what was spared."""

    report: InvalidationReport
    selectors: tuple[Selector, ...] = ()
    error: LLMCacheError | None = field(default=None, repr=False)


def invalidate_flow(plan: Plan, rules: Rules, now: float, begin_epoch: BeginEpoch) -> Flow[Done]:
    """Do what the plan says. A store or an embedder that fails ends it; the error comes with the result.

    Args:
        begin_epoch: makes everything below a namespace unreachable, however much that is.
    """
    done = Done(InvalidationReport(0, 0, plan.mode, plan.reason, plan.is_dry_run), plan.selectors)
    try:
        if plan.near is not None:
            done.selectors = yield from _near_selectors(plan, plan.near, rules, now, done)
        if plan.is_dry_run:
            yield from _count(done, rules)
        else:
            for selector in done.selectors:
                yield from _invalidate(selector, plan, rules, now, done, begin_epoch)
    except (StoreError, EmbedderError) as error:
        done.error = error
        done.report = replace(done.report, has_failed=True)
    return done


def _invalidate(
    selector: Selector, plan: Plan, rules: Rules, now: float, done: Done, begin_epoch: BeginEpoch
) -> Flow[None]:
    """In the last tier first, which holds everything: what a copy is checked against must be gone before the copy."""
    for tier in reversed(range(len(rules.tiers))):
        part = selector
        while True:
            found = yield Invalidate(tier, part, now, plan.is_lazy, _PART, plan.reason, plan.mode)
            if tier == rules.bottom:
                count = done.report.count + len(found.addresses)
                done.report = replace(done.report, count=count, number=found.number)
            if len(found.addresses) < _PART:
                break
            if plan.is_everything and not plan.is_lazy:
                yield from begin_epoch(selector.namespace, now)  # the rest goes at once, and is removed later
                done.report = replace(done.report, count=(yield from _noted(found.number, rules, now)))
                return
            # A further part must not take what was stored since: that is as new as it can be.
            bound = math.nextafter(now, math.inf)
            part = replace(selector, stored_before=min(bound, selector.stored_before or bound))


def _noted(number: int, rules: Rules, now: float) -> Flow[int]:
    """How many entries an invalidation was about, by the log."""
    log = yield Invalidations(rules.bottom, now)
    return next((one.count for one in log if one.number == number), _PART)


def _count(done: Done, rules: Rules) -> Flow[None]:
    """Count and list what would be meant, each entry once."""
    seen: set[tuple[str, str]] = set()
    types: Counter[str] = Counter()
    sample: list[str] = []
    for selector in done.selectors:
        for_page: int | None = 0
        while for_page is not None:
            page = yield Select(rules.bottom, selector, _PAGE, for_page)
            for entry in (stored.entry for stored in page.rows):
                if (entry.scope, entry.key) in seen:
                    continue
                seen.add((entry.scope, entry.key))
                types[entry.profile.query_type] += 1
                if len(sample) < _SAMPLE:
                    sample.append(entry.label or entry.key[:_SHOWN])
            for_page = page.after
    done.report = replace(done.report, count=len(seen), by_query_type=dict(types.most_common()), sample=tuple(sample))


# ---------------------------------------------------------------------------------------------------- by meaning
def _near_selectors(plan: Plan, near: Near, rules: Rules, now: float, done: Done) -> Flow[tuple[Selector, ...]]:
    """Selectors by key of what is near. Before they are looked for, all that the rest of the plan selects is noted:
    an answer under way may be near too, and is not stored; that costs its next caller a model call."""
    selectors = []
    for selector in plan.selectors:
        if not plan.is_dry_run:
            for tier in reversed(range(len(rules.tiers))):
                noted = yield Invalidate(tier, selector, now, True, 0, plan.reason, HELD_BACK)
                if tier == rules.bottom:
                    done.report = replace(done.report, number=noted.number)
        keys = yield from _near_keys(near, selector, rules)
        selectors += [replace(selector, keys=tuple(part)) for part in _parts(keys, _KEYS)]
    return tuple(selectors)


def _near_keys(near: Near, selector: Selector, rules: Rules) -> Flow[list[str]]:
    """Keys of the selected entries whose question is near: by the stored vector where there is one, else the question
    is embedded now. What the embedder cannot read is near only when it is the same text."""
    vector = (yield Embed((near.text,)))[0]
    folded, by_scope = normalise_text(near.text), dict[str, frozenset[str]]()
    found: list[str] = []
    after: int | None = 0
    while after is not None:
        page = yield Select(rules.bottom, selector, _PAGE, after)
        waiting: list[Entry] = []
        for entry in (stored.entry for stored in page.rows):
            if entry.is_candidate and entry.embedder_id == rules.embedder_id:
                if entry.scope not in by_scope:
                    by_scope[entry.scope] = yield from _near_in(entry.scope, vector, near.similarity, rules)
                if entry.key in by_scope[entry.scope]:
                    found.append(entry.key)
            elif normalise_text(entry.text) == folded:
                found.append(entry.key)
            elif entry.text and (yield Fits(entry.text)):
                waiting.append(entry)
        for part in _parts(waiting, _EMBEDDED):
            vectors = yield Embed([entry.text for entry in part])
            similarities = vectors @ vector
            found += [
                entry.key
                for entry, similarity in zip(part, similarities, strict=True)
                if similarity >= near.similarity - _ROUNDING
            ]
        after = page.after
    return found


def _near_in(scope: str, vector: FloatArray, similarity: float, rules: Rules) -> Flow[frozenset[str]]:
    """Keys of the scope's candidates that are near."""
    assert rules.embedder_id is not None
    limit = _NEAREST
    while True:
        # At the beginning of time nothing had expired: what is expired may still be served while it is renewed.
        candidates = yield Search(rules.bottom, scope, rules.embedder_id, vector, limit, 0.0)
        near = [one for one in candidates if one.similarity >= similarity - _ROUNDING]
        if len(near) < len(candidates) or len(candidates) < limit:
            return frozenset(one.entry.key for one in near)
        limit *= 8


def _parts(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (things[start : start + size] for start in range(0, len(things), size))
