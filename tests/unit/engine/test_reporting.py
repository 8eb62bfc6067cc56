"""`report_wrong`: the entry goes, the pair never matches again, its neighbourhood gets harder, a test case remains."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmcache_plugins import CacheConfig, ConfigError, Hit, Miss, Reported, Request, SemanticCache, Tier, open_cache
from llmcache_plugins.engine import Rules
from llmcache_plugins.engine.reporting import Wrong, report_flow
from llmcache_plugins.engine.reports import (
    MOST_REPORTS,
    Report,
    Reports,
    key_of_reports,
    report_entry,
    report_of,
    superfluous,
)
from llmcache_plugins.engine.steps import Delete, Put, ReadExact, ReadNormalised
from llmcache_plugins.errors import StoreError
from llmcache_plugins.keys.fingerprint import normalised_key_of
from llmcache_plugins.matching import SimilarityPolicy
from llmcache_plugins.stores import AsyncStoreAdapter, MemoryStore
from llmcache_plugins.telemetry import RegressionLog, Statistics
from llmcache_plugins.testing import FakeClock, FakeEmbedder, FaultyStore
from llmcache_plugins.types import FloatArray, Stored

ASKED, STORED = "Which states does BGP have?", "What are the BGP states?"
OTHER, FAR = "Name the BGP states", "How does OSPF flood LSAs?"
Report_ = Callable[..., Reported]


@pytest.fixture(params=["sync", "async"])
def report(request: pytest.FixtureRequest) -> Report_:
    if request.param == "sync":
        return lambda cache, wrong, **more: cache.report_wrong(wrong, **more)
    return lambda cache, wrong, **more: asyncio.run(cache.areport_wrong(wrong, **more))


@pytest.fixture(params=["memory", "disk"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory://" if request.param == "memory" else f"disk://{tmp_path}/cache.db"


def opened(url: str = "memory://", similarity: float = 0.96, **settings: Any) -> SemanticCache:
    embedder = FakeEmbedder(dict.fromkeys((ASKED, f"{ASKED}?", STORED, OTHER), "bgp"), similarity=similarity)
    return open_cache(url, embedder=embedder, clock=FakeClock(), similarity_threshold=0.9, **settings)


def fill(cache: SemanticCache, *questions: str) -> None:
    for question in (*questions, FAR):
        cache.update(question, f"answer to {question}")


def hit(cache: SemanticCache, question: str | Request) -> Hit:
    outcome = cache.lookup(question)
    assert isinstance(outcome, Hit), outcome
    return outcome


def miss(cache: SemanticCache, question: str | Request) -> Miss:
    outcome = cache.lookup(question)
    assert isinstance(outcome, Miss), outcome
    return outcome


def test_reported_entry_and_its_aliases_are_gone(url: str, report: Report_) -> None:
    with opened(url) as cache:
        fill(cache, STORED)
        wrong = hit(cache, ASKED)
        assert hit(cache, ASKED).kind == "alias"
        assert report(cache, wrong).removed == 1
        assert all(store.aliases == 0 for store in cache.stats().stores.values())
        miss(cache, STORED)
        miss(cache, ASKED)


def test_reported_pair_never_matches_again(url: str, report: Report_) -> None:
    with opened(url) as cache:
        fill(cache, STORED)
        report(cache, hit(cache, ASKED))
        cache.update(STORED, "stored anew")
        assert miss(cache, ASKED).reason == "reported"
        assert miss(cache, f"{ASKED}?").reason == "reported"  # nor what reads the same
        assert hit(cache, STORED).kind == "exact"


def test_reported_pair_does_not_match_in_the_other_direction(report: Report_) -> None:
    with opened() as cache:
        fill(cache, STORED)
        report(cache, hit(cache, ASKED))
        cache.update(ASKED, "its own answer")
        assert miss(cache, STORED).reason == "reported"


def test_reported_normalised_match_never_matches_again(report: Report_) -> None:
    with opened() as cache:
        fill(cache, STORED)
        wrong = hit(cache, STORED.lower())
        assert wrong.kind == "normalised"
        report(cache, wrong)
        cache.update(STORED, "stored anew")
        miss(cache, STORED.lower())


class Circle(FakeEmbedder):
    """Questions by their angle from the stored one, in degrees."""

    def __init__(self, **others: float) -> None:
        super().__init__()
        self.angles = {STORED: 0, ASKED: 23, **others}

    def embed(self, texts: Sequence[str]) -> FloatArray:
        angles = np.radians([self.angles.get(text, 180) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_neighbourhood_needs_a_confidence_half_way_to_certainty(report: Report_) -> None:
    """The threshold is 0.9, half way to 1 is 0.95: a cosine of 0.94 is no longer enough, one of 0.98 is."""
    for angle, is_served in ((-20, False), (-10, True)):
        with open_cache("memory://", embedder=Circle(near=angle), similarity_threshold=0.9) as cache:
            fill(cache, STORED)
            assert isinstance(cache.lookup("near"), Hit)
            report(cache, hit(cache, ASKED))
            cache.update(STORED, "stored anew")
            assert isinstance(cache.lookup("near"), Hit) is is_served


def test_neighbourhood_of_a_report_is_what_is_as_near_as_the_wrong_match_was(report: Report_) -> None:
    """Neither text is a reported one here; the vectors tell."""
    for angle, is_served in ((20, False), (120, True)):
        embedder = Circle(near=angle, another=angle - 21)
        with open_cache("memory://", embedder=embedder, similarity_threshold=0.9) as cache:
            fill(cache, STORED)
            report(cache, hit(cache, ASKED))
            cache.update("another", "another entry")
            assert isinstance(cache.lookup("near"), Hit) is is_served


def test_what_is_far_from_a_report_is_as_easy_as_before(report: Report_) -> None:
    embedder = FakeEmbedder({ASKED: "b", STORED: "b", FAR: "o", "How are LSAs flooded?": "o"}, similarity=0.93)
    with open_cache("memory://", embedder=embedder, similarity_threshold=0.9) as cache:
        fill(cache, STORED)
        report(cache, hit(cache, ASKED))
        assert hit(cache, "How are LSAs flooded?").answer == f"answer to {FAR}"


def test_next_candidate_is_served_in_place_of_a_reported_one(report: Report_) -> None:
    with opened(similarity=0.98) as cache:
        fill(cache, STORED)
        report(cache, hit(cache, ASKED))
        fill(cache, STORED, OTHER)
        assert hit(cache, ASKED).matched_question == OTHER


def test_reports_survive_a_restart(tmp_path: Path, report: Report_) -> None:
    with opened(f"disk://{tmp_path}/c.db") as cache:
        fill(cache, STORED)
        report(cache, hit(cache, ASKED))
    with opened(f"disk://{tmp_path}/c.db") as cache:
        cache.update(STORED, "stored anew")
        assert miss(cache, ASKED).reason == "reported"
        cache.clear()
        fill(cache, STORED)
        assert isinstance(cache.lookup(ASKED), Hit)  # what is cleared forgets its reports too


def test_reports_of_one_tenant_are_not_another_ones(report: Report_) -> None:
    with opened() as cache:
        for tenant in ("a", "b"):
            for question in (STORED, FAR):
                cache.update(Request(question, namespace=(tenant,)), "x")
        report(cache, hit(cache, Request(ASKED, namespace=("a",))))
        cache.update(Request(STORED, namespace=("a",)), "x")
        miss(cache, Request(ASKED, namespace=("a",)))
        hit(cache, Request(ASKED, namespace=("b",)))


# ---------------------------------------------------------------------------------------------- what may be reported
@pytest.mark.parametrize("name", ["reference", "key", "short key"])
def test_hit_may_be_named_by_a_key(report: Report_, name: str) -> None:
    with opened() as cache:
        fill(cache, STORED)
        wrong = hit(cache, Request(ASKED))
        key = {"reference": wrong.reference, "key": wrong.entry.key, "short key": wrong.entry.key[:12]}[name]
        reported = report(cache, key)
        assert reported.removed == 1
        assert reported.regression is not None
        assert (reported.regression.stored, reported.regression.asked) == (STORED, ASKED)


@pytest.mark.parametrize("name", ["hit", "reference", "request's key", "request's short key"])
def test_of_two_askers_of_one_entry_the_right_one_is_blamed(report: Report_, name: str) -> None:
    with opened() as cache:
        fill(cache, STORED)
        wrong, right = hit(cache, ASKED), hit(cache, OTHER)
        assert wrong.entry == right.entry
        key = cache.identify(ASKED).key
        names = {"hit": wrong, "reference": wrong.reference, "request's key": key, "request's short key": key[:12]}
        report(cache, names[name])
        [regression] = cache.regressions()
        assert (regression.stored, regression.asked) == (STORED, ASKED)


def test_key_of_an_entry_with_two_askers_blames_neither(report: Report_) -> None:
    with opened() as cache:
        fill(cache, STORED)
        key = hit(cache, ASKED).entry.key
        hit(cache, OTHER)
        assert report(cache, key[:12]) == Reported(1)
        miss(cache, STORED)


@pytest.mark.parametrize("has_own_answer", [False, True])
def test_reference_alone_tells_another_process_what_was_asked(
    tmp_path: Path, report: Report_, has_own_answer: bool
) -> None:
    request, url = Request(ASKED, model="m"), f"disk://{tmp_path}/c.db"
    with opened(url) as cache:
        for question in (STORED, FAR):
            cache.update(Request(question, model="m"), "x")
        reference = hit(cache, request).reference
        hit(cache, Request(OTHER, model="m"))
    with opened(url) as cache:
        if has_own_answer:
            cache.update(request, "y")
        reported = report(cache, reference)
        assert (reported.removed, reported.is_remembered) == (1, True)
        assert [(r.stored, r.asked) for r in cache.regressions()] == [(STORED, ASKED)]


def test_pair_reported_by_another_process_never_matches_again(tmp_path: Path, report: Report_) -> None:
    request, url = Request(ASKED, model="m"), f"disk://{tmp_path}/c.db"
    with opened(url) as cache:
        for question in (STORED, FAR):
            cache.update(Request(question, model="m"), "x")
        reference = hit(cache, request).reference
    with opened(url) as cache:
        report(cache, reference)
        cache.update(Request(STORED, model="m"), "x")
        assert miss(cache, request).reason == "reported"


def test_reported_normalised_match_may_be_named_by_its_reference(report: Report_) -> None:
    with opened() as cache:
        fill(cache, STORED)
        report(cache, hit(cache, STORED.lower()).reference)
        cache.update(STORED, "stored anew")
        miss(cache, STORED.lower())


def test_late_report_does_not_remove_what_the_question_matches_by_now(report: Report_) -> None:
    with opened() as cache:
        fill(cache, STORED)
        late = hit(cache, STORED).reference
        cache.clear()
        fill(cache, OTHER)
        assert hit(cache, STORED).matched_question == OTHER
        assert report(cache, late) == Reported(0)
        assert hit(cache, OTHER).kind == "exact"


def test_reference_names_an_entry_in_another_process(tmp_path: Path, report: Report_) -> None:
    request = Request(ASKED, model="m")
    with opened(f"disk://{tmp_path}/c.db") as cache:
        for question in (STORED, FAR):
            cache.update(Request(question, model="m"), "x")
        reference = hit(cache, request).reference
    with opened(f"disk://{tmp_path}/c.db") as cache:
        assert report(cache, reference, asked=ASKED).is_remembered
        cache.update(Request(STORED, model="m"), "x")
        assert miss(cache, request).reason == "reported"


def test_without_the_question_a_key_removes_the_entry_alone(report: Report_) -> None:
    with opened() as cache:
        fill(cache, STORED)
        key = cache.identify(STORED).key
        assert report(cache, key) == Reported(1)
        miss(cache, STORED)


def test_key_of_an_alias_tells_the_question(report: Report_) -> None:
    with opened() as cache:
        fill(cache, STORED)
        hit(cache, ASKED)
        reported = report(cache, cache.identify(ASKED).key)
        assert reported.regression is not None
        assert reported.regression.asked == ASKED


def test_wrong_answer_to_the_very_question_removes_it_and_forbids_nothing(report: Report_) -> None:
    with opened() as cache:
        fill(cache, STORED)
        assert report(cache, hit(cache, STORED)) == Reported(1)
        assert cache.regressions() == ()
        cache.update(STORED, "better")
        assert hit(cache, ASKED).answer == "better"


def test_what_is_gone_already_is_remembered_all_the_same(report: Report_) -> None:
    with opened() as cache:
        fill(cache, STORED)
        wrong = hit(cache, ASKED)
        cache.clear()
        reported = report(cache, wrong)
        assert (reported.removed, reported.is_remembered) == (0, True)


def test_key_that_names_nothing_is_an_error(report: Report_) -> None:
    """The wrong answer would stay, and nobody would know."""
    with opened() as cache:
        fill(cache, STORED)
        cache.update(Request(STORED, model="m"), "x")
        keys = ["0" * 40, "0" * 12, cache.identify(Request(STORED, model="m")).key, cache.identify(STORED).key[:12]]
        for key in keys:
            with pytest.raises(ConfigError, match=r"no entry of a plain question has this key|known for"):
                report(cache, key)
        assert cache.stats().reported == 0


@pytest.mark.parametrize("reference", ["a" * 40 + ":", ":" + "a" * 40, ":".join("abcd") * 4])
def test_reference_of_no_hit_is_an_error(report: Report_, reference: str) -> None:
    with opened() as cache, pytest.raises(ConfigError, match="not the reference of a hit"):
        report(cache, reference)


def test_reference_to_what_is_gone_is_no_error(report: Report_) -> None:
    with opened() as cache:
        fill(cache, STORED)
        reference = hit(cache, STORED).reference
        cache.clear()
        assert report(cache, reference) == Reported(0)


def test_key_of_a_plain_question_is_no_error_while_the_store_is_down(report: Report_) -> None:
    cache, [store] = faulty("hot")
    store.fail()
    assert report(cache, "0" * 40).has_failed


@pytest.mark.parametrize("wrong", ["", "abc", None, 3])
def test_neither_hit_nor_key_is_an_error(report: Report_, wrong: Any) -> None:
    with opened() as cache, pytest.raises(ConfigError, match="report a Hit, its reference"):
        report(cache, wrong)


# ------------------------------------------------------------------------------------------------- what remains of it
def test_regressions_are_labelled_pairs_in_memory_and_in_a_file(tmp_path: Path, report: Report_) -> None:
    path = tmp_path / "wrong.jsonl"
    with opened(regression_file=path) as cache:
        fill(cache, STORED)
        report(cache, hit(cache, ASKED))
        [regression] = cache.regressions()
        row = json.loads(path.read_text())
        assert row == regression.row()
        assert row.pop("id").startswith("wrong-")
        assert row == {"a": STORED, "b": ASKED, "label": 0, "source": "report_wrong", "kind": "reported"}
        assert cache.stats().reported == 1
        assert "BGP" not in repr(regression)


def faulty(*names: str, fail_open: bool = True) -> tuple[SemanticCache, list[FaultyStore]]:
    """A cache with these tiers, whose stores fail when told."""
    stores = [FaultyStore(MemoryStore(max_entries=100, max_bytes=1 << 20)) for _ in names]
    embedder = FakeEmbedder(dict.fromkeys((ASKED, STORED), "bgp"), similarity=0.96)
    policy = SimilarityPolicy(0.9)
    rules = Rules(names, embedder.embedder_id, "p", lambda _: policy, lambda asked, stored: (), fail_open=fail_open)
    cache = SemanticCache(
        [Tier(name, store, AsyncStoreAdapter(store)) for name, store in zip(names, stores, strict=True)],
        config=CacheConfig(fail_open=fail_open),
        rules=rules,
        embedder=embedder,
        statistics=Statistics(),
        regression_log=RegressionLog(),
        clock=FakeClock(),
    )
    return cache, stores


def test_reported_match_is_not_served_when_reads_cannot_be_counted(report: Report_) -> None:
    cache, [store] = faulty("hot")
    fill(cache, STORED)
    report(cache, hit(cache, ASKED))
    cache.update(STORED, "stored anew")
    store.fail({"touch"})
    assert miss(cache, ASKED).reason == "store_error"  # the failure outranks the report as a reason
    assert isinstance(cache.lookup(STORED), Hit)


def test_report_while_the_store_is_down_is_kept_as_a_regression(report: Report_) -> None:
    cache, [store] = faulty("hot")
    fill(cache, STORED)
    wrong = hit(cache, ASKED)
    store.fail()
    reported = report(cache, wrong)
    assert (reported.removed, reported.is_remembered, reported.has_failed) == (0, False, True)
    assert [(r.stored, r.asked) for r in cache.regressions()] == [(STORED, ASKED)]
    assert cache.stats().errors["hot"] >= 1
    store.heal()
    again = report(cache, wrong)
    assert (again.removed, again.is_remembered, again.has_failed) == (1, True, False)


@pytest.mark.parametrize("down", [0, 1])
def test_tier_that_is_down_does_not_keep_a_report_from_the_other(report: Report_, down: int) -> None:
    cache, stores = faulty("hot", "cold")
    fill(cache, STORED)
    wrong = hit(cache, ASKED)
    stores[down].fail()
    reported = report(cache, wrong)
    assert (reported.removed, reported.has_failed) == (1, True)
    assert not reported.is_remembered  # the tier that was down does not know of it
    entry = wrong.entry
    assert stores[1 - down].inner.get(entry.scope, entry.key) is None
    assert stores[1 - down].inner.get_normalised(entry.scope, key_of_reports(entry.scope), limit=1)


def test_report_that_fails_is_raised_after_it_was_kept_when_errors_are_wanted(report: Report_) -> None:
    cache, [store] = faulty("hot", fail_open=False)
    fill(cache, STORED)
    wrong = hit(cache, ASKED)
    store.fail()
    with pytest.raises(StoreError):
        report(cache, wrong)
    assert len(cache.regressions()) == 1


def pairs(number: int, of: str = "") -> list[tuple[str, str]]:
    """Wrong matches: what was asked, what was stored."""
    return [(f"asked {of}{place}", f"stored {of}{place}") for place in range(number)]


def matching(url: str, wrong: Sequence[tuple[str, str]]) -> SemanticCache:
    """A cache in which each of these pairs matches, and no other."""
    groups = {text: str(place) for place, pair in enumerate(wrong) for text in pair}
    embedder = FakeEmbedder(groups, similarity=0.96)
    return open_cache(url, embedder=embedder, clock=FakeClock(), similarity_threshold=0.9, guards=())


def served(cache: SemanticCache, wrong: Sequence[tuple[str, str]]) -> list[str]:
    """What is answered of the pairs, once their answers are stored (anew)."""
    for _, stored in wrong:
        cache.update(stored, "x")
    return [asked for asked, _ in wrong if isinstance(cache.lookup(asked), Hit)]


def test_reports_of_many_threads_at_once_are_all_kept(url: str) -> None:
    wrong = pairs(48)
    with matching(url, wrong) as cache:
        for _, stored in wrong:
            cache.update(stored, "x")
        hits = [hit(cache, asked) for asked, _ in wrong]
        together = threading.Barrier(8)

        def tell(some: list[Hit]) -> list[Reported]:
            together.wait()
            return [cache.report_wrong(one) for one in some]

        with ThreadPoolExecutor(8) as threads:
            told = [one for some in threads.map(tell, [hits[n::8] for n in range(8)]) for one in some]
        assert all(one.is_remembered for one in told)
        assert served(cache, wrong) == []


def test_reports_of_many_tasks_at_once_are_all_kept(url: str) -> None:
    wrong = pairs(48)

    async def tell(cache: SemanticCache) -> None:
        hits = [hit(cache, asked) for asked, _ in wrong]
        await asyncio.gather(*(cache.areport_wrong(one) for one in hits))

    with matching(url, wrong) as cache:
        for _, stored in wrong:
            cache.update(stored, "x")
        asyncio.run(tell(cache))
        assert served(cache, wrong) == []


_TELL = """
import sys
from llmcache_plugins import open_cache
url, which = sys.argv[1:]
with open_cache(url, embedder=None) as cache:
    names = [(cache.identify(f"stored {which}{n}").key, f"asked {which}{n}") for n in range(24)]
    print("ready", flush=True)
    sys.stdin.readline()
    told = [cache.report_wrong(key, asked=asked) for key, asked in names]
assert all(one.is_remembered and one.removed for one in told)
"""


def test_reports_of_two_processes_at_once_are_all_kept(tmp_path: Path) -> None:
    url, wrong = f"disk://{tmp_path}/cache.db", pairs(24, "a") + pairs(24, "b")
    with matching(url, wrong) as cache:
        assert len(served(cache, wrong)) == 48
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", _TELL, url, which], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for which in "ab"
        ]
        try:
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                assert process.stdin is not None
                process.stdin.write("go\n")
                process.stdin.flush()
            for process in processes:
                process.communicate(timeout=60)
            assert [process.returncode for process in processes] == [0, 0]
        finally:
            for process in processes:
                process.kill()
                process.communicate()
        assert served(cache, wrong) == []


def test_newest_64_reports_of_a_scope_are_kept(url: str, report: Report_) -> None:
    wrong = pairs(70)
    with matching(url, wrong) as cache:
        assert len(served(cache, wrong)) == 70
        for asked, _ in wrong:
            assert report(cache, hit(cache, asked)).is_remembered
        tier = next(iter(cache.stats().stores.values()))
        assert tier.entries == MOST_REPORTS
        assert served(cache, wrong) == [asked for asked, _ in wrong[:6]]


def test_pair_reported_again_is_kept_once_and_longest(url: str, report: Report_) -> None:
    wrong = pairs(65)
    with matching(url, wrong) as cache:
        served(cache, wrong)
        hits = [hit(cache, asked) for asked, _ in wrong]
        for one in (*hits[:64], hits[0], hits[64]):
            report(cache, one)
        assert served(cache, wrong) == [wrong[1][0]]  # of the others none is older


def test_report_is_one_write_and_one_read_more() -> None:
    """Fed by hand. What another process wrote meanwhile is not touched."""
    policy = SimilarityPolicy(0.9)
    rules = Rules(("hot",), None, "p", lambda request: policy, lambda asked, stored: ())
    other = Stored(report_entry("s", (), Report.of("x", "y", 0.9, None, None), 0.0))
    flow = report_flow(Wrong("s", "k" * 40, "a" * 40, ASKED, STORED, 0.93), rules, 0.0)
    assert isinstance(next(flow), ReadExact)
    assert isinstance(flow.send(None), Delete)
    put = flow.send(1)
    assert isinstance(put, Put)
    assert isinstance(flow.send(True), ReadNormalised)
    with pytest.raises(StopIteration) as done:
        flow.send([other, Stored(put.entry)])
    reported, error = done.value.value
    assert reported.is_remembered
    assert error is None


def test_report_that_no_store_keeps_is_not_remembered(report: Report_) -> None:
    with open_cache("null://", embedder=None) as cache:
        assert not report(cache, cache.identify(STORED).scope + ":" + "a" * 40, asked=ASKED).is_remembered


# --------------------------------------------------------------------------------------------------- the stored form
def vectors(*rows: list[float]) -> Any:
    return np.array(rows, dtype=np.float32)


def test_reports_come_back_from_their_stored_form() -> None:
    given = (Report.of("A", "b ", 0.93, "e", vectors([1, 0], [0.6, 0.8])), Report.of("c", "d", 0.9, None, None))
    read = [report_of(one.to_json()) for one in given]
    back = Reports(tuple(one for one in read if one is not None))
    assert back == Reports(given)
    assert back.are_near("x", "y", vectors([0.6, 0.8])[0], "e")
    assert not back.are_near("x", "y", vectors([-1, 0])[0], "e")
    assert not back.are_near("x", "y", vectors([0.6, 0.8])[0], "another embedder")


@pytest.mark.parametrize("stored", ["", "null", "[]", '{"form": "x"}', '{"form":"llmcache/report/1","asked":""}'])
def test_report_of_another_form_cannot_be_read(stored: str) -> None:
    assert report_of(stored) is None


def test_what_cannot_be_read_makes_way_for_a_new_report() -> None:
    new = Stored(report_entry("s", (), Report.of("x", "y", 0.9, None, None), 0.0))
    unread = Stored(replace(new.entry, key="other", answer_json="{}"))
    assert superfluous([new, unread]) == ["other"]


def test_of_a_pair_reported_twice_in_either_direction_the_newest_is_kept() -> None:
    old = Stored(report_entry("s", (), Report.of("a", "b", 0.9, None, None), 0.0))
    new = Stored(report_entry("s", (), Report.of("B", "A", 0.95, None, None), 1.0))
    assert superfluous([new, old]) == [old.entry.key]
    again = report_entry("s", (), Report.of("a", "b", 0.9, None, None), 2.0)
    assert again.key != old.entry.key  # who removes the old one does not remove it


def test_key_of_reports_is_no_question_s_key() -> None:
    with opened() as cache:
        scope = cache.identify("x").scope
        made = report_entry(scope, (), Report.of("x", "y", 0.9, None, None), 0.0)
        for text in ("", "reports", scope, "x", "y"):
            assert made.key != cache.identify(text).key
            assert key_of_reports(scope) != normalised_key_of(scope, text)
