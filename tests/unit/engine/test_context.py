"""What surrounds a call: tags, classes, tenants, structured contexts and the bypass."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import closing
from contextvars import copy_context
from typing import Any

import pytest

from llmcache_plugins import Bypass, ConfigError, Hit, Miss, Request, SemanticCache, UpdateOutcome, open_cache
from llmcache_plugins.keys.label import QueryContext
from llmcache_plugins.recorded import LookupEvent
from llmcache_plugins.testing import FakeClock, FakeEmbedder

HOUR = 3600.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(clock: FakeClock) -> Iterator[SemanticCache]:
    with closing(open_cache("memory://", embedder=FakeEmbedder(), clock=clock, profiler=None)) as cache:
        yield cache


def stored(cache: SemanticCache, request: Request | str, answer: str = "a", **given: Any) -> Hit:
    assert cache.update(request, answer, **given).stored
    hit = cache.lookup(request)
    assert isinstance(hit, Hit)
    return hit


def test_an_interface_is_found_by_its_long_and_its_short_name(cache: SemanticCache) -> None:
    about = QueryContext("rtr-001", "interface_status", {"interface": "GigabitEthernet0/0"})
    hit = stored(cache, cache.request("Is it up?", about=about))
    assert {"interface:gi0/0", "interface:gigabitethernet0/0"} <= set(hit.entry.profile.tags)
    assert cache.handle_event("interface_state", device="rtr-001", interface="Gi0/0").count == 1


def test_what_surrounds_an_update_is_stored_with_the_answer(cache: SemanticCache) -> None:
    with cache.context(tags="device:rtr-001", volatility="stable", query_type="status"):
        profile = stored(cache, "q").entry.profile
    assert (profile.tags, profile.volatility, profile.query_type) == (("device:rtr-001",), "stable", "status")
    assert isinstance(cache.lookup("q"), Hit)  # none of the three makes it another question


@pytest.mark.parametrize("tag", ["device:rtr-001", "device:RTR-001", "device:Rtr-001"])
def test_devices_are_one_in_upper_and_lower_case(cache: SemanticCache, tag: str) -> None:
    for question, told in (("a", "device:RTR-001"), ("b", "device:rtr-001")):
        with cache.context(tags=told):
            cache.update(question, "x")
    cache.update(Request("c", tags=("device:Rtr-001", "ticket:INC1")), "x")
    cache.update(cache.request("d", about=QueryContext("RTR-001", "status")), "x")
    assert cache.invalidate(tags=["ticket:inc1"], dry_run=True).count == 0
    assert cache.invalidate(tag_pattern=f"{tag[:-1]}*", dry_run=True).count == 4
    assert cache.invalidate(tags=tag).count == 4


def test_a_text_in_place_of_several_is_one_inside_a_context_too(cache: SemanticCache) -> None:
    request = Request("q", namespace="acme", tags="device:rtr-001")  # type: ignore[arg-type]
    with cache.context(tags="a", tenant="t"):
        entry = stored(cache, request).entry
    assert (entry.namespace, entry.profile.tags) == (("acme", "t"), ("device:rtr-001", "a"))
    about = QueryContext("rtr-002", "status")
    assert "device:rtr-001" in stored(cache, cache.request("q", about=about, tags="device:rtr-001")).entry.profile.tags
    with cache.context(tags="a"), pytest.raises(ConfigError, match="tags"):
        cache.lookup(Request("q", tags=7))  # type: ignore[arg-type]


def test_nested_contexts_add_up_and_the_inner_one_decides(cache: SemanticCache) -> None:
    with cache.context(tags=["a", "b"], volatility="stable", query_type="outer", ttl=100.0):
        with cache.context(tags=("b", "c"), volatility="dynamic", ttl=10.0):
            entry = stored(cache, "inner").entry
            assert entry.profile.tags == ("a", "b", "c")
            assert (entry.profile.volatility, entry.profile.query_type) == ("dynamic", "outer")
            assert entry.expires_at == entry.created_at + 10.0
        entry = stored(cache, "outer").entry
        assert (entry.profile.tags, entry.profile.volatility) == (("a", "b"), "stable")
        assert entry.expires_at == entry.created_at + 100.0
    assert stored(cache, "outside").entry.profile.tags == ()


def test_what_a_request_says_itself_counts_before_its_surroundings(cache: SemanticCache) -> None:
    asked = Request("q", tags=("own",), volatility="static", query_type="mine")
    with cache.context(tags="around", volatility="volatile", query_type="theirs", ttl=5.0):
        entry = stored(cache, asked, ttl=50.0).entry
    assert entry.profile.tags == ("own", "around")
    assert (entry.profile.volatility, entry.profile.query_type) == ("static", "mine")
    assert entry.expires_at == entry.created_at + 50.0


def test_tenants_share_no_answers(cache: SemanticCache) -> None:
    with cache.context(tenant="acme"):
        assert stored(cache, "q", "of acme").entry.namespace == ("acme",)
        with cache.context(tenant=("globex", "lab")):
            assert isinstance(cache.lookup("q"), Miss)
            assert stored(cache, Request("q", namespace=("app",)), "x").entry.namespace == ("app", "globex", "lab")
    assert isinstance(cache.lookup("q"), Miss)
    with cache.context(tenant="acme"):
        hit = cache.lookup("q")
        assert isinstance(hit, Hit)
        assert hit.answer == "of acme"


def test_a_kept_identity_leaks_nothing_between_tenants(cache: SemanticCache) -> None:
    asked = Request("q", model="m")
    with cache.context(tenant="acme"):
        kept = cache.identify(asked)
        cache.update(asked, "of acme", identity=kept)
        found = cache.lookup(asked, identity=kept)
        assert isinstance(found, Hit)
        assert (found.entry.scope, found.entry.key) == (kept.scope, kept.key)
    with cache.context(tenant="globex"):
        assert isinstance(cache.lookup(asked, identity=kept), Miss)
    assert isinstance(cache.lookup(asked, identity=kept), Miss)
    outside = cache.identify(asked)
    assert outside != kept
    cache.update(asked, "of all", identity=outside)
    with cache.context(tenant="acme"):
        found = cache.lookup(asked, identity=outside)
        assert isinstance(found, Hit)
        assert found.answer == "of acme"


def test_bypassed_calls_are_neither_answered_nor_stored(clock: FakeClock) -> None:
    events: list[object] = []
    with closing(open_cache("memory://", embedder=None, clock=clock, recorders=[events.append])) as cache:
        cache.update("q", "old")
        with cache.context(bypass=True):
            with cache.context(tags="a"):  # bypassed is bypassed
                outcome = cache.lookup("q")
            assert outcome == Bypass("context", outcome.latency)
            assert cache.update("q", "new") == UpdateOutcome(False, "bypass")
            assert cache.get_or_generate("q", lambda: "fresh") == "fresh"
        hit = cache.lookup("q")
        assert isinstance(hit, Hit)
        assert hit.answer == "old"
        assert cache.stats().bypasses == 2
        assert sum(isinstance(event, LookupEvent) and isinstance(event.outcome, Bypass) for event in events) == 2


def test_bypass_holds_in_async_code(clock: FakeClock) -> None:
    async def fresh() -> str:
        return "fresh"

    async def scene(cache: SemanticCache) -> None:
        await cache.aupdate("q", "old")
        with cache.context(bypass=True):
            assert isinstance(await cache.alookup("q"), Bypass)
            assert await asyncio.create_task(cache.aget_or_generate("q", fresh)) == "fresh"
            assert await cache.aupdate("q", "new") == UpdateOutcome(False, "bypass")
        hit = await cache.alookup("q")
        assert isinstance(hit, Hit)
        assert hit.answer == "old"

    with closing(open_cache("memory://", embedder=None, clock=clock)) as cache:
        asyncio.run(scene(cache))


def test_contexts_reach_into_tasks_but_not_out_of_them(cache: SemanticCache) -> None:
    async def told(tag: str) -> tuple[str, ...]:
        with cache.context(tags=tag):
            await asyncio.sleep(0)
            await cache.aupdate(f"q {tag}", "a")
        hit = await cache.alookup(f"q {tag}")
        assert isinstance(hit, Hit)
        return hit.entry.profile.tags

    async def scene() -> list[tuple[str, ...]]:
        with cache.context(tags="all"):
            return list(await asyncio.gather(told("one"), told("two")))

    assert asyncio.run(scene()) == [("all", "one"), ("all", "two")]


def test_contexts_reach_into_threads_with_a_copied_context_alone(cache: SemanticCache) -> None:
    with cache.context(tags="mine"):
        copied = copy_context()
        threads = [
            threading.Thread(target=copied.run, args=(cache.update, "copied", "a")),
            threading.Thread(target=cache.update, args=("bare", "a")),
        ]
        for thread in threads:
            thread.start()
            thread.join()
    hits = [cache.lookup("copied"), cache.lookup("bare")]
    assert [hit.entry.profile.tags for hit in hits if isinstance(hit, Hit)] == [("mine",), ()]


def test_a_context_is_that_of_its_own_cache(cache: SemanticCache, clock: FakeClock) -> None:
    with closing(open_cache("memory://", embedder=None, clock=clock)) as other, cache.context(bypass=True):
        assert isinstance(other.lookup("q"), Miss)
        assert other.update("q", "a").stored


def test_a_structured_question_is_named_tagged_and_apart(cache: SemanticCache, clock: FakeClock) -> None:
    context = QueryContext("rtr-001", "interface_status", {"Interface": "Gi0/0"}, "hour")
    entry = stored(cache, cache.request("Is it up?", about=context)).entry
    assert entry.label == context.label(clock.now())
    assert entry.profile.query_type == "interface_status"
    assert {"device:rtr-001", "interface:gi0/0"} <= set(entry.profile.tags)
    same = QueryContext("rtr-001", "interface_status", {"interface": "gi0/0 "}, "hour")
    assert isinstance(cache.lookup(cache.request("Is it up?", about=same)), Hit)
    assert isinstance(cache.lookup("Is it up?"), Miss)


def test_contexts_with_the_same_short_digits_are_two(cache: SemanticCache, clock: FakeClock) -> None:
    digits: dict[str, QueryContext] = {}
    for number in range(100_000):
        context = QueryContext("rtr-001", "status", {"n": number})
        twin = digits.setdefault(context.label(clock.now()), context)
        if twin is not context:
            break
    assert twin.label(clock.now()) == context.label(clock.now())
    cache.update(cache.request("q", about=twin), "a")
    assert isinstance(cache.lookup(cache.request("q", about=context)), Miss)


def test_an_answer_ends_with_its_time_bucket(cache: SemanticCache, clock: FakeClock) -> None:
    context = QueryContext("rtr-001", "status", time_sensitivity="hour")
    entry = stored(cache, cache.request("q", about=context), ttl=None).entry
    assert entry.expires_at is not None
    assert entry.expires_at % HOUR == 0
    assert 0 < entry.expires_at - clock.now() <= HOUR
    short = stored(cache, cache.request("other", about=context), ttl=1e-3).entry
    assert short.expires_at == clock.now() + 1e-3
    old = cache.request("q", about=context)
    clock.advance(HOUR)
    assert isinstance(cache.lookup(cache.request("q", about=context)), Miss)
    assert cache.update(old, "late") == UpdateOutcome(False, "expired")


def test_about_holds_for_all_inside_and_moves_with_the_clock(cache: SemanticCache, clock: FakeClock) -> None:
    with cache.context(about=QueryContext("rtr-001", "status", time_sensitivity="minute")):
        first = stored(cache, Request("q", model="m")).entry
        clock.advance(60.0)
        assert isinstance(cache.lookup(Request("q", model="m")), Miss)
        second = stored(cache, Request("q", model="m")).entry
    assert first.label != second.label
    assert first.label.startswith("v1:device:status:rtr-001:")


@pytest.mark.parametrize(
    "given",
    [
        {"volatility": "volatil"},
        {"tags": ""},
        {"tags": [3]},
        {"query_type": ""},
        {"tenant": ("a", "")},
        {"ttl": 0},
        {"about": "rtr-001"},
        {"bypass": "yes"},
    ],
)
def test_contexts_that_mean_nothing_are_refused(cache: SemanticCache, given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError), cache.context(**given):
        pass


@pytest.mark.parametrize("given", [{"volatility": "volatil"}, {"tags": ("",)}, {"query_type": 3}])
def test_requests_that_name_no_known_class_are_refused(cache: SemanticCache, given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        cache.lookup(Request("q", **given))


def test_a_request_has_no_other_fields(cache: SemanticCache) -> None:
    with pytest.raises(ConfigError, match="modle"):
        cache.request("q", modle="m")
    with pytest.raises(ConfigError, match="QueryContext"):
        cache.request("q", about={"device": "rtr-001"})  # type: ignore[arg-type]  # the error is the test
