"""The verb that says how a cache does and what might be changed."""

from __future__ import annotations

from llmcache_plugins.analysis import Analysis, Survey, advise, judge
from llmcache_plugins.counters import CacheStats
from llmcache_plugins.engine.core import Core
from llmcache_plugins.engine.drivers import arun, run
from llmcache_plugins.engine.rules import Flow
from llmcache_plugins.engine.steps import Select
from llmcache_plugins.errors import ConfigError, StoreError
from llmcache_plugins.selection import Page, Selector

__all__ = ["Analysing"]

_PAGE = 500  # entries read at a time


class Analysing(Core):
    """How a cache does."""

    def stats(self) -> CacheStats:
        raise NotImplementedError

    async def astats(self) -> CacheStats:
        raise NotImplementedError

    def analyze(self, *, top: int = 10, with_text: bool = False, most_entries: int = 100_000) -> Analysis:
        """How efficient the cache is, what is read most, how long answers live, how full the tiers are, and what might
        be changed, each with its evidence. `print` it. Nothing is counted.

        Args:
            top: how many hotspots, at most 100.
            with_text: hotspots show their questions.
            most_entries: so many entries are read at most, the oldest first.

        Raises:
            ConfigError: `top` or `most_entries` is out of range.
            StoreError: the store is broken, unless `fail_open`: then no entry was seen.
        """
        survey = self._survey(top, with_text, most_entries)
        try:
            run(self._survey_flow(survey, most_entries), self._perform)
        except StoreError as error:
            self._spared(error)
        return self._analysis(self.stats(), survey, top)

    async def aanalyze(self, *, top: int = 10, with_text: bool = False, most_entries: int = 100_000) -> Analysis:
        """`analyze` for event loops."""
        survey = self._survey(top, with_text, most_entries)
        try:
            await arun(self._survey_flow(survey, most_entries), self._aperform)
        except StoreError as error:
            self._spared(error)
        return self._analysis(await self.astats(), survey, top)

    # ---------------------------------------------------------------- inside
    def _survey(self, top: int, with_text: bool, most_entries: int) -> Survey:
        for name, value, most in (("top", top, 100), ("most_entries", most_entries, None)):
            is_integer = isinstance(value, int) and not isinstance(value, bool)
            if not is_integer or value < 1 or (most is not None and value > most):
                limit = "" if most is None else f" and at most {most}"
                raise ConfigError(f"{name} must be an integer of at least 1{limit}, not {value!r}")
        return Survey(self._clock.now(), with_text=with_text)

    def _survey_flow(self, survey: Survey, most_entries: int) -> Flow[None]:
        selector, after = Selector(namespace=self.config.namespace), 0
        while survey.entries < most_entries:
            limit = min(_PAGE, most_entries - survey.entries)
            page: Page = yield Select(self._rules.bottom, selector, limit, after)
            for stored in page.rows:
                survey.add(stored)
            if page.after is None:
                return survey.end(is_whole=True)
            after = page.after
        return None

    def _analysis(self, stats: CacheStats, survey: Survey, top: int) -> Analysis:
        return Analysis(
            at=survey.now,
            namespace=self.config.namespace,
            entries=survey.entries if survey.is_whole else max(stats.entries, survey.entries),
            surveyed=survey.entries,
            reads=survey.reads,
            efficiency=judge(stats, survey),
            hotspots=survey.hotspots(top),
            coverage=survey.coverage,
            query_types=survey.query_types,
            labels=survey.labels,
            remaining=survey.remaining,
            tiers=stats.tiers,
            recommendations=advise(stats, survey, self.config),
        )
