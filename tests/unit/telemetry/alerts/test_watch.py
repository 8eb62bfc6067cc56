"""Who watches: it tells each thing once, outlives every error, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import threading
import time
import weakref
from typing import Any

import pytest

from llmcache_plugins import ConfigError, TierConfig, open_cache
from llmcache_plugins.stores import MemoryStore
from llmcache_plugins.telemetry.alerts import Alert, AlertRule, Alerts, CallbackSink, LogSink
from llmcache_plugins.testing import FakeClock, FaultyStore

FULL = AlertRule(name="Full", measure="memory", side="above", threshold=0.85, level="urgent")
DOWN = AlertRule(name="Down", measure="store_down", side="above", threshold=0)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "llmcache-alerts"]


def ended(some: list[threading.Thread]) -> bool:
    for thread in some:
        thread.join(10)
    return not any(thread.is_alive() for thread in some)


def test_it_watches_by_itself_until_it_is_closed(cache: Any) -> None:
    told: list[str] = []
    fired, cleared = threading.Event(), threading.Event()

    def tell(alert: Alert) -> None:
        told.append(alert.state)
        (fired if alert.state == "firing" else cleared).set()

    cache.utilisation = 0.95
    with Alerts(cache, [FULL], [CallbackSink(tell)], interval=1) as alerts:
        assert alerts.start() is alerts  # a second time does nothing
        mine = threads()
        assert len(mine) == 1
        assert fired.wait(10)
        cache.utilisation = 0.5
        assert cleared.wait(10)
    assert ended(mine)
    assert told == ["firing", "cleared"]
    with pytest.raises(ConfigError, match="closed; make new ones"):
        alerts.start()
    alerts.close()


def test_it_can_be_stopped_and_started_again(cache: Any) -> None:
    alerts = Alerts(cache, [FULL], [])
    alerts.start()
    mine = threads()
    alerts.stop()
    assert ended(mine)
    asked = cache.asked
    checked = threading.Event()
    cache.utilisation = 0.95
    alerts._sinks = (CallbackSink(lambda alert: checked.set()),)
    with alerts:
        assert checked.wait(10)
    assert cache.asked > asked


def test_a_cache_that_nobody_has_any_more_ends_the_watch(cache: Any) -> None:
    class Short(type(cache)):  # type: ignore[misc]  # one that only this test holds
        pass

    short = Short()
    alerts = Alerts(short, [FULL], [], interval=1)
    alerts.start()
    mine, kept = threads(), weakref.ref(short)
    del short
    gc.collect()
    assert kept() is None or ended(mine)
    assert ended(mine)
    assert alerts.check() == ()
    alerts.close()


def test_alerts_that_nobody_has_any_more_are_not_kept_by_their_thread(cache: Any) -> None:
    alerts = Alerts(cache, [FULL], [], interval=1)
    alerts.start()
    mine, kept = threads(), weakref.ref(alerts)
    del alerts
    assert ended(mine)
    gc.collect()
    assert kept() is None


def test_each_sink_is_told_once_and_a_broken_one_keeps_nobody_from_it(
    cache: Any, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Alert] = []

    def broken(alert: Alert) -> None:
        raise OSError("https://hooks.example/secret")

    clock = FakeClock()
    alerts = Alerts(cache, [FULL], [CallbackSink(broken), CallbackSink(told.append)], clock=clock)
    cache.utilisation = 0.95
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            alerts.check()
            clock.advance(15)
        cache.utilisation = 0.5
        alerts.check()
    assert [alert.state for alert in told] == ["firing", "cleared"]
    assert alerts.failures == {"CallbackSink": 2}
    assert [record.getMessage() for record in caplog.records] == [
        "alerts: CallbackSink failed (OSError); it is counted from now on"
    ]


def test_a_cache_that_cannot_be_read_is_counted_and_the_watch_goes_on(
    cache: Any, caplog: pytest.LogCaptureFixture
) -> None:
    alerts = Alerts(cache, [FULL], [], clock=FakeClock())
    cache.error = OSError("redis://user:password@host")
    assert alerts.check() == alerts.check() == ()
    assert alerts.failures == {"cache": 2}
    assert "password" not in caplog.text
    cache.error, cache.utilisation = None, 0.95
    assert [alert.state for alert in alerts.check()] == ["firing"]


def test_no_lock_is_held_while_a_sink_is_told(cache: Any) -> None:
    """The sink waits for a check in another thread; with a lock held that one would come back empty-handed."""
    seen: list[tuple[Alert, ...]] = []
    asked = 0

    def tell(alert: Alert) -> None:
        def look() -> None:
            alerts.check()
            seen.append(alerts.firing)

        nonlocal asked
        asked = cache.asked
        other = threading.Thread(target=look)
        other.start()
        other.join(10)

    alerts = Alerts(cache, [FULL], [CallbackSink(tell)], clock=FakeClock())
    cache.utilisation = 0.95
    alerts.check()
    assert [[alert.name for alert in firing] for firing in seen] == [["Full"]]
    assert cache.asked == asked + 1


def test_a_second_check_does_not_wait_for_one_that_hangs(cache: Any) -> None:
    go_on, asked = threading.Event(), threading.Event()

    class Hanging(type(cache)):  # type: ignore[misc]
        def stats(self) -> Any:
            asked.set()
            assert go_on.wait(10)
            return super().stats()

    hanging = Hanging()
    alerts = Alerts(hanging, [FULL], [], clock=FakeClock())
    thread = threading.Thread(target=alerts.check)
    thread.start()
    assert asked.wait(10)
    start = time.perf_counter()
    assert alerts.check() == ()
    assert time.perf_counter() - start < 5
    go_on.set()
    thread.join(10)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("shared", [False, True])
def test_a_forked_child_watches_for_itself_and_not_what_its_parent_does(cache: Any, shared: bool) -> None:
    checked = threading.Event()
    cache.utilisation = 0.95
    with Alerts(cache, [FULL], [CallbackSink(lambda alert: checked.set())], interval=1, shared=shared) as alerts:
        assert checked.wait(10)
        assert len(alerts.firing) == 1
        alerts._turn.acquire()  # as if a check were under way
        child = os.fork()
        if child == 0:
            checked.clear()
            found = checked.wait(3 if shared else 10)
            os._exit(0 if found != shared and bool(threads()) != shared else 1)
        alerts._turn.release()
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_the_log_is_told_by_level(cache: Any, caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    alerts = Alerts(cache, [FULL, DOWN], clock=clock)  # the log is where alerts go when nothing else is said
    cache.utilisation = 0.95
    with caplog.at_level(logging.INFO, "llmcache_plugins.alerts"):
        alerts.check()
        cache.down = ("main",)
        alerts.check()
        cache.down, cache.utilisation = (), 0.5
        alerts.check()
    found = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert found == [
        ("ERROR", "Full fires: memory is 95.0 % (fires above 85.0 %)"),
        ("WARNING", "Down fires: store_down of main is 1 (fires above 0)"),
        ("INFO", "Full cleared: memory is 50.0 % (fires above 85.0 %)"),
        ("INFO", "Down cleared: store_down of main is 0 (fires above 0)"),
    ]
    assert [vars(record)["alert"] for record in caplog.records] == ["Full", "Down", "Full", "Down"]
    assert repr(LogSink()) == "LogSink('llmcache_plugins.alerts')"


def test_a_store_that_fails_is_down_until_it_is_back() -> None:
    store = FaultyStore(MemoryStore())
    clock = FakeClock()
    with open_cache(tiers=[TierConfig("all", store=store)], embedder=None) as cache:
        alerts = Alerts(cache, [DOWN], [], clock=clock)
        assert alerts.check() == ()
        store.fail({"stats"})
        (alert,) = alerts.check()
        assert (alert.name, alert.value, alert.part) == ("Down", 1, "store")
        assert cache.stats().stores_down == cache.shared_stats().total.stores_down == ("store",)
        assert asyncio.run(cache.astats()).stores_down == ("store",)
        assert cache.stats().evictions is None
        report = cache.report(alerts=alerts)
        assert [(one.name, one.level, one.text) for one in report.alerts] == [("Down", "warning", alert.text)]
        assert alert.text in str(report)
        store.heal()
        assert [one.state for one in alerts.check()] == ["cleared"]
        assert cache.stats().stores_down == ()
        assert cache.report(alerts=alerts).alerts == ()


def test_a_server_that_is_not_there_opens_its_circuit_and_is_down() -> None:
    pytest.importorskip("redis")
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        open_circuit = AlertRule(name="Open", measure="circuit_open", side="above", threshold=0)
        clock = FakeClock()
        with open_cache(f"redis://127.0.0.1:{taken.getsockname()[1]}", embedder=None, maintenance="manual") as cache:
            alerts = Alerts(cache, [DOWN, open_circuit], [], clock=clock)
            alerts.check()
            for number in range(10):
                cache.lookup(f"question {number}")
            clock.advance(15)
            alerts.check()
            (part,) = cache.stats().left_alone
            assert [(alert.name, alert.part) for alert in alerts.firing] == [("Down", part), ("Open", part)]
            assert cache.stats().left_alone[part] < cache.stats().errors[part]
