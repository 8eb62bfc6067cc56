"""One queue in front of all recorders of a cache that work behind the lookups: a lookup leaves one value, not one for
each of them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from llmcache_plugins.protocols import Recorder
from llmcache_plugins.recorded import Event
from llmcache_plugins.telemetry.backlog import Backlog
from llmcache_plugins.telemetry.fields import Light, light

__all__ = ["Behind", "Noted", "fed"]

Noted: TypeAlias = tuple[float, Any, Event | Light]
"""Of one event: when it was (wall clock, seconds), in what context (None where nobody asks), and what is told of it."""


class Behind(ABC):
    """A recorder that only notes an event, and whose backlog does the rest in a thread of its own.

    Several of them that one cache is built with hear of its events from one `Feed`. That does nothing slow itself: a
    disk that hangs holds up the backlog of its own recorder and none of the others.
    """

    _backlog: Backlog[Any]

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._feeds: list[Feed] = []  # no more than there are groups that it is in, however many caches

    def __call__(self, event: Event) -> None:
        self.take((self._now(), self.surroundings(), light(event)))

    @abstractmethod
    def take(self, noted: Noted) -> None:
        """Queue what is wanted of it. In the lookup's thread, or in that of a feed a little later."""

    def surroundings(self) -> Any:
        """The context that a lookup runs in, where it is wanted."""
        return None

    @property
    def dropped(self) -> int:
        """What was lost for want of room, for a place that cannot be reached, or after `close()`."""
        return self._backlog.dropped + sum(feed.backlog.dropped for feed in self._feeds)

    def flush(self) -> None:
        """Work off everything that waits now, in this thread."""
        for feed in self._feeds:
            feed.backlog.flush()
        self._backlog.flush()

    def close(self) -> None:
        """Work off everything and end the thread. Later events are dropped and counted."""
        for feed in self._feeds:
            feed.leave(self)
        self._backlog.close()


class Feed:
    """Hears the events of a cache for a group of recorders. The tightest limit and interval of theirs hold."""

    def __init__(self, group: tuple[Behind, ...]) -> None:
        self._group = group
        self._open = set(group)
        backlogs = [recorder._backlog for recorder in group]
        self._surroundings = next((one.surroundings for one in group if _asks_for_them(one)), _nothing)
        self.backlog: Backlog[Noted] = Backlog(
            self._pass_on,
            "llmcache recorders",
            limit=min(one.limit for one in backlogs),
            interval=min(one.interval for one in backlogs),
            feeds_others=True,
        )

    def __call__(self, event: Event) -> None:
        self.backlog.put((time.time(), self._surroundings(), light(event)))

    def leave(self, recorder: Behind) -> None:
        """It is closed: give it what waits, and end the thread with the last of the group."""
        self._open.discard(recorder)
        if self._open:
            self.backlog.flush()
        else:
            self.backlog.close()

    def _pass_on(self, values: list[Noted]) -> None:
        for recorder in self._group:
            for noted in values:
                recorder.take(noted)


_feeds: WeakValueDictionary[tuple[int, ...], Feed] = WeakValueDictionary()


def fed(recorders: Iterable[Recorder]) -> list[Recorder]:
    """The recorders of a cache, with a feed in the place of those that can be fed; one alone stays as it is."""
    given = list(recorders)
    group = tuple(dict.fromkeys(one for one in given if isinstance(one, Behind) and _can_be_fed(one)))
    if len(group) < 2:
        return given
    ids = tuple(map(id, group))  # which stay theirs as long as the feed lives: it holds them
    feed = _feeds.get(ids)
    if feed is None:
        feed = _feeds[ids] = Feed(group)
        for one in group:
            one._feeds.append(feed)
    return [*(one for one in given if one not in group), feed]


def _can_be_fed(recorder: Behind) -> bool:
    """Not with a clock of the user's, which is asked at once, nor a subclass that hears of events in its own way."""
    return type(recorder).__call__ is Behind.__call__ and recorder._now is time.time


def _asks_for_them(recorder: Behind) -> bool:
    return type(recorder).surroundings is not Behind.surroundings


def _nothing() -> None:
    return None
