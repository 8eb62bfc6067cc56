"""The flows step by step: values are fed by hand, no store, no embedder."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from llmcache_plugins.engine.flow import Found, NotFound, Rules, lookup_flow, update_flow
from llmcache_plugins.engine.reports import Report, key_of_reports, report_entry
from llmcache_plugins.engine.steps import (
    CensusOf,
    Embed,
    Fits,
    Put,
    PutAlias,
    ReadExact,
    ReadNormalised,
    Search,
    SetVectors,
    Sweep,
    Touch,
)
from llmcache_plugins.errors import EmbedderError, StoreUnavailable
from llmcache_plugins.keys.fingerprint import identify, normalised_key_of
from llmcache_plugins.matching import SimilarityPolicy
from llmcache_plugins.types import (
    Alias,
    Candidate,
    Census,
    Damaged,
    Entry,
    MissReason,
    Pending,
    Request,
    Stored,
    UpdateOutcome,
    Verdict,
)

NOW = 1000.0
VECTOR = np.eye(1, 4, dtype=np.float32)


def rules(**changes: Any) -> Rules:
    values: dict[str, Any] = {
        "tiers": ("hot", "cold"),
        "embedder_id": "e",
        "policy_id": "p",
        "policy_for": lambda request: SimilarityPolicy(0.9),
        "guards": lambda asked, stored: (),
    }
    return Rules(**(values | changes))


def entry_of(text: str, *, expires_at: float | None = None, key: str | None = None) -> Entry:
    identity = identify(Request(text))
    return Entry(
        scope=identity.scope,
        key=key or identity.key,
        normalised_key=normalised_key_of(identity.scope, text),
        namespace=(),
        text=text,
        answer_json='"a"',
        created_at=NOW - 10,
        expires_at=expires_at,
    )


class Walk:
    """Feeds a flow and keeps what it asked for."""

    def __init__(self, flow: Generator[Any, Any, Any]) -> None:
        self.flow = flow
        self.step = next(flow)
        self.result: Any = None

    def expect(self, kind: type, answer: Any = None, **fields: Any) -> Walk:
        assert type(self.step) is kind, self.step
        for name, value in fields.items():
            assert getattr(self.step, name) == value
        try:
            self.step = self.flow.throw(answer) if isinstance(answer, Exception) else self.flow.send(answer)
        except StopIteration as done:
            self.step, self.result = None, done.value
        return self


def look(text: str, request: Request | None = None, **changes: Any) -> Walk:
    request = request or Request(text)
    return Walk(lookup_flow(request, identify(request), rules(**changes), NOW))


def test_exact_hit_asks_for_no_embedding() -> None:
    walk = look("q").expect(ReadExact, Stored(entry_of("q")), tier=0).expect(Touch, tier=0)
    assert walk.result.kind == "exact"
    assert walk.result.tier == "hot"


def test_every_tier_is_asked_exactly_before_anything_else() -> None:
    walk = look("q").expect(ReadExact, tier=0).expect(ReadExact, Stored(entry_of("q")), tier=1).expect(Touch, tier=1)
    assert walk.result.tier == "cold"


def test_expired_exact_entry_is_a_miss_with_that_reason() -> None:
    walk = look("q", tiers=("hot",)).expect(ReadExact, Stored(entry_of("q", expires_at=NOW)))
    walk.expect(Fits, True).expect(ReadNormalised, []).expect(CensusOf, Census(0))
    assert walk.result == NotFound(MissReason.EXPIRED)


def test_damaged_entry_is_a_miss_with_that_reason() -> None:
    walk = look("q", tiers=("hot",)).expect(ReadExact, Damaged("bad_bytes"))
    walk.expect(Fits, True).expect(ReadNormalised, []).expect(CensusOf, Census(0))
    assert walk.result.reason is MissReason.DAMAGED


def test_no_embedding_while_the_scope_is_empty() -> None:
    walk = look("q").expect(ReadExact).expect(ReadExact).expect(Fits, True)
    walk.expect(ReadNormalised, []).expect(ReadNormalised, []).expect(CensusOf, Census(0)).expect(CensusOf, Census(0))
    assert walk.result.reason is MissReason.NO_CANDIDATES


def test_normalised_match_is_taken_without_embedding() -> None:
    walk = look("What is BGP", tiers=("hot",)).expect(ReadExact).expect(Fits, True)
    walk.expect(ReadNormalised, [Stored(entry_of("what is bgp?"))])
    scope = identify(Request("What is BGP")).scope
    walk.expect(ReadNormalised, [], normalised_key=key_of_reports(scope)).expect(Touch)
    assert walk.result.kind == "normalised"


def test_the_same_question_stored_meanwhile_is_an_exact_hit_where_wordings_are_looked_for() -> None:
    walk = look("What is it?", tiers=("hot",)).expect(ReadExact).expect(Fits, True)
    walk.expect(ReadNormalised, [Stored(entry_of("What is it?"))]).expect(ReadNormalised, []).expect(Touch)
    assert (walk.result.kind, walk.result.verdicts) == ("exact", ())


def test_the_same_question_stored_meanwhile_is_an_exact_hit_where_meaning_is_looked_for() -> None:
    walk = look("q", tiers=("hot",), policy_for=lambda request: SimilarityPolicy(1.1))  # nothing is near enough for it
    walk.expect(ReadExact).expect(Fits, True).expect(ReadNormalised, []).expect(CensusOf, Census(1))
    walk.expect(Embed, VECTOR).expect(Search, [Candidate(entry_of("q"), 1.0)]).expect(Touch)
    assert (walk.step, walk.result.kind, walk.result.confidence) == (None, "exact", 1.0)  # and no alias of itself


def test_normalised_match_is_refused_when_a_guard_objects() -> None:
    walk = look("tag", tiers=("hot",), guards=lambda asked, stored: (Verdict("case", "conflict"),))
    walk.expect(ReadExact).expect(Fits, True).expect(ReadNormalised, [Stored(entry_of("TAG"))])
    walk.expect(CensusOf, Census(0))
    assert isinstance(walk.result, NotFound)


def test_what_may_only_be_matched_exactly_answers_no_other_wording() -> None:
    stored = replace(entry_of("sum the rows 1 2 3"), is_candidate=False)
    walk = look("Sum the rows 1 2 3", tiers=("hot",)).expect(ReadExact).expect(Fits, True)
    walk.expect(ReadNormalised, [Stored(stored)]).expect(CensusOf, Census(0))
    assert isinstance(walk.result, NotFound)


def test_exact_only_request_is_never_compared_by_meaning() -> None:
    walk = look("", Request("q", exact_only="agent_step"), tiers=("hot",)).expect(ReadExact)
    assert walk.result == NotFound(MissReason.EXACT_ONLY, detail="agent_step")


def test_text_longer_than_the_embedder_reads_is_never_compared_by_meaning() -> None:
    walk = look("q", tiers=("hot",)).expect(ReadExact).expect(Fits, False)
    assert walk.result.reason is MissReason.UNREADABLE


def test_without_embedder_there_is_exact_and_normalised_only() -> None:
    walk = look("q", tiers=("hot",), embedder_id=None).expect(ReadExact).expect(ReadNormalised, [])
    assert walk.result.reason is MissReason.NO_EMBEDDER


def semantic_walk(*candidates: Candidate, **changes: Any) -> Walk:
    walk = look("asked", tiers=("hot",), **changes).expect(ReadExact).expect(Fits, True).expect(ReadNormalised, [])
    walk.expect(CensusOf, Census(1)).expect(Embed, VECTOR, texts=("asked",))
    return walk.expect(Search, list(candidates))


def test_semantic_hit_stores_an_alias_that_points_to_the_entry() -> None:
    stored = entry_of("stored")
    walk = semantic_walk(Candidate(stored, 0.97, access_count=4))
    walk.expect(ReadNormalised, [], normalised_key=key_of_reports(stored.scope)).expect(Touch, key=stored.key)
    alias = walk.step.alias
    walk.expect(PutAlias)
    assert (alias.target_key, alias.similarity, alias.policy_id) == (stored.key, 0.97, "p cosine 0.9")
    assert alias.key == identify(Request("asked")).key
    found = walk.result
    assert (found.kind, found.similarity, found.stored.access_count) == ("semantic", 0.97, 4)


def test_similarity_equal_to_the_threshold_is_a_hit() -> None:
    walk = semantic_walk(Candidate(entry_of("stored"), 0.9)).expect(ReadNormalised, []).expect(Touch).expect(PutAlias)
    assert isinstance(walk.result, Found)


def test_below_the_threshold_is_a_miss_that_names_the_nearest() -> None:
    result = semantic_walk(Candidate(entry_of("stored"), 0.89)).result
    assert result.reason is MissReason.BELOW_THRESHOLD
    assert [near.question for near in result.near_misses] == ["stored"]


def test_vetoed_candidate_gives_way_to_the_next_one() -> None:
    def guards(asked: str, stored: str) -> tuple[Verdict, ...]:
        return (Verdict("g", "conflict" if stored == "first" else "agree"),)

    walk = semantic_walk(Candidate(entry_of("first"), 0.99), Candidate(entry_of("second"), 0.95), guards=guards)
    walk.expect(ReadNormalised, []).expect(Touch).expect(PutAlias)
    assert walk.result.stored.entry.text == "second"


def test_veto_of_all_candidates_is_a_guard_conflict() -> None:
    walk = semantic_walk(Candidate(entry_of("x"), 0.99), guards=lambda asked, stored: (Verdict("g", "conflict"),))
    assert walk.result.reason is MissReason.GUARD_CONFLICT
    assert walk.result.near_misses[0].verdicts[0].guard == "g"


def test_best_over_all_tiers_wins() -> None:
    walk = look("asked").expect(ReadExact).expect(ReadExact).expect(Fits, True)
    walk.expect(ReadNormalised, []).expect(ReadNormalised, []).expect(CensusOf, Census(1)).expect(CensusOf, Census(1))
    walk.expect(Embed, VECTOR).expect(Search, [Candidate(entry_of("hot one"), 0.92)], tier=0)
    walk.expect(Search, [Candidate(entry_of("cold one"), 0.99)], tier=1).expect(ReadNormalised, [], tier=0)
    walk.expect(ReadNormalised, [], tier=1).expect(Touch, tier=1).expect(PutAlias, tier=1)
    assert walk.result.stored.entry.text == "cold one"
    assert walk.result.tier == "cold"


def test_pending_vectors_are_computed_in_the_same_batch() -> None:
    walk = look("asked", tiers=("hot",)).expect(ReadExact).expect(Fits, True).expect(ReadNormalised, [])
    walk.expect(CensusOf, Census(1, (Pending("k", "stored"),)))
    walk.expect(Embed, np.eye(2, 4, dtype=np.float32), texts=("asked", "stored"))
    assert list(walk.step.vectors) == ["k"]
    walk.expect(SetVectors).expect(Search, [])
    assert walk.result.reason is MissReason.NO_CANDIDATES


def test_a_stored_text_that_no_longer_embeds_does_not_blind_the_scope() -> None:
    walk = look("asked", tiers=("hot",)).expect(ReadExact).expect(Fits, True).expect(ReadNormalised, [])
    walk.expect(CensusOf, Census(2, (Pending("k", "poison"),))).expect(Embed, EmbedderError("x"))
    walk.expect(Embed, VECTOR, texts=("asked",)).expect(Search, [Candidate(entry_of("s"), 0.99)])
    walk.expect(ReadNormalised, []).expect(Touch).expect(PutAlias)
    assert isinstance(walk.result, Found)


def test_alias_of_the_same_policy_answers_without_embedding() -> None:
    stored = entry_of("stored")
    alias = Alias(stored.scope, "a", stored.key, "asked", 0.96, 0.96, "p cosine 0.9", NOW)
    walk = look("asked").expect(ReadExact, Stored(stored, 2, None, alias)).expect(Touch, key=stored.key)
    assert (walk.result.kind, walk.result.similarity) == ("alias", 0.96)


def test_alias_of_another_policy_is_judged_again() -> None:
    stored = entry_of("stored")
    alias = Alias(stored.scope, "a", stored.key, "asked", 0.96, 0.96, "old", NOW)
    walk = look("asked", tiers=("hot",)).expect(ReadExact, Stored(stored, 2, None, alias)).expect(Fits, True)
    assert isinstance(walk.step, ReadNormalised)


def test_broken_tier_is_skipped_and_named_in_the_miss() -> None:
    down = StoreUnavailable("down")
    walk = look("q").expect(ReadExact, down).expect(ReadExact).expect(Fits, True)
    walk.expect(ReadNormalised, down).expect(ReadNormalised, []).expect(CensusOf, down).expect(CensusOf, Census(0))
    assert walk.result.reason is MissReason.STORE_ERROR


def test_broken_tier_does_not_hide_the_answer_of_the_next() -> None:
    walk = look("q").expect(ReadExact, StoreUnavailable("down")).expect(ReadExact, Stored(entry_of("q"))).expect(Touch)
    assert walk.result.tier == "cold"


def report(entry: Entry, asked: str = "x", last_access: float | None = None) -> Stored:
    """A report in the scope of this entry, made at time 0."""
    made = report_entry(entry.scope, (), Report.of(asked, "y", 0.9, None, None), 0.0)
    return Stored(made, last_access=last_access)


@pytest.mark.parametrize("unread", [StoreUnavailable("down"), "of another form"])
def test_match_is_not_served_while_its_reports_cannot_be_read(unread: Any) -> None:
    """It may be the one that was reported."""
    stored = entry_of("What is BGP?")
    answer, key = unread, key_of_reports(stored.scope)
    by_meaning = semantic_walk(Candidate(stored, 0.97))
    by_text = look("what is bgp", tiers=("hot",), embedder_id=None).expect(ReadExact)
    for walk in (by_meaning, by_text.expect(ReadNormalised, [Stored(stored)])):
        if unread == "of another form":
            answer = [report(stored), Stored(replace(stored, answer_json='{"form":"?"}'))]
        walk.expect(ReadNormalised, answer, normalised_key=key)
        if unread == "of another form":
            walk.expect(Touch)
        assert walk.result.reason is MissReason.STORE_ERROR


def test_reports_of_a_lower_tier_count_while_the_upper_one_is_down() -> None:
    stored = entry_of("stored")
    walk = look("asked").expect(ReadExact).expect(ReadExact).expect(Fits, True)
    walk.expect(ReadNormalised, []).expect(ReadNormalised, []).expect(CensusOf, Census(0)).expect(CensusOf, Census(1))
    walk.expect(Embed, VECTOR).expect(Search, [Candidate(stored, 0.97)])
    walk.expect(ReadNormalised, StoreUnavailable("down"), tier=0)
    walk.expect(ReadNormalised, [report(stored)], tier=1).expect(Touch, tier=1)
    assert walk.expect(Touch, tier=1).expect(PutAlias).result.kind == "semantic"


def test_reports_of_all_tiers_count() -> None:
    stored = entry_of("stored")
    walk = look("asked").expect(ReadExact).expect(ReadExact).expect(Fits, True)
    walk.expect(ReadNormalised, []).expect(ReadNormalised, []).expect(CensusOf, Census(1)).expect(CensusOf, Census(0))
    walk.expect(Embed, VECTOR).expect(Search, [Candidate(stored, 0.97)])
    walk.expect(ReadNormalised, [report(stored)], tier=0).expect(Touch, tier=0)
    forbidden = report_entry(stored.scope, (), Report.of("asked", "stored", 0.9, None, None), 0.0)
    walk.expect(ReadNormalised, [Stored(forbidden)], tier=1).expect(Touch, tier=1)
    assert walk.result.reason is MissReason.REPORTED


def test_report_that_waited_longest_is_counted_as_read() -> None:
    """One step for however many reports; in turn they all stay young."""
    stored = entry_of("stored")
    kept = [report(stored, "a", last_access=7.0), report(stored, "b", last_access=3.0), report(stored, "c", 5.0)]
    walk = semantic_walk(Candidate(stored, 0.97)).expect(ReadNormalised, kept)
    walk.expect(Touch, key=kept[1].entry.key)
    assert walk.expect(Touch, key=stored.key).expect(PutAlias).result.kind == "semantic"
    never_read = report(stored, "d")
    walk = semantic_walk(Candidate(stored, 0.97)).expect(ReadNormalised, [*kept, never_read])
    walk.expect(Touch, key=never_read.entry.key)


def test_broken_embedder_is_a_miss() -> None:
    walk = look("q", tiers=("hot",)).expect(ReadExact).expect(Fits, True).expect(ReadNormalised, [])
    walk.expect(CensusOf, Census(1)).expect(Embed, EmbedderError("down"))
    assert walk.result.reason is MissReason.EMBEDDER_ERROR


def test_fail_open_false_raises_what_the_store_raised() -> None:
    with pytest.raises(StoreUnavailable):
        look("q", fail_open=False).expect(ReadExact, StoreUnavailable("down"))


def test_first_entry_of_a_scope_is_stored_without_a_vector() -> None:
    walk = Walk(update_flow(entry_of("q"), rules(tiers=("hot",)), NOW, sweep=False))
    walk.expect(Fits, True).expect(CensusOf, Census(0))
    assert walk.step.entry.vector is None
    assert walk.step.entry.is_candidate
    assert walk.expect(Put, True).result == UpdateOutcome(True)


def test_second_entry_of_a_scope_gets_its_vector_at_once() -> None:
    walk = Walk(update_flow(entry_of("q"), rules(tiers=("hot",)), NOW, sweep=False))
    walk.expect(Fits, True).expect(CensusOf, Census(1)).expect(Embed, VECTOR)
    assert walk.step.entry.embedder_id == "e"
    assert walk.step.entry.vector is not None


def test_text_that_does_not_fit_is_stored_for_exact_matches_only() -> None:
    walk = Walk(update_flow(entry_of("q"), rules(tiers=("hot",)), NOW, sweep=False)).expect(Fits, False)
    assert not walk.step.entry.is_candidate


def test_answer_is_stored_even_when_its_embedding_fails() -> None:
    walk = Walk(update_flow(entry_of("q"), rules(tiers=("hot",)), NOW, sweep=False))
    walk.expect(Fits, True).expect(CensusOf, Census(1)).expect(Embed, EmbedderError("down"))
    assert walk.expect(Put, True).result.stored


def test_update_writes_every_tier_and_sweeps_when_told() -> None:
    walk = Walk(update_flow(entry_of("q"), rules(embedder_id=None), NOW, sweep=True))
    walk.expect(Put, False, tier=1).expect(Sweep, tier=1).expect(Put, True, tier=0).expect(Sweep, tier=0)
    assert walk.result.stored


def test_update_says_when_no_tier_could_store() -> None:
    walk = Walk(update_flow(entry_of("q"), rules(tiers=("hot",), embedder_id=None), NOW, sweep=False))
    assert walk.expect(Put, StoreUnavailable("down")).result == UpdateOutcome(False, "store_error")
