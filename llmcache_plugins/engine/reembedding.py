"""The verb that moves the vectors of a cache to the embedder that it was opened with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llmcache_plugins.engine.core import Core
from llmcache_plugins.engine.drivers import arun, run
from llmcache_plugins.engine.reembed_flow import Reembed
from llmcache_plugins.errors import ConfigError, EmbedderError, StoreError
from llmcache_plugins.protocols import TracksChanges
from llmcache_plugins.transfer.bar import progress_bar
from llmcache_plugins.transfer.reembed import ReembedReport, ReembedSettings, ReembedTally, Shown
from llmcache_plugins.types import Namespace

__all__ = ["Reembedding"]

_LONGEST_SLEEP = 0.5  # seconds: who waits hears that the cache was closed
_HEARD_WITHIN = 2.0  # seconds until all processes on a server have heard of a note, which they are not asked for
_sleep = time.sleep
_asleep = asyncio.sleep


class Reembedding(Core):
    """Entries from one embedder to another, in the store they are in."""

    def reembed(
        self,
        *,
        namespace: str | Namespace = (),
        batch: int = 64,
        rate: float | None = None,
        dry_run: bool = False,
        progress: Shown = False,
    ) -> ReembedReport:
        """Give every entry a vector of this cache's embedder, whatever embedder its vector is of now. The store may be
        in use, by caches with the old embedder and with the new one.

        Exact and normalised matches are not touched at any time. By meaning an entry matches for caches with the old
        embedder until it is moved, and from then on for those with the new one. For a day after its last run caches
        with another embedder leave alone what was moved. One that was interrupted is simply run again: it goes on with
        what is not moved yet.

        Args:
            namespace: what is stored below it, below the cache's own; all of that by default.
            batch: entries read, and texts embedded, at a time, 1 to 1000; no more are in memory.
            rate: entries embedded in a second, at most.
            dry_run: embed and write nothing; the report says what would be moved.
            progress: called with a `ReembedProgress` after each batch; True shows a bar on stderr.

        Raises:
            ConfigError: an argument is wrong, this cache has no embedder, or what is stored is sealed and there is no
                key.
            StoreError: the store is broken, unless `fail_open`: then the report says `stopped`.
            EmbedderError: the embedder fails at whatever it is given, unless `fail_open`.
        """
        settings = ReembedSettings(namespace=namespace, batch=batch, rate=rate, dry_run=dry_run, progress=progress)
        tally = ReembedTally()
        steps, started = self._reembed(settings, tally), self._clock.monotonic()
        with _shown(settings, tally) as told:
            try:
                if run(steps.begin(), self._perform):
                    self._wait(self._until_heard)
                while (count := run(steps.page(), self._perform)) is not None:
                    told()
                    if self._is_cut_off(tally):
                        break
                    self._wait(settings.pause(count))
                else:
                    run(steps.end(self._clock.now()), self._perform)
            except (StoreError, EmbedderError) as error:
                self._gave_up(tally, error)
        return self._moved(settings, tally, started)

    async def areembed(
        self,
        *,
        namespace: str | Namespace = (),
        batch: int = 64,
        rate: float | None = None,
        dry_run: bool = False,
        progress: Shown = False,
    ) -> ReembedReport:
        """`reembed` for event loops."""
        settings = ReembedSettings(namespace=namespace, batch=batch, rate=rate, dry_run=dry_run, progress=progress)
        tally = ReembedTally()
        steps, started = self._reembed(settings, tally), self._clock.monotonic()
        with _shown(settings, tally) as told:
            try:
                if await arun(steps.begin(), self._aperform):
                    await self._await(self._until_heard)
                while (count := await arun(steps.page(), self._aperform)) is not None:
                    told()
                    if self._is_cut_off(tally):
                        break
                    await self._await(settings.pause(count))
                else:
                    await arun(steps.end(self._clock.now()), self._aperform)
            except (StoreError, EmbedderError) as error:
                self._gave_up(tally, error)
        return self._moved(settings, tally, started)

    # ---------------------------------------------------------------- inside
    def _reembed(self, settings: ReembedSettings, tally: ReembedTally) -> Reembed:
        if self._rules.embedder_id is None:
            raise ConfigError("this cache has no embedder: open it with the one that the entries are to be moved to")
        return Reembed(self._rules, settings.below(self.config.namespace), settings, self._clock.now(), tally)

    @property
    def _until_heard(self) -> float:
        """Who has not heard yet would take back what is moved first."""
        return _HEARD_WITHIN if isinstance(self._tiers[-1].store, TracksChanges) else 0.0

    def _wait(self, seconds: float) -> None:
        while seconds > 0 and not self._is_closed:
            _sleep(min(seconds, _LONGEST_SLEEP))
            seconds -= _LONGEST_SLEEP

    async def _await(self, seconds: float) -> None:
        await _asleep(min(seconds, _LONGEST_SLEEP))  # of 0, too: a store in memory never gives way
        while (seconds := seconds - _LONGEST_SLEEP) > 0 and not self._is_closed:
            await _asleep(min(seconds, _LONGEST_SLEEP))

    def _is_cut_off(self, tally: ReembedTally) -> bool:
        if self._is_closed:
            tally.stopped = "closed"
        return self._is_closed

    def _gave_up(self, tally: ReembedTally, error: StoreError | EmbedderError) -> None:
        tally.stopped = type(error).__name__  # its text may quote a URL
        self._spared(error)

    def _moved(self, settings: ReembedSettings, tally: ReembedTally, started: float) -> ReembedReport:
        assert self._rules.embedder_id is not None
        seconds = self._clock.monotonic() - started
        return tally.report(self._rules.embedder_id, seconds=seconds, is_dry_run=settings.dry_run)


@contextmanager
def _shown(settings: ReembedSettings, tally: ReembedTally) -> Iterator[Callable[[], None]]:
    """What is called after each batch."""
    progress = settings.progress
    if progress is True:
        with progress_bar("embedding") as show:
            yield lambda: show(tally.progress)
    elif progress is False:
        yield lambda: None
    else:
        yield lambda: progress(tally.progress)
