"""Watches a cache: measures it now and then, and tells sinks what fires and what clears."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType, TracebackType
from typing import Protocol

from llmcache_plugins.counters import CacheStats, SharedStats
from llmcache_plugins.errors import ConfigError
from llmcache_plugins.protocols import Clock
from llmcache_plugins.telemetry.alerts.counted import Counted, History, Sight, counted
from llmcache_plugins.telemetry.alerts.course import Alert, Course
from llmcache_plugins.telemetry.alerts.measures import MEASURES
from llmcache_plugins.telemetry.alerts.rules import DEFAULT_RULES, AlertRule, checked_rules
from llmcache_plugins.telemetry.alerts.sinks import LogSink, Sink

__all__ = ["Alerts", "Counting"]

_log = logging.getLogger(__name__)


class Counting(Protocol):
    """What is asked of a cache: a `SemanticCache` has both."""

    def stats(self) -> CacheStats: ...
    def shared_stats(self) -> SharedStats: ...


class _Time:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class Alerts:
    """`with Alerts(cache): ...` or `start()`: checks the rules every `interval` seconds in a thread of its own.

    A lookup pays nothing for it, and no error of the cache or of a sink gets out: they are counted in `failures`. The
    cache is not kept alive; when it is gone, so is the watch. Close this before the cache: a store that was closed
    looks like one that is down. In a forked child a watch that was running begins anew, for its counts are its own
    from there on; with `shared` only the parent goes on.

    Going through it gives what fires: `cache.report(alerts=alerts)`.

    Args:
        cache: to be watched.
        rules: with different names.
        sinks: are told of each alert when it fires and when it clears, in this order.
        interval: seconds between two checks, 1 to 3600.
        shared: go by what all processes that use the store have counted, not by this one alone. Then one process
            should watch: each would tell the same. Every check asks the store.
        clock: the time; None for that of the machine.

    Raises:
        ConfigError: a value is wrong.
    """

    def __init__(
        self,
        cache: Counting,
        rules: Iterable[AlertRule] = DEFAULT_RULES,
        sinks: Iterable[Sink] | None = None,
        *,
        interval: float = 15.0,
        shared: bool = False,
        clock: Clock | None = None,
    ) -> None:
        if not all(callable(getattr(cache, verb, None)) for verb in ("stats", "shared_stats")):
            raise ConfigError(f"cache must be a SemanticCache, not {type(cache).__name__}; open_cache() makes one")
        if not isinstance(interval, int | float) or isinstance(interval, bool) or not 1 <= interval <= 3600:
            raise ConfigError(f"interval must be seconds from 1 to 3600, not {interval!r}")
        self._cache = weakref.ref(cache)
        self._rules = checked_rules(rules)
        self._sinks = _checked_sinks(sinks)
        self._interval = interval
        self._shared = shared
        self._clock: Clock = clock or _Time()
        self._is_closed = False
        self._begin()
        _living.add(self)

    def _begin(self) -> None:
        self._turn = threading.Lock()  # held while rules are checked, never while a sink is told
        self._threads = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._courses = [Course(rule) for rule in self._rules]
        self._failures: Counter[str] = Counter()
        self._forget()

    def _forget(self) -> None:
        self._histories = {rule.window: History(rule.window) for rule in self._rules}
        self._evictions: int | None = None

    # ---------------------------------------------------------------- what there is to know
    @property
    def firing(self) -> tuple[Alert, ...]:
        """What fires now, in the order of the rules, each with its newest value."""
        return tuple(alert for course in self._courses if (alert := course.firing) is not None)

    def __iter__(self) -> Iterator[Alert]:
        return iter(self.firing)

    @property
    def failures(self) -> Mapping[str, int]:
        """How often the cache could not be measured (`cache`), and how often a sink failed, by its class."""
        return MappingProxyType(dict(self._failures))

    # ---------------------------------------------------------------- one check
    def check(self) -> tuple[Alert, ...]:
        """Measure the cache once, now, and tell the sinks. The first time there is nothing to compare with: what was
        counted before it is in no window. It asks the store how large it is: in an event loop, leave it to a thread.

        Returns:
            What has fired and cleared; nothing while another thread checks. Never raises.
        """
        if not self._turn.acquire(blocking=False):
            return ()
        try:
            told = self._checked()
        except Exception as error:  # a watch must outlive whatever it watches
            self._failed("cache", error)
            told = ()
        finally:
            self._turn.release()
        for alert in told:
            for sink in self._sinks:
                try:
                    sink(alert)
                except Exception as error:  # one sink must not keep the others from being told
                    self._failed(type(sink).__name__, error)
        return told

    def _checked(self) -> tuple[Alert, ...]:
        cache = self._cache()
        if cache is None:
            return ()
        if self._shared:
            shared = cache.shared_stats()
            stats, is_known = shared.total, shared.is_complete
        else:
            stats, is_known = cache.stats(), True
        now = None
        if is_known:
            if self._evictions is None and stats.evictions is not None:
                self._forget()  # all of them would look new where a store that was down at first has come back
                self._evictions = stats.evictions
            now = counted(stats, self._evictions or 0)
            self._evictions = stats.evictions if stats.evictions is not None else self._evictions
        return self._stepped(now, stats)

    def _stepped(self, now: Counted | None, stats: CacheStats) -> tuple[Alert, ...]:
        """Of counts that are not known only that is known: which stores are down."""
        at, wall = self._clock.monotonic(), self._clock.now()
        told = []
        sights = {}
        for window, history in self._histories.items():
            if now is None:
                sights[window] = Sight(Counted(), Counted(), 0.0, window, None, stats.stores_down)
            else:
                history.add(at, now)
                sights[window] = Sight(*history.windows(at, now), window, stats.utilisation, stats.stores_down)
        for course in self._courses:
            rule = course.rule
            is_known = now is not None or rule.measure == "store_down"
            measured = MEASURES[rule.measure].read(sights[rule.window]) if is_known else None
            if (alert := course.step(measured, at, wall)) is not None:
                told.append(alert)
        return tuple(told)

    def _failed(self, what: str, error: Exception) -> None:
        self._failures[what] += 1
        if self._failures[what] == 1:  # the class alone: a text may quote a prompt or an address
            _log.warning("alerts: %s failed (%s); it is counted from now on", what, type(error).__name__)

    # ---------------------------------------------------------------- the thread
    def start(self) -> Alerts:
        """Check now and then from now on; a second call does nothing.

        Raises:
            ConfigError: it was closed.
        """
        with self._threads:
            if self._is_closed:
                raise ConfigError("these Alerts are closed; make new ones")
            if self._thread is None:
                self._run(0.0)
        return self

    def _run(self, pause: float) -> None:
        self._stop = threading.Event()
        arguments = (weakref.ref(self), self._stop, self._interval, pause)
        self._thread = threading.Thread(target=_watch, args=arguments, name="llmcache-alerts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Check no more, until `start` is called again. What fires goes on firing."""
        with self._threads:
            thread, self._thread = self._thread, None
            self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=5.0)  # a store may keep it waiting; it ends by itself then

    def close(self) -> None:
        """Stop for good, and close the sinks. A second call does nothing."""
        was_closed, self._is_closed = self._is_closed, True
        self.stop()
        for sink in () if was_closed else self._sinks:
            try:
                sink.close()
            except Exception as error:  # the same as when it is told
                self._failed(type(sink).__name__, error)

    def __enter__(self) -> Alerts:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Alerts({len(self._rules)} rules, {len(self.firing)} firing)"

    def after_fork(self) -> None:
        """In a forked child the thread does not live, and locks may be held by those that do not."""
        was_running = self._thread is not None
        self._begin()
        if was_running and not self._is_closed and not self._shared:
            self._run(self._interval)  # not at once: the cache may still have to mend its own locks


def _watch(reference: weakref.ref[Alerts], stop: threading.Event, interval: float, pause: float) -> None:
    """Keeps neither the alerts nor the cache alive while it waits.

    Args:
        pause: seconds until the first check.
    """
    while not stop.wait(pause):
        alerts = reference()
        if alerts is None or alerts._cache() is None:
            return
        alerts.check()
        del alerts
        pause = interval


def _checked_sinks(sinks: Iterable[Sink] | None) -> tuple[Sink, ...]:
    if sinks is None:
        return (LogSink(),)
    known = tuple(sinks) if isinstance(sinks, Iterable) else ()
    if not isinstance(sinks, Iterable) or not all(callable(sink) and hasattr(sink, "close") for sink in known):
        raise ConfigError("sinks must be a list of sinks such as LogSink(); CallbackSink(f) makes one of a function")
    return known


_living: weakref.WeakSet[Alerts] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for alerts in list(_living):
        alerts.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
