"""Maintenance: what a pass does, and the thread that makes them."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from typing import Any

import pytest

from llmcache_plugins import ConfigError, Hit, SemanticCache, StoreUnavailable, TierConfig, open_cache
from llmcache_plugins.engine.drivers import run
from llmcache_plugins.engine.housekeeper import Housekeeper
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.testing import FakeClock, FaultyStore

PATIENCE = 20.0
"""Seconds a test waits for something that happens at once."""


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "llmcache-maintenance"]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Any:
    before = set(threads())
    yield
    for thread in set(threads()) - before:
        thread.join(PATIENCE)
    assert set(threads()) <= before


def opened(clock: FakeClock | None = None, **settings: Any) -> SemanticCache:
    given: dict[str, Any] = {"embedder": None, "clock": clock or FakeClock(), **settings}
    return open_cache("memory://", **given)


# ----------------------------------------------------------------------------------------------------------- one pass
def test_a_pass_removes_what_has_expired() -> None:
    clock = FakeClock()
    with opened(clock, maintenance="manual", ttl=60, sweep_interval=None) as cache:
        for number in range(2500):
            cache.update(f"q{number}", "a")
        clock.advance(30)
        cache.update("young", "a")
        clock.advance(30)
        assert cache.maintain().done["expired"] == 2500
        assert cache.stats().entries == 1


def test_what_may_still_be_served_stale_is_kept() -> None:
    clock = FakeClock()
    with opened(clock, maintenance="manual", ttl=60, stale_while_revalidate=60, sweep_interval=None) as cache:
        cache.update("q", "a")
        clock.advance(119)
        assert cache.maintain().done["expired"] == 0
        clock.advance(1)
        assert cache.maintain().done["expired"] == 1


def test_invalidations_of_more_than_a_day_ago_are_forgotten() -> None:
    clock = FakeClock()
    with opened(clock, maintenance="manual") as cache:
        cache.invalidate(tags="a")
        clock.advance(24 * 3600 - 1)
        cache.invalidate(tags="b")
        assert cache.maintain().done["invalidations"] == 0
        clock.advance(2)
        assert cache.maintain().done["invalidations"] == 1


def test_what_an_earlier_epoch_has_left_is_removed() -> None:
    clock = FakeClock()
    with opened(clock, maintenance="manual") as cache:
        for number in range(3):
            cache.update(f"q{number}", "a")
        for left in (3, 1):
            clock.advance(1)
            run(cache._epochs.bump_flow((), clock.now()), cache._perform)
            clock.advance(1)
            cache.lookup("new")
            cache.update("new", "a")
            assert cache.stats().entries == left + 1
            assert cache.maintain().done["epochs"] == left
            assert cache.maintain().done["epochs"] == 0
            assert isinstance(cache.lookup("new"), Hit)


def test_what_fails_is_named_and_the_rest_is_done() -> None:
    clock, store = FakeClock(), FaultyStore(MemoryStore())
    tiers = [TierConfig("top", residency=10.0, is_start=True), TierConfig("bottom", store=store)]
    with open_cache(tiers=tiers, embedder=None, clock=clock, maintenance="manual") as cache:
        cache.update("q", "a")
        clock.advance(11)
        store.fail({"sweep"})
        maintained = cache.maintain()
        assert maintained.failed == ("expired",)
        assert maintained.done["idle"] == 1
        assert cache.stats().errors["store"] == 1


def test_users_may_want_to_hear_of_a_store_that_fails() -> None:
    store = FaultyStore(MemoryStore())
    tiers = [TierConfig("only", store=store)]
    with open_cache(tiers=tiers, embedder=None, maintenance="manual", fail_open=False) as cache:
        store.fail({"sweep"})
        with pytest.raises(StoreUnavailable):
            cache.maintain()


# ------------------------------------------------------------------------------------------------------- added work
def test_added_work_is_done_in_each_pass_and_may_fail() -> None:
    with opened(maintenance="manual") as cache:
        calls: list[str] = []

        def work() -> int:
            calls.append("work")
            return 7

        def broken() -> None:
            raise ValueError("broken")

        cache.add_maintenance("broken", broken)
        cache.add_maintenance("mine", work)
        maintained = cache.maintain()
        assert (maintained.done["mine"], maintained.failed, calls) == (7, ("broken",), ["work"])
        assert cache.stats().errors["maintenance"] == 1
        with pytest.raises(ConfigError, match="must be callable"):
            cache.add_maintenance("mine", "work")  # type: ignore[arg-type]


async def test_added_work_may_block_without_blocking_the_loop() -> None:
    async with opened(maintenance="manual") as cache:
        where: list[int] = []
        cache.add_maintenance("mine", lambda: where.append(threading.get_ident()))
        await cache.amaintain()
        assert where
        assert where != [threading.get_ident()]


# ---------------------------------------------------------------------------------------------------------- the thread
def test_the_thread_starts_with_the_first_update_and_ends_with_the_cache() -> None:
    before = len(threads())
    cache = opened()
    cache.lookup("q")
    assert len(threads()) == before
    cache.update("q", "a")
    cache.update("r", "a")
    assert len(threads()) == before + 1
    assert all(thread.daemon for thread in threads())
    cache.close()
    assert len(threads()) == before
    cache.update("q", "a")
    assert len(threads()) == before


def test_without_a_thread_answers_are_stored_and_the_next_update_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    before = len(threads())
    with opened() as cache:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            assert cache.update("q", "a").stored
        assert len(threads()) == before
        assert cache.update("r", "a").stored
        assert len(threads()) == before + 1


def test_the_thread_makes_passes() -> None:
    with opened(maintenance_interval=0.001) as cache:
        passes = threading.Semaphore(0)
        cache.add_maintenance("mine", passes.release)
        cache.update("q", "a")
        for _ in range(3):
            assert passes.acquire(timeout=PATIENCE)


def test_a_pass_that_breaks_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    with opened(maintenance_interval=0.001, fail_open=False) as cache:
        passes = threading.Semaphore(0)

        def broken() -> None:
            passes.release()
            raise ValueError("broken")

        cache.add_maintenance("mine", broken)
        cache.update("q", "a")
        for _ in range(3):
            assert passes.acquire(timeout=PATIENCE)
    assert "maintenance failed (ValueError)" in caplog.text


def test_by_hand_means_no_thread() -> None:
    before = len(threads())
    with opened(maintenance="manual") as cache:
        cache.update("q", "a")
        assert len(threads()) == before


def test_a_cache_that_nobody_closes_leaves_no_thread() -> None:
    before = set(threads())
    cache = opened()
    cache.update("q", "a")
    [thread] = set(threads()) - before
    del cache
    gc.collect()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_pass_may_close_the_cache() -> None:
    cache = opened(maintenance_interval=0.001)
    closed = threading.Event()

    def close() -> None:
        cache.close()
        closed.set()

    cache.add_maintenance("mine", close)
    cache.update("q", "a")
    assert closed.wait(PATIENCE)


def test_close_waits_for_the_pass_under_way() -> None:
    begun, done = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        keeper._stop.wait(PATIENCE)  # until `close` has been called
        done.set()

    keeper = Housekeeper([(work, 0.001)])
    keeper.start()
    assert begun.wait(PATIENCE)
    keeper.close()
    assert done.is_set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_gets_a_thread_of_its_own() -> None:
    code = """
import os, threading
from llmcache_plugins import open_cache
def count(): return sum(t.name == "llmcache-maintenance" for t in threading.enumerate())
cache = open_cache("memory://", embedder=None)
cache.update("q", "a")
assert count() == 1
child = os.fork()
if child == 0:
    ok = count() == 0
    cache.update("r", "a")
    ok = ok and count() == 1
    cache.close()
    os._exit(0 if ok and count() == 0 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=60)


def test_no_program_waits_for_the_thread_at_its_end() -> None:
    code = """
from llmcache_plugins import open_cache
cache = open_cache("memory://", embedder=None, maintenance_interval=3600)
cache.update("q", "a")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# ------------------------------------------------------------------------------------------------------------ settings
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"maintenance": "off"}, 'maintenance must be "auto" or "manual"'),
        ({"maintenance_interval": 0}, "maintenance_interval must be"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        opened(**settings)
