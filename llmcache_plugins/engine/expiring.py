"""The verbs that find what is about to expire, so that it can be asked anew before users wait for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from llmcache_plugins.engine.core import Core
from llmcache_plugins.engine.drivers import arun, run
from llmcache_plugins.engine.rules import Flow
from llmcache_plugins.engine.steps import Select
from llmcache_plugins.engine.warm_models import model_of
from llmcache_plugins.engine.workers import in_worker
from llmcache_plugins.errors import ConfigError, StoreError
from llmcache_plugins.selection import Page, Selector
from llmcache_plugins.types import Profile, Request, Stored
from llmcache_plugins.warming.models import WarmModel
from llmcache_plugins.warming.report import Expiring
from llmcache_plugins.warming.wanted import Wanted, as_wanted

__all__ = ["ExpiringEntries"]

_PAGE = 500  # entries read at a time


class ExpiringEntries(Core):
    """What is about to expire."""

    def expiring(self, within: float, generate: Any = None, *, least_reads: int = 1) -> Expiring:
        """What expires in the next `within` seconds and can be asked anew, most read first. For a nightly refresh:
        `cache.warm(cache.expiring(within=86400).questions, generate, fresh_for=86400)`.

        An entry keeps the text of its question and not the model, parameters and system prompt it belongs to: asked
        anew is what `generate` would be asked for the same text in the same scope. The rest is counted.

        Args:
            generate: a model of LangChain or LlamaIndex, when that is who will be asked; else the plain questions.
            least_reads: entries that were served less often are left out: nobody would miss them.

        Raises:
            ConfigError: `within` is not above 0, or `least_reads` is below 0.
            StoreError: the store is broken, unless `fail_open`.
        """
        model = self._expiring_model(within, generate, least_reads)
        try:
            rows = run(self._expiring_flow(within), self._perform)
        except StoreError as error:
            self._spared(error)
            rows = []
        return self._refreshable(rows, model, least_reads)

    async def aexpiring(self, within: float, generate: Any = None, *, least_reads: int = 1) -> Expiring:
        """`expiring` for event loops."""
        model = self._expiring_model(within, generate, least_reads)
        try:
            rows = await arun(self._expiring_flow(within), self._aperform)
        except StoreError as error:
            self._spared(error)
            rows = []
        return await in_worker(self._workers(), partial(self._refreshable, rows, model, least_reads))

    # ---------------------------------------------------------------- inside
    def _expiring_model(self, within: float, generate: Any, least_reads: int) -> WarmModel | None:
        if isinstance(within, bool) or not isinstance(within, int | float) or not within > 0:
            raise ConfigError(f"within must be a number of seconds above 0, not {within!r}")
        if isinstance(least_reads, bool) or not isinstance(least_reads, int) or least_reads < 0:
            raise ConfigError(f"least_reads must be an integer of at least 0, not {least_reads!r}")
        return None if generate is None else model_of(generate, self._workers())

    def _expiring_flow(self, within: float) -> Flow[list[Stored]]:
        now, after, found = self._clock.now(), 0, list[Stored]()
        selector = Selector(namespace=self.config.namespace)
        while True:
            page: Page = yield Select(self._rules.bottom, selector, _PAGE, after)
            for stored in page.rows:
                expires_at = stored.entry.expires_at
                if expires_at is not None and now < expires_at <= now + within:
                    found.append(stored)
            if page.after is None:
                return found
            after = page.after

    def _refreshable(self, rows: Iterable[Stored], model: WarmModel | None, least_reads: int) -> Expiring:
        wanted: list[Wanted] = []
        foreign = unread = 0
        for stored in rows:
            if stored.access_count < least_reads:
                unread += 1
                continue
            request = self._request_again(stored, model)
            if request is None:
                foreign += 1
            else:
                wanted.append(Wanted(request, float(stored.access_count), "expiring"))
        return Expiring(tuple(as_wanted(wanted)), foreign, unread)

    def _request_again(self, stored: Stored, model: WarmModel | None) -> Request | None:
        """The request that has this entry for an answer; None when what would be asked is another one."""
        entry = stored.entry
        request = Request(entry.text) if model is None else model.request_of(entry.text)
        identity = self._resolve(request)[1]
        if (identity.scope, identity.key) != (entry.scope, entry.key):
            return None
        return replace(request, **_given(entry.profile))


def _given(profile: Profile) -> dict[str, Any]:
    """What an entry knows of itself, for the one that follows it. What nobody could tell is left to the profiler."""
    query_type = None if profile.query_type == "general" else profile.query_type
    return {"tags": profile.tags, "query_type": query_type, "volatility": profile.volatility or None}
