"""Events of a network, and changes that a program makes: what is asked afterwards is asked of the model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmcache_plugins import EventRule, Hit, Miss, Request, Selector, SemanticCache, open_cache
from llmcache_plugins.engine.events import Change
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.keys.label import QueryContext
from llmcache_plugins.policies.placement import TierConfig
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.testing import FakeClock, FaultyStore

CONFIG = "Show config for rtr-001"
OTHER_CONFIG = "Show config for rtr-002"
UPTIME = "What is the uptime of rtr-001?"
PORT = "Is Gi0/0 of rtr-001 up?"
OTHER_PORT = "Is Gi0/1 of rtr-001 up?"
TOPOLOGY = "Show network topology overview"
KNOWLEDGE = "What is OSPF?"
ALL = (CONFIG, OTHER_CONFIG, UPTIME, PORT, OTHER_PORT, TOPOLOGY, KNOWLEDGE)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "disk"])
def cache(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[SemanticCache]:
    url = "memory://" if request.param == "memory" else f"disk://{tmp_path}/cache.db"
    with open_cache(url, embedder=None, clock=clock, ttl=3600, maintenance="manual") as cache:
        yield cache


def fill(cache: SemanticCache) -> None:
    for question in ALL:
        assert cache.update(question, "old").stored


def missing(cache: SemanticCache) -> set[str]:
    return {question for question in ALL if not isinstance(cache.lookup(question), Hit)}


# ------------------------------------------------------------------------------------------------ events
@pytest.mark.parametrize(
    ("event", "attributes", "gone"),
    [
        ("config_change", {"device": "rtr-001"}, {CONFIG}),
        ("device_reboot", {"device": "RTR-001"}, {CONFIG, UPTIME, PORT, OTHER_PORT}),
        ("interface_state", {"device": "rtr-001"}, {PORT, OTHER_PORT}),
        ("interface_state", {"device": "rtr-001", "interface": "GigabitEthernet0/0"}, {PORT}),
        ("topology_change", {}, {TOPOLOGY}),
        ("device_reboot", {"device": ["rtr-002", "rtr-003"]}, {OTHER_CONFIG}),
        ("device_reboot", {"device": "*"}, set()),
    ],
)
def test_an_event_costs_the_answers_that_it_makes_wrong(
    cache: SemanticCache, event: str, attributes: Any, gone: set[str]
) -> None:
    fill(cache)
    planned = cache.handle_event(event, attributes, dry_run=True)
    assert (planned.count, planned.is_dry_run) == (len(gone), True)
    assert missing(cache) == set()
    report = cache.handle_event(event, **attributes)
    assert (report.count, report.reason) == (len(gone), event)
    assert missing(cache) == gone


@pytest.mark.parametrize(
    ("event", "attributes", "gone"),
    [
        ("interface_state", {"device": "rtr-001"}, {"port", "ports"}),
        ("interface_state", {"device": "rtr-001", "interface": "Gi0/0"}, {"port", "ports"}),
        ("interface_state", {"device": "rtr-001", "interface": "Gi0/1"}, {"ports"}),
        ("config_change", {"device": "rtr-001"}, {"config"}),
        ("device_reboot", {"device": "rtr-001"}, {"port", "ports", "config", "peers"}),
        ("topology_change", {}, {"site", "global"}),
        ("topology_change", {"site": "site-ny"}, {"site", "global"}),
        ("topology_change", {"site": "site-sf"}, {"global"}),
    ],
)
def test_structured_questions_are_found_whatever_their_words(
    cache: SemanticCache, event: str, attributes: Any, gone: set[str]
) -> None:
    about = {
        "port": QueryContext("rtr-001", "interface_status", {"Interface": "Gi0/0"}, "hour"),
        "ports": QueryContext("rtr-001", "interface_status"),
        "config": QueryContext("rtr-001", "config"),
        "peers": QueryContext("rtr-001", "bgp_neighbors"),
        "site": QueryContext("site-ny", "topology", level="site"),
        "global": QueryContext("", "bgp_peers", level="global"),
        "knowledge": QueryContext("", "best_practices", level="global"),
    }
    for name, context in about.items():
        assert cache.update(cache.request(name[::-1], about=context), "old").stored
    cache.handle_event(event, attributes)
    found = {
        name
        for name, context in about.items()
        if isinstance(cache.lookup(cache.request(name[::-1], about=context)), Hit)
    }
    assert about.keys() - found == gone


def test_the_log_names_the_event(cache: SemanticCache) -> None:
    fill(cache)
    cache.handle_event("config_change", device="rtr-001", reason="CHG-17")
    assert {one.reason for one in cache.invalidations()} == {"CHG-17"}
    assert sum(one.count for one in cache.invalidations()) == 1


def test_attributes_that_are_called_like_arguments(cache: SemanticCache) -> None:
    with open_cache("memory://", event_rules=[EventRule(event="e", tags=("mode:{mode}",))]) as own:
        own.update(Request("q", tags=("mode:fast",)), "a")
        assert own.handle_event("e", {"mode": "fast"}).count == 1


def test_a_mode_in_place_of_the_rules(cache: SemanticCache) -> None:
    fill(cache)
    report = cache.handle_event("device_reboot", device="rtr-001", mode="lazy")
    assert (report.mode, report.count) == ("lazy", 4)
    outcome = cache.lookup(CONFIG, lead=True)
    assert isinstance(outcome, Miss)


def test_a_rule_with_a_rate(clock: FakeClock) -> None:
    rules = [EventRule(event="device_reboot", tags=("device:{device}",), mode="gradual", rate=2.0)]
    with open_cache("memory://", embedder=None, clock=clock, ttl=3600, event_rules=rules) as cache:
        fill(cache)
        report = cache.handle_event("device_reboot", device="rtr-001")
        assert report.progress.total == 4
        asked = [cache.lookup(question, lead=True) for question in (CONFIG, UPTIME, PORT, OTHER_PORT)]
        assert [isinstance(one, Miss) for one in asked] == [True, True, False, False]
        assert report.cancel()
        assert report.wait(5).is_cancelled


def test_rules_of_a_file_and_rules_of_ones_own(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nevent = "price_list"\ntags = "product:{product}"\n', encoding="utf-8")
    for rules in (path, [EventRule(event="price_list", tags=("product:{product}",))]):
        with open_cache("memory://", embedder=None, clock=clock, event_rules=rules) as cache:
            cache.update(Request("What does it cost?", tags=("product:x-1",)), "10")
            assert cache.handle_event("price_list", product="X-1").count == 1
            cache.handle_event("device_reboot", device="a")


def test_what_is_no_rule_is_refused(tmp_path: Path) -> None:
    for rules in (3, ["config_change"], tmp_path / "none.toml"):
        with pytest.raises(ConfigError):
            open_cache("memory://", event_rules=rules)  # type: ignore[arg-type]


def test_events_below_a_namespace(cache: SemanticCache) -> None:
    fill(cache)
    assert cache.handle_event("device_reboot", device="rtr-001", namespace="tenant").count == 0
    assert missing(cache) == set()


def test_the_same_on_an_event_loop(cache: SemanticCache) -> None:
    async def main() -> None:
        fill(cache)
        assert (await cache.ahandle_event("config_change", device="rtr-001")).count == 1
        async with cache.changing("device_reboot", device="rtr-001") as change:
            pass
        assert change.report is not None
        assert change.report.count == 3

    asyncio.run(main())


# ------------------------------------------------------------------------------------------------ changes
def test_a_change_costs_what_it_makes_wrong_at_its_end(cache: SemanticCache) -> None:
    fill(cache)
    with cache.changing(device="rtr-001") as change:
        assert missing(cache) == set()
        assert not change.report
    assert missing(cache) == {CONFIG}
    assert change.report is not None
    assert change.report.count == 1


def test_an_answer_asked_for_before_or_during_the_change_is_not_stored_after_it(cache: SemanticCache) -> None:
    cache.lookup(CONFIG)
    with cache.changing(device="rtr-001"):
        cache.lookup(OTHER_CONFIG)
        cache.lookup(PORT)
        assert cache.update(PORT, "during").stored
    assert cache.update(CONFIG, "before").reason == "invalidated"
    assert cache.update(OTHER_CONFIG, "another device").stored
    assert missing(cache) >= {CONFIG}


def test_a_call_under_way_when_the_change_ends_is_not_stored(cache: SemanticCache) -> None:
    began, changed = threading.Event(), threading.Event()

    def generate() -> str:
        began.set()
        assert changed.wait(10)
        return "from before"

    answers: list[Any] = []
    caller = threading.Thread(target=lambda: answers.append(cache.get_or_generate(CONFIG, generate)))
    caller.start()
    assert began.wait(10)
    with cache.changing(device="rtr-001"):
        pass
    changed.set()
    caller.join(10)
    assert answers == ["from before"], "its caller gets it"
    assert cache.get_or_generate(CONFIG, lambda: "fresh") == "fresh"


def test_a_change_that_raises_has_perhaps_changed_something(cache: SemanticCache) -> None:
    fill(cache)
    with pytest.raises(OSError, match="line dropped"), cache.changing(device="rtr-001", on_error="keep"):
        raise OSError("line dropped")
    assert missing(cache) == set()
    with pytest.raises(OSError, match="line dropped"), cache.changing(device="rtr-001"):
        raise OSError("line dropped")
    assert missing(cache) == {CONFIG}


def test_a_mistake_is_found_before_anything_is_changed(cache: SemanticCache) -> None:
    changed = False
    for arguments in ({"what": "config_changed", "device": "a"}, {"what": "config_change"}, {"on_error": "ignore"}):
        what = arguments.pop("what", "config_change")
        with pytest.raises(ConfigError), cache.changing(what, **arguments):
            changed = True
    assert not changed


def test_a_change_by_selector(cache: SemanticCache) -> None:
    fill(cache)
    with cache.changing(Selector(tags=("device:rtr-001", "interface:gi0/0")), reason="CHG-18"):
        pass
    assert missing(cache) == {PORT}
    with pytest.raises(ConfigError, match="takes no attributes"):
        cache.changing(Selector(tags=("a",)), device="rtr-001")
    with pytest.raises(ConfigError, match="nothing is selected"):
        cache.changing(Selector())


def test_a_failed_invalidation_after_a_change_is_told(clock: FakeClock) -> None:
    store = FaultyStore(MemoryStore())
    with open_cache(tiers=[TierConfig("only", store=store)], embedder=None, clock=clock) as cache:
        with cache.changing(device="rtr-001") as change:
            store.fail({"invalidate"})
        assert isinstance(change, Change)
        assert change.report is not None
        assert change.report.has_failed
        store.heal()


# ------------------------------------------------------------------------------------------------ the decorator
def test_the_decorator_takes_attributes_from_the_call(cache: SemanticCache) -> None:
    @cache.invalidates("config_change", device=lambda device, commands: device["host"])
    def apply_config_change(device: dict[str, str], commands: list[str]) -> str:
        """Apply it."""
        return f"{len(commands)} applied"

    fill(cache)
    assert apply_config_change({"host": "rtr-001"}, ["router bgp 65001"]) == "1 applied"
    assert missing(cache) == {CONFIG}
    assert apply_config_change.__doc__ == "Apply it."


def test_a_parameter_of_the_attributes_name_is_taken_by_itself(cache: SemanticCache) -> None:
    @cache.invalidates("interface_state")
    def shut(device: str, interface: str = "Gi0/0") -> None: ...

    fill(cache)
    shut("rtr-001")
    assert missing(cache) == {PORT}
    shut(device="rtr-001", interface="Gi0/1")
    assert missing(cache) == {PORT, OTHER_PORT}


def test_a_coroutine_function_stays_one(cache: SemanticCache) -> None:
    @cache.invalidates("device_reboot")
    async def reboot(device: str) -> str:
        await asyncio.sleep(0)
        return "up"

    fill(cache)
    assert asyncio.iscoroutinefunction(reboot)
    assert asyncio.run(reboot("rtr-002")) == "up"
    assert missing(cache) == {OTHER_CONFIG}


def test_a_decorated_function_that_raises_invalidates_too(cache: SemanticCache) -> None:
    @cache.invalidates("device_reboot")
    def reboot(device: str) -> None:
        raise TimeoutError

    fill(cache)
    with pytest.raises(TimeoutError):
        reboot("rtr-002")
    assert missing(cache) == {OTHER_CONFIG}


def test_an_unknown_event_is_found_when_the_function_is_decorated(cache: SemanticCache) -> None:
    with pytest.raises(ConfigError, match="no rule for event 'reboot'"):
        cache.invalidates("reboot")


def test_a_generator_is_refused_for_its_change_comes_after_the_call(cache: SemanticCache) -> None:
    def rows(device: str) -> Iterator[str]:
        yield device

    async def arows(device: str) -> AsyncIterator[str]:
        yield device

    for function in (rows, arows):
        with pytest.raises(ConfigError, match="generator"):
            cache.invalidates("config_change")(function)


def test_a_call_without_the_attribute_changes_nothing(cache: SemanticCache) -> None:
    changed: list[str] = []

    @cache.invalidates("device_reboot")
    def reboot(host: str) -> None:
        changed.append(host)

    with pytest.raises(ConfigError, match="device"):
        reboot("rtr-001")
    assert changed == []
