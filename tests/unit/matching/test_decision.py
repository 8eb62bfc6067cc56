"""From candidates to a decision: which one is served, which are asked about, which are only named."""

from __future__ import annotations

from collections.abc import Sequence

from llmcache_plugins.matching import Decision, GuardChain, Policy, SimilarityPolicy, decide
from llmcache_plugins.types import Candidate, Entry, MissReason, Verdict


def candidate(text: str, similarity: float) -> Candidate:
    return Candidate(Entry("s", f"key of {text}", "n", (), text, '"a"', 0.0, None), similarity)


class Table(Policy):
    """Confidence by stored text; remembers what it was asked."""

    policy_id, floor, grey_from, min_confidence = "table", 0.5, 0.4, 0.9

    def __init__(self, **confidences: float) -> None:
        self._confidences = confidences
        self.asked: list[tuple[str, list[float]]] = []

    def confidence(
        self, asked: str, stored: str, similarity: float, others: Sequence[float], verdicts: Sequence[Verdict]
    ) -> float:
        self.asked.append((stored, list(others)))
        return self._confidences[stored]


def no_guard(asked: str, stored: str) -> tuple[Verdict, ...]:
    return ()


def veto(*texts: str) -> GuardChain:
    return lambda asked, stored: (Verdict("g", "conflict" if stored in texts else "agree"),)


def decision(
    policy: Policy, *candidates: Candidate, guards: GuardChain = no_guard, near_misses: int = 3, **refused: MissReason
) -> Decision:
    keys = {f"key of {text}": reason for text, reason in refused.items()}
    return decide("asked", candidates, policy=policy, guards=guards, near_misses=near_misses, refused=keys)


def texts(found: Decision) -> list[str]:
    return [one.candidate.entry.text for one in found.grey]


def test_nearest_sure_candidate_is_served_and_nobody_behind_it_is_judged() -> None:
    policy = Table(a=0.95, b=0.99)
    found = decision(policy, candidate("a", 0.9), candidate("b", 0.8))
    assert found.match is not None
    assert (found.match.candidate.entry.text, found.match.confidence) == ("a", 0.95)
    assert policy.asked == [("a", [0.8])]


def test_sure_candidate_wins_over_a_nearer_grey_one() -> None:
    found = decision(Table(a=0.6, b=0.99), candidate("a", 0.9), candidate("b", 0.8))
    assert found.match is not None
    assert found.match.candidate.entry.text == "b"
    assert [(near.question, near.reason, near.confidence) for near in found.near_misses] == [
        ("a", MissReason.LOW_CONFIDENCE, 0.6)
    ]


def test_grey_candidates_come_most_confident_first() -> None:
    found = decision(Table(a=0.5, b=0.8, c=0.39), candidate("a", 0.9), candidate("b", 0.8), candidate("c", 0.7))
    assert found.match is None
    assert texts(found) == ["b", "a"]  # c is below the grey zone
    assert found.reason is MissReason.LOW_CONFIDENCE


def test_at_most_eight_are_asked_about() -> None:
    names = "abcdefghij"
    policy = Table(**{name: 0.5 + place / 100 for place, name in enumerate(names)})
    found = decision(policy, *[candidate(name, 0.9 - place / 100) for place, name in enumerate(names)])
    assert texts(found) == list("jihgfedc")


def test_vetoed_candidate_is_neither_served_nor_grey_nor_given_a_confidence() -> None:
    policy = Table(a=0.99)
    found = decision(policy, candidate("a", 0.9), guards=veto("a"))
    assert (found.match, found.grey, found.reason) == (None, (), MissReason.GUARD_CONFLICT)
    assert found.near_misses[0].confidence == 0.0
    assert found.near_misses[0].vetoed_by == ("g",)
    assert policy.asked == []


def test_below_the_floor_neither_guards_nor_policy_are_asked() -> None:
    def never(asked: str, stored: str) -> tuple[Verdict, ...]:
        raise AssertionError("asked a guard")

    found = decision(Table(), candidate("a", 0.49), guards=never)
    assert found.reason is MissReason.BELOW_THRESHOLD


def test_refused_candidate_gives_way_to_the_next() -> None:
    found = decision(Table(a=0.95, b=0.92), candidate("a", 0.9), candidate("b", 0.8), a=MissReason.REJECTED)
    assert found.match is not None
    assert found.match.candidate.entry.text == "b"
    assert found.near_misses[0].reason is MissReason.REJECTED


def test_each_candidate_is_weighed_against_all_others() -> None:
    policy = Table(a=0.1, b=0.1)
    decision(policy, candidate("a", 0.9), candidate("b", 0.8))
    assert policy.asked == [("a", [0.8]), ("b", [0.9])]


def test_confidence_that_is_no_number_is_not_served() -> None:
    assert decision(Table(a=float("nan")), candidate("a", 0.9)).match is None


def test_no_near_misses_are_listed_when_none_are_wanted() -> None:
    found = decision(SimilarityPolicy(0.9), candidate("a", 0.8), near_misses=0)
    assert (found.near_misses, found.reason) == ((), MissReason.BELOW_THRESHOLD)


class Stricter(Table):
    """For the stored text "strict" this policy gives way to one that asks for more."""

    class Strict(Table):
        policy_id, floor, grey_from, min_confidence = "strict", 0.8, 0.6, 0.95

    def for_stored(self, stored: str) -> Policy | None:
        return self.Strict(**self._confidences) if stored == "strict" else self


def test_grey_zone_is_that_of_the_stored_question_s_own_policy() -> None:
    for confidence, own, is_grey in ((0.92, 0.95, True), (0.5, 0.95, False)):
        found = decision(Stricter(strict=confidence), candidate("strict", 0.9))
        assert found.match is None
        assert texts(found) == (["strict"] if is_grey else [])
        assert [one.policy.min_confidence for one in found.grey if one.policy is not None] == [own] * is_grey
    assert texts(decision(Stricter(other=0.5), candidate("other", 0.9))) == ["other"]


def test_floor_is_that_of_the_stored_question_s_own_policy() -> None:
    found = decision(Stricter(strict=0.99), candidate("strict", 0.79))
    assert found.reason is MissReason.BELOW_THRESHOLD
    assert decision(Stricter(strict=0.99), candidate("strict", 0.81)).match is not None
