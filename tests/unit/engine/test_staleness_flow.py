"""What is not fresh, step by step: when it ends a lookup, when it is put aside, and why an update is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llmcache_plugins.engine.flow import Found, NotFound, Rules, lookup_flow, update_flow
from llmcache_plugins.engine.steps import (
    CensusOf,
    Embed,
    Fits,
    Invalidations,
    Put,
    ReadExact,
    ReadNormalised,
    Search,
    SequenceOf,
    Sweep,
    Touch,
)
from llmcache_plugins.keys.fingerprint import identify, normalised_key_of
from llmcache_plugins.matching import SimilarityPolicy
from llmcache_plugins.policies import Staleness
from llmcache_plugins.selection import Invalidation, Lease, Selector
from llmcache_plugins.types import Candidate, Census, Entry, MissReason, Profile, Request, Stored, UpdateOutcome

NOW = 1000.0
REQUEST = Request("q")
ME = identify(REQUEST)


def rules(**changes: Any) -> Rules:
    values: dict[str, Any] = {
        "tiers": ("bottom",),
        "embedder_id": "e",
        "policy_id": "p",
        "policy_for": lambda request: SimilarityPolicy(0.9),
        "guards": lambda asked, stored: (),
        "staleness": Staleness(stale_while_revalidate=60.0),
    }
    return Rules(**(values | changes))


def entry(text: str = "q", *, expires_at: float | None = None, stale_at: float | None = None) -> Entry:
    identity = identify(Request(text))
    normalised = normalised_key_of(identity.scope, text)
    return Entry(identity.scope, identity.key, normalised, (), text, '"a"', 0.0, expires_at, stale_at=stale_at)


class Walk:
    """Feeds a flow by hand."""

    def __init__(self, flow: Any) -> None:
        self.flow, self.step = flow, next(flow)
        self.result: Any = None

    def expect(self, kind: type, answer: Any = None, **fields: Any) -> Walk:
        assert type(self.step) is kind, self.step
        assert {name: getattr(self.step, name) for name in fields} == fields
        try:
            self.step = self.flow.send(answer)
        except StopIteration as done:
            self.step, self.result = None, done.value
        return self


def test_who_can_renew_an_expired_entry_gets_it_without_paying_for_an_embedding() -> None:
    walk = Walk(lookup_flow(REQUEST, ME, rules(), NOW, takes_stale=True))
    result = walk.expect(ReadExact, Stored(entry(expires_at=NOW - 59.0))).result
    assert isinstance(result, NotFound)
    assert result.stale is not None
    assert (result.reason, result.stale.is_stale, result.stale.kind) == (MissReason.EXPIRED, True, "exact")


@pytest.mark.parametrize(
    ("old", "reason"),
    [
        (entry(expires_at=NOW - 60.0), MissReason.EXPIRED),  # the window is over
        (entry(stale_at=NOW - 300.0), MissReason.STALE),
        (entry(expires_at=NOW - 61.0, stale_at=NOW - 1.0), MissReason.EXPIRED),  # one open window is not enough
    ],
)
def test_beyond_its_window_an_old_entry_is_no_help(old: Entry, reason: MissReason) -> None:
    walk = Walk(lookup_flow(REQUEST, ME, rules(embedder_id=None), NOW, takes_stale=True))
    result = walk.expect(ReadExact, Stored(old)).expect(ReadNormalised, []).result
    assert result == NotFound(reason)


def test_without_the_setting_an_expired_entry_is_a_miss() -> None:
    walk = Walk(lookup_flow(REQUEST, ME, rules(embedder_id=None, staleness=Staleness()), NOW, takes_stale=True))
    result = walk.expect(ReadExact, Stored(entry(expires_at=NOW))).expect(ReadNormalised, []).result
    assert result == NotFound(MissReason.EXPIRED)


def test_a_marked_entry_is_stale_at_once() -> None:
    walk = Walk(lookup_flow(REQUEST, ME, rules(), NOW, takes_stale=True))
    result = walk.expect(ReadExact, Stored(entry(stale_at=NOW))).result
    assert (result.reason, result.stale.is_stale) == (MissReason.STALE, True)


def test_a_plain_lookup_looks_on_for_a_fresh_answer() -> None:
    """Nobody is known who could renew the old one."""
    near = Candidate(replace(entry("q2"), vector=np.eye(1, 4, dtype=np.float32)[0]), 0.95)
    walk = Walk(lookup_flow(REQUEST, ME, rules(), NOW))
    walk.expect(ReadExact, Stored(entry(expires_at=NOW - 1.0))).expect(Fits, True).expect(ReadNormalised, [])
    walk.expect(CensusOf, Census(1)).expect(Embed, np.eye(1, 4, dtype=np.float32)).expect(Search, [near])
    walk.expect(ReadNormalised, [])  # the reports
    assert type(walk.step) is Touch


def test_a_marked_neighbour_is_no_match() -> None:
    marked = Candidate(entry("q2", stale_at=NOW), 0.99)
    walk = Walk(lookup_flow(REQUEST, ME, rules(), NOW, takes_stale=True))
    walk.expect(ReadExact, None).expect(Fits, True).expect(ReadNormalised, []).expect(CensusOf, Census(1))
    result = walk.expect(Embed, np.eye(1, 4, dtype=np.float32)).expect(Search, [marked]).result
    assert result == NotFound(MissReason.NO_CANDIDATES)


def test_another_layout_of_an_old_question_is_served_stale_too() -> None:
    walk = Walk(lookup_flow(Request("Q"), identify(Request("Q")), rules(embedder_id=None), NOW, takes_stale=True))
    walk.expect(ReadExact, None).expect(ReadNormalised, [Stored(entry(stale_at=NOW))]).expect(ReadNormalised, [])
    assert isinstance(walk.result, NotFound)
    assert walk.result.stale is not None
    assert walk.result.stale.kind == "normalised"


def test_a_fresh_entry_is_served_and_counted() -> None:
    walk = Walk(lookup_flow(REQUEST, ME, rules(), NOW, takes_stale=True))
    result = walk.expect(ReadExact, Stored(entry(expires_at=NOW + 1.0))).expect(Touch).result
    assert isinstance(result, Found)
    assert not result.is_stale


def test_sweeps_leave_what_may_still_be_served() -> None:
    walk = Walk(update_flow(entry(), rules(embedder_id=None), NOW, sweep=True))
    walk.expect(Put, True).expect(Sweep, 0, now=NOW - 60.0)


def test_an_update_says_that_an_invalidation_refused_it() -> None:
    tagged = replace(entry(), profile=Profile(tags=("a",)))
    walk = Walk(update_flow(tagged, rules(embedder_id=None), NOW, sweep=False, seen=3))
    walk.expect(Put, False, seen=3).expect(SequenceOf, 5)
    log = [Invalidation(4, NOW, Selector(tags=("b",))), Invalidation(5, NOW, Selector(tags=("a",)))]
    assert walk.expect(Invalidations, log).result == UpdateOutcome(False, "invalidated")


def test_an_update_refused_for_its_size_says_so_whatever_was_invalidated() -> None:
    walk = Walk(update_flow(entry(), rules(embedder_id=None), NOW, sweep=False, seen=3))
    walk.expect(Put, False).expect(SequenceOf, 4)
    log = [Invalidation(4, NOW, Selector(tags=("b",)))]
    assert walk.expect(Invalidations, log).result == UpdateOutcome(False, "not_kept")


def test_a_late_leader_is_told_that_another_one_took_over() -> None:
    lease = Lease("flight", "me", 1, NOW)
    walk = Walk(update_flow(entry(), rules(embedder_id=None), NOW, sweep=False, seen=0, fence=lease))
    walk.expect(Put, False, fence=lease)
    assert walk.expect(SequenceOf, 0).result == UpdateOutcome(False, "superseded")
