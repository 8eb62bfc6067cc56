"""An A/B test of two policies: who decides about what, and how they compare."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from llmcache_plugins import ABTest, Arm, CacheConfig, Hit, SemanticCache, open_cache
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.testing import FakeEmbedder
from llmcache_plugins.types import Request

STRICT, LOOSE = Arm(similarity_threshold=0.99), Arm(similarity_threshold=0.9)
TOPICS = range(60)
TEST = ABTest(STRICT, LOOSE)


def opened(policy: Any = TEST, **settings: Any) -> SemanticCache:
    """A cache whose embedder says that two wordings have a cosine of 0.95: enough for one arm alone."""
    wordings = {f"{start} {topic}": f"topic {topic}" for start in ("show", "display") for topic in TOPICS}
    embedder = FakeEmbedder(wordings, similarity=0.95)
    settings = {"guards": (), "verifier": None, "maintenance": "manual", **settings}
    return open_cache("memory://", embedder=embedder, policy=policy, **settings)


def test_each_arm_decides_by_its_own_policy() -> None:
    with closing(opened()) as cache:
        for topic in TOPICS:
            cache.update(f"show {topic}", "up")
        for topic in TOPICS:
            outcome = cache.lookup(f"display {topic}")
            assert isinstance(outcome, Hit) is (TEST.arm_of(Request(f"display {topic}")) == "b")
        arms = cache.stats().arms
        assert arms["a"].by_meaning == arms["a"].answered == 0
        assert arms["b"].by_meaning == arms["b"].answered == arms["b"].lookups
        assert arms["a"].lookups + arms["b"].lookups == len(TOPICS)
        assert min(arms["a"].lookups, arms["b"].lookups) > 15


def test_an_arm_remembers_the_wordings_it_has_accepted() -> None:
    loose = f"display {next(topic for topic in TOPICS if TEST.arm_of(Request(f'display {topic}')) == 'b')}"
    with closing(opened()) as cache:
        cache.update(loose.replace("display", "show"), "up")
        assert [cache.lookup(loose).kind for _ in range(2)] == ["semantic", "alias"]  # type: ignore[union-attr]


def test_in_shadow_both_are_compared_without_serving_either() -> None:
    agree: Any = lambda fresh, stored: fresh == stored  # noqa: E731
    with closing(opened(mode="shadow", answers_agree=agree)) as cache:
        for topic in TOPICS:
            cache.get_or_generate(f"show {topic}", lambda topic=topic: f"state of {topic}")
        for topic in TOPICS:
            said = f"state of {topic}" if topic % 2 else "another"
            assert cache.get_or_generate(f"display {topic}", lambda said=said: said) == said
        assert cache.finish_checks(10)
        assert cache.stats().hit_count == 0
        found = cache.report().ab_test
        assert found is not None
        assert found.a.by_meaning.count == found.a.wrong.total == 0
        assert found.b.by_meaning.count == found.b.wrong.total > 15
        assert 0.2 < found.b.wrong.value < 0.8
        assert found.by_meaning.low > 0
        assert (found.wrong.low, found.wrong.high) == (-1.0, 1.0)  # nothing of the other is known
        shown = str(cache.report())
        assert "A/B test" in shown
        assert "b less a, 95 % interval" in shown


def test_reports_go_to_the_arm_that_answered() -> None:
    with closing(opened(namespace="acme")) as cache:
        for topic in TOPICS:
            request = Request(f"display {topic}", namespace=("berlin",))
            cache.update(Request(f"show {topic}", namespace=("berlin",)), "up")
            outcome = cache.lookup(request)
            if isinstance(outcome, Hit):
                cache.report_wrong(outcome)
        arms = cache.stats().arms
        assert (arms["a"].reported, arms["b"].reported) == (0, arms["b"].answered)
        assert cache.stats().groups == {}


def test_the_shares_of_arms_and_groups_are_independent() -> None:
    with closing(opened(mode="canary", fraction=0.5)) as cache:
        found = {
            (TEST.arm_of(request := Request(f"show {number}")), isinstance(cache.lookup(request), Hit))
            for number in range(200)
            if cache.update(f"show {number}", "up")
        }
        assert len(found) == 4


def test_it_is_the_same_arm_whatever_stands_before_the_question() -> None:
    plain, longer = Request("show 1"), Request("show 1", model="m", context=[{"role": "user", "content": "Hello"}])
    assert TEST.arm_of(plain) == TEST.arm_of(longer)
    assert {ABTest(STRICT, LOOSE, 0.01).arm_of(Request(str(number))) for number in range(50)} == {"a"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Arm(), "either max_error_rate or similarity_threshold"),
        (lambda: Arm(max_error_rate=0.1, similarity_threshold=0.9), "either max_error_rate or"),
        (lambda: Arm(max_error_rate=0.9), "max_error_rate of an Arm"),
        (lambda: Arm(similarity_threshold=0), "similarity_threshold of an Arm"),
        (lambda: ABTest(STRICT, STRICT), "the arms of an ABTest are the same"),
        (lambda: ABTest(STRICT, 0.9), "b of an ABTest must be an Arm"),  # type: ignore[arg-type]
        (lambda: ABTest(STRICT, LOOSE, 1.0), "fraction of an ABTest"),
        (lambda: CacheConfig(policy="ab"), "policy must be"),  # type: ignore[arg-type]
        (lambda: opened(max_error_rate=0.1), "exclude each other"),
    ],
)
def test_bad_tests_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
