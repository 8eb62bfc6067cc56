"""The verbs for who looks at a cache while it works: hear its events, and read what is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from llmcache_plugins.engine.core import Core
from llmcache_plugins.engine.drivers import arun, run
from llmcache_plugins.engine.explaining import policy_report
from llmcache_plugins.engine.explanation import PolicyReport
from llmcache_plugins.engine.generating import AnyRequest
from llmcache_plugins.engine.rules import Flow
from llmcache_plugins.engine.steps import Select
from llmcache_plugins.errors import ConfigError, StoreError
from llmcache_plugins.protocols import Recorder
from llmcache_plugins.selection import Page, Selector

__all__ = ["Inspecting"]

_MOST = 1000  # entries in a page


class Inspecting(Core):
    """Looks into a cache."""

    def listen(self, recorder: Recorder) -> Callable[[], None]:
        """Let this recorder hear every event from now on, as if it had been given to `open_cache`; one that raises is
        logged once and dropped. Lookups wait for it, so it has to be quick.

        Returns:
            What ends it. A second call does nothing.

        Raises:
            ConfigError: it is not callable.
        """
        if not callable(recorder):
            raise ConfigError(f"recorder must be callable, not {type(recorder).__name__}")
        self._emit.add(recorder)
        return lambda: self._emit.remove(recorder)

    @property
    def is_closed(self) -> bool:
        """Was `close` called? Then every lookup is a miss."""
        return self._is_closed

    def now(self) -> float:
        """The time of this cache's clock, wall clock: what the instants of its entries are compared with."""
        return self._clock.now()

    def policy(self, request: AnyRequest = "") -> PolicyReport | None:
        """What decides at this moment whether a match by meaning is served for such a request; None where none ever
        is. No embedder is asked, and nothing is looked for.

        Raises:
            ConfigError: it is neither text nor a request.
        """
        request, identity = self._resolve(request)
        policy = None if self._rules.embedder_id is None else self._rules.policy_for(request)
        if policy is not None and self._rules.learnt is not None:
            policy = self._rules.learnt(policy, request.namespace, identity.scope)
        return None if policy is None else policy_report(policy, self._rules)

    def entries(self, selector: Selector | None = None, *, limit: int = 100, after: int = 0) -> Page:
        """What is stored under this cache's namespace, oldest first, without vectors; expired entries too. Nothing is
        counted.

        Args:
            selector: which of it; its namespace is below the cache's own.
            limit: so many at most, from 1 to 1,000.
            after: what the page before said; 0 for the first.

        Raises:
            ConfigError: an argument is wrong.
            StoreError: the store is broken, unless `fail_open`: then the page is empty and says `has_failed`.
        """
        try:
            return run(self._entries_flow(selector, limit, after), self._perform)
        except StoreError as error:
            self._spared(error)
            return Page(has_failed=True)

    async def aentries(self, selector: Selector | None = None, *, limit: int = 100, after: int = 0) -> Page:
        """`entries` for event loops."""
        try:
            return await arun(self._entries_flow(selector, limit, after), self._aperform)
        except StoreError as error:
            self._spared(error)
            return Page(has_failed=True)

    def _entries_flow(self, selector: Selector | None, limit: int, after: int) -> Flow[Page]:
        if selector is not None and not isinstance(selector, Selector):
            raise ConfigError(f"selector must be a Selector or None, not {type(selector).__name__}")
        for name, value, least, most in (("limit", limit, 1, _MOST), ("after", after, 0, None)):
            is_integer = isinstance(value, int) and not isinstance(value, bool)
            if not is_integer or value < least or (most is not None and value > most):
                raise ConfigError(f"{name} must be an integer of at least {least}{_at_most(most)}, not {value!r}")
        chosen = Selector() if selector is None else selector
        chosen = replace(chosen, namespace=(*self.config.namespace, *chosen.namespace))
        page: Page = yield Select(self._rules.bottom, chosen, limit, after)
        return page


def _at_most(most: int | None) -> str:
    return "" if most is None else f" and at most {most}"
