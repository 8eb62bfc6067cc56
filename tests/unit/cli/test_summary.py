"""What a run came to, from served questions alone."""

from __future__ import annotations

import json

import pytest

from llmcache_plugins.cli.questions import Question
from llmcache_plugins.cli.summary import PRICES, Prices, Served, percentile, summarise
from llmcache_plugins.types import Bypass, Entry, Hit, HitKind, Miss, MissReason, NearMiss, Usage, Verdict

USAGE = Usage(100, 20)


def question(query: str, label: str, kind: str = "first", differs_in: str = "") -> Question:
    return Question(id=query, query=query, label=label, kind=kind, differs_in=differs_in)


def hit_on(text: str, kind: HitKind = "exact", similarity: float = 1.0) -> Hit:
    entry = Entry(
        scope="s", key="k", normalised_key="n", namespace=(), text=text, answer_json='"x"', created_at=0.0,
        expires_at=None, usage=USAGE,
    )  # fmt: skip
    return Hit(entry, kind, "hot", similarity, 1.0, 0.0, 1, 0.001)


def miss(near: str = "", reason: MissReason = MissReason.BELOW_THRESHOLD, guard: str = "") -> Miss:
    if not near:
        return Miss(MissReason.NO_CANDIDATES)
    verdicts = (Verdict("other", "agree"), Verdict(guard, "conflict", "1 / 2")) if guard else ()
    return Miss(reason, (NearMiss(near, 0.97, reason, "k", verdicts),))


SHOW_1 = question("Show BGP on rtr-001", "n:bgp:rtr-001")
SHOW_1_AGAIN = question("Show BGP on rtr-001", "n:bgp:rtr-001", "repeat")
DISPLAY_1 = question("Display BGP of rtr-001", "n:bgp:rtr-001", "reworded")
SHOW_2 = question("Show BGP on rtr-002", "n:bgp:rtr-002", "look_alike", "identifier")
ENABLE = question("Enable OSPF", "n:ospf:on")
DISABLE = question("Disable OSPF", "n:ospf:off", "look_alike", "opposite")
SMITH = question("Who teaches Law?", "a:who:law")
JONES = question("Who teaches Art?", "a:who:art", "look_alike", "name")
ALL = [SHOW_1, DISPLAY_1, SHOW_2, ENABLE, DISABLE, SMITH, JONES]


def test_hits_misses_and_rewordings_are_counted() -> None:
    summary = summarise(
        [
            Served(SHOW_1, miss(), 0.2, USAGE),
            Served(SHOW_1_AGAIN, hit_on(SHOW_1.query), 0.01),
            Served(DISPLAY_1, hit_on(SHOW_1.query, "semantic", 0.91), 0.02),
            Served(DISPLAY_1, hit_on(SHOW_1.query, "alias", 0.91), 0.01),
            Served(SHOW_2, miss(SHOW_1.query, MissReason.GUARD_CONFLICT, "identifiers"), 0.3, USAGE),
        ],
        ALL,
    )
    assert summary.hits == {"exact": 1, "normalised": 0, "semantic": 1, "alias": 1}
    assert summary.misses == {"no_candidates": 1, "guard_conflict": 1}
    assert (summary.wrong_hits, summary.unjudged_hits, summary.look_alikes, summary.look_alikes_hit) == (0, 0, 1, 0)
    assert (summary.rewordings, summary.rewordings_hit, summary.reworded_hit_rate) == (2, 2, 1.0)
    assert summary.hit_rate == pytest.approx(3 / 5)
    assert (summary.hit_latency.p50_ms, summary.hit_latency.p95_ms) == (10.0, 20.0)
    assert (summary.miss_latency.p50_ms, summary.miss_latency.p95_ms) == (200.0, 300.0)
    assert not summary.has_failed


@pytest.mark.parametrize(
    ("asked", "stored", "is_guarded"),
    [
        (SHOW_2, SHOW_1, True),  # marked: identifier
        (DISPLAY_1, SHOW_2, True),  # a rewording that meets the look-alike
        (SHOW_1, SHOW_2, True),
        (DISABLE, ENABLE, True),
        (ENABLE, DISABLE, True),  # the mark is on the stored side
        (JONES, SMITH, False),
        (SMITH, ENABLE, False),  # another family altogether
        (question("How many 200 level classes?", "a:n:1"), question("Any 200-level classes?", "a:any:1"), False),
        (SMITH, question("Who teaches Law 101?", "a:other:101"), True),  # other digits, whatever the family
    ],
)
def test_wrong_hits_are_split_by_what_guards_know(asked: Question, stored: Question, is_guarded: bool) -> None:
    summary = summarise([Served(asked, hit_on(stored.query, "semantic", 0.99), 0.1)], [*ALL, stored])
    assert summary.wrong_hits == 1
    assert (summary.wrong_hits_of_guard_kinds, summary.wrong_hits_of_other_kinds) == (is_guarded, not is_guarded)
    assert [example.stored for example in summary.wrong_examples] == [stored.query]
    assert summary.rewordings_hit == 0
    assert summary.example_hits == []


def test_a_hit_on_a_text_without_a_label_is_neither_right_nor_wrong() -> None:
    summary = summarise([Served(DISPLAY_1, hit_on("something older", "semantic"), 0.1)], ALL)
    assert (summary.hit_count, summary.wrong_hits, summary.unjudged_hits, summary.rewordings_hit) == (1, 0, 1, 0)


def test_money_is_what_the_stored_answers_cost() -> None:
    prices = Prices(input=1.0, output=10.0, cache_write=2.0, cache_read=0.5)
    usage = Usage(1_000_000, 100_000, 500_000, 2_000_000)
    assert prices.of(usage) == pytest.approx(1 + 1 + 1 + 1)
    summary = summarise(
        [Served(SHOW_1, miss(), 0.2, USAGE), Served(SHOW_1_AGAIN, hit_on(SHOW_1.query), 0.01, USAGE)] * 2, ALL
    )
    assert (summary.spent.calls, summary.saved.calls) == (2, 2)
    assert (summary.saved.input_tokens, summary.saved.output_tokens) == (200, 40)
    assert summary.spent.usd == summary.saved.usd == pytest.approx(2 * PRICES.of(USAGE))


def test_a_rewording_of_an_earlier_run_is_no_hit_by_meaning() -> None:
    by_meaning = Served(DISPLAY_1, hit_on(SHOW_1.query, "alias", 0.91), 0.1)
    summary = summarise([Served(DISPLAY_1, hit_on(DISPLAY_1.query), 0.1), by_meaning], ALL)
    assert (summary.rewordings_hit, summary.rewordings_hit_by_meaning) == (2, 1)


def test_bypassed_and_unheard_questions_are_calls_but_neither_hits_nor_misses() -> None:
    summary = summarise([Served(SHOW_1, Bypass("asked to"), 0.2, USAGE), Served(SHOW_2, None, 0.2, USAGE)], ALL)
    assert (summary.other_calls, summary.hit_count, summary.miss_count, summary.spent.calls) == (2, 0, 0, 2)


def test_failures_and_cache_errors_make_it_failed() -> None:
    failed = summarise([Served(SHOW_1, miss(), 0.2, error="RateLimitError")], ALL)
    assert failed.has_failed
    assert failed.failures == {"RateLimitError": 1}
    assert (failed.spent.calls, failed.miss_count) == (0, 0)
    assert summarise([], ALL, cache_errors={"warm: StoreUnavailable": 2}).has_failed


def test_refused_look_alikes_show_each_guard_before_they_repeat_one() -> None:
    others = [question(f"Show BGP on rtr-10{n}", f"n:bgp:10{n}", "look_alike", "identifier") for n in range(5)]
    refused = [Served(one, miss(SHOW_1.query, MissReason.GUARD_CONFLICT, "identifiers"), 0.1) for one in others]
    refused.append(Served(DISABLE, miss(ENABLE.query, MissReason.GUARD_CONFLICT, "polarity"), 0.1))
    refused.append(Served(JONES, miss(SMITH.query), 0.1))
    summary = summarise(refused, [*ALL, *others], examples=3)
    assert [one.guard for one in summary.refused_look_alikes] == ["identifiers", "polarity", "identifiers"]
    assert summary.refused_look_alikes[1].detail == "1 / 2"
    assert summary.refused_look_alikes[1].stored == ENABLE.query


def test_a_missed_rewording_is_no_refused_look_alike() -> None:
    same_class = Served(DISPLAY_1, miss(SHOW_1.query), 0.1)
    look_alike_near_its_own = Served(SHOW_2, miss(SHOW_2.query), 0.1)
    assert summarise([same_class, look_alike_near_its_own], ALL).refused_look_alikes == []


def test_example_hits_come_from_different_classes() -> None:
    served = [Served(DISPLAY_1, hit_on(SHOW_1.query, "semantic", 0.9), 0.1)] * 3
    other = question("Turn OSPF on", "n:ospf:on", "reworded")
    served.append(Served(other, hit_on(ENABLE.query, "semantic", 0.9), 0.1))
    examples = summarise(served, [*ALL, other], examples=2).example_hits
    assert [example.asked_class for example in examples] == ["n:bgp:rtr-001", "n:ospf:on"]


def test_the_summary_is_json() -> None:
    served = [Served(SHOW_1, miss(), 0.2, USAGE), Served(DISPLAY_1, hit_on(SHOW_1.query, "semantic", 0.9), 0.1)]
    row = json.loads(json.dumps(summarise(served, ALL).as_json()))
    assert (row["requests"], row["hit_rate"], row["reworded_hit_rate"]) == (2, 0.5, 1.0)
    assert row["hit_latency"] == {"p50_ms": 100.0, "p95_ms": 100.0}
    assert row["saved"]["calls"] == 1
    assert row["example_hits"][0]["stored"] == SHOW_1.query


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile(values, 1.0)) == (50.0, 95.0, 100.0)
    assert (percentile([7.0], 0.95), percentile([], 0.5)) == (7.0, 0.0)


def test_an_empty_run_has_no_rates() -> None:
    summary = summarise([], [])
    assert (summary.hit_rate, summary.error_rate, summary.reworded_hit_rate) == (0.0, 0.0, 0.0)
